//! The paths of the other programs of this workspace.

use std::path::PathBuf;

/// Returns the path of the workspace's program `name`, next to the running program or test in cargo's target folder.
///
/// # Panics
/// Panics if the program has not been built; the message says what to do.
pub fn sibling(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a running program has a path");
    let found = this.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| panic!("`{name}` has not been built: cargo build --workspace"))
}
