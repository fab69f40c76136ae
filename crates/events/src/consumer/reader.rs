//! Reading the whole log: every event, in order, from a position that the service stores.
//!
//! The stream is the quick way, the log over HTTP the sure one. Where the stream does not hold the next number, or
//! Redis is away, the log is asked; where the log is away too, the reader waits. It never leaves anything out, but by a
//! [`Resync::Gap`] where the log itself has forgotten.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::backoff::Backoff;
use super::effects::{Aftermath, Effects};
use super::history::History;
use super::monitor;
use super::plan::plan;
use super::repair::Patience;
use super::session::{Session, Trouble};
use super::stream::Stream;
use super::wire::Entry;
use super::{React, Resync};
use crate::log::{LogError, Mark};

/// A Redis that is away for longer is done without; and so often is the log asked then.
const AWAY: Duration = Duration::from_secs(1);

/// A reader with a position of its own.
pub(super) struct Reader<R> {
    pub(super) session: Session,
    pub(super) effects: Effects<R>,
    /// Up to here everything is carried out.
    pub(super) position: Mark,
    /// Which Redis it has read from.
    pub(super) run_id: Option<String>,
}

impl<R: React> Reader<R> {
    /// Reads until it is told to stop, or something breaks. Where the stream cannot be read, though Redis answers, the log
    /// is read before the next attempt.
    pub(super) async fn session(&mut self) -> Result<(), Trouble> {
        let ended = self.read_stream().await;
        if matches!(ended, Err(Trouble::Redis(_))) {
            self.effects.signs.connected(false);
            self.poll(None).await?;
        }
        ended
    }

    async fn read_stream(&mut self) -> Result<(), Trouble> {
        self.effects.signs.at(self.position.seq);
        let stream = self.session.open()?;
        let stop = self.effects.stop.clone();
        loop {
            tokio::select! {
                connected = stream.connected() => break connected?,
                () = sleep(AWAY) => {}
                () = stop.cancelled() => return Ok(()),
            }
            self.poll(None).await?;
        }
        let run_id = stream.run_id().await?;
        if self.run_id.as_ref().is_some_and(|known| *known != run_id) {
            let from = self.effects.resync(Resync::RedisChanged).await?;
            self.go_to(from.unwrap_or(self.position));
        }
        self.run_id = Some(run_id);
        self.effects.signs.connected(true);
        info!(stream = self.session.stream, after = self.position.seq, "reads the stream");
        let (log, signs) = (self.effects.log.clone(), self.effects.signs.clone());
        tokio::select! {
            ended = self.read(&stream) => ended,
            never = monitor::watch(&stream, "", log, signs) => match never {},
        }
    }

    /// Returns `Ok` when it is told to stop.
    async fn read(&mut self, stream: &Stream) -> Result<(), Trouble> {
        let look = stream.look("", self.position.seq).await?;
        // Where the stream does not hold the next number, there may be events that it has not; the next one would show
        // that, but it may be long in coming.
        let mut unsure = !look.holds(self.position.seq + 1);
        let mut asked: Option<Instant> = None;
        let mut backoff = Backoff::new();
        let stop = self.effects.stop.clone();
        while !stop.is_cancelled() {
            stream.unbroken()?;
            if unsure && asked.is_none_or(|at| at.elapsed() >= AWAY) {
                unsure = !self.poll(Some(stream)).await?;
                asked = Some(Instant::now());
            }
            // Nothing is pending on behalf of this reader: the read can be given up.
            let mut entries = tokio::select! {
                entries = stream.after(self.position.seq, self.session.batch) => entries?,
                () = stop.cancelled() => break,
            };
            let Some(first) = entries.first_mut() else {
                // A stream that does not end with what was read of it is of another history: the log says what that means.
                if !unsure && !stream.look("", self.position.seq).await?.may_end_with(self.position) {
                    (unsure, asked) = (true, None);
                }
                continue;
            };
            first.before = Some(self.position.seq);
            let epoch = first.epoch();
            match self.effects.compare(self.position, epoch).await {
                History::Same => backoff = Backoff::new(),
                // Nothing is left out: they are read again.
                History::Unknown => {
                    self.effects.rest(&mut backoff).await?;
                    continue;
                }
                History::Other => {
                    self.begin_anew(Resync::OtherHistory).await?;
                    (unsure, asked) = (true, None);
                    continue;
                }
            }
            let reached = Mark {
                seq: entries.last().map_or(self.position.seq, |entry| entry.seq),
                epoch: entries.iter().rev().find_map(Entry::epoch).or(self.position.epoch),
            };
            self.effects.signs.meter.received.increment(entries.len() as u64);
            let steps = plan(&entries, None, 0);
            let aftermath = self.effects.carry_out(steps, &entries, Patience::Endless).await?;
            self.set_aside(Some(stream), &aftermath).await?;
            self.go_to(aftermath.from.unwrap_or(reached));
        }
        Ok(())
    }

    /// Carries out what the log has and this reader has not. Returns whether the log has answered.
    async fn poll(&mut self, stream: Option<&Stream>) -> Result<bool, Trouble> {
        loop {
            let mut aftermath = Aftermath::default();
            let asked = Instant::now();
            match self.effects.page(self.position, u64::MAX, &mut aftermath).await? {
                Ok(page) => {
                    self.effects.poison(&mut aftermath).await?;
                    self.set_aside(stream, &aftermath).await?;
                    let done = page.reached == self.position;
                    self.go_to(aftermath.from.unwrap_or(page.reached));
                    self.effects.signs.lag(page.head.saturating_sub(self.position.seq), None);
                    if done {
                        if page.head <= self.position.seq {
                            self.effects.signs.verified(asked.into_std());
                        }
                        return Ok(true);
                    }
                }
                Err(error @ (LogError::Pruned(_) | LogError::Diverged(_))) => {
                    warn!(after = self.position.seq, %error, "the log cannot be read on from here");
                    let why = if matches!(error, LogError::Pruned(_)) { Resync::Gap } else { Resync::OtherHistory };
                    if !self.begin_anew(why).await? {
                        // Nothing to go on from: the stream will tell what comes next.
                        return Ok(true);
                    }
                }
                Err(LogError::Unavailable(_)) => return Ok(false),
            }
        }
    }

    /// Has everything made anew. Returns whether that has changed the position.
    async fn begin_anew(&mut self, why: Resync) -> Result<bool, Trouble> {
        let before = self.position;
        let from = self.effects.resync(why).await?;
        // Numbers of another history are nothing to go on from.
        let none = if why == Resync::OtherHistory { Mark::default() } else { before };
        self.go_to(from.unwrap_or(none));
        Ok(self.position != before)
    }

    /// Writes dead letters, and is past them. Without Redis they are only logged: the reader goes on without it.
    async fn set_aside(&self, stream: Option<&Stream>, aftermath: &Aftermath) -> Result<(), Trouble> {
        for letter in &aftermath.letters {
            warn!(id = letter.id, reason = letter.reason, detail = letter.detail, "an event is set aside");
            if let Some(stream) = stream {
                stream.dead_letter(&self.session.dead_letters, letter.fields(self.effects.stream)).await?;
            }
            self.effects.signs.meter.dead_letter(letter.reason);
        }
        Ok(self.effects.pass(aftermath).await?)
    }

    fn go_to(&mut self, position: Mark) {
        self.position = position;
        self.effects.signs.at(position.seq);
    }
}
