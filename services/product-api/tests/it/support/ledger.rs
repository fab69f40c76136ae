//! A record of all writes and reads of one product, and the rules between them.
//!
//! The floor of a read is the highest version that had been acknowledged when the read began. A version below the floor
//! is stale. A version above the ceiling (as many versions as writes had begun when the read ended) is invented. A body
//! in which the fields of two versions meet is torn.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
    pub(crate) version: i64,
    pub(crate) content: i64,
    /// Redis has not acknowledged the invalidation yet, so the write is not acknowledged to other processes.
    pub(crate) deferred: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
    pub(crate) version: i64,
    /// The number from which all fields were made; `None` if they disagree.
    pub(crate) content: Option<i64>,
    pub(crate) source: String,
}

/// The history of one product.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The version before the first write.
    pub(crate) base: i64,
    pub(crate) writes: Vec<Write>,
    pub(crate) reads: Vec<Read>,
    /// Failed responses, and requests without a response.
    pub(crate) failures: Vec<String>,
}

/// The fields of content number `n`: the fields of any two numbers differ.
pub(crate) fn fields(n: i64) -> Value {
    json!({ "name": format!("number {n}"), "description": format!("{n}, {n}"), "price_cents": n, "stock": n % 1000 })
}

/// Returns the number from which a product's fields were made, if they agree.
pub(crate) fn content(product: &Value) -> Option<i64> {
    let n = product["price_cents"].as_i64()?;
    let expected = fields(n);
    let expected = expected.as_object()?;
    expected.iter().all(|(field, value)| product[field] == *value).then_some(n)
}

impl Ledger {
    /// Returns the reads that broke a guarantee, with `counted` writes as acknowledged.
    pub(crate) fn violations(&self, counted: impl Fn(&Write) -> bool) -> Vec<String> {
        let written: HashMap<i64, i64> = self.writes.iter().map(|write| (write.version, write.content)).collect();
        let floors = Self::rising(self.writes.iter().filter(|write| counted(write)).map(|w| (w.end, w.version)));
        let mut begins: Vec<Instant> = self.writes.iter().map(|write| write.begin).collect();
        begins.sort();
        let mut violations = self.failures.clone();
        for read in &self.reads {
            let acknowledged = floors.partition_point(|(at, _)| *at < read.begin);
            let floor = floors[..acknowledged].last().map_or(self.base, |(_, version)| *version);
            // Failed writes have begun as well, so there is no exact count if there are any.
            let ceiling = self.base + begins.partition_point(|at| *at < read.end) as i64 + self.failures.len() as i64;
            if read.version < floor {
                violations.push(format!("stale: {floor} was acknowledged before {read:?}"));
            }
            if read.version > ceiling {
                violations.push(format!("invented: {ceiling} is the most there can be, but {read:?}"));
            }
            match (read.content, written.get(&read.version)) {
                (None, _) if read.version > self.base => violations.push(format!("torn: {read:?}")),
                (Some(content), Some(written)) if content != *written => {
                    violations.push(format!("torn: version {} was written as {written}: {read:?}", read.version));
                }
                _ => {}
            }
        }
        violations
    }

    /// Returns the longest time between the end of a write and the start of a read that did not see it.
    pub(crate) fn staleness(&self) -> Duration {
        let mut writes: Vec<(i64, Instant)> = self.writes.iter().map(|write| (write.version, write.end)).collect();
        writes.sort();
        // From the back: the earliest end of this write and of all later ones.
        let mut earliest = None::<Instant>;
        for (_, end) in writes.iter_mut().rev() {
            *end = earliest.map_or(*end, |known| known.min(*end));
            earliest = Some(*end);
        }
        let staleness = self.reads.iter().filter_map(|read| {
            let next = writes.partition_point(|(version, _)| *version <= read.version);
            let (_, overwritten) = writes.get(next)?;
            read.begin.checked_duration_since(*overwritten)
        });
        staleness.max().unwrap_or_default()
    }

    pub(crate) fn reads_from(&self, source: &str) -> usize {
        self.reads.iter().filter(|read| read.source == source).count()
    }

    /// A line for the log of a test.
    pub(crate) fn summary(&self) -> String {
        let deferred = self.writes.iter().filter(|write| write.deferred).count();
        let mut sources: HashMap<&str, usize> = HashMap::new();
        for read in &self.reads {
            *sources.entry(&read.source).or_default() += 1;
        }
        let mut sources: Vec<_> = sources.into_iter().collect();
        sources.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        format!(
            "{} reads {sources:?}, {} writes ({deferred} deferred), staleness {:?}",
            self.reads.len(),
            self.writes.len(),
            self.staleness()
        )
    }

    /// Returns each time with the highest version up to then.
    fn rising(versions: impl Iterator<Item = (Instant, i64)>) -> Vec<(Instant, i64)> {
        let mut versions: Vec<_> = versions.collect();
        versions.sort();
        let mut highest = i64::MIN;
        for (_, version) in &mut versions {
            highest = highest.max(*version);
            *version = highest;
        }
        versions
    }
}

/// A check that cannot fail proves nothing, so this tests the checker.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checker_finds_stale_invented_and_torn_reads_and_no_others() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let write = |begin, end, version| Write {
            begin: at(begin),
            end: at(end),
            version,
            content: version * 10,
            deferred: false,
        };
        let read = |begin, end, version, content| Read {
            begin: at(begin),
            end: at(end),
            version,
            content,
            source: String::new(),
        };
        let ledger = |read| Ledger {
            base: 1,
            writes: vec![write(10, 20, 2), write(30, 40, 3)],
            reads: vec![read],
            ..Ledger::default()
        };
        for (read, verdict) in [
            (read(0, 5, 1, None), ""),
            (read(15, 16, 1, None), ""),     // the write is in flight
            (read(15, 16, 2, Some(20)), ""), // read before it was acknowledged
            (read(21, 22, 2, Some(20)), ""),
            (read(21, 45, 1, None), "stale: 2 was"), // the seed's content is not checked
            (read(45, 46, 2, Some(20)), "stale: 3 was"),
            (read(21, 29, 3, Some(30)), "invented: 2 is"),
            (read(21, 31, 3, Some(30)), ""), // its write has begun
            (read(45, 46, 3, None), "torn"),
            (read(45, 46, 3, Some(20)), "torn"),
        ] {
            let violations = ledger(read.clone()).violations(|_| true);
            match verdict {
                "" => assert!(violations.is_empty(), "{read:?}: {violations:?}"),
                _ => assert!(violations.len() == 1 && violations[0].starts_with(verdict), "{read:?}: {violations:?}"),
            }
        }
        assert_eq!(ledger(read(45, 46, 1, None)).staleness(), Duration::from_millis(25));
        assert_eq!(ledger(read(45, 46, 3, None)).staleness(), Duration::ZERO);
        assert_eq!(content(&fields(1_234)), Some(1_234));
        let mut torn = fields(1_234);
        torn["stock"] = json!(1);
        assert_eq!(content(&torn), None);
    }
}
