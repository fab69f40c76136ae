//! What a run must show: the strategies that promise it were never stale, and the trials were ones in which a cache can
//! be.

use anyhow::{Result, ensure};

use super::figures::Figures;

/// The strategies without a stale read after an acknowledged write.
const STRICT: [&str; 4] = ["explicit", "writethrough", "tags", "production"];
/// From so many trials on, naive cache-aside must have lost some; fewer are a look.
const PROOF: u32 = 100;

/// An error when a promise was broken, or when the race proved nothing.
pub(super) fn check(figures: &Figures) -> Result<()> {
    let mut broken = Vec::new();
    for case in &figures.cases {
        let race = case.race().unwrap_or_default();
        if STRICT.contains(&case.name.as_str()) {
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
