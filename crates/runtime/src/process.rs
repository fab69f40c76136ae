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

use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

use crate::healthcheck;
use crate::server::{self, HttpSettings};
use crate::settings::SettingsError;
use crate::telemetry::{self, LogSettings, Metrics};

/// How long threads that still block may keep the process after the service has ended.
const LINGER: Duration = Duration::from_millis(500);

/// The stack of a worker thread, in bytes. Twice tokio's default: without optimisation, each running `async fn` takes
/// some kilobytes of it, and the deepest call chain, from an event to a new connection, did not fit.
const STACK: usize = 4 * 1024 * 1024;

/// The parts of a service's binary.
///
/// ```no_run
/// # use runtime::{process::Binary, server::HttpSettings, settings, telemetry::{LogSettings, Metrics}};
/// # use std::{io, net::TcpListener, process::ExitCode};
/// # use tokio_util::sync::CancellationToken;
/// # #[derive(serde::Deserialize)] struct Settings { http: HttpSettings, log: LogSettings }
/// # impl Settings { fn from_env() -> Result<Self, settings::SettingsError> { settings::load_from_env("[http]\n[log]") } }
/// # mod app { pub fn openapi() -> utoipa::openapi::OpenApi { Default::default() } }
/// # async fn run(_: TcpListener, _: Settings, _: Metrics, _: CancellationToken) -> io::Result<()> { Ok(()) }
/// fn main() -> ExitCode {
///     Binary {
///         name: "cart",
///         settings: Settings::from_env,
///         sections: |settings| (&settings.http, &settings.log),
///         openapi: app::openapi,
///     }
///     .main(run)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Binary<S> {
    /// The name of the service in its messages.
    pub name: &'static str,
    /// Reads the settings.
    pub settings: fn() -> Result<S, SettingsError>,
    /// Returns the two sections of the settings that every service has.
    pub sections: fn(&S) -> (&HttpSettings, &LogSettings),
    /// Returns the description of the API.
    pub openapi: fn() -> OpenApi,
}

impl<S> Binary<S> {
    /// Runs the command on the command line. `serve` receives an open listener, and returns when the token is cancelled
    /// and the work in progress has ended.
    pub fn main<F, Fut, E>(self, serve: F) -> ExitCode
    where
        F: FnOnce(TcpListener, S, Metrics, CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        let command = std::env::args().nth(1);
        let done = match command.as_deref() {
            None => self.serve(serve),
            Some("healthcheck") => self.healthcheck(),
            Some("openapi") => self.describe(),
            Some(other) => {
                Err(format!("`{other}` is not a command; there are: healthcheck, openapi, or none to serve"))
            }
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    fn serve<F, Fut, E>(&self, serve: F) -> Result<(), String>
    where
        F: FnOnce(TcpListener, S, Metrics, CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), E>>,
        E: Display,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build();
        let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
        let served = runtime.block_on(async {
            // First of all: a SIGTERM during the start must be handled too.
            let shutdown = server::shutdown_on_signals().map_err(text)?;
            let settings = (self.settings)().map_err(text)?;
            let (http, log) = (self.sections)(&settings);
            let telemetry = telemetry::init(log).map_err(text)?;
            let listener = http.bind().map_err(text)?;
            serve(listener, settings, telemetry.metrics().clone(), shutdown).await.map_err(text)
        });
        // Nothing depends on threads that still block, such as a migration that waits for its database.
        runtime.shutdown_timeout(LINGER);
        served
    }

    fn healthcheck(&self) -> Result<(), String> {
        let settings = (self.settings)().map_err(text)?;
        healthcheck::probe((self.sections)(&settings).0).map_err(text)
    }

    fn describe(&self) -> Result<(), String> {
        println!("{}", (self.openapi)().to_pretty_json().map_err(text)?);
        Ok(())
    }
}

/// Uses the alternate format, with which an `anyhow::Error` includes its causes.
fn text(error: impl Display) -> String {
    format!("{error:#}")
}
