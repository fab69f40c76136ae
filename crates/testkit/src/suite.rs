//! The tests that every service passes.
//!
//! A service describes itself as a [`Subject`] and calls [`suite!`](crate::suite!), which makes a test of each case:
//!
//! ```ignore
//! testkit::suite!(crate::support::Subject);
//! ```

mod bodies;
mod description;
mod hostile;
mod operations;
mod redis_states;
mod refusals;
mod routes;
mod sessions;

use std::process::Command;

use reqwest::Method;

use crate::http::{Service, assert_description_holds, assert_head_as_get};
use crate::{Database, Redis};

pub use bodies::unusable_bodies_are_refused_by_every_route;
pub use description::openapi_document_names_every_route;
pub use hostile::hostile_clients_cause_no_5xx_and_leave_no_connection_behind;
pub use operations::operations_routes_require_the_token_when_there_is_one;
pub use redis_states::redis_states_are_named_by_readyz_and_cause_no_5xx;
pub use refusals::{assert_refused, invalid_settings_are_refused_by_name};
pub use routes::standard_routes_are_served;
pub use sessions::{
    running_service_is_not_harmed_by_settings_of_its_role, service_brings_up_an_empty_database_under_foreign_settings,
};

/// A service under test, with the stores and the services that it depends on.
#[expect(async_fn_in_trait, reason = "a test runs on one thread")]
pub trait Subject: Sized {
    /// The name of the service's binary.
    const NAME: &'static str;
    /// Whether `/readyz` says `ready` from the first response on. Otherwise it may be `degraded` for a moment.
    const IS_READY_AT_ONCE: bool = false;
    /// The checks of `/readyz` that cannot succeed beside the services that [`prepare`](Self::prepare) starts.
    const FAILING_CHECKS: &'static [&'static str] = &[];
    /// Every operation of the API's description, such as `get /carts/{id}`, in order.
    const OPERATIONS: &'static [&'static str];
    /// The operations routes that a `GET` without parameters can read, without `/cache/…` and `/metrics`.
    const OWN_OPERATIONS_ROUTES: &'static [&'static str] = &[];
    /// The sections of the settings that other services have too, besides those that every service has.
    const SHARED_SECTIONS: &'static [&'static str];
    /// Invalid settings of the service's own sections, each with a text that the message contains besides the setting's
    /// name.
    const INVALID_SETTINGS: &'static [(&'static str, &'static str, &'static str)];
    /// The seed of the hostile clients.
    const HOSTILE_SEED: u64;

    /// Starts the stores and the services that the service depends on.
    async fn prepare() -> Self;

    /// Starts only the stores, for a service that does not start.
    async fn prepare_stores() -> Self {
        Self::prepare().await
    }

    /// Returns the command that starts the service over them.
    fn command(&self, settings: &[(&str, &str)]) -> Command;

    /// Creates what the routes show, and puts an entry into the cache. Returns the values of the parameters of paths;
    /// `key` is the key of the entry. A query follows the path that is its name: `("/search", "?q=lamp")`.
    async fn fill(&self, service: &Service) -> Vec<(&'static str, String)>;

    /// Returns the routes that take a body, each with a body that it accepts.
    fn bodies(_: &[(&'static str, String)]) -> Vec<(Method, String, &'static str)> {
        Vec::new()
    }

    /// Returns paths for hostile clients, besides those that every service has.
    fn hostile_paths(values: &[(&'static str, String)]) -> Vec<String>;

    /// Returns the service's database, if it has one.
    fn database(&self) -> Option<&Database> {
        None
    }

    /// Returns the service's Redis. The case of hostile clients counts its keys; the case of Redis states requires it.
    fn redis(&self) -> Option<&Redis> {
        None
    }

    /// Starts the service and waits until it is ready.
    async fn start(&self, settings: &[(&str, &str)]) -> Service {
        Service::start(&self.command(settings)).await
    }
}

/// A service with its own database on the server that all tests of a process share.
#[expect(async_fn_in_trait, reason = "a test runs on one thread")]
pub trait DatabaseSubject: Subject {
    /// Asserts that everything that needs the database works in this round, with this setting of the service's role. The
    /// earlier sessions of the role have been ended.
    async fn assert_works(&mut self, service: &Service, round: i64, setting: &str);
}

/// Makes a test of each case for a [`Subject`], and of each case for a [`DatabaseSubject`]: `suite!(Cart, database)`. A
/// service with routes that take a body adds `suite!(Cart: unusable_bodies_are_refused_by_every_route)`, and a service
/// without tests of its own for the states of Redis adds
/// `suite!(Cart: redis_states_are_named_by_readyz_and_cause_no_5xx)`.
#[macro_export]
macro_rules! suite {
    ($subject:ty) => {
        $crate::suite!(
            $subject: standard_routes_are_served, openapi_document_names_every_route,
            openapi_document_holds_for_every_route, head_is_answered_like_get_on_every_route,
            operations_routes_require_the_token_when_there_is_one, invalid_settings_are_refused_by_name,
            hostile_clients_cause_no_5xx_and_leave_no_connection_behind
        );
    };
    ($subject:ty, database) => {
        $crate::suite!($subject);
        $crate::suite!(
            $subject: running_service_is_not_harmed_by_settings_of_its_role,
            service_brings_up_an_empty_database_under_foreign_settings
        );
    };
    ($subject:ty: $($case:ident),*) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::suite::$case::<$subject>().await;
            }
        )*
    };
}

/// The service does what its API's description says.
pub async fn openapi_document_holds_for_every_route<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let values = subject.fill(&service).await;
    assert_description_holds(&service, &borrowed(&values)).await;
}

/// HEAD has the status and the headers of GET, and no body.
pub async fn head_is_answered_like_get_on_every_route<S: Subject>() {
    let subject = S::prepare().await;
    let service = subject.start(&[]).await;
    let values = subject.fill(&service).await;
    assert_head_as_get(&service, &borrowed(&values)).await;
}

/// Returns the key of the entry that [`Subject::fill`] has put into the cache.
fn key_of<'a>(values: &'a [(&'static str, String)]) -> &'a str {
    let (_, key) = values.iter().find(|(name, _)| *name == "key").expect("the key of an entry");
    key
}

fn borrowed<'a>(values: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    values.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
