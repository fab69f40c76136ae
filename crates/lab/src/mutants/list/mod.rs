//! The mutants: each takes one defence out of one script, and names the test that must notice.
//!
//! Only the cache's own scripts: those of the relay, of the consumers and of the search's horizon have none.

mod fills;
mod older;
mod refreshes;
mod tags;

/// One change of one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutant {
    /// What is taken out.
    pub(super) name: &'static str,
    /// The script's file.
    pub(super) script: &'static str,
    /// What stands there, once.
    pub(super) defence: &'static str,
    /// What stands there instead.
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

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Mutant> {
    [fills::COMMIT, fills::LEASES, older::ALL, refreshes::ALL, tags::REMOVAL, tags::FENCE, tags::EXAMINE, tags::SWEEP]
        .into_iter()
        .flatten()
        .copied()
}
