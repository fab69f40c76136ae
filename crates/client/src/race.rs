//! The stale-fill race: no cache holds the value, readers and a writer run without pauses, and then all traffic ends.
//! An entry that is stale then stays stale until its TTL ends or another write removes it.
//!
//! ```text
//! reader   GET: nothing ─ SELECT: version 1 ──────────────────────── SET version 1, until its TTL
//! writer                                     UPDATE: version 2 ─ DEL
//! ```
//!
//! Under an ordinary load the race is rare and its effect is short: another write soon removes the entry. The trial
//! makes the race likely, and the time without traffic shows what it leaves behind.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use anyhow::{Context, Result};
use futures_util::future::{try_join, try_join_all};

/// A value that was still stale when all traffic had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The version of the last acknowledged write. Readers got an older one.
    pub version: u64,
    /// The time of that acknowledgement.
    pub since: Instant,
}

/// Runs one trial. The caller must have removed the value from every cache.
///
/// `read(reader)` reads the value as one of `readers` and returns its version; `write()` writes a new version, and
/// returns it once the write is acknowledged. Each reader has one read in flight until the last of `writes` is
/// acknowledged. Then reader 0 reads once more. If that read shows an older version, returns the last write.
///
/// # Errors
/// Returns the first error of a read or a write.
pub async fn trial<R, W>(
    readers: usize, read: impl Fn(usize) -> R, writes: u32, write: impl Fn() -> W,
) -> Result<Option<Stale>>
where
    R: Future<Output = Result<u64>>,
    W: Future<Output = Result<u64>>,
{
    let (writing, read) = (AtomicBool::new(true), &read);
    let reading = (0..readers).map(|reader| {
        let writing = &writing;
        async move {
            while writing.load(SeqCst) {
                read(reader).await?;
            }
            anyhow::Ok(())
        }
    });
    let writing_all = async {
        let mut last = None;
        for _ in 0..writes {
            last = Some(Stale { version: write().await?, since: Instant::now() });
        }
        writing.store(false, SeqCst);
        last.context("a trial needs a write")
    };
    let (_, last) = try_join(try_join_all(reading), writing_all).await?;
    let shown = read(0).await?;
    Ok((shown < last.version).then_some(last))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use tokio::task::yield_now;

    use super::*;

    /// A database and a cache. A read that misses loads, yields to the writer, and then fills.
    #[derive(Default)]
    struct Shop {
        database: AtomicU64,
        /// 0 for no entry.
        entry: AtomicU64,
    }

    impl Shop {
        /// Reads, and compares with the database before the fill if `checks`.
        async fn read(&self, checks: bool) -> Result<u64> {
            let entry = self.entry.load(SeqCst);
            if entry > 0 {
                yield_now().await;
                return Ok(entry);
            }
            let loaded = self.database.load(SeqCst);
            yield_now().await;
            if !checks || self.database.load(SeqCst) == loaded {
                self.entry.store(loaded, SeqCst);
            }
            Ok(loaded)
        }

        async fn write(&self) -> Result<u64> {
            let version = self.database.fetch_add(1, SeqCst) + 1;
            self.entry.store(0, SeqCst);
            yield_now().await;
            Ok(version)
        }
    }

    async fn left_stale(checks: bool) -> Option<Stale> {
        let shop = Shop { database: AtomicU64::new(1), ..Shop::default() };
        // Each read and each write yields once, so the readers load before every write with an odd number, and fill
        // after it.
        trial(8, |_| shop.read(checks), 7, || shop.write()).await.unwrap()
    }

    #[tokio::test]
    async fn late_fill_is_found() {
        let stale = left_stale(false).await.expect("a reader fills after the last write");
        assert_eq!(stale.version, 8);
    }

    #[tokio::test]
    async fn checked_fill_leaves_nothing() {
        assert_eq!(left_stale(true).await, None);
    }

    #[tokio::test]
    async fn failed_read_ends_the_trial() {
        let shop = Shop::default();
        let read = async |reader| {
            yield_now().await;
            anyhow::ensure!(reader != 3, "reader 3");
            Ok(1)
        };
        let error = trial(4, read, 2, || shop.write()).await.unwrap_err();
        assert_eq!(error.to_string(), "reader 3");
    }
}
