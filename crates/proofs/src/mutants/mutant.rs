//! One mutant.

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

/// Creates a mutant.
pub(super) const fn mutant(
    script: &'static str, name: &'static str, defence: &'static str, instead: &'static str, caught_by: &'static str,
) -> Mutant {
    Mutant { name, script, defence, instead, caught_by }
}
