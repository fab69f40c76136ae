//! Finds the programs of Postgres and Redis, and runs their clients.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Returns the first of `names` on the search path, or in Debian's folders of Postgres programs, newest version first.
pub(crate) fn find(names: &[&str]) -> Result<PathBuf> {
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    versions.sort_by_key(|bin: &PathBuf| std::cmp::Reverse(version(bin)));
    on_path
        .iter()
        .chain(&versions)
        .flat_map(|folder| names.iter().map(|name| folder.join(name)))
        .find(|file| file.is_file() && !is_wrapper(file))
        .with_context(|| {
            format!(
                "{} is not installed. Run `make test`, which installs what is missing, or: \
                 apt-get install redis-server postgresql",
                names.join(" or ")
            )
        })
}

/// Returns whether `file` is Debian's `psql` on the search path: a Perl script that chooses a version and takes five
/// times as long to start as the program itself, which is in the version's own folder.
fn is_wrapper(file: &Path) -> bool {
    fs::canonicalize(file).is_ok_and(|file| file.ends_with("pg_wrapper"))
}

fn version(bin: &Path) -> u32 {
    bin.parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .and_then(|name| name.parse().ok())
        .unwrap_or(0)
}

/// Runs a client program to its end and returns its output, without the last line break.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("cannot run {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}{printed}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(printed)
}
