//! The running stack, natively or in Compose, controlled by its script, with proxies between its services and their
//! stores.
//!
//! The proxies belong to this process. So the services are restarted to use them, and restarted without them at the
//! end. A client program of a store keeps running: starting one for each question would take longer than some faults
//! last.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::private_system::{Proxies, Replica, Service};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Timeout of the stack's script; longer than the script's own timeouts.
const TIMEOUT: Duration = Duration::from_secs(180);
/// Maximum time until a command reaches Redis through the proxy.
const REACH: Duration = Duration::from_secs(10);

/// The second process of the product API. It runs in every fault, and the checker reads and writes through both.
pub(super) const SECOND: Replica = Service::ProductApi.second();

#[derive(Debug)]
pub(super) struct Stack {
    script: PathBuf,
    pub(super) kind: String,
    /// The base URLs, in the order of [`Replica::all`].
    urls: Vec<String>,
    /// Whether the stack itself runs two processes of each service.
    is_doubled: bool,
    pub(super) proxies: Option<Proxies>,
    /// Whether Redis is started with a disk to which it can save.
    pub(super) on_disk: AtomicBool,
}

/// Returns every process of the services that runs during a fault.
pub(super) fn running() -> impl Iterator<Item = Replica> {
    Service::ALL.into_iter().map(Service::first).chain([SECOND])
}

impl Stack {
    /// Returns the stack that `script` controls.
    pub(super) async fn of(script: &Path) -> Result<Self> {
        let script = script.canonicalize().context("the script of the stack cannot be found")?;
        let on_disk = AtomicBool::new(false);
        let mut stack =
            Self { script, kind: String::new(), urls: Vec::new(), is_doubled: false, proxies: None, on_disk };
        stack.kind = stack.run(&["kind"]).await?;
        stack.is_doubled = stack.run(&["replicas"]).await? == "2";
        for replica in Replica::all() {
            let url = stack.run(&["url", replica.name()]).await?;
            stack.urls.push(url);
        }
        Ok(stack)
    }

    pub(super) fn url(&self, replica: Replica) -> &str {
        &self.urls[replica.index()]
    }

    /// Puts proxies in front of Postgres and Redis, and restarts the services so that they use them, with a second process of
    /// the product API.
    pub(super) async fn add_proxies(&mut self) -> Result<()> {
        let us: IpAddr = self
            .run(&["address"])
            .await?
            .parse()
            .context("the address of this machine in the stack's network is invalid")?;
        let mut ports = [0; 2];
        for (store, port) in ["postgres", "redis"].into_iter().zip(&mut ports) {
            let at = self.run(&["address", store]).await?;
            let number = at.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
            *port = number.with_context(|| format!("where {store} is: {at:?}"))?;
        }
        let proxies = Proxies::at(us, ports[0], ports[1]).await?;
        // The PING runs where Redis runs, which in Compose is the network of the services.
        let port = proxies.redis.port().to_string();
        let ping = ["-h", &us.to_string(), "-p", &port, "PING"];
        let reply = timeout(REACH, self.run(&[&["redis-cli"], &ping[..]].concat())).await;
        let reached = reply.is_ok_and(|reply| reply.is_ok_and(|reply| reply == "PONG"));
        ensure!(
            reached,
            "Redis does not run, or the services cannot reach this process at {us}:{port}: does a firewall keep containers from this machine, or \
             does the Docker engine run on another one?"
        );
        self.proxies = Some(proxies);
        self.start_services().await
    }

    /// Restarts the services with their original settings.
    pub(super) async fn remove_proxies(&mut self) -> Result<()> {
        self.proxies = None;
        if !self.is_doubled {
            self.run(&["stop", SECOND.name()]).await?;
        }
        self.start_services().await
    }

    async fn start_services(&self) -> Result<()> {
        let doubles = |replica: &Replica| self.is_doubled || self.proxies.is_some() && *replica == SECOND;
        for replica in Replica::all().filter(|replica| !replica.is_second || doubles(replica)) {
            self.run(&["start", replica.name()]).await?;
        }
        Ok(())
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        // Ctrl-C must reach only this process, which has to restore the system first.
        command.process_group(0);
        if let Some(proxies) = &self.proxies {
            let of_second =
                Replica::all().any(|replica| replica.is_second && arguments.get(1) == Some(&replica.name()));
            let redis = if of_second { &proxies.redis_of_second } else { &proxies.redis };
            command.env("POSTGRES_AT", proxies.postgres.address().to_string());
            command.env("REDIS_AT", redis.address().to_string());
        }
        if self.on_disk.load(Relaxed) {
            command.env("REDIS_ON_DISK", "1");
        }
        command
    }

    /// Runs the script, and returns its output.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<String> {
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        let line = || format!("`{} {}`", self.script.display(), arguments.join(" "));
        let Ok(output) = timeout(TIMEOUT, self.command(arguments).output()).await else {
            bail!("{} takes longer than {TIMEOUT:?}", line())
        };
        let output = output.with_context(line)?;
        ensure!(output.status.success(), "{}: {} {}", line(), said(&output.stderr), said(&output.stdout));
        Ok(said(&output.stdout))
    }
}

/// The running program. It is killed when this value is dropped.
#[derive(Debug)]
pub(super) struct StoreClient {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _program: Child,
}

impl StoreClient {
    pub(super) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut program = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        let input = program.stdin.take().context("the program has no standard input")?;
        let output = BufReader::new(program.stdout.take().context("the program has no standard output")?);
        Ok(Self { input, output, _program: program })
    }

    /// Sends a line whose reply is one line, and returns the reply.
    pub(super) async fn ask(&mut self, line: &str) -> Result<String> {
        self.input.write_all(format!("{line}\n").as_bytes()).await.context("the client has ended")?;
        self.line().await
    }

    /// Runs a statement in psql, and returns its rows.
    pub(super) async fn sql(&mut self, statement: &str) -> Result<Vec<String>> {
        let lines = format!("{statement};\n\\echo failed: :ERROR\n");
        self.input.write_all(lines.as_bytes()).await.context("psql has ended")?;
        let mut rows = Vec::new();
        loop {
            let line = self.line().await?;
            match line.strip_prefix("failed: ") {
                Some(failed) => {
                    ensure!(failed == "false", "the statement was refused: {statement}");
                    return Ok(rows);
                }
                None => rows.push(line),
            }
        }
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line).await? > 0, "the client has ended");
        Ok(line.trim_end().to_owned())
    }
}
