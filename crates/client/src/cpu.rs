//! The CPU time of processes and of the machine.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The unit in which the kernel counts CPU time for user space, on every architecture of Rust's tier 1.
const TICKS_PER_SECOND: u64 = 100;

/// The CPU time of this process and of the whole machine since some moment.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    own: Duration,
    all: Duration,
}

impl Usage {
    /// Starts counting.
    pub fn now() -> Result<Self> {
        Ok(Self { own: cpu_time(std::process::id())?, all: all_cpu_time()? })
    }

    /// Returns this process' share of the CPU time that was used since then.
    pub fn own_share_since(self) -> Result<f64> {
        let (now, all) = (Self::now()?, all_cpu_time()?.saturating_sub(self.all));
        Ok(now.own.saturating_sub(self.own).as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE))
    }
}

/// The CPU time that a hypervisor gave to others since some moment, while something on this machine wanted to run.
#[derive(Clone, Copy, Debug)]
pub struct Stolen {
    stolen: u64,
    all: u64,
}

impl Stolen {
    /// Starts counting.
    pub fn now() -> Result<Self> {
        let ticks = ticks()?;
        // The fields are user, nice, system, idle, iowait, irq, softirq, steal; the following fields are included in
        // user.
        Ok(Self { stolen: ticks.get(7).copied().unwrap_or(0), all: ticks.iter().take(8).sum() })
    }

    /// Returns its share of all cores' time since then.
    pub fn share_since(self) -> Result<f64> {
        let now = Self::now()?;
        Ok(now.stolen.saturating_sub(self.stolen) as f64 / now.all.saturating_sub(self.all).max(1) as f64)
    }
}

/// Returns the CPU time of all processes so far, in user space and kernel.
fn all_cpu_time() -> Result<Duration> {
    let ticks = ticks()?;
    // The fields are user, nice, system, idle, iowait, irq, softirq.
    let busy: u64 =
        ticks.iter().take(7).enumerate().filter(|(at, _)| !matches!(at, 3 | 4)).map(|(_, ticks)| ticks).sum();
    Ok(Duration::from_millis(busy * 1000 / TICKS_PER_SECOND))
}

/// Returns the first line of `/proc/stat`: the ticks of all cores so far.
fn ticks() -> Result<Vec<u64>> {
    let stat = fs::read_to_string("/proc/stat").context("no /proc/stat")?;
    let fields =
        stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).context("/proc/stat has another form")?;
    Ok(fields.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
}

/// Returns the CPU time of all threads of a process so far, in user space and kernel.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    let (_, fields) = stat.rsplit_once(") ").context("/proc/…/stat has another form")?;
    // Fields 14 and 15 of the file; the third field is the first after the name.
    let ticks: Vec<u64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 1000 / TICKS_PER_SECOND))
}

/// Raises the limit of open files and connections for this process and the processes that it starts from now on.
pub fn allow_open_files(most: u32) -> Result<()> {
    let output = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), &format!("--nofile={most}:")])
        .output()
        .context("cannot run prlimit; apt-get install util-linux")?;
    ensure!(output.status.success(), "prlimit failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
