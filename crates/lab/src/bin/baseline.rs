//! The servers that the product API is measured against: the best that one would write by hand.
//!
//! `constant` answers 300 bytes from memory, which is the floor of HTTP itself. `get` does one Redis `GET` per request
//! and returns the stored bytes, which is the floor of a cache hit: no policy, no check, no header of its own.
//! `get-per-worker` is the same with a Redis client of the worker's own: no request then crosses threads.
//!
//! `naive` is cache-aside as it is usually written, on the product API's own table: `GET`, else `SELECT` and `SET … EX`;
//! `UPDATE` and `DEL`. It has all the races that the cache crate is about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data, Json, Path, get, put};
use actix_web::{App, HttpResponse, HttpServer, Result, error};
use clap::{Parser, ValueEnum};
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{Config, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, Expiration, RespVersion};
use serde::Deserialize;
use tokio_postgres::NoTls;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// What it answers
    mode: Mode,
    /// Port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// The Redis of mode `get`, which reads the keys `baseline:{id}`, and of mode `naive`
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// The Postgres of mode `naive`
    #[arg(long)]
    postgres: Option<String>,
    /// The longest that a command may take, in milliseconds; 0 for ever
    #[arg(long, default_value_t = 0)]
    command_timeout: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Constant,
    Get,
    GetPerWorker,
    Naive,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let shared = client(&options)?;
    if matches!(options.mode, Mode::Get | Mode::Naive) {
        shared.init().await?;
    }
    let shop = match &options.postgres {
        Some(url) => Some(Arc::new(Shop::open(url).await?)),
        None => None,
    };
    let address = ("127.0.0.1", options.port);
    let app = move || {
        let app = App::new();
        match options.mode {
            Mode::Constant => app.route("/{id}", get().to(constant)),
            Mode::Get => app.route("/{id}", get().to(hit)).app_data(Data::new(shared.clone())),
            Mode::GetPerWorker => {
                let own = shared.clone_new();
                own.connect(); // on this worker's thread; commands wait until it is done
                app.route("/{id}", get().to(hit)).app_data(Data::new(own))
            }
            Mode::Naive => {
                let app = app.app_data(Data::new(shared.clone()));
                let app = shop.iter().fold(app, |app, shop| app.app_data(Data::from(Arc::clone(shop))));
                app.route("/metrics", get().to(loads)).route("/{id}", get().to(read)).route("/{id}", put().to(write))
            }
        }
    };
    Ok(HttpServer::new(app).workers(1).bind(address)?.run().await?)
}

async fn constant(_id: Path<u64>) -> HttpResponse {
    // As long as a product is.
    const BODY: &str = concat!(
        r#"{"version":1,"description":""#,
        "................................................................................................",
        "................................................................................................",
        "..............................................................................",
        r#""}"#
    );
    HttpResponse::Ok().content_type(ContentType::json()).body(BODY)
}

async fn hit(id: Path<u64>, redis: Data<Client>) -> Result<HttpResponse> {
    let body: Option<Bytes> = redis.get(format!("baseline:{id}")).await.map_err(error::ErrorBadGateway)?;
    Ok(match body {
        Some(body) => HttpResponse::Ok().content_type(ContentType::json()).body(body),
        None => HttpResponse::NotFound().finish(),
    })
}

/// The product API's table, without the product API.
struct Shop {
    postgres: tokio_postgres::Client,
    select: tokio_postgres::Statement,
    update: tokio_postgres::Statement,
    loads: AtomicU64,
}

impl Shop {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let (postgres, connection) = tokio_postgres::connect(url, NoTls).await?;
        actix_web::rt::spawn(connection);
        let select = "SELECT json_build_object('id', p.id, 'name', p.name, 'description', p.description, 'price_cents', \
             p.price_cents, 'stock', p.stock, 'featured', p.featured, 'category', json_build_object('id', c.id, 'name', \
             c.name), 'version', p.version, 'created_at', p.created_at, 'updated_at', p.updated_at)::text \
             FROM products p JOIN categories c ON c.id = p.category_id WHERE p.id = $1";
        let select = postgres.prepare(select).await?;
        let update = postgres.prepare("UPDATE products SET stock = $2 WHERE id = $1").await?;
        Ok(Self { postgres, select, update, loads: AtomicU64::new(0) })
    }

    async fn load(&self, id: i64) -> Result<Option<String>> {
        let row = self.postgres.query_opt(&self.select, &[&id]).await.map_err(error::ErrorBadGateway)?;
        Ok(row.map(|row| row.get(0)))
    }
}

#[derive(Deserialize)]
struct Patch {
    stock: i32,
}

/// As long as the product API keeps an entry of its strategy `explicit`.
const TTL: Expiration = Expiration::EX(300);

async fn read(id: Path<i64>, redis: Data<Client>, shop: Data<Shop>) -> Result<HttpResponse> {
    let key = format!("naive:{id}");
    let cached: Option<Bytes> = redis.get(&key).await.map_err(error::ErrorBadGateway)?;
    if let Some(body) = cached {
        return Ok(answer(body, "hit"));
    }
    shop.loads.fetch_add(1, Relaxed);
    let Some(body) = shop.load(*id).await? else { return Ok(HttpResponse::NotFound().finish()) };
    redis.set::<(), _, _>(&key, &body, Some(TTL), None, false).await.map_err(error::ErrorBadGateway)?;
    Ok(answer(body.into(), "fwd=miss; stored"))
}

async fn write(id: Path<i64>, patch: Json<Patch>, redis: Data<Client>, shop: Data<Shop>) -> Result<HttpResponse> {
    shop.postgres.execute(&shop.update, &[&*id, &patch.stock]).await.map_err(error::ErrorBadGateway)?;
    redis.del::<(), _>(format!("naive:{id}")).await.map_err(error::ErrorBadGateway)?;
    let body = shop.load(*id).await?;
    Ok(body.map_or_else(|| HttpResponse::NotFound().finish(), |body| answer(body.into(), "fwd=method")))
}

async fn loads(shop: Data<Shop>) -> String {
    format!("cache_loads_total{{lane=\"naive\"}} {}\n", shop.loads.load(Relaxed))
}

fn answer(body: Bytes, source: &str) -> HttpResponse {
    let status = format!("naive; {source}");
    HttpResponse::Ok().content_type(ContentType::json()).insert_header(("Cache-Status", status)).body(body)
}

fn client(options: &Options) -> anyhow::Result<Client> {
    let mut config = Config::from_url(&options.redis)?;
    config.version = RespVersion::RESP3;
    Ok(Builder::from_config(config)
        .with_performance_config(|performance| {
            performance.default_command_timeout = Duration::from_millis(options.command_timeout);
        })
        .with_connection_config(|connection| {
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build()?)
}
