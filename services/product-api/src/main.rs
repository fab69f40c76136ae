//! `product-api` serves; `product-api healthcheck` asks a running one whether it is ready; `product-api openapi`
//! prints the description of its API.

use std::process::ExitCode;

use anyhow::Context;
use product_api::app;
use product_api::settings::Settings;
use runtime::{healthcheck, server, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let done = match command.as_deref() {
        None => serve().await,
        Some("healthcheck") => healthcheck(),
        Some("openapi") => openapi(),
        Some(other) => Err(anyhow::anyhow!("`{other}` is not a command; there are: healthcheck, openapi, or none to serve")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("product-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> anyhow::Result<()> {
    // First of all: a SIGTERM during the start counts too.
    let shutdown = server::shutdown_on_signals()?;
    let settings = Settings::from_env()?;
    let telemetry = telemetry::init(&settings.log)?;
    let address = format!("HTTP__HOST={} HTTP__PORT={}", settings.http.host, settings.http.port);
    let listener = settings.http.bind().with_context(|| format!("cannot listen at {address}; is the port taken?"))?;
    let metrics = telemetry.metrics().clone();
    let served = app::run(listener, settings, metrics, shutdown).await;
    served
}

fn healthcheck() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    Ok(healthcheck::probe(&settings.http)?)
}

fn openapi() -> anyhow::Result<()> {
    println!("{}", app::openapi().to_pretty_json()?);
    Ok(())
}
