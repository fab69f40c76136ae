//! A snapshot of all carts over HTTP: a consumer reads it when it has lost cart events.
//!
//! The log of a service keeps its events only for a limited time. This snapshot contains the result of older events.
//! The cart serves it at `GET /events/snapshot?cursor=…&limit=100`, page by page, ordered by the carts' references.
//!
//! A page is as recent as its request. Query the newest event of the cart's log before the first page: the pages include
//! the effect of every event up to that one, and each later change has its own event.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde::{Deserialize, Serialize};
use trace_context::propagate;
use utoipa::ToSchema;
use uuid::Uuid;

/// The maximum number of carts in one page.
pub const MAX_CARTS: u32 = 100;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The line of one product in a cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartLine {
    /// The cart's [reference](crate::cart_reference), not its id.
    pub cart_id: Uuid,
    /// The product.
    pub product_id: i64,
    /// The number of pieces, 1 or more.
    pub quantity: i32,
    /// The version of the line, as in its last event.
    pub version: i64,
}

/// The lines of the carts whose references lie between the cursor and the next cursor. A cart in this range without a
/// line is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CartSnapshotPage {
    /// The lines, ordered by cart and product.
    pub lines: Vec<CartLine>,
    /// The `cursor` of the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Uuid>,
}

/// The snapshot of the cart service at one address. Cheap to clone. Its token, if it has one, is never shown.
#[derive(Clone)]
pub struct CartSnapshot {
    url: String,
    client: Client,
    token: Option<Arc<str>>,
}

/// The cart did not respond, or its response was invalid.
#[derive(Debug, thiserror::Error)]
#[error("the cart's snapshot cannot be read: {0}")]
pub struct SnapshotError(String);

impl CartSnapshot {
    /// Returns the snapshot of the cart at `base`, such as `http://127.0.0.1:8005`.
    pub fn new(base: &str, client: Client) -> Self {
        Self { url: format!("{}/events/snapshot", base.trim_end_matches('/')), client, token: None }
    }

    /// Sends the token of the operations routes.
    #[must_use]
    pub fn with_token(mut self, token: Option<&str>) -> Self {
        self.token = token.map(Into::into);
        self
    }

    /// Returns the first page, or the page after `cursor`.
    ///
    /// # Errors
    /// Returns an error if the cart does not respond in time, or if its response is invalid.
    pub async fn page(&self, cursor: Option<Uuid>) -> Result<CartSnapshotPage, SnapshotError> {
        let mut request = self.client.get(&self.url).query(&[("limit", MAX_CARTS.to_string())]).timeout(TIMEOUT);
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor.to_string())]);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let unavailable = |error: reqwest::Error| SnapshotError(error.without_url().to_string());
        let answer = propagate(request).send().await.map_err(unavailable)?;
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
