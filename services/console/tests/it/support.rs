//! The console, and the system that it shows.

use std::collections::HashMap;
use std::process::Command;

use serde_json::Value;
pub(crate) use testkit::SOON;
use testkit::http::Service;
use testkit::private_system::{PrivateSystem, Replica, Service as ShopService};
use testkit::sibling;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Returns the command of a console over services that do not run, with these settings.
pub(crate) fn command(settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(sibling("console"));
    // Nothing listens on port 1.
    for service in ["PRODUCT_API", "CART", "SEARCH", "RECOMMENDATION"] {
        command.env(format!("{service}__URL"), "http://127.0.0.1:1");
    }
    command.env("HTTP__HOST", "127.0.0.1").env("HTTP__PORT", "0").envs(settings.iter().copied());
    command
}

/// The whole system, with its console. Only two run at once, on any number of cores: each has seven processes and more,
/// and on an overloaded machine their Redis looks as if it were down.
pub(crate) struct System {
    pub(crate) services: PrivateSystem,
    pub(crate) console: Service,
    _turn: SemaphorePermit<'static>,
}

async fn turn() -> SemaphorePermit<'static> {
    static TURNS: Semaphore = Semaphore::const_new(2);
    TURNS.acquire().await.expect("it is never closed")
}

impl System {
    /// Starts everything; the services have these settings, too.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let turn = turn().await;
        let services = PrivateSystem::start(1_300, settings).await.expect("the system starts");
        let console = Service::start(&Self::command(&services, settings)).await;
        Self { services, console, _turn: turn }
    }

    /// Starts everything, with a second process of the product API.
    pub(crate) async fn start_with_two(settings: &[(&str, &str)]) -> Self {
        let turn = turn().await;
        let services = PrivateSystem::start(1_300, settings).await.expect("the system starts");
        let second = ShopService::ProductApi.second();
        services.start_and_wait(second).await.expect("the second process starts");
        let mut command = Self::command(&services, settings);
        let console = Service::start(command.env("PRODUCT_API_2__URL", services.url(second))).await;
        Self { services, console, _turn: turn }
    }

    pub(crate) fn command(services: &PrivateSystem, settings: &[(&str, &str)]) -> Command {
        let mut command = command(&[]);
        for service in ShopService::ALL {
            let variable = service.name().replace('-', "_").to_uppercase() + "__URL";
            command.env(variable, services.url(Replica::from(service)));
        }
        command.env("POSTGRES__URL", services.postgres.url("shop_db"));
        command.env("REDIS_ADMIN__URL", services.redis.url());
        command.envs(settings.iter().copied().filter(|(name, _)| *name == "FAULTS__ENABLED"));
        command
    }
}

/// A page that is open: it reads `/live`, and keeps what the page would show.
pub(crate) struct Page {
    response: reqwest::Response,
    rest: String,
    /// The id of the last message.
    pub(crate) id: String,
    /// Every record so far.
    pub(crate) records: Vec<Value>,
    /// The cells, by strategy and column.
    pub(crate) cells: HashMap<(String, String), Value>,
}

impl Page {
    /// Opens `/live`, and resumes after the message with this id.
    pub(crate) async fn open(console: &Service, last_id: &str) -> Self {
        let request = console.request(reqwest::Method::GET, "/live").header("last-event-id", last_id);
        let response = request.send().await.expect("an answer").error_for_status().expect("a stream");
        let (rest, id, records, cells) = (String::new(), String::new(), Vec::new(), HashMap::new());
        Self { response, rest, id, records, cells }
    }

    /// Reads the next message; `false` when the stream has ended.
    pub(crate) async fn read(&mut self) -> bool {
        let Ok(Some(part)) = self.response.chunk().await else { return false };
        self.rest.push_str(&String::from_utf8_lossy(&part));
        while let Some((message, rest)) = self.rest.split_once("\n\n") {
            for line in message.lines() {
                if let Some(id) = line.strip_prefix("id: ") {
                    id.clone_into(&mut self.id);
                } else if let Some(data) = line.strip_prefix("data: ") {
                    let records: Vec<Value> = serde_json::from_str(data).expect("an array of records");
                    for cell in records.iter().filter_map(|record| record["cells"].as_array()).flatten() {
                        let name = |field: &str| cell[field].as_str().unwrap_or_default().to_owned();
                        self.cells.insert((name("strategy"), name("column")), cell.clone());
                    }
                    self.records.extend(records);
                }
            }
            self.rest = rest.to_owned();
        }
        true
    }

    /// Reads until `is_so`, for as long as a busy machine may need.
    pub(crate) async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let reading = async {
            while !is_so(self) {
                assert!(self.read().await, "the stream ended before {what}");
            }
        };
        if tokio::time::timeout(2 * SOON, reading).await.is_err() {
            panic!("waited in vain for {what}: {:#?}", self.records.iter().rev().take(5).collect::<Vec<_>>());
        }
    }

    /// Returns the records of a kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["kind"] == kind).collect()
    }

    /// Returns the state of a cell.
    pub(crate) fn state(&self, strategy: &str, column: &str) -> &str {
        let cell = self.cells.get(&(strategy.to_owned(), column.to_owned()));
        cell.and_then(|cell| cell["state"].as_str()).unwrap_or_default()
    }

    /// Returns the version that a cell shows.
    pub(crate) fn version(&self, strategy: &str, column: &str) -> Option<i64> {
        self.cells.get(&(strategy.to_owned(), column.to_owned()))?["version"].as_i64()
    }
}
