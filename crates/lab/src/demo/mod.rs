//! Seven demos against the running stack, one per strategy. Each shows writes, reads and entries in Redis, and asserts
//! every claim. A false claim is printed with the observed value and fails the run.
//!
//! | file | is |
//! |---|---|
//! | `ttl.rs` … `production.rs` | the demos, one strategy each |
//! | `context.rs` | the context of a demo |
//! | `all_services.rs` | the second half of `events.rs`: one write in the caches of all services |
//! | `product_api.rs`, `demo_product.rs`, `load.rs`, `stack.rs` | the API, one product, many readers of it, and the script that runs the stack |
//! | `other_services.rs` | the responses and entries of the other services that show a product |
//! | `narrate.rs`, `claim.rs`, `table.rs` | what is printed and asserted |

mod all_services;
mod claim;
mod context;
mod demo_product;
mod events;
mod explicit;
mod load;
pub(crate) mod metrics;
mod narrate;
mod other_services;
mod paint;
mod product_api;
mod production;
mod stack;
mod swr;
mod table;
mod tags;
pub(crate) mod times;
mod ttl;
mod writethrough;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use context::DemoContext;

/// How often a demo is tried when the service could not use its Redis because the machine is too busy.
const ATTEMPTS: u32 = 4;

/// The demos, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    /// Entries expire.
    Ttl,
    /// The writer deletes the entry.
    Explicit,
    /// The writer stores the new value.
    Writethrough,
    /// The writer announces the change, a listener deletes the entry.
    Events,
    /// Stale entries are served at once and refreshed in the background.
    Swr,
    /// Entries carry tags, and are invalidated by tag.
    Tags,
    /// All of them together, with an outage of Redis.
    Production,
}

impl Demo {
    /// All demos. The last one empties Redis.
    pub const ALL: [Self; 7] =
        [Self::Ttl, Self::Explicit, Self::Writethrough, Self::Events, Self::Swr, Self::Tags, Self::Production];

    /// Returns the position in that order, from 1 on.
    pub fn number(self) -> usize {
        self as usize + 1
    }

    /// Returns the strategy's name, as used in paths and keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Explicit => "explicit",
            Self::Writethrough => "writethrough",
            Self::Events => "events",
            Self::Swr => "swr",
            Self::Tags => "tags",
            Self::Production => "production",
        }
    }

    async fn run(self, stage: &mut DemoContext) -> Result<()> {
        match self {
            Self::Ttl => ttl::run(stage).await,
            Self::Explicit => explicit::run(stage).await,
            Self::Writethrough => writethrough::run(stage).await,
            Self::Events => events::run(stage).await,
            Self::Swr => swr::run(stage).await,
            Self::Tags => tags::run(stage).await,
            Self::Production => production::run(stage).await,
        }
    }
}

/// The options of `lab demo`.
#[derive(Debug, Args)]
pub struct Options {
    /// all, or one of: ttl, explicit, writethrough, events, swr, tags, production
    #[arg(default_value = "all")]
    demos: Selection,
    /// Where the product API answers
    #[arg(long, env = "LAB_PRODUCT_API", default_value = "http://127.0.0.1:8004")]
    product_api: String,
    #[command(flatten)]
    neighbours: other_services::Addresses,
    /// The script that runs the stack, with `stop redis`, `start redis`, `redis-cli` and `psql`
    #[arg(long, env = "LAB_STACK", default_value = "deploy/stack")]
    stack: PathBuf,
    /// Any value: no colours
    #[arg(long, env = "NO_COLOR", hide = true)]
    no_color: Option<OsString>,
    /// Any value: no progress bars and no colours, even on a terminal
    #[arg(long, env = "CI", hide = true)]
    ci: Option<OsString>,
}

#[derive(Clone, Debug)]
struct Selection(Vec<Demo>);

impl FromStr for Selection {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "all" {
            return Ok(Self(Demo::ALL.to_vec()));
        }
        let names = || Demo::ALL.map(Demo::name).join(", ");
        let demo = Demo::ALL.into_iter().find(|demo| demo.name() == name);
        demo.map(|demo| Self(vec![demo])).ok_or_else(|| format!("there are: all, {}", names()))
    }
}

/// Runs the demos and prints the table of their claims.
pub async fn run(options: &Options) -> Result<()> {
    let mut stage = DemoContext::open(options).await?;
    // On an interrupt the demo is dropped: the stopped processes are started again, and the changes are undone.
    let played = tokio::select! {
        played = play(&mut stage, &options.demos.0) => Some(played),
        () = interrupted() => None,
    };
    let Some(played) = played else {
        stage.undo().await?;
        bail!("interrupted");
    };
    table::print(&stage.claims, stage.say.paint());
    played?;
    let (all, wrong) = (stage.claims.all().len(), stage.claims.false_ones());
    ensure!(
        wrong == 0,
        "{wrong} of {all} assertions failed; the lines above show the expected and the observed values"
    );
    println!("All {all} assertions hold, measured in {:.0} s.", stage.began.elapsed().as_secs_f64());
    Ok(())
}

async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

async fn play(stage: &mut DemoContext, demos: &[Demo]) -> Result<()> {
    if demos.len() > 1 && demos.contains(&Demo::Swr) {
        // The entries of this demo have to become stale. They can do so while the other demos run.
        swr::prepare(stage).await?;
    }
    for demo in demos {
        perform(stage, *demo).await.with_context(|| format!("the demo `{}` did not finish", demo.name()))?;
    }
    Ok(())
}

/// Runs a demo, and repeats it if a claim was false while the service was without its Redis. On a machine that is busy
/// with other work, Redis responds too late, and the service bypasses the cache for a moment, as designed.
async fn perform(stage: &mut DemoContext, demo: Demo) -> Result<()> {
    let mut attempt = 1;
    loop {
        stage.enter(demo).await?;
        let before = stage.shop.disturbances().await?;
        let (first, wrong) = (stage.claims.all().len(), stage.claims.false_ones());
        let played = demo.run(stage).await;
        let played = stage.undo().await.and(played);
        if played.is_ok() && stage.claims.false_ones() == wrong {
            return played;
        }
        let disturbed = stage.shop.disturbances().await.is_ok_and(|now| now != before);
        if !disturbed || stage.claims.broken(first) || attempt == ATTEMPTS {
            return played;
        }
        attempt += 1;
        stage.claims.take_back(first);
        let why = played.err().map_or(String::new(), |error| format!(" ({error:#})"));
        stage.say.step(&format!(
            "Redis answered too late, so the service bypassed the cache{why}. On a quieter machine these assertions \
             hold: attempt {attempt} of {ATTEMPTS}."
        ));
    }
}
