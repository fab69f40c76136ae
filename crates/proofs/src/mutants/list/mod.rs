//! The list of mutants: each removes one defence from one script, and names the test that must fail.
//!
//! The list covers only the cache's own scripts. The scripts of the relay, of the consumers and of the search's
//! watermarks have no mutants.

mod fills;
mod older;
mod refreshes;
mod tags;

/// One change to one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutant {
    /// The defence that is removed.
    pub(super) name: &'static str,
    /// The file name of the script.
    pub(super) script: &'static str,
    /// The text that is replaced. It occurs once in the script.
    pub(super) defence: &'static str,
    /// The replacement.
    pub(super) instead: &'static str,
    /// The test that must fail.
    pub(super) caught_by: &'static str,
}

const fn mutant(
    script: &'static str,
    name: &'static str,
    defence: &'static str,
    instead: &'static str,
    caught_by: &'static str,
) -> Mutant {
    Mutant { name, script, defence, instead, caught_by }
}

/// Returns all mutants.
pub(super) fn all() -> impl Iterator<Item = Mutant> {
    [fills::COMMIT, fills::LEASES, older::ALL, refreshes::ALL, tags::REMOVAL, tags::FENCE, tags::EXAMINE, tags::SWEEP]
        .into_iter()
        .flatten()
        .copied()
}
