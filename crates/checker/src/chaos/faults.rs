//! Kills processes at random, one at a time, as long as the writers write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use testkit::private_system::Service;
use tokio::time::sleep;

use super::Stage;

/// The processes that can be killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Service(Service),
    Redis,
    Postgres,
}

const VICTIMS: [(Victim, &str); 6] = [
    (Victim::Service(Service::ProductApi), "product-api"),
    (Victim::Service(Service::Cart), "cart"),
    (Victim::Service(Service::Search), "search"),
    (Victim::Service(Service::Recommendation), "recommendation"),
    (Victim::Redis, "redis"),
    (Victim::Postgres, "postgres"),
];

/// Kills and restarts processes until `stop` is cancelled, and then starts all of them. Returns the number of kills by
/// victim.
pub(super) async fn run(stage: Arc<Stage>, seed: u64) -> Result<Vec<(&'static str, u32)>> {
    let mut random = if seed == 0 { StdRng::from_os_rng() } else { StdRng::seed_from_u64(seed) };
    let mut kills = VICTIMS.map(|(_, name)| (name, 0));
    // Every victim is killed once in turn first, so that a short run includes all of them.
    let mut next = 0;
    loop {
        let calm = Duration::from_millis(random.random_range(200..1_500));
        tokio::select! {
            () = sleep(calm) => {}
            () = stage.stop.cancelled() => break,
        }
        // A service may have exited by itself while a store was down: restart it, as its supervisor would.
        for service in Service::ALL {
            stage.system.start_without_waiting(service).await?;
        }
        let index = if next < VICTIMS.len() { next } else { random.random_range(0..VICTIMS.len()) };
        next += 1;
        kills[index].1 += 1;
        strike(&stage, VICTIMS[index].0, Duration::from_millis(random.random_range(0..800))).await?;
    }
    for service in Service::ALL {
        stage.system.start_and_wait(service).await?;
    }
    Ok(kills.to_vec())
}

async fn strike(stage: &Stage, victim: Victim, down: Duration) -> Result<()> {
    let system = &stage.system;
    match victim {
        Victim::Service(service) => {
            system.kill(service).await?;
            sleep(down).await;
            system.start_without_waiting(service).await
        }
        Victim::Redis => {
            system.redis.kill().await?;
            sleep(down).await;
            system.redis.restart().await
        }
        Victim::Postgres => {
            system.postgres.kill().await?;
            sleep(down).await;
            system.postgres.restart().await
        }
    }
}
