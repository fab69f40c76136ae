//! The protocol of the cache as a model, explored completely: every order in which the steps of readers, writers, the relay
//! and faults can happen, in small worlds that are each made for one race.
//!
//! Whole, it must keep its promises; without a defence, it must break the promise that the defence is for, in the world that
//! was made for it, or the model would prove nothing. Beside the promises stand sights that must come true somewhere: that the
//! world's race or fault took place, and mattered.
//!
//! A step is what Redis or Postgres does at once: a script, a COMMIT, a snapshot. Time does not pass: where a world says so, a
//! lease ends, an entry is evicted or a value grows stale between any two steps. Small means one key, one tag, two or three
//! readers, one or two writes, one fault. Out of scope: partitions, how long anything takes, and where versions come from (a
//! trigger counts them, ADR 4; `updated_at` would not do).
//!
//! | file | is |
//! |---|---|
//! | `redis.rs` | the scripts |
//! | `state.rs` | everybody, at one moment |
//! | `reader.rs`, `writer.rs`, `faults.rs` | their steps |
//! | `system.rs` | who may take one, and what must hold |
//! | `defence.rs`, `scenarios.rs` | what can be taken out, and where it is missed |

mod configuration;
mod defence;
mod faults;
mod reader;
mod redis;
mod report;
mod scenarios;
mod state;
mod system;
mod writer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use configuration::Configuration;
pub use configuration::Promise;
pub use defence::{Defence, Without};
use system::Protocol;

/// The options of `lab model`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Smaller worlds: seconds instead of minutes
    #[arg(long)]
    pub quick: bool,
    /// Prints a way to each violation, step by step
    #[arg(long)]
    pub paths: bool,
    /// Where the table goes (`model.md`)
    #[arg(long, default_value = "target/lab")]
    pub out: PathBuf,
}

/// What the exploration of one world has found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The world.
    pub world: &'static str,
    /// What was taken out.
    pub without: Without,
    /// The promise that must be broken; `None` for the whole protocol.
    pub breaks: Option<Promise>,
    /// The promises that were broken.
    pub broken: Vec<&'static str>,
    /// What should have come true somewhere and did not.
    pub vacuous: Vec<&'static str>,
    /// How many different states there are; fewer than all when a promise was broken.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
    /// A way to the first violation.
    pub path: Option<String>,
}

impl Verdict {
    /// Whether it is as it must be: kept when whole, and without a defence that promise broken which it is for.
    pub fn is_as_expected(&self) -> bool {
        match self.breaks {
            None => self.broken.is_empty() && self.vacuous.is_empty(),
            Some(promise) => self.broken.contains(&promise.words()),
        }
    }
}

/// Explores every world, whole and without each of the defences that it needs; `quick` with as few readers as will do.
pub fn check_all(quick: bool) -> Vec<Verdict> {
    let variants = |world: Configuration| {
        let broken = world.needs.iter().map(|(without, promise)| (Without(without), Some(*promise)));
        let all = std::iter::once((Without::NOTHING, None)).chain(broken);
        all.map(|(without, breaks)| check(&world, without, breaks)).collect::<Vec<_>>()
    };
    let sized = |world: Configuration| if quick { world.quick() } else { world };
    scenarios::all().into_iter().map(sized).flat_map(variants).collect()
}

fn check(world: &Configuration, without: Without, breaks: Option<Promise>) -> Verdict {
    let began = Instant::now();
    let protocol = Protocol { world: world.clone(), without };
    let enough = match breaks {
        None => HasDiscoveries::All,
        Some(promise) => HasDiscoveries::AllOf(BTreeSet::from([promise.words()])),
    };
    // Breadth first: what it finds is a short way.
    let checker = protocol.checker().finish_when(enough).spawn_bfs().join();
    let mut verdict = Verdict {
        world: world.name,
        without,
        breaks,
        broken: Vec::new(),
        vacuous: Vec::new(),
        states: checker.unique_state_count(),
        took: began.elapsed(),
        path: None,
    };
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Always, Some(path)) => {
                verdict.path.get_or_insert_with(|| {
                    path.into_actions().iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join(", ")
                });
                verdict.broken.push(property.name);
            }
            (Expectation::Sometimes, None) => verdict.vacuous.push(property.name),
            _ => {}
        }
    }
    verdict
}

/// Explores everything for a person; fails when anything is not as it must be.
pub fn run_cli(options: &Options) -> Result<()> {
    let verdicts = check_all(options.quick);
    for verdict in &verdicts {
        println!("{verdict}");
        if let Some(path) = verdict.path.as_ref().filter(|_| options.paths || !verdict.is_as_expected()) {
            println!("    {path}");
        }
    }
    println!("{}", report::summary(&verdicts));
    std::fs::create_dir_all(&options.out)?;
    let file = options.out.join("model.md");
    std::fs::write(&file, report::table(&verdicts))?;
    println!("as a table: {}", file.display());
    let wrong = verdicts.iter().filter(|verdict| !verdict.is_as_expected()).count();
    ensure!(wrong == 0, "{wrong} verdicts are not as they must be");
    Ok(())
}
