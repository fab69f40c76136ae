//! Operations of a test on a private Redis.

use std::time::Duration;

use anyhow::Result;
use testkit::Redis;
use tokio::time::timeout;

#[tokio::test]
async fn a_private_redis_answers_and_keeps_nothing_on_disk() -> Result<()> {
    let redis = Redis::start().await?;
    assert_eq!(redis.cli(&["SET", "k", "v"]).await?, "OK");
    assert_eq!(redis.cli(&["GET", "k"]).await?, "v");
    assert_eq!(redis.cli(&["GET", "absent"]).await?, "");
    assert_eq!(redis.cli(&["CONFIG", "GET", "maxmemory-policy"]).await?, "maxmemory-policy\nvolatile-lru");
    assert_eq!(redis.cli(&["CONFIG", "GET", "save"]).await?, "save");
    assert_eq!(redis.url(), format!("redis://127.0.0.1:{}", redis.port()));
    assert!(redis.cli(&["GET"]).await.is_err(), "an error of the server is an error here");
    Ok(())
}

#[tokio::test]
async fn private_redis_accepts_different_settings() -> Result<()> {
    let redis = Redis::start_with(&[("maxmemory-policy", "allkeys-lru"), ("maxmemory", "64mb")]).await?;
    assert_eq!(redis.cli(&["CONFIG", "GET", "maxmemory-policy"]).await?, "maxmemory-policy\nallkeys-lru");
    assert_eq!(redis.cli(&["CONFIG", "GET", "maxmemory"]).await?, "maxmemory\n67108864");
    let error = Redis::start_with(&[("no-such-setting", "1")]).await.expect_err("Redis refuses it");
    assert!(format!("{error:#}").contains("no-such-setting"), "{error:#}");
    Ok(())
}

#[tokio::test]
async fn a_killed_redis_comes_back_empty_on_its_port() -> Result<()> {
    let redis = Redis::start().await?;
    let (port, pid) = (redis.port(), redis.pid());
    redis.cli(&["SET", "k", "v"]).await?;
    redis.kill().await?;
    redis.kill().await?;
    assert!(redis.cli(&["PING"]).await.is_err());
    redis.restart().await?;
    assert_eq!(redis.cli(&["DBSIZE"]).await?, "0");
    assert_eq!(redis.port(), port);
    assert_ne!(redis.pid(), pid);
    redis.cli(&["SET", "k", "v"]).await?;
    redis.restart().await?;
    assert_eq!(redis.cli(&["DBSIZE"]).await?, "0");
    redis.stop().await?;
    assert!(redis.cli(&["PING"]).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_paused_redis_hangs_until_it_is_resumed() -> Result<()> {
    let redis = Redis::start().await?;
    redis.pause();
    assert!(timeout(Duration::from_millis(200), redis.cli(&["PING"])).await.is_err());
    redis.resume();
    assert_eq!(redis.cli(&["PING"]).await?, "PONG");
    Ok(())
}
