//! The process of a service: its subcommands, its exit code, its tokio runtime.
//!
//! ```text
//! cart                serves until SIGTERM or SIGINT
//! cart healthcheck    queries the readiness of a running instance
//! cart openapi        prints the description of its API
//! ```
//!
//! A failure results in one line on standard error and exit code 1.

use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

use crate::run::{self, Service};
use crate::settings::ServiceSettings;
use crate::{healthcheck, server, telemetry};

/// How long threads that still block may keep the process after the service has ended.
const LINGER: Duration = Duration::from_millis(500);

/// The stack of a worker thread, in bytes. Twice tokio's default: without optimisation, each running `async fn` takes
/// some kilobytes of it, and the deepest call chain, from an event to a new connection, did not fit.
const STACK: usize = 4 * 1024 * 1024;

/// Runs the command on the command line. This is the whole `main` of a service.
pub fn main<S: Service>() -> ExitCode {
    let command = std::env::args().nth(1);
    let done = match command.as_deref() {
        None => serve::<S>(),
        Some("healthcheck") => probe::<S>(),
        Some("openapi") => describe::<S>(),
        Some(other) => Err(format!("`{other}` is not a command; there are: healthcheck, openapi, or none to serve")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", S::NAME);
            ExitCode::FAILURE
        }
    }
}

fn serve<S: Service>() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let served = runtime.block_on(async {
        // First of all: a SIGTERM during the start must be handled too.
        let shutdown = server::shutdown_on_signals().map_err(text)?;
        let settings = S::Settings::from_env().map_err(text)?;
        let telemetry = telemetry::init(&settings.common().log).map_err(text)?;
        let listener = settings.common().http.bind().map_err(text)?;
        run::run::<S>(listener, settings, telemetry.metrics().clone(), shutdown).await.map_err(text)
    });
    // Nothing depends on threads that still block, such as a migration that waits for its database.
    runtime.shutdown_timeout(LINGER);
    served
}

fn probe<S: Service>() -> Result<(), String> {
    let settings = S::Settings::from_env().map_err(text)?;
    healthcheck::probe(&settings.common().http).map_err(text)
}

fn describe<S: Service>() -> Result<(), String> {
    println!("{}", run::openapi::<S>().to_pretty_json().map_err(text)?);
    Ok(())
}

/// Uses the alternate format, with which an `anyhow::Error` includes its causes.
fn text(error: impl Display) -> String {
    format!("{error:#}")
}
