//! An orderly end by Ctrl-C and SIGTERM.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Returns a token that the first signal cancels, so that the run ends in an orderly way. The second signal exits the
/// process.
pub(super) fn stopped_by_signals() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stopped = stop.clone();
    // This task runs as long as the process.
    tokio::spawn(async move {
        loop {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            if stopped.is_cancelled() {
                std::process::exit(130);
            }
            eprintln!("checker: putting everything back; once more to leave it as it is");
            stopped.cancel();
        }
    });
    Ok(stop)
}
