//! Read-your-writes: a write returns a token, and a read with that token sees the write, in every state of Redis.

use std::fmt;
use std::str::FromStr;

use crate::ids::InvalidId;

/// A committed write: the id of its transaction in the product API's database (`xid8`, which is never used again).
///
/// A client sends the token of its last write with its reads. Its earlier writes were committed before, so a state with the
/// last one has them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConsistencyToken(u64);

/// A database does not make more than 10^18 transactions, and numbers up to that fit into every integer type.
const MAX_DIGITS: usize = 18;

impl ConsistencyToken {
    /// The header of responses to writes, and of reads.
    pub const HEADER: &str = "x-consistency-token";

    /// Returns the id of the transaction.
    pub fn transaction(self) -> u64 {
        self.0
    }
}

impl From<u64> for ConsistencyToken {
    fn from(transaction: u64) -> Self {
        Self(transaction)
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ConsistencyToken {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        let rule = "X-Consistency-Token must be one that the response to a write has returned";
        number.map(Self).ok_or_else(|| InvalidId::new(rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_the_number_of_a_transaction() {
        assert_eq!("742".parse(), Ok(ConsistencyToken(742)));
        assert_eq!(ConsistencyToken(742).to_string(), "742");
        for refused in ["", "+1", "-1", "0x1", "1 ", "1000000000000000000", "99999999999999999999"] {
            assert!(refused.parse::<ConsistencyToken>().is_err(), "{refused:?}");
        }
    }
}
