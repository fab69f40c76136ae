//! The mutation run: each defence is taken out of the scripts, one at a time, and the tests of the cache must notice.
//!
//! The tests are built once, with the feature `mutants`, by which the cache reads its scripts from the folder that
//! `CACHE_SCRIPTS` names. A mutant is a copy of the scripts with one defence taken out. It is caught when a test fails, and
//! has survived when none does; then either a test is missing, or the defence.

mod list;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use list::{ALL, Mutant};

/// Longer than all tests together.
const PATIENCE: Duration = Duration::from_secs(300);

/// The options of `lab mutants`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The checkout
    #[arg(long, default_value = ".")]
    pub root: PathBuf,
    /// Only the mutants whose names or scripts contain this
    #[arg(long)]
    pub only: Option<String>,
}

/// Runs them for a person; fails when one survives.
pub async fn tell(options: &Options) -> Result<()> {
    let scripts = options.root.join("crates/cache/src/scripts");
    let tests = build(&options.root).await?;
    let whole = tempfile::tempdir()?;
    copy(&scripts, whole.path(), None)?;
    let began = Instant::now();
    let failed = first_failure(&tests, whole.path()).await?;
    ensure!(failed.is_none(), "the tests fail without any mutant: {}", failed.unwrap_or_default());
    println!("without a mutant all tests pass, in {:.0} s", began.elapsed().as_secs_f64());

    let chosen = |mutant: &&Mutant| {
        let wanted = options.only.as_deref().unwrap_or_default();
        mutant.name.contains(wanted) || mutant.script.contains(wanted)
    };
    let (mut caught, mut survivors) = (0, Vec::new());
    for mutant in ALL.iter().filter(chosen) {
        let folder = tempfile::tempdir()?;
        copy(&scripts, folder.path(), Some(mutant))?;
        let began = Instant::now();
        let failed = first_failure(&tests, folder.path()).await?;
        let seconds = began.elapsed().as_secs_f64();
        match failed {
            Some(test) => {
                caught += 1;
                println!("caught    {:<20} {:<52} {seconds:>4.0} s  {test}", mutant.script, mutant.name);
            }
            None => {
                println!("SURVIVED  {:<20} {:<52} {seconds:>4.0} s", mutant.script, mutant.name);
                survivors.push(mutant.name);
            }
        }
    }
    let all = caught + survivors.len();
    println!("mutation score: {caught} of {all}, {:.0} %", 100.0 * caught as f64 / all.max(1) as f64);
    ensure!(survivors.is_empty(), "nobody noticed: {}", survivors.join("; "));
    Ok(())
}

/// Builds the tests of the cache with the feature, and returns the program.
async fn build(root: &Path) -> Result<PathBuf> {
    let arguments = ["test", "--package", "cache", "--features", "mutants", "--test", "it", "--no-run"];
    let output = Command::new("cargo")
        .args(arguments)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("running cargo")?;
    ensure!(output.status.success(), "the tests of the cache do not compile");
    let messages = String::from_utf8(output.stdout)?;
    let program = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let is_it = message["target"]["name"] == "it" && message["target"]["kind"][0] == "test";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    program.context("cargo does not say where the tests are")
}

/// Copies the scripts, one of them changed.
fn copy(from: &Path, to: &Path, mutant: Option<&Mutant>) -> Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let mut source = std::fs::read_to_string(entry.path())?;
        if let Some(mutant) = mutant.filter(|mutant| entry.file_name() == mutant.script) {
            let times = source.matches(mutant.defence).count();
            ensure!(times == 1, "{}: {:?} stands there {times} times", mutant.script, mutant.defence);
            source = source.replace(mutant.defence, mutant.instead);
        }
        std::fs::write(to.join(entry.file_name()), source)?;
    }
    Ok(())
}

/// Runs the tests with these scripts until one fails; `None` when none does.
async fn first_failure(tests: &Path, scripts: &Path) -> Result<Option<String>> {
    let mut running = Command::new(tests)
        .env("CACHE_SCRIPTS", scripts)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("running the tests of the cache")?;
    let output = running.stdout.take().context("the tests have no output")?;
    let reading = async {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await? {
            if let Some(test) = line.strip_suffix(" ... FAILED") {
                return Ok(Some(test.trim_start_matches("test ").to_owned()));
            }
        }
        let status = running.wait().await?;
        Ok::<_, anyhow::Error>((!status.success()).then(|| status.to_string()))
    };
    match timeout(PATIENCE, reading).await {
        Ok(failure) => failure,
        Err(_) => Ok(Some("they do not end".to_owned())),
    }
}
