//! Servers start with every TMPDIR: a long one, one with unusual characters, and one that only its owner can enter.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// Starts a Postgres, a Redis and a process in this temporary folder, and returns the lines that say where they are.
fn start_in(folder: &Path, transport: &str) -> Result<Vec<String>> {
    fs::create_dir_all(folder)?;
    let mut owner = Command::new(env!("CARGO_BIN_EXE_testkit-hold"))
        .env("TMPDIR", folder)
        .env("TEST_REDIS", transport)
        .stdin(Stdio::piped()) // its end ends the servers
        .stdout(Stdio::piped())
        .spawn()?;
    let lines =
        BufReader::new(owner.stdout.take().context("stdout")?).lines().take(4).collect::<Result<Vec<_>, _>>()?;
    if let Some(socket) = lines.first().and_then(|line| line.split_once("redis+unix://")) {
        ensure!(Path::new(socket.1).exists(), "there is no socket {}", socket.1);
    }
    drop(owner.stdin.take());
    ensure!(owner.wait()?.success(), "it ended with a failure");
    Ok(lines)
}

#[test]
fn servers_start_in_long_and_unusual_and_private_temporary_folders() -> Result<()> {
    let folder = TempDir::new()?;
    let private = folder.path().join("private");
    fs::create_dir(&private)?;
    // As root, the user who runs Postgres cannot enter it.
    fs::set_permissions(&private, Permissions::from_mode(0o700))?;
    let long = "long".repeat(30);
    for tmpdir in [private.join("tmp"), folder.path().join(long), folder.path().join("comma, quote' and space")] {
        for transport in ["tcp", "unix"] {
            let lines = start_in(&tmpdir, transport).with_context(|| format!("{transport}, {}", tmpdir.display()))?;
            assert!(lines.last().is_some_and(|line| line.starts_with("ready")), "{}: {lines:?}", tmpdir.display());
        }
        let left: Vec<_> = fs::read_dir(&tmpdir)?.collect();
        assert!(left.is_empty(), "{left:?}");
    }
    Ok(())
}
