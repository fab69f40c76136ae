//! The servers with which the product API is compared: the best simple implementations.
//!
//! `constant` returns some bytes from memory, which is the minimum cost of HTTP itself. `get` makes one Redis `GET` per
//! request and returns the stored bytes, which is the minimum cost of a cache hit: no policy, no check, no header of
//! its own. `get-entry` reads entries of the product API's strategy `ttl`, and omits their header.
//!
//! `naive` is cache-aside as it is usually written, on the product API's own table: `GET`, or else `SELECT` and `SET …
//! EX`; `UPDATE` and `DEL`. It has all the races that the cache crate prevents. It has as many connections to Postgres
//! as the product API, and the same timeout for getting one. `--max-loads` adds a bulkhead.

#[path = "baseline/shop.rs"]
mod shop;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
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
use tokio::sync::Semaphore;

use shop::Shop;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// What it answers
    mode: Mode,
    /// Bytes of the answer of mode `constant`
    #[arg(long, default_value_t = 300)]
    length: usize,
    /// Port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// The Redis of mode `get`, which reads the keys `baseline:{id}`, and of mode `naive`
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// The Postgres of mode `naive`
    #[arg(long)]
    postgres: Option<String>,
    /// Concurrent loads of mode `naive`; further loads wait for 2 s at most
    #[arg(long, default_value_t = Semaphore::MAX_PERMITS)]
    max_loads: usize,
    /// The longest that a command may take, in milliseconds; 0 means no limit
    #[arg(long, default_value_t = 0)]
    command_timeout: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Constant,
    Get,
    GetEntry,
    Naive,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let shared = client(&options)?;
    if matches!(options.mode, Mode::Get | Mode::GetEntry | Mode::Naive) {
        shared.init().await?;
    }
    let shop = match &options.postgres {
        Some(url) => Some(Arc::new(Shop::new(url, options.max_loads)?)),
        None => None,
    };
    let address = ("127.0.0.1", options.port);
    let body = constant_body(options.length);
    let app = move || {
        let app = App::new();
        match options.mode {
            Mode::Constant => app.route("/{id}", get().to(constant)).app_data(Data::new(body.clone())),
            Mode::GetEntry => app.route("/{id}", get().to(entry)).app_data(Data::new(shared.clone())),
            Mode::Get => app.route("/{id}", get().to(hit)).app_data(Data::new(shared.clone())),
            Mode::Naive => {
                let app = app.app_data(Data::new(shared.clone()));
                let app = shop.iter().fold(app, |app, shop| app.app_data(Data::from(Arc::clone(shop))));
                app.route("/metrics", get().to(loads)).route("/{id}", get().to(read)).route("/{id}", put().to(write))
            }
        }
    };
    Ok(HttpServer::new(app).workers(1).bind(address)?.run().await?)
}

async fn constant(_id: Path<u64>, body: Data<Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(Bytes::clone(&body))
}

/// Returns JSON of this length, or of the minimum length.
fn constant_body(length: usize) -> Bytes {
    let around = r#"{"version":1,"description":""}"#.len();
    let dots = ".".repeat(length.saturating_sub(around));
    format!(r#"{{"version":1,"description":"{dots}"}}"#).into()
}

async fn hit(id: Path<u64>, redis: Data<Client>) -> Result<HttpResponse> {
    let body: Option<Bytes> = redis.get(format!("baseline:{id}")).await.map_err(error::ErrorBadGateway)?;
    Ok(match body {
        Some(body) => HttpResponse::Ok().content_type(ContentType::json()).body(body),
        None => HttpResponse::NotFound().finish(),
    })
}

async fn entry(id: Path<u64>, redis: Data<Client>) -> Result<HttpResponse> {
    let entry: Option<Bytes> = redis.get(format!("product:ttl:{id}")).await.map_err(error::ErrorBadGateway)?;
    let body = entry.and_then(|entry| Some(entry.slice(entry.iter().position(|byte| *byte == b'\n')? + 1..)));
    Ok(match body {
        Some(body) => HttpResponse::Ok().content_type(ContentType::json()).body(body),
        None => HttpResponse::NotFound().finish(),
    })
}

#[derive(Deserialize)]
struct Patch {
    stock: i32,
}

/// The TTL of the product API's strategy `explicit`.
const TTL: Expiration = Expiration::EX(300);

async fn read(id: Path<i64>, redis: Data<Client>, shop: Data<Shop>) -> Result<HttpResponse> {
    let key = format!("naive:{id}");
    let cached: Option<Bytes> = redis.get(&key).await.map_err(error::ErrorBadGateway)?;
    if let Some(body) = cached {
        return Ok(answer(body, "hit"));
    }
    let Some(body) = shop.load(*id).await? else { return Ok(HttpResponse::NotFound().finish()) };
    redis.set::<(), _, _>(&key, body.clone(), Some(TTL), None, false).await.map_err(error::ErrorBadGateway)?;
    Ok(answer(body, "fwd=miss; stored"))
}

async fn write(id: Path<i64>, patch: Json<Patch>, redis: Data<Client>, shop: Data<Shop>) -> Result<HttpResponse> {
    let body = shop.change(*id, patch.stock).await?;
    redis.del::<(), _>(format!("naive:{id}")).await.map_err(error::ErrorBadGateway)?;
    Ok(body.map_or_else(|| HttpResponse::NotFound().finish(), |body| answer(body, "fwd=method")))
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
