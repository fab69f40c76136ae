//! Write-through: the next read is a hit with the new value, and of two concurrent writers the last one determines the
//! entry.

use std::time::Duration;

use anyhow::Result;
use client::Source;
use client::times::{Times, human};
use futures_util::future::try_join;

use crate::claim::Verdict;
use crate::context::DemoContext;

const LIFE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const RACES: usize = 20;

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let say = context.say;
    let subject = context.subject()?;

    context.show_entry("The entry exists.", &subject, LIFE).await?;

    say.step(&format!("A write replaces it, the next read is a hit; {ROUNDS} times."));
    let (mut hits, mut reads, mut writes) = (0, Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let written = subject.write().await?;
        let stored = subject.entry().await?;
        let read = subject.read().await?;
        if round == 0 {
            say.write(&written, "");
            say.redis(&subject.key(), stored.as_ref());
            say.raw(&context.stack.redis_get(&subject.key()).await?);
            say.read(&read, "");
        }
        hits += usize::from((read.source, read.version) == (Source::Hit, written.version));
        reads.push(read.ms);
        writes.push(written.ms);
    }
    let (reads, writes): (Times, Times) = (reads.into_iter().collect(), writes.into_iter().collect());
    context.claim(
        "the next read is a hit with the new value",
        format!("{hits} of {ROUNDS}, median {}", human(reads.median())),
        Verdict::equal(ROUNDS, hits),
    );
    say.note(&format!("The write pays for it: median {}.", human(writes.median())));

    say.step(&format!("Two writers at once, {RACES} times; then the entry is compared with the row."));
    let (mut stored, mut same, mut fresh) = (0, 0, 0);
    for _ in 0..RACES {
        try_join(subject.write(), subject.write()).await?;
        let (entry, truth) = (subject.entry().await?, subject.truth().await?);
        let read = subject.read().await?;
        // A missing entry is not a contradiction: when the first writer finds that its lease is gone, it deletes the
        // entry that may be wrong.
        same += usize::from(entry.as_ref().is_none_or(|entry| entry.version == Some(truth)));
        stored += usize::from(entry.is_some());
        fresh += usize::from(read.version == Some(truth));
    }
    say.redis(&subject.key(), subject.entry().await?.as_ref());
    context.claim(
        "two writers at once: cache equals database",
        format!("{same} of {RACES} ({stored} stored, {} deleted)", RACES - stored),
        Verdict::equal(RACES, same),
    );
    context.promise(
        "and the next read returns what the row has",
        format!("{fresh} of {RACES}"),
        Verdict::equal(RACES, fresh),
    );
    say.lesson(
        "The cache always has the committed value, and no reader waits for a load after a write.",
        "A round trip to Redis while the row is locked, and memory for values that may never be read.",
    );
    Ok(())
}
