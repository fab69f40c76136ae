//! States in which the private Redis responds, but not as the service needs it.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Subject;
use super::routes::is_ready;
use crate::Redis;
use crate::eventually::{SOON, eventually};
use crate::http::Service;

/// In each state, `/readyz` stays at 200 and names the state, and every request is answered as before. Afterwards the
/// service is ready again and uses the cache, without a restart.
pub async fn redis_states_are_named_by_readyz_and_cause_no_5xx<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let values = subject.fill(&service).await;
    let mut case = Case { subject, service, values, statuses: Vec::new() };
    case.write().await;
    case.assert_ready().await;
    case.statuses = case.read().await;
    assert!(case.statuses.contains(&200), "no path can be read: {:?}", case.statuses);
    case.demoted().await;
    case.cannot_save().await;
    case.other_password().await;
    case.evicts_any_key().await;
    case.at_maxclients().await;
}

/// A service in use.
struct Case<S> {
    subject: S,
    service: Service,
    values: Vec<(&'static str, String)>,
    /// The status of each read while Redis is as it should be.
    statuses: Vec<u16>,
}

impl<S: Subject> Case<S> {
    /// No server listens on that port, so this Redis remains a replica and keeps its data.
    async fn demoted(&self) {
        self.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
        self.assert_degraded("read-only replica").await;
        self.redis(&["REPLICAOF", "NO", "ONE"]).await;
        self.assert_ready().await;
    }

    async fn cannot_save(&self) {
        let saved = async |status: &str| {
            self.redis(&["BGSAVE"]).await;
            let line = format!("rdb_last_bgsave_status:{status}");
            eventually("the save to end", SOON, async || {
                let info = self.redis(&["INFO", "persistence"]).await;
                info.contains("rdb_bgsave_in_progress:0") && info.contains(&line)
            })
            .await;
        };
        let obstacle = self.server().directory().join("dump.rdb");
        std::fs::create_dir(&obstacle).expect("nothing was saved before");
        self.redis(&["CONFIG", "SET", "save", "3600 1000000"]).await;
        saved("err").await;
        self.assert_degraded("MISCONF").await;
        std::fs::remove_dir(&obstacle).expect("it is empty");
        saved("ok").await;
        self.assert_ready().await;
    }

    async fn other_password(&self) {
        self.redis(&["ACL", "SETUSER", S::NAME, "resetpass", ">another"]).await;
        self.redis(&["CLIENT", "KILL", "USER", S::NAME]).await;
        self.assert_degraded("WRONGPASS").await;
        self.server().restore_users().await.expect("the test's own command");
        self.assert_ready().await;
    }

    async fn evicts_any_key(&self) {
        self.redis(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
        self.assert_degraded("maxmemory-policy is allkeys-lru").await;
        self.redis(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]).await;
        self.assert_ready().await;
    }

    /// The services that this one depends on use the same Redis, and lose it too.
    async fn at_maxclients(&self) {
        let mut only_client = TcpStream::connect(("127.0.0.1", self.server().plain_port())).await.expect("it listens");
        let mut say = async |command: &str| {
            only_client.write_all(format!("{command}\r\n").as_bytes()).await.expect("it is connected");
            let mut reply = [0; 256];
            let length = only_client.read(&mut reply).await.expect("it answers");
            assert!(matches!(reply[..length].first(), Some(b'+' | b':')), "{command}");
        };
        say("CONFIG SET maxclients 1").await;
        say("CLIENT KILL TYPE pubsub").await;
        say("CLIENT KILL TYPE normal").await;
        self.assert_degraded("maxclients").await;
        say("CONFIG SET maxclients 1000").await;
        self.assert_ready().await;
    }

    /// Asserts that the state is named and lasts, and that every request is answered meanwhile.
    async fn assert_degraded(&self, name: &str) {
        let named = async || {
            let check = self.report().await["checks"]["redis"].clone();
            check["status"] != "ok" && check["detail"].as_str().is_some_and(|detail| detail.contains(name))
        };
        eventually(&format!("/readyz to name {name}"), 3 * SOON, async || {
            self.assert_answers(name).await;
            named().await
        })
        .await;
        for _ in 0..3 {
            self.assert_answers(name).await;
            assert_eq!(self.report().await["status"], "degraded", "{name}");
        }
        // A busy machine can add another failure for a moment.
        eventually(&format!("/readyz to name {name} still"), 3 * SOON, named).await;
    }

    /// Asserts that the service recovers without intervention, and answers meanwhile; then it uses the cache.
    async fn assert_ready(&self) {
        eventually("every check to succeed", 3 * SOON, async || {
            self.assert_answers("after the state").await;
            is_ready::<S>(&self.report().await)
        })
        .await;
        eventually("the cache to be in use", 3 * SOON, async || {
            self.subject.fill(&self.service).await;
            for path in self.paths() {
                if self.service.get(&path).await.is_hit() {
                    return true;
                }
            }
            false
        })
        .await;
    }

    async fn assert_answers(&self, when: &str) {
        let statuses = self.read().await;
        let is_compared = !self.statuses.is_empty();
        assert!(!is_compared || statuses == self.statuses, "{when}: {statuses:?} instead of {:?}", self.statuses);
        self.write().await;
    }

    /// Returns the status of every path, which must be below 500.
    async fn read(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        for path in self.paths() {
            let answer = self.service.get(&path).await;
            assert!(answer.status < 500, "{path}: {answer:?}");
            statuses.push(answer.status);
        }
        statuses
    }

    /// Sends every request with a body that the service accepts.
    async fn write(&self) {
        for (method, path, body) in S::bodies(&self.values) {
            let request = self.service.request(method, &path).header("content-type", "application/json");
            let answer = Service::send(request.body(body)).await;
            assert!(answer.status < 300, "{path}: {answer:?}");
        }
    }

    /// Returns the response of `/readyz`, which must be 200.
    async fn report(&self) -> Value {
        self.service.readiness().await
    }

    fn paths(&self) -> Vec<String> {
        S::hostile_paths(&self.values)
    }

    fn server(&self) -> &Redis {
        self.subject.redis().expect("a service with a Redis of its own")
    }

    async fn redis(&self, arguments: &[&str]) -> String {
        self.server().cli(arguments).await.expect("the test's own command")
    }
}
