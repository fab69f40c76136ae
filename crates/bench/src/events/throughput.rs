//! The second part: how many changes per second the relay and the consumers process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use reqwest::Client;
use testkit::private_system::PrivateSystem;
use tokio::task::JoinSet;
use tokio::time::interval;

use super::Options;
use super::report::Figures;

/// Maximum time until every change is applied.
pub(super) const DRAINED: Duration = Duration::from_secs(120);

/// Writes rows at a steady rate, and records the lag each second.
pub(super) async fn measure(
    system: &Arc<PrivateSystem>, http: &Client, options: &Options, figures: &mut Figures,
) -> Result<()> {
    system.until_applied(http, DRAINED).await?;
    // Each session keeps its own schedule: after a pause it catches up, so that the rate is reached if possible.
    let session = |number: u32| {
        let rows = (options.rows * options.seconds + number) / figures.sessions;
        format!(
            "DO $$ DECLARE began timestamptz := clock_timestamp(); due float8; BEGIN
               FOR n IN 1..{rows} LOOP
                 UPDATE products SET stock = (stock + 1) % 1000
                 WHERE id = 1 + ((n::bigint * {sessions} + {number}) * 7919) % {products};
                 COMMIT;
                 due := n * {seconds}::float8 / {rows} - extract(epoch FROM clock_timestamp() - began);
                 IF due > 0 THEN PERFORM pg_sleep(due); END IF;
               END LOOP; END $$",
            sessions = figures.sessions,
            products = options.products,
            seconds = options.seconds,
        )
    };
    let head = |system: Arc<PrivateSystem>| async move {
        let rows = system.postgres.sql("shop_db", "SELECT max(id) FROM outbox").await?;
        anyhow::Ok(rows.trim().parse::<u64>().unwrap_or(0))
    };
    let before = head(Arc::clone(system)).await?;
    let began = Instant::now();
    let mut writing = JoinSet::new();
    for sql in (0..figures.sessions).map(session) {
        let system = Arc::clone(system);
        writing.spawn(async move {
            system.postgres.sql("shop_db", &sql).await?;
            anyhow::Ok(began.elapsed())
        });
    }
    let mut seconds = interval(Duration::from_secs(1));
    seconds.tick().await;
    while !writing.is_empty() {
        tokio::select! {
            Some(written) = writing.join_next() => {
                figures.written_s = figures.written_s.max(written??.as_secs_f64());
            }
            _ = seconds.tick() => figures.lag.push(system.lag(http).await?),
        }
    }
    figures.rows_written = head(Arc::clone(system)).await? - before;
    let ended = Instant::now();
    system.until_applied(http, DRAINED).await?;
    figures.drained_s = ended.elapsed().as_secs_f64();
    Ok(())
}
