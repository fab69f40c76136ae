//! The outbox over HTTP: what a consumer asks when its stream has a hole, or when Redis is away.
//!
//! Every service with an outbox answers `GET /events?after=41&epoch=…&limit=500` with an [`EventPage`].
//!
//! A number alone does not identify an event: a database that was restored from a backup gives the numbers after the
//! backup again, to other events. A [`LogPosition`] does, because relays never number two different continuations of a log in
//! one epoch ([ADR 19](../../../docs/adr/0019-epochs-identify-the-history-of-a-log.md)).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// The most events that one page holds.
pub const PAGE: u32 = 500;

/// A number that no event has: nothing comes after it, so the answer is short, whatever has been pruned.
const PAST_END: u64 = 1 << 62;

/// A stretch of the log. Without holes: the first is `after + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events after the asked-for number, by `seq`.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Value>,
    /// The number of the newest event of all.
    pub head: u64,
    /// The epoch of the newest event; absent while no event has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Uuid>,
}

/// A place in the history of a log: the events up to `seq`, as they were when epoch `epoch` was the latest.
///
/// It belongs to the history of a database if that knows the epoch, and numbered `seq` in it or before it. A mark without
/// an epoch is from before there were epochs; only its number can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The number of the last event.
    pub seq: u64,
    /// The epoch of the last event.
    pub epoch: Option<Uuid>,
}

impl From<u64> for LogPosition {
    fn from(seq: u64) -> Self {
        Self { seq, epoch: None }
    }
}

/// Somebody's log of events.
/// Its token, where it has one, is sent with every request and never shown.
#[derive(Clone, Debug)]
pub struct EventLog {
    url: String,
    client: Client,
    bearer: Option<Bearer>,
}

/// The token of the operations routes of our services.
#[derive(Clone)]
struct Bearer(Arc<str>);

/// Why a stretch of the log cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is too old, and was deleted: whoever needs it has to begin anew.
    #[error("the events after {0} are no longer kept")]
    Pruned(u64),
    /// Event {0} as the caller knows it is not part of this log: the database was restored, or is another one.
    #[error("the log has another history than the one that event {0} belongs to")]
    Diverged(u64),
    /// Nobody answers just now.
    #[error("the event log does not answer: {0}")]
    Unavailable(String),
}

impl EventLog {
    /// The log of the service at `base`, such as `http://127.0.0.1:8004`.
    pub fn new(base: &str, client: Client) -> Self {
        Self { url: format!("{}/events", base.trim_end_matches('/')), client, bearer: None }
    }

    /// Sends the token of the operations routes.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.bearer = token.map(|token| Bearer(token.into()));
        self
    }

    /// At most [`PAGE`] events after `mark`.
    ///
    /// # Errors
    /// [`LogError::Diverged`] when `mark` is not part of this log, [`LogError::Pruned`] when the next event is no longer
    /// kept, else [`LogError::Unavailable`].
    pub async fn after(&self, mark: impl Into<LogPosition>) -> Result<EventPage, LogError> {
        self.page(mark.into(), PAGE).await
    }

    /// The newest event of all. With `mark`, also whether that is part of this log.
    ///
    /// # Errors
    /// [`LogError::Diverged`] when `mark` is not part of this log, else [`LogError::Unavailable`].
    pub async fn head(&self, mark: Option<LogPosition>) -> Result<LogPosition, LogError> {
        let page = match mark {
            Some(mark) => match self.page(mark, 1).await {
                // It is part of it, though what follows is not kept.
                Err(LogError::Pruned(_)) => self.page(PAST_END.into(), 1).await?,
                page => page?,
            },
            None => self.page(PAST_END.into(), 1).await?,
        };
        Ok(LogPosition { seq: page.head, epoch: page.epoch })
    }

    async fn page(&self, mark: LogPosition, limit: u32) -> Result<EventPage, LogError> {
        let unavailable = |error: reqwest::Error| LogError::Unavailable(error.without_url().to_string());
        let mut query = vec![("after", mark.seq.to_string()), ("limit", limit.to_string())];
        query.extend(mark.epoch.map(|epoch| ("epoch", epoch.to_string())));
        let request = self.client.get(&self.url).query(&query).timeout(Duration::from_secs(5));
        let request = match &self.bearer {
            Some(Bearer(token)) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => {
                let page: EventPage = answer.json().await.map_err(unavailable)?;
                match page.head < mark.seq && mark.seq != PAST_END {
                    // It has never been so far.
                    true => Err(LogError::Diverged(mark.seq)),
                    false => Ok(page),
                }
            }
            StatusCode::GONE => Err(LogError::Pruned(mark.seq)),
            StatusCode::CONFLICT => Err(LogError::Diverged(mark.seq)),
            status => Err(LogError::Unavailable(format!("it answered {status}"))),
        }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}
