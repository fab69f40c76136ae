//! Operations of a test on a private Postgres.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use testkit::{Postgres, shared_database};
use tokio::time::timeout;

#[tokio::test]
async fn killed_postgres_keeps_acknowledged_commits() -> Result<()> {
    let postgres = Postgres::start().await?;
    postgres.create_database("shop").await?;
    assert_eq!(postgres.sql("shop", "SHOW server_encoding").await?, "UTF8");
    postgres.sql("shop", "CREATE TABLE t (n int); INSERT INTO t VALUES (1)").await?;
    postgres.kill().await?;
    assert!(postgres.sql("shop", "SELECT 1").await.is_err());
    postgres.restart().await?;
    assert_eq!(postgres.sql("shop", "SELECT n, n + 1 FROM t").await?, "1|2");
    postgres.restart().await?;
    assert_eq!(postgres.sql("shop", "SELECT count(*) FROM t").await?, "1");
    postgres.stop().await?;
    assert!(postgres.sql("shop", "SELECT 1").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_paused_postgres_hangs_until_it_is_resumed() -> Result<()> {
    let postgres = Postgres::start().await?;
    postgres.pause();
    assert!(timeout(Duration::from_millis(200), postgres.sql("postgres", "SELECT 1")).await.is_err());
    postgres.resume();
    assert_eq!(postgres.sql("postgres", "SELECT 1").await?, "1");
    Ok(())
}

/// Each `#[tokio::test]` has a runtime of its own: what the first one starts must outlive it.
#[test]
fn tests_share_a_server_but_no_database() -> Result<()> {
    let mut urls = HashSet::new();
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (a, b, c) = tokio::join!(shared_database(), shared_database(), shared_database());
            urls.extend([a, b, c]);
        });
    }
    assert_eq!(urls.len(), 6);
    let servers: HashSet<_> = urls.iter().filter_map(|url| url.rsplit_once('/')).map(|(server, _)| server).collect();
    assert_eq!(servers.len(), 1);
    Ok(())
}
