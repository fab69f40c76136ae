//! Watermarks prevent a lagging replica from storing a page that other replicas know to be outdated.
//!
//! Every replica has its own index and its own position in the stream of events. All replicas share the watermarks: a
//! sorted set in Redis that holds, for each tag, the number of the latest event that invalidates it. A replica may
//! store a page only if its index included all those events when it searched.
//!
//! ```text
//! replica that applies event 42:   ZADD GT 42 tag   ─►  invalidate tag  ─►  index, commit
//! replica that fills a page:       lease  ─►  search (index at 41)  ─►  ZMSCORE: 42 > 41  ─►  not stored
//! ```
//!
//! The order matters: a replica advances the watermark *before* it invalidates the tag, and reads it *after* it took
//! the lease. The fence refuses a lease that was taken before the invalidation; a replica that takes a lease after the
//! invalidation reads the advanced watermark. [ADR 9](../../../../docs/adr/0009-search-pages-and-lagging-replicas.md)
//! has the whole argument.
//!
//! Event numbers are comparable only within one history of the catalogue's log. So each set of watermarks has a random
//! id, the score of the member `#`. A replica stores pages under it only after the log has confirmed that the replica's
//! index belongs to the current history. A watermark above the head of the log belongs to another history; then the set
//! is initialized again.
//!
//! The member `*` is the *floor*: the minimum watermark of every tag. While it is missing, because Redis has lost it,
//! the watermarks are unknown and no replica stores a page; [`TagWatermarks::initialize`] sets them again. Raising the
//! floor makes the members below it redundant, and removing these keeps the set small.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache::Tag;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::scripts::Script;
use fred::types::{ClusterHash, CustomCommand, Value};
use redis_connect::{RedisAddress, RedisClients, reconnect_when_silent};
use tokio_util::task::AbortOnDropHandle;

use crate::keys::WATERMARKS;

const COMMAND_TIMEOUT: Duration = Duration::from_millis(500);

/// The member of the floor. No tag can have this name.
const FLOOR: &str = "*";

/// The member whose score is the id of the watermarks.
const ID: &str = "#";

const FINISH: &str = include_str!("finish.lua");
const RAISE: &str = include_str!("raise.lua");
const CLAIM: &str = include_str!("claim.lua");
const ADVANCE: &str = include_str!("advance.lua");
const HIGHEST: &str = include_str!("highest.lua");

/// A client of the shared watermarks. Cheap to clone.
#[derive(Clone)]
pub struct TagWatermarks {
    client: Client,
    finish: Script,
    raise: Script,
    claim: Script,
    advance: Script,
    highest: Script,
    /// The task that checks the connection. It ends with the last clone of the client.
    _looks: Arc<AbortOnDropHandle<()>>,
}

/// The position that an index must have reached for its page to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The number of the latest event that invalidates one of the page's tags, or the floor if that is higher.
    pub number: u64,
    /// The id of the watermarks.
    pub id: i64,
}

/// A Redis command of the watermarks failed.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {0}")]
pub struct WatermarkError(String);

impl TagWatermarks {
    /// Creates a client. It connects in the background, and keeps trying while Redis is unavailable.
    pub fn connect(redis: &RedisAddress) -> Self {
        let client = redis.client(COMMAND_TIMEOUT);
        client.connect();
        let looks = tokio::spawn({
            let client = client.clone();
            async move { reconnect_when_silent(&client).await }
        });
        let looks = Arc::new(AbortOnDropHandle::new(looks));
        let [finish, raise, claim, advance, highest] = [FINISH, RAISE, CLAIM, ADVANCE, HIGHEST].map(Script::from_lua);
        Self { client, finish, raise, claim, advance, highest, _looks: looks }
    }

    /// Advances the watermarks of `tags` to event number `position`. The caller invalidates the tags afterwards.
    pub async fn advance(&self, position: u64, tags: impl IntoIterator<Item = &Tag>) -> Result<(), WatermarkError> {
        let mut args = vec![position.to_string()];
        args.extend(tags.into_iter().map(|tag| tag.as_str().to_owned()));
        if args.len() == 1 {
            return Ok(());
        }
        Ok(self.advance.evalsha_with_reload::<i64, _, _>(&self.client, vec![WATERMARKS], args).await.map(drop)?)
    }

    /// Returns the position that an index must have reached for a page with `tags` to be stored; `None` while it is
    /// unknown. The caller takes the lease first.
    pub async fn required_position(&self, tags: &[Tag]) -> Result<Option<Watermark>, WatermarkError> {
        let mut args = vec![Value::from(WATERMARKS), ID.into(), FLOOR.into()];
        args.extend(tags.iter().map(|tag| Value::from(tag.as_str())));
        let zmscore = CustomCommand::new_static("ZMSCORE", ClusterHash::FirstKey, false);
        let scores: Vec<Option<f64>> = self.client.custom(zmscore, args).await?;
        let (Some(Some(id)), Some(Some(floor))) = (scores.first(), scores.get(1)) else { return Ok(None) };
        if *floor < 0.0 {
            return Ok(None);
        }
        // Event numbers and ids stay far below 2⁵³, up to which doubles are exact.
        let number = scores[1..].iter().flatten().copied().fold(*floor, f64::max) as u64;
        Ok(Some(Watermark { number, id: *id as i64 }))
    }

    /// Initializes the watermarks where they are unknown. `head` reads the number of the newest event of the log.
    ///
    /// An event that advanced a watermark before Redis lost it has a number up to that head, so the head must be read
    /// after the loss. The claim ensures this: it is written first, and if Redis loses its data once more, the claim is
    /// gone and the script refuses to set the floor.
    pub async fn initialize<E>(&self, head: impl Future<Output = Result<u64, E>>) -> Result<bool, WatermarkError>
    where
        E: std::fmt::Display,
    {
        let claim = self.begin_reset().await?;
        let head = head.await.map_err(|error| WatermarkError(error.to_string()))?;
        let args = vec![claim.to_string(), head.to_string()];
        let done: i64 = self.finish.evalsha_with_reload(&self.client, vec![WATERMARKS], args).await?;
        Ok(done == 1)
    }

    /// Makes the watermarks unknown, because the data in Redis may be of any age.
    pub async fn forget(&self) -> Result<(), WatermarkError> {
        self.begin_reset().await.map(drop)
    }

    /// Raises the minimum watermark of every tag to event `position`, and removes the redundant members. Does nothing
    /// while the watermarks are unknown: no page is stored then.
    pub async fn raise_floor(&self, position: u64) -> Result<(), WatermarkError> {
        let args = vec![position.to_string()];
        Ok(self.raise.evalsha_with_reload::<i64, _, _>(&self.client, vec![WATERMARKS], args).await.map(drop)?)
    }

    /// Returns the highest watermark; 0 when there is none.
    pub async fn highest(&self) -> Result<u64, WatermarkError> {
        let highest: f64 =
            self.highest.evalsha_with_reload(&self.client, vec![WATERMARKS], Vec::<Value>::new()).await?;
        Ok(highest.max(0.0) as u64)
    }

    /// Returns the number of members: the tags, the floor and the id.
    pub async fn size(&self) -> Result<u64, WatermarkError> {
        let zcard = CustomCommand::new_static("ZCARD", ClusterHash::FirstKey, false);
        Ok(self.client.custom(zcard, vec![WATERMARKS]).await?)
    }

    /// Closes the connection.
    pub async fn close(&self) {
        // The server also notices a dropped connection.
        let _ = self.client.quit().await;
    }

    /// Writes a new claim as the floor. A floor below zero means "unknown", and names the caller that is about to set
    /// it.
    async fn begin_reset(&self) -> Result<i64, WatermarkError> {
        let claim = -rand::random_range(1..1_i64 << 52);
        let args = vec![claim.to_string()];
        self.claim.evalsha_with_reload::<i64, _, _>(&self.client, vec![WATERMARKS], args).await?;
        Ok(claim)
    }
}

impl From<Error> for WatermarkError {
    fn from(error: Error) -> Self {
        Self(error.details().to_owned())
    }
}
