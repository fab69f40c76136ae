//! Who reads and writes: sessions with a connection each, one operation after the other, every one of them recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use hyper::{Method, StatusCode};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::map::Promise;
use super::record::{Clock, Nanos, Read, Seen, Write, Written};
use super::stage::Prepared;
use super::workload::Pattern;
use crate::cache_status::Source;
use crate::client::{Answer, Connection};

/// After an operation without a useful answer.
const REST: Duration = Duration::from_millis(20);

/// What a session does.
#[derive(Clone, Copy, Debug)]
struct Role {
    pattern: Pattern,
    writes: bool,
    /// The longest pause after an operation.
    pause: Duration,
}

const fn reads(pattern: Pattern, pause_us: u64) -> Role {
    Role { pattern, writes: false, pause: Duration::from_micros(pause_us) }
}

const fn writes(pattern: Pattern, pause_ms: u64) -> Role {
    Role { pattern, writes: true, pause: Duration::from_millis(pause_ms) }
}

/// Where nothing stale may be seen, readers never rest.
const STRICT: [Role; 10] = [
    reads(Pattern::Hot, 0),
    reads(Pattern::Hot, 0),
    reads(Pattern::Zipf, 0),
    reads(Pattern::Zipf, 0),
    reads(Pattern::Uniform, 0),
    reads(Pattern::Missing, 15_000),
    reads(Pattern::Missing, 15_000),
    writes(Pattern::Hot, 80),
    writes(Pattern::Zipf, 160),
    writes(Pattern::Missing, 60),
];

/// Where the window is measured, it takes fewer.
const BOUNDED: [Role; 5] = [
    reads(Pattern::Hot, 20_000),
    reads(Pattern::Zipf, 20_000),
    reads(Pattern::Missing, 60_000),
    writes(Pattern::Hot, 500),
    writes(Pattern::Zipf, 500),
];

/// What all sessions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    /// The number of the last write.
    pub(super) number: AtomicU32,
}

/// One reader or writer.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) subject: usize,
    prepared: Arc<Prepared>,
    role: Role,
    id: u32,
    nodes: Vec<(u8, Connection)>,
    written: Option<Connection>,
    rng: StdRng,
}

/// What a session did in one round.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) reads: Vec<(Read, Pattern)>,
    pub(super) writes: Vec<Write>,
    /// Reads without a useful answer.
    pub(super) failed_reads: u64,
    /// Writes without one.
    pub(super) failed_writes: u64,
    /// The last of them.
    pub(super) failure: Option<String>,
    /// When the last read ended that had none, or that had to go past the cache.
    pub(super) trouble: Nanos,
    /// When the last write ended that had none, or that put its invalidation off.
    pub(super) trouble_writes: Nanos,
}

impl Session {
    /// The sessions of one subject, numbered from `first`.
    pub(super) fn of(subject: usize, prepared: &Arc<Prepared>, first: u32, seed: u64) -> anyhow::Result<Vec<Self>> {
        let roles: &[Role] = if prepared.promise == Promise::Never { &STRICT } else { &BOUNDED };
        let session = |(role, id): (&Role, u32)| {
            let (read, write) = &prepared.nodes;
            let nodes = read.iter().map(|url| Connection::new(url)).enumerate();
            let nodes = nodes.map(|(node, open)| Ok((node as u8, open?))).collect::<anyhow::Result<_>>()?;
            Ok(Self {
                subject,
                prepared: Arc::clone(prepared),
                role: *role,
                id,
                nodes,
                written: match role.writes {
                    true => Some(Connection::new(&write[id as usize % write.len()])?),
                    false => None,
                },
                rng: StdRng::seed_from_u64(seed.wrapping_add(id.into())),
            })
        };
        roles.iter().zip(first..).map(session).collect()
    }

    /// Works until `end`.
    pub(super) async fn work(mut self, shared: Arc<Shared>, end: Nanos) -> (Self, Log) {
        let mut log = Log::default();
        while shared.clock.now() < end {
            let product = self.prepared.choice.next(self.role.pattern, &mut self.rng);
            let failed = log.failed_reads + log.failed_writes;
            if self.role.writes {
                self.write(&shared, product, &mut log).await;
            }
            // A writer looks at once: no read could begin sooner after the acknowledgement.
            self.read(&shared, product, &mut log).await;
            if log.failed_reads + log.failed_writes > failed {
                sleep(REST).await;
            }
            if !self.role.pause.is_zero() {
                let pause = self.role.pause.mul_f64(self.rng.random());
                sleep(pause).await;
            }
        }
        (self, log)
    }

    /// Reads every product of the subject once.
    pub(super) async fn sweep(mut self, shared: Arc<Shared>) -> (Self, Log) {
        let mut log = Log::default();
        for product in 0..self.prepared.products.len() {
            self.read(&shared, product, &mut log).await;
        }
        (self, log)
    }

    async fn read(&mut self, shared: &Shared, product: usize, log: &mut Log) {
        let at = self.rng.random_range(0..self.nodes.len());
        let (node, connection) = &mut self.nodes[at];
        let begin = shared.clock.now();
        let answer = connection.send(Method::GET, self.prepared.read_path(product), None).await;
        let end = shared.clock.now();
        let (seen, source, kept) = match answer {
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => {
                (vec![(self.prepared.first_key + product as u32, Seen::Absent)], answer.source(), answer.kept())
            }
            Ok(answer) if answer.status.is_success() => {
                (self.prepared.seen(product, &answer.body), answer.source(), answer.kept())
            }
            Ok(answer) => {
                return log.failed_read(end, refusal("GET", self.prepared.read_path(product), &answer));
            }
            Err(error) => return log.failed_read(end, format!("{error:#}")),
        };
        if source == Source::Bypass {
            log.trouble = end;
        }
        for (key, seen) in seen {
            let read = Read { begin, end, key, session: self.id, node: *node, source, kept, seen };
            log.reads.push((read, self.role.pattern));
        }
    }

    async fn write(&mut self, shared: &Shared, product: usize, log: &mut Log) {
        let Some(connection) = &mut self.written else { return };
        let number = shared.number.fetch_add(1, Relaxed) + 1;
        let key = self.prepared.first_key + product as u32;
        let (method, path, body) = self.prepared.write(product, number);
        let begin = shared.clock.now();
        let answer = connection.send(method, path, Some(body)).await;
        let end = shared.clock.now();
        let outcome = match &answer {
            Ok(answer) if answer.status.is_success() => self.prepared.written(&answer.body, &answer.cache_status),
            _ => None,
        };
        let outcome = match outcome {
            Some((version, true)) => Written::Acknowledged(version),
            Some((version, false)) => Written::Deferred(version),
            None => {
                log.failed_writes += 1;
                let why = |answer: Answer| refusal("write", path, &answer);
                log.failure = Some(answer.map_or_else(|error| format!("{error:#}"), why));
                Written::Unknown
            }
        };
        if !matches!(outcome, Written::Acknowledged(_)) {
            log.trouble_writes = end;
        }
        log.writes.push(Write { begin, end, key, number, outcome });
    }
}

impl Log {
    fn failed_read(&mut self, at: Nanos, why: String) {
        self.trouble = at;
        self.failed_reads += 1;
        self.failure = Some(why);
    }
}

/// An answer of no use, with the begin of what it says.
fn refusal(what: &str, path: &str, answer: &Answer) -> String {
    let says: String = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
    format!("{what} {path}: {} {says}", answer.status)
}
