//! One connection from its login to its failure: the replies in the order of the commands, the pushes, the barriers, and
//! the messages between processes.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fred::types::scripts::Script;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};
use tracing::info;

use super::barrier::Barrier;
use crate::keyspace::Keyspace;
use crate::lease::RandomId;
use crate::near::{NearMemory, with_margin};
use crate::recurring_failure::RecurringFailure;
use crate::redis::holders::UNUSED_TTL;
use crate::redis::login::{LoggedIn, Login};
use crate::redis::store::millis;
use crate::redis::wire::{Frame, Incoming, Outgoing};

/// The longest time for a connection to be set up, and for a barrier to be verified: longer than any lease.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The pause until a client without near caches is asked again whether it has one by now.
const IDLE: Duration = Duration::from_millis(100);
/// Requests that are sent together at most.
const BATCH: usize = 256;

/// What a caller asks of the connection.
#[derive(Debug)]
pub(super) enum Request {
    Get(Bytes, oneshot::Sender<Option<Bytes>>),
    /// Run a barrier that begins after this request, in the named processes and in this one if it is named.
    Confirm(HashSet<Bytes>, oneshot::Sender<()>),
}

/// What every session of the task needs.
pub(super) struct Link {
    pub(super) id: Bytes,
    pub(super) is_up: Arc<AtomicBool>,
    pub(super) memory: Arc<NearMemory>,
    pub(super) login: Login,
    pub(super) register: Script,
    pub(super) keyspace: Keyspace,
    pub(super) channel: String,
}

/// What the next reply belongs to.
enum Expected {
    Entry(oneshot::Sender<Option<Bytes>>),
    Sentinel,
    Barrier,
    /// An error would make the session useless.
    Setup,
}

/// The number of the next request. None is used twice: an answer may come so late that it arrives in the next session.
static REQUESTS: AtomicU64 = AtomicU64::new(1);

/// The state of one connection.
struct Session<'a> {
    link: &'a Link,
    outgoing: Outgoing,
    sentinel: String,
    register_id: String,
    expected: VecDeque<Expected>,
    barrier: Option<Barrier>,
    /// The number of the last barrier, and when it began.
    number: u64,
    last: Instant,
    /// Those to whom the next barrier must be reported: it must begin after they have asked.
    asked: Vec<String>,
    /// Those to whom the barrier in progress is reported.
    reported: Vec<String>,
    /// The processes that this one waits for, by the number of the request.
    confirming: HashMap<String, (HashSet<Bytes>, oneshot::Sender<()>)>,
}

impl Link {
    fn id(&self) -> &str {
        text(&self.id)
    }

    /// Runs one connection until it fails.
    pub(super) async fn session(
        &self, requests: &mut mpsc::UnboundedReceiver<Request>, failure: &RecurringFailure,
    ) -> io::Result<()> {
        let (mut incoming, mut session) = timeout(TIMEOUT, self.set_up()).await.map_err(io::Error::other)??;
        self.is_up.store(true, SeqCst);
        if let Some(over) = failure.recovered() {
            info!(failures = over.times, lasted = ?over.lasted, "the near cache has a connection again");
        }
        let mut batch = Vec::new();
        loop {
            let next = session.next_barrier();
            tokio::select! {
                frame = incoming.next() => session.take(frame?)?,
                count = requests.recv_many(&mut batch, BATCH) => match count {
                    0 => return Ok(()),
                    _ => batch.drain(..).for_each(|request| session.request(request)),
                },
                () = sleep_until(next.into()) => session.begin_or_give_up()?,
            }
            session.continue_barrier()?;
            timeout(TIMEOUT, session.outgoing.flush()).await.map_err(io::Error::other)??;
        }
    }

    /// Logs in, turns tracking on, and subscribes.
    async fn set_up(&self) -> io::Result<(Incoming, Session<'_>)> {
        let LoggedIn { mut incoming, mut outgoing, register_id, .. } = self.login.connect().await?;
        outgoing.push(&[b"CLIENT", b"TRACKING", b"ON"]);
        outgoing.push(&[b"SCRIPT", b"LOAD", self.register.lua().map_or(b"", |lua| lua.as_bytes())]);
        outgoing.push(&[b"SUBSCRIBE", self.channel.as_bytes()]);
        outgoing.flush().await?;
        // The confirmation of the subscription is a push.
        for _ in 0..2 {
            incoming.reply().await?;
        }
        let session = Session {
            link: self,
            outgoing,
            sentinel: self.keyspace.sentinel(RandomId::random()),
            register_id,
            expected: VecDeque::new(),
            barrier: None,
            number: 0,
            // The first one is due.
            last: Instant::now().checked_sub(TIMEOUT).unwrap_or_else(Instant::now),
            asked: Vec::new(),
            reported: Vec::new(),
            confirming: HashMap::new(),
        };
        Ok((incoming, session))
    }
}

impl<'a> Session<'a> {
    fn send(&mut self, command: &[&[u8]], expected: Expected) {
        self.outgoing.push(command);
        self.expected.push_back(expected);
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Get(key, reply) => self.send(&[b"GET", &key], Expected::Entry(reply)),
            Request::Confirm(processes, done) => {
                // Callers that have given up.
                self.confirming.retain(|_, (_, done)| !done.is_closed());
                let (own, number) = (self.link.id(), REQUESTS.fetch_add(1, Relaxed));
                let others: Vec<&str> = processes.iter().map(|id| text(id)).filter(|id| *id != own).collect();
                if !others.is_empty() {
                    self.publish(&format!("ask {own} {number} {}", others.join(" ")));
                }
                if others.len() < processes.len() {
                    self.asked.push(format!("{own} {number}"));
                }
                self.confirming.insert(number.to_string(), (processes, done));
            }
        }
    }

    fn take(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            Frame::Reply(reply) => self.reply(reply)?,
            Frame::Values(_) => self.reply(Ok(None))?,
            Frame::Changed(None) => self.link.memory.validity.record_change_of_everything(),
            Frame::Changed(Some(keys)) => {
                for key in keys {
                    match (&mut self.barrier, key == self.sentinel.as_bytes()) {
                        (Some(barrier), true) => barrier.pushed(),
                        (None, true) => {}
                        (_, false) => self.link.memory.validity.record_change(&key),
                    }
                }
            }
            Frame::Message(message) => self.message(&String::from_utf8_lossy(&message)),
            Frame::Other => {}
        }
        Ok(())
    }

    fn reply(&mut self, reply: Result<Option<Bytes>, String>) -> io::Result<()> {
        let expected = self.expected.pop_front().ok_or_else(|| io::Error::other("a reply without a command"))?;
        match (expected, reply) {
            // The caller reads the key once more over the other connection, which knows what the error means.
            (Expected::Entry(sender), Err(_)) => drop(sender),
            // A caller that is gone needs no reply.
            (Expected::Entry(sender), Ok(value)) => drop(sender.send(value)),
            (_, Err(error)) => return Err(io::Error::other(error)),
            (Expected::Sentinel, Ok(before)) => {
                if self.barrier.as_mut().is_some_and(|barrier| barrier.found(before.as_ref())) {
                    return Err(io::Error::other("Redis has lost what this connection tracks"));
                }
            }
            (Expected::Barrier, Ok(_)) => self.barrier.iter_mut().for_each(Barrier::answered),
            (Expected::Setup, Ok(_)) => {}
        }
        Ok(())
    }

    /// `ask <process> <number> <process>…`: run a barrier. `done <process> <process> <number>`: it is verified.
    fn message(&mut self, message: &str) {
        let own = self.link.id();
        let words: Vec<&str> = message.split(' ').collect();
        match words[..] {
            ["ask", asking, number, ref asked @ ..] if asked.contains(&own) => {
                self.asked.push(format!("{asking} {number}"));
            }
            ["done", by, asking, number] if asking == own => self.is_done(number, by),
            _ => {}
        }
    }

    fn is_done(&mut self, number: &str, by: &str) {
        let Some((missing, _)) = self.confirming.get_mut(number) else { return };
        missing.remove(by.as_bytes());
        if missing.is_empty()
            && let Some((_, done)) = self.confirming.remove(number)
        {
            // A caller that has given up needs no answer.
            let _ = done.send(());
        }
    }

    /// Returns when the next barrier is due, or when the one in progress is given up.
    fn next_barrier(&self) -> Instant {
        match (&self.barrier, self.link.memory.bound()) {
            (Some(barrier), _) => barrier.began + TIMEOUT,
            // A third: two barriers may be late before the lease ends.
            (None, Some(bound)) => self.last + bound / 3,
            // A cache may begin to need leases at any time.
            (None, None) => Instant::now() + IDLE,
        }
    }

    /// Begins a barrier at its time, and gives up the connection if the one in progress has not been verified by then.
    fn begin_or_give_up(&mut self) -> io::Result<()> {
        match (&self.barrier, self.link.memory.bound()) {
            (Some(_), _) => return Err(io::Error::other("a barrier was not answered")),
            (None, Some(_)) => self.begin_barrier(),
            (None, None) => {}
        }
        Ok(())
    }

    fn begin_barrier(&mut self) {
        let (link, bound) = (self.link, self.link.memory.bound());
        let registration = bound.filter(|_| link.memory.is_strict());
        self.number += 1;
        let barrier = Barrier::begin(self.number, registration.is_some());
        self.last = barrier.began;
        let sentinel = self.sentinel.clone().into_bytes();
        self.send(&[b"GET", &sentinel], Expected::Sentinel);
        if let Some(bound) = registration {
            let (hash, register) = (link.register.sha1().to_string(), link.keyspace.holders(&self.register_id));
            let parts = [hash.as_str(), "1", &register, link.id(), &millis(with_margin(bound)), UNUSED_TTL];
            let command: Vec<&[u8]> = std::iter::once("EVALSHA").chain(parts).map(str::as_bytes).collect();
            self.send(&command, Expected::Barrier);
        }
        self.send(&[b"SET", &sentinel, barrier.value().as_bytes(), b"EX", UNUSED_TTL.as_bytes()], Expected::Barrier);
        self.reported.append(&mut self.asked);
        self.barrier = Some(barrier);
    }

    /// After a verified barrier, renews the lease and reports. Begins the next one if a process waits for it.
    fn continue_barrier(&mut self) -> io::Result<()> {
        if let Some(barrier) = self.barrier.take_if(|barrier| barrier.is_verified()) {
            self.renew_lease(&barrier)?;
            for asked in std::mem::take(&mut self.reported) {
                self.report(&asked);
            }
        }
        if self.barrier.is_none() && !self.asked.is_empty() {
            self.begin_barrier();
        }
        Ok(())
    }

    fn renew_lease(&self, barrier: &Barrier) -> io::Result<()> {
        let memory = &self.link.memory;
        if let Some(bound) = memory.bound().filter(|_| barrier.registers || !memory.is_strict()) {
            let until = barrier.began_ns + bound.as_nanos() as u64;
            // An entry in memory may be used only as long as the server from which it was read.
            memory.validity.renew_lease(until.min(self.link.login.connection.trust.until()));
        }
        // After the renewal: when the client verifies another server, it ends the lease after it has noted the server.
        match self.link.login.connection.register_id().as_ref() == Some(&self.register_id) {
            true => Ok(()),
            false => {
                memory.validity.end_lease();
                Err(io::Error::other("the client uses another server now"))
            }
        }
    }

    /// Reports to `<process> <number>` that a barrier which began after its request is verified.
    fn report(&mut self, asked: &str) {
        let own = self.link.id();
        match asked.split_once(' ') {
            Some((asking, number)) if asking == own => self.is_done(number, own),
            _ => self.publish(&format!("done {own} {asked}")),
        }
    }

    fn publish(&mut self, message: &str) {
        self.send(&[b"PUBLISH", self.link.channel.as_bytes(), message.as_bytes()], Expected::Setup);
    }
}

fn text(id: &[u8]) -> &str {
    std::str::from_utf8(id).unwrap_or_default()
}
