//! The mixed load: all cases at once, each on products of its own, with reads and some writes. It counts hit ratios,
//! loads and staleness, and lasts longer than a TTL.

use std::rc::Rc;

use anyhow::{Result, ensure};
use client::traffic::{Order, Plan, Stream};
use futures_util::future::join_all;

use super::case_figures::Mixed;
use super::cases::{Case, TestBench};
use super::extent::{Extent, SKEW, WRITE_SHARE};
use super::latency::Latency;
use super::phases::{self, CONNECTIONS};

/// Requests per second of each case.
const RATE: f64 = 120.0;

pub(super) async fn measure(bench: &TestBench, extent: &Extent) -> Result<Vec<(String, Mixed)>> {
    let plan = Plan { rate: RATE, writes: WRITE_SHARE, order: Order::Zipf(SKEW), length: extent.mixed };
    let cases: Vec<&Case> = bench.cases().iter().filter(|case| case.reads_products).collect();
    let (mut before, mut streams) = (Vec::new(), Vec::new());
    for case in &cases {
        phases::warm(&case.own()).await?;
        before.push(bench.loads(case).await?);
        streams.push(Stream::new(&case.own(), plan));
    }
    for (case, stream) in cases.iter().zip(&streams) {
        stream.open(CONNECTIONS, case.own).await?;
    }
    join_all(streams.iter().map(|stream| Rc::clone(stream).run())).await;
    let mut samples = Vec::new();
    for ((case, stream), before) in cases.iter().zip(streams).zip(before) {
        let seen = stream.take();
        let why = stream.failure().unwrap_or_default();
        ensure!(seen.failed + seen.given_up == 0, "{}: requests failed: {why}", case.name);
        let mixed = Mixed {
            reads: seen.reads.len(),
            hit_ratio: seen.hit_ratio(),
            loads: bench.loads(case).await?.zip(before).map(|(after, before)| after - before),
            stale: seen.stale,
            staleness: Latency::of(&seen.staleness),
            late: Latency::of(&seen.late),
        };
        samples.push((case.name.clone(), mixed));
    }
    Ok(samples)
}
