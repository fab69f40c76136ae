#![doc = include_str!("../README.md")]

mod all_services;
mod claim;
mod context;
mod demo_product;
mod events;
mod explicit;
pub mod list;
pub mod load;
mod narrate;
mod other_services;
mod other_strategy;
mod product_api;
mod production;
mod readers;
mod stack;
mod swr;
mod tags;
mod ttl;
mod two_processes;
mod writethrough;

use anyhow::{Context, Result, bail, ensure};
use contract::{STRATEGIES, StrategyInfo};
use tokio::signal::unix::{SignalKind, signal};

use context::DemoContext;
pub use context::Options;
pub use other_services::Addresses;

/// How often a demo is tried when the service could not use its Redis because the machine is too busy.
const ATTEMPTS: u32 = 4;

/// Runs the demos and prints the table of their claims.
pub async fn run(options: &Options) -> Result<()> {
    let chosen = &options.strategies;
    let strategies = if chosen.is_empty() { STRATEGIES.iter().collect() } else { chosen.clone() };
    let mut context = DemoContext::open(options).await?;
    // On an interrupt the demo is dropped: the stopped processes are started again, and the changes are undone.
    let played = tokio::select! {
        played = play(&mut context, &strategies) => Some(played),
        () = interrupted() => None,
    };
    let Some(played) = played else {
        context.undo().await?;
        bail!("interrupted");
    };
    context.say.table(&context.claims);
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

async fn play(context: &mut DemoContext, strategies: &[&'static StrategyInfo]) -> Result<()> {
    if let (Some(swr), 2..) = (strategies.iter().find(|strategy| strategy.name == "swr"), strategies.len()) {
        // The entries of this demo have to become stale. They can do so while the other demos run.
        context.enter(swr).await?;
        swr::prepare(context).await?;
    }
    for strategy in strategies {
        perform(context, strategy).await.with_context(|| format!("the demo `{}` did not finish", strategy.name))?;
    }
    Ok(())
}

/// Runs a demo, and repeats it if a claim was false while the service was without its Redis. On a machine that is busy
/// with other work, Redis responds too late, and the service bypasses the cache for a moment, as designed.
async fn perform(context: &mut DemoContext, strategy: &'static StrategyInfo) -> Result<()> {
    let mut attempt = 1;
    loop {
        context.enter(strategy).await?;
        let before = context.shop.disturbances().await?;
        let (first, wrong) = (context.claims.all().len(), context.claims.false_ones());
        let played = run_demo(context).await;
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

async fn run_demo(context: &mut DemoContext) -> Result<()> {
    context.say.title(context.strategy);
    match context.strategy.name {
        "ttl" => ttl::run(context).await,
        "explicit" => explicit::run(context).await,
        "writethrough" => writethrough::run(context).await,
        "events" => events::run(context).await,
        "swr" => swr::run(context).await,
        "tags" => tags::run(context).await,
        "production" => production::run(context).await,
        _ => other_strategy::run(context).await,
    }
}
