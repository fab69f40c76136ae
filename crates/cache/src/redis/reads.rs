//! Shared reads: reads that wait at the same time share a command.
//!
//! A read that finds no read in flight sends one plain `GET` at once. Reads that begin while it is in flight wait for
//! its reply and are then sent together as one `MGET`. So a read costs less the busier the process is, and an idle
//! process loses no time. A read joins only a command that has not been sent yet, so its value was read after it began.
//! When a command is not answered in time, all waiting reads fail with it, so that none waits for two time limits.

use std::future::Future;
use std::mem;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::KeysInterface;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::{Result as StoreResult, StoreError};
use crate::entry::StoredValue;
use crate::keyspace::Key;
use crate::sync::{Mutex, MutexGuard};

/// Keys of one `MGET` at most, so that it stays short for Redis.
const MAX_MGET_KEYS: usize = 128;

type Reply = Result<Option<Bytes>, Error>;

#[derive(Debug)]
pub(crate) struct EntryReads {
    connection: Arc<Connection>,
    /// `None` for a keyspace with several partitions: their keys are in different slots, and an `MGET` must not span
    /// slots.
    shared: Option<Arc<ReadCoalescer>>,
}

impl EntryReads {
    pub(super) fn new(connection: Arc<Connection>, partitions: u16) -> Self {
        let shared = (partitions == 1).then(|| ReadCoalescer::new(connection.client.clone()));
        Self { connection, shared }
    }

    /// Reads an entry: one plain `GET`, or a part of an `MGET`.
    pub(crate) async fn get(&self, key: &Key) -> StoreResult<Option<StoredValue>> {
        self.connection.ready()?;
        let raw = match &self.shared {
            Some(shared) => shared.get(key.bytes()).await,
            None => self.connection.client.get(key.bytes()).await,
        };
        match self.connection.accept(raw) {
            Err(StoreError::Server(error)) if error.starts_with("WRONGTYPE") => Ok(Some(StoredValue::Unreadable)),
            raw => Ok(raw?.map(StoredValue::parse)),
        }
    }
}

/// Sends commands and starts tasks: on Redis and a runtime, or in a test that chooses the order of the steps.
trait ReadTransport: Sized + Send + Sync + 'static {
    fn get(&self, key: Bytes) -> impl Future<Output = Reply> + Send;
    fn mget(&self, keys: Vec<Bytes>) -> impl Future<Output = Result<Vec<Option<Bytes>>, Error>> + Send;
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}

/// The reads of one process that wait for a reply.
#[derive(Debug)]
struct ReadCoalescer<W = (Client, Handle)> {
    wire: W,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whether a command is in flight, whose sender will serve `waiting` after the reply.
    busy: bool,
    waiting: Vec<(Bytes, oneshot::Sender<Reply>)>,
}

impl ReadCoalescer {
    fn new(client: Client) -> Arc<Self> {
        Self::over((client, Handle::current()))
    }
}

impl<W: ReadTransport> ReadCoalescer<W> {
    fn over(wire: W) -> Arc<Self> {
        Arc::new(Self { wire, queue: Mutex::default() })
    }

    /// Returns the bytes under `key`.
    async fn get(self: &Arc<Self>, key: Bytes) -> Reply {
        let reply = {
            let mut queue = self.queue();
            if queue.busy {
                let (sender, reply) = oneshot::channel();
                queue.waiting.push((key.clone(), sender));
                Some(reply)
            } else {
                queue.busy = true;
                None
            }
        };
        match reply {
            Some(reply) => reply.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Canceled, "the read was dropped"))),
            None => {
                // When this read is answered, or its future is dropped, the reads that arrived in the meantime are
                // sent.
                let _next = HandOverOnDrop(Arc::clone(self));
                let reply = self.wire.get(key).await;
                if let Err(error) = &reply {
                    self.fail_waiting(error);
                }
                reply
            }
        }
    }

    /// Sends the waiting reads until none waits.
    async fn flush_queue(self: Arc<Self>, mut turn: FlushGuard<W>) {
        loop {
            let waiting: Vec<_> = {
                let mut queue = self.queue();
                if queue.waiting.is_empty() {
                    queue.busy = false;
                    turn.over = true;
                    return;
                }
                let some = queue.waiting.len().min(MAX_MGET_KEYS);
                queue.waiting.drain(..some).collect()
            };
            let (keys, senders): (Vec<Bytes>, Vec<_>) = waiting.into_iter().unzip();
            self.answer(keys, senders).await;
        }
    }

    async fn answer(&self, keys: Vec<Bytes>, senders: Vec<oneshot::Sender<Reply>>) {
        // A reader that is gone needs no reply.
        match self.wire.mget(keys).await {
            Ok(values) => senders.into_iter().zip(values).for_each(|(sender, value)| drop(sender.send(Ok(value)))),
            Err(error) => {
                senders.into_iter().for_each(|sender| drop(sender.send(Err(error.clone()))));
                self.fail_waiting(&error);
            }
        }
    }

    /// Fails the waiting reads if Redis did not answer: each further batch would wait for another time limit.
    fn fail_waiting(&self, error: &Error) {
        if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled) {
            let waiting = mem::take(&mut self.queue().waiting);
            waiting.into_iter().for_each(|(_, sender)| drop(sender.send(Err(error.clone()))));
        }
    }
}

impl<W> ReadCoalescer<W> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadTransport for (Client, Handle) {
    async fn get(&self, key: Bytes) -> Reply {
        self.0.get(key).await
    }

    async fn mget(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>, Error> {
        self.0.mget(keys).await
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.1.spawn(task);
    }
}

/// Hands the queue over to a new task when it is dropped.
struct HandOverOnDrop<W: ReadTransport>(Arc<ReadCoalescer<W>>);

impl<W: ReadTransport> Drop for HandOverOnDrop<W> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.busy = !queue.waiting.is_empty();
        if queue.busy {
            mem::drop(queue);
            // Created here and not by the task: if the runtime is gone, the task is dropped before its first step.
            let turn = FlushGuard { reads: Arc::clone(&self.0), over: false };
            self.0.wire.spawn(Arc::clone(&self.0).flush_queue(turn));
        }
    }
}

/// Guards a task that flushes the queue. If a panic or the end of the runtime cuts the task short, it fails the waiting
/// reads, because no other task would answer them.
struct FlushGuard<W> {
    reads: Arc<ReadCoalescer<W>>,
    over: bool,
}

impl<W> Drop for FlushGuard<W> {
    fn drop(&mut self) {
        if !self.over {
            let mut queue = self.reads.queue();
            queue.busy = false;
            // Without its sender, a read ends like one that was dropped.
            queue.waiting.clear();
        }
    }
}

#[cfg(test)]
mod orders;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fred::types::Builder;
    use tokio::runtime::Runtime;

    use super::*;
    use crate::sync::in_any_order;

    #[test]
    fn no_read_waits_forever_after_its_runtime_is_gone() {
        in_any_order(|| {
            let runtime = Runtime::new().unwrap();
            let reads = {
                let _inside = runtime.enter();
                ReadCoalescer::new(Builder::default_centralized().build().unwrap())
            };
            runtime.shutdown_timeout(Duration::from_secs(10));
            let (sender, mut reply) = oneshot::channel();
            {
                let mut queue = reads.queue();
                queue.busy = true;
                queue.waiting.push((Bytes::new(), sender));
            }
            // A reader whose own runtime is still alive drops its read.
            drop(HandOverOnDrop(Arc::clone(&reads)));
            assert!(reply.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
            assert!(!reads.queue().busy, "the next read would wait forever");
        });
    }
}
