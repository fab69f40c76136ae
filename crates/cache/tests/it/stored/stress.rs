//! Random reads, writes and faults on several nodes. The test knows the lowest version that each read may return: the
//! highest one whose invalidation was acknowledged before the read began.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cache::error::LoadError;
use cache::write_through::Published;
use cache::{CacheSettings, Invalidated, Invalidation, NewEntry, Outcome};
use rand::Rng;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::support::{DatabaseError, Node, Server, migrate, own_server, patient, shelf};

const ROWS: u32 = 12;
const SHELVES: u32 = 3;
const LASTS: Duration = Duration::from_secs(4);

/// One row: its committed and its acknowledged version.
#[derive(Debug, Default)]
struct Item {
    lock: Mutex<()>,
    committed: AtomicU64,
    acknowledged: AtomicU64,
}

#[derive(Debug, Default)]
struct StressTest {
    items: Vec<Item>,
    hits: AtomicUsize,
    reads: AtomicUsize,
    stored: AtomicUsize,
    stale: std::sync::Mutex<Vec<String>>,
}

impl StressTest {
    /// Returns whether the test goes on: for longer on a busy machine, until it has read enough.
    fn goes_on(&self, began: Instant) -> bool {
        began.elapsed() < LASTS || (!self.has_read_enough() && began.elapsed() < 15 * LASTS)
    }

    fn has_read_enough(&self) -> bool {
        let (reads, hits) = (self.reads.load(SeqCst), self.hits.load(SeqCst));
        hits > 100 && reads.saturating_sub(hits) > 100 && self.stored.load(SeqCst) > 0
    }

    async fn reads(self: Arc<Self>, node: Node, began: Instant) {
        while self.goes_on(began) {
            let id = rand::rng().random_range(0..ROWS);
            let floor = self.items[id as usize].acknowledged.load(SeqCst);
            let stress_test = Arc::clone(&self);
            let load = move || {
                let stress_test = Arc::clone(&stress_test);
                async move {
                    let loaded = stress_test.loaded(id);
                    // Slow now and then, so that invalidations overtake the load.
                    sleep(a_moment(3_000)).await;
                    Ok::<_, DatabaseError>(loaded)
                }
            };
            let cached = match node.cache.read(id, load).await {
                // Leases are very short here, and the machine may be busy.
                Err(LoadError::TimedOut(_)) => continue,
                cached => cached.unwrap(),
            };
            self.reads.fetch_add(1, SeqCst);
            self.hits.fetch_add(usize::from(cached.outcome() == Outcome::Hit), SeqCst);
            let version = cached.version().unwrap();
            if version < floor {
                self.stale.lock().unwrap().push(format!("row {id}: {version} < {floor}, {:?}", cached.outcome()));
            }
            assert!(version <= self.items[id as usize].committed.load(SeqCst), "a version from the future");
        }
    }

    fn loaded(&self, id: u32) -> NewEntry<String> {
        let version = self.items[id as usize].committed.load(SeqCst);
        NewEntry::raw(format!("{version}")).version(version).tag(shelf(id % SHELVES))
    }

    async fn writes(self: Arc<Self>, node: Node, began: Instant) {
        while self.goes_on(began) {
            let id = rand::rng().random_range(0..ROWS);
            let item = &self.items[id as usize];
            let key = node.key(id);
            let lock = item.lock.lock().await;
            let version = item.committed.load(SeqCst) + 1;
            let way = rand::rng().random_range(0..6);
            let lease = if way == 0 { Some(node.cache.begin_write(id).await) } else { None };
            item.committed.store(version, SeqCst);
            let written = self.loaded(id);
            drop(lock);
            let acknowledged = match (way, lease) {
                (_, Some(lease)) => {
                    let published = lease.publish(written).await;
                    self.stored.fetch_add(usize::from(published == Published::Stored), SeqCst);
                    published != Published::Deferred
                }
                (1 | 2, None) => done(node.client.invalidate(Invalidation::hard().tag(shelf(id % SHELVES))).await),
                (3, None) => {
                    // A soft invalidation promises no version; the hard one after it does.
                    let _ =
                        node.client.invalidate(Invalidation::soft().key(key.clone()).tag(shelf(id % SHELVES))).await;
                    done(node.client.invalidate(Invalidation::hard().key(key)).await)
                }
                _ => done(node.client.invalidate(Invalidation::hard().key(key)).await),
            };
            if acknowledged {
                item.acknowledged.fetch_max(version, SeqCst);
            }
            sleep(a_moment(4_000)).await;
        }
    }
}

fn a_moment(at_most_us: u64) -> Duration {
    Duration::from_micros(rand::rng().random_range(0..at_most_us))
}

fn done(invalidated: Invalidated) -> bool {
    matches!(invalidated, Invalidated::Done { .. })
}

/// Makes Redis lose connections, keys, the fence table and everything, and moves entries to another server of a cluster.
async fn breaks(redis: &Server, stress_test: &StressTest, began: Instant) {
    while stress_test.goes_on(began) {
        sleep(a_moment(120_000)).await;
        let row = format!("shop:item:{}", rand::rng().random_range(0..ROWS));
        let fault: &[&str] = match rand::rng().random_range(0..12) {
            0 => &["CLIENT", "KILL", "TYPE", "normal"],
            1 => &["FLUSHALL"],
            2 => &["SCRIPT", "FLUSH"],
            3..7 => &["DEL", "shop:~fence"],
            7 | 8 => {
                migrate(redis, &row).await;
                continue;
            }
            _ => &["DEL", &row],
        };
        redis.cli(fault).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_under_random_faults() {
    let redis = own_server().await;
    let hurried = |settings| CacheSettings { command_timeout: Duration::from_millis(500), ..settings };
    let policy = patient().lease(Duration::from_millis(30)).wait(Duration::from_millis(60));
    let stress_test =
        Arc::new(StressTest { items: (0..ROWS).map(|_| Item::default()).collect(), ..StressTest::default() });
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let node = Node::adjusted(&redis, hurried).await.under(policy.clone());
        for _ in 0..6 {
            tasks.push(tokio::spawn(Arc::clone(&stress_test).reads(node.clone(), began)));
        }
        for _ in 0..2 {
            tasks.push(tokio::spawn(Arc::clone(&stress_test).writes(node.clone(), began)));
        }
    }
    breaks(&redis, &stress_test, began).await;
    for task in tasks {
        task.await.unwrap();
    }
    let stale = stress_test.stale.lock().unwrap();
    assert!(stale.is_empty(), "{} stale reads, such as {:?}", stale.len(), &stale[..stale.len().min(5)]);
    let (reads, hits) = (stress_test.reads.load(SeqCst), stress_test.hits.load(SeqCst));
    assert!(stress_test.has_read_enough(), "{hits} hits in {reads} reads: the test proves little");
    assert!(stress_test.stored.load(SeqCst) > 0, "nothing was written through");
}
