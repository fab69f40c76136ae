//! The demo of a strategy that has none of its own: what a read returns after a write through the strategy.

use std::time::{Duration, Instant};

use anyhow::Result;
use client::times::{human, millis};
use contract::Staleness;

use crate::claim::Verdict;
use crate::context::DemoContext;

/// An entry that expires sooner than this is left to expire first.
const LIFE: Duration = Duration::from_secs(3);
/// The longest time that a viewer should have to watch.
const LONGEST: Duration = Duration::from_secs(30);
/// The time that the delivery of an event, or a load, takes at most on a busy machine.
const TOLERANCE: Duration = Duration::from_secs(2);

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let (say, staleness) = (context.say, context.strategy.own);
    let subject = context.subject()?;

    let entry = context.show_entry("The entry exists.", &subject, LIFE).await?;

    say.step("A write, and the read after it.");
    let written = subject.write().await?;
    let acknowledged = Instant::now();
    say.write(&written, "");
    say.redis(&subject.key(), subject.entry().await?.as_ref());
    let mut read = subject.read().await?;
    say.read(&read, "");
    let allowed = match staleness {
        Staleness::Never => vec![written.version],
        Staleness::Delivery | Staleness::Seconds(_) => vec![entry.version, written.version],
    };
    context.promise(
        "the next read returns what the strategy allows",
        format!("v{}", read.version.unwrap_or(0)),
        Verdict::that(allowed.contains(&read.version), format!("{allowed:?}"), format!("{:?}", read.version)),
    );
    let limit = match staleness {
        // The claim above has said it all.
        Staleness::Never => return Ok(()),
        Staleness::Delivery => TOLERANCE,
        Staleness::Seconds(seconds) => Duration::from_secs(seconds) + TOLERANCE,
    };
    if limit > LONGEST {
        say.note(&format!("Reads may return the old value for {limit:?}: too long to watch."));
        return Ok(());
    }
    while read.version < written.version && acknowledged.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(40)).await;
        read = subject.read().await?;
    }
    say.read(&read, "");
    context.claim(
        "reads return the new value in time",
        human(millis(acknowledged.elapsed())),
        Verdict::equal(written.version, read.version),
    );
    Ok(())
}
