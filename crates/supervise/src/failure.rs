//! The error of a command: what failed, and what helps.

use std::fmt::{self, Display, Formatter};

/// The result of a step that may fail.
pub type Result<T> = std::result::Result<T, Failure>;

/// An error that is shown to the person who ran the command: the first line says what failed and why, and each other line
/// what helps.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// Returns an error without hints.
    pub fn new(message: impl Display) -> Self {
        Self(message.to_string())
    }

    /// Adds a line that says what helps.
    #[must_use]
    pub fn hint(self, hint: impl Display) -> Self {
        Self(format!("{}\n{hint}", self.0))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
