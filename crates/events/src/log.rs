//! The outbox over HTTP: what a consumer asks when its stream has a hole, or when Redis is away.
//!
//! Every service with an outbox answers `GET /events?after=41&limit=500` with an [`EventPage`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The most events that one page holds.
pub const PAGE: u32 = 500;

/// A stretch of the log. Without holes: the first is `after + 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events after the asked-for number, by `seq`.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Value>,
    /// The number of the newest event of all.
    pub head: u64,
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

    /// At most [`PAGE`] events after number `after`.
    ///
    /// # Errors
    /// [`LogError::Pruned`] when the next one is no longer kept, else [`LogError::Unavailable`].
    pub async fn after(&self, after: u64) -> Result<EventPage, LogError> {
        let unavailable = |error: reqwest::Error| LogError::Unavailable(error.without_url().to_string());
        let query = [("after", after), ("limit", u64::from(PAGE))];
        let request = self.client.get(&self.url).query(&query).timeout(Duration::from_secs(5));
        let request = match &self.bearer {
            Some(Bearer(token)) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(unavailable),
            StatusCode::GONE => Err(LogError::Pruned(after)),
            status => Err(LogError::Unavailable(format!("it answered {status}"))),
        }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}
