//! What keeps a replica that lags from storing a page that others know to be outdated.
//!
//! Every replica has an index of its own, and each is at a place of its own in the stream of events. The horizon is
//! what they share: a sorted set in Redis that holds, for each tag, the number of the last event that touched it. A
//! page may be stored only by a replica whose index had all those events when it searched.
//!
//! ```text
//! who hears of event 42:   ZADD GT 42 tag   ─►  invalidate tag  ─►  index, commit
//! who fills a page:        lease  ─►  search (index at 41)  ─►  ZMSCORE: 42 > 41  ─►  not stored
//! ```
//!
//! The orders matter: the horizon is raised *before* the tag is invalidated, and read *after* the lease was taken. A
//! lease taken before the invalidation is refused by the fence; one taken after it reads the raised horizon. The whole
//! argument is in [ADR 9](../../../../docs/adr/0009-search-pages-and-lagging-replicas.md).
//!
//! Numbers can be compared within one history of the catalogue's log only. So each horizon has a random id, the score of
//! the member `#`, and a replica stores pages under it only after the log has said that its own index is of the history
//! that the log has now. A horizon with a number above the log's head is of another history, and begins anew.
//!
//! The member `*` is the *floor*: a number that every tag counts as touched by at least. While it is not there, the
//! horizon is unknown, because Redis has lost it, and nobody stores anything; [`TagWatermarks::initialize`] begins it anew.
//! Raising the floor makes the members below it superfluous: that is how the set is kept small.

mod connection;

use std::future::Future;
use std::sync::Arc;

use cache::Tag;
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::scripts::Script;
use fred::types::{ClusterHash, CustomCommand, Value};
use tokio_util::task::AbortOnDropHandle;

use crate::keys::HORIZON;
pub use connection::RedisUrlError;

/// The floor's member. No tag can be called so.
const FLOOR: &str = "*";

/// The member whose score is the horizon's id.
const ID: &str = "#";

const FINISH: &str = include_str!("finish.lua");
const RAISE: &str = include_str!("raise.lua");
const CLAIM: &str = include_str!("claim.lua");
const TOUCH: &str = include_str!("touch.lua");
const HIGHEST: &str = include_str!("highest.lua");

/// A client of the shared horizon. Cheap to clone.
#[derive(Clone)]
pub struct TagWatermarks {
    client: Client,
    finish: Script,
    raise: Script,
    claim: Script,
    touch: Script,
    highest: Script,
    /// Ends with the last of them.
    _looks: Arc<AbortOnDropHandle<()>>,
}

/// How far an index must be for a page to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The number of the last event that touched one of the page's tags, or of the floor.
    pub number: u64,
    /// Which horizon it is of.
    pub id: i64,
}

/// Redis did not do it.
#[derive(Debug, thiserror::Error)]
#[error("Redis: {0}")]
pub struct WatermarkError(String);

impl TagWatermarks {
    /// A client; it connects behind, and waits for a Redis that is away.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn connect(redis_url: &str) -> Result<Self, RedisUrlError> {
        let client = connection::connect(redis_url)?;
        let looks = tokio::spawn({
            let client = client.clone();
            async move { events::reconnect_when_silent(&client).await }
        });
        let looks = Arc::new(AbortOnDropHandle::new(looks));
        let [finish, raise, claim, touch, highest] = [FINISH, RAISE, CLAIM, TOUCH, HIGHEST].map(Script::from_lua);
        Ok(Self { client, finish, raise, claim, touch, highest, _looks: looks })
    }

    /// Event number `position` has touched `tags`. To be called before they are invalidated.
    pub async fn advance(&self, position: u64, tags: impl IntoIterator<Item = &Tag>) -> Result<(), WatermarkError> {
        let mut args = vec![position.to_string()];
        args.extend(tags.into_iter().map(|tag| tag.as_str().to_owned()));
        if args.len() == 1 {
            return Ok(());
        }
        Ok(self.touch.evalsha_with_reload::<i64, _, _>(&self.client, vec![HORIZON], args).await.map(drop)?)
    }

    /// The number that an index must have reached for a page with `tags` to be stored; `None` while it is unknown. To be
    /// called after the lease was taken.
    pub async fn required_position(&self, tags: &[Tag]) -> Result<Option<Watermark>, WatermarkError> {
        let mut args = vec![Value::from(HORIZON), ID.into(), FLOOR.into()];
        args.extend(tags.iter().map(|tag| Value::from(tag.as_str())));
        let zmscore = CustomCommand::new_static("ZMSCORE", ClusterHash::FirstKey, false);
        let scores: Vec<Option<f64>> = self.client.custom(zmscore, args).await?;
        let (Some(Some(id)), Some(Some(floor))) = (scores.first(), scores.get(1)) else { return Ok(None) };
        if *floor < 0.0 {
            return Ok(None);
        }
        // A number of events stays far below 2⁵³, up to which doubles are exact; and so does an id.
        let number = scores[1..].iter().flatten().copied().fold(*floor, f64::max) as u64;
        Ok(Some(Watermark { number, id: *id as i64 }))
    }

    /// Begins the horizon anew where it is unknown. `head` asks for the number of the newest event of all.
    ///
    /// Whatever was touched before Redis lost the horizon has a number up to that head; so the head has to be read
    /// after the loss. A claim proves it: it is made first, and if Redis loses everything once more, it is gone, and
    /// what this call would set is refused.
    pub async fn initialize<E>(&self, head: impl Future<Output = Result<u64, E>>) -> Result<bool, WatermarkError>
    where
        E: std::fmt::Display,
    {
        let claim = self.begin_reset().await?;
        let head = head.await.map_err(|error| WatermarkError(error.to_string()))?;
        let args = vec![claim.to_string(), head.to_string()];
        let done: i64 = self.finish.evalsha_with_reload(&self.client, vec![HORIZON], args).await?;
        Ok(done == 1)
    }

    /// Makes the horizon unknown: what Redis holds may be of any age.
    pub async fn forget(&self) -> Result<(), WatermarkError> {
        self.begin_reset().await.map(drop)
    }

    /// Counts every tag as touched by event `position`, and removes what that makes superfluous. Does nothing while the
    /// horizon is unknown: then nothing is stored anyway.
    pub async fn raise_floor(&self, position: u64) -> Result<(), WatermarkError> {
        let args = vec![position.to_string()];
        Ok(self.raise.evalsha_with_reload::<i64, _, _>(&self.client, vec![HORIZON], args).await.map(drop)?)
    }

    /// The highest number that it holds.
    pub async fn highest(&self) -> Result<u64, WatermarkError> {
        let highest: f64 = self.highest.evalsha_with_reload(&self.client, vec![HORIZON], Vec::<Value>::new()).await?;
        Ok(highest.max(0.0) as u64)
    }

    /// How many tags are remembered.
    pub async fn size(&self) -> Result<u64, WatermarkError> {
        let zcard = CustomCommand::new_static("ZCARD", ClusterHash::FirstKey, false);
        Ok(self.client.custom(zcard, vec![HORIZON]).await?)
    }

    /// Closes the connection.
    pub async fn close(&self) {
        // The server notices a dropped connection as well.
        let _ = self.client.quit().await;
    }

    /// A floor below zero is nobody's number: it stands for "unknown", and for who is about to change that.
    async fn begin_reset(&self) -> Result<i64, WatermarkError> {
        let claim = -rand::random_range(1..1_i64 << 52);
        let args = vec![claim.to_string()];
        self.claim.evalsha_with_reload::<i64, _, _>(&self.client, vec![HORIZON], args).await?;
        Ok(claim)
    }
}

impl From<Error> for WatermarkError {
    fn from(error: Error) -> Self {
        Self(error.details().to_owned())
    }
}
