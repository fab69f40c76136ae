//! The checker: whether every cache keeps its promises. It works as a black box over HTTP, for any implementation that
//! the [`map`] can describe; by default for this repository's stack.
//!
//! Concurrent sessions read and write products of their own. Every operation is recorded with the times of one clock,
//! and every read is judged against all writes (`judge.rs`):
//!
//! * **stale**: a version below the floor, which is the highest version that was acknowledged before the read began;
//! * **future**: a version that no client had begun to write; **torn**: parts of two writes; **backwards**: an older
//!   version than the same session had seen before;
//! * **lost**: two writes received the same version in their responses.
//!
//! The staleness of stale reads is measured for all subjects, also for those that promise a bound above zero. These
//! take part from the beginning, without a break, for several of their TTLs. After that, the subjects that promise
//! never to be stale run alone until there are enough reads. In the end, everything is read once more, from every
//! replica.
//!
//! A run fails when a promise was broken, and also when the run proves nothing (`verdict.rs`).
//!
//! # Limits
//! The checker knows that a write is committed only when it has the response. So a read that shows the old value
//! between COMMIT and the response counts as right, and the measured staleness is too short by up to the duration of
//! the write. The window begins with the write's request and ends with the read's response, so it is too long by as
//! much.
//!
//! A read is compared with what its session saw before only if a cache held that earlier response, or holds it now. A
//! response that no cache keeps shows the state of the database, and a cache may be behind it until the write is
//! acknowledged; going back from such a response is not *backwards*. Nor is going back to the memory of another process,
//! which may be behind Redis until then, or, where a service has replicas, to what one of them has of its own, such as its index. A response from another request's load
//! (`collapsed`) does not say whether the value was stored: the fill is refused when the value became outdated during
//! the load, but the requests that joined the load early receive the value nevertheless. So these reads are judged, but
//! later reads are not compared with them. The report counts both kinds.
//!
//! A response can say itself that it may be outdated (`flagged` in the map: the cart, while the product API does not
//! respond). If no cache keeps it, nothing is promised about its age. A run in which most responses are flagged proves
//! nothing.

mod files;
mod fixture;
mod judge;
pub mod map;
mod prepared;
pub(crate) mod record;
mod report;
mod run;
mod sessions;
mod stats;
mod verdict;
mod workload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use client::cpu;
use client::report::{commit, progress_bar, today};
use indicatif::ProgressBar;

pub use files::Files;
use map::Map;
pub use record::{Anomaly, Violation};
pub(crate) use report::Table;
pub(crate) use run::Run;
pub use stats::SubjectStats;
pub use verdict::Report;

/// The time between two judgements of the recorded operations.
const ROUND: Duration = Duration::from_secs(2);

/// The options of `checker verify`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Reads of the subjects that promise never to be stale, together
    #[arg(long, default_value_t = 5_000_000)]
    pub reads: u64,
    /// The longest that it reads and writes, in seconds
    #[arg(long, default_value_t = 3_600)]
    pub seconds: u64,
    /// For how long those take part that may be stale, from the beginning, in seconds: several of their TTLs
    #[arg(long, default_value_t = 130)]
    pub together: u64,
    /// Products of each subject
    #[arg(long, default_value_t = 64)]
    pub products: usize,
    /// Only this subject; may be repeated
    #[arg(long)]
    pub only: Vec<String>,
    /// A file that says what is read and written, instead of our own stack
    #[arg(long)]
    pub map: Option<PathBuf>,
    /// Another address of a service, NAME=URL, or several for replicas, NAME=URL,URL; may be repeated
    #[arg(long)]
    pub service: Vec<String>,
    /// The folder for verify.md and verify.json
    #[arg(long, default_value = "target/reports")]
    pub report: PathBuf,
    /// A folder for the log of all operations (about 70 bytes each): reads.csv, writes.csv, keys.csv
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Continues when a promise is broken, until a promise is broken in this way.
    #[arg(skip)]
    pub until: Option<Anomaly>,
}

impl Default for Options {
    /// Returns the defaults of the command line.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        <Line as clap::Parser>::parse_from(["verify"]).options
    }
}

/// Runs the checker and prints its report. Fails when a promise was broken.
pub async fn run_cli(options: &Options) -> Result<()> {
    let mut map = Map::load(options.map.as_deref(), &options.service)?;
    map.only(&options.only)?;
    let report = run(&map, options).await?;
    println!("{report}");
    report.save(&options.report)?;
    println!("the same with raw histograms: {}", options.report.join("verify.json").display());
    let failures = report.failures();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

/// Reads and writes until there are enough reads, the time is over, or promises were broken.
pub async fn run(map: &Map, options: &Options) -> Result<Report> {
    let progress = progress_bar(options.reads, "{bar:30} {human_pos} of {human_len} reads · {msg}");
    let files = Files::in_folder(options.log.as_deref())?;
    let mut run = Run::prepare(map, options.products, files, |made| {
        progress.set_message(format!("{made} products made"));
    })
    .await?;
    let worked = work(&mut run, options, &progress).await;
    let ended_early = is_over(&run, options);
    drop(progress);
    let logged = run.close();
    let subjects = run.remove().await;
    let Worked { seconds, together_seconds, own_cpu_share } = worked?;
    logged?;
    Ok(Report {
        date: today(),
        commit: commit(),
        subjects,
        wanted_reads: options.reads,
        says_source: map.cache_status,
        seconds,
        together_seconds,
        own_cpu_share,
        ended_early,
    })
}

/// Figures of the run itself, apart from the recorded operations.
struct Worked {
    seconds: f64,
    together_seconds: f64,
    own_cpu_share: f64,
}

async fn work(run: &mut Run, options: &Options, progress: &ProgressBar) -> Result<Worked> {
    let (began, usage) = (Instant::now(), cpu::Usage::now()?);
    let together = match run.has_bounded() {
        true => Duration::from_secs(options.together.min(options.seconds)),
        false => Duration::ZERO,
    };
    while began.elapsed() < together && !is_over(run, options) {
        run.round(ROUND).await?;
        show(progress, run, began.elapsed());
    }
    let together_seconds = began.elapsed().as_secs_f64();
    let in_time = || began.elapsed().as_secs() < options.seconds;
    while run.strict_reads() < options.reads && in_time() && !is_over(run, options) {
        run.strict_round(ROUND).await?;
        show(progress, run, began.elapsed());
    }
    let (seconds, own_cpu_share) = (began.elapsed().as_secs_f64(), usage.own_share_since()?);
    if run.broken() == 0 {
        run.sweep().await?;
    }
    Ok(Worked { seconds, together_seconds, own_cpu_share })
}

/// Returns whether a promise was broken that ends the run.
fn is_over(run: &Run, options: &Options) -> bool {
    match options.until {
        Some(anomaly) => run.found(anomaly) > 0,
        None => run.broken() > 0,
    }
}

/// Shows the progress: in the bar on a terminal, otherwise on a line from time to time.
fn show(progress: &ProgressBar, run: &Run, elapsed: Duration) {
    let (reads, broken) = (run.strict_reads(), run.broken());
    progress.set_position(reads.min(progress.length().unwrap_or(reads)));
    progress.set_message(format!("{:.0}/s · {broken} promises broken", reads as f64 / elapsed.as_secs_f64()));
    if progress.is_hidden() && elapsed.as_secs() % 30 < ROUND.as_secs() {
        eprintln!("{reads} reads after {:.0} s, {broken} promises broken", elapsed.as_secs_f64());
    }
}
