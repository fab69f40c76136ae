//! The mutation run of the near cache: removes each of its defences from the Rust code, one at a time. The test of that
//! defence must fail, and the checker must find a stale read on the services while it makes a fault.
//!
//! `mutants.json` has one mutant per line. A mutant is a change of a copy of the checkout in `target/near-mutants`, with a
//! target folder of its own, so the first run compiles everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;

use crate::checkout::{self, executable, run};

/// The packages that a run compiles besides the tests of the cache: the services and the checker.
const PACKAGES: [&str; 10] = [
    "--package", "product-api", "--package", "cart", "--package", "search", "--package", "recommendation", "--package",
    "checker",
];
/// What the checker prints when a promise was broken.
const BROKEN: &str = "promises were broken";

/// The options of `proofs near-mutants`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The checkout
    #[arg(long, default_value = ".")]
    pub root: PathBuf,
    /// Only the mutants whose names contain this
    #[arg(long)]
    pub only: Option<String>,
}

/// One change to one file of the cache. The fields have the order of those in a line of `mutants.json`.
#[derive(Debug, Deserialize)]
struct Mutant {
    /// The file in `crates/cache/src`.
    file: String,
    /// The defence that is removed.
    name: String,
    /// The text that is replaced. It occurs once in the file.
    defence: String,
    instead: String,
    /// The test that must fail.
    caught_by: String,
    /// The fault under which the checker must find a stale read. `None` if no fault of the checker needs this defence.
    fault: Option<String>,
}

/// The copy of the checkout, and what is compiled from it.
struct CheckoutCopy {
    checkout: PathBuf,
    target: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// Runs the mutants and prints the result. Fails when a mutant survives.
///
/// # Errors
/// Returns an error if a mutant survives, does not compile, or if something fails without any mutant.
pub fn run_cli(options: &Options) -> Result<()> {
    let wanted = options.only.as_deref().unwrap_or_default();
    let mutants: Vec<_> = all().into_iter().filter(|mutant| mutant.name.contains(wanted)).collect();
    ensure!(!mutants.is_empty(), "no such mutant: {wanted}");
    let root = options.root.canonicalize()?;
    let folder = root.join("target/near-mutants");
    let copy = CheckoutCopy {
        checkout: folder.join("checkout"),
        target: folder.join("target"),
        files: checkout::files(&root)?,
    };

    println!("compiling a copy of the checkout, without a mutant");
    // The same path after each change.
    let checker = copy.build(None)?;
    for test in mutants.iter().map(|mutant| &mutant.caught_by).collect::<BTreeSet<_>>() {
        ensure!(copy.passes(test)?, "{test} fails without any mutant");
    }
    for fault in mutants.iter().filter_map(|mutant| mutant.fault.as_ref()).collect::<BTreeSet<_>>() {
        let report = copy.target.join("reports");
        ensure!(
            !copy.breaks_a_promise(&checker, fault)?,
            "promises are broken without any mutant: {}",
            report.display()
        );
    }
    let mut survivors = Vec::new();
    for mutant in &mutants {
        copy.build(Some(mutant))?;
        let mut checks = vec![(format!("test {}", mutant.caught_by), !copy.passes(&mutant.caught_by)?)];
        if let Some(fault) = &mutant.fault {
            let began = Instant::now();
            let found = copy.breaks_a_promise(&checker, fault)?;
            checks.push((format!("checker, {fault}, {:.0} s", began.elapsed().as_secs_f64()), found));
        }
        for (by, caught) in checks {
            println!("{}  {}\n          by {by}", if caught { "caught  " } else { "SURVIVED" }, mutant.name);
            if !caught {
                survivors.push(format!("{} ({by})", mutant.name));
            }
        }
    }
    ensure!(survivors.is_empty(), "not caught: {}", survivors.join("; "));
    println!("the removal of each defence of the near cache was caught");
    Ok(())
}

fn all() -> Vec<Mutant> {
    serde_json::from_str(include_str!("near_mutants/mutants.json")).expect("a test reads the same text")
}

impl CheckoutCopy {
    /// Compiles the tests and programs, with one change. Returns the path of the checker.
    fn build(&self, mutant: Option<&Mutant>) -> Result<PathBuf> {
        let mut files = self.files.clone();
        if let Some(mutant) = mutant {
            let file = files.get_mut(&mutant.path()).with_context(|| format!("there is no {}", mutant.file))?;
            *file = mutant.applied(std::str::from_utf8(file)?)?.into_bytes();
        }
        checkout::write(&self.checkout, &files)?;
        // A mutant leaves code without a caller.
        let allow = ("RUSTFLAGS", "--allow warnings");
        let build = ["build", "--offline", "--message-format=json-render-diagnostics"];
        let built = run(self.cargo(&build).args(PACKAGES).env(allow.0, allow.1), &self.checkout)?;
        let tests = ["test", "--offline", "--no-run", "--package", "cache", "--test", "it"];
        run(self.cargo(&tests).env(allow.0, allow.1), &self.checkout)?;
        // Only cargo knows the place: its configuration may set another target, with a folder of its own.
        executable(&String::from_utf8(built.stdout)?, "checker", "bin")
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Runs one test of the cache. Returns whether it passed.
    fn passes(&self, test: &str) -> Result<bool> {
        let arguments = ["test", "--offline", "--package", "cache", "--test", "it", "--", "--exact", test];
        let mut command = self.cargo(&arguments);
        let output = command.env("RUSTFLAGS", "--allow warnings").current_dir(&self.checkout).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            said.contains("running 1 test"),
            "there is no test {test}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.status.success())
    }

    /// Makes a fault on private processes. Returns whether the checker found that a promise was broken.
    fn breaks_a_promise(&self, checker: &Path, fault: &str) -> Result<bool> {
        let mut checker = Command::new(checker);
        checker.args(["faults", "--subject", "production", "--catalogue", "600", "--only", fault, "--report"]);
        checker.arg(self.target.join("reports"));
        for setting in ["REDIS__COMMAND_TIMEOUT=1s", "REDIS__LOAD_QUEUE=5s", "POSTGRES__WAIT_TIMEOUT=5s"] {
            checker.args(["--set", setting]);
        }
        let output = checker.current_dir(&self.checkout).output().context("running the checker")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said.contains(fault), "{fault} was not made: {}", String::from_utf8_lossy(&output.stderr));
        let found = said.contains(BROKEN);
        ensure!(found || output.status.success(), "{fault} failed for another reason: {said}");
        Ok(found)
    }
}

impl Mutant {
    fn path(&self) -> PathBuf {
        Path::new("crates/cache/src").join(&self.file)
    }

    /// Returns the source without the defence.
    fn applied(&self, source: &str) -> Result<String> {
        let times = source.matches(&self.defence).count();
        ensure!(times == 1, "{}: {:?} occurs {times} times instead of once", self.file, self.defence);
        Ok(source.replace(&self.defence, &self.instead))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_mutant_changes_one_place_of_the_cache() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mutants = all();
        assert_eq!(mutants.len(), 9);
        for mutant in &mutants {
            let source = fs::read_to_string(root.join(mutant.path())).unwrap();
            assert_ne!(mutant.applied(&source).unwrap(), source, "{}", mutant.name);
            assert!(crate::mutants::is_test(&mutant.caught_by), "{} is no test", mutant.caught_by);
        }
    }
}
