//! The events strategy: the time from the publication of a change until the listener has deleted the entry.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use client::Metrics;
use client::times::{Times, human, millis};

use crate::all_services;
use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::demo_product::DemoProduct;
use crate::product_api::Answer;

const LIFE: Duration = Duration::from_secs(3);
const ROUNDS: usize = 20;
/// Upper limit in milliseconds: a delivery takes about one, and stays below this even on a busy machine.
const LATEST: f64 = 1_000.0;

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let say = context.say;
    let subject = context.subject()?;

    context.show_entry("The entry exists. The write does not remove it; the event is committed with the row, and the relay publishes it.", &subject, LIFE).await?;
    let before = context.shop.metrics().await?;
    let written = subject.write().await?;
    let gone = until_gone(&subject, &written).await?;
    say.write(&written, "");
    say.redis(&subject.key(), subject.entry().await?.as_ref());
    say.note(&format!("the listener removed the entry {} after the response", human(gone)));
    say.read(&subject.read().await?, "");

    let wait = say.progress(&format!("the same, {ROUNDS} times in all"), ROUNDS as u64);
    let (mut delays, mut fresh) = (vec![gone], 1);
    while delays.len() < ROUNDS {
        subject.warm(LIFE).await?;
        let written = subject.write().await?;
        delays.push(until_gone(&subject, &written).await?);
        fresh += usize::from(subject.read().await?.version >= written.version);
        wait.step(delays.len() as u64, format!("{} of {ROUNDS}", delays.len()));
    }
    wait.over();
    let delays: Times = delays.into_iter().collect();
    context.claim(
        "from response to removal (min / median / max)",
        format!("{:.1} / {:.1} / {}", delays.min(), delays.median(), human(delays.max())),
        Verdict::at_most(LATEST, delays.max()),
    );
    let heard = context.shop.events_applied(before.events_applied() + ROUNDS as u64).await?;
    let mean = applied_in(&before, &context.shop.metrics().await?);
    context.claim(
        "from event to removal, in the service",
        format!("{} on average", human(mean)),
        Verdict::that(
            heard && mean <= LATEST,
            format!("{ROUNDS} events, mean at most {LATEST} ms"),
            format!("{mean} ms"),
        ),
    );
    context.claim_each("a read after the removal is fresh", fresh, ROUNDS);

    say.step("Another client writes through PUT /products/{id}, which does not invalidate this cache.");
    subject.warm(LIFE).await?;
    let written = subject.write_past_the_strategy().await?;
    let gone = until_gone(&subject, &written).await?;
    let read = subject.read().await?;
    say.write(&written, "");
    say.read(&read, "");
    context.claim(
        "the write of another client invalidates the entry, too",
        format!("gone after {}", human(gone)),
        Verdict::that(
            gone <= LATEST && read.version >= written.version,
            format!("v{:?} within {LATEST} ms", written.version),
            format!("v{:?} after {gone} ms", read.version),
        ),
    );
    all_services::run(context, &subject).await?;
    say.lesson(
        "Stale only until delivery, for every writer.",
        "Pub/Sub does not redeliver: after a lost connection the listener removes all entries of this cache, and the TTL is \
         the last resort. A stream redelivers, and costs an outbox, a relay and a consumer that acknowledges.",
    );
    Ok(())
}

/// Returns the milliseconds until the entry is gone or replaced by a newer one.
async fn until_gone(subject: &DemoProduct, written: &Answer) -> Result<f64> {
    let began = Instant::now();
    while subject.entry().await?.is_some_and(|entry| entry.version < written.version) {
        if millis(began.elapsed()) > 5.0 * LATEST {
            bail!("{} is still there {:?} after the write; is the listener running?", subject.key(), began.elapsed());
        }
    }
    Ok(millis(began.elapsed()))
}

/// Returns the mean milliseconds between publication and delete, of the events between two readings of the counters.
fn applied_in(before: &Metrics, after: &Metrics) -> f64 {
    let delta = |name: &str| after.sum(name, &[]) - before.sum(name, &[]);
    1_000.0 * delta("product_event_applied_seconds_sum") / delta("product_event_applied_seconds_count")
}
