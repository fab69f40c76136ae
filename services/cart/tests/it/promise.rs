//! No old view after an acknowledged write, nor after an applied event, with many concurrent readers.
//!
//! The floor of a read is the highest version that was acknowledged or applied before the read began. The product API's
//! responses are late at random, and Redis loses entries at random, because otherwise a load would hardly ever overlap
//! with a write.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::eventually;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{CartOf, Fake, SOON, Service, Stores, started, view_key};

const READERS: usize = 32;
const WRITERS: i64 = 4;

/// The minimum duration of a run, which continues until enough has happened.
const DURATION: Duration = Duration::from_secs(3);

/// The outcomes that all readers have met.
#[derive(Debug, Default)]
struct Met {
    reads: AtomicUsize,
    hits: AtomicUsize,
    writes: AtomicUsize,
    violations: Mutex<Vec<String>>,
    over: AtomicBool,
}

impl Met {
    /// Returns whether enough has happened for the test to be conclusive.
    fn enough(&self) -> bool {
        let (reads, hits, writes) = (self.reads.load(SeqCst), self.hits.load(SeqCst), self.writes.load(SeqCst));
        (reads > 500 && hits > 20 && writes > 40) || !self.violated().is_empty()
    }

    fn violated(&self) -> MutexGuard<'_, Vec<String>> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn holds(&self) {
        let violations = self.violated();
        assert!(violations.is_empty(), "{} violations, such as {}", violations.len(), violations[0]);
    }
}

/// Starts 32 readers of `carts` at `services`. `floors` are taken before a read, and `shown` is what the read returned.
fn readers(
    services: &[Arc<Service>; 2], carts: &[String], met: &Arc<Met>, floors: &Arc<Vec<AtomicI64>>,
    shown: fn(&Value, usize) -> Option<i64>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for number in 0..READERS {
        let (service, met, floors) = (Arc::clone(&services[number % 2]), Arc::clone(met), Arc::clone(floors));
        let path = format!("/carts/{}", carts[number % carts.len()]);
        tasks.spawn(async move {
            while !met.over.load(SeqCst) {
                let before: Vec<i64> = floors.iter().map(|floor| floor.load(SeqCst)).collect();
                let answer = service.get(&path).await.expect(200);
                let view = answer.json();
                met.reads.fetch_add(1, SeqCst);
                met.hits.fetch_add(usize::from(answer.source() == "hit"), SeqCst);
                for (index, floor) in before.iter().enumerate() {
                    let version = shown(&view, index).unwrap_or(0);
                    if version < *floor {
                        met.violated().push(format!("{version} < {floor}, {}: {view}", answer.source()));
                    }
                }
            }
        });
    }
    tasks
}

async fn two(stores: &Stores, fake: &Fake) -> [Arc<Service>; 2] {
    let (a, b) = tokio::join!(stores.cart(fake), stores.cart(fake));
    [Arc::new(a), Arc::new(b)]
}

/// Removes entries and leases at random times, as Redis does when its memory is full.
async fn evict(stores: &Stores, carts: &[String], products: i64) {
    let mut keys: Vec<String> = carts.iter().map(|id| view_key(id)).collect();
    keys.extend((1..=products).map(|id| format!("cart:product:{id}")));
    let one = keys[usize::from(uuid::Uuid::new_v4().as_bytes()[0]) % keys.len()].clone();
    stores.redis(&["UNLINK", &one]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_view_is_older_than_the_last_acknowledged_write_to_its_cart() {
    let (stores, fake) = Stores::with_fake(WRITERS).await;
    fake.set_late(Duration::from_millis(20));
    let services = two(&stores, &fake).await;
    let cart = CartOf::at(&services[0]).await;
    let met = Arc::new(Met::default());
    let floors: Arc<Vec<AtomicI64>> = Arc::new((0..WRITERS).map(|_| AtomicI64::new(0)).collect());
    let shown = |view: &Value, index: usize| {
        let lines = view["lines"].as_array()?;
        lines.iter().find(|line| line["product_id"] == index as i64 + 1)?["version"].as_i64()
    };
    let mut tasks = readers(&services, std::slice::from_ref(&cart.id), &met, &floors, shown);
    for product in 1..=WRITERS {
        let (service, met) = (Arc::clone(&services[(product % 2) as usize]), Arc::clone(&met));
        let (path, floors) = (cart.item(product), Arc::clone(&floors));
        tasks.spawn(async move {
            for quantity in (1..=999).cycle() {
                if met.over.load(SeqCst) {
                    return;
                }
                let answer = service.put(&path, &json!({ "quantity": quantity })).await;
                assert!(answer.status < 300 && answer.source() == "fwd=method; detail=invalidated", "{answer:?}");
                floors[product as usize - 1].fetch_max(answer.version(), SeqCst);
                met.writes.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let began = Instant::now();
    eventually("enough to happen", 3 * SOON, async || {
        evict(&stores, std::slice::from_ref(&cart.id), WRITERS).await;
        began.elapsed() > DURATION && met.enough()
    })
    .await;
    met.over.store(true, SeqCst);
    tasks.join_all().await;
    met.holds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_view_shows_data_older_than_the_last_applied_event() {
    const PRODUCTS: i64 = 3;
    let (stores, fake) = Stores::with_fake(PRODUCTS).await;
    let services = two(&stores, &fake).await;
    let mut carts = Vec::new();
    for _ in 0..8 {
        let cart = CartOf::at(&services[0]).await;
        for product in 1..=PRODUCTS {
            cart.put(product, 1).await.expect(201);
        }
        carts.push(cart.id);
    }
    fake.set_late(Duration::from_millis(20));
    let met = Arc::new(Met::default());
    let floors: Arc<Vec<AtomicI64>> = Arc::new((0..PRODUCTS).map(|_| AtomicI64::new(1)).collect());
    let shown = |view: &Value, index: usize| view["lines"].get(index)?["product_version"].as_i64();
    let tasks = readers(&services, &carts, &met, &floors, shown);
    let (began, mut version) = (Instant::now(), 1);
    eventually("enough to happen", 3 * SOON, async || {
        version += 1;
        let product = version % PRODUCTS + 1;
        fake.set_product(product, version, &json!({ "price_cents": version }));
        let seq = fake.publish(&stores.redis, "product.updated", product, version).await;
        stores.until_applied("product:events", seq).await;
        floors[product as usize - 1].store(version, SeqCst);
        met.writes.fetch_add(1, SeqCst);
        evict(&stores, &carts, PRODUCTS).await;
        began.elapsed() > DURATION && met.enough()
    })
    .await;
    met.over.store(true, SeqCst);
    tasks.join_all().await;
    met.holds();
}

/// A view that waits for loads of product data holds a permit itself: for any number of permits, no view waits for
/// itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_without_cached_data_load_with_any_number_of_permits() {
    let (stores, fake) = Stores::with_fake(40).await;
    for places in ["1", "2", "3", "8"] {
        let settings = [("REDIS__MAX_LOADS", places), ("REDIS__LOAD_QUEUE", "15s")];
        let service = Arc::new(stores.cart_with(fake.url(), &settings).await);
        let mut carts = Vec::new();
        for _ in 0..20 {
            carts.push(CartOf::at(&service).await.path());
        }
        let fill = "INSERT INTO cart_items (cart_id, product_id, quantity, added_price_cents)
                    SELECT id, n, 1, 1 FROM carts, generate_series(1, 40) n ON CONFLICT DO NOTHING";
        stores.sql(fill).await;
        stores.until_published().await;
        let keys: Vec<String> = (1..=40).map(|id| format!("cart:product:{id}")).collect();
        let gone: Vec<&str> = std::iter::once("UNLINK").chain(keys.iter().map(String::as_str)).collect();
        stores.redis(&gone).await;
        let views = carts.into_iter().map(|path| {
            let service = Arc::clone(&service);
            async move { service.get(&path).await.expect(200).json() }
        });
        for view in views.collect::<JoinSet<_>>().join_all().await {
            assert_eq!((view["lines"].as_array().map(Vec::len), &view["stale"]), (Some(40), &json!(false)), "{places}");
        }
    }
}

#[tokio::test]
async fn write_of_a_disconnected_client_is_completed() {
    let (stores, _fake, service) = started(1).await;
    let cart = CartOf::with(&service, &[1]).await;
    stores.until_published().await;
    cart.view().await.expect(200);
    let lock = stores.lock_lines().await;
    let place = service.url().trim_start_matches("http://");
    let mut client = TcpStream::connect(place).await.expect("it listens");
    // A reset, not the orderly end of a stream, after which a response might still be read.
    client.set_zero_linger().expect("a socket option");
    let (body, path) = (r#"{"quantity":2}"#, cart.item(1));
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {place}\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    client.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("it reads");
    stores.until_waiting(1).await;
    drop(client);
    // Long enough for the service to notice that the client is gone.
    tokio::time::sleep(Duration::from_millis(200)).await;
    lock.release().await;
    eventually("the write", SOON, async || cart.line(1).await["quantity"] == 2).await;
}

#[tokio::test]
async fn a_repeated_write_invalidates_again() {
    let (stores, _fake, service) = started(1).await;
    let cart = stores.cached_cart(&service, &[1]).await;
    cart.put(1, 1).await.expect(200);
    assert_eq!(cart.view().await.expect(200).source(), "fwd=miss; stored", "also where nothing has changed");
}
