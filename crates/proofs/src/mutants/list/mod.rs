//! The list of mutants: each removes one defence from one script, and names the test that must fail.
//!
//! The list covers only the cache's own scripts. The scripts of the relay, of the consumers and of the search's
//! watermarks have no mutants.

mod fills;
mod older;
mod refreshes;
mod tags;

use super::mutant::Mutant;

/// Returns all mutants.
pub(super) fn all() -> impl Iterator<Item = Mutant> {
    [fills::COMMIT, fills::LEASES, older::ALL, refreshes::ALL, tags::REMOVAL, tags::FENCE, tags::EXAMINE, tags::SWEEP]
        .into_iter()
        .flatten()
        .copied()
}
