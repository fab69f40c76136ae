//! Reading as one of a group: each event goes to one of its processes.
//!
//! One session is one pair of connections to one Redis. What a session that broke was given and did not acknowledge is
//! taken up first by the next one, or claimed by a peer. Acknowledged is only what is carried out and, where it could
//! not be, written to the dead letters: in this order.
//!
//! A batch is kept from peers for as long as it is worked on. A process that was frozen in the middle of it finds that
//! a peer has taken it over: then both carry it out, and both acknowledge what they have carried out.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::{Instant, interval, sleep};
use tracing::debug;
use uuid::Uuid;

use super::effects::Effects;
use super::history::History;
use super::monitor;
use super::plan::plan;
use super::repair::Patience;
use super::session::{Session, Trouble};
use super::stream::Stream;
use super::wire::Entry;
use super::{React, Resync};
use crate::log::Mark;

/// How often it looks for what a peer has left.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// How often consumers that are gone are removed, and for how long they must not have been heard of.
const TIDY: Duration = Duration::from_secs(60);
const GONE: Duration = Duration::from_secs(3600);

/// Answers of a Redis that refuses all reads, or those of this service. Others, such as `NOGROUP`, the next session makes good.
const REFUSALS: [&str; 7] = ["NOPERM", "NOAUTH", "WRONGPASS", "READONLY", "MISCONF", "LOADING", "MASTERDOWN"];

/// A member of a group.
pub(super) struct Group<R> {
    pub(super) name: &'static str,
    /// Its own name in the group.
    consumer: String,
    pub(super) session: Session,
    pub(super) effects: Effects<R>,
    /// The last event that it was given, or where the group began.
    pub(super) last: Option<Mark>,
    /// An event of which it is not known whether it is part of the log's history.
    unsure: Option<Mark>,
    /// Whether the service stores how far it is.
    pub(super) knows_position: bool,
    /// Which Redis it has read from.
    pub(super) run_id: Option<String>,
}

impl<R: React> Group<R> {
    pub(super) fn new(name: &'static str, session: Session, effects: Effects<R>) -> Self {
        let consumer = Uuid::now_v7().to_string();
        Self { name, consumer, session, effects, last: None, unsure: None, knows_position: false, run_id: None }
    }

    /// Reads until it is told to stop, or something breaks.
    pub(super) async fn session(&mut self) -> Result<(), Trouble> {
        let ended = self.read_stream().await;
        if let Err(Trouble::Redis(error)) = &ended
            && REFUSALS.iter().any(|refusal| error.details().starts_with(refusal))
        {
            self.effects.signs.refused(true);
        }
        ended
    }

    async fn read_stream(&mut self) -> Result<(), Trouble> {
        let stream = self.session.connect(&self.effects.stop).await?;
        self.join(&stream).await?;
        self.effects.signs.connected(true);
        let (name, log, signs) = (self.name, self.effects.log.clone(), self.effects.signs.clone());
        let reads = self.read(&stream);
        tokio::select! {
            ended = reads => ended?,
            never = monitor::watch(&stream, name, log, signs) => match never {},
        }
        // Told to stop. Whoever has left nothing behind needs not be remembered.
        if let Err(error) = stream.forget(self.name, Duration::ZERO, Some(&self.consumer)).await {
            debug!(%error, "this consumer stays in the group; the next one will remove it");
        }
        Ok(())
    }

    /// Returns `Ok` when it is told to stop.
    async fn read(&mut self, stream: &Stream) -> Result<(), Trouble> {
        // What an earlier session was given, perhaps without hearing of it.
        while self.take_over(stream, None).await? && !self.effects.stop.is_cancelled() {}
        let mut looked = Instant::now();
        let mut tidied: Option<Instant> = None;
        while !self.effects.stop.is_cancelled() {
            stream.unbroken()?;
            if looked.elapsed() >= LOOK_AROUND.min(self.session.claim_after) {
                self.take_over(stream, Some(self.session.claim_after)).await?;
                looked = Instant::now();
                if let Some(unsure) = self.unsure {
                    self.compare(unsure, None).await?;
                }
                if self.knows_position {
                    self.compare_with_position(stream).await?;
                }
                if tidied.is_none_or(|at| at.elapsed() >= TIDY) {
                    stream.forget(self.name, GONE, None).await?;
                    tidied = Some(looked);
                }
            }
            let mut entries = stream.next(self.name, &self.consumer, self.session.batch).await?;
            self.effects.signs.refused(false);
            let Some(first) = entries.first_mut() else { continue };
            if self.last.is_none_or(|last| last.seq + 1 != first.seq) {
                // A peer had what came before, if it is there.
                first.before = Some(stream.before(&first.id).await?);
            }
            if let Some(last) = self.last {
                self.compare(last, first.epoch()).await?;
            }
            let before = self.last.and_then(|last| last.epoch);
            let epoch = entries.iter().rev().find_map(Entry::epoch).or(before);
            let last = entries.last().map(|entry| Mark { seq: entry.seq, epoch });
            self.carry_out(stream, entries).await?;
            self.last = last;
        }
        Ok(())
    }

    /// Compares the last known event with the next one, which is of `epoch`. What the log cannot say now, it is asked again:
    /// events need not wait for that, since everything is made anew if the answer is no.
    async fn compare(&mut self, known: Mark, epoch: Option<Uuid>) -> Result<(), Trouble> {
        match self.effects.compare(known, epoch).await {
            History::Same => self.unsure = self.unsure.filter(|unsure| *unsure != known),
            History::Unknown => self.unsure = self.unsure.or(Some(known)),
            History::Other => {
                // A peer has made the group again. What this process did meanwhile was of the history before.
                self.effects.resync(Resync::OtherHistory).await?;
                (self.last, self.unsure) = (None, None);
            }
        }
        self.effects.signs.unsure(self.unsure.is_some());
        Ok(())
    }

    /// Carries out what somebody was given and has not acknowledged. Returns whether there was any.
    async fn take_over(&mut self, stream: &Stream, idle: Option<Duration>) -> Result<bool, Trouble> {
        let entries = stream.claim(self.name, &self.consumer, idle, self.session.batch).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        if idle.is_some() {
            self.effects.signs.meter.claimed.increment(entries.len() as u64);
        }
        self.carry_out(stream, entries).await?;
        Ok(true)
    }

    /// Carries out entries, and acknowledges them.
    async fn carry_out(&mut self, stream: &Stream, entries: Vec<Entry>) -> Result<(), Trouble> {
        self.effects.signs.meter.received.increment(entries.len() as u64);
        let birth = match entries.iter().any(|entry| entry.before == Some(0)) {
            true => stream.look(self.name, 0).await?.birth(),
            false => 0,
        };
        let steps = plan(&entries, self.last.map(|last| last.seq), birth);
        let ids = match (entries.first(), entries.last()) {
            (Some(first), Some(last)) => (first.id.as_str(), last.id.as_str()),
            _ => return Ok(()),
        };
        let keeping = keep(stream, self.name, &self.consumer, ids, entries.len(), self.session.claim_after / 3);
        let effects = &mut self.effects;
        let letters = self.session.dead_letters.as_str();
        let work = async {
            let aftermath = effects.carry_out(steps, &entries, Patience::Short).await?;
            effects.write(stream, letters, &aftermath).await
        };
        tokio::select! {
            done = work => done?,
            never = keeping => match never {},
        }
        // What another Redis has under these ids, a peer may be at.
        stream.unbroken()?;
        // Only now: an acknowledged event is nobody's business any more.
        let ids = entries.into_iter().map(|entry| entry.id).collect();
        stream.acknowledge(self.name, ids).await?;
        Ok(())
    }
}

/// Keeps a batch from being claimed while it is worked on, however long that takes.
async fn keep(
    stream: &Stream,
    group: &str,
    consumer: &str,
    ids: (&str, &str),
    count: usize,
    every: Duration,
) -> Infallible {
    let mut ticks = interval(every.max(Duration::from_millis(10)));
    ticks.tick().await;
    loop {
        ticks.tick().await;
        // When that fails, a peer may take it over; it will be carried out twice.
        if let Err(error) = stream.keep(group, consumer, ids, count).await {
            debug!(%error, "cannot keep a batch");
            sleep(every).await;
        }
    }
}
