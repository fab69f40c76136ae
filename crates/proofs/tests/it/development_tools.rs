//! The development container, and the check with the oldest Rust version. Programs stand in for rustc, cargo and rustup.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A machine whose Rust is newer than every `rust-version`.
const RUSTC: &str = "#!/bin/sh\necho 'rustc 1.999.0 (0123456789 2030-01-01)'\n";
/// Stands in for `rustup`: a toolchain can run once it is installed, which fails where `OFFLINE` is set.
const RUSTUP: &str = r#"#!/bin/sh
echo "rustup $*" >>"$CALLS"
case $1 in
  run) [ -e "$CALLS.installed" ] ;;
  toolchain) [ -z "$OFFLINE" ] && touch "$CALLS.installed" ;;
esac
"#;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `deploy/publish msrv` on a machine with these programs, and returns the calls of rustup.
fn check_oldest_rust(programs: &[(&str, &str)], offline: &str) -> (Output, String) {
    let folder = TempDir::new().expect("a folder");
    for (name, text) in programs {
        let program = folder.path().join(name);
        fs::write(&program, text).expect("the program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an executable file");
    }
    let calls = folder.path().join("calls");
    fs::write(&calls, "").expect("a file");
    // Nothing else is in PATH, because the system may have a rustup.
    for name in ["bash", "dirname", "sed", "touch"] {
        let found = ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(name)).into_iter().find(|path| path.exists());
        symlink(found.expect(name), folder.path().join(name)).expect("a link");
    }
    let mut command = Command::new("sh");
    command.args(["-c", r#"PATH=$0 exec "$@""#]).arg(folder.path());
    command.arg(repository().join("deploy/publish")).arg("msrv").env("CALLS", &calls).env("OFFLINE", offline);
    let output = command.output().expect("a shell");
    (output, fs::read_to_string(&calls).expect("the calls"))
}

#[test]
fn oldest_rust_version_is_installed_where_rustup_lacks_it() {
    let (output, calls) = check_oldest_rust(&[("rustc", RUSTC), ("rustup", RUSTUP)], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).expect("the manifest");
    let version = manifest.split_once("\nrust-version = \"").and_then(|(_, rest)| rest.split_once('"'));
    let (version, _) = version.expect("an oldest version");
    let (before, checks) =
        calls.split_once(&format!("rustup toolchain install --profile minimal {version}\n")).expect(&calls);
    assert_eq!(before, format!("rustup run {version} cargo --version\n"));
    assert!(checks.lines().count() > 1 && checks.lines().all(|line| line.contains(" cargo check ")), "{checks}");
}

#[test]
fn missing_oldest_rust_version_is_explained_without_network_or_rustup() {
    for (programs, offline, says) in [
        ([("rustc", RUSTC), ("rustup", RUSTUP)].as_slice(), "1", "could not be installed"),
        (&[("rustc", RUSTC)], "", "without rustup"),
    ] {
        let (output, calls) = check_oldest_rust(programs, offline);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(says), "{said}{calls}");
        assert!(!calls.contains("cargo check"), "{calls}");
    }
}

#[test]
fn development_container_on_trixie_installs_docker_without_moby() {
    let text = fs::read_to_string(repository().join(".devcontainer/devcontainer.json")).expect("the file");
    let container: Value = serde_json::from_str(&text).expect("JSON without comments");
    let features = container["features"].as_object().expect("features");
    let docker = features.iter().find(|(name, _)| name.contains("/docker-in-docker:")).expect("a Docker of its own");
    // Debian 13 has no packages of Moby, and the feature refuses to install them there.
    let is_trixie = container["image"].as_str().is_some_and(|image| image.contains("trixie"));
    assert!(!is_trixie || docker.1["moby"] == false, "{docker:?}");
}
