//! The operations of the cache on Redis, each one command or one script: reads (`reads.rs`), leases and commits
//! (`leases.rs`), invalidations (`removals.rs`), scans (`scans.rs`).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use fred::interfaces::LuaInterface;
use fred::types::scripts::Script;
use fred::types::{FromValue, Value};

use super::connect::ConnectError;
use super::connection::Connection;
use super::error::Result;
use super::reads::EntryReads;
use super::scripts::Scripts;
use crate::keyspace::Keyspace;
use crate::recurring_failure::RecurringFailure;
use crate::settings::CacheSettings;

/// Builds the arguments of a script or command.
macro_rules! args {
    ($($arg:expr),+ $(,)?) => { vec![$(::fred::types::Value::from($arg)),+] };
}
pub(super) use args;

/// Access to Redis for one keyspace.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) connection: Arc<Connection>,
    pub(crate) reads: EntryReads,
    pub(crate) keyspace: Keyspace,
    pub(super) scripts: Scripts,
    /// Entries that another version of the program wrote.
    pub(super) unreadable: RecurringFailure,
}

/// 128 random bits, drawn anew for each use. A command that may have run is never sent again with the same ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RandomId(u128);

impl Store {
    /// Opens the connection and waits a moment for the first probe.
    pub(crate) async fn open(keyspace: Keyspace, settings: &CacheSettings) -> std::result::Result<Self, ConnectError> {
        let connection = Arc::new(Connection::open(settings, keyspace.name())?);
        if let Err(error) = connection.first_probe().await {
            // Otherwise the client would keep trying to log in.
            connection.close().await;
            return Err(error);
        }
        let reads = EntryReads::new(Arc::clone(&connection), keyspace.partitions());
        Ok(Self { connection, reads, keyspace, scripts: Scripts::new(), unreadable: RecurringFailure::default() })
    }

    /// Runs a script by its hash, and once more by its text if the server does not know it yet.
    pub(super) async fn run<T: FromValue>(&self, script: &Script, keys: Vec<String>, args: Vec<Value>) -> Result<T> {
        self.connection.ready()?;
        let client = &self.connection.client;
        let reply = client.evalsha(script.sha1().clone(), keys.clone(), args.clone()).await;
        let reply = match reply {
            // NOSCRIPT means that nothing ran, so the same ids may be sent again.
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                let text = script.lua().cloned().unwrap_or_default();
                client.eval(text, keys, args).await
            }
            reply => reply,
        };
        self.connection.accept(reply)
    }
}

impl RandomId {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(super) fn token(self, kind: char) -> Bytes {
        format!("{kind}{self}").into()
    }
}

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
