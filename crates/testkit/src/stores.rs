//! The Redis and the database of a service in one test.

use std::path::Path;
use std::process::Command;

use crate::eventually::{SOON, eventually};
use crate::{Database, Postgres, Redis};

/// The settings of every service, unless its test overrides them. A busy machine must not look like a Redis that is
/// down.
const DEFAULTS: [(&str, &str); 6] = [
    ("HTTP__HOST", "127.0.0.1"),
    ("HTTP__PORT", "0"),
    ("HTTP__WORKERS", "2"),
    ("LOG__FILTER", "info"),
    ("POSTGRES__MAX_CONNECTIONS", "8"),
    ("REDIS__COMMAND_TIMEOUT", "2s"),
];

/// Returns the command that starts a service. Its user in Redis has the name of the program.
///
/// # Panics
/// Panics if the path names no program.
pub fn service_command(
    program: &Path, redis: &Redis, database: Option<&Database>, settings: &[(&str, &str)],
) -> Command {
    let user = program.file_name().expect("a program").to_string_lossy();
    let mut command = Command::new(program);
    command.env_remove("CONFIG_FILE").envs(DEFAULTS).env("REDIS__URL", redis.url_of(&user));
    if let Some(database) = database {
        command.env("POSTGRES__URL", database.url());
    }
    command.envs(settings.iter().copied());
    command
}

/// The stores of one service. The service has the same name in Postgres, in Redis and as a consumer group.
#[derive(Debug)]
pub struct Stores {
    /// The Redis, which the services that it depends on share.
    pub redis: Redis,
    /// The service's own database.
    pub database: Database,
    service: &'static str,
}

impl Stores {
    /// Starts a Redis, and creates a database on the server that all tests of this process share.
    ///
    /// # Panics
    /// Panics if a store cannot be started, as all functions that start stores do.
    pub async fn start(service: &'static str) -> Self {
        Self::with_redis(service, Redis::start_with_users(&[]).await.expect("a private Redis")).await
    }

    /// Does the same with this Redis.
    pub async fn with_redis(service: &'static str, redis: Redis) -> Self {
        Self { redis, database: Database::shared().await, service }
    }

    /// Does the same with a database on a server that the test may stop.
    pub async fn on(service: &'static str, postgres: &Postgres) -> Self {
        let redis = Redis::start_with_users(&[]).await.expect("a private Redis");
        Self { redis, database: Database::on(postgres, service).await, service }
    }

    /// Runs SQL in the service's database; see [`Database::sql`].
    pub async fn sql(&self, sql: &str) -> String {
        self.database.sql(sql).await
    }

    /// Runs SQL in the service's database that may be refused.
    ///
    /// # Errors
    /// Returns the error of the server or of the connection.
    pub async fn try_sql(&self, sql: &str) -> anyhow::Result<String> {
        self.database.try_sql(sql).await
    }

    /// Runs `redis-cli`.
    ///
    /// # Panics
    /// Panics if the command fails.
    pub async fn redis(&self, arguments: &[&str]) -> String {
        self.redis.cli(arguments).await.expect("the test's own command")
    }

    /// Waits until that many statements of the service wait for a lock.
    pub async fn until_waiting(&self, count: usize) {
        self.database.until_waiting(self.service, count).await;
    }

    /// Ends the statements of the service that wait for a lock; see [`Database::end_waiting`].
    pub async fn end_waiting(&self) {
        self.database.end_waiting(self.service).await;
    }

    /// Waits until every event of the service's outbox is in the stream.
    pub async fn until_published(&self) {
        self.database.until_published().await;
    }

    /// Returns the events that members of the service's group have received and not yet acknowledged: the number of
    /// each, and its consumer.
    pub async fn pending(&self, stream: &str) -> Vec<(u64, String)> {
        let pending = self.redis(&["XPENDING", stream, self.service, "-", "+", "100"]).await;
        let lines: Vec<&str> = pending.lines().collect();
        // XPENDING returns for each entry its id, the consumer, the idle time, and the number of deliveries.
        let number = |id: &str| id.trim_end_matches("-0").parse().expect("a number");
        lines.chunks_exact(4).map(|entry| (number(entry[0]), entry[1].to_owned())).collect()
    }

    /// Makes these events of [`pending`](Self::pending) look as if their consumer had received them an hour ago, so that a
    /// peer may claim them. A test of a takeover need not wait for that, and can keep claims from happening sooner.
    pub async fn make_idle(&self, stream: &str, pending: &[(u64, String)]) {
        for (seq, consumer) in pending {
            let id = format!("{seq}-0");
            self.redis(&["XCLAIM", stream, self.service, consumer, "0", &id, "IDLE", "3600000", "JUSTID"]).await;
        }
    }

    /// Returns whether the service's group has applied every event of a stream up to `seq`.
    pub async fn has_applied(&self, stream: &str, seq: u64) -> bool {
        let script = "for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
                          if group[2] == ARGV[1] and group[6] == 0 then return group[8] end
                      end return '0-0'";
        let last = self.redis(&["EVAL", script, "1", stream, self.service]).await;
        last.split_once('-').and_then(|(last, _)| last.parse::<u64>().ok()).is_some_and(|last| last >= seq)
    }

    /// Waits until the service's group has applied every event of a stream up to `seq`.
    pub async fn until_applied(&self, stream: &str, seq: u64) {
        let what = format!("event {seq} of {stream} to be applied");
        eventually(&what, SOON, async || self.has_applied(stream, seq).await).await;
    }
}
