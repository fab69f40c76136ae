//! A private Redis (or Valkey): nothing on disk, on loopback, gone with the test.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
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

    /// Starts a server with settings of `redis.conf` that differ, such as `("maxmemory-policy", "allkeys-lru")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        let program = tools::find(&["redis-server", "valkey-server"])?;
        let supervisor = Supervisor::new("redis", None, |_| ())?;
        let settings = settings.iter().map(|(name, value)| (format!("--{name}"), (*value).to_owned())).collect();
        let mut redis = Self { supervisor, program, settings, port: 0 };
        let mut attempt = 1;
        loop {
            redis.port = free_port();
            match redis.run().await {
                Ok(()) => return Ok(redis),
                Err(error) if attempt == 5 => return Err(error),
                Err(_) => attempt += 1, // most likely, somebody else took the port
            }
        }
    }

    /// `redis://127.0.0.1:port`
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port, which a restart keeps.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.supervisor.pid()
    }

    /// Ends the server in good order.
    pub async fn stop(&self) -> Result<()> {
        self.supervisor.signal("TERM");
        self.supervisor.reap(Duration::from_secs(10)).await?;
        Ok(())
    }

    /// `kill -9`: connections break at once.
    pub async fn kill(&self) -> Result<()> {
        self.supervisor.kill().await
    }

    /// Freezes the server: connections stay open, nothing is answered.
    pub fn pause(&self) {
        self.supervisor.signal("STOP");
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.supervisor.signal("CONT");
    }

    /// An empty server on the same port, after a kill or a stop, or in place of the running one.
    pub async fn restart(&self) -> Result<()> {
        if self.supervisor.is_alive() {
            self.kill().await?;
        }
        self.run().await
    }

    /// Runs `redis-cli` with these arguments and returns what it prints; an absent value is an empty string.
    pub async fn cli(&self, arguments: &[&str]) -> Result<String> {
        let program = tools::find(&["redis-cli", "valkey-cli"])?;
        tools::run(Command::new(program).args(["-e", "-p", &self.port.to_string()]).args(arguments)).await
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
                bail!("Redis ended while it started:\n{}", self.supervisor.last_words());
            }
            if Instant::now() > deadline {
                self.kill().await?;
                bail!("Redis did not answer within 10 s:\n{}", self.supervisor.last_words());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// Whether this very process answers on the port, not somebody else's.
    async fn answers(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(b"INFO server\r\n").await?;
            let (mut reply, needle) = (Vec::new(), format!("\r\nprocess_id:{}\r\n", self.pid()).into_bytes());
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
