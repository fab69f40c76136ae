//! `product-api` serves; `product-api healthcheck` asks a running one whether it is ready; `product-api openapi`
//! prints the description of its API.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use product_api::app;
use product_api::settings::Settings;
use runtime::{healthcheck, server, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let done = match command.as_deref() {
        None => serve(),
        Some("healthcheck") => healthcheck(),
        Some("openapi") => openapi(),
        Some(other) => {
            Err(anyhow::anyhow!("`{other}` is not a command; there are: healthcheck, openapi, or none to serve"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("product-api: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let served = runtime.block_on(serve_until_told());
    // A migration that waits for Postgres is a thread of its own; nothing depends on its end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    served
}

async fn serve_until_told() -> anyhow::Result<()> {
    // First of all: a SIGTERM during the start counts too.
    let shutdown = server::shutdown_on_signals()?;
    let settings = Settings::from_env()?;
    let telemetry = telemetry::init(&settings.log)?;
    let address = format!("HTTP__HOST={} HTTP__PORT={}", settings.http.host, settings.http.port);
    let listener = settings.http.bind().with_context(|| format!("cannot listen at {address}; is the port taken?"))?;
    let metrics = telemetry.metrics().clone();
    app::run(listener, settings, metrics, shutdown).await
}

fn healthcheck() -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    Ok(healthcheck::probe(&settings.http)?)
}

fn openapi() -> anyhow::Result<()> {
    println!("{}", app::openapi().to_pretty_json()?);
    Ok(())
}
