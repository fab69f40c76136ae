//! Judges which reads broke a promise: every read against all writes that were made before it and at the same time.
//!
//! ```text
//! write    begin ───── COMMIT ─── end        acknowledged with version 5
//! read                              begin ─── end      must show 5 or later: the floor
//! read             begin ─────────────── end           may show 4 or 5
//! read  begin ─ end                                    cannot show 5: its write had not begun
//! ```
//!
//! A read can be judged when all writes that began before its end are known. So reads are judged after each round.

use std::collections::HashMap;

use client::Source;

use super::map::Promise;
use super::record::{Anomaly, Lost, Nanos, Read, Seen, Write, Written};

/// The number of the write that created a product.
pub(super) const CREATION: u32 = 1;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Judgement {
    /// The anomaly of the read under the subject's promise, if any.
    pub anomaly: Option<Anomaly>,
    /// The version that it showed.
    pub version: Option<u32>,
    /// The highest version that had been acknowledged when the read began.
    pub floor: u32,
    /// How long before the read began the first newer version had been acknowledged; 0 if the read was not stale.
    pub stale_for: Nanos,
    /// The time from the begin of that newer version's write to the end of the read: an upper bound of the window.
    pub window: Nanos,
    /// The version that the session had seen of the product before, and the read that saw it.
    pub before: Option<(u32, Read)>,
}

/// All known writes to one product.
#[derive(Debug, Default)]
struct History {
    /// The ends of acknowledged writes, each with the highest version acknowledged up to then.
    floors: Vec<(Nanos, u32)>,
    /// Acknowledged versions, with the begin and the end of their writes, ordered by version.
    versions: Vec<(u32, Nanos, Nanos)>,
    /// The writes by the version in their response, acknowledged or deferred: each write has its own version.
    made: HashMap<u32, Write>,
    /// The writes by number: their begin, and their version as soon as it is known.
    writes: HashMap<u32, (Nanos, Option<u32>)>,
}

/// The histories of all products, and what each session saw last.
#[derive(Debug, Default)]
pub(super) struct Judge {
    histories: HashMap<u32, History>,
    sessions: HashMap<(u32, u32), (u32, Read)>,
    /// Whether a service has several replicas.
    is_replicated: bool,
}

impl Judge {
    /// Creates a judge of a system in which a service may have several replicas.
    pub(super) fn new(is_replicated: bool) -> Self {
        Self { is_replicated, ..Self::default() }
    }

    /// Records a product that was created before the first read.
    pub(super) fn created(&mut self, key: u32, number: u32, version: u32) {
        let outcome = Written::Acknowledged(version);
        let (begin, end, session, node, source) = (0, 0, 0, 0, Source::Uncached);
        self.learn(vec![Write { begin, end, key, session, node, source, number, outcome }]);
    }

    /// Records the writes of a round, and returns those that were lost.
    pub(super) fn learn(&mut self, mut writes: Vec<Write>) -> Vec<Lost> {
        let mut lost = Vec::new();
        writes.sort_by_key(|write| write.end);
        for write in writes {
            let history = self.histories.entry(write.key).or_default();
            let version = match write.outcome {
                Written::Acknowledged(version) | Written::Deferred(version) => Some(version),
                Written::Unknown => None,
            };
            history.writes.insert(write.number, (write.begin, version));
            if let Some(version) = version
                && let Some(first) = history.made.insert(version, write)
            {
                lost.push(Lost { anomaly: Anomaly::Lost, version, writes: [first, write] });
            }
            if let Written::Acknowledged(version) = write.outcome {
                let highest = history.floors.last().map_or(0, |(_, floor)| *floor);
                history.floors.push((write.end, highest.max(version)));
                history.insert(version, write.begin, write.end);
            }
        }
        lost
    }

    /// Returns the highest version in the responses to writes of a product. It is committed, whether its invalidation
    /// was acknowledged or deferred.
    pub(super) fn acknowledged(&self, key: u32) -> u32 {
        self.histories.get(&key).and_then(|history| history.made.keys().max().copied()).unwrap_or(0)
    }

    /// Judges one read. The reads of a session must be passed in the order in which they were made.
    pub(super) fn judge(&mut self, read: &Read, promise: Promise) -> Judgement {
        let Some(history) = self.histories.get_mut(&read.key) else {
            return Judgement { anomaly: Some(Anomaly::Future), ..Judgement::default() };
        };
        let floor = history.floor(read.begin);
        let version = match history.version_of(read) {
            Ok(version) => version,
            Err(anomaly) => return Judgement { anomaly: Some(anomaly), floor, ..Judgement::default() },
        };
        // A write whose version is unknown, shown without a version: it cannot be distinguished from a later one.
        let Some(version) = version else { return Judgement { floor, ..Judgement::default() } };
        let mut judgement = Judgement { version: Some(version), floor, ..Judgement::default() };
        if version < floor
            && let Some((begin, end)) = history.outdated(version)
        {
            judgement.stale_for = read.begin.saturating_sub(end);
            judgement.window = read.end.saturating_sub(begin);
        }
        judgement.before = self.seen_before(read, version);
        judgement.anomaly = match promise {
            // The response says that it may be outdated, and no cache keeps it for other clients.
            _ if read.flagged && !read.kept => None,
            Promise::Never if version < floor => Some(Anomaly::Stale),
            Promise::AtMost(most) if u128::from(judgement.stale_for) > most.as_nanos() => Some(Anomaly::Stale),
            _ if judgement.before.is_some_and(|(before, seen)| version < before && self.shares_state(&seen, read)) => {
                Some(Anomaly::Backwards)
            }
            _ => None,
        };
        judgement
    }
}

impl Judge {
    /// Returns what the session had seen of the product before. A response that no cache keeps shows the current state
    /// of the database, and a cache may be behind it until the write is acknowledged. So later reads are not compared
    /// with it.
    fn seen_before(&mut self, read: &Read, version: u32) -> Option<(u32, Read)> {
        match read.kept {
            true => self.sessions.insert((read.session, read.key), (version, *read)),
            false => self.sessions.get(&(read.session, read.key)).copied(),
        }
    }

    /// Returns whether the later response came from the same state as the earlier one. The memory of a process may be
    /// behind Redis, and behind other processes, until the write is acknowledged. A response that no cache keeps may come
    /// from what a replica has of its own, such as a search index.
    fn shares_state(&self, earlier: &Read, later: &Read) -> bool {
        match later.source {
            Source::Near => earlier.source == Source::Near && earlier.node == later.node,
            _ => later.kept || !self.is_replicated,
        }
    }
}

impl History {
    /// Records an acknowledged version, which is nearly always the highest so far.
    fn insert(&mut self, version: u32, begin: Nanos, end: Nanos) {
        let at = self.versions.partition_point(|(other, ..)| *other <= version);
        self.versions.insert(at, (version, begin, end));
    }

    /// Returns the highest version that was acknowledged before `begin`.
    fn floor(&self, begin: Nanos) -> u32 {
        let known = self.floors.partition_point(|(at, _)| *at < begin);
        known.checked_sub(1).map_or(0, |last| self.floors[last].1)
    }

    /// Returns the begin and end of the write that was acknowledged first among those newer than `version`.
    fn outdated(&self, version: u32) -> Option<(Nanos, Nanos)> {
        let newer = self.versions.partition_point(|(other, ..)| *other <= version);
        self.versions[newer..].iter().map(|(_, begin, end)| (*begin, *end)).min_by_key(|(_, end)| *end)
    }

    fn version_of(&mut self, read: &Read) -> Result<Option<u32>, Anomaly> {
        let (number, shown) = match read.seen {
            Seen::Absent => return Ok(Some(0)),
            Seen::Torn => return Err(Anomaly::Torn),
            Seen::Write { number, version } => (number, version),
        };
        let Some((begin, made)) = self.writes.get_mut(&number) else { return Err(Anomaly::Future) };
        if *begin >= read.end {
            return Err(Anomaly::Future);
        }
        match (*made, shown) {
            (Some(made), Some(shown)) if made != shown => Err(Anomaly::Torn),
            (None, Some(shown)) => {
                *made = Some(shown);
                Ok(Some(shown))
            }
            (made, _) => Ok(made),
        }
    }
}

#[cfg(test)]
mod tests;
