//! Load on the running stack until it is stopped, with live figures: rate, hits, latency, staleness.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use client::allow_open_files;
use client::times::human;
use client::traffic::{Order, Plan, ProductRange, Stream, TrafficResults};
use contract::STRATEGY_NAMES;
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

/// More than the maximum number of requests in flight.
const OPEN_FILES: u32 = 16_384;
/// A duration that stands for "forever": some years.
const UNLIMITED: Duration = Duration::from_secs(100_000_000);
/// The interval between updates of the view.
const EVERY: Duration = Duration::from_secs(1);
/// Without a terminal, a table is printed after this number of updates.
const SELDOM: u32 = 10;

/// The options of `demo load`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Requests a second, of all strategies together
    #[arg(long, default_value_t = 350.0)]
    pub rps: f64,
    /// The share of writes
    #[arg(long, default_value_t = 0.05)]
    pub mix: f64,
    /// How uneven the products are chosen: the exponent of Zipf's law, 0 for all alike
    #[arg(long, default_value_t = 0.9)]
    pub skew: f64,
    /// Only these strategies
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Products of each strategy; no two strategies share one
    #[arg(long, default_value_t = 200)]
    pub products: u64,
    /// End after so many seconds; without it, only Ctrl-C ends it
    #[arg(long)]
    pub seconds: Option<u64>,
    /// The product API
    #[arg(long, default_value = "http://127.0.0.1:8004")]
    pub service: String,
}

/// Runs the load until Ctrl-C, or until the time given in the options is over.
pub async fn run_cli(options: &Options) -> Result<()> {
    let strategies: Vec<(usize, &str)> =
        STRATEGY_NAMES.into_iter().enumerate().filter(|(_, strategy)| chosen(options, strategy)).collect();
    if let Some(unknown) = options.only.iter().find(|strategy| !STRATEGY_NAMES.contains(&strategy.as_str())) {
        bail!("there is no strategy {unknown}; there are {}", STRATEGY_NAMES.join(", "));
    }
    ensure!(options.rps > 0.0 && options.rps <= 100_000.0, "rps: between 0 and 100,000");
    ensure!((0.0..=1.0).contains(&options.mix), "mix: the share of writes, between 0 and 1");
    ensure!((0.0..=5.0).contains(&options.skew), "skew: between 0 and 5");
    ensure!(options.products > 0, "products: at least 1");
    allow_open_files(OPEN_FILES)?;
    ensure_there(options, strategies.iter().map(|(at, _)| at + 1).max().unwrap_or(0) as u64 * options.products).await?;
    let plan = Plan {
        rate: options.rps / strategies.len() as f64,
        writes: options.mix,
        order: Order::Zipf(options.skew),
        length: options.seconds.map_or(UNLIMITED, Duration::from_secs),
    };
    let products = |&(at, strategy): &(usize, &str)| ProductRange {
        name: strategy.to_owned(),
        base: options.service.clone(),
        path: format!("/products/{strategy}/"),
        first: 1 + at as u64 * options.products,
        count: options.products,
    };
    let streams: Vec<Rc<Stream>> = strategies.iter().map(|strategy| Stream::new(&products(strategy), plan)).collect();
    let names: Vec<&str> = strategies.iter().map(|(_, strategy)| *strategy).collect();
    println!(
        "{:.0} requests a second, {:.0} % of them writes, of {} products each (skew {}); Ctrl-C ends it",
        options.rps,
        100.0 * options.mix,
        options.products,
        options.skew
    );
    let mut view = View::new(&names, options.rps);
    let began = Instant::now();
    tokio::select! {
        _ = join_all(streams.iter().map(|stream| Rc::clone(stream).run())) => {}
        () = watch(&streams, &mut view) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    view.end(&streams, began.elapsed());
    let failure = streams.iter().find_map(|stream| stream.failure());
    let answered: u64 = view.total.iter().map(|seen| seen.reads.len() + seen.writes.len()).sum();
    match failure {
        Some(failure) if answered == 0 => {
            bail!("the product API at {} does not answer: {failure}; start the stack with `make up`", options.service)
        }
        Some(failure) => println!("the last failure: {failure}"),
        None => {}
    }
    Ok(())
}

/// Checks that the catalogue has all products that are read.
async fn ensure_there(options: &Options, last: u64) -> Result<()> {
    let url = format!("{}/products/{last}", options.service);
    let answer = reqwest::Client::builder().no_proxy().build()?.get(url).send().await;
    let status = match answer {
        Ok(answer) => answer.status(),
        Err(error) => {
            bail!("the product API at {} does not answer: {error}; start the stack with `make up`", options.service)
        }
    };
    ensure!(
        status != reqwest::StatusCode::NOT_FOUND,
        "products: with {} of each strategy there must be {last}, and the catalogue has fewer; give a smaller --products, \
         or SEED_PRODUCTS={last} make up",
        options.products
    );
    Ok(())
}

fn chosen(options: &Options, strategy: &str) -> bool {
    options.only.is_empty() || options.only.iter().any(|only| only == strategy)
}

async fn watch(streams: &[Rc<Stream>], view: &mut View<'_>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        view.show(streams);
    }
}

/// The view: a table that is updated in place on a terminal, or printed from time to time without one.
struct View<'a> {
    names: &'a [&'a str],
    /// The requested rate, in requests per second.
    wanted: f64,
    lines: Vec<ProgressBar>,
    live: bool,
    shown: u32,
    since: Instant,
    /// The figures since the last printed table, without a terminal.
    lately: Vec<TrafficResults>,
    total: Vec<TrafficResults>,
}

const HEAD: &str =
    "              reads/s writes/s    hits   read p50       p99  write p50       p99    stale   longest";

impl<'a> View<'a> {
    fn new(names: &'a [&'a str], wanted: f64) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let live = !all.is_hidden();
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = |text: &str| {
            let line = all.add(ProgressBar::new_spinner().with_style(style.clone()));
            line.set_message(text.to_owned());
            line
        };
        let lines = if live {
            std::iter::once(line(HEAD)).chain(names.iter().chain(&["all"]).map(|name| line(name))).collect()
        } else {
            vec![]
        };
        let nothing = || vec![TrafficResults::default(); names.len()];
        Self { names, wanted, lines, live, shown: 0, since: Instant::now(), lately: nothing(), total: nothing() }
    }

    fn show(&mut self, streams: &[Rc<Stream>]) {
        for ((stream, lately), total) in streams.iter().zip(&mut self.lately).zip(&mut self.total) {
            let seen = stream.take();
            lately.add(&seen);
            total.add(&seen);
        }
        self.shown += 1;
        if !self.live && !self.shown.is_multiple_of(SELDOM) {
            return;
        }
        let elapsed = self.since.elapsed();
        if !self.live {
            println!("{HEAD}");
        }
        for (at, text) in rows(self.names, &self.lately, self.wanted, elapsed).into_iter().enumerate() {
            match self.lines.get(at + 1) {
                Some(line) => line.set_message(text),
                None => println!("{text}"),
            }
        }
        self.lately.fill_with(TrafficResults::default);
        self.since = Instant::now();
    }

    fn end(&mut self, streams: &[Rc<Stream>], elapsed: Duration) {
        for (stream, total) in streams.iter().zip(&mut self.total) {
            total.add(&stream.take());
        }
        self.lines.iter().for_each(ProgressBar::finish_and_clear);
        println!("in {:.0} s\n{HEAD}", elapsed.as_secs_f64());
        for row in rows(self.names, &self.total, self.wanted, elapsed) {
            println!("{row}");
        }
    }
}

/// Returns a row for each strategy, and one for all, which includes the requested rate.
fn rows(names: &[&str], seen: &[TrafficResults], wanted: f64, elapsed: Duration) -> Vec<String> {
    let mut all = TrafficResults::default();
    seen.iter().for_each(|seen| all.add(seen));
    let asked = format!("{:<13}{wanted:.0} requests/s asked for, {:.0} sent", "", rate(all.late.len(), elapsed));
    let late = format!(", 99 % of them at most {} late", at(&all.late, 0.99));
    let each = names.iter().zip(seen).map(|(name, seen)| row(name, seen, elapsed));
    each.chain([format!("{}\n{asked}{late}", row("all", &all, elapsed))]).collect()
}

fn rate(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}

fn at(times: &Histogram<u64>, quantile: f64) -> String {
    match times.len() {
        0 => "–".to_owned(),
        _ => human(times.value_at_quantile(quantile) as f64 / 1e3),
    }
}

fn row(name: &str, seen: &TrafficResults, elapsed: Duration) -> String {
    let reads = seen.reads.len();
    let stale = 100.0 * seen.stale as f64 / reads.max(1) as f64;
    let mut text = format!(
        "{name:<12} {:>8.0} {:>8.1} {:>5.1} % {:>10} {:>9} {:>10} {:>9} {stale:>6.2} % {:>9}",
        rate(reads, elapsed),
        rate(seen.writes.len(), elapsed),
        100.0 * seen.hit_ratio(),
        at(&seen.reads, 0.5),
        at(&seen.reads, 0.99),
        at(&seen.writes, 0.5),
        at(&seen.writes, 0.99),
        at(&seen.staleness, 1.0),
    );
    let unanswered = seen.failed + seen.given_up;
    if unanswered > 0 {
        text.push_str(&format!("\n{:<13}{unanswered} of them were not answered", ""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_fits_a_terminal_of_100_columns() {
        let mut seen = TrafficResults { stale: 99, given_up: 1, ..TrafficResults::default() };
        for times in [&mut seen.reads, &mut seen.writes, &mut seen.staleness, &mut seen.late] {
            times.record_n(9_999_000_000, 100_000).unwrap();
        }
        for row in rows(&["writethrough"], &[seen], 100_000.0, Duration::from_secs(1)) {
            row.lines().chain(HEAD.lines()).for_each(|line| assert!(line.chars().count() <= 100, "{line}"));
        }
    }
}
