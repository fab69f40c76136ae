//! Stale-while-revalidate: after the soft TTL, no reader waits, and one background refresh updates the entry.
//!
//! To show that no reader waits for the database, the demo blocks it: while 200 readers send requests, a lock keeps
//! Postgres from executing any query on products.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use client::times::{Times, human, millis};
use client::{Entry, Source};
use futures_util::future::{try_join, try_join_all};

use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::demo_product::DemoProduct;
use crate::product_api::{Answer, ProductApiClient};

const READERS: usize = 200;
/// The longest time that Postgres is blocked: less than a lease, so that the refresh can still store its value.
const HOLD: Duration = Duration::from_millis(1_500);
/// The longest time that a viewer should have to watch.
const LONGEST: Duration = Duration::from_secs(30);
/// What must be left of the hard TTL when the entry becomes stale.
const LIFE: Duration = Duration::from_secs(8);
const LIST: (&str, &str) = ("/products/featured", "product:featured:list");

/// The responses to the readers of the product, and to the reader of the list.
struct Crowd {
    answers: Vec<Answer>,
    featured: Answer,
    held_for: f64,
}

/// Fills the entries early, so that they are stale when this demo runs.
pub(crate) async fn prepare(context: &mut DemoContext) -> Result<()> {
    let subject = context.subject()?;
    growing_old(&context.shop, &subject.path(), &subject.key()).await?;
    growing_old(&context.shop, LIST.0, LIST.1).await.map(drop)
}

pub(crate) async fn run(context: &mut DemoContext) -> Result<()> {
    let say = context.say;
    let subject = context.subject()?;

    say.step("The entry passes its soft TTL. Meanwhile the row changes, and the entry stays unchanged.");
    say.note(&subject.to_string());
    let list = growing_old(&context.shop, LIST.0, LIST.1).await?;
    let entry = growing_old(&context.shop, &subject.path(), &subject.key()).await?;
    say.redis(&subject.key(), Some(&entry));
    let written = subject.write().await?;
    say.write(&written, "Postgres has it");
    let fresh_for = [&entry, &list].map(|entry| entry.ttl_ms.unwrap_or(0).max(0)).into_iter().max().unwrap_or(0);
    let fresh_for = Duration::from_millis(fresh_for.unsigned_abs() + 100);
    let (wait, began) = (say.wait("until the soft TTL has passed", fresh_for), Instant::now());
    while began.elapsed() < fresh_for {
        wait.at(began.elapsed(), format!("{:.1} s until it is stale", (fresh_for - began.elapsed()).as_secs_f64()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    wait.over();
    let stale = subject.entry().await?;
    say.redis(&subject.key(), stale.as_ref());

    say.step(&format!("Postgres is held up by a lock on the table. {READERS} readers come at once."));
    // Opens the connections first, so that the readers use open ones.
    try_join_all((0..READERS).map(|_| context.shop.alive())).await?;
    let before = context.shop.metrics().await?;
    let Crowd { answers, featured, held_for } = crowd(context, &subject).await?;
    let is_old = |source, version| (source, version) == (Source::Stale, entry.version);
    let old = answers.iter().filter(|answer| is_old(answer.source, answer.version)).count();
    let (times, within): (Times, Times) =
        (answers.iter().map(|answer| answer.ms).collect(), answers.iter().map(|answer| answer.server_ms).collect());
    say.read(&answers[READERS - 1], "the last of them");
    say.note(&format!(
        "{READERS} answers in the {} that the lock was held; p50 {}, within the service {}",
        human(held_for),
        human(times.median()),
        human(within.median())
    ));
    say.read(&featured, "the featured list");
    context.claim(
        format!("{READERS} readers are answered meanwhile, and stale"),
        format!("{old}, p50 {}, max {}", human(times.median()), human(times.max())),
        Verdict::equal(READERS, old),
    );
    context.claim(
        "the reader of the featured list receives a stale list at once, too",
        format!("{} {}", featured.source, human(featured.ms)),
        Verdict::equal(Source::Stale, featured.source),
    );

    say.step("The table is unlocked. The refresh that the first reader started stores the new version.");
    let began = Instant::now();
    let refreshed = loop {
        let read = subject.read().await?;
        if read.version >= written.version || began.elapsed() > Duration::from_secs(5) {
            break read;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let (delay, after) = (millis(began.elapsed()), context.shop.metrics().await?);
    say.read(&refreshed, "");
    say.redis(&subject.key(), subject.entry().await?.as_ref());
    context.claim(
        "afterwards, reads are hits with the new value",
        format!("{} after the lock", human(delay)),
        Verdict::that(
            refreshed.source == Source::Hit && refreshed.version >= written.version,
            format!("a hit with {:?}", written.version),
            format!("{:?}", (refreshed.source, refreshed.version)),
        ),
    );
    let loads = after.loads("swr").saturating_sub(before.loads("swr"));
    context.claim(format!("{READERS} readers caused one refresh"), format!("{loads} load"), Verdict::equal(1, loads));
    say.lesson(
        "No reader waits, not even while the database does not answer, and a crowd of readers costs one load.",
        "The first reader always gets the old value, at most as old as the hard TTL.",
    );
    Ok(())
}

/// Sends the readers while Postgres is blocked.
async fn crowd(context: &DemoContext, subject: &DemoProduct) -> Result<Crowd> {
    let held = context.stack.hold_postgres().await?;
    let locked = Instant::now();
    let readers = try_join_all((0..READERS).map(|_| subject.read()));
    let mut reading = pin!(try_join(readers, context.shop.read(LIST.0)));
    // The lock ends in any case, because a reader that does go to the database waits for it.
    let meanwhile = tokio::time::timeout(HOLD, &mut reading).await;
    let held_for = millis(locked.elapsed());
    held.release().await?;
    let (answers, featured) = match meanwhile {
        Ok(answered) => answered?,
        Err(_) => reading.await?,
    };
    Ok(Crowd { answers, featured, held_for })
}

/// Returns the entry under `key`, fresh or stale, which lives long enough to become stale. Fills it if necessary.
async fn growing_old(shop: &ProductApiClient, path: &str, key: &str) -> Result<Entry> {
    for _ in 0..100 {
        if let Some(entry) = shop.entry(key).await? {
            let soft = Duration::from_millis(entry.soft_ttl_ms.context("an entry without a soft TTL")?);
            ensure!(
                soft <= LONGEST,
                "the soft TTL of {key} is {soft:?}, too long to watch; start the stack with LANES__SWR__SOFT_TTL=5s"
            );
            let left = entry.expires_in_ms - entry.ttl_ms.unwrap_or(0).max(0);
            if left >= LIFE.as_millis() as i64 {
                return Ok(entry);
            }
        }
        // A miss fills the entry; a stale hit starts its refresh.
        shop.read(path).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("{key} never has {LIFE:?} between its soft and its hard TTL; see LANES__SWR__HARD_TTL")
}
