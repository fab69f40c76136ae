//! Processes: whether one runs, how it ends, and who owns the stores.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Returns whether a process runs. A zombie, which has ended and was not waited for yet, does not. The state shows this;
/// an empty command line does not, because every process has one for a moment during exec.
pub fn is_running(pid: u32) -> bool {
    // The format is "pid (name) state …"; the name may contain any character, including brackets.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Returns the pid in the first line of a file if it runs and its command line contains `part`: a pid file may outlive
/// its process, and the pid may be reused.
pub fn pid_in(file: &Path, part: &str) -> Option<u32> {
    pid_if(file, |command| command.contains(part))
}

/// Returns the pid in the first line of a file if it runs and its command line, with spaces between its words, fulfils the
/// condition.
pub fn pid_if(file: &Path, condition: impl Fn(&str) -> bool) -> Option<u32> {
    let pid = fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()?;
    let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    condition(&String::from_utf8_lossy(&command).replace('\0', " ")).then_some(pid)
}

/// Sends a signal. Returns whether the process got it.
pub fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Asks a process to exit, and kills it if it does not within the limit. Returns whether it had to be killed.
pub fn end(pid: u32, limit: Duration) -> bool {
    let asked = signal(pid, Signal::TERM);
    asked && !poll(limit, || !is_running(pid)) && signal(pid, Signal::KILL)
}

/// Waits until a condition is true. Returns whether it became true within the limit.
pub fn poll(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        #[expect(clippy::disallowed_methods, reason = "commands of the stack are synchronous, and have a thread each")]
        thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The user who runs the stores. Postgres refuses to run as root, so root runs them as this user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Option<&'static str>);

impl Owner {
    /// Returns the owner of the stores that this process starts.
    pub fn current() -> Self {
        Self(geteuid().is_root().then_some("postgres"))
    }

    /// Returns the name of the user if it is not the one who runs this process.
    pub fn other(self) -> Option<&'static str> {
        self.0
    }

    /// Returns the words in front of a command that the owner shall run; the process keeps its id.
    pub fn prefix(self) -> Vec<String> {
        let Some(user) = self.0 else { return Vec::new() };
        let (uid, gid) = (format!("--reuid={user}"), format!("--regid={user}"));
        vec!["setpriv".to_owned(), uid, gid, "--init-groups".to_owned(), "--".to_owned()]
    }

    /// Returns a command that the owner runs in `folder`, which the owner can enter.
    pub fn command(self, program: &Path, folder: &Path) -> Command {
        let mut words = self.prefix();
        words.push(program.display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(folder);
        command
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn process_counts_as_running_after_exec() {
        let mut denials = 0;
        for _ in 0..300 {
            let mut child = Command::new("setsid").args(["sleep", "30"]).spawn().unwrap();
            denials += (0..8).filter(|_| !is_running(child.id())).count();
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(denials, 0, "of 2,400 looks at a process that ran");
    }

    #[test]
    fn zombie_process_does_not_count_as_running() {
        let mut child = Command::new("true").spawn().unwrap();
        assert!(poll(Duration::from_secs(10), || !is_running(child.id())), "it has ended");
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        assert!(status.contains("zombie"), "{status}");
        child.wait().unwrap();
    }

    #[test]
    fn pid_file_of_another_process_is_ignored() {
        let mut child = Command::new("sleep").arg("30").spawn().unwrap();
        let file = std::env::temp_dir().join(format!("supervise-{}.pid", child.id()));
        fs::write(&file, format!("{}\n", child.id())).unwrap();
        assert!(poll(Duration::from_secs(10), || pid_in(&file, "sleep 30") == Some(child.id())));
        assert_eq!(pid_in(&file, "/product-api"), None, "the pid was reused");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(pid_in(&file, "sleep 30"), None, "the process is gone");
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn process_that_ignores_the_request_to_exit_is_killed() {
        let script = "trap '' TERM; echo; while :; do sleep 0.05; done";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        assert!(end(child.id(), Duration::from_millis(100)), "it was killed");
        child.wait().unwrap();
        let mut sleep = Command::new("sleep").arg("30").spawn().unwrap();
        assert!(!end(sleep.id(), Duration::from_secs(10)), "it ended by itself");
        sleep.wait().unwrap();
    }
}
