//! The signals of an orchestrator. The only test of its process, because a signal affects the whole process.

use std::process::Command;
use std::time::Duration;

use service::server::shutdown_on_signals;

#[tokio::test]
async fn sigterm_and_sigint_cancel_the_token() {
    for signal in ["TERM", "INT"] {
        let shutdown = shutdown_on_signals().unwrap();
        let pid = std::process::id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
        tokio::time::timeout(Duration::from_secs(60), shutdown.cancelled()).await.expect(signal);
    }
}
