//! The writing side of the stream.

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike, EventInterface};
use fred::types::Value;
use fred::types::config::Server;
use fred::types::scripts::Script;
use redis_connect::{RedisAddress, RedisClients, reconnect_when_silent};
use tokio::sync::broadcast::Receiver;
use uuid::Uuid;

use super::table::Row;
use crate::event::{EventSource, epoch_of};
use crate::redis;

const APPEND: &str = include_str!("scripts/append.lua");
const REMOVE: &str = include_str!("scripts/remove.lua");
const TAIL: &str = include_str!("scripts/tail.lua");

/// A stream, and the channel that carries the same events.
pub(super) struct StreamWriter {
    client: Client,
    append: Script,
    remove: Script,
    tail: Script,
    pub(super) source: EventSource,
    length: String,
}

impl StreamWriter {
    pub(super) fn open(address: &RedisAddress, source: EventSource, length: u64) -> Self {
        let client = address.client(redis::COMMAND_TIMEOUT);
        let [append, tail, remove] = [APPEND, TAIL, REMOVE].map(Script::from_lua);
        Self { client, append, tail, remove, source, length: length.to_string() }
    }

    /// Reconnects when Redis stops responding. Never returns.
    pub(super) async fn reconnect_when_silent(&self) {
        reconnect_when_silent(&self.client).await;
    }

    /// Starts to connect. To observe all connections, call [`connections`](Self::connections) first.
    pub(super) fn connect(&self) {
        self.client.connect();
    }

    /// Returns a receiver of every new connection from now on.
    pub(super) fn connections(&self) -> Receiver<Server> {
        self.client.reconnect_rx()
    }

    /// Appends those of `rows` that follow the stream's last entry. Returns the number with which the stream ends; 0 if
    /// the stream is empty and `begin` does not allow it to begin here.
    ///
    /// # Errors
    /// Returns the error of Redis; [`is_diverged`] determines whether the stream has another history than the rows.
    pub(super) async fn append(&self, rows: &[Row], begin: bool) -> Result<i64, Error> {
        let text = |epoch: Option<Uuid>| epoch.map(|epoch| epoch.to_string()).unwrap_or_default();
        let mut args: Vec<Value> = Vec::with_capacity(4 + 4 * rows.len());
        args.push(self.source.channel.unwrap_or_default().into());
        args.push(self.length.as_str().into());
        args.push(flag(begin).into());
        args.push(text(rows.first().and_then(|row| row.previous_epoch)).into());
        for row in rows {
            let (seq, epoch) = (row.seq.to_string(), text(row.epoch));
            args.extend([seq.into(), flag(!row.done).into(), epoch.into(), row.event.as_str().into()]);
        }
        self.append.evalsha_with_reload(&self.client, vec![self.source.stream], args).await
    }

    /// Returns the number with which the stream ends, 0 if there is none; and its epoch, if the last entry contains
    /// one.
    pub(super) async fn last(&self) -> Result<(i64, Option<Uuid>), Error> {
        let (last, event): (i64, Vec<u8>) =
            self.tail.evalsha_with_reload(&self.client, vec![self.source.stream], Vec::<Value>::new()).await?;
        Ok((last, epoch_of(&event)))
    }

    /// Removes the stream with its groups, if it still ends with this number. Returns whether it did.
    pub(super) async fn remove(&self, last: i64) -> Result<bool, Error> {
        let removed: i64 =
            self.remove.evalsha_with_reload(&self.client, vec![self.source.stream], vec![last.to_string()]).await?;
        Ok(removed == 1)
    }

    /// Returns the run id of the server, which changes with every restart.
    pub(super) async fn run_id(&self) -> Result<String, Error> {
        redis::run_id(&self.client, self.source.stream).await
    }

    pub(super) async fn close(&self) {
        // The server also notices a dropped connection.
        let _ = self.client.quit().await;
    }
}

/// Returns whether a stream refused rows because it has another history.
pub(super) fn is_diverged(error: &Error) -> bool {
    error.details().starts_with("DIVERGED")
}

fn flag(yes: bool) -> &'static str {
    if yes { "1" } else { "0" }
}

/// What a relay knows of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayState {
    /// Redis and its stream may not be those that the rows were appended to.
    Unverified,
    /// The stream has refused rows because it has another history. It is replaced, even if its end matches.
    Diverged,
    /// The stream is verified. There may be numbered rows that no relay has appended.
    Behind,
    /// The stream is verified. Every numbered row is appended, or a peer is about to append it.
    Current,
}

impl RelayState {
    /// Returns whether Redis and its stream are known to be those that the rows were appended to.
    pub(super) fn is_verified(self) -> bool {
        matches!(self, Self::Behind | Self::Current)
    }

    /// Requires the relay to verify the stream again.
    pub(super) fn unverify(&mut self) {
        if self.is_verified() {
            *self = Self::Unverified;
        }
    }
}
