//! The TTL strategy: the window in which reads are stale, from the write to the first read of the new version.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::Source;
use client::times::{human, millis};

use crate::claim::Verdict;
use crate::context::DemoContext;

/// The longest time that a viewer should have to watch.
const LONGEST: Duration = Duration::from_secs(30);
/// An entry that expires sooner than this is left to expire first.
const LIFE: Duration = Duration::from_secs(4);
/// The delay that a busy machine may add to the end of the window.
const TOLERANCE: Duration = Duration::from_secs(1);

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let say = context.say;
    let subject = context.subject()?;

    say.step("A read fills the entry, unless one exists that does not expire soon.");
    say.note(&subject.to_string());
    let (first, entry) = subject.warm(LIFE).await?;
    let hard = Duration::from_millis(entry.hard_ttl_ms.context("an entry without a hard TTL")?);
    ensure!(
        hard <= LONGEST,
        "the hard TTL of the strategy ttl is {hard:?}, too long to watch; start the stack with LANES__TTL__HARD_TTL=10s"
    );
    say.read(&first, "");
    say.redis(&subject.key(), Some(&entry));
    say.raw(&context.stack.redis_get(&subject.key()).await?);
    let hits = subject.reads(50).await?;

    say.step("A write changes the row in Postgres, and leaves the entry alone.");
    let written = subject.write().await?;
    let acknowledged = Instant::now();
    say.write(&written, "Postgres has it");
    let stale = subject.read().await?;
    say.read(&stale, "stale");
    let left = subject.entry().await?;
    say.redis(&subject.key(), left.as_ref());
    context.claim(
        "right after a write, a read is a stale hit",
        human(stale.ms),
        Verdict::equal((Source::Hit, entry.version), (stale.source, stale.version)),
    );

    say.step("Reads go on until one returns the new version.");
    let left = Duration::from_millis(left.map_or(0, |entry| entry.expires_in_ms.max(0).unsigned_abs()));
    let wait = say.wait("reading until the entry ends", left);
    let (waiting, mut seen) = (Instant::now(), BTreeMap::new());
    let fresh = loop {
        let read = subject.read().await?;
        *seen.entry(read.version).or_insert(0) += 1;
        // A read that bypassed the cache, because Redis responded too late, says nothing about the entry.
        let is_new = read.version >= written.version && read.source != Source::Bypass;
        if is_new || acknowledged.elapsed() > hard + 5 * TOLERANCE {
            break read;
        }
        let to_go = left.saturating_sub(waiting.elapsed()).as_secs_f64();
        let version = read.version.unwrap_or(0);
        wait.at(
            waiting.elapsed(),
            format!("{to_go:4.1} s left, {:>3} reads, the last one v{version}", seen[&read.version]),
        );
        tokio::time::sleep(Duration::from_millis(40)).await;
    };
    let window = acknowledged.elapsed();
    wait.over();
    say.read(&fresh, "");
    say.redis(&subject.key(), subject.entry().await?.as_ref());
    let stale_reads = seen.get(&entry.version).copied().unwrap_or(0) + 1;
    context.claim(
        "the window ends by itself, within the TTL",
        format!("{} stale, {stale_reads} reads", human(millis(window))),
        Verdict::that(
            fresh.version >= written.version && window <= hard + TOLERANCE,
            format!("v{} within {hard:?}", written.version.unwrap_or(0)),
            format!("v{} after {window:?}", fresh.version.unwrap_or(0)),
        ),
    );
    let versions: Vec<_> = seen.into_keys().flatten().collect();
    context.promise(
        "reads return the old version, then the new",
        versions.iter().map(|version| format!("v{version}")).collect::<Vec<_>>().join(", "),
        Verdict::equal(entry.version.into_iter().chain(fresh.version).collect(), versions),
    );
    context.claim(
        "the first read after expiry loads",
        format!("{}, a hit takes {}", human(fresh.ms), human(hits.median())),
        Verdict::equal(Source::Miss, fresh.source),
    );
    say.lesson(
        "Staleness is bounded without any work: by the rest of the TTL at the time of the write.",
        "Every read until then is stale, and the first read after each expiry is slow, even if nothing has changed.",
    );
    Ok(())
}
