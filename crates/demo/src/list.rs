//! The table of the strategies, for the terminal and for the README.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use contract::{STRATEGIES, Staleness, StrategyInfo};

const BEGIN: &str = "<!-- made by `make strategies`; a test compares it with the list of strategies -->\n\n";
const END: &str = "\n<!-- end of what `make strategies` made -->\n";

/// The options of `demo list`.
#[derive(Debug, Args)]
pub struct Options {
    /// Writes the table into this file, between the marks, instead of printing it
    #[arg(long)]
    readme: Option<PathBuf>,
}

/// Prints the table, or writes it into a file.
///
/// # Errors
/// Returns an error if the file cannot be read or written, or has no marks.
pub fn run(options: &Options) -> Result<()> {
    let Some(readme) = &options.readme else {
        print!("{}", table());
        return Ok(());
    };
    let text = fs::read_to_string(readme).with_context(|| format!("reading {}", readme.display()))?;
    fs::write(readme, replaced(&text)?).with_context(|| format!("writing {}", readme.display()))
}

/// Returns `text` with the current table between its marks.
fn replaced(text: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("the file has no mark where the table begins")?;
    let (_, after) = rest.split_once(END).context("the file has no mark where the table ends")?;
    Ok([before, BEGIN, &table(), END, after].concat())
}

fn table() -> String {
    let head = "| | strategy | | stale for | code |\n|---|---|---|---|---|\n".to_owned();
    STRATEGIES.iter().map(row).fold(head, |table, row| table + &row)
}

fn row(strategy: &StrategyInfo) -> String {
    let StrategyInfo { number, name, own, .. } = strategy;
    let stale = match own {
        Staleness::Never => "–".to_owned(),
        Staleness::Delivery => "the delivery of an event".to_owned(),
        Staleness::Seconds(seconds) => format!("up to {seconds} s"),
    };
    let page = format!("[{}](docs/strategies/{number}-{name}.md)", strategy.title());
    let code = format!("[{name}.rs](services/product-api/src/strategies/{name}.rs)");
    format!("| {number} | **{page}** | {} | {stale} | {code} |\n", strategy.summary())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readme_has_the_current_table() {
        let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).expect("the README");
        assert!(replaced(&readme).expect("both marks") == readme, "the table is outdated: `make strategies` writes it");
    }
}
