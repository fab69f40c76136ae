//! The stack of one checkout: its settings and folders, and how its processes are found.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use supervise::process::{Owner, end, pid_in};
use supervise::{Failure, Part, Ports, Replica, Result};

/// The stack of one checkout.
pub(crate) struct Stack {
    /// The checkout, without symbolic links: a link to a checkout is the same stack.
    pub(crate) checkout: PathBuf,
    /// The folder of the data and the logs.
    pub(crate) state: PathBuf,
    /// The user who runs the stores.
    pub(crate) owner: Owner,
    /// The caller's environment, and what the files add.
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) ports: Ports,
    /// Whether each service has two processes.
    pub(crate) is_doubled: bool,
    /// Whether Redis is a cluster.
    pub(crate) is_clustered: bool,
}

impl Stack {
    /// Reads the settings, and checks those of the stack itself.
    pub(crate) fn open(checkout: PathBuf) -> Result<Self> {
        succeed(&mut Command::new(checkout.join("deploy/secrets")), "deploy/secrets failed.")?;
        // What is not UTF-8 is no setting; child processes inherit it all the same.
        let utf8 = std::env::vars_os().map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut variables: BTreeMap<_, _> = utf8.flatten().collect();
        let owner = Owner::current();
        // Root runs the stores as another user, who may be unable to enter the folder of the checkout.
        let state = match (non_empty(&variables, "STACK_STATE"), owner.other()) {
            (Some(folder), _) => std::env::current_dir()?.join(folder),
            (None, Some(_)) => PathBuf::from(format!("/var/lib/shop-cache-{}", short_hash(&checkout)?)),
            (None, None) => checkout.join(".stack"),
        };
        add_file(&mut variables, &checkout.join(".env"));
        // The ports are recorded until `down`, so that `make psql` finds a stack that was started with other ports.
        add_file(&mut variables, &state.join("ports"));
        let is_clustered = non_empty(&variables, "CLUSTER") == Some("1");
        let ports = Ports::read(|name| variables.get(name).cloned(), is_clustered)?;
        let profile = non_empty(&variables, "PROFILE").unwrap_or("dev").to_owned();
        if !["dev", "release"].contains(&profile.as_str()) {
            return Err(Failure::new(format!("PROFILE must be dev or release, got '{profile}'.")));
        }
        variables.insert("PROFILE".to_owned(), profile);
        let is_doubled = non_empty(&variables, "REPLICAS") == Some("2");
        Ok(Self { checkout, state, owner, variables, ports, is_doubled, is_clustered })
    }

    /// Returns the folder of a part.
    pub(crate) fn folder(&self, part: Part) -> PathBuf {
        self.state.join(part.name())
    }

    /// Returns the log file of a part.
    pub(crate) fn log(&self, part: Part) -> PathBuf {
        self.folder(part).join("log")
    }

    /// Returns the folder of Postgres' socket: a short one elsewhere, if the checkout's path is long or has quotes.
    pub(crate) fn socket_folder(&self) -> Result<PathBuf> {
        if fits_socket(&self.state) {
            return Ok(self.state.join("postgres/run"));
        }
        Ok(PathBuf::from(format!("/tmp/shop-cache-{}", short_hash(&self.state)?)))
    }

    /// Returns the processes that run in this stack.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = Replica> {
        Replica::all().filter(|replica| self.is_doubled || !replica.is_second)
    }

    /// Returns the base URL of a process.
    pub(crate) fn url(&self, part: impl Into<Part>) -> String {
        format!("http://127.0.0.1:{}", self.ports.of(part.into()))
    }

    /// Returns a variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        non_empty(&self.variables, name)
    }

    /// Returns the password of a user: `REDIS_ADMIN` for REDIS_ADMIN_PASSWORD.
    pub(crate) fn password(&self, user: &str) -> Result<&str> {
        let name = user.replace('-', "_").to_ascii_uppercase() + "_PASSWORD";
        self.variable(&name).ok_or_else(|| Failure::new(format!("{name} is not set; deploy/secrets sets it.")))
    }

    /// Creates the folders, each for the user who writes to it.
    pub(crate) fn make_state(&self) -> Result<()> {
        let exists = |user: &str| Command::new("id").args(["-u", user]).output().is_ok_and(|id| id.status.success());
        if let Some(user) = self.owner.other().filter(|user| !exists(user)) {
            let message = format!("root cannot run Postgres, and there is no '{user}' user on this machine.");
            let hint = format!("Run this as a normal user, or create one: useradd --system {user}");
            return Err(Failure::new(message).hint(hint));
        }
        let install = |mode: &str, owner: Option<&str>, folders: &[PathBuf]| {
            let mut command = Command::new("install");
            command.args(["-d", "-m", mode]).args(owner.map(|user| format!("--owner={user}"))).args(folders);
            succeed(&mut command, &format!("the folders in {} cannot be created.", self.state.display()))
        };
        install("711", None, std::slice::from_ref(&self.state))?;
        let programs = Part::all().filter(|part| part.program().is_some());
        let services: Vec<_> = programs.map(|part| self.folder(part)).collect();
        install("700", None, &services)?;
        let stores = [self.folder(Part::Postgres), self.folder(Part::Redis), self.socket_folder()?];
        install("700", self.owner.other(), &stores)
    }

    /// Returns a command that the owner of the stores runs in the stack's folder, with the stack's settings.
    pub(crate) fn as_owner(&self, program: &Path) -> Command {
        let mut command = self.owner.command(program, &self.state);
        command.envs(&self.variables);
        command
    }

    /// Runs a shell script as the owner, with this input.
    pub(crate) fn owner_script(&self, script: &str, input: &[u8]) -> Result<()> {
        let mut child = self.as_owner(Path::new("sh")).args(["-c", script]).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().ok_or_else(|| Failure::new("sh has no input"))?.write_all(input)?;
        if child.wait()?.success() { Ok(()) } else { Err(Failure::new(format!("sh failed: {script}"))) }
    }

    /// Returns the process id of a part, if it runs.
    pub(crate) fn pid(&self, part: Part) -> Option<u32> {
        let data = self.folder(part).join("data");
        match part {
            Part::Postgres => pid_in(&data.join("postmaster.pid"), &data.display().to_string()),
            Part::Redis => pid_in(&self.folder(part).join("pid"), "127.0.0.1:"),
            Part::Service(_) | Part::Console => {
                let program = part.program().unwrap_or_default();
                pid_in(&self.folder(part).join("pid"), &format!("/{program}"))
            }
        }
    }

    /// Asks a process to exit, and kills it after 20 seconds.
    pub(crate) fn end(&self, pid: u32) {
        if end(pid, Duration::from_secs(20)) {
            say(format!("process {pid} did not end within 20 s and was killed"));
        }
    }

    /// Prints the last lines of a part's log, and returns the failure.
    pub(crate) fn failed_with_log(&self, part: Part, message: impl Display) -> Failure {
        let log = fs::read(self.log(part)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n");
        eprintln!("\n--- the last lines of {}\n{last}\n---", self.log(part).display());
        Failure::new(message)
    }
}

/// Prints a line. The command continues when its reader, such as `head`, closes the pipe.
pub(crate) fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints what happens now.
pub(crate) fn say(message: impl Display) {
    print(format_args!("\x1b[1m[stack]\x1b[0m {message}"));
}

fn non_empty<'a>(variables: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

/// Adds the `NAME=value` lines of a file, if it exists. A name that is already set, such as by the caller, keeps its
/// value.
fn add_file(variables: &mut BTreeMap<String, String>, file: &Path) {
    let text = fs::read_to_string(file).unwrap_or_default();
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_name && name.starts_with(|first: char| !first.is_ascii_digit()) {
            variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
}

/// Runs a command to its end.
pub(crate) fn succeed(command: &mut Command, otherwise: &str) -> Result<()> {
    let status = command.status().map_err(|error| Failure::new(format!("{otherwise} {error}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(otherwise)) }
}

/// Returns whether Postgres can have its socket in this folder: the path of a socket has at most 107 bytes, and the setting is
/// a list with commas, in quotes.
fn fits_socket(state: &Path) -> bool {
    let path = state.as_os_str().as_encoded_bytes();
    path.len() < 75 && !path.iter().any(|byte| b"'\",\\".contains(byte))
}

/// Returns eight digits that distinguish a path from others on this machine; the scripts of Docker use the same.
fn short_hash(path: &Path) -> Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().ok_or_else(|| Failure::new("sha256sum has no input"))?;
    input.write_all(path.as_os_str().as_encoded_bytes())?;
    drop(input);
    Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).chars().take(8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_of_postgres_fits_in_107_bytes() {
        for length in 1..300 {
            let state = PathBuf::from(format!("/{}", "s".repeat(length)));
            let socket = state.join("postgres/run/.s.PGSQL.65535.lock");
            assert!(!fits_socket(&state) || socket.as_os_str().len() <= 107, "{}", socket.as_os_str().len());
        }
        assert!(fits_socket(Path::new("/var/lib/shop-cache-0a1b2c3d")));
    }

    #[test]
    fn callers_environment_precedes_the_files() {
        let file = std::env::temp_dir().join(format!("supervise-{}.env", std::process::id()));
        fs::write(&file, "A=file\nB=1=2\n# C=3\n=4\n5=6\n").unwrap();
        let mut variables = BTreeMap::from([("A".to_owned(), String::new())]);
        add_file(&mut variables, &file);
        add_file(&mut variables, Path::new("/nowhere"));
        let all: Vec<_> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(all, ["A=", "B=1=2"]);
        fs::remove_file(file).unwrap();
    }
}
