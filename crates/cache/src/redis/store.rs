//! The operations of the cache on Redis, each one command or one script: leases and commits here, reads (`reads.rs`),
//! invalidations (`removals.rs`), write guards (`guards.rs`), scans (`scans.rs`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::error::Error;
use fred::interfaces::{KeysInterface, LuaInterface};
use fred::types::scripts::Script;
use fred::types::{Expiration, FromValue, SetOptions, Value};
use redis_connect::RedisAddress;
use tracing::warn;

use super::connect::ConnectError;
use super::connection::Connection;
use super::error::{Result, StoreError};
use super::login::Login;
use super::lost_leases::LostLeases;
use super::reads::EntryReads;
use super::scripts::Scripts;
use crate::entry::StoredValue;
use crate::health::Health;
use crate::incarnation::IncarnationRecord;
use crate::keyspace::{Key, Keyspace};
use crate::lease::{Grant, LeaseReply, RandomId, RefreshReply};
use crate::loader::Content;
use crate::outcome::{Fill, FillRefusal};
use crate::purge_queue::PurgeQueue;
use crate::recurring_failure::RecurringFailure;
use crate::settings::CacheSettings;

/// What the lock of a refresh holds after a load that failed.
const FAILED: &str = "failed";

/// Builds the arguments of a script or command.
macro_rules! args {
    ($($arg:expr),+ $(,)?) => { vec![$(::fred::types::Value::from($arg)),+] };
}
pub(super) use args;

/// The keys and the arguments of a script.
pub(super) type Call = (Vec<String>, Vec<Value>);

/// Access to Redis for one keyspace.
#[derive(Debug)]
pub(crate) struct RedisStore {
    pub(super) connection: Arc<Connection>,
    /// For connections of our own.
    pub(super) login: Login,
    reads: EntryReads,
    pub(crate) keyspace: Keyspace,
    pub(super) scripts: Scripts,
    /// Entries that another version of the program wrote.
    pub(super) unreadable: RecurringFailure,
    lost_leases: LostLeases,
}

impl RedisStore {
    /// Opens the connection and waits a moment for the first probe.
    pub(crate) async fn open(
        keyspace: Keyspace, settings: &CacheSettings, record: Option<Arc<dyn IncarnationRecord>>,
    ) -> std::result::Result<Self, ConnectError> {
        let address = RedisAddress::parse(&settings.url)?;
        let connection = Arc::new(Connection::open(&address, settings, &keyspace, record));
        if let Err(error) = connection.first_probe().await {
            // Otherwise the client would keep trying to log in.
            connection.close().await;
            return Err(error);
        }
        let login = Login::new(address, &connection);
        let reads = EntryReads::new(login.clone(), settings.command_timeout);
        Ok(Self {
            connection,
            login,
            reads,
            keyspace,
            scripts: Scripts::new(),
            unreadable: RecurringFailure::default(),
            lost_leases: LostLeases::default(),
        })
    }

    pub(crate) fn is_in_use(&self) -> bool {
        self.connection.is_in_use()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.connection.now_ms()
    }

    pub(crate) fn health(&self) -> Health {
        self.connection.health()
    }

    /// Probes Redis, and releases lost leases, until the future is dropped. Never returns.
    pub(crate) async fn run_probe(&self, purges: &impl PurgeQueue) {
        let release = |key, token| async move { self.release_token(&key, &token).await };
        tokio::join!(self.connection.run_probe(purges), self.lost_leases.run(release));
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<StoredValue>> {
        self.reads.get(key).await
    }

    pub(crate) async fn get_many(&self, keys: &[Key]) -> Vec<Result<Option<StoredValue>>> {
        self.reads.get_many(keys).await
    }

    pub(crate) async fn close(&self) {
        self.reads.close();
        self.connection.close().await;
    }

    /// Runs a script by its hash, and once more by its text if the server does not know it yet.
    pub(super) async fn run<T: FromValue>(&self, script: &Script, keys: Vec<String>, args: Vec<Value>) -> Result<T> {
        self.connection.ready()?;
        let client = &self.connection.client;
        let reply: std::result::Result<T, Error> =
            client.evalsha(script.sha1().clone(), keys.clone(), args.clone()).await;
        let reply = match reply {
            // NOSCRIPT means that nothing ran, so the same ids may be sent again.
            reply if is_unknown_script(&reply) => {
                let text = script.lua().cloned().unwrap_or_default();
                client.eval(text, keys, args).await
            }
            reply => reply,
        };
        self.connection.accept(reply)
    }
}

impl RedisStore {
    /// Acquires the lease of an absent entry.
    pub(crate) async fn acquire(&self, key: &Key, lease: Duration) -> LeaseReply {
        let id = RandomId::random();
        let args = args![id.to_string(), millis(lease), RandomId::random().to_string()];
        let held = match self.run::<Value>(&self.scripts.acquire, self.entry_keys(key), args).await {
            Ok(held) if !held.is_array() => held.into_bytes().map_or(StoredValue::Unreadable, StoredValue::parse),
            Err(StoreError::Server(error)) if error.contains("WRONGTYPE") => StoredValue::Unreadable,
            reply => {
                let granted = self.grant(key, id.token('L'), reply);
                return granted.map_or(LeaseReply::Unavailable, LeaseReply::Granted);
            }
        };
        match held {
            StoredValue::Value(entry) => LeaseReply::Found(entry),
            StoredValue::Lease => LeaseReply::Taken,
            StoredValue::Unreadable => self.remove_unreadable(key).await,
        }
    }

    /// Removes an entry that another version of the program wrote.
    async fn remove_unreadable(&self, key: &Key) -> LeaseReply {
        if self.unreadable.failed() {
            warn!(%key, "an entry has a format that this version cannot read; it is removed, and so are others like it");
        }
        self.unreadable.recovered();
        match self.connection.unlink([key.bytes()]).await {
            Ok(_) => LeaseReply::Retry,
            Err(_) => LeaseReply::Unavailable,
        }
    }

    /// Takes over the lease, regardless of what the entry holds.
    pub(crate) async fn take_over(&self, key: &Key, lease: Duration) -> Result<Grant> {
        let id = RandomId::random();
        let args = args![id.to_string(), millis(lease), RandomId::random().to_string()];
        let reply = self.run(&self.scripts.take_over, self.entry_keys(key), args).await;
        self.grant(key, id.token('L'), reply)
    }

    /// Acquires the right to load the value with this token anew.
    pub(crate) async fn refresh(&self, key: &Key, token: Bytes, lock: Duration) -> Result<RefreshReply> {
        let mut keys = self.entry_keys(key);
        keys.push(self.keyspace.refresh_lock(key));
        let args = args![token.clone(), millis(lock), RandomId::random().to_string()];
        match self.run::<Value>(&self.scripts.refresh, keys, args).await {
            Ok(Value::Null) => Ok(RefreshReply::Changed),
            Ok(held) if held.as_str().as_deref() == Some(FAILED) => Ok(RefreshReply::Failed),
            Ok(held) if !held.is_array() => Ok(RefreshReply::Taken),
            reply => self.grant(key, token, reply).map(RefreshReply::Granted),
        }
    }

    /// Stores a loaded value under the grant with which its load began, with these soft and hard TTLs in milliseconds,
    /// and keeps it for `fallback` milliseconds after that.
    /// Returns the id of the stored value, or why nothing was stored.
    pub(crate) async fn commit(
        &self, key: &Key, grant: Grant, loaded: &Content, schema: u32, (soft, hard): (u64, u64), fallback: u64,
    ) -> std::result::Result<RandomId, Fill> {
        let id = RandomId::random();
        let mut keys = self.entry_keys(key);
        keys.push(self.keyspace.refresh_lock(key));
        keys.push(self.keyspace.registry(key.partition()));
        keys.push(self.keyspace.guards(key.partition()));
        keys.extend(loaded.tags.iter().map(|tag| self.keyspace.tag_set(key.partition(), tag)));
        let mut args = args![
            grant.token,
            grant.generation,
            grant.clock.to_string(),
            (hard + fallback).to_string(),
            id.to_string(),
            loaded.header(soft, hard, schema),
            loaded.body.clone().unwrap_or_default(),
            key.local_name(),
            self.keyspace.prefix(key.partition()),
        ];
        args.extend(loaded.tags.iter().map(|tag| Value::from(tag.as_str())));
        let word: String = self.run(&self.scripts.commit, keys, args).await.map_err(|_| Fill::Failed)?;
        match FillRefusal::parse(&word) {
            Some(refusal) => Err(Fill::Refused(refusal)),
            None => Ok(id),
        }
    }

    /// Gives up a grant after a load that stored nothing.
    pub(crate) async fn release(&self, key: &Key, grant: Grant) {
        if self.release_token(key, &grant.token).await.is_err() {
            self.lost_leases.add(key, grant.token);
        }
    }

    /// Releases a lease, or the lock of a refresh, for which the entry must still hold this token.
    async fn release_token(&self, key: &Key, token: &Bytes) -> Result<()> {
        match token.first() {
            Some(b'V') => self.mark_failed(key).await,
            _ => self.run(&self.scripts.release, vec![key.to_string()], args![token.clone()]).await,
        }
    }

    /// Records that the load of an entry that exists has failed. The lock stays, so that no load follows at once.
    pub(crate) async fn refresh_failed(&self, key: &Key) {
        // If this fails, the lock says until it expires that a load is in flight.
        let _ = self.mark_failed(key).await;
    }

    async fn mark_failed(&self, key: &Key) -> Result<()> {
        let lock = self.keyspace.refresh_lock(key);
        let only_a_lock = Some(SetOptions::XX);
        let set = self.connection.client.set(lock, FAILED, Some(Expiration::KEEPTTL), only_a_lock, false);
        self.connection.accept(set.await)
    }

    fn entry_keys(&self, key: &Key) -> Vec<String> {
        vec![key.to_string(), self.keyspace.fence(key.partition())]
    }

    fn grant(&self, key: &Key, token: Bytes, reply: Result<Value>) -> Result<Grant> {
        match reply.and_then(|reply| self.connection.accept(reply.convert())) {
            Ok((generation, clock)) => Ok(Grant { token, generation, clock }),
            Err(error) => {
                if let StoreError::Unavailable(_) = error {
                    self.lost_leases.add(key, token);
                }
                Err(error)
            }
        }
    }
}

/// Returns whether the server does not know the script of a call, which then did nothing.
pub(super) fn is_unknown_script<T>(reply: &std::result::Result<T, Error>) -> bool {
    reply.as_ref().is_err_and(|error| error.details().starts_with("NOSCRIPT"))
}

pub(super) fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}
