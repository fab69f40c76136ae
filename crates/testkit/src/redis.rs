//! A private Redis (or Valkey): nothing on disk, on loopback, gone with the test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};

use crate::ports::free_port;
use crate::supervisor::Supervisor;
use crate::tools;

/// The users of the stack and how they are rendered, so that a test's services may do what they may do there.
const TEMPLATE: &str = include_str!("../../../deploy/redis/users.acl.template");
const RENDER: &str = include_str!("../../../deploy/redis/render-acl");

/// The password of every user but `default`: the tests themselves need none.
const PASSWORD: &str = "of-a-test";

/// A running Redis server, with the users of the stack.
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
        let users = users(supervisor.directory()).await?;
        let all = [&[("aclfile", &*users)], settings].concat();
        let settings = all.iter().map(|(name, value)| (format!("--{name}"), (*value).to_owned())).collect();
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

    /// `redis://127.0.0.1:port`, where everything is allowed.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same as the user of a service: what it may not do in the stack, is refused here as well.
    pub fn url_of(&self, service: &str) -> String {
        format!("redis://{service}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The port, which a restart keeps.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.supervisor.pid()
    }

    /// Whether it has not ended.
    pub fn is_alive(&self) -> bool {
        self.supervisor.is_alive()
    }

    /// Its directory, where it saves when it is told to.
    pub fn directory(&self) -> &Path {
        self.supervisor.directory()
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
        tools::run(self.client()?.args(arguments)).await
    }

    /// Takes away a service's rights on keys that are not its own: the streams of others.
    pub async fn revoke_stream_access(&self, service: &str) -> Result<()> {
        self.cli(&["ACL", "SETUSER", service, "clearselectors"]).await.map(drop)
    }

    /// Gives all users their rights of the start again.
    pub async fn restore_users(&self) -> Result<()> {
        self.cli(&["ACL", "LOAD"]).await.map(drop)
    }

    /// `redis-cli`, which takes commands as arguments, or line by line as its input.
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

    /// Whether this very process answers on the port, not somebody else's.
    async fn answers(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            // Its folder is its own, and a test may have renamed INFO.
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

/// Writes the file of users, and returns its path.
async fn users(directory: &Path) -> Result<String> {
    // The same for every server of this process.
    static USERS: OnceCell<String> = OnceCell::const_new();
    let users = USERS.get_or_try_init(|| render_users(directory)).await?;
    let file = directory.join("users.acl");
    std::fs::write(&file, users)?;
    Ok(file.to_string_lossy().into_owned())
}

async fn render_users(directory: &Path) -> Result<String> {
    std::fs::write(directory.join("users.acl.template"), TEMPLATE)?;
    let mut render = Command::new("sh");
    // It looks for the template beside itself.
    render.arg("-c").arg(RENDER).arg(directory.join("render-acl"));
    for user in ["ADMIN", "PRODUCT_API", "CART", "SEARCH", "RECOMMENDATION"] {
        render.env(format!("REDIS_{user}_PASSWORD"), PASSWORD);
    }
    let users = tools::run(&mut render).await?;
    Ok(users.replacen(&format!("user default reset on >{PASSWORD}"), "user default reset on nopass", 1))
}
