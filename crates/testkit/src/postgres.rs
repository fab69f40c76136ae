//! A private Postgres: a new cluster in a temporary directory, on loopback, without passwords.
//!
//! It does not wait for the disk (`fsync` is off), so it is fast and would not survive a power failure. A killed server
//! still keeps every acknowledged commit, because `synchronous_commit` is on and the kernel has the data.

mod database;
mod query;
mod states;
mod tls;

pub use database::{Database, HeldLock};
pub use states::FOREIGN_SETTINGS;

use std::future::ready;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use supervise::process::Owner;
use supervise::tools;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::server::{ATTEMPTS, PrivateServer};
use crate::supervisor::Supervisor;

/// A running Postgres server.
#[derive(Debug)]
pub struct Postgres(PrivateServer);

impl Deref for Postgres {
    type Target = PrivateServer;

    fn deref(&self) -> &PrivateServer {
        &self.0
    }
}

impl Postgres {
    /// Creates a cluster and starts its server, which takes one to two seconds. Most tests use [`shared_database`]
    /// instead.
    pub async fn start() -> Result<Self> {
        let mut postgres = Self::create().await?;
        postgres.launch().await?;
        Ok(postgres)
    }

    async fn create() -> Result<Self> {
        let supervisor = Supervisor::new("postgres", Owner::current().other(), |_| ())?;
        let postgres = Self(PrivateServer { supervisor, port: 0 });
        postgres.create_cluster().await?;
        Ok(postgres)
    }

    async fn launch(&mut self) -> Result<()> {
        let mut attempt = 1;
        loop {
            self.0.port = free_port();
            match self.run().await {
                Err(_) if attempt < ATTEMPTS => attempt += 1,
                started => return started,
            }
        }
    }

    /// Returns the server that all tests of this process share. Each test uses its own database, see
    /// [`shared_database`].
    ///
    /// # Panics
    /// Panics if the server cannot be started; the message says what to do.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        match SHARED.get_or_try_init(Self::start).await {
            Ok(server) => server,
            Err(error) => panic!("no Postgres for this test: {error:#}"),
        }
    }

    /// Returns the address of a database, for a superuser without a password.
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// Creates an empty database and returns its address.
    pub async fn create_database(&self, name: &str) -> Result<String> {
        // Postgres allows no other connection to template1 during the copy, and two tests may create a database at the
        // same time.
        self.sql("postgres", &format!("CREATE DATABASE \"{name}\" TEMPLATE template0")).await?;
        Ok(self.url(name))
    }

    /// Runs SQL in one transaction, and returns its rows as `psql --tuples-only --no-align` prints them: one line per
    /// row, with columns separated by `|`.
    pub async fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.sql_as("postgres", database, sql).await
    }

    /// Does the same as [`sql`](Self::sql), connected as this role, which needs no password either.
    pub async fn sql_as(&self, role: &str, database: &str, sql: &str) -> Result<String> {
        query::run(&self.url_as(role, database), sql)
            .await
            .map_err(|error| anyhow!("{role} in {database}: {sql}: {error:#}"))
    }

    /// Returns a `psql` command, which takes statements as arguments, or line by line on its input.
    pub fn client(&self, database: &str) -> Result<Command> {
        let mut client = Command::new(tools::postgres_folder()?.join("psql"));
        client.args(["-X", "-q", "-A", "-t", "-d", &self.url(database)]);
        Ok(client)
    }

    fn url_as(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// Shuts the server down in an orderly way; open connections are closed.
    pub async fn stop(&self) -> Result<()> {
        self.supervisor.signal("INT");
        self.supervisor.reap(Duration::from_secs(20)).await?;
        Ok(())
    }

    /// Starts the server with the same data on the same port, after a kill or a stop, or as a restart.
    pub async fn restart(&self) -> Result<()> {
        if self.supervisor.is_alive() {
            self.stop().await?;
        }
        // After a kill, the last backend may take a moment to release the shared memory.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.run().await {
                Err(error) if error.to_string().contains("shared memory block") && Instant::now() < deadline => {
                    sleep(Duration::from_millis(50)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn create_cluster(&self) -> Result<()> {
        let options = ["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres"];
        let mut argv = program("initdb")?;
        argv.extend(options.map(str::to_owned));
        argv.push(self.data());
        self.supervisor.spawn(argv)?;
        let code = self.supervisor.reap(Duration::from_secs(300)).await?;
        ensure!(code == 0, "initdb failed with code {code}:\n{}", self.supervisor.last_output());
        Ok(())
    }

    async fn run(&self) -> Result<()> {
        let mut argv = program("postgres")?;
        argv.extend(["-D".to_owned(), self.data(), "-p".to_owned(), self.port.to_string()]);
        let settings = [
            // Without a socket, because clients use TCP, and the path of the temporary folder may be unfit for one.
            "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200", "fsync=off",
            "full_page_writes=off",
            // With hundreds of small databases, its workers would start several times a second.
            "autovacuum=off",
        ];
        argv.extend(settings.iter().flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]));
        self.supervisor.spawn(argv)?;
        self.until_ready("Postgres", Duration::from_secs(120), || ready(self.is_ready())).await
    }

    /// Returns whether this process itself accepts connections, according to its pid file, which `pg_ctl` reads too.
    fn is_ready(&self) -> bool {
        let file = std::fs::read_to_string(format!("{}/postmaster.pid", self.data())).unwrap_or_default();
        let mut lines = file.lines();
        lines.next() == Some(&self.pid().to_string()) && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }

    fn data(&self) -> String {
        self.supervisor.directory().join("data").to_string_lossy().into_owned()
    }
}

/// Returns the words that start a program of Postgres, which refuses to run as root.
fn program(name: &str) -> Result<Vec<String>> {
    let mut words = Owner::current().prefix();
    words.push(tools::postgres_folder()?.join(name).to_string_lossy().into_owned());
    Ok(words)
}

/// Returns the address of a new, empty database on the server that all tests of this process share.
///
/// # Panics
/// Panics if no server can be started or no database can be created; the message says what to do.
pub async fn shared_database() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    match Postgres::shared().await.create_database(&name).await {
        Ok(url) => url,
        Err(error) => panic!("no database for this test: {error:#}"),
    }
}
