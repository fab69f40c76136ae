//! Settings that contradict the stores or this machine are refused at the start, with a sentence that names them.

use testkit::Redis;
use testkit::suite::assert_refused;

use crate::support::Stores;

/// Starts the service with settings with which it does not start, and returns why.
async fn refused(stores: &Stores, settings: &[(&str, &str)]) -> String {
    let settings = [&[("REDIS__COMMAND_TIMEOUT", "200ms")], settings].concat();
    assert_refused(&stores.command(&settings), "product-api").await
}

#[tokio::test]
async fn a_database_or_a_role_that_does_not_exist_is_refused_with_the_setting() {
    let stores = Stores::start().await;
    let (server, _) = stores.database.url().rsplit_once('/').expect("a database in the URL");
    let said = refused(&stores, &[("POSTGRES__URL", &format!("{server}/nosuchdatabase"))]).await;
    assert!(said.contains("POSTGRES__URL") && said.contains("does not exist"), "{said}");
    let said = refused(&stores, &[("POSTGRES__URL", &server.replace("postgres@", "nobody@"))]).await;
    assert!(said.contains("POSTGRES__URL") && said.contains("does not exist"), "{said}");
}

#[tokio::test]
async fn a_redis_that_may_evict_the_fences_is_refused() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let redis = Redis::start_with_users(&[("maxmemory-policy", policy)]).await.expect("a private Redis");
        let stores = Stores::with_redis(redis).await;
        let said = refused(&stores, &[]).await;
        assert!(said.contains("REDIS__URL") && said.contains("maxmemory-policy") && said.contains(policy), "{said}");
        assert!(said.contains("volatile-lru"), "it says what to do: {said}");
    }
    for policy in ["noeviction", "volatile-ttl"] {
        let redis = Redis::start_with_users(&[("maxmemory-policy", policy)]).await.expect("a private Redis");
        let stores = Stores::with_redis(redis).await;
        stores.api().await.get("/products/ttl/1").await.expect(200);
    }
}

#[tokio::test]
async fn a_redis_that_refuses_the_login_is_refused() {
    let redis = Redis::start_with_users(&[]).await.expect("a private Redis");
    // Not at the start, because testkit itself logs in without a password.
    redis.cli(&["ACL", "SETUSER", "shop", "on", ">right", "~product:*", "&product:*", "+@all"]).await.expect("a user");
    let stores = Stores::with_redis(redis).await;
    let url = |login: &str| stores.redis.url().replace("redis://", &format!("redis://{login}@"));
    for login in ["shop:hunter2", "nobody:hunter2"] {
        let said = refused(&stores, &[("REDIS__URL", &url(login))]).await;
        assert!(said.contains("REDIS__URL") && said.contains("login") && !said.contains("hunter2"), "{said}");
    }
    let api = stores.api_with(&[("REDIS__URL", &url("shop:right"))]).await;
    api.get("/products/tags/1").await.expect(200);
    assert_eq!(api.get("/products/tags/1").await.expect(200).source(), "hit");
}

#[tokio::test]
async fn a_port_that_is_taken_and_more_workers_than_there_can_be_are_refused() {
    let stores = Stores::start().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let said = refused(&stores, &[("HTTP__PORT", &port)]).await;
    assert!(said.contains("HTTP__PORT") && said.contains(&port), "{said}");
    let said = refused(&stores, &[("HTTP__WORKERS", "1000")]).await;
    assert!(said.contains("HTTP__WORKERS") && said.contains("1000"), "{said}");
}

#[tokio::test]
async fn settings_file_applies_where_the_environment_sets_nothing() {
    let stores = Stores::start().await;
    let file = std::env::temp_dir().join(format!("product-api-{}.toml", std::process::id()));
    let write = |text: &str| std::fs::write(&file, text).expect("a temporary file");
    let path = file.to_string_lossy().into_owned();
    write("[lanes.ttl]\nhard_ttl = '33s'\njitter = 0.0\n[lanes.swr]\nsoft_ttl = '7s'\n");
    let api = stores.api_with(&[("CONFIG_FILE", &path), ("LANES__SWR__SOFT_TTL", "8s")]).await;
    api.get("/products/ttl/1").await.expect(200);
    api.get("/products/swr/1").await.expect(200);
    assert_eq!(api.get("/cache/stats/product:ttl:1").await.json()["hard_ttl_ms"], 33_000);
    assert_eq!(api.get("/cache/stats/product:swr:1").await.json()["soft_ttl_ms"], 8_000);
    write("[lanes.ttl]\nhard_tll = '33s'\n");
    let said = refused(&stores, &[("CONFIG_FILE", &path)]).await;
    assert!(said.contains("LANES__TTL__HARD_TLL"), "{said}");
    std::fs::remove_file(&file).expect("it is ours");
    assert!(refused(&stores, &[("CONFIG_FILE", &path)]).await.contains("CONFIG_FILE"));
}
