//! Adds the strategy of CONTRIBUTING.md to a copy of the checkout, and tests it there.
//!
//! The patch changes the list of strategies, and adds the file and the page of the strategy. The copy and its programs
//! stay in `target`, so that a second run compiles only what has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// The tests that every strategy of the list must pass.
const TESTS: [&str; 2] = [
    "strategies::tests::each_strategy_fills_its_entry_and_keeps_its_promise_after_a_write",
    "strategies::tests::absent_product_is_cached_by_each_strategy_until_its_creation",
];
/// The tested package, and two others: without them, cargo would choose other features than for `cargo test --workspace`,
/// and compile all dependencies again.
const PACKAGES: [&str; 6] = ["--package", "product-api", "--package", "search", "--package", "bench"];

/// The options of `proofs new-strategy`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The checkout
    #[arg(long, default_value = ".")]
    pub root: PathBuf,
}

/// Adds the strategy to a copy of the checkout, and runs the tests of all strategies there.
///
/// # Errors
/// Returns an error if the patch does not apply or does not consist of three files, or if a test fails.
pub fn run_cli(options: &Options) -> Result<()> {
    let root = options.root.canonicalize()?;
    let changed = apply(&root, &patch(&root)?)?;
    let target = root.join("target");
    let copy = target.join("new-strategy");
    let listed =
        run(Command::new("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]), &root)?;
    let listed = String::from_utf8(listed.stdout)?;
    let files = listed.split_terminator('\0').map(PathBuf::from).filter(|file| root.join(file).is_file());
    let mut contents =
        files.map(|file| Ok((file.clone(), fs::read(root.join(file))?))).collect::<Result<BTreeMap<_, _>>>()?;
    contents.extend(changed);
    let manifest = contents.get_mut(Path::new("Cargo.toml")).context("there is no Cargo.toml")?;
    *manifest = with_own_version(std::str::from_utf8(manifest)?)?.into_bytes();
    write_copy(&copy, &contents)?;

    let mut tests = Command::new("cargo");
    // Cargo writes the version into the copy's Cargo.lock; nothing else of it may change, so nothing is downloaded.
    tests.args(["test", "--offline", "--lib"]).args(PACKAGES).args(["--", "--exact"]).args(TESTS);
    let said = run(tests.env("CARGO_TARGET_DIR", target), &copy)?;
    let said = String::from_utf8_lossy(&said.stdout);
    for test in TESTS {
        ensure!(said.contains(&format!("test {test} ... ok")), "{test} has not run:\n{said}");
    }
    println!("the strategy of CONTRIBUTING.md passes the tests of all strategies");
    Ok(())
}

/// Returns the manifest with a version that only the copy has. Otherwise cargo would take the copy's libraries for those of
/// the checkout, because both have one target folder.
fn with_own_version(manifest: &str) -> Result<String> {
    let (before, version) = manifest.split_once("\nversion = \"").context("the workspace has no version")?;
    let (version, after) = version.split_once('"').context("the version does not end")?;
    Ok(format!("{before}\nversion = \"{version}-new-strategy\"{after}"))
}

/// Returns the patch in CONTRIBUTING.md.
///
/// # Errors
/// Returns an error if it has none.
pub fn patch(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join("CONTRIBUTING.md")).context("reading CONTRIBUTING.md")?;
    let after = text.split_once("```diff\n").context("CONTRIBUTING.md has no patch")?.1;
    Ok(after.split_once("```\n").context("the patch does not end")?.0.to_owned())
}

/// Applies the patch to copies of the files that it changes. Returns the new contents of these files and of those that it
/// adds, which are three together.
///
/// # Errors
/// Returns an error if the patch does not apply, or if it has more or fewer files.
pub fn apply(root: &Path, patch: &str) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("new-strategy.patch");
    fs::write(&file, patch)?;
    let counts = run(Command::new("git").args(["apply", "--numstat"]).arg(&file), folder.path())?;
    let counts = String::from_utf8(counts.stdout)?;
    let paths: Vec<_> = counts.lines().filter_map(|line| line.split('\t').nth(2)).map(PathBuf::from).collect();
    ensure!(paths.len() == 3, "the patch has {} files: {counts}", paths.len());
    for path in &paths {
        fs::create_dir_all(folder.path().join(path).parent().context("a file in a folder")?)?;
        if root.join(path).exists() {
            fs::copy(root.join(path), folder.path().join(path))?;
        }
    }
    run(Command::new("git").arg("apply").arg(&file), folder.path())?;
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(folder.path().join(path))?))).collect()
}

/// Makes `copy` contain exactly these files. A file that has not changed keeps its time, so cargo does not compile it again.
fn write_copy(copy: &Path, contents: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    fs::create_dir_all(copy)?;
    remove_others(copy, copy, contents)?;
    for (path, content) in contents {
        let path = copy.join(path);
        if fs::read(&path).ok().as_ref() != Some(content) {
            fs::create_dir_all(path.parent().context("a file in a folder")?)?;
            fs::write(path, content)?;
        }
    }
    Ok(())
}

fn remove_others(copy: &Path, folder: &Path, contents: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(copy, &path, contents)?;
        } else if !contents.contains_key(path.strip_prefix(copy)?) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Runs a command in `folder`.
fn run(command: &mut Command, folder: &Path) -> Result<Output> {
    let output = command.current_dir(folder).output().with_context(|| format!("running {command:?}"))?;
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat();
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(output)
}
