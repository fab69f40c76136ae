//! The mutation run: removes each defence from the scripts, one at a time; the test of that defence must fail.
//!
//! The tests are built once, with `--cfg mutants`, so that the cache reads its scripts from the folder that
//! `CACHE_SCRIPTS` names. A mutant is a copy of the scripts without one defence. It is caught when Redis accepts the
//! script and the one test that its entry names fails. That test has passed with the unchanged scripts before. A test
//! that does not end, or cannot be run, catches nothing: it ends the run with an error.
//!
//! `mutants.json` has one mutant per line, of the cache's own scripts only. The scripts of the relay, of the consumers
//! and of the search's watermarks have no mutants.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tempfile::TempDir;
use testkit::Redis;
use tokio::process::Command;
use tokio::time::timeout;

use crate::checkout::executable;

/// Timeout of a test run; longer than any test takes.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Number of mutants that are tested concurrently: a test mostly waits.
const AT_ONCE: usize = 8;

/// The options of `proofs mutants`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The checkout
    #[arg(long, default_value = ".")]
    pub root: PathBuf,
    /// Only the mutants whose names or scripts contain this
    #[arg(long)]
    pub only: Option<String>,
    /// Of these, every Nth
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub every: u16,
}

/// One change to one script, in the order of the fields of a line in `mutants.json`.
#[derive(Deserialize)]
struct Mutant {
    /// The file name of the script.
    script: String,
    /// The defence that is removed.
    name: String,
    /// The text that is replaced. It occurs once in the script.
    defence: String,
    instead: String,
    /// The test that must fail.
    caught_by: String,
}

enum TestResult {
    Passed,
    /// A test failed; with the message of the first failure.
    Failed(String),
}

/// Runs the mutants and prints the result. Fails when a mutant survives.
pub async fn run_cli(options: &Options) -> Result<()> {
    let wanted = options.only.as_deref().unwrap_or_default();
    let mutants: Vec<_> = all()
        .into_iter()
        .filter(|mutant| mutant.name.contains(wanted) || mutant.script.contains(wanted))
        .step_by(options.every.into())
        .collect();
    ensure!(!mutants.is_empty(), "no such mutant: {wanted}");

    let scripts = options.root.join("crates/cache/src/scripts");
    let tests = build(&options.root).await?;
    let named: BTreeSet<_> = mutants.iter().map(|mutant| mutant.caught_by.as_str()).collect();
    let whole = scripts_without(&scripts, None)?;
    let began = Instant::now();
    if let TestResult::Failed(why) = run(&tests, whole.path(), named.iter().copied()).await? {
        bail!("the tests fail without any mutant: {why}");
    }
    println!("without a mutant {} tests pass, in {:.0} s", named.len(), began.elapsed().as_secs_f64());

    let redis = Redis::start().await?;
    let verdicts = stream::iter(&mutants).map(|mutant| verdict(mutant, &scripts, &tests, &redis)).buffered(AT_ONCE);
    let mut survivors = Vec::new();
    let mut verdicts = std::pin::pin!(verdicts);
    while let Some((mutant, caught)) = verdicts.try_next().await? {
        match caught {
            Some(said) => {
                println!("caught    {:<18} {}\n            by {}: {said}", mutant.script, mutant.name, mutant.caught_by)
            }
            None => {
                println!("SURVIVED  {:<18} {}\n            {} passes", mutant.script, mutant.name, mutant.caught_by);
                survivors.push(mutant.name.as_str());
            }
        }
    }
    let caught = mutants.len() - survivors.len();
    println!("mutation score: {caught} of {}, {:.0} %", mutants.len(), 100.0 * caught as f64 / mutants.len() as f64);
    ensure!(survivors.is_empty(), "no test noticed: {}", survivors.join("; "));
    Ok(())
}

fn all() -> Vec<Mutant> {
    serde_json::from_str(include_str!("mutants/mutants.json")).expect("a test reads the same text")
}

/// Builds the tests such that they read the cache's scripts from a folder, and returns the path of the program.
async fn build(root: &Path) -> Result<PathBuf> {
    let wrapper = root.join("crates/proofs/src/mutants/rustc").canonicalize().context("looking for the checkout")?;
    let output = Command::new("cargo")
        .args(["test", "--package", "cache", "--test", "it", "--no-run", "--message-format=json-render-diagnostics"])
        .env("RUSTC_WORKSPACE_WRAPPER", wrapper)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("running cargo")?;
    ensure!(output.status.success(), "the tests of the cache do not compile");
    executable(&String::from_utf8(output.stdout)?, "it", "test")
}

/// Returns the message of the test that caught the mutant, or `None` if the test passed.
async fn verdict<'a>(
    mutant: &'a Mutant, scripts: &Path, tests: &Path, redis: &Redis,
) -> Result<(&'a Mutant, Option<String>)> {
    let folder = scripts_without(scripts, Some(mutant))?;
    // Redis must accept the script: every test would fail with a script that does not load.
    let source = std::fs::read_to_string(folder.path().join(&mutant.script))?;
    redis.cli(&["SCRIPT", "LOAD", &source]).await.with_context(|| format!("{}: {}", mutant.script, mutant.name))?;
    let ended = run(tests, folder.path(), [mutant.caught_by.as_str()]).await;
    match ended.with_context(|| format!("{}: {}", mutant.script, mutant.name))? {
        TestResult::Failed(said) => Ok((mutant, Some(said))),
        TestResult::Passed => Ok((mutant, None)),
    }
}

/// Returns a copy of the scripts, with one of them changed.
fn scripts_without(scripts: &Path, mutant: Option<&Mutant>) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    for entry in std::fs::read_dir(scripts).with_context(|| format!("reading {}", scripts.display()))? {
        let entry = entry?;
        let mut source = std::fs::read_to_string(entry.path())?;
        if let Some(mutant) = mutant.filter(|mutant| entry.file_name() == *mutant.script) {
            let times = source.matches(&mutant.defence).count();
            ensure!(times == 1, "{}: {:?} stands there {times} times", mutant.script, mutant.defence);
            source = source.replace(&mutant.defence, &mutant.instead);
        }
        std::fs::write(folder.path().join(entry.file_name()), source)?;
    }
    Ok(folder)
}

/// Runs exactly these tests with these scripts.
async fn run(tests: &Path, scripts: &Path, names: impl IntoIterator<Item = &str>) -> Result<TestResult> {
    let names: Vec<_> = names.into_iter().collect();
    let running = Command::new(tests)
        .arg("--exact")
        .args(&names)
        .envs([("CACHE_SCRIPTS", scripts.as_os_str()), ("RUST_BACKTRACE", "0".as_ref())])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(TIMEOUT, running).await.with_context(|| format!("{} does not end", names.join(", ")))??;
    let said = String::from_utf8_lossy(&output.stdout);
    let (passed, failed) = (said.matches(" ... ok\n").count(), said.matches(" ... FAILED\n").count());
    ensure!(passed + failed == names.len(), "not every one of these tests is there: {}", names.join(", "));
    match failed {
        0 if output.status.success() => Ok(TestResult::Passed),
        0 => bail!("{} ended with {}", names.join(", "), output.status),
        _ => Ok(TestResult::Failed(panic_message(&said))),
    }
}

/// Returns the lines after the first `panicked at`, up to the note on backtraces.
fn panic_message(said: &str) -> String {
    let lines = said.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    let lines: Vec<_> = lines.take_while(|line| !line.starts_with("note:")).take(3).map(str::trim).collect();
    lines.join(", ")
}

/// Returns whether the integration tests of the cache have a test with this path, such as `both::fills::late_fill`.
#[cfg(test)]
pub(crate) fn is_test(path: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache/tests/it");
    let (modules, name) = path.rsplit_once("::").expect("a module and a name");
    let modules = modules.replace("::", "/");
    let sources = [format!("{modules}.rs"), format!("{modules}/mod.rs")].map(|file| folder.join(file));
    let sources = sources.iter().filter_map(|file| std::fs::read_to_string(file).ok());
    sources.into_iter().any(|source| source.contains(&format!("async fn {name}()")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Path, all, is_test};

    /// The run itself takes minutes, so a test that was moved would be missed.
    #[test]
    fn each_mutant_changes_one_place_of_a_script_and_names_a_test() {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache/src/scripts");
        for mutant in all() {
            let source = std::fs::read_to_string(scripts.join(&mutant.script)).expect("a script");
            assert_eq!(source.matches(&mutant.defence).count(), 1, "{}: {}", mutant.script, mutant.name);
            assert!(is_test(&mutant.caught_by), "{} is no test", mutant.caught_by);
        }
        assert!(!is_test("both::fills::nothing"));
    }

    #[test]
    fn list_has_no_mutant_twice() {
        let mutants = all();
        assert_eq!(mutants.len(), 119);
        let names: BTreeSet<_> = mutants.iter().map(|mutant| (&mutant.script, &mutant.name)).collect();
        assert_eq!(names.len(), 119);
    }
}
