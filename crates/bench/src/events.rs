//! Measures how long a committed change takes until it is gone from every cache, and how many changes per second the
//! relay processes.
//!
//! The four services and their private stores share this machine's cores with the load. There are two parts:
//!
//! * **delay**: writes at a steady rate through the product API (open loop: a late response delays no later write).
//!   Some of the products, the probes, have an entry in the cache of every service. For each write of a probe, the
//!   benchmark measures per service the time until Redis removes the entry, as reported by Redis itself (keyspace
//!   notifications). The time of the COMMIT itself is not visible outside of Postgres, but it lies between the request
//!   and the response: the time from the request is an upper bound of the delay, and the time from the response is a
//!   lower bound. A request counts from when it was due; the entries are filled some time before that. A probe whose
//!   entries were gone before it was sent proves nothing: it is discarded, and the report shows how many were. The
//!   baseline in the same rounds: the same writes, and a bare subscriber on the Pub/Sub channel.
//! * **throughput**: writes in SQL at a steady rate, one row and one COMMIT each, in several concurrent sessions; the
//!   rate that was reached, and the lag of the outbox and of every consumer, each second.

mod delay;
mod notifications;
mod report;
mod throughput;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use client::report::commit;
use reqwest::Client;
use testkit::private_system::{PrivateSystem, Service};

use notifications::LOST;
use report::Figures;

/// Runs the benchmark and prints its tables.
pub async fn run(options: &Options) -> Result<()> {
    let settings = [("LOG__FILTER", "warn"), ("REDIS__COMMAND_TIMEOUT", "200ms")];
    let system = Arc::new(PrivateSystem::prepare(options.products, &settings).await?.with_services().await?);
    let http = Client::builder().no_proxy().timeout(LOST).build()?;
    system.until_applied(&http, throughput::DRAINED).await?;
    let mut figures = Figures {
        commit: commit(),
        rate: options.rate,
        rows: options.rows,
        sessions: options.sessions.max(1),
        ..Figures::default()
    };
    delay::measure(&system, &http, options, &mut figures).await?;
    throughput::measure(&system, &http, options, &mut figures).await?;
    report::print(&figures);
    for service in Service::ALL {
        // The services log only warnings: they may explain an outlier in the figures.
        for line in system.output(service).await.lines() {
            println!("{}: {line}", service.name());
        }
    }
    if let Some(file) = &options.json {
        let json = serde_json::to_vec_pretty(&figures)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.assert {
        figures.check(f64::from(options.rows))?;
    }
    Ok(())
}

/// The options of `bench events`.
#[derive(Debug, Args)]
pub struct Options {
    /// Writes a second in the first part
    #[arg(long, default_value_t = 200)]
    pub(super) rate: u32,
    /// Rows a second in the second part, each committed by itself
    #[arg(long, default_value_t = 2_000)]
    pub(super) rows: u32,
    /// Sessions that write them
    #[arg(long, default_value_t = 4)]
    pub(super) sessions: u32,
    /// Seconds of each round of the first part, and of the second part
    #[arg(long, default_value_t = 20)]
    pub(super) seconds: u32,
    /// Rounds of the first part
    #[arg(long, default_value_t = 5)]
    pub(super) rounds: u32,
    /// Products in the catalogue
    #[arg(long, default_value_t = 2_000)]
    pub(super) products: u32,
    /// Every how many writes one is a probe
    #[arg(long, default_value_t = 10)]
    pub(super) every: u32,
    /// Fail when an entry was not invalidated, p99 from the response is above 20 ms, fewer rows were written than asked for,
    /// or the lag grows
    #[arg(long)]
    pub(super) assert: bool,
    /// Write all figures to this file as well
    #[arg(long)]
    pub(super) json: Option<PathBuf>,
}
