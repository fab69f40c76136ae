//! The last screen: every claim, the measured figure, and whether the claim is true.

use crate::claim::{Assertions, Verdict};
use crate::paint::{Colour, Paint, wrap};

const STRATEGY: usize = 12;
const CLAIM: usize = 45;
const FIGURE: usize = 33;

/// Prints the table.
pub(crate) fn print(claims: &Assertions, paint: Paint) {
    let head = format!("{:<STRATEGY$} {:<CLAIM$} {:<FIGURE$} verdict", "strategy", "claim", "measured");
    println!("\n{}", paint.bold(&head));
    let mut strategy = "";
    for claim in claims.all() {
        if claim.strategy != strategy {
            println!("{}", paint.dim(&"─".repeat(head.chars().count())));
        }
        let (texts, figures) = (wrap(&claim.text, CLAIM), wrap(&claim.figure, FIGURE));
        for row in 0..texts.len().max(figures.len()) {
            let cell = |lines: &[String]| lines.get(row).cloned().unwrap_or_default();
            let name = if row == 0 && claim.strategy != strategy { claim.strategy } else { "" };
            let verdict = match (&claim.verdict, row) {
                (Verdict::Holds, 0) => paint.colour(Colour::Green, "ok"),
                (Verdict::False { .. }, 0) => paint.colour(Colour::Red, "FALSE"),
                _ => String::new(),
            };
            let line = format!("{name:<STRATEGY$} {:<CLAIM$} {:<FIGURE$} {verdict}", cell(&texts), cell(&figures));
            println!("{}", line.trim_end());
        }
        strategy = claim.strategy;
    }
    println!();
}
