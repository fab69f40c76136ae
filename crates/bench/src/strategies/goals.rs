//! The goals of a run: the strategies that promise it were never stale, and the trials of the race could show
//! staleness.

use anyhow::{Result, ensure};
use contract::{STRATEGIES, Staleness};

use super::figures::Figures;

/// From this number of trials on, naive cache-aside must have lost some; a run with fewer trials is only a quick look.
const PROOF: u32 = 100;

/// Returns an error if a promise was broken, or if the race proved nothing.
pub(super) fn check(figures: &Figures) -> Result<()> {
    let mut broken = Vec::new();
    for case in &figures.cases {
        let race = case.race().unwrap_or_default();
        let strategy = STRATEGIES.iter().find(|strategy| strategy.name == case.name);
        if strategy.is_some_and(|strategy| strategy.own == Staleness::Never) {
            let stale = case.stale().0;
            if stale > 0 {
                broken.push(format!("{}: {stale} stale reads, none are allowed", case.name));
            }
            if race.stale > 0 {
                let counts = format!("{} of {}", race.stale, race.trials);
                broken.push(format!("{}: {counts} entries were stale after the race, none may be", case.name));
            }
        }
        if case.name == "naive" && race.trials >= PROOF && race.stale == 0 {
            broken.push(format!("naive: no entry was stale in {} trials, so the race proves nothing", race.trials));
        }
    }
    ensure!(broken.is_empty(), "the goal is missed\n{}", broken.join("\n"));
    Ok(())
}
