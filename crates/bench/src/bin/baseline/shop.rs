//! The product API's table without the product API: a connection pool, two statements, and JSON that is made here.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{Result, error};
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, Row, Statement};

/// The size and the timeout of the product API's connection pool. Its bulkhead has the same timeout.
const CONNECTIONS: usize = 16;
const WAIT: Duration = Duration::from_secs(2);
/// The statement timeout of the product API.
const OPTIONS: &str = "-c statement_timeout=5000";

/// The columns of a product, in the order in which [`serialised`] reads them.
macro_rules! shown {
    () => {
        "p.id, p.name, p.description, p.price_cents, p.stock, p.featured, c.id, c.name, p.version, \
         to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), \
         to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    };
}

const SELECT: &str =
    concat!("SELECT ", shown!(), " FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = $1");
/// One statement, as most applications write it: `DEL` follows the COMMIT as soon as it can.
const UPDATE: &str = concat!(
    "WITH p AS (UPDATE products SET stock = $2 WHERE id = $1 RETURNING *) SELECT ",
    shown!(),
    " FROM p JOIN categories c ON c.id = p.category_id"
);

pub(crate) struct Shop {
    config: Config,
    idle: Mutex<Vec<Connection>>,
    free: Semaphore,
    permits: Semaphore,
    /// How often a product was read for a reader.
    pub(crate) loads: AtomicU64,
}

struct Connection {
    client: Client,
    select: Statement,
    update: Statement,
}

#[derive(Serialize)]
struct Product<'a> {
    id: i64,
    name: &'a str,
    description: &'a str,
    price_cents: i64,
    stock: i32,
    featured: bool,
    category: Category<'a>,
    version: i64,
    created_at: &'a str,
    updated_at: &'a str,
}

#[derive(Serialize)]
struct Category<'a> {
    id: i64,
    name: &'a str,
}

impl Shop {
    /// A shop whose readers load at most `max_loads` products at a time.
    pub(crate) fn new(url: &str, max_loads: usize) -> anyhow::Result<Self> {
        let mut config: Config = url.parse()?;
        config.options(OPTIONS);
        let (free, permits) = (Semaphore::new(CONNECTIONS), Semaphore::new(max_loads));
        Ok(Self { config, idle: Mutex::default(), free, permits, loads: AtomicU64::new(0) })
    }

    pub(crate) async fn load(&self, id: i64) -> Result<Option<Bytes>> {
        let _permit = within_wait(&self.permits).await?;
        self.loads.fetch_add(1, Relaxed);
        self.with(None, id).await
    }

    /// Changes the stock, and returns the changed product.
    pub(crate) async fn change(&self, id: i64, stock: i32) -> Result<Option<Bytes>> {
        self.with(Some(stock), id).await
    }

    async fn with(&self, stock: Option<i32>, id: i64) -> Result<Option<Bytes>> {
        let _turn = within_wait(&self.free).await?;
        let idle = self.idle.lock().map_err(|_| error::ErrorInternalServerError("a panic"))?.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Connection::open(&self.config).await.map_err(error::ErrorBadGateway)?,
        };
        // A connection that failed is not reused.
        let row = connection.run(stock, id).await.map_err(error::ErrorBadGateway)?;
        self.idle.lock().map_err(|_| error::ErrorInternalServerError("a panic"))?.push(connection);
        row.map(|row| serialised(&row).map_err(error::ErrorInternalServerError)).transpose()
    }
}

async fn within_wait(semaphore: &Semaphore) -> Result<SemaphorePermit<'_>> {
    let permit = timeout(WAIT, semaphore.acquire()).await.map_err(error::ErrorServiceUnavailable)?;
    permit.map_err(error::ErrorServiceUnavailable)
}

impl Connection {
    async fn open(config: &Config) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = config.connect(NoTls).await?;
        actix_web::rt::spawn(connection);
        let (select, update) = (client.prepare(SELECT).await?, client.prepare(UPDATE).await?);
        Ok(Self { client, select, update })
    }

    async fn run(&self, stock: Option<i32>, id: i64) -> Result<Option<Row>, tokio_postgres::Error> {
        match stock {
            Some(stock) => self.client.query_opt(&self.update, &[&id, &stock]).await,
            None => self.client.query_opt(&self.select, &[&id]).await,
        }
    }
}

fn serialised(row: &Row) -> anyhow::Result<Bytes> {
    let product = Product {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        description: row.try_get(2)?,
        price_cents: row.try_get(3)?,
        stock: row.try_get(4)?,
        featured: row.try_get(5)?,
        category: Category { id: row.try_get(6)?, name: row.try_get(7)? },
        version: row.try_get(8)?,
        created_at: row.try_get(9)?,
        updated_at: row.try_get(10)?,
    };
    Ok(serde_json::to_vec(&product)?.into())
}
