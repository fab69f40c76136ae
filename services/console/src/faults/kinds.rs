//! The faults: what each does, and what a visitor should see.

use service::problem::Problem;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    RedisStopped,
    RedisFrozen,
    EventsDropped,
    EventsLate,
    SubscriberPaused,
    ReplicaFrozen,
    SlowDatabase,
    CrashAfterCommit,
}

/// What was seen on the board, or while reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Symptom {
    /// A read bypassed the cache.
    Bypass,
    /// A read took long.
    SlowRead,
    /// A write took long.
    SlowWrite,
    /// Another service showed an old price for a while.
    OldPrice,
    /// The cart did not trust its entries.
    Unverified,
    /// Missed events were fetched from the log.
    Recovered,
    /// A write got no answer, because its process died.
    Restart,
}

struct Row(&'static str, &'static str, u64, Symptom, &'static str, &'static str);

/// Name, title, seconds, symptom, what is done, what a visitor should see.
#[rustfmt::skip]
static TABLE: [Row; 8] = [
    Row("redis-stopped", "Redis stopped", 8, Symptom::Bypass,
        "Redis refuses the services: it closes their connections, and their logins fail. Its data stays.",
        "Reads of every strategy bypass the cache and are fresh and slower. No request fails. Afterwards, hits return by themselves."),
    Row("redis-frozen", "Redis frozen", 5, Symptom::Bypass,
        "Redis accepts commands and answers none of them (CLIENT PAUSE).",
        "A read waits 40 ms at most, then bypasses the cache. The circuit breaker opens, so later reads do not wait at all."),
    Row("events-dropped", "Events lost", 8, Symptom::Recovered,
        "No service may read the stream, and what was published meanwhile is removed from it.",
        "After a write, cart, search and recommendation show the old price. Each then finds a gap in the numbers, fetches the lost events from the product API's log, and is current again."),
    Row("events-late", "Events late", 8, Symptom::OldPrice,
        "The product API may not append to the stream. Its relay tries again until it can.",
        "After a write, the other services show the old price, until the fault ends or they notice that they hear nothing (the cart, after 5 s). explicit, writethrough, tags and production stay fresh: their writers invalidate."),
    Row("subscriber-paused", "One subscriber paused", 8, Symptom::Unverified,
        "The cart may not read the stream of events.",
        "The cart soon notices that it hears of no changes. From then on it trusts none of its entries, and asks the product API at each request: slower, and current. Search and recommendation go on as before."),
    Row("replica-frozen", "One process frozen", 4, Symptom::SlowWrite,
        "The second process of the product API is stopped with SIGSTOP while it holds the product in its memory. At once, the console changes the price through production.",
        "This write waits until the frozen process can no longer answer from its memory, at most 110 ms; later writes do not wait. When the process continues, it serves nothing old."),
    Row("slow-database", "Database slow", 8, Symptom::SlowRead,
        "A transaction locks the table of products for 300 ms, again and again.",
        "Misses and writes take up to 300 ms. Hits do not notice. swr never waits: it serves the stale entry while it loads."),
    Row("crash-after-commit", "Crash after COMMIT", 6, Symptom::Restart,
        "The console changes the price through explicit, and the product API dies between COMMIT and the invalidation. Then it starts again.",
        "The write gets no answer, but it is committed. The entry of explicit stays old until a relay repeats the invalidation: that of the new process, or of a second one."),
];

impl Fault {
    /// All faults, in the order of the table.
    pub(crate) const ALL: [Self; 8] = [
        Self::RedisStopped,
        Self::RedisFrozen,
        Self::EventsDropped,
        Self::EventsLate,
        Self::SubscriberPaused,
        Self::ReplicaFrozen,
        Self::SlowDatabase,
        Self::CrashAfterCommit,
    ];

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Returns the fault with this name.
    ///
    /// # Errors
    /// Returns 404 with all names.
    pub(crate) fn named(name: &str) -> Result<Self, Problem> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|fault| fault.name() == name);
        found.ok_or_else(|| Problem::not_found(format!("There is no such fault; there are {}.", names())))
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    pub(crate) fn title(self) -> &'static str {
        self.row().1
    }

    /// How long it usually lasts.
    pub(crate) fn seconds(self) -> u64 {
        self.row().2
    }

    /// What shows its effect.
    pub(crate) fn symptom(self) -> Symptom {
        self.row().3
    }

    pub(crate) fn explanation(self) -> &'static str {
        self.row().4
    }

    pub(crate) fn expect(self) -> &'static str {
        self.row().5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for (fault, row) in Fault::ALL.into_iter().zip(&TABLE) {
            assert_eq!(fault.name(), row.0);
            assert_eq!(Fault::named(row.0).ok(), Some(fault));
        }
        assert!(Fault::named("other").is_err());
    }
}
