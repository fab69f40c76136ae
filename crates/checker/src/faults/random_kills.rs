//! Kills components at random, one at a time, which hits points that no planned fault aims at.

use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::private_system::Service;
use tokio::time::sleep;

use super::target::{Component, Target};

/// The components that are killed. The stores are first, because the services need them to start.
pub(super) const VICTIMS: [Component; 6] = [
    Component::Redis,
    Component::Postgres,
    Component::Service(Service::ProductApi),
    Component::Service(Service::Cart),
    Component::Service(Service::Search),
    Component::Service(Service::Recommendation),
];

/// Kills and restarts components until `is_enough`, and until each was killed. Returns the number of kills of each.
pub(super) async fn make(target: &Target, seed: u64, is_enough: impl Fn() -> bool) -> Result<Vec<(&'static str, u32)>> {
    let mut random = if seed == 0 { StdRng::from_os_rng() } else { StdRng::seed_from_u64(seed) };
    let mut kills = VICTIMS.map(|victim| (victim.name(), 0));
    // Every component is killed once in turn first, so that a short run includes all of them.
    let mut turns = 0..VICTIMS.len();
    loop {
        sleep(Duration::from_millis(random.random_range(200..1_500))).await;
        if turns.is_empty() && is_enough() {
            return Ok(kills.to_vec());
        }
        // However slow the machine is, the system does some work between the kills.
        if kills.iter().map(|(_, times)| times).sum::<u32>().is_multiple_of(VICTIMS.len() as u32) {
            for service in Service::ALL {
                target.start(Component::Service(service)).await?;
            }
        }
        // A service may have exited by itself while a store was down: restart it, as its supervisor would.
        for service in Service::ALL {
            target.start_without_waiting(Component::Service(service)).await?;
        }
        let index = turns.next().unwrap_or_else(|| random.random_range(0..VICTIMS.len()));
        kills[index].1 += 1;
        target.kill(VICTIMS[index]).await?;
        sleep(Duration::from_millis(random.random_range(0..800))).await;
        target.start_without_waiting(VICTIMS[index]).await?;
    }
}
