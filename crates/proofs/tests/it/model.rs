//! The model of the protocol: the whole protocol keeps its promises, and without any one of its defences it does not.
//! `make model` explores larger scenarios.

use std::collections::HashSet;

use proofs::model::check_all;

#[test]
fn every_defence_is_necessary_and_all_together_suffice() {
    let verdicts = check_all(true);
    let (whole, without): (Vec<_>, Vec<_>) = verdicts.iter().partition(|verdict| verdict.breaks.is_none());
    let defences: HashSet<_> = without.iter().flat_map(|verdict| verdict.without.0).collect();
    assert_eq!((whole.len(), defences.len()), (27, 53), "scenarios, and defences that were removed");
    for verdict in &verdicts {
        println!("{verdict}");
        assert!(verdict.is_as_expected(), "{verdict}\n{}", verdict.path.as_deref().unwrap_or_default());
    }
    assert!(whole.iter().all(|verdict| verdict.states > 300));
}
