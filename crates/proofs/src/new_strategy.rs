//! Applies the patch in CONTRIBUTING.md, which adds a strategy, to a copy of the checkout, and tests the strategy
//! there.
//!
//! The patch changes the list of strategies, and adds the file and the page of the strategy. The copy and its programs
//! stay in `target`, so that a second run compiles only what has changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::checkout::{self, run};

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
    let mut contents = checkout::files(&root)?;
    contents.extend(changed);
    let manifest = contents.get_mut(Path::new("Cargo.toml")).context("there is no Cargo.toml")?;
    *manifest = with_own_version(std::str::from_utf8(manifest)?)?.into_bytes();
    checkout::write(&copy, &contents)?;

    let mut tests = Command::new("cargo");
    // Cargo writes the version into the copy's Cargo.lock. Nothing else in that file may change, so cargo runs offline.
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

/// Applies the patch to copies of the files that it changes. Returns the new contents of the changed and the added
/// files, which must be three in total.
///
/// # Errors
/// Returns an error if the patch does not apply, or if it does not consist of exactly three files.
pub fn apply(root: &Path, patch: &str) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    apply_in(tempfile::tempdir()?.path(), root, patch)
}

/// Does the same in this empty folder.
fn apply_in(folder: &Path, root: &Path, patch: &str) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let file = folder.join("new-strategy.patch");
    fs::write(&file, patch)?;
    let counts = run(git(folder).args(["apply", "--numstat"]).arg(&file), folder)?;
    let counts = String::from_utf8(counts.stdout)?;
    let paths: Vec<_> = counts.lines().filter_map(|line| line.split('\t').nth(2)).map(PathBuf::from).collect();
    ensure!(paths.len() == 3, "the patch has {} files: {counts}", paths.len());
    for path in &paths {
        fs::create_dir_all(folder.join(path).parent().context("a file in a folder")?)?;
        if root.join(path).exists() {
            fs::copy(root.join(path), folder.join(path))?;
        }
    }
    run(git(folder).arg("apply").arg(&file), folder)?;
    paths.into_iter().map(|path| Ok((path.clone(), fs::read(folder.join(path))?))).collect()
}

/// Returns a Git command that uses no repository: in a folder of a repository, `git apply` would skip every file. The
/// temporary folder may be in one, and a hook of Git names its repository in variables.
fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    // Git compares the real path of the folder with the ceiling, which is the folder around it.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    git.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(&folder));
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        git.env_remove(name);
    }
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_applies_in_a_temporary_folder_inside_a_git_repository() {
        let repository = tempfile::tempdir().unwrap();
        run(git(repository.path()).args(["init", "--quiet"]), repository.path()).unwrap();
        let folder = repository.path().join("a, b");
        fs::create_dir(&folder).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let changed = apply_in(&folder, &root, &patch(&root).unwrap()).unwrap();
        assert_eq!(changed.len(), 3);
        for (path, content) in changed {
            assert_ne!(fs::read(root.join(&path)).ok(), Some(content), "{} is unchanged", path.display());
        }
    }
}
