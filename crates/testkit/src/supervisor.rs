//! The Rust side of `supervisor.sh`: it owns one server with its directory, and sends it signals.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use supervise::process::is_running;
use tokio::time::{Instant, sleep};

/// One server and its temporary directory. A drop kills the server and removes the directory.
///
/// The shell replies to commands at once, so they are sent synchronously. Waiting for the server to end takes time, so
/// it is asynchronous.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Mutex<SupervisorShell>,
    directory: PathBuf,
    pid: AtomicU32,
}

#[derive(Debug)]
struct SupervisorShell {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    /// Starts the shell and creates the directory, but starts no server yet. `prepare` may set the environment that the
    /// server inherits.
    pub(crate) fn new(name: &str, owner: Option<&str>, prepare: impl FnOnce(&mut Command)) -> Result<Self> {
        let mut command = Command::new("sh");
        command
            .args(["-c", include_str!("supervisor.sh"), "testkit-supervisor", name, owner.unwrap_or_default()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // The shell has its own process group: Ctrl-C and a kill of the test's group must not hit it, because it
            // cleans up.
            .process_group(0);
        prepare(&mut command);
        let mut child = command.spawn().context("cannot run sh")?;
        let answers = child.stdout.take().map(BufReader::new).context("the supervisor has no standard output")?;
        let mut shell = SupervisorShell { child, answers };
        let directory = PathBuf::from(shell.answer()?);
        Ok(Self { shell: Mutex::new(shell), directory, pid: AtomicU32::new(0) })
    }

    /// Returns the directory, which exists as long as this value.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the process id of the server that was spawned last.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::SeqCst)
    }

    /// Returns what the server has written to its standard output and error so far.
    pub(crate) fn output(&self) -> String {
        let bytes = fs::read(self.directory.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the last lines of the output, for error messages.
    pub(crate) fn last_output(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Starts `program`. The previously spawned server must have been reaped.
    pub(crate) fn spawn<A: Into<OsString>>(&self, argv: impl IntoIterator<Item = A>) -> Result<()> {
        let mut order = String::from("spawn");
        for argument in argv {
            let Ok(argument) = argument.into().into_string() else { bail!("an argument is not UTF-8") };
            ensure!(!argument.contains('\n'), "an argument has a line break: {argument:?}");
            order.push_str(" '");
            order.push_str(&argument.replace('\'', r"'\''"));
            order.push('\'');
        }
        let pid = self.order(&order)?.parse().context("the supervisor answered no process id")?;
        self.pid.store(pid, Ordering::SeqCst);
        Ok(())
    }

    /// Sends a signal to the server alone.
    pub(crate) fn signal(&self, name: &str) {
        self.order(&format!("signal {name}")).expect("the supervisor lives as long as its owner");
    }

    /// Sends a signal to the server and its children.
    pub(crate) fn signal_tree(&self, name: &str) {
        self.order(&format!("tree {name}")).expect("the supervisor lives as long as its owner");
    }

    pub(crate) fn is_alive(&self) -> bool {
        is_running(self.pid())
    }

    /// Waits for the server to end and returns its exit code as a shell reports it.
    pub(crate) async fn reap(&self, at_most: Duration) -> Result<i32> {
        let deadline = Instant::now() + at_most;
        while self.is_alive() {
            ensure!(Instant::now() < deadline, "process {} did not end within {at_most:?}", self.pid());
            sleep(Duration::from_millis(2)).await;
        }
        let code = self.order("reap")?;
        code.parse().with_context(|| format!("the supervisor answered {code:?} for an exit code"))
    }

    /// Kills the server and its children (`kill -9`), and waits until they are gone. Does nothing if no server runs.
    pub(crate) async fn kill(&self) -> Result<()> {
        self.signal_tree("KILL");
        self.reap(Duration::from_secs(10)).await?;
        Ok(())
    }

    fn order(&self, line: &str) -> Result<String> {
        let mut shell = self.shell.lock().expect("no code panics while it holds this lock");
        let stdin = shell.child.stdin.as_mut().context("the supervisor has no standard input")?;
        stdin.write_all(format!("{line}\n").as_bytes()).context("the supervisor is gone")?;
        shell.answer()
    }
}

impl SupervisorShell {
    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "the supervisor is gone");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for SupervisorShell {
    fn drop(&mut self) {
        // `wait` closes the shell's standard input first, which is the order to clean up.
        let _ = self.child.wait();
    }
}
