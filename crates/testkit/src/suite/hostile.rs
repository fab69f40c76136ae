//! Clients that send invalid requests, and what they leave behind.

use super::{Subject, key_of};
use crate::eventually::{SOON, eventually};
use crate::http::{HOSTILE_SETTINGS, Service, assert_survives_hostile_clients};

/// Clients that send arbitrary bytes are refused, and the service stays up. The same requests a second time leave no
/// more keys in Redis, and no more memory in use, than the first time.
pub async fn hostile_clients_cause_no_5xx_and_leave_no_connection_behind<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&HOSTILE_SETTINGS).await;
    let values = subject.fill(&service).await;
    let stats = format!("/cache/stats/{}", key_of(&values));
    let own = S::hostile_paths(&values);
    let standard = ["/cache/entries", &stats, "/metrics", "/readyz", "/docs/", "/openapi.json", "/", "*"];
    let paths: Vec<&str> = own.iter().map(String::as_str).chain(standard).collect();
    assert_survives_hostile_clients(&service, &paths, S::HOSTILE_SEED).await;
    let (first_keys, first_memory) = (keys(&subject).await, resident_memory(&service));
    assert_survives_hostile_clients(&service, &paths, S::HOSTILE_SEED).await;
    // Entries and deferred work may arrive late, and what only the requests needed expires. An invalidation may have
    // removed the entry of a path at the end of the first run only. If each bad request left a key, there would be hundreds.
    let may_have_returned = own.len();
    eventually("no more keys after the second run than after the first", SOON, async || {
        keys(&subject).await <= first_keys + may_have_returned
    })
    .await;
    eventually("the second run to add less than 20 % of resident memory", SOON, async || {
        5 * resident_memory(&service) < 6 * first_memory
    })
    .await;
}

/// Returns the number of keys in the service's Redis.
async fn keys<S: Subject>(subject: &S) -> usize {
    let Some(redis) = subject.redis() else { return 0 };
    redis.cli(&["DBSIZE"]).await.expect("the test's own command").trim().parse().expect("a number")
}

/// Returns the resident memory of the process, in kB.
fn resident_memory(service: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.process.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the memory of a process");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}
