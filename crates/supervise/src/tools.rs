//! Where this machine keeps the programs of Postgres and Redis.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::{Failure, Result};

/// Returns the folder of the newest PostgreSQL, 15 or later, that has a server.
///
/// # Errors
/// Returns an error if there is none.
pub fn postgres_folder() -> Result<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let search = || {
        let mut folders: Vec<PathBuf> =
            fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        folders.sort_by_key(|folder| number(&folder.file_name().unwrap_or_default().to_string_lossy()));
        let debian = folders.into_iter().rev().map(|folder| folder.join("bin"));
        let on_path = on_path("postgres").and_then(|program| Some(program.canonicalize().ok()?.parent()?.to_owned()));
        debian.chain(on_path).find(|folder| version(&folder.join("postgres"), "PostgreSQL) ") >= 15)
    };
    FOUND.get_or_init(search).as_deref().ok_or_else(|| missing("PostgreSQL 15 or later"))
}

/// Returns the server of Redis 7 or later, or of Valkey.
///
/// # Errors
/// Returns an error if there is none.
pub fn redis_server() -> Result<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let search = || ["redis-server", "valkey-server"].into_iter().filter_map(on_path).find(|it| version(it, "v=") >= 7);
    FOUND.get_or_init(search).as_deref().ok_or_else(|| missing("Redis 7 or later"))
}

/// Returns the command line client of Redis or Valkey.
///
/// # Errors
/// Returns an error if there is none.
pub fn redis_client() -> Result<PathBuf> {
    ["redis-cli", "valkey-cli"].into_iter().find_map(on_path).ok_or_else(|| missing("redis-cli"))
}

fn missing(what: &str) -> Failure {
    Failure::new(format!("{what} is not installed."))
        .hint("Run `make test`, which installs what is missing, or: apt-get install redis-server postgresql")
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Returns the major version that a program prints after `prefix`, or 0.
fn version(program: &Path, prefix: &str) -> u32 {
    let printed = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&printed).split_once(prefix).map_or(0, |(_, rest)| number(rest))
}

fn number(text: &str) -> u32 {
    text.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
