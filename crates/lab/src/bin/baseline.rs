//! The servers that the product API is measured against: the best that one would write by hand.
//!
//! `constant` answers 300 bytes from memory, which is the floor of HTTP itself. `get` does one Redis `GET` per request
//! and returns the stored bytes, which is the floor of a cache hit: no policy, no check, no header of its own.

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
}

#[actix_web::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let address = ("127.0.0.1", options.port);
    match options.mode {
        Mode::Constant => {
            HttpServer::new(|| App::new().route("/constant/{id}", get().to(constant)))
                .workers(1)
                .bind(address)?
                .run()
                .await?;
        }
        Mode::Get => {
            let redis = connect(&options).await?;
            let app = move || App::new().app_data(Data::new(redis.clone())).route("/get/{id}", get().to(hit));
            HttpServer::new(app).workers(1).bind(address)?.run().await?;
        }
    }
    Ok(())
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

async fn connect(options: &Options) -> anyhow::Result<Client> {
    let mut config = Config::from_url(&options.redis)?;
    config.version = RespVersion::RESP3;
    let client = Builder::from_config(config)
        .with_performance_config(|performance| {
            performance.default_command_timeout = Duration::from_millis(options.command_timeout);
        })
        .with_connection_config(|connection| {
            connection.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build()?;
    client.init().await?;
    Ok(client)
}
