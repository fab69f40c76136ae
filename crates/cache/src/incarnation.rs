//! The trusted incarnation: a record in the source of truth says which Redis the processes of a keyspace may use.
//!
//! Replication is asynchronous, so a failover may bring back entries whose invalidation was acknowledged. A process that
//! runs meanwhile detects the new server and purges the keyspace (ADR 10). Two cases remain: a process that starts after
//! the failover knows no earlier server, and a primary that is cut off still serves the processes on its side of the
//! network. The record covers both (ADR 37):
//!
//! ```text
//!             a process sees another server
//! trusts X ───────────────────────────────────▶ recovers to Y ── after a lease, and a purge ──▶ trusts Y
//! ```
//!
//! A process reads the record at every probe. It uses a server only during a lease that begins before it reads a record
//! that names this server. When a record names Y, no lease on X is granted any more. After the time of a lease, no
//! process uses X, so no invalidation is acknowledged there; then the entries of Y are removed.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::lease::RandomId;

/// The result of an access to the record.
pub type RecordFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// The record of one keyspace in the source of truth, for [`CacheClient::connect_trusting`].
///
/// It is one text, such as a row of the database from which the loaders read. The processes of a keyspace share it. An
/// access that takes longer than half a second counts as failed.
///
/// [`CacheClient::connect_trusting`]: crate::CacheClient::connect_trusting
pub trait IncarnationRecord: fmt::Debug + Send + Sync + 'static {
    /// Returns the text of the record, or `None` if there is no record yet. Must read the newest committed state, so not
    /// from a replica of the database.
    fn load(&self) -> RecordFuture<'_, Option<String>>;

    /// Replaces the record by `text`, atomically and only if it still is `expected`; `None` means that there is none.
    /// Returns whether it was replaced.
    fn replace<'a>(&'a self, expected: Option<&'a str>, text: &'a str) -> RecordFuture<'a, bool>;
}

/// The number of servers in [`Record::retired`].
const RETIRED: usize = 64;

/// What the text of a record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Distinguishes this record from an earlier one with the same servers.
    id: String,
    /// The server that may be used, or the primaries of the cluster.
    servers: Vec<String>,
    /// Whether the entries of the servers are still to be removed.
    is_recovering: bool,
    /// Servers that others have replaced, the newest last. None of them is trusted again: each failover gives a server a
    /// new identity, so a server with an old one has missed the failover.
    retired: Vec<String>,
}

/// What a process may do, according to the record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Use the servers.
    Use,
    /// Use them after a lease, remove their entries, and then write this record.
    Recover(Record),
    /// Write this record, which names the servers that this process sees.
    Replace(Record),
    /// Not use the servers, because others have replaced them.
    Refuse,
}

impl Record {
    /// Decides what a process that sees these servers may do.
    pub(crate) fn decide(text: Option<&str>, servers: &[String]) -> Decision {
        // A text that is no record was not written by this version; then nothing is known.
        let Some(record) = text.and_then(|text| serde_json::from_str::<Self>(text).ok()) else {
            return Decision::Replace(Self::recovering(servers, Vec::new()));
        };
        let (missing, new): (Vec<_>, Vec<_>) =
            (difference(&record.servers, servers), difference(servers, &record.servers));
        if missing.is_empty() && new.is_empty() {
            return match record.is_recovering {
                true => Decision::Recover(Self { is_recovering: false, ..record }),
                false => Decision::Use,
            };
        }
        if servers.iter().any(|server| record.retired.contains(server)) {
            return Decision::Refuse;
        }
        let mut retired = record.retired;
        // A primary that a cluster gains or loses replaces no other one.
        if !new.is_empty() {
            retired.extend(missing);
        }
        let oldest = retired.len().saturating_sub(RETIRED);
        Decision::Replace(Self::recovering(servers, retired.split_off(oldest)))
    }

    fn recovering(servers: &[String], retired: Vec<String>) -> Self {
        Self { id: RandomId::random().to_string(), servers: servers.to_vec(), is_recovering: true, retired }
    }

    pub(crate) fn text(&self) -> String {
        // Strings and a truth value can always be serialised.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns the elements of `one` that are not in `other`.
fn difference(one: &[String], other: &[String]) -> Vec<String> {
    one.iter().filter(|server| !other.contains(server)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Applies what a process that sees `names` decides, and returns the new text.
    fn step(text: Option<&str>, names: &[&str]) -> Option<String> {
        match Record::decide(text, &servers(names)) {
            Decision::Recover(record) | Decision::Replace(record) => Some(record.text()),
            Decision::Use | Decision::Refuse => text.map(str::to_owned),
        }
    }

    fn decided(text: Option<&str>, names: &[&str]) -> Decision {
        Record::decide(text, &servers(names))
    }

    #[test]
    fn server_is_used_after_a_recovery_only() {
        let text = step(None, &["x"]);
        assert!(matches!(decided(text.as_deref(), &["x"]), Decision::Recover(_)));
        let text = step(text.as_deref(), &["x"]);
        assert_eq!(decided(text.as_deref(), &["x"]), Decision::Use);
        let text = step(text.as_deref(), &["y"]);
        assert!(matches!(decided(text.as_deref(), &["y"]), Decision::Recover(_)));
    }

    #[test]
    fn replaced_server_is_never_used_again() {
        let mut text = step(None, &["x"]);
        for name in ["y", "z"] {
            text = step(text.as_deref(), &[name]);
            assert_eq!(decided(text.as_deref(), &["x"]), Decision::Refuse, "after {name}");
        }
        assert_eq!(decided(text.as_deref(), &["y"]), Decision::Refuse);
    }

    #[test]
    fn cluster_may_gain_and_lose_a_primary_and_replaces_one_for_good() {
        let all = ["a", "b", "c", "d"];
        let mut text = step(None, &all[..3]);
        for names in [&all[..], &all[..3], &all[..]] {
            text = step(text.as_deref(), names);
            assert!(matches!(decided(text.as_deref(), names), Decision::Recover(_)), "{names:?}");
        }
        text = step(text.as_deref(), &["a", "b", "c", "e"]);
        assert_eq!(decided(text.as_deref(), &all), Decision::Refuse);
        assert!(matches!(decided(text.as_deref(), &["e", "c", "b", "a"]), Decision::Recover(_)), "in any order");
    }

    #[test]
    fn each_recovery_has_a_text_of_its_own() {
        assert_ne!(step(None, &["x"]), step(None, &["x"]));
    }

    #[test]
    fn text_that_is_no_record_is_replaced() {
        assert!(matches!(decided(Some("x"), &["x"]), Decision::Replace(_)));
    }

    #[test]
    fn list_of_replaced_servers_is_bounded() {
        let mut text = step(None, &["0"]);
        for name in 1..200 {
            text = step(text.as_deref(), &[&name.to_string()]);
        }
        let record: Record = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!((record.retired.len(), record.retired.last().map(String::as_str)), (RETIRED, Some("198")));
    }
}
