//! The protocol of the cache as a model, explored completely: every order in which the steps of readers, writers, the relay
//! and faults can happen, in small worlds that are each made for one race.
//!
//! Whole, it must keep its promises; without one of its defences, it must break them in the world that was made for it,
//! or the model would prove nothing. Beside the promises stand properties that must come true somewhere, so that they are
//! not kept by nothing ever happening.
//!
//! A step is what Redis or Postgres does at once: a script, a COMMIT, a snapshot. Time does not pass: a lease may end, and
//! an entry be evicted, at any moment.
//!
//! | file | is |
//! |---|---|
//! | `redis.rs` | the scripts |
//! | `system.rs` | who runs them, and in which order |
//! | `configuration.rs` | the small worlds |

mod configuration;
mod redis;
mod system;

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use stateright::{Checker, Expectation, Model};

use configuration::Configuration;
pub use redis::Defence;
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
}

/// What the exploration of one world has found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The world.
    pub world: &'static str,
    /// What was taken out; `None` for the whole protocol.
    pub without: Option<Defence>,
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
    /// Whether it is as it must be: kept when whole, broken without a defence.
    pub fn is_as_expected(&self) -> bool {
        match self.without {
            None => self.broken.is_empty() && self.vacuous.is_empty(),
            Some(_) => !self.broken.is_empty(),
        }
    }
}

/// Explores every world, whole and without each of the defences that it needs; `quick` with as few readers as will do.
pub fn check_all(quick: bool) -> Vec<Verdict> {
    let variants = |world: Configuration| {
        let without = std::iter::once(None).chain(world.needs.iter().copied().map(Some));
        without.map(move |without| check(&world, without)).collect::<Vec<_>>()
    };
    let sized = |world: Configuration| match quick && !world.joins {
        true => Configuration { readers: world.readers.min(2), ..world },
        false => world,
    };
    configuration::all().into_iter().map(sized).flat_map(variants).collect()
}

fn check(world: &Configuration, without: Option<Defence>) -> Verdict {
    let began = Instant::now();
    let protocol = Protocol { configuration: world.clone(), without };
    // Breadth first: what it finds is a short way.
    let checker = protocol.checker().spawn_bfs().join();
    let mut verdict = Verdict {
        world: world.name,
        without,
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
pub fn tell(options: &Options) -> Result<()> {
    let verdicts = check_all(options.quick);
    for verdict in &verdicts {
        println!("{verdict}");
        if let Some(path) = verdict.path.as_ref().filter(|_| options.paths || !verdict.is_as_expected()) {
            println!("    {path}");
        }
    }
    let states: usize = verdicts.iter().filter(|verdict| verdict.without.is_none()).map(|verdict| verdict.states).sum();
    let broken = verdicts.iter().filter(|verdict| verdict.without.is_some()).count();
    let whole = verdicts.len() - broken;
    println!("{states} states in {whole} worlds, all of them; {broken} ways to do without a defence, each VIOLATED");
    let wrong = verdicts.iter().filter(|verdict| !verdict.is_as_expected()).count();
    ensure!(wrong == 0, "{wrong} verdicts are not as they must be");
    Ok(())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variant = self.without.map_or("whole".to_owned(), |defence| format!("without {defence:?}"));
        let found = match self.broken.as_slice() {
            [] => "holds".to_owned(),
            broken => format!("VIOLATED: {}", broken.join("; ")),
        };
        write!(
            f,
            "{:<34} {variant:<28} {:>9} states {:>6.2} s  {found}",
            self.world,
            self.states,
            self.took.as_secs_f64()
        )?;
        if self.without.is_none() && !self.vacuous.is_empty() {
            write!(f, "  NEVER: {}", self.vacuous.join("; "))?;
        }
        if !self.is_as_expected() {
            write!(f, "  NOT AS IT MUST BE")?;
        }
        Ok(())
    }
}
