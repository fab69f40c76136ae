//! A private Redis (or Valkey) on loopback, without persistence, which is removed with the test.

#[cfg(feature = "stack")]
mod users;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::free_port;
use crate::supervisor::Supervisor;
use crate::tools;

/// A running Redis server.
#[derive(Debug)]
pub struct Redis {
    supervisor: Supervisor,
    program: PathBuf,
    settings: Vec<(String, String)>,
    port: u16,
}

impl Redis {
    /// Starts a server with eviction policy `volatile-lru` and no memory limit.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with settings that differ from the defaults, such as `("maxmemory-policy", "allkeys-lru")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        Self::launch(Self::supervisor()?, settings).await
    }

    fn supervisor() -> Result<Supervisor> {
        Supervisor::new("redis", None, |_| ())
    }

    async fn launch(supervisor: Supervisor, settings: &[(&str, &str)]) -> Result<Self> {
        let program = tools::find(&["redis-server", "valkey-server"])?;
        let settings = settings.iter().map(|(name, value)| (format!("--{name}"), (*value).to_owned())).collect();
        let mut redis = Self { supervisor, program, settings, port: 0 };
        let mut attempt = 1;
        loop {
            redis.port = free_port();
            match redis.run().await {
                Ok(()) => return Ok(redis),
                Err(error) if attempt == 5 => return Err(error),
                Err(_) => attempt += 1, // most likely, another process took the port
            }
        }
    }

    /// Returns the address for the user with all rights: `redis://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the port, which a restart keeps.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process id of the server.
    pub fn pid(&self) -> u32 {
        self.supervisor.pid()
    }

    /// Returns whether the server is running.
    pub fn is_alive(&self) -> bool {
        self.supervisor.is_alive()
    }

    /// Returns its directory, to which SAVE writes.
    pub fn directory(&self) -> &Path {
        self.supervisor.directory()
    }

    /// Shuts the server down in an orderly way.
    pub async fn stop(&self) -> Result<()> {
        self.supervisor.signal("TERM");
        self.supervisor.reap(Duration::from_secs(10)).await?;
        Ok(())
    }

    /// Kills the server (`kill -9`): connections break at once.
    pub async fn kill(&self) -> Result<()> {
        self.supervisor.kill().await
    }

    /// Freezes the server: connections stay open, and commands get no reply.
    pub fn pause(&self) {
        self.supervisor.signal("STOP");
    }

    /// Resumes the server.
    pub fn resume(&self) {
        self.supervisor.signal("CONT");
    }

    /// Starts an empty server on the same port, after a kill or a stop, or as a restart.
    pub async fn restart(&self) -> Result<()> {
        if self.supervisor.is_alive() {
            self.kill().await?;
        }
        self.run().await
    }

    /// Runs `redis-cli` with these arguments and returns its output. An absent value is an empty string.
    pub async fn cli(&self, arguments: &[&str]) -> Result<String> {
        tools::run(self.client()?.args(arguments)).await
    }

    /// Appends events with these numbers to a stream in one step, so that one consumer receives all of them.
    ///
    /// # Panics
    /// Panics if Redis refuses the command.
    pub async fn append_events(&self, stream: &str, events: &[(u64, Value)]) {
        let append = "for i = 1, #ARGV, 2 do redis.call('XADD', KEYS[1], ARGV[i], 'event', ARGV[i + 1]) end";
        let mut command = ["EVAL", append, "1", stream].map(str::to_owned).to_vec();
        for (seq, event) in events {
            let text = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
            command.extend([format!("{seq}-0"), text]);
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        self.cli(&command).await.expect("the test's own command");
    }

    /// Returns a `redis-cli` command, which takes commands as arguments, or line by line on its input.
    pub fn client(&self) -> Result<Command> {
        let mut client = Command::new(tools::find(&["redis-cli", "valkey-cli"])?);
        client.args(["-e", "-p", &self.port.to_string()]);
        Ok(client)
    }

    async fn run(&self) -> Result<()> {
        let port = self.port.to_string();
        let directory = self.supervisor.directory().to_string_lossy();
        let mut argv = vec![self.program.to_string_lossy().into_owned()];
        for (name, value) in [
            ("--bind", "127.0.0.1"),
            ("--port", &port),
            ("--dir", &directory),
            ("--save", ""),
            ("--appendonly", "no"),
            ("--maxmemory-policy", "volatile-lru"),
        ] {
            argv.extend([name.to_owned(), value.to_owned()]);
        }
        argv.extend(self.settings.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        self.supervisor.spawn(argv)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.answers().await {
            if !self.supervisor.is_alive() {
                self.supervisor.reap(Duration::ZERO).await?;
                bail!("Redis ended while it started:\n{}", self.supervisor.last_output());
            }
            if Instant::now() > deadline {
                self.kill().await?;
                bail!("Redis did not answer within 10 s:\n{}", self.supervisor.last_output());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Returns whether this process itself responds on the port, and not another server.
    async fn answers(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            // The directory is unique to this server. INFO is not used, because a test may have renamed it.
            stream.write_all(b"CONFIG GET dir\r\n").await?;
            let folder = self.supervisor.directory().canonicalize()?;
            let (mut reply, needle) = (Vec::new(), format!("\r\n{}\r\n", folder.display()).into_bytes());
            while stream.read_buf(&mut reply).await? > 0 {
                if reply.windows(needle.len()).any(|part| part == needle) {
                    return Ok(true);
                }
            }
            std::io::Result::Ok(false)
        };
        timeout(Duration::from_millis(200), ask).await.is_ok_and(|answer| answer.unwrap_or(false))
    }
}
