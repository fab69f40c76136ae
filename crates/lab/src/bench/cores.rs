//! Which core a process runs on, and how much of it it used.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The kernel counts CPU time in these for user space, on every architecture that Rust's tier 1 knows.
const TICKS_PER_SECOND: u64 = 100;

/// `program`, to be started on one core.
pub fn command_on(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// Moves a running process, with all its threads, to one core. Its future children follow.
pub fn pin(pid: u32, core: usize) -> Result<()> {
    let output = Command::new("taskset")
        .args(["-acp", &core.to_string(), &pid.to_string()])
        .output()
        .context("cannot run taskset; apt-get install util-linux")?;
    ensure!(output.status.success(), "taskset failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Lets this process, and those that it starts from now on, open so many files and connections.
pub fn allow_open_files(most: u32) -> Result<()> {
    let output = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &format!("--nofile={most}:")])
        .output()
        .context("cannot run prlimit; apt-get install util-linux")?;
    ensure!(output.status.success(), "prlimit failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// What this process and the whole machine have used since some moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    own: Duration,
    all: Duration,
}

impl Usage {
    /// From now on.
    pub fn now() -> Result<Self> {
        Ok(Self { own: cpu_time(std::process::id())?, all: all_cpu_time()? })
    }

    /// Which share of the CPU time that was used since then this process used.
    pub fn own_share_since(self) -> Result<f64> {
        let (now, all) = (Self::now()?, all_cpu_time()?.saturating_sub(self.all));
        Ok(now.own.saturating_sub(self.own).as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE))
    }
}

/// What a hypervisor has given to others since some moment: time in which something here wanted to run.
#[derive(Clone, Copy, Debug)]
pub struct Stolen {
    stolen: u64,
    all: u64,
}

impl Stolen {
    /// From now on.
    pub fn now() -> Result<Self> {
        let ticks = ticks()?;
        // user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user.
        Ok(Self { stolen: ticks.get(7).copied().unwrap_or(0), all: ticks.iter().take(8).sum() })
    }

    /// Its share of all cores' time since then.
    pub fn share_since(self) -> Result<f64> {
        let now = Self::now()?;
        Ok(now.stolen.saturating_sub(self.stolen) as f64 / now.all.saturating_sub(self.all).max(1) as f64)
    }
}

/// The CPU time of all processes so far, in user space and kernel.
fn all_cpu_time() -> Result<Duration> {
    let ticks = ticks()?;
    // user, nice, system, idle, iowait, irq, softirq
    let busy: u64 =
        ticks.iter().take(7).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks).sum();
    Ok(Duration::from_millis(busy * 1000 / TICKS_PER_SECOND))
}

/// The first line of `/proc/stat`: what all cores did so far.
fn ticks() -> Result<Vec<u64>> {
    let stat = fs::read_to_string("/proc/stat").context("no /proc/stat")?;
    let fields =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat has another form")?;
    Ok(fields.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// The CPU time of all threads of a process so far, in user space and kernel.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/…/stat has another form")?;
    // Fields 14 and 15 of the file; the third is the first after the name.
    let ticks: Vec<u64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / TICKS_PER_SECOND))
}
