//! The environment that make's recipes and the installers of tools see, when the caller's shell has functions and variables
//! of other programs. `deploy/hostile-shells` tests the same with a running stack. Programs stand in for Python, npm and Node.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::two_checkouts::copy;

/// Stands in for `python3`: it creates environments whose `pip` fails with the text of `PIP_SAYS`.
const PYTHON: &str = r#"#!/bin/sh
case $* in
  '-m venv '*)
    mkdir -p "$3/bin"
    printf '#!/bin/sh\nenv >"%s"\necho "$PIP_SAYS" >&2\nexit 1\n' "$SEEN" >"$3/bin/pip"
    chmod +x "$3/bin/pip" ;;
esac
"#;
/// Stands in for `npm`, which fails.
const NPM: &str = "#!/bin/sh\n{ echo \"arguments=$*\"; env; } >\"$SEEN\"\nexit 1\n";
const NODE: &str = "#!/bin/sh\necho v22.0.0\n";

/// Variables of the caller that would make pip or npm install something else.
const HOSTILE: [(&str, &str); 8] = [
    ("PYTHONPATH", "/nowhere"),
    ("PYTHONHOME", "/nowhere"),
    ("PIP_USER", "1"),
    ("PIP_TARGET", "/nowhere"),
    ("PIP_PREFIX", "/nowhere"),
    ("PIP_REQUIRE_VIRTUALENV", "1"),
    ("NODE_ENV", "production"),
    ("NODE_OPTIONS", "--unknown"),
];

/// What pip says on a machine without a network, and with a fault of its own.
const OFFLINE: &str = "ERROR: No matching distribution found for z3-solver==4.15.4.0";
const BROKEN: &str = "ERROR: Can not perform a '--user' install.";

/// A copy of what the recipes need, on a machine with the stand-ins.
struct Checkout {
    folder: TempDir,
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self { folder: TempDir::new().expect("a folder") };
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for folder in ["deploy", "crates/proofs/invariant"] {
            copy(&repository.join(folder), &checkout.path(folder));
        }
        fs::copy(repository.join("Makefile"), checkout.path("Makefile")).expect("a copy");
        let page = checkout.path("services/console/browser-tests");
        fs::create_dir_all(&page).expect("a folder");
        fs::write(page.join("package-lock.json"), "{}").expect("the list of packages");
        fs::create_dir(checkout.path("bin")).expect("a folder");
        for (name, text) in [("python3", PYTHON), ("npm", NPM), ("node", NODE)] {
            let program = checkout.path("bin").join(name);
            fs::write(&program, text).expect("the program");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("an executable file");
        }
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command in the checkout, with the stand-ins first in PATH.
    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Output {
        // Other shells drop variables whose names have percent signs, and without -p bash would import the functions.
        let mut command = Command::new("bash");
        command.args(["-p", "-c", r#"PATH="$0:$PATH" exec "$@""#]).arg(self.path("bin")).args(words);
        // `make test` may have been told to skip nothing, and passes its own options on.
        for name in ["NO_SKIP", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
            command.env_remove(name);
        }
        command.env("SEEN", self.path("seen")).envs(variables.iter().copied());
        command.current_dir(self.folder.path()).output().expect("a shell")
    }

    /// Returns what pip or npm has seen.
    fn seen(&self) -> String {
        fs::read_to_string(self.path("seen")).expect("the stand-in was called")
    }
}

/// Asserts that none of the variables reached a program.
fn assert_clean(environment: &str) {
    for (name, _) in HOSTILE {
        let start = format!("{name}=");
        assert!(!environment.lines().any(|line| line.starts_with(&start)), "{name} got through");
    }
}

#[test]
fn recipes_see_no_exported_function_of_the_caller() {
    let checkout = Checkout::new();
    let hijack = "() { echo hijacked; }";
    let functions = ["dirname", "cd", "grep"].map(|name| (format!("BASH_FUNC_{name}%%"), hijack));
    let functions = functions.each_ref().map(|(name, body)| (name.as_str(), *body));
    for command in ["dirname /a/b", "bash -c 'dirname /a/b'"] {
        let said = checkout.run(&["deploy/shell", "-c", command], &functions);
        assert_eq!(String::from_utf8_lossy(&said.stdout), "/a\n", "{command}");
    }
    // An argument with spaces and line breaks arrives as it is.
    let said = checkout.run(&["deploy/shell", "-c", "printf %s \"$1\"", "sh", "a  b\nc"], &functions);
    assert_eq!(String::from_utf8_lossy(&said.stdout), "a  b\nc");
}

#[test]
fn variables_of_python_pip_and_node_do_not_reach_the_installers() {
    let checkout = Checkout::new();
    assert_clean(&String::from_utf8_lossy(&checkout.run(&["deploy/shell", "-c", "env"], &HOSTILE).stdout));
    checkout.run(&["crates/proofs/invariant/install"], &HOSTILE);
    assert_clean(&checkout.seen());
    checkout.run(&["deploy/browser-tests", "types"], &HOSTILE);
    assert_clean(&checkout.seen());
    assert!(checkout.seen().starts_with("arguments=ci --include=dev "), "{}", checkout.seen());
}

#[test]
fn tool_is_skipped_only_where_pip_cannot_get_it_and_it_is_not_demanded() {
    let checkout = Checkout::new();
    for target in ["invariant", "schemathesis"] {
        for (says, demanded, succeeds) in [(OFFLINE, "", true), (OFFLINE, "1", false), (BROKEN, "", false)] {
            let output = checkout.run(&["make", target], &[("PIP_SAYS", says), ("NO_SKIP", demanded)]);
            let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
            assert_eq!(output.status.success(), succeeds, "{target}, {says}: {stdout}{stderr}");
            assert_eq!(stdout.contains(": skipped"), says == OFFLINE, "{target}, {says}: {stdout}{stderr}");
            assert!(stderr.contains(says), "{target} does not show what pip says: {stderr}");
        }
    }
}

#[test]
fn failed_npm_fails_the_browser_tests_that_were_demanded() {
    let checkout = Checkout::new();
    for (demanded, succeeds) in [("", true), ("1", false)] {
        let output = checkout.run(&["make", "page"], &[("NO_SKIP", demanded)]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("browser-tests: skipped"));
        assert_eq!(output.status.success(), succeeds, "NO_SKIP={demanded}");
    }
}
