//! A small shop with a cache, in this process, with a deliberate flaw.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, Json, Path, get};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use tokio::time::sleep;

/// The flaw of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// No flaw: a fill is refused when an invalidation came after its load had begun.
    None,
    /// No flaw, and no cache.
    NoCache,
    /// A fill is never refused.
    NaiveCacheAside,
    /// The entry is removed before the write is committed, and not after.
    DeleteBeforeCommit,
    /// Readers and writers store their value unless a newer one is there; entries expire.
    NewerVersionWins,
    /// The entry is removed by an event, and one of 25 events is lost.
    LostEvent,
    /// The name and the price are stored one after the other.
    Torn,
    /// A written value is in the cache before it is committed, and some writes are rolled back.
    StoredBeforeCommit,
    /// One of 50 reads shows a value that no client has written yet.
    UnwrittenValue,
    /// One of 25 writes is undone before the next one begins, and is removed from the cache like any other.
    LostWrite,
    /// One of 10 reads is refused.
    Refusals,
}

/// The row of a product.
#[derive(Clone, Copy, Debug)]
struct Product {
    version: u64,
    number: u64,
    /// The number of the write that the name belongs to; it differs from the other number only in a torn entry.
    name: u64,
}

#[derive(Debug)]
struct Entry {
    product: Product,
    stored: Instant,
}

/// One key of the cache: its entry, and how often it was invalidated.
#[derive(Debug, Default)]
struct Slot {
    entry: Option<Entry>,
    generation: u64,
}

/// The database that several replicas share.
#[derive(Debug, Default)]
pub(crate) struct Database {
    rows: Mutex<HashMap<u64, Product>>,
    /// The lock that serializes the writers of all rows, and the number of writes.
    row_lock: tokio::sync::Mutex<u64>,
}

#[derive(Debug)]
struct Shop {
    flaw: Flaw,
    database: Arc<Database>,
    cache: Mutex<HashMap<u64, Slot>>,
}

/// A running shop, which ends when this value is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    handle: ServerHandle,
}

impl Server {
    pub(crate) fn start(flaw: Flaw, database: &Arc<Database>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let shop = Data::new(Shop { flaw, database: Arc::clone(database), cache: Mutex::default() });
        let app = move || {
            let route = web::resource("/products/{id}").route(get().to(read)).route(web::put().to(write));
            App::new().app_data(shop.clone()).service(route)
        };
        let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).expect("it listens").run();
        let handle = server.handle();
        tokio::spawn(server);
        Self { url, handle }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

async fn read(id: Path<u64>, shop: Data<Shop>) -> HttpResponse {
    if shop.flaw == Flaw::Refusals && rand::random_ratio(1, 10) {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let (product, source) = shop.read(*id).await;
    let Some(mut product) = product else { return HttpResponse::NotFound().finish() };
    if shop.flaw == Flaw::UnwrittenValue && rand::random_ratio(1, 50) {
        let number = product.number + 1_000_000;
        product = Product { version: product.version + 1, number, name: number };
    }
    HttpResponse::Ok().insert_header(("Cache-Status", source)).json(shown(*id, product))
}

async fn write(id: Path<u64>, body: Json<Value>, shop: Data<Shop>) -> HttpResponse {
    let Some(number) = body["price_cents"].as_u64() else { return HttpResponse::BadRequest().finish() };
    match shop.write(*id, number).await {
        Some(product) => HttpResponse::Ok().json(shown(*id, product)),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

fn shown(id: u64, product: Product) -> Value {
    let Product { version, number, name } = product;
    json!({ "id": id, "version": version, "price_cents": number, "name": format!("Write {name}") })
}

/// Simulates the way to a store and back, which is a long one from time to time.
async fn way() {
    let slow = rand::random_ratio(1, 10);
    sleep(Duration::from_micros(if slow { 12_000 } else { rand::random_range(100..600) })).await;
}

impl Shop {
    /// Returns the product and the source of the response.
    async fn read(&self, id: u64) -> (Option<Product>, &'static str) {
        let begun = {
            let mut cache = self.cache.lock().unwrap();
            let slot = cache.entry(id).or_default();
            let lives = if self.flaw == Flaw::NewerVersionWins { 4 } else { 60_000 };
            slot.entry.take_if(|entry| entry.stored.elapsed() > Duration::from_millis(lives));
            if let Some(entry) = &slot.entry {
                return (Some(entry.product), "shop; hit");
            }
            slot.generation
        };
        way().await;
        let row = self.database.rows.lock().unwrap().get(&id).copied();
        way().await;
        match row.is_some_and(|row| self.fill(id, row, begun)) {
            true => (row, "shop; fwd=miss; stored"),
            false => (row, "shop; fwd=miss"),
        }
    }

    /// Stores a loaded row. Returns whether it is stored.
    fn fill(&self, id: u64, row: Product, begun: u64) -> bool {
        let mut cache = self.cache.lock().unwrap();
        let slot = cache.entry(id).or_default();
        let newer = slot.entry.as_ref().is_none_or(|entry| entry.product.version < row.version);
        let allowed = match self.flaw {
            Flaw::NoCache => false,
            Flaw::NaiveCacheAside => true,
            Flaw::NewerVersionWins => newer,
            _ => slot.generation == begun,
        };
        if allowed {
            slot.entry = Some(Entry { product: row, stored: Instant::now() });
        }
        allowed
    }

    /// Writes the product. Returns `None` if the write was rolled back.
    async fn write(&self, id: u64, number: u64) -> Option<Product> {
        let mut writes = self.database.row_lock.lock().await;
        *writes += 1;
        if self.flaw == Flaw::DeleteBeforeCommit {
            self.invalidate(id);
        }
        let version = self.database.rows.lock().unwrap().get(&id).map_or(1, |row| row.version + 1);
        let row = Product { version, number, name: number };
        if self.flaw == Flaw::StoredBeforeCommit {
            self.store(id, row);
        }
        way().await;
        if self.flaw == Flaw::StoredBeforeCommit && writes.is_multiple_of(25) {
            self.invalidate(id);
            return None;
        }
        if self.flaw == Flaw::LostWrite && writes.is_multiple_of(25) {
            self.invalidate(id);
            return Some(row);
        }
        self.database.rows.lock().unwrap().insert(id, row);
        match self.flaw {
            Flaw::DeleteBeforeCommit | Flaw::StoredBeforeCommit => {}
            Flaw::NewerVersionWins => self.store(id, row),
            Flaw::LostEvent if writes.is_multiple_of(25) => {}
            Flaw::Torn => {
                let before = self.cache.lock().unwrap().get(&id).and_then(|slot| slot.entry.as_ref()?.product.into());
                self.store(id, Product { name: before.map_or(number, |before: Product| before.name), ..row });
                way().await;
                self.store(id, row);
            }
            _ => self.invalidate(id),
        }
        Some(row)
    }

    fn store(&self, id: u64, product: Product) {
        let mut cache = self.cache.lock().unwrap();
        let slot = cache.entry(id).or_default();
        slot.generation += 1;
        if slot.entry.as_ref().is_none_or(|entry| entry.product.version <= product.version) {
            slot.entry = Some(Entry { product, stored: Instant::now() });
        }
    }

    fn invalidate(&self, id: u64) {
        let mut cache = self.cache.lock().unwrap();
        let slot = cache.entry(id).or_default();
        slot.generation += 1;
        slot.entry = None;
    }
}
