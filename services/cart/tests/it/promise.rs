//! No old view after an acknowledged write, nor after an event that was carried out, however many read meanwhile.
//!
//! The floor of a read is the highest version that was acknowledged, or carried out, before the read began. The product
//! API's answers are late at random, and Redis loses entries at random, or a load would hardly ever meet a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use testkit::eventually;
use tokio::task::JoinSet;

use crate::support::{CartOf, Fake, SOON, Service, Stores};

const READERS: usize = 32;
const WRITERS: i64 = 4;

/// At least so long.
const DURATION: Duration = Duration::from_secs(3);

/// What a reader has met.
#[derive(Debug, Default)]
struct Met {
    reads: usize,
    hits: usize,
    violations: Vec<String>,
}

/// 32 readers of `carts` at `services`, until `over`. `floor` is taken before a read, and `wrong` judges what it gave.
fn readers(
    services: &[Arc<Service>; 2],
    carts: &[String],
    over: &Arc<AtomicBool>,
    floors: &Arc<Vec<AtomicI64>>,
    shown: fn(&serde_json::Value, usize) -> Option<i64>,
) -> JoinSet<Met> {
    let mut tasks = JoinSet::new();
    for number in 0..READERS {
        let service = Arc::clone(&services[number % 2]);
        let (path, over) = (format!("/carts/{}", carts[number % carts.len()]), Arc::clone(over));
        let floors = Arc::clone(floors);
        tasks.spawn(async move {
            let mut met = Met::default();
            while !over.load(SeqCst) {
                let before: Vec<i64> = floors.iter().map(|floor| floor.load(SeqCst)).collect();
                let answer = service.get(&path).await.expect(200);
                let view = answer.json();
                met.reads += 1;
                met.hits += usize::from(answer.source() == "hit");
                for (index, floor) in before.iter().enumerate() {
                    let version = shown(&view, index).unwrap_or(0);
                    if version < *floor {
                        met.violations.push(format!("{version} < {floor}, {}: {view}", answer.source()));
                    }
                }
            }
            met
        });
    }
    tasks
}

fn sum_up(met: Vec<Met>) -> Met {
    met.into_iter().fold(Met::default(), |mut sum, met| {
        sum.reads += met.reads;
        sum.hits += met.hits;
        sum.violations.extend(met.violations);
        sum
    })
}

async fn two(stores: &Stores, fake: &Fake) -> [Arc<Service>; 2] {
    let (a, b) = tokio::join!(stores.cart(fake), stores.cart(fake));
    [Arc::new(a), Arc::new(b)]
}

/// Entries and leases go at any moment, as they do when the memory of Redis is full.
async fn evict(stores: &Stores, carts: &[String], products: i64) {
    let mut keys: Vec<String> = carts.iter().map(|id| format!("cart:view:{id}")).collect();
    keys.extend((1..=products).map(|id| format!("cart:product:{id}")));
    let one = keys[usize::from(uuid::Uuid::new_v4().as_bytes()[0]) % keys.len()].clone();
    stores.redis(&["UNLINK", &one]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_view_is_older_than_the_last_acknowledged_write_to_its_cart() {
    let stores = Stores::start().await;
    let fake = Fake::start(WRITERS).await;
    fake.set_late(Duration::from_millis(20));
    let services = two(&stores, &fake).await;
    let cart = CartOf::at(&services[0]).await;
    let over = Arc::new(AtomicBool::new(false));
    let floors: Arc<Vec<AtomicI64>> = Arc::new((0..WRITERS).map(|_| AtomicI64::new(0)).collect());
    // A removed line is not shown, and a removal is no floor: the view may show it again by the next write.
    let shown = |view: &serde_json::Value, index: usize| {
        let lines = view["lines"].as_array()?;
        lines.iter().find(|line| line["product_id"] == index as i64 + 1)?["version"].as_i64()
    };
    let mut writers = JoinSet::new();
    for product in 1..=WRITERS {
        let (service, over) = (Arc::clone(&services[(product % 2) as usize]), Arc::clone(&over));
        let (path, floors) = (cart.item(product), Arc::clone(&floors));
        writers.spawn(async move {
            let mut quantity = 0;
            while !over.load(SeqCst) {
                quantity = quantity % 999 + 1;
                let answer = service.put(&path, &json!({ "quantity": quantity })).await;
                assert!(answer.status < 300 && answer.source() == "fwd=method; detail=invalidated", "{answer:?}");
                floors[product as usize - 1].fetch_max(answer.version(), SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            quantity
        });
    }
    let carts = [cart.id.clone()];
    let readers = readers(&services, &carts, &over, &floors, shown);
    let began = Instant::now();
    while began.elapsed() < DURATION {
        evict(&stores, &carts, WRITERS).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    over.store(true, SeqCst);
    let writes: i64 = writers.join_all().await.into_iter().sum();
    let met = sum_up(readers.join_all().await);
    println!("{} reads, {} hits, {writes} writes", met.reads, met.hits);
    assert!(met.violations.is_empty(), "{} violations, such as {}", met.violations.len(), met.violations[0]);
    assert!(met.reads > 500 && met.hits > 20 && writes > 40, "too little happened: {met:?} {writes}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_view_shows_facts_that_are_older_than_the_last_event_that_was_carried_out() {
    const PRODUCTS: i64 = 3;
    let stores = Stores::start().await;
    let fake = Fake::start(PRODUCTS).await;
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
    let over = Arc::new(AtomicBool::new(false));
    let floors: Arc<Vec<AtomicI64>> = Arc::new((0..PRODUCTS).map(|_| AtomicI64::new(1)).collect());
    let shown = |view: &serde_json::Value, index: usize| view["lines"].get(index)?["product_version"].as_i64();
    let readers = readers(&services, &carts, &over, &floors, shown);
    let (began, mut version) = (Instant::now(), 1);
    while began.elapsed() < DURATION || version < 40 {
        version += 1;
        let product = version % PRODUCTS + 1;
        fake.says(product, version, &json!({ "price_cents": version }));
        let seq = fake.announces(&stores.redis, "product.updated", product, version).await;
        stores.until_carried_out(seq).await;
        floors[product as usize - 1].store(version, SeqCst);
        evict(&stores, &carts, PRODUCTS).await;
    }
    over.store(true, SeqCst);
    let met = sum_up(readers.join_all().await);
    println!("{} reads, {} hits, {version} versions", met.reads, met.hits);
    assert!(met.violations.is_empty(), "{} violations, such as {}", met.violations.len(), met.violations[0]);
    assert!(met.reads > 500 && met.hits > 20, "too little happened: {met:?}");
}

#[tokio::test]
async fn a_write_whose_client_hangs_up_is_carried_to_its_end() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 1).await.expect(201);
    stores.until_announced().await;
    cart.view().await.expect(200);
    let lock = stores.lock_lines().await;
    let mut write = JoinSet::new();
    write.spawn(service.request(Method::PUT, &cart.item(1)).json(&json!({ "quantity": 2 })).send());
    stores.until_waiting(1).await;
    write.shutdown().await;
    // A request behind it: by now the service knows that nobody is there any more.
    service.get("/livez").await.expect(200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    lock.release().await;
    eventually("the write", SOON, async || cart.line(1).await["quantity"] == 2).await;
}

#[tokio::test]
async fn a_repeated_write_invalidates_again() {
    let stores = Stores::start().await;
    let fake = Fake::start(1).await;
    let service = stores.cart(&fake).await;
    let cart = CartOf::at(&service).await;
    cart.put(1, 1).await.expect(201);
    stores.until_announced().await;
    cart.view().await.expect(200);
    assert_eq!(cart.view().await.expect(200).source(), "hit");
    cart.put(1, 1).await.expect(200);
    assert_eq!(cart.view().await.expect(200).source(), "fwd=miss; stored", "also where nothing has changed");
}
