//! Sessions that read and write. Each has its own connection, makes one operation after the other, and records every
//! one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use client::{Answer, Connection, Source};
use hyper::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{sleep, timeout};

use super::map::Promise;
use super::prepared::Prepared;
use super::record::{Clock, Failed, Nanos, Read, Seen, Write, Written};
use super::workload::{Part, Pattern, SessionRole};

/// The pause after an operation without a usable response.
const REST: Duration = Duration::from_millis(20);

/// State that all sessions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// The number of the latest write.
    pub(super) number: AtomicU32,
}

/// One reader or writer.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) subject: usize,
    prepared: Arc<Prepared>,
    role: SessionRole,
    part: Part,
    id: u32,
    nodes: Vec<(u8, Connection)>,
    written: Option<(u8, Connection)>,
    rng: StdRng,
}

/// The operations of a session in one round.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) pattern: Pattern,
    pub(super) reads: Vec<Read>,
    pub(super) writes: Vec<Write>,
    /// Reads without a usable response.
    pub(super) failed_reads: Vec<Failed>,
    /// The number of writes without a usable response.
    pub(super) failed_writes: u64,
    /// The latest error.
    pub(super) failure: Option<String>,
    /// The `Cache-Status` of the latest read that bypassed the cache.
    pub(super) bypass: Option<String>,
    /// When the last operation ended without a usable response.
    pub(super) failed: Nanos,
    /// When the last read ended that failed or bypassed the cache.
    pub(super) trouble: Nanos,
    /// When the last write ended that failed or deferred its invalidation.
    pub(super) trouble_writes: Nanos,
}

impl Session {
    /// Creates the sessions of one subject, numbered from `first`.
    pub(super) fn of(subject: usize, prepared: &Arc<Prepared>, first: u32, seed: u64) -> anyhow::Result<Vec<Self>> {
        let (read, write) = &prepared.nodes;
        let session = |((role, part), id): ((SessionRole, Part), u32)| {
            let nodes = read.iter().map(|url| Connection::new(url)).zip(0..);
            let nodes = nodes.map(|(open, node)| Ok((node, open?))).collect::<anyhow::Result<_>>()?;
            let own = id as usize % write.len();
            Ok(Self {
                subject,
                prepared: Arc::clone(prepared),
                role,
                id,
                nodes,
                written: if part.writes() { Some((own as u8, Connection::new(&write[own])?)) } else { None },
                part,
                rng: StdRng::seed_from_u64(seed.wrapping_add(id.into())),
            })
        };
        SessionRole::all(prepared.promise).into_iter().zip(first..).map(session).collect()
    }

    /// Reads and writes until `end`.
    pub(super) async fn work(mut self, shared: Arc<Shared>, end: Nanos) -> (Self, Log) {
        let mut log = Log::of(self.role.pattern);
        while shared.clock.now() < end {
            let failures = log.failures();
            self.step(&shared, end, &mut log).await;
            if log.failures() > failures {
                sleep(REST).await;
            }
        }
        (self, log)
    }

    /// Reads every product of the subject once, from every replica.
    pub(super) async fn sweep(mut self, shared: Arc<Shared>) -> (Self, Log) {
        let mut log = Log::of(Pattern::Sweep);
        for product in 0..self.prepared.products.len() {
            for node in 0..self.nodes.len() {
                self.read_from(&shared, node, product, &mut log).await;
            }
        }
        (self, log)
    }

    async fn step(&mut self, shared: &Shared, end: Nanos, log: &mut Log) {
        let product = self.prepared.choice.next(self.role.pattern, &mut self.rng);
        match &mut self.part {
            Part::Reads => {
                self.read(shared, product, log).await;
                self.pause(shared, end).await;
            }
            Part::Writes => {
                self.write(shared, product, log).await;
                self.read(shared, product, log).await;
                self.pause(shared, end).await;
            }
            Part::Calls(_) => {
                self.write(shared, product, log).await;
                self.pause(shared, end).await;
                if let Part::Calls(readers) = &self.part {
                    readers.send_replace(product);
                }
                self.write(shared, product, log).await;
                // For other promises this read would normally be a hit, because the invalidation of the entry is still
                // on its way.
                if self.prepared.promise == Promise::Never {
                    self.read(shared, product, log).await;
                }
            }
            Part::Waits(call) => {
                let left = Duration::from_nanos(end.saturating_sub(shared.clock.now()));
                if let Ok(Ok(())) = timeout(left, call.changed()).await {
                    let product = *call.borrow_and_update();
                    self.read(shared, product, log).await;
                }
            }
        }
    }

    /// Pauses, but not beyond the end of the round: all other sessions would wait for this one.
    async fn pause(&mut self, shared: &Shared, end: Nanos) {
        if !self.role.pause.is_zero() {
            let left = Duration::from_nanos(end.saturating_sub(shared.clock.now()));
            sleep(self.role.pause.mul_f64(self.rng.random()).min(left)).await;
        }
    }

    async fn read(&mut self, shared: &Shared, product: usize, log: &mut Log) {
        let at = self.rng.random_range(0..self.nodes.len());
        self.read_from(shared, at, product, log).await;
    }

    async fn read_from(&mut self, shared: &Shared, at: usize, product: usize, log: &mut Log) {
        let (node, connection) = &mut self.nodes[at];
        let (session, node, path) = (self.id, *node, self.prepared.read_path(product));
        let asked = self.prepared.first_key + product as u32;
        let begin = shared.clock.now();
        let answer = connection.send(Method::GET, path, None).await;
        let end = shared.clock.now();
        let failed = Failed { begin, end, key: asked, session, node };
        let (answer, (seen, flagged)) = match answer {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => (answer, (vec![(asked, Seen::Absent)], false)),
            Ok(answer) if answer.status.is_success() => {
                let seen = self.prepared.seen(product, &answer.body);
                (answer, seen)
            }
            Ok(answer) => return log.failed_read(failed, refusal("GET", path, &answer)),
            Err(error) => return log.failed_read(failed, format!("{error:#}")),
        };
        let (source, kept) = (answer.source(), answer.kept());
        if source == Source::Bypass {
            log.trouble = end;
            log.bypass = Some(answer.cache_status);
        }
        let read = |(key, seen)| Read { begin, end, key, session, node, source, kept, flagged, seen };
        log.reads.extend(seen.into_iter().map(read));
    }

    async fn write(&mut self, shared: &Shared, product: usize, log: &mut Log) {
        let Some((node, connection)) = &mut self.written else { return };
        let number = shared.number.fetch_add(1, Relaxed) + 1;
        let (key, session, node) = (self.prepared.first_key + product as u32, self.id, *node);
        let (method, path, body) = self.prepared.write(product, number);
        let begin = shared.clock.now();
        let answer = connection.send(method, path, Some(body)).await;
        let end = shared.clock.now();
        let source = answer.as_ref().map_or(Source::Uncached, Answer::source);
        let outcome = match &answer {
            Ok(answer) if answer.status.is_success() => self.prepared.written(&answer.body, &answer.cache_status),
            _ => None,
        };
        let outcome = match outcome {
            Some((version, true)) => Written::Acknowledged(version),
            Some((version, false)) => Written::Deferred(version),
            None => {
                log.failed_writes += 1;
                log.failed = end;
                let why = |answer: Answer| refusal("write", path, &answer);
                log.failure = Some(answer.map_or_else(|error| format!("{error:#}"), why));
                Written::Unknown
            }
        };
        if !matches!(outcome, Written::Acknowledged(_)) {
            log.trouble_writes = end;
        }
        log.writes.push(Write { begin, end, key, session, node, source, number, outcome });
    }
}

impl Log {
    fn of(pattern: Pattern) -> Self {
        Self {
            pattern,
            reads: Vec::new(),
            writes: Vec::new(),
            failed_reads: Vec::new(),
            failed_writes: 0,
            failure: None,
            failed: 0,
            bypass: None,
            trouble: 0,
            trouble_writes: 0,
        }
    }

    fn failures(&self) -> u64 {
        self.failed_reads.len() as u64 + self.failed_writes
    }

    fn failed_read(&mut self, failed: Failed, why: String) {
        (self.failed, self.trouble) = (failed.end, failed.end);
        self.failed_reads.push(failed);
        self.failure = Some(why);
    }
}

/// Describes an unusable response, with the beginning of its body.
fn refusal(what: &str, path: &str, answer: &Answer) -> String {
    let says: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
    format!("{what} {path}: {} {says}", answer.status)
}
