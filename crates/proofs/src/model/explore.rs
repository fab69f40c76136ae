//! The exploration of all scenarios.

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use super::configuration::{Configuration, Promise};
use super::defence::Without;
use super::report::Verdict;
use super::scenarios;
use super::system::Protocol;

/// Explores every scenario, with the whole protocol and without each of the defences that it needs. `quick` uses as few
/// readers as suffice.
pub fn check_all(quick: bool) -> Vec<Verdict> {
    let variants = |scenario: Configuration| {
        let broken = scenario.needs.iter().map(|(without, promise)| (Without(without), Some(*promise)));
        let all = std::iter::once((Without::NOTHING, None)).chain(broken);
        all.map(|(without, breaks)| check(&scenario, without, breaks)).collect::<Vec<_>>()
    };
    let sized = |scenario: Configuration| if quick { scenario.quick() } else { scenario };
    scenarios::all().into_iter().map(sized).flat_map(variants).collect()
}

fn check(scenario: &Configuration, without: Without, breaks: Option<Promise>) -> Verdict {
    let began = Instant::now();
    let protocol = Protocol { scenario: scenario.clone(), without };
    let enough = match breaks {
        None => HasDiscoveries::All,
        Some(promise) => HasDiscoveries::AllOf(BTreeSet::from([promise.words()])),
    };
    // The search is breadth first, so the path that it finds is short.
    let checker = protocol.checker().finish_when(enough).spawn_bfs().join();
    let mut verdict = Verdict {
        scenario: scenario.name,
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
