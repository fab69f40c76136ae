//! Reads of entries, pipelined: each thread has a connection of its own for them, and a task that sends what its readers
//! ask for.
//!
//! ```text
//! readers of a thread ──▶ queue ──▶ task ── GET GET MGET … in one write ─▶ Redis
//!                     ◀────────────────── replies, in the same order ─────
//! ```
//!
//! The task sends a command only after its reader has called, so the reader receives a value that Redis held after the
//! call. Reads that begin while the task is busy are sent together, so a read costs less on a busier thread, and a
//! reply wakes no other thread. When a reply does not arrive in time, all waiting reads fail together, so that none
//! waits for two time limits. While the connection is down, reads use the connection of the client library.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use fred::error::{Error, ErrorKind};
use fred::interfaces::KeysInterface;
use tokio::runtime::{self, Handle};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::connection::Connection;
use super::error::{Result, StoreError};
use super::login::{LoggedIn, Login};
use super::wire::Frame;
use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::sync::{Mutex, MutexGuard};

/// The pauses after a failure: the first, and the longest.
const RECONNECT: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// The number of the next client.
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The connections of this thread, one for each client and runtime.
    static PIPELINES: RefCell<Vec<(u64, runtime::Id, Arc<Pipeline>)>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(crate) struct EntryReads {
    number: u64,
    login: Login,
    timeout: Duration,
    /// Ends the tasks of the connections.
    stop: CancellationToken,
}

impl EntryReads {
    pub(super) fn new(login: Login, timeout: Duration) -> Self {
        Self { number: NEXT.fetch_add(1, Relaxed), login, timeout, stop: CancellationToken::new() }
    }

    /// Reads an entry.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<StoredValue>> {
        let connection: &Connection = &self.login.connection;
        connection.ready()?;
        let reply = match self.pipeline() {
            Some(pipeline) => pipeline.get(key.bytes()).await,
            None => None,
        };
        match reply {
            Some(reply) => value(reply),
            // The library's future is large, and seldom needed.
            None => value(connection.accept(Box::pin(connection.client.get(key.bytes())).await)),
        }
    }

    /// Closes the connections.
    pub(super) fn close(&self) {
        self.stop.cancel();
    }

    /// Returns the connection of this thread, and begins to connect if there is none.
    fn pipeline(&self) -> Option<Arc<Pipeline>> {
        if self.login.connection.is_cluster {
            // An entry is on one of several servers; the library knows on which.
            return None;
        }
        let runtime = Handle::try_current().ok()?;
        PIPELINES.with_borrow_mut(|all| {
            let id = runtime.id();
            if let Some((.., pipeline)) = all.iter().find(|(client, of, _)| (*client, *of) == (self.number, id)) {
                return Some(Arc::clone(pipeline));
            }
            all.retain(|(.., pipeline)| !pipeline.is_over());
            let pipeline = Arc::new(Pipeline::default());
            let task = PipelineTask::new(Arc::clone(&pipeline), self.login.clone(), self.timeout);
            let stop = self.stop.clone();
            runtime.spawn(async move { stop.run_until_cancelled_owned(task.run()).await });
            all.push((self.number, id, Arc::clone(&pipeline)));
            Some(pipeline)
        })
    }
}

impl Drop for EntryReads {
    fn drop(&mut self) {
        self.close();
    }
}

/// Returns what a key holds, from the reply to a `GET`.
fn value(reply: Result<Option<Bytes>>) -> Result<Option<StoredValue>> {
    match reply {
        Err(StoreError::Server(error)) if error.starts_with("WRONGTYPE") => Ok(Some(StoredValue::Unreadable)),
        raw => Ok(raw?.map(StoredValue::parse)),
    }
}

type Reader<T> = oneshot::Sender<Result<T>>;

/// A read, and the sender of its result.
#[derive(Debug)]
enum Read {
    One(Bytes, Reader<Option<Bytes>>),
    /// With the encoded command.
    Several(BytesMut, Reader<Vec<Option<Bytes>>>),
}

impl Read {
    fn fail(self, failure: StoreError) {
        // A reader that is gone needs no reply.
        match self {
            Self::One(_, reader) => _ = reader.send(Err(failure)),
            Self::Several(_, reader) => _ = reader.send(Err(failure)),
        }
    }
}

/// What Redis has answered.
enum Reply {
    One(Option<Bytes>),
    Several(Vec<Option<Bytes>>),
}

/// The readers' side.
#[derive(Debug, Default)]
struct Pipeline {
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    state: State,
    waiting: Vec<Read>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Down,
    Up,
    /// The task has ended, with its runtime or with the client.
    Over,
}

impl Pipeline {
    /// Reads a key. `None` if the connection cannot be used now, or broke before the reply.
    async fn get(&self, key: Bytes) -> Option<Result<Option<Bytes>>> {
        let (sender, reply) = oneshot::channel();
        self.append([Read::One(key, sender)])?;
        reply.await.ok()
    }

    /// Adds reads to those that wait, and wakes the task if it does not know of others.
    fn append(&self, reads: impl IntoIterator<Item = Read>) -> Option<()> {
        let mut queue = self.queue();
        if queue.state != State::Up {
            return None;
        }
        let is_first = queue.waiting.is_empty();
        queue.waiting.extend(reads);
        drop(queue);
        if is_first {
            self.wake.notify_one();
        }
        Some(())
    }

    fn is_over(&self) -> bool {
        self.queue().state == State::Over
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the reads that have not been sent.
    fn take(&self) -> Vec<Read> {
        std::mem::take(&mut self.queue().waiting)
    }

    /// Changes the state. A read that has not been sent wakes with `None` unless the connection is up.
    fn enter(&self, state: State) {
        let mut queue = self.queue();
        queue.state = state;
        if state != State::Up {
            queue.waiting.clear();
        }
    }
}

/// The task's side. When it is dropped, no reader waits any more.
struct PipelineTask {
    pipeline: Arc<Pipeline>,
    login: Login,
    timeout: Duration,
}

impl Drop for PipelineTask {
    fn drop(&mut self) {
        self.pipeline.enter(State::Over);
    }
}

impl PipelineTask {
    fn new(pipeline: Arc<Pipeline>, login: Login, timeout: Duration) -> Self {
        Self { pipeline, login, timeout }
    }

    /// Keeps the connection until the future is dropped. Never returns.
    async fn run(self) {
        let [first, longest] = RECONNECT;
        let mut pause = first;
        loop {
            let ended = match self.login.connect().await {
                Ok(logged_in) => {
                    pause = first;
                    Session::of(logged_in, &self).run().await
                }
                Err(error) => Err(error),
            };
            self.pipeline.enter(State::Down);
            if let Err(error) = ended {
                debug!(%error, "a thread's connection for reads is down; its reads use the multiplexed connection");
            }
            sleep(pause).await;
            pause = (2 * pause).min(longest);
        }
    }
}

/// One connection from its login to its failure.
struct Session<'a> {
    task: &'a PipelineTask,
    logged_in: LoggedIn,
    /// The reads that were sent, and when.
    sent: VecDeque<(Instant, Read)>,
}

impl<'a> Session<'a> {
    fn of(logged_in: LoggedIn, task: &'a PipelineTask) -> Self {
        Self { task, logged_in, sent: VecDeque::new() }
    }

    async fn run(mut self) -> io::Result<()> {
        let (pipeline, limit) = (&self.task.pipeline, self.task.timeout);
        pipeline.enter(State::Up);
        let mut timer = std::pin::pin!(sleep(limit));
        loop {
            tokio::select! {
                // In this order: after the process stood still, replies that have arrived count, although they are late.
                biased;
                received = self.logged_in.incoming.receive() => received?,
                // A server that does not read lets the write wait.
                () = pipeline.wake.notified() => match timeout(limit, self.send()).await {
                    Ok(sent) => sent?,
                    Err(_) => return self.time_out(),
                },
                // Set lazily: only when it fires, it is compared with the oldest read.
                () = &mut timer => match self.sent.front() {
                    Some((since, _)) if since.elapsed() >= limit => return self.time_out(),
                    oldest => {
                        let from = oldest.map_or_else(Instant::now, |(since, _)| *since);
                        timer.set(sleep_until((from + limit).into()));
                    }
                },
            }
            self.deliver()?;
        }
    }

    /// Sends what waits.
    async fn send(&mut self) -> io::Result<()> {
        let now = Instant::now();
        for read in self.task.pipeline.take() {
            match &read {
                Read::One(key, _) => self.logged_in.outgoing.push(&[b"GET", key]),
                Read::Several(command, _) => self.logged_in.outgoing.push_encoded(command),
            }
            self.sent.push_back((now, read));
        }
        self.logged_in.outgoing.flush().await
    }

    /// Hands out the replies that have arrived.
    fn deliver(&mut self) -> io::Result<()> {
        while let Some(frame) = self.logged_in.incoming.decode()? {
            let reply = match frame {
                Frame::Reply(reply) => reply.map(Reply::One).map_err(|error| Error::new(ErrorKind::Unknown, error)),
                Frame::Values(values) => Ok(Reply::Several(values)),
                Frame::Changed(_) | Frame::Message(_) | Frame::Other => continue,
            };
            let (_, read) = self.sent.pop_front().ok_or_else(|| io::Error::other("a reply without a command"))?;
            self.answer(read, reply)?;
        }
        match self.task.login.connection.verification() == Some(self.logged_in.verification) {
            true => Ok(()),
            false => Err(io::Error::other("the client has verified a connection again")),
        }
    }

    fn answer(&self, read: Read, reply: std::result::Result<Reply, Error>) -> io::Result<()> {
        let accepted = self.task.login.connection.accept_from(self.logged_in.verification, reply);
        match (read, accepted) {
            (read, Err(failure)) => read.fail(failure),
            (Read::One(_, reader), Ok(Reply::One(value))) => _ = reader.send(Ok(value)),
            (Read::Several(_, reader), Ok(Reply::Several(values))) => _ = reader.send(Ok(values)),
            _ => return Err(io::Error::other("a reply to another command")),
        }
        Ok(())
    }

    /// Fails all reads that were sent. They count as one failure, because one server does not answer in time.
    fn time_out(mut self) -> io::Result<()> {
        self.task.pipeline.enter(State::Down);
        let timeout = Error::new(ErrorKind::Timeout, "no reply in time");
        if let Err(failure) = self.task.login.connection.accept::<()>(Err(timeout)) {
            self.sent.drain(..).for_each(|(_, read)| read.fail(failure.clone()));
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

mod several;

#[cfg(test)]
mod orders;
