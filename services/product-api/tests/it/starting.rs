//! Settings that contradict each other or the stores are refused at the start, with a sentence that names them.

use testkit::{ChildProcess, Redis};

use crate::support::{SOON, Stores};

/// Starts the service with invalid settings and returns its output.
async fn refused(stores: &Stores, settings: &[(&str, &str)]) -> String {
    let mut command = stores.command(&[("REDIS__COMMAND_TIMEOUT", "200ms")]);
    let process = ChildProcess::start(command.envs(settings.iter().copied())).expect("the binary has been built");
    let exit = tokio::time::timeout(SOON, process.exit()).await;
    let said = process.output();
    let exit = exit.unwrap_or_else(|_| panic!("it runs with {settings:?}: {said}")).expect("it ends by itself");
    assert_eq!(exit.code, 1, "{settings:?}: {said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("product-api: ") && !said.contains("panicked"), "{settings:?}: {said}");
    last.to_owned()
}

#[tokio::test]
async fn a_setting_that_contradicts_or_does_not_exist_is_refused_by_its_name() {
    let stores = Stores::start().await;
    for (name, value, also) in [
        ("LANES__SWR__SOFT_TTL", "2m", "hard TTL"),
        ("LANES__PRODUCTION__SOFT_TTL", "11m", "hard TTL"),
        ("LANES__TTL__HARD_TTL", "0s", ""),
        ("LANES__TTL__HARD_TTL", "soon", ""),
        ("LANES__TTL__NEGATIVE_TTL", "11s", "hard TTL"),
        ("LANES__TAGS__JITTER", "1.5", ""),
        ("LANES__TAGS__LEASE", "5m", ""),
        ("LANES__TLL__HARD_TTL", "5s", "did you mean LANES__TTL"),
        ("LANES__TTL__HARD_TLL", "5s", ""),
        ("REDIS__TIMEUOT", "5ms", ""),
        ("REDIS__MAX_LOADS", "0", ""),
        ("REDIS__MAX_LOADS", "many", ""),
        ("POSTGRES__MAX_CONNECTIONS", "0", ""),
        ("HTTP__PORT", "65536", ""),
        ("HTTP__PORT", "http", ""),
        ("SEED_PRODUCTS", "-1", ""),
        ("LOG__FORMAT", "xml", ""),
        ("LOG__FILTER", "=!=", ""),
        ("REDSI__URL", "redis://127.0.0.1", "REDIS__URL"),
    ] {
        let said = refused(&stores, &[(name, value)]).await;
        let section = name.rsplit_once("__").map_or(name, |(section, _)| section);
        let named = said.contains(name) || said.contains(&format!("{section} is not a setting"));
        assert!(named && said.contains(also), "{name}={value}: {said}");
    }
    assert_eq!(
        stores.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await,
        "0",
        "it touched nothing"
    );
}

#[tokio::test]
async fn unusable_urls_are_refused_with_their_setting_and_without_the_password() {
    let stores = Stores::start().await;
    for (name, value) in [
        ("REDIS__URL", "nonsense"),
        ("REDIS__URL", "http://user:hunter2@127.0.0.1"),
        ("REDIS__URL", "redis://user:hunter2@127.0.0.1:notaport"),
        ("POSTGRES__URL", "nonsense"),
        ("POSTGRES__URL", "mysql://user:hunter2@127.0.0.1/shop"),
        ("POSTGRES__URL", "postgres://user:hunter2@127.0.0.1:notaport/shop"),
    ] {
        let said = refused(&stores, &[(name, value)]).await;
        assert!(said.contains(name), "{name}={value}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let (server, _) = stores.database_url().rsplit_once('/').expect("a database in the URL");
    let said = refused(&stores, &[("POSTGRES__URL", &format!("{server}/nosuchdatabase"))]).await;
    assert!(said.contains("POSTGRES__URL") && said.contains("does not exist"), "{said}");
    let said = refused(&stores, &[("POSTGRES__URL", &server.replace("postgres@", "nobody@"))]).await;
    assert!(said.contains("POSTGRES__URL") && said.contains("does not exist"), "{said}");
}

#[tokio::test]
async fn a_redis_that_may_evict_the_fences_is_refused() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let redis = Redis::start_with(&[("maxmemory-policy", policy)]).await.expect("a private Redis");
        let stores = Stores::with_redis(redis).await;
        let said = refused(&stores, &[]).await;
        assert!(said.contains("REDIS__URL") && said.contains("maxmemory-policy") && said.contains(policy), "{said}");
        assert!(said.contains("volatile-lru"), "it says what to do: {said}");
    }
    for policy in ["noeviction", "volatile-ttl"] {
        let redis = Redis::start_with(&[("maxmemory-policy", policy)]).await.expect("a private Redis");
        let stores = Stores::with_redis(redis).await;
        stores.api().await.get("/products/ttl/1").await.expect(200);
    }
}

#[tokio::test]
async fn a_redis_that_refuses_the_login_is_refused() {
    let redis = Redis::start().await.expect("a private Redis");
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

#[tokio::test]
async fn healthcheck_and_openapi_are_subcommands() {
    let stores = Stores::start().await;
    let api = stores.api().await;
    let port = api.address().rsplit_once(':').map(|(_, port)| port.to_owned()).expect("a port");
    let run = async |command: &str, settings: &[(&str, &str)]| {
        let mut process = stores.command(settings);
        process.arg(command);
        let process = ChildProcess::start(&process).expect("the binary has been built");
        (process.exit().await.expect("it ends").code, process.output())
    };
    assert_eq!(run("healthcheck", &[("HTTP__PORT", &port)]).await.0, 0);
    let (code, said) = run("healthcheck", &[("HTTP__PORT", "1")]).await;
    assert!(code == 1 && said.contains("127.0.0.1:1"), "{said}");
    let (code, said) = run("openapi", &[]).await;
    assert_eq!(code, 0);
    let printed: serde_json::Value = serde_json::from_str(&said).expect("JSON and nothing else");
    assert_eq!(printed, api.get("/openapi.json").await.json());
    let (code, said) = run("dance", &[]).await;
    assert!(code == 1 && said.contains("healthcheck"), "{said}");
}
