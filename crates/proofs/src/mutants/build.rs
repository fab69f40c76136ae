//! Builds the cache's tests such that they read the cache's scripts from a folder.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Command;

/// Builds the tests and returns the path of the program.
pub(super) async fn tests(root: &Path) -> Result<PathBuf> {
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
    let messages = String::from_utf8(output.stdout)?;
    let program = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let is_it = message["target"]["name"] == "it" && message["target"]["kind"][0] == "test";
        message["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
    });
    program.context("cargo does not say where the tests are")
}
