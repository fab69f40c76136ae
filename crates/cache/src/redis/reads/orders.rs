//! Shared reads under many thousand interleavings: the value of each read was read after the read had begun, and no
//! read waits forever, even when a reader drops its read.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use bytes::Bytes;
use fred::error::Error;
use futures_util::future::{Either, select};
use shuttle::future::{block_on, spawn, yield_now};
use shuttle::sync::atomic::AtomicU8;
use shuttle::thread;

use super::{ReadCoalescer, ReadTransport, Reply};

const ORDERS: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Whole,
    /// Broken: a read joins a command that was already sent.
    JoinsWhatWasSent,
}

/// A Redis with one key, whose replies take a while.
struct Redis {
    case: Case,
    version: AtomicU8,
    /// The version that the latest command has read.
    read: AtomicU8,
}

struct Line(Arc<Redis>);

impl ReadTransport for Line {
    async fn get(&self, _key: Bytes) -> Reply {
        let version = self.0.version.load(SeqCst);
        self.0.read.store(version, SeqCst);
        yield_now().await;
        Ok(Some(vec![version].into()))
    }

    async fn mget(&self, keys: Vec<Bytes>) -> Result<Vec<Option<Bytes>>, Error> {
        let version = match self.0.case {
            Case::Whole => self.0.version.load(SeqCst),
            Case::JoinsWhatWasSent => self.0.read.load(SeqCst),
        };
        yield_now().await;
        Ok(vec![Some(vec![version].into()); keys.len()])
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(spawn(task));
    }
}

fn in_many_orders(case: Case) {
    shuttle::check_pct(
        move || {
            let redis = Arc::new(Redis { case, version: AtomicU8::new(1), read: AtomicU8::new(0) });
            let reads = ReadCoalescer::over(Line(Arc::clone(&redis)));
            let acknowledged = Arc::new(AtomicU8::new(1));
            let mut threads = Vec::new();
            for reader in 0..4 {
                let (reads, acknowledged) = (Arc::clone(&reads), Arc::clone(&acknowledged));
                threads.push(thread::spawn(move || {
                    let floor = acknowledged.load(SeqCst);
                    let reading = Box::pin(reads.get(Bytes::from_static(b"key")));
                    // Reader 0 drops its read after a while, at any step.
                    let hangs_up = Box::pin(async {
                        if reader > 0 {
                            std::future::pending::<()>().await;
                        }
                        yield_now().await;
                    });
                    if let Either::Left((reply, _)) = block_on(select(reading, hangs_up)) {
                        assert!(reply.unwrap().unwrap()[0] >= floor, "a stale reply");
                    }
                }));
            }
            threads.push(thread::spawn(move || {
                redis.version.store(2, SeqCst);
                acknowledged.store(2, SeqCst);
            }));
            for thread in threads {
                thread.join().unwrap();
            }
        },
        ORDERS,
        3,
    );
}

#[test]
fn value_of_a_read_was_read_after_the_read_began() {
    in_many_orders(Case::Whole);
}

#[test]
#[should_panic(expected = "a stale reply")]
fn read_that_joins_a_sent_command_gets_a_stale_value() {
    in_many_orders(Case::JoinsWhatWasSent);
}
