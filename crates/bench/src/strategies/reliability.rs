//! The goals of a run, and the reliability of its figures: which references varied too much, and which columns this
//! affects.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use client::report::thousands;
use contract::{STRATEGIES, Staleness};

use super::case_figures::{CaseFigures, Spread};
use super::cases::REFERENCE;
use super::figures::Figures;
use super::latency::Latency;

/// The maximum factor by which a reference may vary from round to round.
const MAX_VARIATION: f64 = 1.25;
/// The minimum number of rounds from which the noise of the machine can be judged.
const MIN_ROUNDS: u32 = 3;
/// The maximum share of the CPU time that a hypervisor may give to other guests (steal time).
const MAX_STEAL: f64 = 0.02;
/// The share of a core above which a load generator distorts the figures.
const MAX_LOAD_SHARE: f64 = 0.8;

/// The factors by which the figures of a reference case varied from round to round.
#[derive(Clone, Copy, Debug)]
struct Noise {
    p50: f64,
    p99: f64,
    peak: f64,
}

impl Noise {
    fn of(figures: &Figures, name: &str) -> Option<Self> {
        let case = figures.cases.iter().find(|case| case.name == name)?;
        let hit = |value: fn(&Latency) -> f64| case.alone(|sample| sample.hit.as_ref().map(value));
        // The peak of the reference is measured again directly before that of every case.
        let beside = figures.cases.iter().flat_map(|case| &case.rounds).filter_map(|sample| sample.peak_of_reference);
        let peak = if name == REFERENCE { Some(Spread::of(beside)) } else { case.alone(|sample| sample.peak) };
        let by = |spread: Option<Spread>| spread.map(|spread| spread.max / spread.min).filter(|by| by.is_finite());
        Some(Self {
            p50: by(hit(|it| it.p50)).unwrap_or(1.0),
            p99: by(hit(|it| it.p99)).unwrap_or(1.0),
            peak: by(peak).unwrap_or(1.0),
        })
    }
}

/// Returns the columns that are not reliable.
fn unreliable(references: &[(&str, Noise)], stolen: f64) -> Vec<&'static str> {
    let varies = |of: fn(&Noise) -> f64| references.iter().any(|(_, unrest)| of(unrest) > MAX_VARIATION);
    let columns = [
        (stolen > MAX_STEAL || varies(|it| it.p50), "p50 of hits, misses and writes"),
        (stolen > MAX_STEAL || varies(|it| it.p99), "p99 of hits, misses and writes"),
        (stolen > MAX_STEAL || varies(|it| it.peak), "reads/s at the peak (less so the ratios)"),
    ];
    columns.into_iter().filter(|(noisy, _)| *noisy).map(|(_, column)| column).collect()
}

/// Returns a description of the machine, and of the reliability of the figures.
pub(super) fn circumstances(figures: &Figures) -> String {
    let machine = &figures.machine;
    let build = if machine.release { "release build" } else { "**dev build: these figures mean nothing**" };
    let quick = if figures.quick { "**A quick look, not for a comparison.** " } else { "" };
    let mut text = format!(
        "{quick}{}, commit {}, {build}: {} cores ({}), {}, Redis {}, Postgres {}; {} rounds{}.",
        machine.date,
        machine.commit,
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.redis,
        machine.postgres,
        figures.rounds,
        samples(&figures.cases)
    );
    let of = |name| Some((name, Noise::of(figures, name)?));
    let references: Vec<(&str, Noise)> = ["constant", REFERENCE].into_iter().filter_map(of).collect();
    text.push_str(" From round to round");
    for (at, (name, unrest)) in references.iter().enumerate() {
        let and = if at > 0 { "," } else { "" };
        let Noise { p50, p99, peak } = unrest;
        let _ = write!(text, "{and} `{name}` varied by a factor of {p50:.2} (p50), {p99:.2} (p99), {peak:.2} (peak)");
    }
    let steal = Spread::of(figures.steal.iter().copied());
    let _ = write!(
        text,
        "; the hypervisor gave {:.1}–{:.1} % of the CPU time to others.",
        100.0 * steal.min,
        100.0 * steal.max
    );
    let columns = unreliable(&references, steal.max);
    text.push_str(&match columns.is_empty() {
        true if figures.rounds < MIN_ROUNDS => {
            " There were too few rounds to judge how noisy the machine was.".to_owned()
        }
        true => " The machine was quiet.".to_owned(),
        false => format!(" **The machine was noisy. Not reliable: {}.**", columns.join("; ")),
    });
    text.push_str(&generator(&figures.cases));
    text
}

/// Returns the minimum number of requests of each kind over all cases.
fn samples(cases: &[CaseFigures]) -> String {
    let least = |of: fn(&CaseFigures) -> Option<&Latency>| cases.iter().filter_map(of).map(|it| it.count).min();
    let counts = [
        (least(|it| it.pooled.hit.as_ref()), "hits"),
        (least(|it| it.pooled.miss.as_ref()), "misses"),
        (least(|it| it.pooled.write.as_ref()), "writes"),
    ];
    let named = |(count, what): (Option<u64>, _)| count.map(|count| format!("{} {what}", thousands(count)));
    let counts: Vec<String> = counts.into_iter().filter_map(named).collect();
    if counts.is_empty() { String::new() } else { format!(" (of each case at least {})", counts.join(", ")) }
}

/// Returns the use of the load generator, with a warning if it was saturated.
fn generator(cases: &[CaseFigures]) -> String {
    let share = |case: &CaseFigures| case.alone(|sample| sample.shares.map(|it| it.load)).map_or(0.0, |it| it.max);
    let late = |case: &CaseFigures| case.pooled.late.as_ref().map_or(0.0, |it| it.p99);
    let greatest = |of: &dyn Fn(&CaseFigures) -> f64| cases.iter().map(of).fold(0.0, f64::max);
    let mut text = format!(
        " The load generator used at most {:.0} % of a core, and sent 99 % of its requests at most {:.2} ms late",
        100.0 * greatest(&share),
        greatest(&late)
    );
    let busy = cases.iter().filter(|case| share(case) > MAX_LOAD_SHARE).map(|case| format!("`{}`", case.name));
    let busy: Vec<String> = busy.collect();
    text.push_str(&match busy.is_empty() {
        true => ".".to_owned(),
        false => format!("; **it was saturated, so its own limit distorts the figures of {}**.", busy.join(", ")),
    });
    text
}

/// The number of trials from which on naive cache-aside must have left a stale entry. A run with fewer trials is not
/// checked for this.
const MIN_TRIALS: u32 = 100;

/// The longest time in milliseconds that another command may wait while a tag is invalidated.
const MAX_STALL: f64 = 5.0;

/// Returns an error if a promise was broken, if the race proved nothing, or if the invalidation of a tag stalled Redis.
pub(super) fn check(figures: &Figures) -> Result<()> {
    let mut broken = Vec::new();
    for case in &figures.cases {
        let race = case.race().unwrap_or_default();
        let strategy = STRATEGIES.iter().find(|strategy| strategy.name == case.name);
        if strategy.is_some_and(|strategy| strategy.own == Staleness::Never) {
            let stale = case.stale().0;
            if stale > 0 {
                broken.push(format!("{}: {stale} reads were stale, but none may be", case.name));
            }
            if race.stale > 0 {
                let counts = format!("{} of {}", race.stale, race.trials);
                broken.push(format!("{}: {counts} entries were stale after the race, but none may be", case.name));
            }
        }
        if case.name == "naive" && race.trials >= MIN_TRIALS && race.stale == 0 {
            broken.push(format!("naive: no entry was stale in {} trials, so the race proves nothing", race.trials));
        }
    }
    for tag in &figures.tags {
        let longest = Spread::of(tag.stall.iter().copied()).max;
        if longest > MAX_STALL {
            let members = thousands(tag.members as u64);
            broken
                .push(format!("a command waited for {longest:.1} ms while a tag of {members} members was invalidated"));
        }
    }
    ensure!(broken.is_empty(), "the goal is missed\n{}", broken.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_is_unreliable_when_its_reference_varied() {
        let quiet = Noise { p50: 1.1, p99: 1.2, peak: 1.05 };
        assert!(unreliable(&[("constant", quiet), ("get", quiet)], 0.0).is_empty());
        let one = |unrest| unreliable(&[("constant", quiet), ("get", unrest)], 0.0);
        assert_eq!(one(Noise { p99: 2.0, ..quiet }), ["p99 of hits, misses and writes"]);
        assert_eq!(one(Noise { p50: 1.3, ..quiet }), ["p50 of hits, misses and writes"]);
        assert_eq!(one(Noise { peak: 1.3, ..quiet }), ["reads/s at the peak (less so the ratios)"]);
        assert_eq!(unreliable(&[("get", quiet)], 0.05).len(), 3, "steal time makes every column unreliable");
    }
}
