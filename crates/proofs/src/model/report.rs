//! The results for people: a line for each exploration, a summary, a table.

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use super::configuration::{Configuration, Promise};
use super::defence::Without;
use super::incarnation::IncarnationProtocol;
use super::near::NearProtocol;
use super::scenarios;
use super::system::Protocol;

/// Returns a one-sentence summary of the explorations.
pub(super) fn summary(verdicts: &[Verdict]) -> String {
    let (whole, broken): (Vec<_>, Vec<_>) = verdicts.iter().partition(|verdict| verdict.breaks.is_none());
    let states: usize = whole.iter().map(|verdict| verdict.states).sum();
    let defences: HashSet<_> = broken.iter().flat_map(|verdict| verdict.without.0).collect();
    let violated = broken.iter().filter(|verdict| verdict.is_as_expected()).count();
    format!(
        "{states} states in {} scenarios, all of them; {} defences, {} variants without one or two, {violated} of these VIOLATED",
        whole.len(),
        defences.len(),
        broken.len(),
    )
}

/// Returns all results as a Markdown table.
pub(super) fn table(verdicts: &[Verdict]) -> String {
    let mut table = "| scenario | protocol | states | found |\n|---|---|---:|---|\n".to_owned();
    for verdict in verdicts {
        let Verdict { scenario, without, states, .. } = verdict;
        table.push_str(&format!("| {scenario} | {without} | {states} | {} |\n", verdict.found()));
    }
    format!("{table}\n{}.\n", summary(verdicts))
}

impl Verdict {
    fn found(&self) -> String {
        let mut found = match self.broken.as_slice() {
            [] => "holds".to_owned(),
            broken => format!("VIOLATED: {}", broken.join("; ")),
        };
        if self.breaks.is_none() && !self.vacuous.is_empty() {
            found.push_str(&format!(", NEVER: {}", self.vacuous.join("; ")));
        }
        if !self.is_as_expected() {
            found.push_str(", NOT AS IT MUST BE");
        }
        found
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (without, seconds) = (self.without.to_string(), self.took.as_secs_f64());
        write!(f, "{:<42} {without:<30} {:>9} states {seconds:>6.2} s  {}", self.scenario, self.states, self.found())
    }
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("whole"),
            defences => {
                let names: Vec<_> = defences.iter().map(|defence| format!("{defence:?}")).collect();
                write!(f, "without {}", names.join(" and "))
            }
        }
    }
}

/// The result of exploring one scenario.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The scenario.
    pub scenario: &'static str,
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
    let variants = |scenario: Configuration| {
        let broken = scenario.needs.iter().map(|(without, promise)| (Without(without), Some(*promise)));
        let all = std::iter::once((Without::NOTHING, None)).chain(broken);
        all.map(|(without, breaks)| check(&scenario, without, breaks)).collect::<Vec<_>>()
    };
    let sized = |scenario: Configuration| if quick { scenario.quick() } else { scenario };
    let mut verdicts: Vec<_> = scenarios::all().into_iter().map(sized).flat_map(variants).collect();
    for scenario in scenarios::of_memory(quick) {
        let broken = scenario.needs.iter().map(|without| (Without(without), Some(Promise::Reads)));
        verdicts.extend(std::iter::once((Without::NOTHING, None)).chain(broken).map(|(without, breaks)| {
            explore(NearProtocol { scenario: scenario.clone(), without }, scenario.name, without, breaks)
        }));
    }
    for scenario in scenarios::of_incarnations(quick) {
        let broken = scenario.needs.iter().map(|without| (Without(without), Some(Promise::Reads)));
        verdicts.extend(std::iter::once((Without::NOTHING, None)).chain(broken).map(|(without, breaks)| {
            explore(IncarnationProtocol { scenario: scenario.clone(), without }, scenario.name, without, breaks)
        }));
    }
    verdicts
}

fn check(scenario: &Configuration, without: Without, breaks: Option<Promise>) -> Verdict {
    explore(Protocol { scenario: scenario.clone(), without }, scenario.name, without, breaks)
}

fn explore<M>(protocol: M, scenario: &'static str, without: Without, breaks: Option<Promise>) -> Verdict
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let began = Instant::now();
    let enough = match breaks {
        None => HasDiscoveries::All,
        Some(promise) => HasDiscoveries::AllOf(BTreeSet::from([promise.words()])),
    };
    // The search is breadth first, so the path that it finds is short.
    let checker = protocol.checker().finish_when(enough).spawn_bfs().join();
    let mut verdict = Verdict {
        scenario,
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
