//! The stack that runs the API, controlled by its script: reads from Redis, stops Redis, blocks Postgres, starts a second
//! process.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testkit::Proxy;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// The script that runs the stack.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    script: PathBuf,
}

/// Redis or a service, which a demo may stop, and start with other settings. A drop starts it with its original settings.
#[derive(Debug)]
#[must_use = "dropping it starts it as it was"]
pub(crate) struct StoppedPart {
    script: PathBuf,
    name: &'static str,
    is_changed: std::cell::Cell<bool>,
}

/// A lock under which Postgres executes no query on products, until it is released or dropped.
#[derive(Debug)]
pub(crate) struct PostgresLock {
    psql: Child,
    session: ChildStdin,
}

/// The second process of the product API, with a proxy between it and Redis. A drop leaves it as it was before: stopped, or
/// as `make up replicas=2` has started it.
#[derive(Debug)]
#[must_use = "dropping it leaves it as it was"]
pub(crate) struct SecondProcess {
    script: PathBuf,
    url: String,
    proxy: Proxy,
    is_of_the_stack: bool,
}

/// The name of that process in the stack's script.
const SECOND: &str = "product-api-2";

impl Stack {
    /// Creates a handle for the stack that `script` controls.
    pub(crate) fn new(script: &Path) -> Result<Self> {
        let found = script.canonicalize().with_context(|| {
            format!("there is no stack script at {}; STACK_SCRIPT names it, or use `make demo`", script.display())
        })?;
        Ok(Self { script: found })
    }

    /// Returns the first line of what `redis-cli GET key` prints: an entry's header is text, and its body follows.
    pub(crate) async fn redis_get(&self, key: &str) -> Result<String> {
        let output = run(&self.script, &["redis-cli", "GET", key]).await?;
        Ok(output.lines().next().unwrap_or_default().to_owned())
    }

    /// Runs SQL in psql, as another program would.
    pub(crate) async fn psql(&self, sql: &str) -> Result<String> {
        run(&self.script, &["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql]).await
    }

    /// Returns a handle that can stop and start Redis or a service.
    pub(crate) fn borrow(&self, name: &'static str) -> StoppedPart {
        StoppedPart { script: self.script.clone(), name, is_changed: false.into() }
    }

    /// Starts the second process of the product API, or restarts it with a proxy before its Redis.
    pub(crate) async fn second_product_api(&self) -> Result<SecondProcess> {
        let (ours, redis) = (run(&self.script, &["address"]).await?, run(&self.script, &["address", "redis"]).await?);
        let ours = ours.trim().parse().context("the address of this machine in the stack's network is invalid")?;
        let port = redis.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let second = SecondProcess {
            url: run(&self.script, &["url", SECOND]).await?.trim().to_owned(),
            proxy: Proxy::at(ours, port.context("the stack does not name the port of Redis")?).await?,
            is_of_the_stack: run(&self.script, &["replicas"]).await?.trim() == "2",
            script: self.script.clone(),
        };
        let mut start = Command::new(&self.script);
        start.args(["start", SECOND]).env("REDIS_AT", second.proxy.address().to_string());
        finish(start).await?;
        Ok(second)
    }

    /// Locks the table against all other sessions, as a long migration would.
    pub(crate) async fn hold_postgres(&self) -> Result<PostgresLock> {
        let mut psql = Command::new(&self.script)
            .args(["psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        let mut session = psql.stdin.take().context("psql has no input")?;
        let lock = "set lock_timeout = '2s'; begin; lock table products in access exclusive mode; select 'held';\n";
        session.write_all(lock.as_bytes()).await?;
        let mut output = BufReader::new(psql.stdout.take().context("psql has no output")?).lines();
        while let Some(line) = output.next_line().await? {
            if line == "held" {
                return Ok(PostgresLock { psql, session });
            }
        }
        anyhow::bail!("psql did not get the lock on the table")
    }
}

impl StoppedPart {
    pub(crate) async fn stop(&self) -> Result<()> {
        self.is_changed.set(true);
        run(&self.script, &["stop", self.name]).await.map(drop)
    }

    /// Starts or restarts it with additional settings: `SECTION__NAME=value`.
    pub(crate) async fn start(&self, settings: &[&str]) -> Result<()> {
        self.is_changed.set(true);
        run(&self.script, &[&["start", self.name], settings].concat()).await.map(drop)
    }

    /// Starts it with its original settings.
    pub(crate) async fn give_back(self) -> Result<()> {
        self.start(&[]).await?;
        self.is_changed.set(false);
        Ok(())
    }
}

impl Drop for StoppedPart {
    fn drop(&mut self) {
        if self.is_changed.get() {
            eprintln!("starting {} as it was", self.name);
            let started = std::process::Command::new(&self.script).args(["start", self.name]).status();
            if !started.is_ok_and(|status| status.success()) {
                eprintln!("{} did not start; `make up` starts it", self.name);
            }
        }
    }
}

impl SecondProcess {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn freeze(&self) -> Result<()> {
        run(&self.script, &["signal", SECOND, "STOP"]).await.map(drop)
    }

    pub(crate) async fn thaw(&self) -> Result<()> {
        run(&self.script, &["signal", SECOND, "CONT"]).await.map(drop)
    }

    /// Holds everything between it and Redis, without notice to either end.
    pub(crate) fn cut_off(&self) {
        self.proxy.hold();
    }

    pub(crate) fn reconnect(&self) {
        self.proxy.release();
    }
}

impl Drop for SecondProcess {
    fn drop(&mut self) {
        let run = |arguments: &[&str]| std::process::Command::new(&self.script).args(arguments).output();
        // A frozen process would not end.
        let _ = run(&["signal", SECOND, "CONT"]);
        let left = run(&[if self.is_of_the_stack { "start" } else { "stop" }, SECOND]);
        if !left.is_ok_and(|output| output.status.success()) {
            eprintln!("{SECOND} is not as it was; `make up` restores it");
        }
    }
}

impl PostgresLock {
    /// Releases the lock, so that waiting queries continue.
    pub(crate) async fn release(mut self) -> Result<()> {
        self.session.write_all(b"commit;\n").await?;
        // psql exits at the end of its input.
        drop(self.session);
        ensure!(self.psql.wait().await?.success(), "psql could not give the lock back");
        Ok(())
    }
}

async fn run(script: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(script);
    command.args(arguments);
    finish(command).await
}

/// Runs a command to its end, and returns its output.
async fn finish(mut command: Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?} failed: {}", command.as_std(), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
