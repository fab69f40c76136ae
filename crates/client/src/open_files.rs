//! The limit of open files.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Raises the limit of open files and connections for this process and the processes that it starts from now on.
pub fn allow_open_files(most: u32) -> Result<()> {
    let output = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &format!("--nofile={most}:")])
        .output()
        .context("cannot run prlimit; apt-get install util-linux")?;
    ensure!(output.status.success(), "prlimit failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
