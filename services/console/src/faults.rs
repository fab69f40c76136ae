//! Faults that a visitor can cause, on the running stack. Each ends by itself, and all end when the console stops.
//!
//! | fault | how | ends by itself because |
//! |---|---|---|
//! | Redis frozen | `CLIENT PAUSE` | Redis measures the pause |
//! | database slow | a transaction locks the table of products for moments | Postgres ends it with its session |
//! | Redis stopped, events late or lost, subscriber paused | a rule in Redis' ACL | the console takes the rule back; also at its next start |
//! | process frozen, crash after COMMIT | the process does it to itself, on request | it measures the time itself; it starts again |

mod kinds;
mod undo;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, ServiceConfig};
use serde::{Deserialize, Serialize};
use service::http_metrics::resource;
use service::problem::{Body, Problem, RETRY_AFTER};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use utoipa::ToSchema;

use crate::board::Board;
use crate::hub::Hub;
use crate::record::{Record, WriteRecord, now_ms};
use crate::stores::{Database, RedisAdmin};
use crate::upstream::Upstreams;

pub(crate) use kinds::{Fault, Symptom};

/// How long after the end of a fault its effects still count, such as the recovery, in ms.
const AFTERWARDS: u64 = 15_000;
/// A copy that has been outdated for at least this long, in ms, is old: an event usually arrives sooner.
const OLD: u64 = 400;
/// A read of the database that takes longer than this, in ms, has waited for the database.
const SLOW: u64 = 150;
/// A write that takes longer than this, in ms, has waited for a process.
const SLOW_WRITE: u64 = 40;
/// The interval between two looks at the copies.
const LOOK: Duration = Duration::from_millis(100);

/// The faults. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Faults(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    is_enabled: bool,
    hub: Hub,
    redis: RedisAdmin,
    database: Database,
    upstreams: Upstreams,
    board: Board,
    stop: CancellationToken,
    states: Mutex<HashMap<Fault, Running>>,
}

#[derive(Clone, Debug, Default)]
struct Running {
    /// When it ends, and the token that ends it.
    ends: Option<(u64, CancellationToken)>,
    /// Until when signs count as its effect. Some follow its end.
    counts_until: u64,
    /// Whether the expected effect was seen; `None` before the fault was caused for the first time.
    seen: Option<bool>,
    error: Option<String>,
}

/// The state of a fault, as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct FaultState {
    /// Its name in paths.
    pub(crate) name: &'static str,
    /// Whether it is in effect.
    pub(crate) active: bool,
    /// When it ends, in ms since 1970.
    pub(crate) ends_at_ms: Option<u64>,
    /// Whether its effect was seen; null before it was caused for the first time.
    pub(crate) seen: Option<bool>,
    /// Why it could not be caused, or undone.
    pub(crate) error: Option<String>,
}

/// A fault, with what a visitor should know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Described {
    #[serde(flatten)]
    state: FaultState,
    title: &'static str,
    explanation: &'static str,
    expect: &'static str,
    seconds: u64,
    available: bool,
    unavailable_because: Option<&'static str>,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lasting {
    /// 1 to 30.
    #[schema(minimum = 1, maximum = 30)]
    seconds: u64,
}

impl Faults {
    pub(crate) fn new(
        is_enabled: bool, board: &Board, redis: RedisAdmin, database: Database, stop: CancellationToken,
    ) -> Self {
        let (hub, upstreams) = (board.hub().clone(), board.upstreams().clone());
        let states = Mutex::default();
        Self(Arc::new(Shared { is_enabled, hub, redis, database, upstreams, board: board.clone(), stop, states }))
    }

    /// Returns whether the page offers faults.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_enabled
    }

    /// Records that an expected effect of a fault was seen.
    pub(crate) fn saw(&self, symptom: Symptom) {
        let mut is_new = false;
        let now = now_ms();
        for (fault, running) in self.states().iter_mut() {
            if running.counts_until > now && fault.symptom() == symptom && running.seen != Some(true) {
                running.seen = Some(true);
                is_new = true;
            }
        }
        if is_new {
            self.publish();
        }
    }

    /// Notes the signs that a write has.
    pub(crate) fn saw_write(&self, write: &WriteRecord) {
        if write.acknowledged_ms - write.at_ms > SLOW_WRITE {
            self.saw(Symptom::SlowWrite);
        }
        if write.status == 0 {
            self.saw(Symptom::Restart);
        }
    }

    /// Publishes the state of all faults.
    pub(crate) fn publish(&self) {
        self.0.hub.emit(&Record::Faults { faults: self.list() });
    }

    fn list(&self) -> Vec<FaultState> {
        let states = self.states();
        let state = |fault: Fault| {
            let running = states.get(&fault).cloned().unwrap_or_default();
            let ends_at_ms = running.ends.map(|(at, _)| at);
            FaultState {
                name: fault.name(),
                active: ends_at_ms.is_some(),
                ends_at_ms,
                seen: running.seen,
                error: running.error,
            }
        };
        Fault::ALL.into_iter().map(state).collect()
    }

    /// Causes a fault for a time.
    fn begin(&self, fault: Fault, length: Duration) {
        let ends = self.0.stop.child_token();
        let ends_at = now_ms() + length.as_millis() as u64;
        let counts_until = ends_at + AFTERWARDS;
        let running = Running { ends: Some((ends_at, ends.clone())), counts_until, seen: Some(false), error: None };
        let before = self.states().insert(fault, running);
        if let Some((_, before)) = before.and_then(|before| before.ends) {
            before.cancel();
        }
        self.publish();
        tokio::spawn(self.clone().watch(counts_until));
        let faults = self.clone();
        tokio::spawn(async move {
            let outcome = faults.cause(fault, length, &ends).await;
            let error = outcome.err().map(|error| format!("{error:#}"));
            if let Some(error) = &error {
                warn!(fault = fault.name(), error, "a fault could not be caused or undone");
            }
            if let Some(running) = faults.states().get_mut(&fault).filter(|running| {
                // Not a later one of the same kind.
                running.ends.as_ref().is_some_and(|(at, _)| *at == ends_at)
            }) {
                (running.ends, running.error) = (None, error);
            }
            faults.publish();
            faults.0.hub.note(format!("The fault “{}” is over.", fault.title()));
        });
    }

    /// Watches what no request of the page shows: the database, and the copies of the other services.
    async fn watch(self, until: u64) {
        let mut was_old = false;
        while now_ms() < until {
            if self.0.board.look_ms() > SLOW {
                self.saw(Symptom::SlowRead);
            }
            if self.0.board.cart_is_unverified() {
                self.saw(Symptom::Unverified);
            }
            if self.0.board.has_old_copies(OLD) {
                was_old = true;
                self.saw(Symptom::OldPrice);
            } else if was_old {
                self.saw(Symptom::Recovered);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until no fault is in effect. Call it after the token of the shutdown is cancelled.
    pub(crate) async fn ended(&self) {
        while self.states().values().any(|running| running.ends.is_some()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Fault, Running>> {
        self.0.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns why a fault cannot be caused, if it cannot.
    fn obstacle(&self, fault: Fault) -> Option<&'static str> {
        if !self.0.is_enabled {
            return Some("Faults are off. FAULTS_ENABLED=true turns them on; `make up` does so.");
        }
        match fault {
            Fault::SlowDatabase if !self.0.database.is_known() => Some("The console has no access to the database."),
            Fault::SlowDatabase | Fault::CrashAfterCommit => None,
            Fault::ReplicaFrozen if self.0.upstreams.named("product-api-2").is_none() => {
                Some("It needs a second process of the product API: make up replicas=2.")
            }
            Fault::ReplicaFrozen => None,
            _ if !self.0.redis.is_known() => Some("The console has no access to Redis."),
            _ => None,
        }
    }
}

/// Mounts the routes.
pub(crate) fn configure(faults: &Faults, cfg: &mut ServiceConfig) {
    let faults = Data::new(faults.clone());
    cfg.service(resource("/faults").app_data(faults.clone()).get(list))
        .service(resource("/faults/{name}").app_data(faults).post(begin).delete(end));
}

/// Returns the faults that the page can cause.
#[utoipa::path(get, path = "/faults", tag = "faults", responses((status = 200, body = [Described])))]
pub(crate) async fn list(faults: Data<Faults>) -> HttpResponse {
    let described = faults.list().into_iter().zip(Fault::ALL).map(|(state, fault)| {
        let obstacle = faults.obstacle(fault);
        Described {
            state,
            title: fault.title(),
            explanation: fault.explanation(),
            expect: fault.expect(),
            seconds: fault.seconds(),
            available: obstacle.is_none(),
            unavailable_because: obstacle,
        }
    });
    HttpResponse::Ok().json(described.collect::<Vec<_>>())
}

/// Causes a fault, which ends by itself.
#[utoipa::path(post, path = "/faults/{name}", tag = "faults", params(("name" = String, Path)), request_body = Lasting,
    responses((status = 202, description = "It begins"), (status = 404, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem, description = "It cannot be caused here")))]
pub(crate) async fn begin(
    name: Path<String>, asked: Body<Lasting>, faults: Data<Faults>,
) -> Result<HttpResponse, Problem> {
    let fault = Fault::named(&name)?;
    let Lasting { seconds } = asked.0;
    if !(1..=30).contains(&seconds) {
        return Err(Problem::invalid_field("seconds", "must be between 1 and 30"));
    }
    if let Some(obstacle) = faults.obstacle(fault) {
        return Err(Problem::overloaded(RETRY_AFTER, obstacle));
    }
    faults.begin(fault, Duration::from_secs(seconds));
    Ok(HttpResponse::Accepted().finish())
}

/// Ends a fault before its time.
#[utoipa::path(delete, path = "/faults/{name}", tag = "faults", params(("name" = String, Path)),
    responses((status = 204, description = "It ends"), (status = 404, body = Problem)))]
pub(crate) async fn end(name: Path<String>, faults: Data<Faults>) -> Result<HttpResponse, Problem> {
    let fault = Fault::named(&name)?;
    if let Some((_, ends)) = faults.states().get(&fault).and_then(|running| running.ends.as_ref()) {
        ends.cancel();
    }
    Ok(HttpResponse::NoContent().finish())
}
