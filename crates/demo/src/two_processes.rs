//! The second part of `production.rs`: two processes of the service, each with its own memory. What one remembers is
//! never older than a write that the other one has acknowledged, even when it is frozen or cut off from Redis.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use client::Source;
use client::times::human;

use crate::claim::Verdict;
use crate::context::DemoContext;
use crate::demo_product::DemoProduct;
use crate::product_api::{Answer, ProductApiClient};

/// Maximum time until a process answers from its memory, on a busy machine.
const WARM: Duration = Duration::from_secs(20);
/// Upper limit of a write that waits for a process that does not answer, in milliseconds: ten leases, for a busy machine.
const WAITED: f64 = 1_000.0;

pub(crate) async fn run(context: &mut DemoContext, subject: &DemoProduct) -> Result<()> {
    let say = context.say;
    let second = context.stack.second_product_api().await?;
    let shop = ProductApiClient::open(second.url(), context.other_services.operations.headers()?).await?;
    let there = subject.through(&shop);

    say.step("A second process starts. It answers from its own memory, until the first one acknowledges a write.");
    say.read(&from_memory(&there).await?, "second process");
    write_and_read(context, subject, &there, "the next read in another process is fresh").await?;

    say.step("The second process is frozen during the write, which waits until that process can use no copy any more.");
    say.read(&from_memory(&there).await?, "second process");
    second.freeze().await?;
    let written = subject.write().await;
    second.thaw().await?;
    let written = written?;
    say.write(&written, "first process");
    read_there(context, &written, &there, "a frozen process wakes and returns nothing old").await?;
    let waited = Verdict::at_most(WAITED, written.ms);
    context.claim("a write waits for a frozen process for one lease", human(written.ms), waited);

    say.step("The second process is cut off from Redis: it receives no pushes, and its lease ends.");
    say.read(&from_memory(&there).await?, "second process");
    second.cut_off();
    write_and_read(context, subject, &there, "a process without Redis returns nothing old").await?;
    second.reconnect();
    say.read(&from_memory(&there).await?, "second process");
    Ok(())
}

async fn write_and_read(
    context: &mut DemoContext, subject: &DemoProduct, there: &DemoProduct, claim: &str,
) -> Result<()> {
    let written = subject.write().await?;
    context.say.write(&written, "first process");
    read_there(context, &written, there, claim).await
}

async fn read_there(context: &mut DemoContext, written: &Answer, there: &DemoProduct, claim: &str) -> Result<()> {
    let read = there.read().await?;
    context.say.read(&read, "second process");
    let verdict = Verdict::that(
        read.version >= written.version,
        format!("version {:?}", written.version),
        format!("version {:?}", read.version),
    );
    context.promise(claim, human(read.ms), verdict);
    Ok(())
}

/// Reads until the answer comes from the memory of the process.
async fn from_memory(there: &DemoProduct) -> Result<Answer> {
    let began = Instant::now();
    loop {
        let read = there.read().await?;
        if read.source == Source::Near {
            return Ok(read);
        }
        let source = &read.cache_status;
        ensure!(began.elapsed() < WARM, "the process does not answer from its memory; its last answer was {source}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
