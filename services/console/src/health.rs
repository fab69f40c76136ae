//! Whether each process of the stack answers, and what its `/readyz` says.

use std::time::Duration;

use serde_json::Value;

use crate::hub::Hub;
use crate::record::{Record, ServiceRecord, now_ms};
use crate::upstream::{Upstream, Upstreams};

/// The interval between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A process that takes longer does not answer.
const LIMIT: Duration = Duration::from_secs(2);

/// Watches a process, as long as a page is open.
pub(crate) async fn watch_service(hub: Hub, upstreams: Upstreams, upstream: Upstream) {
    hub.while_watched(|| watch(&hub, &upstreams, &upstream)).await;
}

async fn watch(hub: &Hub, upstreams: &Upstreams, upstream: &Upstream) {
    let mut latest: Option<ServiceRecord> = None;
    loop {
        let seen = look(upstreams, upstream).await;
        let known = latest.as_ref().map(|latest| ServiceRecord { at_ms: seen.at_ms, ..latest.clone() });
        if known.as_ref() != Some(&seen) {
            hub.emit(&Record::Service(seen.clone()));
            latest = Some(seen);
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(upstreams: &Upstreams, upstream: &Upstream) -> ServiceRecord {
    let (at_ms, name) = (now_ms(), upstream.name);
    let down = |detail: &str| {
        let detail = Some(format!("{detail} at {}", upstream.url));
        ServiceRecord { at_ms, name, up: false, detail, readiness: None, failing: Vec::new() }
    };
    let report: Value = match upstreams.get(upstream, "/readyz").timeout(LIMIT).send().await {
        Ok(answer) => match answer.json().await {
            Ok(report) => report,
            Err(_) => return down("its answer cannot be read"),
        },
        Err(error) if error.is_timeout() => return down("no answer within 2 s"),
        Err(_) => return down("no connection"),
    };
    let checks = report["checks"].as_object().into_iter().flatten();
    let failing = checks.filter(|(_, check)| check["status"] != "ok");
    let failing = failing.map(|(name, check)| match check["reason"].as_str().or_else(|| check["error"].as_str()) {
        Some(reason) => format!("{name}: {reason}"),
        None => name.clone(),
    });
    let readiness = report["status"].as_str().map(str::to_owned);
    ServiceRecord { at_ms, name, up: true, detail: None, readiness, failing: failing.collect() }
}
