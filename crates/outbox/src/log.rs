//! The outbox over HTTP: consumers read it when their stream has a gap, or when Redis is unavailable.
//!
//! Every service with an outbox responds to `GET /events?after=41&epoch=…&limit=500` with an [`EventPage`].
//!
//! A number alone does not identify an event: a database that was restored from a backup assigns the numbers after the
//! backup again, to other events. A [`LogPosition`] does, because relays never number two different continuations of a
//! log in one epoch ([ADR 19](../../../docs/adr/0019-epochs-identify-the-history-of-a-log.md)).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;
use trace_context::propagate;
use uuid::Uuid;

/// The maximum number of events in one page.
pub const PAGE: u32 = 500;

/// A number that no event has: no event follows it, so the response is short, regardless of pruning.
const PAST_END: u64 = 1 << 62;

/// A section of the log, without gaps: the first event is `after + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventPage {
    /// The events after the requested number, ordered by `seq`.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub events: Vec<Value>,
    /// The number of the newest event in the log.
    pub head: u64,
    /// The epoch of the newest event; absent while no event has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Uuid>,
}

/// How far the log must be applied for a transaction to be included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TransactionPosition {
    /// The number of its last event, 0 if it has none that is still kept; absent while one of them has no number yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A position in the history of a log: the events up to `seq`, as they were when epoch `epoch` was the latest.
///
/// The position belongs to the history of a database if that database knows the epoch, and has numbered `seq` in this
/// epoch or before it. A position without an epoch is older than the introduction of epochs; only its number can be
/// compared.
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

/// The event log of a service. Its token, if it has one, is sent with every request and never shown.
#[derive(Clone, Debug)]
pub struct EventLog {
    url: String,
    client: Client,
    bearer: Option<Bearer>,
}

/// The token of the operations routes of the services in this repository.
#[derive(Clone)]
struct Bearer(Arc<str>);

/// Why a section of the log is unavailable.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The events are too old and were deleted: a consumer that needs them must start again.
    #[error("the events after {0} are no longer kept")]
    Pruned(u64),
    /// Event {0}, as the caller knows it, is not part of this log: the database was restored, or is another one.
    #[error("the log has another history than the one that event {0} belongs to")]
    Diverged(u64),
    /// The service does not respond at the moment.
    #[error("the event log does not answer: {0}")]
    Unavailable(String),
}

impl EventLog {
    /// Returns the log of the service at `base`, such as `http://127.0.0.1:8004`.
    pub fn new(base: &str, client: Client) -> Self {
        Self { url: format!("{}/events", base.trim_end_matches('/')), client, bearer: None }
    }

    /// Sends the token of the operations routes.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.bearer = token.map(|token| Bearer(token.into()));
        self
    }

    /// Returns at most [`PAGE`] events after `position`.
    ///
    /// # Errors
    /// Returns [`LogError::Diverged`] if `position` is not part of this log, [`LogError::Pruned`] if the next event is no
    /// longer kept, and [`LogError::Unavailable`] otherwise.
    pub async fn after(&self, position: impl Into<LogPosition>) -> Result<EventPage, LogError> {
        self.page(position.into(), PAGE).await
    }

    /// Returns the position of the newest event, within `limit`. With `position`, also checks that `position` is part of this
    /// log.
    ///
    /// # Errors
    /// Returns [`LogError::Diverged`] if `position` is not part of this log, and [`LogError::Unavailable`] otherwise.
    pub async fn head(&self, position: Option<LogPosition>, limit: Duration) -> Result<LogPosition, LogError> {
        let late = |_| Err(LogError::Unavailable("no answer in time".to_owned()));
        timeout(limit, self.find_head(position)).await.unwrap_or_else(late)
    }

    /// Returns how far the log must be applied for a committed transaction to be included, within `limit`.
    ///
    /// # Errors
    /// Returns [`LogError::Unavailable`] if the service does not respond in time.
    pub async fn position_of(&self, transaction: u64, limit: Duration) -> Result<TransactionPosition, LogError> {
        let unavailable = |error: reqwest::Error| LogError::Unavailable(error.without_url().to_string());
        let request = self.client.get(format!("{}/position", self.url)).query(&[("transaction", transaction)]);
        let answer = self.authorised(request.timeout(limit)).send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(unavailable),
            status => Err(LogError::Unavailable(format!("it answered {status}"))),
        }
    }

    /// Adds the token and the current trace.
    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        let request = propagate(request);
        match &self.bearer {
            Some(Bearer(token)) => request.bearer_auth(token),
            None => request,
        }
    }

    async fn find_head(&self, position: Option<LogPosition>) -> Result<LogPosition, LogError> {
        let page = match position {
            Some(position) => match self.page(position, 1).await {
                // The position is part of the log, although the events after it are no longer kept.
                Err(LogError::Pruned(_)) => self.page(PAST_END.into(), 1).await?,
                page => page?,
            },
            None => self.page(PAST_END.into(), 1).await?,
        };
        Ok(LogPosition { seq: page.head, epoch: page.epoch })
    }

    async fn page(&self, position: LogPosition, limit: u32) -> Result<EventPage, LogError> {
        let unavailable = |error: reqwest::Error| LogError::Unavailable(error.without_url().to_string());
        let mut query = vec![("after", position.seq.to_string()), ("limit", limit.to_string())];
        query.extend(position.epoch.map(|epoch| ("epoch", epoch.to_string())));
        let request = self.client.get(&self.url).query(&query).timeout(Duration::from_secs(5));
        let answer = self.authorised(request).send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => {
                let page: EventPage = answer.json().await.map_err(unavailable)?;
                match page.head < position.seq && position.seq != PAST_END {
                    // The log has never reached this number.
                    true => Err(LogError::Diverged(position.seq)),
                    false => Ok(page),
                }
            }
            StatusCode::GONE => Err(LogError::Pruned(position.seq)),
            StatusCode::CONFLICT => Err(LogError::Diverged(position.seq)),
            status => Err(LogError::Unavailable(format!("it answered {status}"))),
        }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}
