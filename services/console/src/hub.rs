//! The records of `/live`: a bounded buffer of the latest ones, and a snapshot for a page that opens.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::record::{Column, Record, now_ms};

/// The maximum number of records in the buffer: a page that lacks no more than these can resume.
const CAPACITY: usize = 8_192;
/// Seconds of figures that a page starts with.
const FIGURES: usize = 60;
/// Records of the latest change that a page starts with, at most.
const SINCE_LAST_CHANGE: usize = 1_000;
/// Writes with a shorter pause between them belong to one change.
const TOGETHER_MS: u64 = 2_000;
/// Pages that are open at the same time.
const VIEWERS: usize = 32;
/// Records in one message.
const BATCH: usize = 1_024;
/// The least time between two messages to one page: about 30 in a second.
const PAUSE: Duration = Duration::from_millis(33);
/// How long the console goes on watching after the last page has been closed: it may be about to reconnect.
const RECONNECT_GRACE: Duration = Duration::from_secs(10);

/// What a record replaces in the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Service(&'static str),
    Truth,
    Cell(&'static str, Column),
    Load,
    Faults,
    Task(&'static str),
}

/// The records. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    added: Notify,
    viewers: watch::Sender<usize>,
    /// Distinguishes the ids of this process from those of an earlier one.
    boot: String,
    number: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    recent: VecDeque<Recent>,
    /// The number of the record with which the latest change began, and the time of its last write.
    change: Option<(u64, u64)>,
    snapshot: BTreeMap<Slot, Arc<str>>,
    figures: VecDeque<Arc<str>>,
}

#[derive(Debug)]
struct Recent {
    text: Arc<str>,
    /// Whether the record is a write, or may show an effect of a write.
    concerns_changes: bool,
}

impl Default for Hub {
    fn default() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            added: Notify::new(),
            viewers: watch::Sender::new(0),
            boot: format!("{:08x}", rand::random::<u32>()),
            number: AtomicU64::new(0),
        }))
    }
}

impl Hub {
    /// Adds a record.
    pub(crate) fn emit(&self, record: &Record) {
        let text: Arc<str> = json(record).into();
        let mut state = self.state();
        match record {
            Record::Service(service) => drop(state.snapshot.insert(Slot::Service(service.name), Arc::clone(&text))),
            Record::Truth { .. } => drop(state.snapshot.insert(Slot::Truth, Arc::clone(&text))),
            Record::Board { at_ms, cells } => {
                for cell in cells {
                    let alone = Record::Board { at_ms: *at_ms, cells: vec![cell.clone()] };
                    state.snapshot.insert(Slot::Cell(cell.strategy, cell.column), json(&alone).into());
                }
            }
            Record::Figures { .. } => {
                if state.figures.len() == FIGURES {
                    state.figures.pop_front();
                }
                state.figures.push_back(Arc::clone(&text));
            }
            Record::Load(_) => drop(state.snapshot.insert(Slot::Load, Arc::clone(&text))),
            Record::Faults { .. } => drop(state.snapshot.insert(Slot::Faults, Arc::clone(&text))),
            Record::Task(task) => drop(state.snapshot.insert(Slot::Task(task.name), Arc::clone(&text))),
            Record::Hello { .. }
            | Record::Write(_)
            | Record::Feed { .. }
            | Record::Published { .. }
            | Record::Read(_)
            | Record::Note { .. } => {}
        }
        if let Record::Write(write) = record {
            let last = state.change.filter(|(_, at_ms)| write.at_ms.saturating_sub(*at_ms) < TOGETHER_MS);
            state.change = Some((last.map_or(state.next, |(began, _)| began), write.at_ms));
        }
        if state.recent.len() == CAPACITY {
            state.recent.pop_front();
        }
        let concerns_changes =
            matches!(record, Record::Write(_) | Record::Published { .. } | Record::Feed { .. } | Record::Read(_));
        state.recent.push_back(Recent { text, concerns_changes });
        state.next += 1;
        drop(state);
        self.0.added.notify_waiters();
    }

    /// Adds a sentence for the log.
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.emit(&Record::Note { at_ms: now_ms(), text: text.into() });
    }

    /// Returns a number that no other call returns.
    pub(crate) fn number(&self) -> u64 {
        self.0.number.fetch_add(1, Relaxed)
    }

    /// Begins a page's stream; `None` if too many pages are open. `last_id` is the id of the last message that the page
    /// has received.
    pub(crate) fn subscribe(&self, last_id: Option<&str>) -> Option<Subscription> {
        let has_room = self.0.viewers.send_if_modified(|viewers| {
            let has_room = *viewers < VIEWERS;
            *viewers += usize::from(has_room);
            has_room
        });
        if !has_room {
            return None;
        }
        let state = self.state();
        let known = last_id.and_then(|id| id.split_once('-')).filter(|(boot, _)| *boot == self.0.boot);
        let known =
            known.and_then(|(_, next)| next.parse().ok()).filter(|next| (state.first()..=state.next).contains(next));
        drop(state);
        Some(Subscription { hub: self.clone(), next: known, sent: None })
    }

    /// Waits until a page is open.
    pub(crate) async fn watched(&self) {
        // The sender lives as long as this hub.
        let _ = self.0.viewers.subscribe().wait_for(|viewers| *viewers > 0).await;
    }

    /// Waits until no page has been open for a while.
    pub(crate) async fn unwatched(&self) {
        let mut viewers = self.0.viewers.subscribe();
        loop {
            let _ = viewers.wait_for(|viewers| *viewers == 0).await;
            tokio::select! {
                () = tokio::time::sleep(RECONNECT_GRACE) => return,
                _ = viewers.wait_for(|viewers| *viewers > 0) => {}
            }
        }
    }

    /// Runs `task` while a page is open, again and again.
    pub(crate) async fn while_watched<F: Future<Output = ()>>(&self, mut task: impl FnMut() -> F) {
        loop {
            self.watched().await;
            tokio::select! {
                () = task() => {}
                () = self.unwatched() => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn first(&self) -> u64 {
        self.next - self.recent.len() as u64
    }

    /// Returns what became of the latest change, as far as it is still in the buffer.
    fn since_last_change(&self) -> Vec<Arc<str>> {
        let Some((began, _)) = self.change else { return Vec::new() };
        let since = self.recent.iter().skip(began.saturating_sub(self.first()) as usize);
        let concerned = since.filter(|recent| recent.concerns_changes).take(SINCE_LAST_CHANGE);
        concerned.map(|recent| Arc::clone(&recent.text)).collect()
    }
}

fn json(record: &Record) -> String {
    serde_json::to_string(record).expect("a record is made of strings and numbers")
}

/// A page that follows the records. Dropping it makes room for another one.
#[derive(Debug)]
pub(crate) struct Subscription {
    hub: Hub,
    /// The number of the first record that the page lacks; `None` if it needs a snapshot.
    next: Option<u64>,
    sent: Option<Instant>,
}

impl Subscription {
    /// Waits for records, and returns a message of server-sent events; `None` once `stop` is cancelled.
    pub(crate) async fn next(&mut self, stop: &CancellationToken, keep_alive: Duration) -> Option<String> {
        let silence = Instant::now() + keep_alive;
        loop {
            let hub = self.hub.clone();
            let mut added = std::pin::pin!(hub.0.added.notified());
            // Before the look at the buffer: a record that is added in between must not be missed.
            added.as_mut().enable();
            if let Some(message) = self.take() {
                self.sent = Some(Instant::now());
                return Some(message);
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = added => {}
                () = tokio::time::sleep_until(silence.into()) => return Some(": alive\n\n".to_owned()),
            }
            if let Some(rest) = self.sent.and_then(|sent| PAUSE.checked_sub(sent.elapsed())) {
                tokio::select! {
                    () = stop.cancelled() => return None,
                    () = tokio::time::sleep(rest) => {}
                }
            }
        }
    }

    fn take(&mut self) -> Option<String> {
        let hub = self.hub.clone();
        let state = hub.state();
        let hello = |resumed| json(&Record::Hello { at_ms: now_ms(), resumed });
        let mut parts: Vec<Arc<str>> = Vec::new();
        match self.next {
            Some(next) if next >= state.first() => {
                if self.sent.is_none() {
                    parts.push(hello(true).into());
                }
                let known = (next - state.first()) as usize;
                parts.extend(state.recent.iter().skip(known).take(BATCH).map(|recent| Arc::clone(&recent.text)));
                let taken = state.recent.len().saturating_sub(known).min(BATCH);
                self.next = Some(next + taken as u64);
            }
            // A new page, or one that has fallen behind the buffer.
            _ => {
                parts.push(hello(false).into());
                parts.extend(state.snapshot.values().cloned());
                parts.extend(state.figures.iter().cloned());
                parts.extend(state.since_last_change());
                self.next = Some(state.next);
            }
        }
        let next = self.next?;
        (!parts.is_empty()).then(|| format!("id: {}-{next}\ndata: [{}]\n\n", hub.0.boot, parts.join(",")))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.0.viewers.send_modify(|viewers| *viewers -= 1);
    }
}

#[cfg(test)]
mod tests;
