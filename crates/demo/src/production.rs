//! The production strategy: every layer together, then two processes, then an outage of Redis under traffic, and a Redis
//! that restarts empty.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use client::Source;
use client::times::{human, millis};
use serde_json::json;

use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::demo_product::DemoProduct;
use crate::narrate::Colour;
use crate::readers::{Load, Pace, Request, from, times};
use crate::two_processes;

const LIFE: Duration = Duration::from_secs(3);
const SUBJECTS: usize = 6;
const PACE: Pace = Pace { readers: 8, read_pause: Duration::from_millis(5), write_pause: Duration::from_millis(50) };
/// The duration of each phase: Redis available, Redis unavailable, Redis available again.
const PHASE: Duration = Duration::from_millis(1_500);
/// Maximum time between the return of Redis and the first hit, even on a busy machine.
const RECOVERY: Duration = Duration::from_secs(10);
/// The lease of the near cache (`LANES__PRODUCTION__NEAR_STRICT`): for so long, entries are served from memory after the last
/// reply of Redis.
const LEASE: Duration = Duration::from_millis(100);
/// Upper limit of a delivery in milliseconds; it normally takes about one.
const DELIVERY: f64 = 1_000.0;

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let subject = context.subject()?;
    layers(context, &subject).await?;
    two_processes::run(context, &subject).await?;
    outage(context).await?;
    context.say.lesson(
        "The cache is not a dependency: without it, reads are slower, but no request fails and no read is stale.",
        "The cost of every other strategy, and a database that can serve the bounded load during an outage.",
    );
    Ok(())
}

async fn layers(context: &mut DemoContext, subject: &DemoProduct) -> Result<()> {
    let say = context.say;
    say.step("The entry has a soft TTL, a hard TTL and tags.");
    say.note(&subject.to_string());
    let (_, entry) = subject.warm(LIFE).await?;
    say.read(&subject.read().await?, "");
    say.redis(&subject.key(), Some(&entry));
    let (soft, hard) = (entry.soft_ttl_ms.unwrap_or(0), entry.hard_ttl_ms.unwrap_or(0));
    context.claim(
        "refreshed after the soft TTL, removed at the hard TTL",
        format!("{:.1} s and {:.1} s", soft as f64 / 1e3, hard as f64 / 1e3),
        Verdict::that(0 < soft && soft < hard, "0 < soft < hard", format!("{soft} and {hard} ms")),
    );

    say.step(
        "Its own write removes the entry by key, a write through another strategy by tag, and any other write by event.",
    );
    let events = context.shop.metrics().await?.events_applied();
    let written = subject.write().await?;
    let read = subject.read().await?;
    say.write(&written, "own write");
    say.read(&read, "");
    context.claim(
        "its own write: the next read is fresh",
        human(read.ms),
        Verdict::equal((Source::Miss, written.version), (read.source, read.version)),
    );
    // The event of that write deletes the entry a second time; wait, so that it does not do so during the next steps.
    context.shop.events_applied(events + 1).await?;

    subject.warm(LIFE).await?;
    let cents = subject.product.price_cents + 1_000;
    let written =
        context.shop.put(&format!("/products/tags/{}", subject.product.id), &json!({"price_cents": cents})).await?;
    let read = subject.read().await?;
    say.write(&written, "through the strategy tags");
    say.read(&read, "");
    context.claim(
        "a write through another strategy invalidates it by tag",
        human(read.ms),
        Verdict::equal((Source::Miss, written.version), (read.source, read.version)),
    );

    subject.warm(LIFE).await?;
    let written = subject.write_past_the_strategy().await?;
    let began = Instant::now();
    let mut read = subject.read().await?;
    while read.version < written.version && millis(began.elapsed()) < 5.0 * DELIVERY {
        read = subject.read().await?;
    }
    say.write(&written, "another client");
    say.read(&read, "");
    let delay = millis(began.elapsed());
    context.claim(
        "any other write invalidates it by event",
        format!("{} until the fresh read", human(delay)),
        Verdict::that(
            read.version >= written.version && delay <= DELIVERY,
            format!("{:?} within {DELIVERY} ms", written.version),
            format!("{:?} after {delay} ms", read.version),
        ),
    );
    Ok(())
}

async fn outage(context: &mut DemoContext) -> Result<()> {
    let say = context.say;
    let subjects = context.subjects(SUBJECTS)?;
    for subject in &subjects {
        subject.warm(LIFE).await?;
    }
    say.step(&format!(
        "{} readers and a writer use {SUBJECTS} products while Redis is stopped and started again.",
        PACE.readers
    ));
    let load = Load::start(&subjects, PACE);
    phase(context, "before").await;
    let stopping = Instant::now();
    let redis = context.stack.borrow("redis");
    redis.stop().await?;
    let stopped = Instant::now();
    say.labelled("stop", Colour::Red, "Redis is gone");
    say.read(&subjects[0].read().await?, "");
    say.write(&subjects[0].write().await?, "");
    say.read(&subjects[0].read().await?, "");
    phase(context, "without Redis").await;
    let starting = Instant::now();
    redis.give_back().await?;
    let started = Instant::now();
    say.labelled("start", Colour::Green, "Redis is back, and empty");
    let read = first_hit(&subjects[0]).await?;
    let back = started.elapsed();
    say.read(&read, &format!("after {}", human(millis(back))));
    phase(context, "after").await;
    let traffic = load.finish().await;

    let between = |from: Instant, to: Option<Instant>| -> Vec<&Request> {
        traffic.reads.iter().filter(|read| read.began >= from && to.is_none_or(|to| read.began < to)).collect()
    };
    let phases = [
        ("before", between(load_began(&traffic.reads), Some(stopping))),
        ("during", between(stopping, Some(started))),
        ("after", between(started, None)),
    ];
    println!();
    let head = ["reads", "failed", "p50", "p99", "slowest", "hit", "stale", "miss", "bypass"];
    say.labelled("", Colour::Plain, &format!("{:<8}{}", "", head.map(|name| format!("{name:>9}")).concat()));
    for (name, reads) in &phases {
        let took = times(reads);
        let failed = reads.iter().filter(|read| read.result.is_err()).count();
        let figures = [
            reads.len().to_string(),
            failed.to_string(),
            human(took.median()),
            human(took.percentile(99.0)),
            human(took.max()),
            from(reads, &[Source::Hit, Source::Near]).to_string(),
            from(reads, &[Source::Stale]).to_string(),
            from(reads, &[Source::Miss, Source::Collapsed]).to_string(),
            from(reads, &[Source::Bypass]).to_string(),
        ];
        say.labelled("", Colour::Plain, &format!("{name:<8}{}", figures.map(|figure| format!("{figure:>9}")).concat()));
    }
    println!();
    let (reads, writes) = (traffic.reads.len(), traffic.writes.len());
    context.promise(
        "Redis is down: no read and no write fails",
        format!("{} of {reads} reads, {writes} writes", traffic.failures().len()),
        Verdict::equal(Vec::new(), traffic.failures()),
    );
    let without = between(stopped + LEASE, Some(starting));
    let (hits, bypassed) =
        (from(&without, &[Source::Hit, Source::Near, Source::Stale]), from(&without, &[Source::Bypass]));
    let during = times(&phases[1].1);
    context.promise(
        "meanwhile reads bypass the cache",
        format!("{bypassed}, p50 {}, p99 {}", human(during.median()), human(during.percentile(99.0))),
        Verdict::that(hits == 0 && bypassed > 0, "reads by bypass only", format!("{hits} hits, {bypassed} by bypass")),
    );
    context.promise(
        "no read is older than an acknowledged write",
        format!("{} of {reads}", traffic.outdated()),
        Verdict::equal(0, traffic.outdated()),
    );
    context.promise(
        "Redis is up again: reads are hits, without a restart of the service",
        format!("after {}", human(millis(back))),
        Verdict::at_most(RECOVERY, back),
    );
    Ok(())
}

async fn phase(context: &DemoContext, name: &str) {
    let (wait, began) = (context.say.wait(&format!("traffic {name}"), PHASE), Instant::now());
    while began.elapsed() < PHASE {
        wait.at(began.elapsed(), format!("traffic {name}"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait.over();
}

async fn first_hit(subject: &DemoProduct) -> Result<crate::product_api::Answer> {
    let began = Instant::now();
    while began.elapsed() < 2 * RECOVERY {
        let read = subject.read().await?;
        if read.source.is_fresh() {
            return Ok(read);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bail!("no read was a hit within {:?} after Redis was up again", 2 * RECOVERY)
}

fn load_began(reads: &[Request]) -> Instant {
    reads.first().map_or_else(Instant::now, |read| read.began)
}
