//! Servers with the caches of other projects, for comparison: each returns the product under `baseline:{id}`.
//!
//! `redis` sends one `GET` through the `redis` crate, over one multiplexed connection of its worker. `cached` asks an
//! `AsyncRedisCache` of the `cached` crate, and `cached-near` the same with client-side caching. None of them is told of
//! changes by the writer.

use actix_web::http::header::ContentType;
use actix_web::web::{Data, Path, get};
use actix_web::{App, HttpResponse, HttpServer, Result, error};
use cached::{AsyncRedisCache, ConcurrentCachedAsync};
use clap::{Parser, ValueEnum};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(about)]
struct Options {
    /// What it answers with
    mode: Mode,
    /// Port on 127.0.0.1
    #[arg(long)]
    port: u16,
    /// Its Redis
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Redis,
    Cached,
    CachedNear,
}

#[derive(Clone)]
struct Shop {
    connection: MultiplexedConnection,
    cache: AsyncRedisCache<u64, String>,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let connection = redis::Client::open(options.redis.as_str())?.get_multiplexed_async_connection().await?;
    let cache = AsyncRedisCache::<u64, String>::builder("cached")
        .ttl_secs(300)
        .connection_string(&options.redis)
        .client_side_caching(options.mode == Mode::CachedNear)
        .build()
        .await?;
    let shop = Shop { connection, cache };
    let mode = options.mode;
    let app = move || {
        let app = App::new().app_data(Data::new(shop.clone()));
        match mode {
            Mode::Redis => app.route("/{id}", get().to(by_hand)),
            Mode::Cached | Mode::CachedNear => app.route("/{id}", get().to(cached)),
        }
    };
    Ok(HttpServer::new(app).workers(1).bind(("127.0.0.1", options.port))?.run().await?)
}

async fn by_hand(id: Path<u64>, shop: Data<Shop>) -> Result<HttpResponse> {
    let body: Option<Vec<u8>> =
        shop.connection.clone().get(format!("baseline:{id}")).await.map_err(error::ErrorBadGateway)?;
    Ok(match body {
        Some(body) => HttpResponse::Ok().content_type(ContentType::json()).body(body),
        None => HttpResponse::NotFound().finish(),
    })
}

async fn cached(id: Path<u64>, shop: Data<Shop>) -> Result<HttpResponse> {
    if let Some(body) = shop.cache.async_cache_get(&id).await.map_err(error::ErrorBadGateway)? {
        return Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body));
    }
    let body: Option<String> =
        shop.connection.clone().get(format!("baseline:{id}")).await.map_err(error::ErrorBadGateway)?;
    let Some(body) = body else { return Ok(HttpResponse::NotFound().finish()) };
    shop.cache.async_cache_set(*id, body.clone()).await.map_err(error::ErrorBadGateway)?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(body))
}
