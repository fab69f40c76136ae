//! Copies of the checkout, in which a proof changes some files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Returns the contents of the files that Git knows or would add, by their paths.
pub(crate) fn files(root: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut list = Command::new("git");
    let listed = run(list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]), root)?;
    let listed = String::from_utf8(listed.stdout)?;
    let files = listed.split_terminator('\0').map(PathBuf::from).filter(|file| root.join(file).is_file());
    files.map(|file| Ok((file.clone(), fs::read(root.join(file))?))).collect()
}

/// Makes `copy` contain exactly these files. A file that has not changed keeps its time, so cargo does not compile it again.
pub(crate) fn write(copy: &Path, contents: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
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
pub(crate) fn run(command: &mut Command, folder: &Path) -> Result<Output> {
    let output = command.current_dir(folder).output().with_context(|| format!("running {command:?}"))?;
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat();
    ensure!(output.status.success(), "{command:?} failed: {said}");
    Ok(output)
}

/// Returns the path of a target's program, from the JSON messages of cargo.
pub(crate) fn executable(messages: &str, name: &str, kind: &str) -> Result<PathBuf> {
    let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = messages.find_map(|message| {
        let is_target = message["target"]["name"] == name && message["target"]["kind"][0] == kind;
        message["executable"].as_str().filter(|_| is_target).map(PathBuf::from)
    });
    program.with_context(|| format!("cargo does not say where {name} is"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_where_cargo_says_with_any_target() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"checker","kind":["lib"]},"executable":null}
not a message
{"reason":"compiler-artifact","target":{"name":"checker","kind":["bin"]},"executable":"/t/x86_64-unknown-linux-musl/debug/checker"}
{"reason":"build-finished","success":true}"#;
        let found = executable(messages, "checker", "bin").unwrap();
        assert_eq!(found, Path::new("/t/x86_64-unknown-linux-musl/debug/checker"));
        assert!(executable(messages, "checker", "test").is_err());
    }
}
