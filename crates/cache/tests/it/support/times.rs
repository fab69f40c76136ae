//! What every test means by soon, by long, and by a policy under which nothing ends.

use std::time::Duration;

use cache::{Policy, Tag};

/// The longest that a test waits for an expected event.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// Longer than that: a test that waits for something of this duration fails. No lease may be longer.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A policy under which nothing ends by itself during a test.
pub(crate) fn patient() -> Policy {
    Policy::ttl(60 * LONG).negative_ttl(60 * LONG).lease(LONG).wait(2 * LONG)
}

pub(crate) fn shelf(id: u32) -> Tag {
    Tag::new("shelf", id)
}
