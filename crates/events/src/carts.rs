//! All carts as they are, over HTTP: what a consumer reads that has lost events about them.
//!
//! The log of a service keeps its events for a while only. What older ones led to is in this snapshot, which the cart
//! answers at `GET /events/snapshot?cursor=…&limit=100`, page by page in the order of the carts' references.
//!
//! A page is as new as its request. Ask for the newest event ([`EventLog::head`](crate::log::EventLog::head)) before the
//! first page: whatever is told by events up to that one, the pages show; what comes later is told by its own event.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The most carts that one page holds.
pub const MOST: u32 = 100;

const TIMEOUT: Duration = Duration::from_secs(10);

/// What lies in a cart of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartLine {
    /// The cart's [reference](crate::contract::cart_reference), not its id.
    pub cart_id: Uuid,
    /// The product.
    pub product_id: i64,
    /// Pieces of it, 1 or more.
    pub quantity: i32,
    /// The version of the line, as its last event told it.
    pub version: i64,
}

/// The lines of some carts: of those whose references lie between the cursor and the next one. A cart in this range without a
/// line here is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartSnapshotPage {
    /// By cart and product.
    pub lines: Vec<CartLine>,
    /// Pass it on as `cursor` to get the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Uuid>,
}

/// The snapshot of the cart service at one address. Cheap to clone. Its token, where it has one, is never shown.
#[derive(Clone)]
pub struct CartSnapshot {
    url: String,
    client: Client,
    token: Option<Arc<str>>,
}

/// The cart did not answer, or not as it should.
#[derive(Debug, thiserror::Error)]
#[error("the cart's snapshot cannot be read: {0}")]
pub struct SnapshotError(String);

impl CartSnapshot {
    /// That of the cart at `base`, such as `http://127.0.0.1:8005`.
    pub fn new(base: &str, client: Client) -> Self {
        Self { url: format!("{}/events/snapshot", base.trim_end_matches('/')), client, token: None }
    }

    /// Sends the token of the operations routes.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(Into::into);
        self
    }

    /// The first page, or the one after `cursor`.
    ///
    /// # Errors
    /// When the cart does not answer in time or not as it should.
    pub async fn page(&self, cursor: Option<Uuid>) -> Result<CartSnapshotPage, SnapshotError> {
        let mut request = self.client.get(&self.url).query(&[("limit", MOST.to_string())]).timeout(TIMEOUT);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor.to_string())]);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let unavailable = |error: reqwest::Error| SnapshotError(error.without_url().to_string());
        let answer = request.send().await.map_err(unavailable)?;
        match answer.status() {
            StatusCode::OK => answer.json().await.map_err(unavailable),
            status => Err(SnapshotError(format!("it answered {status}"))),
        }
    }
}

impl fmt::Debug for CartSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CartSnapshot").field("url", &self.url).finish_non_exhaustive()
    }
}
