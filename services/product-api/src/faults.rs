//! Faults that this process does to itself, for the console: a freeze, and a crash between COMMIT and the invalidation.
//!
//! The routes exist only with `FAULTS_ENABLED=true`. They are operations routes, and each fault ends by itself.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, ServiceConfig};
use serde::Deserialize;
use service::http_metrics::resource;
use service::operations::OperatorToken;
use service::problem::{Body, Problem};
use tokio::time::sleep;
use tracing::{error, warn};

/// The longest fault.
const LONGEST: u64 = 30_000;
/// How long the response to the request for a freeze may take to leave.
const RESPONSE: Duration = Duration::from_millis(20);

/// Whether the next committed write kills the process.
#[derive(Clone, Debug, Default)]
pub struct CrashSwitch(Arc<AtomicBool>);

impl CrashSwitch {
    /// Crashes if the switch is set. Call it after COMMIT, before anything is invalidated.
    pub(crate) fn after_commit(&self) {
        if self.0.swap(false, SeqCst) {
            restart();
        }
    }
}

/// Replaces this process by a new one of the same program. As after `kill -9`, what was in its memory is gone, and its
/// connections are closed; but no supervisor is needed to start it again.
fn restart() {
    warn!("the process crashes after COMMIT, as asked for");
    let mut arguments = std::env::args_os();
    // The path by which it was started: the program itself may have been replaced since.
    if let Some(program) = arguments.next() {
        let failed = Command::new(program).args(arguments).exec();
        error!(error = %failed, "the process cannot start again");
    }
    std::process::abort();
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lasting {
    millis: u64,
}

impl Lasting {
    fn checked(&self) -> Result<Duration, Problem> {
        if (1..=LONGEST).contains(&self.millis) {
            return Ok(Duration::from_millis(self.millis));
        }
        Err(Problem::invalid_field("millis", format!("must be between 1 and {LONGEST}")))
    }
}

/// Mounts the routes.
pub(crate) fn configure(crash: &CrashSwitch, cfg: &mut ServiceConfig) {
    let crash = Data::new(crash.clone());
    cfg.service(resource("/faults/freeze").post(freeze))
        .service(resource("/faults/crash-after-commit").app_data(crash).post(crash_after_commit));
}

/// Stops this process for a time, as SIGSTOP does: nothing in it runs, and no connection is closed.
async fn freeze(_operator: OperatorToken, asked: Body<Lasting>) -> Result<HttpResponse, Problem> {
    let length = asked.0.checked()?;
    let (seconds, own) = (length.as_secs_f64().to_string(), std::process::id().to_string());
    // The shell outlives the freeze, and ends it. First it leaves time for the response.
    let script = "sleep \"$1\"; kill -STOP \"$3\"; sleep \"$2\"; kill -CONT \"$3\"";
    let before = RESPONSE.as_secs_f64().to_string();
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", &before, &seconds, &own]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut shell = shell.spawn().map_err(Problem::internal)?;
    tokio::task::spawn_blocking(move || shell.wait());
    Ok(HttpResponse::Accepted().finish())
}

/// Lets the next committed change of a product kill this process before it invalidates anything.
async fn crash_after_commit(
    _operator: OperatorToken, asked: Body<Lasting>, crash: Data<CrashSwitch>,
) -> Result<HttpResponse, Problem> {
    let length = asked.0.checked()?;
    crash.0.store(true, SeqCst);
    let crash = CrashSwitch::clone(&crash);
    tokio::spawn(async move {
        sleep(length).await;
        crash.0.store(false, SeqCst);
    });
    Ok(HttpResponse::Accepted().finish())
}
