//! Runs demos against the running stack. Each shows writes, reads and entries in Redis, and asserts every claim. A
//! false claim is printed with the observed value and fails the run.

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

use crate::context::DemoContext;
use crate::demos::Demo;
use crate::options::Options;
use crate::{events, explicit, production, swr, table, tags, ttl, writethrough};

/// How often a demo is tried when the service could not use its Redis because the machine is too busy.
const ATTEMPTS: u32 = 4;

/// Runs the demos and prints the table of their claims.
pub async fn run(options: &Options) -> Result<()> {
    let demos = if options.demos.is_empty() { &Demo::ALL[..] } else { &options.demos };
    let mut context = DemoContext::open(options).await?;
    // On an interrupt the demo is dropped: the stopped processes are started again, and the changes are undone.
    let played = tokio::select! {
        played = play(&mut context, demos) => Some(played),
        () = interrupted() => None,
    };
    let Some(played) = played else {
        context.undo().await?;
        bail!("interrupted");
    };
    table::print(&context.claims, context.say.paint());
    played?;
    let (all, wrong) = (context.claims.all().len(), context.claims.false_ones());
    ensure!(
        wrong == 0,
        "{wrong} of {all} assertions failed; the lines above show the expected and the observed values"
    );
    println!("All {all} assertions hold, measured in {:.0} s.", context.began.elapsed().as_secs_f64());
    Ok(())
}

async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

async fn play(context: &mut DemoContext, demos: &[Demo]) -> Result<()> {
    if demos.len() > 1 && demos.contains(&Demo::Swr) {
        // The entries of this demo have to become stale. They can do so while the other demos run.
        swr::prepare(context).await?;
    }
    for demo in demos {
        perform(context, *demo).await.with_context(|| format!("the demo `{}` did not finish", demo.name()))?;
    }
    Ok(())
}

/// Runs a demo, and repeats it if a claim was false while the service was without its Redis. On a machine that is busy
/// with other work, Redis responds too late, and the service bypasses the cache for a moment, as designed.
async fn perform(context: &mut DemoContext, demo: Demo) -> Result<()> {
    let mut attempt = 1;
    loop {
        context.enter(demo).await?;
        let before = context.shop.disturbances().await?;
        let (first, wrong) = (context.claims.all().len(), context.claims.false_ones());
        let played = run_demo(demo, context).await;
        let played = context.undo().await.and(played);
        if played.is_ok() && context.claims.false_ones() == wrong {
            return played;
        }
        let disturbed = context.shop.disturbances().await.is_ok_and(|now| now != before);
        if !disturbed || context.claims.broken(first) || attempt == ATTEMPTS {
            return played;
        }
        attempt += 1;
        context.claims.take_back(first);
        let why = played.err().map_or(String::new(), |error| format!(" ({error:#})"));
        context.say.step(&format!(
            "Redis answered too late, so the service bypassed the cache{why}. On a quieter machine these assertions \
             hold: attempt {attempt} of {ATTEMPTS}."
        ));
    }
}

async fn run_demo(demo: Demo, context: &mut DemoContext) -> Result<()> {
    match demo {
        Demo::Ttl => ttl::run(context).await,
        Demo::Explicit => explicit::run(context).await,
        Demo::Writethrough => writethrough::run(context).await,
        Demo::Events => events::run(context).await,
        Demo::Swr => swr::run(context).await,
        Demo::Tags => tags::run(context).await,
        Demo::Production => production::run(context).await,
    }
}
