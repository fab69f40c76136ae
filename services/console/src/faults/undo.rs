//! Causes the faults, and undoes them.

use std::time::Duration;

use anyhow::{Context, Result};
use fred::types::Value;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Fault, Faults, Sign};
use crate::record::{Record, WriteRecord, now_ms};

/// The services' users in Redis.
const USERS: [&str; 4] = ["product-api", "cart", "search", "recommendation"];
/// The users that consume events.
const SUBSCRIBERS: [&str; 3] = ["cart", "search", "recommendation"];
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
                self.ask("product-api-2", "/faults/freeze", &millis).await?;
                // The process continues by itself, and cannot be asked to do so sooner.
                sleep(length).await;
                Ok(())
            }
            Fault::CrashAfterCommit => {
                self.ask("product-api", "/faults/crash-after-commit", &millis).await?;
                self.write_through_explicit().await;
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
        let listed = self.redis(&["CLIENT", "LIST"]).await?.into_string().context("a list of clients is a text")?;
        let has = |client: &str, word: &str| client.split(' ').any(|its| its == word);
        for client in listed.lines().filter(|client| has(client, &format!("user={user}"))) {
            if has(client, "cmd=xreadgroup") || has(client, "cmd=xread") {
                let id = client.split(' ').find_map(|word| word.strip_prefix("id=")).context("a client has an id")?;
                self.redis(&["CLIENT", "KILL", "ID", id]).await?;
            }
        }
        Ok(())
    }

    /// Makes the write that the process does not survive.
    async fn write_through_explicit(&self) {
        let Some(row) = self.0.board.row("explicit") else { return };
        let url = format!("{}/products/explicit/{}", self.0.upstreams.product_api().url, row.id);
        let sent = now_ms();
        let request = self.0.upstreams.client().put(url).json(&json!({ "price_cents": row.price_cents + 100 }));
        let status = request.send().await.map_or(0, |answer| answer.status().as_u16());
        if status == 0 {
            self.saw(Sign::Restart);
        }
        self.0.hub.emit(&Record::Write(WriteRecord {
            at_ms: sent,
            id: format!("w{}", self.0.hub.number()),
            cause: "crash-after-commit",
            strategy: Some(row.strategy),
            product_id: Some(row.id),
            version: None,
            commit_ms: None,
            acknowledged_ms: now_ms(),
            status,
            detail: None,
            token: None,
        }));
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
