//! Random reads and guarded writes on several nodes, with writers that die after COMMIT. The test knows the lowest version
//! that each read may return: the one that was committed when the read began.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cache::{Invalidation, NewEntry, Outcome};
use rand::Rng;
use testkit::Redis;
use tokio::time::{Instant, sleep};

use crate::support::{DatabaseError, Node, patient, redis, settings, shelf};

const ROWS: u32 = 8;
const SHELVES: u32 = 2;
const LASTS: Duration = Duration::from_secs(4);
/// The lease of a guard. A transaction that lasts for half of it is rolled back.
const LEASE: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
struct Item {
    lock: tokio::sync::Mutex<()>,
    committed: AtomicU64,
}

#[derive(Debug, Default)]
struct StressTest {
    items: Vec<Item>,
    reads: AtomicUsize,
    hits: AtomicUsize,
    /// Writers that died with a guard, after their COMMIT.
    deaths: AtomicUsize,
    stale: Mutex<Vec<String>>,
}

impl StressTest {
    /// Returns whether the test goes on: for longer on a busy machine, until enough has happened.
    fn goes_on(&self, began: Instant) -> bool {
        began.elapsed() < LASTS || (!self.is_enough() && began.elapsed() < 15 * LASTS)
    }

    fn is_enough(&self) -> bool {
        self.hits.load(SeqCst) > 100 && self.deaths.load(SeqCst) > 20
    }

    async fn reads(self: Arc<Self>, node: Node, began: Instant) {
        while self.goes_on(began) {
            let id = rand::rng().random_range(0..ROWS);
            let floor = self.items[id as usize].committed.load(SeqCst);
            let this = Arc::clone(&self);
            let load = move || {
                let this = Arc::clone(&this);
                async move {
                    let version = this.items[id as usize].committed.load(SeqCst);
                    // Now and then, a load outlasts the guard of a writer that has died.
                    let slow = rand::rng().random_range(0..40) == 0;
                    sleep(if slow { LEASE + LEASE / 2 } else { a_moment(3_000) }).await;
                    let entry = NewEntry::raw(format!("{version}")).version(version);
                    Ok::<_, DatabaseError>(entry.tag(shelf(id % SHELVES)))
                }
            };
            let cached = node.cache.read(id, load).await.unwrap();
            self.reads.fetch_add(1, SeqCst);
            self.hits.fetch_add(usize::from(cached.outcome() == Outcome::Hit), SeqCst);
            let version = cached.version().unwrap();
            if version < floor {
                self.stale.lock().unwrap().push(format!("row {id}: {version} < {floor}, {:?}", cached.outcome()));
            }
            if cached.outcome() == Outcome::Hit {
                sleep(a_moment(2_000)).await;
            }
        }
    }

    async fn writes(self: Arc<Self>, node: Node, began: Instant) {
        while self.goes_on(began) {
            let id = rand::rng().random_range(0..ROWS);
            let item = &self.items[id as usize];
            let names = match rand::rng().random_range(0..3) {
                0 => Invalidation::hard().key(node.key(id)),
                1 => Invalidation::hard().tag(shelf(id % SHELVES)),
                _ => Invalidation::hard().key(node.key(id)).tag(shelf(id % SHELVES)),
            };
            let lock = item.lock.lock().await;
            let placed = Instant::now();
            let guard = node.client.guard(names, LEASE).await;
            let is_in_time = placed.elapsed() < LEASE / 2;
            if guard.is_in_place() && is_in_time {
                item.committed.fetch_add(1, SeqCst);
            }
            drop(lock);
            let dies = rand::rng().random_range(0..8) == 0;
            if dies {
                drop(guard);
                self.deaths.fetch_add(1, SeqCst);
            } else {
                assert!(guard.release().await.invalidated.acknowledged().is_ok());
            }
            sleep(a_moment(40_000)).await;
        }
    }
}

fn a_moment(at_most_us: u64) -> Duration {
    Duration::from_micros(rand::rng().random_range(0..at_most_us))
}

/// Redis loses leases and values, and the fence table, but no guard.
async fn breaks(redis: &Redis, stress_test: &StressTest, began: Instant) {
    while stress_test.goes_on(began) {
        sleep(a_moment(120_000)).await;
        let row = format!("shop:item:{}", rand::rng().random_range(0..ROWS));
        let fault: &[&str] = match rand::rng().random_range(0..4) {
            0 => &["SCRIPT", "FLUSH"],
            1 => &["DEL", "shop:~fence"],
            _ => &["DEL", &row],
        };
        redis.cli(fault).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale_after_the_commit_of_a_guarded_write() {
    let redis = redis().await;
    let stress_test =
        Arc::new(StressTest { items: (0..ROWS).map(|_| Item::default()).collect(), ..StressTest::default() });
    let began = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let node = Node::with(&settings(redis.url()), patient()).await;
        for _ in 0..6 {
            tasks.push(tokio::spawn(Arc::clone(&stress_test).reads(node.clone(), began)));
        }
        tasks.push(tokio::spawn(Arc::clone(&stress_test).writes(node.clone(), began)));
    }
    breaks(&redis, &stress_test, began).await;
    for task in tasks {
        task.await.unwrap();
    }
    let stale = stress_test.stale.lock().unwrap();
    assert!(stale.is_empty(), "{} stale reads, such as {:?}", stale.len(), &stale[..stale.len().min(5)]);
    let seen = [&stress_test.reads, &stress_test.hits, &stress_test.deaths].map(|count| count.load(SeqCst));
    assert!(stress_test.is_enough(), "[reads, hits, deaths] = {seen:?}: the test proves little");
    println!("[reads, hits, deaths] = {seen:?}");
}
