//! The staleness that is allowed during faults.

use std::time::Duration;

use anyhow::Result;
use contract::STRATEGIES;
use testkit::private_system::Service;

use super::list::{FAULT_DURATION, MAX_RANDOM_KILLS};
use super::stack::running;
use super::target::Target;
use crate::verify::map::{Map, Promise};

/// The longest time until a service is ready again, and until the system is idle.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns whether the entries of this subject are invalidated only by their TTL, and may be outdated until then.
pub(super) fn is_by_time(subject: &str) -> bool {
    STRATEGIES.iter().any(|strategy| strategy.name == subject && strategy.is_by_time())
}

/// Returns whether this entry is invalidated only by its TTL.
pub(super) fn is_key_by_time(key: &str) -> bool {
    let cache = key.strip_prefix("product:").and_then(|name| name.split(':').next());
    cache.is_some_and(|cache| cache == "featured" || is_by_time(cache))
}

/// Returns the map for this target.
///
/// A cache that promises never to be stale keeps this promise during a fault too. `ttl` and `swr` keep their TTL in any
/// case; a load that a fault delays is stored when the fault is over, after [`FAULT_DURATION`]. Random kills may delay a load
/// several times. Caches that rely on events are stale until the events arrive, which is when the fault is over and all
/// services have recovered. Random kills may keep the events from arriving until the last kill.
pub(super) fn map(target: &Target, kills_at_random: bool) -> Result<Map> {
    let mut replaced = Vec::new();
    for service in Service::ALL {
        let urls: Vec<_> = running().filter(|it| it.service == service).map(|it| target.url_of(it)).collect();
        replaced.push(format!("{}={}", service.name(), urls.join(",")));
    }
    let mut map = Map::load(None, &replaced)?;
    for subject in &mut map.subjects {
        if let Promise::AtMost(most) = subject.stale {
            let delay = match (is_by_time(&subject.name), kills_at_random) {
                (true, false) => FAULT_DURATION,
                (true, true) | (false, false) => FAULT_DURATION + TIMEOUT,
                (false, true) => MAX_RANDOM_KILLS + TIMEOUT,
            };
            subject.stale = Promise::AtMost(most + delay);
        }
    }
    Ok(map)
}
