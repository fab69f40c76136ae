//! Runs all cases in turn, round after round.

use std::time::Duration;

use anyhow::{Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Wrk;
use super::cores::cpu_time;

/// Runs of one case in one round, before it is given up.
const ATTEMPTS: u32 = 5;

/// One thing to measure: an address, and the server process behind it.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name in the report.
    pub name: String,
    /// What is requested.
    pub url: String,
    /// The process whose CPU time is counted.
    pub pid: u32,
}

/// One run of one case.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Sample {
    /// CPU time of the server per request, in microseconds.
    pub cpu_us: f64,
    /// Requests per second.
    pub rate: f64,
    /// Median response time in milliseconds.
    pub p50_ms: f64,
    /// 99th percentile of the response times in milliseconds.
    pub p99_ms: f64,
}

/// All runs of one case, in the order of the rounds.
#[derive(Debug, Clone, Serialize)]
pub struct Samples {
    /// The case.
    pub name: String,
    /// One sample a round.
    pub rounds: Vec<Sample>,
}

/// Measures every case once a round. `strays` waits until the case answers as it should, and counts how often it has
/// not done so up to now; a run in which that number grows is measured again.
pub async fn measure(
    wrk: Wrk,
    rounds: u32,
    cases: &[Case],
    strays: impl AsyncFn(&Case) -> Result<u64>,
) -> Result<Vec<Samples>> {
    let progress = Progress::new(cases.len() as u64 * u64::from(rounds + 1));
    for case in cases {
        progress.show(&format!("warm-up: {}", case.name));
        strays(case).await?;
        Wrk { seconds: 1, ..wrk }.run(&case.url).await?;
        progress.step();
    }
    let mut all: Vec<_> = cases.iter().map(|case| Samples { name: case.name.clone(), rounds: Vec::new() }).collect();
    for round in 1..=rounds {
        for (case, samples) in cases.iter().zip(&mut all) {
            let mut attempt = 1;
            samples.rounds.push(loop {
                progress.show(&format!("round {round} of {rounds}: {} (attempt {attempt})", case.name));
                let before = strays(case).await?;
                let sample = sample(wrk, case).await?;
                let strayed = strays(case).await? - before;
                if strayed == 0 {
                    break sample;
                }
                ensure!(
                    attempt < ATTEMPTS,
                    "{}: {strayed} answers of the last run were not what is measured",
                    case.name
                );
                attempt += 1;
            });
            progress.step();
        }
    }
    Ok(all)
}

async fn sample(wrk: Wrk, case: &Case) -> Result<Sample> {
    let before = cpu_time(case.pid)?;
    let load = wrk.run(&case.url).await?;
    let cpu = cpu_time(case.pid)? - before;
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(Sample {
        cpu_us: cpu.as_secs_f64() * 1e6 / load.requests as f64,
        rate: load.rate,
        p50_ms: ms(load.p50),
        p99_ms: ms(load.p99),
    })
}

/// A bar on a terminal, lines elsewhere.
struct Progress(ProgressBar);

impl Progress {
    fn new(steps: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} · {eta} left · {msg}");
        Self(ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn show(&self, what: &str) {
        self.0.set_message(what.to_owned());
        if self.0.is_hidden() {
            eprintln!("{what}");
        }
    }

    fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
