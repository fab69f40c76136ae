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
//! | `near.rs` | the near cache, which has a clock |
//! | `incarnation.rs` | the trusted incarnation, which has one as well |
//! | `explore.rs`, `verdict.rs`, `report.rs` | the exploration and its results |

mod configuration;
mod defence;
mod faults;
mod incarnation;
mod near;
mod reader;
mod redis;
mod report;
mod scenarios;
mod state;
mod system;
mod writer;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

pub use configuration::Promise;
pub use defence::{Defence, Without};
pub use report::{Verdict, check_all};

/// The options of `proofs model`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Smaller scenarios: seconds instead of minutes
    #[arg(long)]
    pub quick: bool,
    /// Prints a way to each violation, step by step
    #[arg(long)]
    pub paths: bool,
    /// Where the table goes (`model.md`)
    #[arg(long, default_value = "target/reports")]
    pub out: PathBuf,
}

/// Explores all scenarios and prints the results. Fails when a result is not as expected.
pub fn run_cli(options: &Options) -> Result<()> {
    let verdicts = check_all(options.quick);
    ensure!(!verdicts.is_empty(), "there is no scenario");
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
