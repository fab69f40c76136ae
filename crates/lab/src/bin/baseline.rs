//! The servers that the product API is measured against: the best that one would write by hand.
//!
//! `constant` answers 300 bytes from memory, which is the floor of HTTP itself. `get` does one Redis `GET` per request
//! and returns the stored bytes, which is the floor of a cache hit: no policy, no check, no header of its own.
//! `get-per-worker` is the same with a Redis client of the worker's own: no request then crosses threads.

use std::time::Duration;

use actix_web::http::header::ContentType;
use actix_web::web::{Bytes, Data, Path, get};
use actix_web::{App, HttpResponse, HttpServer, Result, error};
use clap::{Parser, ValueEnum};
use fred::clients::Client;
use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{Config, ReconnectPolicy, TcpConfig};
use fred::types::{Builder, RespVersion};

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
    /// The Redis of mode `get`, which reads the keys `baseline:{id}`
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// The longest that a command may take, in milliseconds; 0 for ever
    #[arg(long, default_value_t = 0)]
    command_timeout: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Constant,
    Get,
    GetPerWorker,
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let shared = client(&options)?;
    if matches!(options.mode, Mode::Get) {
        shared.init().await?;
    }
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
        }
    };
    Ok(HttpServer::new(app).workers(1).bind(address)?.run().await?)
}

async fn constant(_id: Path<u64>) -> HttpResponse {
    static BODY: [u8; 300] = {
        let mut body = [b'x'; 300];
        (body[0], body[299]) = (b'"', b'"'); // a JSON string
        body
    };
    HttpResponse::Ok().content_type(ContentType::json()).body(BODY.as_slice())
}

async fn hit(id: Path<u64>, redis: Data<Client>) -> Result<HttpResponse> {
    let body: Option<Bytes> = redis.get(format!("baseline:{id}")).await.map_err(error::ErrorBadGateway)?;
    Ok(match body {
        Some(body) => HttpResponse::Ok().content_type(ContentType::json()).body(body),
        None => HttpResponse::NotFound().finish(),
    })
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
