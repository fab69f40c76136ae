//! Explicit invalidation: the next read is fresh and slow, and no reader can store the old value again in between.

use std::time::Duration;

use anyhow::Result;
use client::Source;
use client::times::{Times, human};

use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::readers::{Load, Pace};

const LIFE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 5;
const HITS: usize = 50;
const READERS: usize = 16;
const RACE: Duration = Duration::from_millis(800);

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let say = context.say;
    let subject = context.subject()?;

    context.show_entry("The entry exists, and reads are hits.", &subject, LIFE).await?;
    let hits = subject.reads(HITS).await?;
    say.read(&subject.read().await?, "");
    say.note(&format!("{HITS} more hits: median {}, slowest {}", human(hits.median()), human(hits.max())));

    say.step(&format!("A write removes it, and the next read loads it again; {ROUNDS} times."));
    let (mut misses, mut gone, mut fresh) = (Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        let written = subject.write().await?;
        let left = subject.entry().await?;
        let read = subject.read().await?;
        if round == 0 {
            say.write(&written, "");
            say.redis(&subject.key(), left.as_ref());
            say.read(&read, "");
            say.redis(&subject.key(), subject.entry().await?.as_ref());
        }
        gone += usize::from(left.is_none());
        fresh += usize::from((read.source, read.version) == (Source::Miss, written.version));
        misses.push(read.ms);
    }
    let misses: Times = misses.into_iter().collect();
    context.claim_each("once the write is answered, the entry is gone", gone, ROUNDS);
    context.claim_each("the next read loads the written value", fresh, ROUNDS);
    context.claim(
        "that read is slower than a hit (medians)",
        format!("{} against {}", human(misses.median()), human(hits.median())),
        Verdict::that(
            misses.median() > hits.median(),
            format!("more than {}", human(hits.median())),
            human(misses.median()),
        ),
    );

    say.step(&format!("The race: {READERS} readers load and store the entry while a writer keeps writing."));
    let pace = Pace { readers: READERS, read_pause: Duration::ZERO, write_pause: Duration::from_millis(10) };
    let load = Load::start(std::slice::from_ref(&subject), pace);
    tokio::time::sleep(RACE).await;
    let traffic = load.finish().await;
    let (reads, writes) = (traffic.reads.len(), traffic.writes.len());
    say.note(
        "A removal also removes the lease of a load that began before it, so that load cannot store the old value.",
    );
    context.promise(
        "no read is older than an acknowledged write",
        format!("{} of {reads} reads, {writes} writes", traffic.outdated()),
        Verdict::equal((0, Vec::new()), (traffic.outdated(), traffic.failures())),
    );
    say.lesson(
        "After the response to a write, no read returns the old value.",
        "The next read waits for the database, and the writer has to know every key that shows the product.",
    );
    Ok(())
}
