//! A Redis that responds, but not as the cache needs it: `/readyz` names the state, no request fails, nothing stale is
//! served, and the service recovers without intervention.

use std::time::Duration;

use serde_json::json;
use testkit::{Redis, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Api, FRESH, SOON, STRATEGIES, Stores};

const USER: &str = "product-api";

/// Returns what `/readyz` reports about Redis.
async fn detail(api: &Api) -> String {
    let answer = api.readiness().await;
    assert!(["ready", "degraded"].contains(&answer["status"].as_str().unwrap_or_default()), "{answer}");
    let detail = answer["checks"]["redis"]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.is_empty() || answer["status"] == "degraded", "{answer}");
    detail
}

async fn until_named(api: &Api, name: &str) {
    eventually(&format!("/readyz to name {name}"), 3 * SOON, async || detail(api).await.contains(name)).await;
}

async fn until_ready(api: &Api) {
    eventually("Redis to pass its check", 3 * SOON, async || {
        api.readiness().await["checks"]["redis"]["status"] == "ok"
    })
    .await;
}

/// Two replicas of the product API on one Redis, and the latest version of each product under test.
struct Shop {
    stores: Stores,
    apis: [Api; 2],
    versions: Vec<(&'static str, i64)>,
    /// Whether the latest writes may have deferred invalidations. They are not acknowledged for the other process yet.
    is_deferred: bool,
    stock: i64,
}

impl Shop {
    async fn on(redis: Redis) -> Self {
        let stores = Stores::with_redis(redis).await;
        let (one, other) = tokio::join!(stores.api(), stores.api());
        let mut shop = Self { stores, apis: [one, other], versions: Vec::new(), is_deferred: false, stock: 0 };
        for &strategy in FRESH.iter() {
            for api in &shop.apis {
                api.get(&path(strategy)).await.expect(200);
                let read = api.get(&path(strategy)).await.expect(200);
                assert!(read.is_hit(), "{strategy}: {}", read.source());
            }
        }
        shop.write().await;
        shop
    }

    /// Writes through each strategy. The process of the writer reads the new value at once.
    async fn write(&mut self) {
        self.stock += 1;
        self.versions.clear();
        self.is_deferred = false;
        for &strategy in FRESH.iter() {
            let written = self.apis[0].put(&path(strategy), &json!({ "stock": self.stock })).await.expect(200);
            self.versions.push((strategy, written.version()));
            self.is_deferred |= written.source().contains("deferred");
            let read = self.apis[0].get(&path(strategy)).await.expect(200);
            assert_eq!(read.version(), written.version(), "{strategy}: {}", read.source());
        }
    }

    /// Reads in both processes, and asserts that they return the latest writes.
    async fn read(&self) {
        self.read_in(&self.apis).await;
    }

    /// Asserts the same while Redis recovers. The process that has reconnected first may still serve the entries of
    /// which the writer's process has deferred the invalidation.
    async fn read_meanwhile(&self) {
        self.read_in(if self.is_deferred { &self.apis[..1] } else { &self.apis }).await;
    }

    async fn read_in(&self, promised: &[Api]) {
        for api in promised {
            for (strategy, version) in &self.versions {
                let read = api.get(&path(strategy)).await.expect(200);
                assert_eq!(read.version(), *version, "{strategy}: {}", read.source());
            }
        }
        for api in &self.apis {
            for strategy in STRATEGIES {
                api.get(&format!("/products/{strategy}/50")).await.expect(200);
            }
        }
    }

    /// Asserts that the state has begun: it is named, requests are served, and both processes read the latest write.
    async fn assert_degraded(&mut self, name: &str) {
        self.write().await;
        self.until_named(name).await;
        for _ in 0..2 {
            self.read().await;
            self.write().await;
        }
        self.read().await;
        self.until_named(name).await;
    }

    /// Asserts that the state ends: nothing stale is read meanwhile, and then the cache is in use as before.
    async fn assert_recovery(&mut self) {
        for api in &self.apis {
            eventually("Redis to pass its check", 3 * SOON, async || {
                self.read_meanwhile().await;
                detail(api).await.is_empty()
            })
            .await;
            eventually("the deferred invalidations", 3 * SOON, async || {
                self.read_meanwhile().await;
                api.metrics().await.sum("cache_repairs_pending", &[]) == 0.0
            })
            .await;
        }
        self.until_hits().await;
        self.write().await;
        self.read().await;
    }

    /// Waits until both processes serve the latest writes from the cache.
    async fn until_hits(&self) {
        eventually("hits in both processes", 3 * SOON, async || {
            self.read().await;
            let mut hits = 0;
            for api in &self.apis {
                for (strategy, version) in &self.versions {
                    let read = api.get(&path(strategy)).await.expect(200);
                    assert_eq!(read.version(), *version, "{strategy}: {}", read.source());
                    hits += usize::from(read.is_hit());
                }
            }
            hits == 2 * FRESH.len()
        })
        .await;
    }

    /// Waits until both processes report this state.
    async fn until_named(&self, name: &str) {
        for api in &self.apis {
            until_named(api, name).await;
        }
    }

    async fn redis(&self, arguments: &[&str]) -> String {
        self.stores.redis(arguments).await
    }
}

fn path(strategy: &str) -> String {
    let id = 1 + FRESH.iter().position(|fresh| *fresh == strategy).unwrap_or_default();
    format!("/products/{strategy}/{id}")
}

async fn redis(settings: &[(&str, &str)]) -> Redis {
    Redis::start_with_users(settings).await.expect("a private Redis")
}

#[tokio::test]
async fn a_demoted_redis_is_not_read_until_it_is_the_primary_again() {
    let mut shop = Shop::on(redis(&[]).await).await;
    for _ in 0..2 {
        // No server listens on that port, so this Redis remains a replica and keeps its data.
        shop.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
        shop.assert_degraded("read-only replica").await;
        shop.redis(&["REPLICAOF", "NO", "ONE"]).await;
        shop.assert_recovery().await;
    }
}

#[tokio::test]
async fn a_redis_that_loads_its_dataset_is_not_used_until_it_has_loaded() {
    let mut shop = Shop::on(redis(&[("enable-debug-command", "yes")]).await).await;
    shop.redis(&["DEBUG", "POPULATE", "2000", "other", "100"]).await;
    shop.redis(&["CONFIG", "SET", "key-load-delay", "5000", "loading-process-events-interval-bytes", "1024"]).await;
    let mut reload = shop.stores.redis.client().expect("redis-cli");
    let reload = reload.args(["DEBUG", "RELOAD"]).kill_on_drop(true).spawn().expect("it runs");
    shop.until_named("LOADING").await;
    shop.assert_degraded("LOADING").await;
    shop.redis(&["CONFIG", "SET", "key-load-delay", "0"]).await;
    let done = reload.wait_with_output().await.expect("it ends");
    assert!(done.status.success(), "{done:?}");
    shop.assert_recovery().await;
}

#[tokio::test]
async fn a_redis_that_cannot_save_is_not_used_until_it_saves_again() {
    let mut shop = Shop::on(redis(&[("save", "3600 1000000")]).await).await;
    let obstacle = shop.stores.redis.directory().join("dump.rdb");
    std::fs::create_dir(&obstacle).expect("nothing was saved before");
    let saved = async |shop: &Shop, status: &str| {
        let line = format!("rdb_last_bgsave_status:{status}");
        eventually("the save to end", SOON, async || {
            let info = shop.redis(&["INFO", "persistence"]).await;
            info.contains("rdb_bgsave_in_progress:0") && info.contains(&line)
        })
        .await;
    };
    shop.redis(&["BGSAVE"]).await;
    saved(&shop, "err").await;
    shop.assert_degraded("MISCONF").await;
    std::fs::remove_dir(&obstacle).expect("it is empty");
    shop.redis(&["BGSAVE"]).await;
    saved(&shop, "ok").await;
    shop.assert_recovery().await;
}

#[tokio::test]
async fn redis_at_maxclients_is_reported_and_used_again_afterwards() {
    let mut shop = Shop::on(redis(&[]).await).await;
    let mut only_client = TcpStream::connect(("127.0.0.1", shop.stores.redis.port())).await.expect("it listens");
    let mut say = async |commands: &[&str]| {
        for command in commands {
            only_client.write_all(format!("{command}\r\n").as_bytes()).await.expect("it is connected");
            let mut reply = [0; 256];
            let length = only_client.read(&mut reply).await.expect("it answers");
            assert!(matches!(reply[..length].first(), Some(b'+' | b':')), "{command}");
        }
    };
    say(&["CONFIG SET maxclients 1", "CLIENT KILL TYPE pubsub", "CLIENT KILL TYPE normal"]).await;
    shop.assert_degraded("maxclients").await;
    say(&["CONFIG SET maxclients 1000"]).await;
    shop.assert_recovery().await;
}

#[tokio::test]
async fn changed_redis_password_is_reported_and_its_return_recovers() {
    let mut shop = Shop::on(redis(&[]).await).await;
    let before = shop.redis(&["ACL", "LIST"]).await;
    let rule = before.lines().find(|line| line.contains(&format!("user {USER} "))).expect("the user").to_owned();
    let hash = rule.split_whitespace().find(|word| word.starts_with('#')).expect("its password").to_owned();
    shop.redis(&["ACL", "SETUSER", USER, "resetpass", ">another"]).await;
    shop.redis(&["CLIENT", "KILL", "USER", USER]).await;
    shop.assert_degraded("WRONGPASS").await;
    shop.redis(&["ACL", "SETUSER", USER, "resetpass", &hash]).await;
    shop.assert_recovery().await;
}

#[tokio::test]
async fn unsafe_eviction_policy_is_detected_on_an_open_connection() {
    let mut shop = Shop::on(redis(&[]).await).await;
    shop.redis(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    shop.assert_degraded("maxmemory-policy is allkeys-lru").await;
    shop.redis(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await;
    shop.assert_recovery().await;
}

#[tokio::test]
async fn full_redis_is_reported_and_still_takes_invalidations() {
    let mut shop = Shop::on(redis(&[("maxmemory-policy", "noeviction")]).await).await;
    shop.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    shop.assert_degraded("OOM").await;
    shop.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    shop.assert_recovery().await;
}

/// Managed services behave like this. The missing protection is named, and its substitute works: a Redis that returns
/// with older data serves none of it.
#[tokio::test]
async fn redis_without_run_id_stays_degraded_and_serves_no_older_data() {
    let redis = redis(&[]).await;
    redis.cli(&["ACL", "SETUSER", USER, "-info"]).await.expect("the test's own command");
    redis.cli(&["ACL", "SAVE"]).await.expect("the test's own command");
    let mut shop = Shop::on(redis).await;
    shop.until_named("run_id").await;
    shop.stores.until_published().await;
    shop.until_hits().await;
    shop.redis(&["SAVE"]).await;
    shop.write().await;
    shop.read().await;
    shop.stores.redis.kill().await.expect("it is killed");
    shop.stores.redis.restart().await.expect("it starts");
    let persistence = shop.redis(&["INFO", "persistence"]).await;
    let loaded = persistence.lines().find_map(|line| line.strip_prefix("rdb_last_load_keys_loaded:"));
    assert!(loaded.is_some_and(|keys| keys.trim() != "0"), "nothing was loaded: {persistence}");
    shop.until_hits().await;
    shop.until_named("run_id").await;
    shop.write().await;
    shop.read().await;
    shop.stores.until_published().await;
    shop.redis(&["ACL", "SETUSER", USER, "+info"]).await;
    shop.assert_recovery().await;
}

/// Managed services behave like this too. Events continue.
#[tokio::test]
async fn redis_without_info_is_used_and_receives_events() {
    let more = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(more.path(), "rename-command INFO \"\"\n").expect("it is written");
    let redis = redis(&[("include", more.path().to_str().expect("a path"))]).await;
    let mut shop = Shop::on(redis).await;
    shop.until_named("run_id").await;
    shop.write().await;
    shop.read().await;
    shop.stores.until_published().await;
    let stock = "UPDATE products SET stock = 4711 WHERE id = 7";
    shop.stores.sql(stock).await;
    shop.stores.until_published().await;
    assert_eq!(shop.stores.stream().await.last().map(|event| event["product_id"].clone()), Some(json!(7)));
}

/// Strategy 4 receives nothing; everything else continues. Either the subscription of the new connection is refused, or
/// already its login.
#[tokio::test]
async fn readiness_reports_a_listener_that_may_not_subscribe() {
    let shop = Shop::on(redis(&[]).await).await;
    let listener = async || shop.apis[0].readiness().await["checks"]["listener"].clone();
    for (refuse, allow) in [("-subscribe", "+subscribe"), ("off", "on")] {
        eventually("the listener", SOON, async || listener().await["status"] == "ok").await;
        shop.redis(&["ACL", "SETUSER", USER, refuse]).await;
        shop.redis(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        eventually("the listener to fail", SOON, async || {
            listener().await["detail"].as_str().is_some_and(|detail| detail.contains("product:updates"))
        })
        .await;
        assert_eq!(shop.apis[0].readiness().await["status"], "degraded");
        shop.redis(&["ACL", "SETUSER", USER, allow]).await;
    }
    eventually("the listener", SOON, async || listener().await["status"] == "ok").await;
}

/// The cause of a state lasts; the log does not repeat it.
#[tokio::test]
async fn redis_state_is_logged_once_at_its_beginning_and_once_at_its_end() {
    let shop = Shop::on(redis(&[]).await).await;
    let api = &shop.apis[0];
    let lines = |text: &str| api.process.output().lines().filter(|line| line.contains(text)).count();
    let (began, over) = (lines("read-only replica"), lines("Redis answers; the cache uses it"));
    shop.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    until_named(api, "read-only replica").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    api.get("/readyz").await.expect(200);
    assert_eq!(lines("the cache does not use Redis"), 1, "{}", api.process.output());
    shop.redis(&["REPLICAOF", "NO", "ONE"]).await;
    until_ready(api).await;
    assert_eq!(lines("Redis answers; the cache uses it"), over + 1);
    // Once when the state began, once when it ended.
    assert_eq!(lines("read-only replica"), began + 2, "{}", api.process.output());
}
