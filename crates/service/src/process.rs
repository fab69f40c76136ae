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
use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use crate::run::{self, Service};
use crate::settings::ServiceSettings;
use crate::telemetry::{Metrics, Traces};
use crate::{healthcheck, server, telemetry};

/// How long threads that still block may keep the process after the service has ended.
const BLOCKED_THREADS_TIMEOUT: Duration = Duration::from_millis(500);

/// The least time for sending the remaining spans.
const MIN_FLUSH: Duration = Duration::from_millis(500);

/// The stack of a worker thread, in bytes. Twice tokio's default: without optimisation, each running `async fn` takes
/// some kilobytes of it, and the deepest call chain, from an event to a new connection, did not fit.
const STACK: usize = 4 * 1024 * 1024;

/// A program that serves HTTP. Every [`Service`] is one; a program without a cache implements this trait itself.
pub trait Program: Sized {
    /// The name of the binary.
    const NAME: &'static str;
    /// Its settings.
    type Settings: ServiceSettings;

    /// Returns the description of all its routes.
    fn openapi() -> OpenApi;

    /// Serves until `shutdown`, then completes the requests in flight within the grace time.
    ///
    /// # Errors
    /// Returns an error if a setting names an unusable server or file, or if the listener fails.
    fn run(
        listener: TcpListener, settings: Self::Settings, metrics: Metrics, shutdown: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>>;
}

impl<S: Service> Program for S {
    const NAME: &'static str = S::NAME;
    type Settings = S::Settings;

    fn openapi() -> OpenApi {
        run::openapi::<S>()
    }

    fn run(
        listener: TcpListener, settings: S::Settings, metrics: Metrics, shutdown: CancellationToken,
    ) -> impl Future<Output = anyhow::Result<()>> {
        run::run::<S>(listener, settings, metrics, shutdown)
    }
}

/// Runs the command on the command line. This is the whole `main` of a program.
pub fn main<P: Program>() -> ExitCode {
    let command = std::env::args().nth(1);
    let done = match command.as_deref() {
        None => serve::<P>(),
        Some("healthcheck") => probe::<P>(),
        Some("openapi") => describe::<P>(),
        Some(other) => Err(format!("`{other}` is not a command; there are: healthcheck, openapi, or none to serve")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", P::NAME);
            ExitCode::FAILURE
        }
    }
}

fn serve<P: Program>() -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let served = runtime.block_on(async {
        // First of all: a SIGTERM during the start must be handled too.
        let shutdown = server::shutdown_on_signals().map_err(text)?;
        let settings = P::Settings::from_env().map_err(text)?;
        let common = settings.common();
        let traces = Traces::start(P::NAME, &common.traces).map_err(text)?;
        let telemetry = telemetry::init(&common.log, traces).map_err(text)?;
        let listener = common.http.bind().map_err(text)?;
        let (grace, stopping) = (common.http.grace, shutdown.clone());
        let deadline = tokio::spawn(async move {
            stopping.cancelled().await;
            Instant::now() + grace
        });
        let served = P::run(listener, settings, telemetry.metrics().clone(), shutdown.clone()).await.map_err(text);
        // A service that fails has received no signal: its grace period begins now.
        shutdown.cancel();
        let deadline = deadline.await.map_err(text)?.max(Instant::now() + MIN_FLUSH);
        telemetry.stop(deadline).await;
        served
    });
    // Nothing depends on threads that still block, such as a migration that waits for its database.
    runtime.shutdown_timeout(BLOCKED_THREADS_TIMEOUT);
    served
}

fn probe<P: Program>() -> Result<(), String> {
    let settings = P::Settings::from_env().map_err(text)?;
    healthcheck::probe(&settings.common().http).map_err(text)
}

fn describe<P: Program>() -> Result<(), String> {
    println!("{}", P::openapi().to_pretty_json().map_err(text)?);
    Ok(())
}

/// Uses the alternate format, with which an `anyhow::Error` includes its causes.
fn text(error: impl Display) -> String {
    format!("{error:#}")
}
