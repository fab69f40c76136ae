//! What a private Postgres and a private Redis have in common: a supervised process that has a port.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::supervisor::Supervisor;

/// How often a server is started on another port: most likely, another process took the port.
pub(crate) const ATTEMPTS: u32 = 5;

/// A running server.
#[derive(Debug)]
pub struct PrivateServer {
    pub(crate) supervisor: Supervisor,
    pub(crate) port: u16,
}

impl PrivateServer {
    /// Returns the port, which a restart keeps.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the last lines of its output, for error messages.
    pub(crate) fn last_output(&self) -> String {
        self.supervisor.last_output()
    }

    /// Returns the process id of the server.
    pub fn pid(&self) -> u32 {
        self.supervisor.pid()
    }

    /// Returns whether the server is running.
    pub fn is_alive(&self) -> bool {
        self.supervisor.is_alive()
    }

    /// Kills the server and its children (`kill -9`): connections break at once.
    pub async fn kill(&self) -> Result<()> {
        self.supervisor.kill().await
    }

    /// Freezes the server and its children: connections stay open, and requests get no reply.
    pub fn pause(&self) {
        self.supervisor.signal_tree("STOP");
    }

    /// Resumes the server.
    pub fn resume(&self) {
        self.supervisor.signal_tree("CONT");
    }

    /// Waits until the server that was spawned is ready.
    pub(crate) async fn until_ready<Ready>(&self, name: &str, limit: Duration, ready: impl Fn() -> Ready) -> Result<()>
    where
        Ready: Future<Output = bool>,
    {
        let deadline = Instant::now() + limit;
        while !ready().await {
            if !self.is_alive() {
                self.supervisor.reap(Duration::ZERO).await?;
                bail!("{name} ended while it started:\n{}", self.supervisor.last_output());
            }
            if Instant::now() > deadline {
                self.kill().await?;
                bail!("{name} was not ready within {limit:?}:\n{}", self.supervisor.last_output());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

/// Runs a client program to its end and returns its output, without the last line break.
pub(crate) async fn output(command: &mut Command) -> Result<String> {
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("cannot run {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{printed}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}
