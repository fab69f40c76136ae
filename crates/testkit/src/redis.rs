//! A private Redis (or Valkey) on loopback, without persistence, which is removed with the test.

mod cluster;
mod sentinels;
mod transport;
#[cfg(feature = "stack")]
mod users;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use supervise::tools;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

pub use self::cluster::RedisCluster;
use self::sentinels::Sentinel;
pub use self::sentinels::Sentinels;
pub use self::transport::{Certificates, Transport};
use crate::ports::free_port;
use crate::server::{ATTEMPTS, PrivateServer, output};
use crate::supervisor::Supervisor;

/// Returns the server that the tests start: the one that `TEST_REDIS_SERVER` names, or that of this machine.
fn program() -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "the setting of a test run, not of a program")]
    match std::env::var("TEST_REDIS_SERVER") {
        Ok(program) => Ok(program),
        Err(_) => Ok(tools::redis_server()?.to_string_lossy().into_owned()),
    }
}

/// Returns the settings of a server that requires a certificate of each client on `port`.
fn tls_settings(port: u16) -> [(&'static str, String); 5] {
    let Certificates { ca, server: [certificate, key], .. } = Certificates::get();
    let path = |path: &Path| path.to_string_lossy().into_owned();
    [
        ("tls-port", port.to_string()),
        ("tls-ca-cert-file", path(ca)),
        ("tls-cert-file", path(certificate)),
        ("tls-key-file", path(key)),
        ("tls-auth-clients", "yes".to_owned()),
    ]
}

/// Returns whether the directory of a server can have its socket when it is in this folder: the path of a socket has at most 107
/// bytes, and is a part of a URL.
fn fits_socket(folder: &Path) -> bool {
    let path = folder.as_os_str().as_encoded_bytes();
    path.len() < 70 && path.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

/// A running Redis server.
#[derive(Debug)]
pub struct Redis {
    server: PrivateServer,
    transport: Transport,
    /// The port without TLS.
    plain_port: u16,
    settings: Vec<(String, String)>,
    sentinel: Option<Sentinel>,
}

impl Deref for Redis {
    type Target = PrivateServer;

    fn deref(&self) -> &PrivateServer {
        &self.server
    }
}

impl Redis {
    /// Starts a server with eviction policy `volatile-lru` and no memory limit.
    pub async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts a server with settings that differ from the defaults, such as `("maxmemory-policy", "allkeys-lru")`.
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Self> {
        Self::launch(Self::supervisor()?, Transport::of_this_run(), settings).await
    }

    /// Starts a server that is reached over `transport`, instead of that of the test run.
    pub async fn start_over(transport: Transport) -> Result<Self> {
        Self::launch(Self::supervisor()?, transport, &[]).await
    }

    fn supervisor() -> Result<Supervisor> {
        Supervisor::new("redis", None, |shell| {
            if !fits_socket(&std::env::temp_dir()) {
                shell.env("TMPDIR", "/tmp");
            }
        })
    }

    async fn launch(supervisor: Supervisor, transport: Transport, settings: &[(&str, &str)]) -> Result<Self> {
        let settings = settings.iter().map(|(name, value)| (format!("--{name}"), (*value).to_owned())).collect();
        let server = PrivateServer { supervisor, port: 0 };
        let mut redis = Self { server, transport, plain_port: 0, settings, sentinel: None };
        let mut attempt = 1;
        loop {
            redis.server.port = free_port();
            redis.plain_port = if transport == Transport::Tls { free_port() } else { redis.port };
            match redis.run().await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        if transport == Transport::Sentinel {
            redis.sentinel = Some(Sentinel::watch(redis.port, transport, 1).await?);
        }
        Ok(redis)
    }

    /// Returns the address for the user with all rights.
    pub fn url(&self) -> String {
        match (self.transport, &self.sentinel) {
            (Transport::Unix, _) => format!("redis+unix://{}", self.socket().display()),
            (_, Some(sentinel)) => sentinel.url(),
            (transport, None) => transport.url(self.port),
        }
    }

    /// Returns the port on which the server can be reached without TLS.
    pub fn plain_port(&self) -> u16 {
        self.plain_port
    }

    /// Returns the path of its Unix socket.
    fn socket(&self) -> PathBuf {
        self.directory().join("redis.sock")
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

    /// Starts an empty server on the same port, after a kill or a stop, or as a restart.
    pub async fn restart(&self) -> Result<()> {
        if self.supervisor.is_alive() {
            self.kill().await?;
        }
        self.run().await
    }

    /// Runs `redis-cli` with these arguments and returns its output. An absent value is an empty string.
    pub async fn cli(&self, arguments: &[&str]) -> Result<String> {
        output(self.client()?.args(arguments)).await
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
        let mut client = Command::new(tools::redis_client()?);
        client.args(["-e", "-p", &self.plain_port.to_string()]);
        Ok(client)
    }

    async fn run(&self) -> Result<()> {
        let port = self.plain_port.to_string();
        let socket = self.socket().to_string_lossy().into_owned();
        let directory = self.supervisor.directory().to_string_lossy();
        let mut argv = vec![program()?];
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
        match self.transport {
            Transport::Tcp | Transport::Sentinel => {}
            Transport::Unix => argv.extend(["--unixsocket".to_owned(), socket]),
            Transport::Tls => {
                for (name, value) in tls_settings(self.port) {
                    argv.extend([format!("--{name}"), value]);
                }
            }
        }
        argv.extend(self.settings.iter().flat_map(|(name, value)| [name.clone(), value.clone()]));
        self.supervisor.spawn(argv)?;
        self.until_ready("Redis", Duration::from_secs(60), || self.answers()).await
    }

    /// Returns whether this process itself responds on the port, and not another server.
    async fn answers(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.plain_port)).await?;
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
        timeout(Duration::from_secs(2), ask).await.is_ok_and(|answer| answer.unwrap_or(false))
    }
}
