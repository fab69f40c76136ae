//! Cleanup: no server and no directory remains, however a test ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use testkit::{Redis, SOON, eventually};

/// Returns the temporary directory of a server, which contains the file of its standard output.
async fn directory(pid: u32) -> PathBuf {
    eventually("a server that writes to its log", SOON, async || {
        let log = fs::read_link(format!("/proc/{pid}/fd/1")).ok()?;
        log.is_absolute().then(|| log.parent().map(Path::to_owned))?
    })
    .await
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[tokio::test]
async fn a_dropped_server_is_gone_at_once() -> Result<()> {
    let redis = Redis::start().await?;
    let (pid, directory) = (redis.pid(), directory(redis.pid()).await);
    assert!(directory.exists());
    redis.pause();
    drop(redis);
    assert!(!exists(pid));
    assert!(!directory.exists());
    Ok(())
}

#[tokio::test]
async fn servers_vanish_when_their_owner_is_killed() -> Result<()> {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_testkit-hold"))
        .stdin(Stdio::piped()) // if this test fails, the owner ends with it
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = BufReader::new(owner.stdout.take().context("stdout")?);
    let mut servers = Vec::new();
    for line in stdout.lines().take(3) {
        let line = line?;
        let pid = line.split(' ').nth(1).with_context(|| format!("no process id in {line:?}"))?.parse()?;
        servers.push((pid, directory(pid).await));
    }
    assert_eq!(servers.len(), 3);
    assert!(servers.iter().all(|(pid, directory)| exists(*pid) && directory.exists()), "{servers:?}");

    owner.kill()?; // SIGKILL: no destructor runs
    owner.wait()?;

    eventually("the servers and their directories to be gone", SOON, async || {
        !servers.iter().any(|(pid, directory)| exists(*pid) || directory.exists())
    })
    .await;
    Ok(())
}
