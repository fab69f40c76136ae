//! The model of the protocol: the whole protocol keeps its promises, and without any one of its defences it does not.
//! `make model` explores larger scenarios.

use proofs::model::check_all;

#[test]
fn every_defence_is_necessary_and_all_together_suffice() {
    let verdicts = check_all(true);
    for verdict in &verdicts {
        println!("{verdict}");
        assert!(verdict.is_as_expected(), "{verdict}\n{}", verdict.path.as_deref().unwrap_or_default());
    }
    assert!(verdicts.iter().filter(|verdict| verdict.breaks.is_none()).all(|verdict| verdict.states > 300));
}
