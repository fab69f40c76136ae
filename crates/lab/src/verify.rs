//! The checker: does every cache keep what it promises? Black box, over HTTP, of any implementation that the [`map`] can
//! describe; ours by default.
//!
//! Sessions read and write products of their own, all at once; every operation is recorded on one clock; and every read is
//! judged against all writes (`judge.rs`):
//!
//! * **stale**: a version below the floor, the highest that was acknowledged before the read began;
//! * **future**: what nobody had begun to write; **torn**: parts of two writes; **backwards**: less than the same session
//!   had seen before.
//!
//! How stale a stale read was is measured for all subjects, also for those that promise nothing better.
//!
//! # What it cannot see
//! A write is known to be there when its answer is. So a read that shows the old value between COMMIT and the answer
//! counts as right, and staleness as shorter than it was by up to the duration of the write; the window, which begins with
//! the write's request and ends with the read's answer, is longer than it was by as much.

mod files;
mod judge;
pub mod map;
pub(crate) mod record;
mod report;
mod run;
mod sessions;
mod stage;
mod tally;
mod workload;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::bench::cores;
pub use files::Files;
pub use judge::Fault;
use map::Map;
pub use report::Report;
pub(crate) use run::Run;
pub use tally::Tally;

/// How often what was seen is judged.
const ROUND: Duration = Duration::from_secs(2);
/// Every how many rounds those take part that may be stale: they cost the machine more than they prove.
const EVERYBODY: u64 = 5;

/// The options of `lab verify`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Reads of the subjects that promise never to be stale, together
    #[arg(long, default_value_t = 5_000_000)]
    pub reads: u64,
    /// The longest that it reads and writes, in seconds
    #[arg(long, default_value_t = 3_600)]
    pub seconds: u64,
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
    /// A folder for the log of all operations (about 60 bytes each)
    #[arg(long)]
    pub log: Option<PathBuf>,
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
pub async fn tell(options: &Options) -> Result<()> {
    let mut map = Map::load(options.map.as_deref(), &options.service)?;
    map.only(&options.only)?;
    let report = run(&map, options).await?;
    println!("{report}");
    report.save(&options.report)?;
    println!("the same with raw histograms: {}", options.report.join("verify.json").display());
    ensure!(report.broken() == 0, "promises were broken {} times", report.broken());
    Ok(())
}

/// Reads until there were enough reads, or the time is over, or promises were broken.
pub async fn run(map: &Map, options: &Options) -> Result<Report> {
    let progress = Progress::new(options.reads);
    let files = Files::in_folder(options.log.as_deref())?;
    let mut run = Run::prepare(map, options.products, files, |made| progress.preparing(made)).await?;
    let (began, cpu) = (Instant::now(), cores::Usage::now()?);
    let worked = async {
        let mut rounds = 0;
        while run.strict_reads() < options.reads && began.elapsed().as_secs() < options.seconds && run.broken() == 0 {
            match rounds % EVERYBODY {
                0 => run.round(ROUND).await?,
                _ => run.strict_round(ROUND).await?,
            }
            rounds += 1;
            progress.reading(run.strict_reads(), began.elapsed(), run.broken());
        }
        let seconds = began.elapsed().as_secs_f64();
        let own_cpu_share = cpu.own_share_since()?;
        if run.broken() == 0 {
            run.sweep().await?;
        }
        Ok::<_, anyhow::Error>((seconds, own_cpu_share))
    };
    let worked = worked.await;
    let ended_early = run.broken() > 0;
    progress.clear();
    let subjects = run.strike().await;
    let (seconds, own_cpu_share) = worked?;
    Ok(Report { subjects, seconds, own_cpu_share, ended_early })
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
