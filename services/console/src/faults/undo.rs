//! Causes the faults, and undoes them.

use std::time::Duration;

use anyhow::{Context, Result};
use fred::types::Value;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Fault, Faults};
use crate::product_write;

/// The services' users in Redis.
const USERS: [&str; 4] = ["product-api", "cart", "search", "recommendation"];
/// The users that consume events.
const SUBSCRIBERS: [&str; 3] = ["cart", "search", "recommendation"];
/// The process that can be frozen.
const SECOND: &str = "product-api-2";
/// Maximum time until it is frozen.
const FREEZE: Duration = Duration::from_secs(2);
/// A read from its memory that takes longer shows that it is frozen.
const READ: Duration = Duration::from_millis(10);
/// The stream of product events.
const STREAM: &str = "product:events";
/// The lock of the slow database, and the pause between two.
const LOCK: Duration = Duration::from_millis(300);
const UNLOCKED: Duration = Duration::from_millis(150);

impl Faults {
    /// Causes a fault, waits until its time is over or `ends` is cancelled, and undoes it.
    pub(super) async fn cause(&self, fault: Fault, length: Duration, ends: &CancellationToken) -> Result<()> {
        let millis = length.as_millis().to_string();
        let over = async || {
            tokio::select! {
                () = sleep(length) => {}
                () = ends.cancelled() => {}
            }
        };
        match fault {
            Fault::RedisFrozen => {
                self.redis(&["CLIENT", "PAUSE", &millis, "ALL"]).await?;
                // Redis also delays the command that would end the pause.
                sleep(length).await;
                Ok(())
            }
            Fault::SlowDatabase => {
                let locking = async {
                    loop {
                        self.0.database.lock_products(LOCK).await?;
                        sleep(UNLOCKED).await;
                    }
                };
                tokio::select! {
                    failed = locking => failed,
                    () = over() => Ok(()),
                }
            }
            Fault::ReplicaFrozen => {
                self.ask(SECOND, "/faults/freeze", &millis).await?;
                self.read_until_frozen(SECOND).await?;
                self.write("production", fault).await;
                // The process continues by itself, and cannot be asked to do so sooner.
                sleep(length).await;
                Ok(())
            }
            Fault::CrashAfterCommit => {
                self.ask("product-api", "/faults/crash-after-commit", &millis).await?;
                self.write("explicit", fault).await;
                over().await;
                Ok(())
            }
            Fault::RedisStopped | Fault::EventsDropped | Fault::EventsLate | Fault::SubscriberPaused => {
                let mut caused = self.forbid(fault).await;
                if caused.is_ok() {
                    over().await;
                    if fault == Fault::EventsDropped {
                        // While no service may read: what was published since is lost.
                        caused = self.redis(&["XTRIM", STREAM, "MAXLEN", "1"]).await.map(drop);
                    }
                }
                // Also if it was caused in part.
                self.allow_except(fault).await.and(caused)
            }
        }
    }

    /// Takes back every rule that a fault may have set: an earlier console may have been killed meanwhile.
    pub(crate) async fn undo_all(&self) -> Result<()> {
        if self.0.is_enabled && self.0.redis.is_known() {
            self.redis(&["ACL", "LOAD"]).await?;
        }
        Ok(())
    }

    /// Gives the users the rights of the file again, except for what other faults take from them now.
    async fn allow_except(&self, ended: Fault) -> Result<()> {
        self.redis(&["ACL", "LOAD"]).await?;
        let others: Vec<Fault> = self
            .states()
            .iter()
            .filter(|(fault, running)| **fault != ended && running.ends.is_some())
            .map(|(fault, _)| *fault)
            .collect();
        for fault in others {
            self.forbid(fault).await?;
        }
        Ok(())
    }

    /// Takes rights from users; does nothing for faults of another kind.
    async fn forbid(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::RedisStopped => {
                for user in USERS {
                    self.redis(&["ACL", "SETUSER", user, "off"]).await?;
                    self.redis(&["CLIENT", "KILL", "USER", user]).await?;
                }
            }
            Fault::EventsLate => drop(self.redis(&["ACL", "SETUSER", "product-api", "-xadd"]).await?),
            Fault::SubscriberPaused => self.forbid_reading("cart").await?,
            Fault::EventsDropped => {
                for user in SUBSCRIBERS {
                    self.forbid_reading(user).await?;
                }
            }
            Fault::RedisFrozen | Fault::ReplicaFrozen | Fault::SlowDatabase | Fault::CrashAfterCommit => {}
        }
        Ok(())
    }

    /// Takes the rights on the streams of other services. A command that waits for events was allowed when it was sent, so
    /// its connection is closed.
    async fn forbid_reading(&self, user: &str) -> Result<()> {
        self.redis(&["ACL", "SETUSER", user, "clearselectors"]).await?;
        let listed = self.redis(&["CLIENT", "LIST"]).await?.into_string().context("the list of clients is not text")?;
        let has = |client: &str, word: &str| client.split(' ').any(|its| its == word);
        for client in listed.lines().filter(|client| has(client, &format!("user={user}"))) {
            if has(client, "cmd=xreadgroup") || has(client, "cmd=xread") {
                let id = client.split(' ').find_map(|word| word.strip_prefix("id=")).context("the client has no id")?;
                self.redis(&["CLIENT", "KILL", "ID", id]).await?;
            }
        }
        Ok(())
    }

    /// Makes the write that is the point of a fault.
    async fn write(&self, strategy: &str, cause: Fault) {
        let Some(row) = self.0.board.row(strategy) else { return };
        let write = product_write::change_price(&self.0.board, &row, row.price_cents + 100, cause.name()).await;
        self.saw_write(&write);
    }

    /// Keeps the product of production in the memory of a process by reading it there, until the process is frozen.
    async fn read_until_frozen(&self, service: &str) -> Result<()> {
        let upstreams = &self.0.upstreams;
        let process = upstreams.named(service).with_context(|| format!("there is no {service}"))?;
        let row = self.0.board.row("production").context("the board has no products yet")?;
        let path = format!("/products/production/{}", row.id);
        let reading = async {
            while upstreams.get(process, &path).timeout(READ).send().await.is_ok() {
                sleep(READ / 5).await;
            }
        };
        timeout(FREEZE, reading).await.with_context(|| format!("{service} was not frozen within {FREEZE:?}"))
    }

    async fn ask(&self, service: &str, path: &str, millis: &str) -> Result<()> {
        let upstreams = &self.0.upstreams;
        let process = upstreams.named(service).with_context(|| format!("there is no {service}"))?;
        let request = upstreams.client().post(format!("{}{path}", process.url)).headers(upstreams.operator(path));
        request.json(&json!({ "millis": millis.parse::<u64>()? })).send().await?.error_for_status()?;
        Ok(())
    }

    async fn redis(&self, words: &[&str]) -> Result<Value> {
        self.0.redis.run(words).await.with_context(|| words.join(" "))
    }
}
