//! Two checkouts of the same folder name on one machine, with the stack on Docker: each uses only its own containers and
//! volumes, also when the caller's environment names others. No engine is needed: a program named `docker` stands in.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Stands in for `docker`. It records each call in `calls/`, and keeps containers and volumes as empty files, named as
/// Compose does: by `COMPOSE_PROJECT_NAME`, else by the working folder.
const DOCKER: &str = r#"#!/usr/bin/env bash
set -euo pipefail
state=$(dirname -- "$0")/..
call=$(mktemp "$state/calls/XXXXXX")
{ printf 'arguments=%s\n' "$*" && pwd && env | grep -E '^(COMPOSE|DOCKER|BUILDX|BUILDKIT)_|^REDIS_(SCHEME|NODES|ADMIN_URL)='; } >"$call" || true
project=${COMPOSE_PROJECT_NAME:-$(basename -- "$PWD")}
case "$*" in
  'ps --all --format '*) for file in "$state"/containers/*/*; do
    [[ ! -e $file ]] || echo "$(basename -- "$file") $(basename -- "$(dirname -- "$file")")"
  done ;;
  'compose ps --all') ls "$state/containers/$project" ;;
  'compose up --detach --no-deps redis')
    mkdir -p "$state/containers/$project" "$state/volumes/$project"
    touch "$state/containers/$project/$REDIS_CONTAINER" "$state/volumes/$project/data" ;;
  'compose exec --no-TTY redis redis-cli ping') echo PONG ;;
  'compose down --remove-orphans --volumes') rm -r "$state/containers/$project" "$state/volumes/$project" ;;
  *) echo "unexpected: docker $*" >&2 && exit 1 ;;
esac
"#;

/// What a caller's shell may contain. `{other}` is the other checkout's project.
const HOSTILE: [(&str, &str); 16] = [
    ("COMPOSE_PROJECT_NAME", "{other}"),
    ("COMPOSE_FILE", "/nowhere/docker-compose.yml"),
    ("COMPOSE_PROFILES", "*"),
    ("COMPOSE_ENV_FILES", "/nowhere/.env"),
    ("COMPOSE_DISABLE_ENV_FILE", "1"),
    ("COMPOSE_PATH_SEPARATOR", "/"),
    ("COMPOSE_REMOVE_ORPHANS", "1"),
    ("DOCKER_DEFAULT_PLATFORM", "linux/none"),
    ("DOCKER_CONTENT_TRUST", "1"),
    ("DOCKER_HOST", "tcp://192.0.2.1:2375"),
    ("DOCKER_CONTEXT", "elsewhere"),
    ("BUILDX_BUILDER", "elsewhere"),
    ("BUILDKIT_HOST", "tcp://192.0.2.1:1234"),
    ("REDIS_SCHEME", "rediss"),
    ("REDIS_NODES", "?nodes=elsewhere:6380"),
    ("REDIS_ADMIN_URL", "redis://elsewhere:6379"),
];

/// A machine with the checkouts `one/shop` and `two/shop`, and with `docker` in place of Docker.
struct Machine {
    folder: TempDir,
}

/// A call of `docker`: its arguments, its working folder, and the variables that Compose and Docker read.
struct Call {
    arguments: String,
    folder: PathBuf,
    variables: BTreeMap<String, String>,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: TempDir::new().expect("a folder") };
        for folder in ["bin", "calls", "containers", "volumes"] {
            fs::create_dir(machine.path(folder)).expect("a folder");
        }
        let docker = machine.path("bin/docker");
        fs::write(&docker, DOCKER).expect("the program");
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("an executable file");
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for checkout in ["one", "two"] {
            let checkout = machine.checkout(checkout);
            copy(&repository.join("deploy"), &checkout.join("deploy"));
            fs::copy(repository.join("docker-compose.yml"), checkout.join("docker-compose.yml")).expect("a copy");
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn checkout(&self, name: &str) -> PathBuf {
        self.path(name).join("shop")
    }

    /// Runs `deploy/stack` on Docker in a checkout, and returns its output.
    fn stack(&self, checkout: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        // A shell puts the program first in PATH.
        let mut command = Command::new("sh");
        command.args(["-c", r#"PATH="$0:$PATH" exec "$@""#]).arg(self.path("bin"));
        command.arg(self.checkout(checkout).join("deploy/stack")).args(arguments).current_dir("/");
        let output = command.envs(variables.iter().copied()).env("STACK", "docker").output().expect("a shell");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a text")
    }

    /// Returns the calls of `docker` since the last time.
    fn calls(&self) -> Vec<Call> {
        let calls = fs::read_dir(self.path("calls")).expect("the calls").map(|call| {
            let path = call.expect("a call").path();
            let text = fs::read_to_string(&path).expect("a call");
            fs::remove_file(path).expect("the call is there");
            let mut lines = text.lines();
            let arguments = lines.next().and_then(|line| line.strip_prefix("arguments=")).expect("arguments");
            let folder = PathBuf::from(lines.next().expect("a folder"));
            let variables = lines.filter_map(|line| line.split_once('='));
            Call {
                arguments: arguments.to_owned(),
                folder,
                variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            }
        });
        calls.collect()
    }

    /// Returns the projects that have containers or volumes.
    fn projects(&self, kind: &str) -> BTreeSet<String> {
        let projects = fs::read_dir(self.path(kind)).expect("the projects");
        projects.map(|project| project.expect("a project").file_name().to_string_lossy().into_owned()).collect()
    }

    /// Starts Redis in a checkout, and returns the checkout's project.
    fn start(&self, checkout: &str) -> String {
        let before = self.projects("containers");
        self.stack(checkout, &["start", "redis"], &[]);
        let new: Vec<_> = self.projects("containers").difference(&before).cloned().collect();
        let [project] = new.as_slice() else { panic!("{checkout} has started {new:?} beside {before:?}") };
        project.clone()
    }
}

/// Copies a folder with its executable files.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a copy");
        }
    }
}

#[test]
fn docker_stacks_of_two_checkouts_share_no_project_and_no_container() {
    let machine = Machine::new();
    let (one, two) = (machine.start("one"), machine.start("two"));
    let containers = |project: &str| {
        let containers = fs::read_dir(machine.path("containers").join(project)).expect("a project");
        containers.map(|name| name.expect("a name").file_name()).collect::<BTreeSet<_>>()
    };
    assert!(containers(&one).is_disjoint(&containers(&two)), "{:?}", containers(&one));
    // A checkout is copied with its `.env`, but its project stays with the original.
    fs::copy(machine.checkout("one").join(".env"), machine.checkout("two").join(".env")).expect("a copy");
    assert!(machine.stack("two", &["ps"], &[]).contains("redis-shop-api-"));
    let remembered = fs::read_to_string(machine.checkout("two").join(".env")).expect("the settings");
    let remembered: Vec<_> = remembered.lines().filter(|line| line.starts_with("COMPOSE_")).collect();
    assert_eq!(remembered, [format!("COMPOSE_PROJECT_NAME={two}")]);
}

#[test]
fn docker_stack_reset_deletes_only_volumes_of_its_own_checkout() {
    let machine = Machine::new();
    let (one, two) = (machine.start("one"), machine.start("two"));
    let hostile = HOSTILE.map(|(name, value)| (name, if value == "{other}" { one.as_str() } else { value }));
    machine.stack("two", &["reset"], &hostile);
    for kind in ["containers", "volumes"] {
        assert_eq!(machine.projects(kind), BTreeSet::from([one.clone()]), "{kind} after the reset of {two}");
    }
}

#[test]
fn hostile_variables_do_not_reach_docker_except_the_choice_of_engine() {
    let machine = Machine::new();
    let projects = BTreeMap::from(["one", "two"].map(|checkout| (checkout, machine.start(checkout))));
    machine.calls();
    for (checkout, other) in [("one", "two"), ("two", "one")] {
        for command in ["ps", "reset"] {
            let hostile =
                HOSTILE.map(|(name, value)| (name, if value == "{other}" { projects[other].as_str() } else { value }));
            machine.stack(checkout, &[command], &hostile);
            let calls = machine.calls();
            assert!(!calls.is_empty(), "{command} has not called docker");
            for call in calls {
                assert_eq!(call.folder, machine.checkout(checkout).canonicalize().expect("the checkout"));
                assert!(!call.arguments.contains(&projects[other]), "{command}: docker {}", call.arguments);
                // deploy/environment.sh keeps what selects the engine, because both checkouts may need it.
                let allowed = [
                    ("COMPOSE_PROJECT_NAME", projects[checkout].as_str()),
                    ("COMPOSE_PROFILES", "replicas"),
                    ("DOCKER_HOST", "tcp://192.0.2.1:2375"),
                    ("DOCKER_CONTEXT", "elsewhere"),
                ];
                let allowed = allowed.map(|(name, value)| (name.to_owned(), value.to_owned()));
                assert_eq!(call.variables, BTreeMap::from(allowed), "{command}: docker {}", call.arguments);
            }
        }
    }
}

#[test]
fn compose_file_fixes_no_name_that_checkouts_would_share() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docker-compose.yml");
    let compose = fs::read_to_string(path).expect("the file");
    let fixed = |line: &&str| ["name:", "networks:"].iter().any(|key| line.trim_start().starts_with(key));
    assert_eq!(compose.lines().filter(fixed).count(), 0, "Compose derives the names from the project");
    let (_, volumes) = compose.split_once("\nvolumes:\n").expect("volumes");
    assert!(volumes.lines().all(|line| line.ends_with(':')), "a volume has properties: {volumes}");
    for line in compose.lines().filter(|line| line.contains("container_name:")) {
        assert!(line.contains(": ${"), "deploy/docker/stack cannot choose another name: {line}");
    }
    for line in compose.lines().filter(|line| line.contains("image: ") && !line.contains("image: ${")) {
        assert!(line.contains("postgres:") || line.contains("redis:"), "two checkouts would build one image: {line}");
    }
}

#[test]
fn compose_file_reads_only_documented_settings_and_variables_that_the_stack_sets() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(repository.join(path)).expect("the file");
    let (compose, stack, secrets) = (read("docker-compose.yml"), read("deploy/docker/stack"), read("deploy/secrets"));
    let (usage, code) = stack.split_once("set -euo pipefail").expect("a comment with the settings");
    let has_word =
        |text: &str, word: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|it| it == word);
    for rest in compose.split("${").skip(1) {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let is_setting = has_word(usage, &name) || has_word(&secrets, &name) || name.ends_with("_2_PORT");
        // A name that the stack sets itself in every case is safe, and so is one that it removes.
        let is_set = code.lines().any(|line| {
            let words = line.trim_start();
            ["export ", "unset "].iter().any(|verb| words.starts_with(verb)) && has_word(words, &name)
        });
        assert!(is_setting || is_set, "the caller's {name} reaches docker-compose.yml, and nothing documents it");
    }
}
