//! One of the project's binaries, run as its users run it: controlled by its environment, its port and signals.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::supervisor::Supervisor;

/// A running program. It is killed when this value is dropped.
#[derive(Debug)]
pub struct ChildProcess {
    supervisor: Supervisor,
    program: String,
}

/// The exit of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code as a shell reports it: 128 + n when signal n killed it.
    pub code: i32,
    /// How long the exit took.
    pub took: Duration,
}

impl ChildProcess {
    /// Starts `command` with its program, arguments, environment and working directory. The output goes to a file.
    pub fn start(command: &Command) -> Result<Self> {
        let supervisor = Supervisor::new("process", None, |shell| {
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => shell.env(name, value),
                    None => shell.env_remove(name),
                };
            }
            if let Some(directory) = command.get_current_dir() {
                shell.current_dir(directory);
            }
        })?;
        supervisor.spawn(std::iter::once(command.get_program()).chain(command.get_args()))?;
        Ok(Self { supervisor, program: command.get_program().to_string_lossy().into_owned() })
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.supervisor.pid()
    }

    /// Returns whether the program is running.
    pub fn is_alive(&self) -> bool {
        self.supervisor.is_alive()
    }

    /// Returns what the program has written to standard output and error so far.
    pub fn output(&self) -> String {
        self.supervisor.output()
    }

    /// Waits until a GET of `url` (`http://host:port/path`) is answered with a status 2xx.
    pub async fn wait_for_http(&self, url: &str, at_most: Duration) -> Result<()> {
        let deadline = Instant::now() + at_most;
        loop {
            let answer = match timeout(Duration::from_secs(1), status(url)).await {
                Ok(Ok(status)) if (200..300).contains(&status) => return Ok(()),
                Ok(Ok(status)) => format!("the last answer was {status}"),
                Ok(Err(error)) => format!("the last attempt: {error:#}"),
                Err(_) => "the last attempt took more than 1 s".to_owned(),
            };
            let words = || self.supervisor.last_output();
            ensure!(self.is_alive(), "{} ended before {url} answered:\n{}", self.program, words());
            if Instant::now() > deadline {
                bail!("{url} did not answer with success within {at_most:?}; {answer}\n{}", words());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the program (`kill -9`) and waits until it is gone.
    pub async fn kill9(&self) -> Result<()> {
        self.supervisor.kill().await
    }

    /// Asks the program to exit (SIGTERM), and waits for at most 60 seconds.
    pub async fn term(&self) -> Result<Exit> {
        let start = Instant::now();
        self.supervisor.signal("TERM");
        self.wait(start).await
    }

    /// Waits until the program exits by itself, for at most 60 seconds.
    pub async fn exit(&self) -> Result<Exit> {
        self.wait(Instant::now()).await
    }

    /// Freezes the program.
    pub fn pause(&self) {
        self.supervisor.signal("STOP");
    }

    /// Resumes the program.
    pub fn resume(&self) {
        self.supervisor.signal("CONT");
    }

    async fn wait(&self, start: Instant) -> Result<Exit> {
        let code = self.supervisor.reap(Duration::from_secs(60)).await?;
        Ok(Exit { code, took: start.elapsed() })
    }
}

async fn status(url: &str) -> Result<u16> {
    let rest = url.strip_prefix("http://").context("only http:// addresses can be waited for")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut head = [0; 12]; // "HTTP/1.1 200"
    stream.read_exact(&mut head).await?;
    std::str::from_utf8(&head[9..])?.parse().context("the answer is not HTTP")
}
