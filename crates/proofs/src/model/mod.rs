//! A model of the cache's protocol, explored completely: every order in which the steps of readers, writers, the relay
//! and faults can happen, in small scenarios that are each made for one race.
//!
//! The whole protocol must keep its promises. Without a defence, the scenario that was made for the defence must break
//! the promise that the defence is for; otherwise the model would prove nothing. Each scenario also has goals that must
//! be reached in some state, which shows that its race or fault took place and had an effect.
//!
//! A step is what Redis or Postgres does atomically: a script, a COMMIT, a snapshot. There is no clock: where a
//! scenario allows it, a lease ends, an entry is evicted or a value becomes stale between any two steps. Small means
//! one key, one tag, two or three readers, one or two writes, one fault. Out of scope: partitions, durations, and the
//! source of versions (a trigger counts them, ADR 4; `updated_at` would not do).
//!
//! | file | content |
//! |---|---|
//! | `redis.rs` | the scripts |
//! | `state.rs` | the state of all processes and stores |
//! | `reader.rs`, `writer.rs`, `faults.rs` | the steps |
//! | `system.rs` | which steps are possible, and which properties must hold |
//! | `defence.rs`, `scenarios.rs` | the defences, and the scenarios that need them |

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

/// The options of `proofs model`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Smaller worlds: seconds instead of minutes
    #[arg(long)]
    pub quick: bool,
    /// Prints a way to each violation, step by step
    #[arg(long)]
    pub paths: bool,
    /// Where the table goes (`model.md`)
    #[arg(long, default_value = "target/reports")]
    pub out: PathBuf,
}

/// The result of exploring one scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The scenario.
    pub world: &'static str,
    /// The removed defences.
    pub without: Without,
    /// The promise that must be broken; `None` for the whole protocol.
    pub breaks: Option<Promise>,
    /// The promises that were broken.
    pub broken: Vec<&'static str>,
    /// The goals that should have been reached in some state and were not.
    pub vacuous: Vec<&'static str>,
    /// The number of distinct states; not all of them if a promise was broken, because the exploration then ends early.
    pub states: usize,
    /// How long it took.
    pub took: Duration,
    /// A path to the first violation.
    pub path: Option<String>,
}

impl Verdict {
    /// Returns whether the result is as expected: the whole protocol keeps its promises, and without a defence the
    /// promise that it is for is broken.
    pub fn is_as_expected(&self) -> bool {
        match self.breaks {
            None => self.broken.is_empty() && self.vacuous.is_empty(),
            Some(promise) => self.broken.contains(&promise.words()),
        }
    }
}

/// Explores every scenario, with the whole protocol and without each of the defences that it needs. `quick` uses as few
/// readers as suffice.
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
    // The search is breadth first, so the path that it finds is short.
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

/// Explores all scenarios and prints the results. Fails when a result is not as expected.
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
