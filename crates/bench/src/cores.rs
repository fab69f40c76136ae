//! The core on which a process runs.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Returns a command that starts `program` on one core.
pub(crate) fn command_on(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Moves a running process, with all its threads, to one core. Its future children follow.
pub(crate) fn pin(pid: u32, core: usize) -> Result<()> {
    let output = Command::new("taskset")
        .args(["-acp", &core.to_string(), &pid.to_string()])
        .output()
        .context("cannot run taskset; apt-get install util-linux")?;
    ensure!(output.status.success(), "taskset failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
