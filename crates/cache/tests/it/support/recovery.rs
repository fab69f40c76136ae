//! Reads after a server was away or replaced.

use cache::Outcome;
use testkit::eventually;

use super::node::Node;
use super::row::Row;
use super::times::SOON;

impl Node {
    /// Reads entry `id` until it comes from Redis. A connection that was just made counts only from the next probe on.
    pub(crate) async fn until_hit(&self, id: u32, row: &Row) {
        eventually("a hit from Redis", SOON, async || self.read(id, row).await.outcome() == Outcome::Hit).await;
    }
}
