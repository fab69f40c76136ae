//! The checker: does every cache keep what it promises? Black box, over HTTP, of any implementation that the [`map`] can
//! describe; ours by default.
//!
//! Sessions read and write products of their own, all at once; every operation is recorded on one clock; and every read is
//! judged against all writes (`judge.rs`):
//!
//! * **stale**: a version below the floor, the highest that was acknowledged before the read began;
//! * **future**: what nobody had begun to write; **torn**: parts of two writes; **backwards**: less than the same session
//!   had seen before;
//! * **lost**: two writes were answered with the same version.
//!
//! How stale a stale read was is measured for all subjects, also for those that promise nothing better. They take part
//! from the beginning, without a break, for several of their TTLs; after that, those that promise never to be stale are
//! alone until there were enough reads. In the end, everything is read once more, of every replica.
//!
//! A run fails when a promise was broken, and also when it proves nothing (`verdict.rs`).
//!
//! # What it cannot see
//! A write is known to be there when its answer is. So a read that shows the old value between COMMIT and the answer
//! counts as right, and staleness as shorter than it was by up to the duration of the write; the window, which begins with
//! the write's request and ends with the read's answer, is longer than it was by as much.
//!
//! What a session sees is compared with what it saw before only where a cache holds that, or holds it now. An answer that
//! no cache keeps shows the database, which a cache may be behind of until the write is acknowledged; going back from it
//! is not *backwards*. An answer of somebody else's load (`collapsed`) does not say whether it was kept: that load is
//! refused when it was outdated meanwhile, and who had joined it early gets its value all the same. So these are judged,
//! and not compared with. The report counts both.
//!
//! An answer can say itself that it may be outdated (`flagged` in the map: the cart, while the product API does not answer).
//! If no cache keeps it, nothing is promised about how recent it is; a run in which most answers are flagged proves nothing.

mod files;
mod fixture;
mod judge;
pub mod map;
mod prepared;
pub(crate) mod record;
mod report;
mod run;
mod session_roles;
mod sessions;
mod stats;
mod table;
mod verdict;
mod violation;
mod workload;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::bench::cores;
pub use files::Files;
use map::Map;
pub use report::Report;
pub(crate) use run::Run;
pub use stats::SubjectStats;
pub use violation::{Fault, Violation};

/// How often what was seen is judged.
const ROUND: Duration = Duration::from_secs(2);

/// The options of `lab verify`.
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
    #[arg(long, default_value = "target/lab")]
    pub report: PathBuf,
    /// A folder for the log of all operations (about 70 bytes each): reads.csv, writes.csv, keys.csv
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// Goes on when a promise is broken, until it is in this way
    #[arg(skip)]
    pub until: Option<Fault>,
}

impl Default for Options {
    /// What the command line has by default.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        <Line as clap::Parser>::parse_from(["verify"]).options
    }
}

/// Runs it for a person; fails when a promise was broken.
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

/// Reads until there were enough reads, or the time is over, or promises were broken.
pub async fn run(map: &Map, options: &Options) -> Result<Report> {
    let progress = Progress::new(options.reads);
    let files = Files::in_folder(options.log.as_deref())?;
    let mut run = Run::prepare(map, options.products, files, |made| progress.preparing(made)).await?;
    let worked = work(&mut run, options, &progress).await;
    let ended_early = is_over(&run, options);
    progress.clear();
    let logged = run.close();
    let subjects = run.remove().await;
    let Worked { seconds, together_seconds, own_cpu_share } = worked?;
    logged?;
    Ok(Report {
        date: said("date", &["-u", "+%F"]),
        commit: said("git", &["describe", "--always", "--dirty"]),
        subjects,
        wanted_reads: options.reads,
        says_source: map.cache_status,
        seconds,
        together_seconds,
        own_cpu_share,
        ended_early,
    })
}

/// How the work went, apart from what was seen.
struct Worked {
    seconds: f64,
    together_seconds: f64,
    own_cpu_share: f64,
}

async fn work(run: &mut Run, options: &Options, progress: &Progress) -> Result<Worked> {
    let (began, cpu) = (Instant::now(), cores::Usage::now()?);
    let together = match run.has_bounded() {
        true => Duration::from_secs(options.together.min(options.seconds)),
        false => Duration::ZERO,
    };
    let told = |run: &Run| progress.reading(run.strict_reads(), began.elapsed(), run.broken());
    while began.elapsed() < together && !is_over(run, options) {
        run.round(ROUND).await?;
        told(run);
    }
    let together_seconds = began.elapsed().as_secs_f64();
    let in_time = || began.elapsed().as_secs() < options.seconds;
    while run.strict_reads() < options.reads && in_time() && !is_over(run, options) {
        run.strict_round(ROUND).await?;
        told(run);
    }
    let (seconds, own_cpu_share) = (began.elapsed().as_secs_f64(), cpu.own_share_since()?);
    if run.broken() == 0 {
        run.sweep().await?;
    }
    Ok(Worked { seconds, together_seconds, own_cpu_share })
}

/// Whether a promise was broken that ends it.
fn is_over(run: &Run, options: &Options) -> bool {
    match options.until {
        Some(fault) => run.found(fault) > 0,
        None => run.broken() > 0,
    }
}

/// The first line of what a program says; "unknown" when there is no such program.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output();
    let text = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    text.lines().next().filter(|line| !line.is_empty()).unwrap_or("unknown").to_owned()
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn new(reads: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} reads · {msg}");
        Self(ProgressBar::new(reads).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn preparing(&self, made: u64) {
        self.0.set_message(format!("{made} products made"));
    }

    fn reading(&self, reads: u64, elapsed: Duration, broken: u64) {
        let rate = reads as f64 / elapsed.as_secs_f64();
        self.0.set_position(reads.min(self.0.length().unwrap_or(reads)));
        self.0.set_message(format!("{rate:.0}/s · {broken} promises broken"));
        if self.0.is_hidden() && elapsed.as_secs() % 30 < ROUND.as_secs() {
            eprintln!("{reads} reads after {:.0} s, {broken} promises broken", elapsed.as_secs_f64());
        }
    }

    fn clear(&self) {
        self.0.finish_and_clear();
    }
}
