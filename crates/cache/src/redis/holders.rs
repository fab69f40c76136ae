//! The register of the processes that may return entries from their memory.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use fred::interfaces::HashesInterface;
use fred::types::Value;

use super::error::{Result, StoreError};
use super::store::{Call, RedisStore, args, millis};
use crate::near::with_margin;

/// The TTL, in seconds, of a register or sentinel key that no process uses any more. It is long because Redis may evict
/// the keys with the shortest TTL first: the loss of such a key ends leases and causes waits, but breaks no promise.
pub(super) const UNUSED_TTL: &str = "86400";

/// The processes that may hold a near-cache lease, as Redis has listed them after an invalidation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    pub(crate) ids: HashSet<Bytes>,
    /// How long there may still be holders that the register does not name, because it is younger than the longest
    /// lease.
    pub(crate) unknown: Duration,
    /// The longest lease of any process, with the margin for a slower clock.
    pub(crate) longest: Duration,
}

impl RedisStore {
    /// Lists the processes that may still return, from their memory, entries that Redis removed before this call.
    /// `bound` is the longest lease of a process with these settings. A process with a longer lease has registered its
    /// length.
    pub(crate) async fn list_holders(&self, bound: Duration) -> Result<Holders> {
        let (keys, args) = self.holders_call(bound);
        Holders::parse(self.run(&self.scripts.list_holders, keys, args).await?)
    }

    /// Removes from the register a process that no longer has a lease, so that no write waits for it.
    pub(crate) async fn remove_holder(&self, id: &Bytes) -> Result<()> {
        self.connection.ready()?;
        let register = self.keyspace.holders(&self.connection.register_id().unwrap_or_default());
        let name = Bytes::from([b"p:", &**id].concat());
        self.connection.accept(self.connection.client.hdel(register, name).await)
    }

    pub(super) fn holders_call(&self, bound: Duration) -> Call {
        let register = self.keyspace.holders(&self.connection.register_id().unwrap_or_default());
        (vec![register], args![millis(with_margin(bound)), UNUSED_TTL])
    }
}

impl Holders {
    pub(super) fn parse(reply: Value) -> Result<Self> {
        let mut listed = reply.into_array().into_iter();
        let mut next = || listed.next().and_then(|ms| ms.as_u64()).map(Duration::from_millis);
        let (Some(unknown), Some(longest)) = (next(), next()) else {
            return Err(StoreError::Server("the list of the holders of near-cache leases cannot be parsed".to_owned()));
        };
        Ok(Self { ids: listed.filter_map(Value::into_bytes).collect(), unknown, longest })
    }
}
