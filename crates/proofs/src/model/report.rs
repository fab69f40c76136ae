//! The results for people: a line for each exploration, a summary, a table.

use std::collections::HashSet;
use std::fmt;

use super::defence::Without;
use super::verdict::Verdict;

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
