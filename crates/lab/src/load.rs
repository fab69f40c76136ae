//! Load on the running stack until it is stopped, and what it does, live: rate, hits, latency, staleness.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::Args;
use futures_util::future::join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::demo::times::human;
use crate::traffic::{Order, Place, Plan, Seen, Stream};

const LANES: [&str; 7] = ["ttl", "explicit", "writethrough", "events", "swr", "tags", "production"];
/// How often the view changes.
const EVERY: Duration = Duration::from_secs(1);
/// How often a line is written where there is no terminal.
const SELDOM: u32 = 10;

/// The options of `lab load`.
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
    /// When it ends by itself, in seconds
    #[arg(long, default_value_t = 3_600)]
    pub seconds: u64,
    /// The product API
    #[arg(long, default_value = "http://127.0.0.1:8004")]
    pub service: String,
}

/// Loads until Ctrl-C, or until the time is over.
pub async fn tell(options: &Options) -> Result<()> {
    let lanes: Vec<(usize, &str)> = LANES.into_iter().enumerate().filter(|(_, lane)| chosen(options, lane)).collect();
    if let Some(unknown) = options.only.iter().find(|lane| !LANES.contains(&lane.as_str())) {
        bail!("there is no strategy {unknown}; there are {}", LANES.join(", "));
    }
    ensure!(options.rps > 0.0 && options.rps <= 100_000.0, "rps: between 0 and 100,000");
    ensure!((0.0..=1.0).contains(&options.mix), "mix: the share of writes, between 0 and 1");
    ensure!((0.0..=5.0).contains(&options.skew), "skew: between 0 and 5");
    ensure!(options.products > 0, "products: at least 1");
    let plan = Plan {
        rate: options.rps / lanes.len() as f64,
        writes: options.mix,
        order: Order::Zipf(options.skew),
        length: Duration::from_secs(options.seconds),
    };
    let place = |&(at, lane): &(usize, &str)| Place {
        name: lane.to_owned(),
        base: options.service.clone(),
        path: format!("/products/{lane}/"),
        first: 1 + at as u64 * options.products,
        count: options.products,
    };
    let streams: Vec<Rc<Stream>> = lanes.iter().map(|lane| Stream::new(&place(lane), plan)).collect();
    let names: Vec<&str> = lanes.iter().map(|(_, lane)| *lane).collect();
    println!(
        "{:.0} requests a second, {:.0} % of them writes, of {} products each (skew {}); Ctrl-C ends it",
        options.rps,
        100.0 * options.mix,
        options.products,
        options.skew
    );
    let mut view = View::new(&names);
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
        Some(failure) if answered == 0 => bail!("nobody answers at {}: {failure}; make up", options.service),
        Some(failure) => println!("the last failure: {failure}"),
        None => {}
    }
    Ok(())
}

fn chosen(options: &Options, lane: &str) -> bool {
    options.only.is_empty() || options.only.iter().any(|only| only == lane)
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

/// A table that changes in place on a terminal, and a table now and then elsewhere.
struct View<'a> {
    names: &'a [&'a str],
    lines: Vec<ProgressBar>,
    live: bool,
    shown: u32,
    since: Instant,
    /// Since the last line was written, where there is no terminal.
    lately: Vec<Seen>,
    total: Vec<Seen>,
}

const HEAD: &str =
    "                reads/s  writes/s    hits   read p50     p99        write p50     p99        stale  longest";

impl<'a> View<'a> {
    fn new(names: &'a [&'a str]) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let live = !all.is_hidden();
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let line = |text: &str| {
            let line = all.add(ProgressBar::new_spinner().with_style(style.clone()));
            line.set_message(text.to_owned());
            line
        };
        let lines = if live {
            std::iter::once(line(HEAD)).chain(names.iter().map(|name| line(name))).collect()
        } else {
            vec![]
        };
        let nothing = || vec![Seen::default(); names.len()];
        Self { names, lines, live, shown: 0, since: Instant::now(), lately: nothing(), total: nothing() }
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
        for (at, lately) in self.lately.iter_mut().enumerate() {
            let text = row(self.names[at], lately, elapsed);
            match self.lines.get(at + 1) {
                Some(line) => line.set_message(text),
                None => println!("{text}"),
            }
            *lately = Seen::default();
        }
        self.since = Instant::now();
    }

    fn end(&mut self, streams: &[Rc<Stream>], elapsed: Duration) {
        for (stream, total) in streams.iter().zip(&mut self.total) {
            total.add(&stream.take());
        }
        self.lines.iter().for_each(ProgressBar::finish_and_clear);
        println!("in {:.0} s\n{HEAD}", elapsed.as_secs_f64());
        for (name, total) in self.names.iter().zip(&self.total) {
            println!("{}", row(name, total, elapsed));
        }
    }
}

fn row(name: &str, seen: &Seen, elapsed: Duration) -> String {
    let rate = |count: u64| count as f64 / elapsed.as_secs_f64();
    let at = |histogram: &hdrhistogram::Histogram<u64>, quantile| match histogram.len() {
        0 => "–".to_owned(),
        _ => human(histogram.value_at_quantile(quantile) as f64 / 1e3),
    };
    let reads = seen.reads.len();
    let stale = 100.0 * seen.stale as f64 / reads.max(1) as f64;
    let mut text = format!(
        "{name:<14} {:>8.0}  {:>8.1}  {:>5.1} %  {:>9}  {:>9}  {:>9}  {:>9}  {stale:>6.2} %  {:>9}",
        rate(reads),
        rate(seen.writes.len()),
        100.0 * seen.hit_ratio(),
        at(&seen.reads, 0.5),
        at(&seen.reads, 0.99),
        at(&seen.writes, 0.5),
        at(&seen.writes, 0.99),
        at(&seen.staleness, 1.0),
    );
    if seen.failed + seen.given_up > 0 {
        text.push_str(&format!("  {} failed", seen.failed + seen.given_up));
    }
    text
}
