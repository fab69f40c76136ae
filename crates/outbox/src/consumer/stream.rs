//! The reading side of the stream: the commands that a consumer sends, on its own two connections.
//!
//! One connection blocks for new events; the other sends every command that must not wait for them. Both live as long
//! as one session: when either breaks, or a reply is late, the session ends, and the next session opens new
//! connections. So a command that was sent to one Redis never receives a reply from another Redis.

mod state;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, EventInterface, StreamsInterface};
use fred::types::Value;
use fred::types::config::Server;
use fred::types::scripts::Script;
use fred::types::streams::XID;
use redis_connect::{RedisAddress, RedisClients};
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub(super) use self::state::StreamState;
use crate::event::epoch_of;
use crate::redis;

/// The maximum time for which one read blocks.
const BLOCK_TIME: Duration = Duration::from_millis(500);

/// A Redis that has not replied to a read within this time hangs.
const READ_TIMEOUT: Duration = Duration::from_millis(BLOCK_TIME.as_millis() as u64 + 1_500);

/// The approximate number of retained dead letters.
const DEAD_LETTERS: i64 = 10_000;

type ConnectionErrors = Receiver<(Error, Option<Server>)>;

/// The scripts, hashed once per process.
#[derive(Clone)]
pub(super) struct Scripts {
    stream_state: Script,
    claim: Script,
    extend_claim: Script,
    prune_consumers: Script,
    create: Script,
    dead_letter: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            stream_state: Script::from_lua(include_str!("stream/scripts/stream_state.lua")),
            claim: Script::from_lua(include_str!("stream/scripts/claim.lua")),
            extend_claim: Script::from_lua(include_str!("stream/scripts/extend_claim.lua")),
            prune_consumers: Script::from_lua(include_str!("stream/scripts/prune_consumers.lua")),
            create: Script::from_lua(include_str!("stream/scripts/create.lua")),
            dead_letter: Script::from_lua(include_str!("stream/scripts/dead_letter.lua")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) id: String,
    /// The number in the id: the number of the event.
    pub(super) seq: u64,
    /// The number of the preceding entry in the stream, if it was queried; 0 if there is none.
    pub(super) before: Option<u64>,
    pub(super) body: Body,
}

impl Entry {
    pub(super) fn epoch(&self) -> Option<Uuid> {
        match &self.body {
            Body::Event(json) => epoch_of(json),
            Body::Foreign | Body::Gone => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// The value of the field `event`.
    Event(Vec<u8>),
    /// The entry has no field `event`.
    Foreign,
    /// The entry was deleted after its delivery.
    Gone,
}

/// A stream, with connections that end when this value is dropped.
pub(super) struct StreamReader {
    name: &'static str,
    scripts: Scripts,
    reader: Client,
    client: Client,
    /// The connection errors since both connections were established.
    breaks: OnceLock<[ConnectionErrors; 2]>,
    tasks: [JoinHandle<Result<(), Error>>; 2],
}

impl StreamReader {
    /// Starts to connect; see [`connected`](Self::connected).
    pub(super) fn open(address: &RedisAddress, name: &'static str, scripts: &Scripts) -> Self {
        let (reader, client) = (address.client(READ_TIMEOUT), address.client(redis::COMMAND_TIMEOUT));
        let tasks = [reader.connect(), client.connect()];
        Self { name, scripts: scripts.clone(), reader, client, breaks: OnceLock::new(), tasks }
    }

    /// Waits until both connections are established.
    pub(super) async fn connected(&self) -> Result<(), Error> {
        redis_connect::connected(&self.reader).await?;
        redis_connect::connected(&self.client).await?;
        self.breaks.get_or_init(|| [self.reader.error_rx(), self.client.error_rx()]);
        Ok(())
    }

    /// Returns an error if a connection has broken since they were established: the next connection may lead to another
    /// Redis.
    pub(super) fn check_connections(&self) -> Result<(), Error> {
        match self.breaks.get() {
            Some(breaks) if breaks.iter().all(Receiver::is_empty) => Ok(()),
            _ => Err(Error::new(ErrorKind::IO, "a connection has broken")),
        }
    }

    pub(super) async fn run_id(&self) -> Result<String, Error> {
        redis::run_id(&self.client, self.name).await
    }

    /// Creates a group that starts after `position`; does nothing if the group exists.
    pub(super) async fn create(&self, group: &str, position: u64) -> Result<(), Error> {
        let args = vec![group.to_owned(), id(position)];
        self.scripts.create.evalsha_with_reload::<Value, _, _>(&self.client, self.name, args).await.map(drop)
    }

    /// Moves the group back to `position`: Redis delivers the later events again.
    pub(super) async fn rewind(&self, group: &str, position: u64) -> Result<(), Error> {
        self.client.xgroup_setid(self.name, group, id(position)).await
    }

    /// Blocks for up to `BLOCK_TIME` for the group's next events.
    pub(super) async fn next(&self, group: &str, consumer: &str, count: u64) -> Result<Vec<Entry>, Error> {
        let wait = Some(BLOCK_TIME.as_millis() as u64);
        let reply: Value =
            self.reader.xreadgroup(group, consumer, Some(count), wait, false, self.name, XID::NewInGroup).await?;
        entries(reply)
    }

    /// Blocks for up to `BLOCK_TIME` for events after `position`.
    pub(super) async fn after(&self, position: u64, count: u64) -> Result<Vec<Entry>, Error> {
        let wait = Some(BLOCK_TIME.as_millis() as u64);
        let reply: Value = self.reader.xread(Some(count), wait, self.name, XID::Manual(id(position).into())).await?;
        entries(reply)
    }

    /// Returns the number of the preceding entry; 0 if this entry is the first.
    pub(super) async fn before(&self, id: &str) -> Result<u64, Error> {
        let end = format!("({id}");
        let reply: Value = self.client.xrevrange(self.name, end, "-", Some(1)).await?;
        let Value::Array(mut entries) = reply else { return Ok(0) };
        let Some(Value::Array(mut entry)) = entries.pop() else { return Ok(0) };
        let id = entry.drain(..).next().and_then(Value::into_string);
        Ok(id.and_then(|id| number(&id)).unwrap_or(0))
    }

    /// Claims pending entries that have been idle for `idle`, or, without it, this consumer's own pending entries.
    pub(super) async fn claim(
        &self, group: &str, consumer: &str, idle: Option<Duration>, count: u64,
    ) -> Result<Vec<Entry>, Error> {
        let millis = idle.unwrap_or_default().as_millis().to_string();
        let of = if idle.is_some() { "" } else { consumer };
        let count = count.to_string();
        let args = vec![group, consumer, &millis, &count, of];
        parse_claimed(self.scripts.claim.evalsha_with_reload(&self.client, self.name, args).await?)
    }

    /// Extends the claim on the entries between two ids.
    pub(super) async fn extend_claim(
        &self, group: &str, consumer: &str, ids: (&str, &str), count: usize,
    ) -> Result<(), Error> {
        let count = count.to_string();
        let args = vec![group, consumer, ids.0, ids.1, &count];
        self.scripts.extend_claim.evalsha_with_reload::<Value, _, _>(&self.client, self.name, args).await.map(drop)
    }

    /// Removes consumers without pending entries that have been idle for `idle`; only `consumer`, if it is given.
    pub(super) async fn prune_consumers(
        &self, group: &str, idle: Duration, consumer: Option<&str>,
    ) -> Result<(), Error> {
        let idle = idle.as_millis().to_string();
        let args = vec![group, &idle, consumer.unwrap_or_default()];
        self.scripts.prune_consumers.evalsha_with_reload::<Value, _, _>(&self.client, self.name, args).await.map(drop)
    }

    pub(super) async fn acknowledge(&self, group: &str, ids: Vec<String>) -> Result<(), Error> {
        self.client.xack::<Value, _, _, _>(self.name, group, ids).await.map(drop)
    }

    /// Returns the state of the stream and the group; without a group, of a reader that is at `position`.
    pub(super) async fn stream_state(&self, group: &str, position: u64) -> Result<StreamState, Error> {
        let position = position.to_string();
        let reply: (u64, u64, u64, bool, u64, u64, u64, Vec<u8>, Vec<u8>) =
            self.scripts.stream_state.evalsha_with_reload(&self.client, self.name, vec![group, &position]).await?;
        let (first, last, added, group, delivered, pending, done, oldest, newest) = reply;
        let oldest = (!oldest.is_empty()).then_some(oldest);
        Ok(StreamState { first, last, added, group, delivered, pending, done, oldest, epoch: epoch_of(&newest) })
    }

    pub(super) async fn dead_letter(&self, letters: &str, fields: Vec<(&'static str, Vec<u8>)>) -> Result<(), Error> {
        let mut args = vec![Value::from(DEAD_LETTERS)];
        args.extend(fields.into_iter().flat_map(|(name, value)| [name.into(), Value::Bytes(value.into())]));
        self.scripts.dead_letter.evalsha_with_reload::<Value, _, _>(&self.client, letters, args).await.map(drop)
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn id(position: u64) -> String {
    format!("{position}-0")
}

/// Parses the reply of XREAD or XREADGROUP for one stream. The result is empty if no event arrived before the timeout.
fn entries(reply: Value) -> Result<Vec<Entry>, Error> {
    let rows = match reply {
        Value::Null => return Ok(Vec::new()),
        Value::Map(map) => map.inner().into_values().next().unwrap_or(Value::Null),
        other => array(array(other)?.into_iter().next().unwrap_or(Value::Null))?.pop().unwrap_or(Value::Null),
    };
    let entry = |row: Value| match <[Value; 2]>::try_from(array(row)?) {
        Ok([id, fields]) => entry(id, None, fields),
        Err(_) => Err(unexpected("an entry is not an id and fields")),
    };
    array(rows)?.into_iter().map(entry).collect()
}

/// Parses the reply of the script `claim.lua`.
fn parse_claimed(reply: Value) -> Result<Vec<Entry>, Error> {
    let entry = |row: Value| match <[Value; 3]>::try_from(array(row)?) {
        Ok([id, before, fields]) => entry(id, Some(before.as_u64().unwrap_or(0)), fields),
        Err(_) => Err(unexpected("a claimed entry has other parts")),
    };
    array(reply)?.into_iter().map(entry).collect()
}

/// Returns the number in an id such as `12-0`.
fn number(id: &str) -> Option<u64> {
    id.split('-').next()?.parse().ok()
}

fn entry(id: Value, before: Option<u64>, fields: Value) -> Result<Entry, Error> {
    let id = id.into_string().ok_or_else(|| unexpected("an id is not text"))?;
    let seq = number(&id).ok_or_else(|| unexpected("an id is not a number"))?;
    Ok(Entry { id, seq, before, body: body(fields)? })
}

fn body(fields: Value) -> Result<Body, Error> {
    if matches!(fields, Value::Null | Value::Boolean(false)) {
        return Ok(Body::Gone);
    }
    let fields = array(fields)?;
    let field = fields.chunks_exact(2).find(|pair| pair[0].as_bytes() == Some(b"event"));
    Ok(field.and_then(|pair| pair[1].as_bytes()).map_or(Body::Foreign, |json| Body::Event(json.to_vec())))
}

fn array(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(values) => Ok(values),
        Value::Null => Ok(Vec::new()),
        other => Err(unexpected(&format!("{:?} where a list should be", other.kind()))),
    }
}

fn unexpected(what: &str) -> Error {
    Error::new(ErrorKind::Parse, format!("the stream's reply cannot be read: {what}"))
}
