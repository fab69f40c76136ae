//! What a relay knows of the stream, during one connection to Postgres.

/// What a relay knows of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RelayState {
    /// Redis and its stream may not be those that the rows were appended to.
    Unverified,
    /// The stream has refused rows because it has another history. It is replaced, even if its end matches.
    Diverged,
    /// The stream is verified. There may be numbered rows that no relay has appended.
    Behind,
    /// The stream is verified. Every numbered row is appended, or a peer is about to append it.
    Current,
}

impl RelayState {
    /// Returns whether Redis and its stream are known to be those that the rows were appended to.
    pub(super) fn is_verified(self) -> bool {
        matches!(self, Self::Behind | Self::Current)
    }

    /// Requires the relay to verify the stream again.
    pub(super) fn unverify(&mut self) {
        if self.is_verified() {
            *self = Self::Unverified;
        }
    }
}
