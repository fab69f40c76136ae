//! The parts of the system: two stores, the processes of four services and the console, and the settings that each has.

use std::fs;
use std::path::Path;

use crate::{Failure, Result};

/// The services, in the order in which they are started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The catalogue, through the seven strategies.
    ProductApi,
    /// The carts.
    Cart,
    /// The search in the catalogue.
    Search,
    /// The recommendations.
    Recommendation,
}

/// One of the two processes that a service can have: `make up replicas=2` starts both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The service.
    pub service: Service,
    /// Whether it is the second process. The first one always runs.
    pub is_second: bool,
}

/// A store, a process of a service, or the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The Postgres server.
    Postgres,
    /// The Redis server, or the servers of the cluster.
    Redis,
    /// A process of a service.
    Service(Replica),
    /// The console.
    Console,
}

/// The addresses that a service connects to.
#[derive(Clone, Copy)]
pub struct Addresses<'a> {
    /// Returns the base URL of a service.
    pub service: &'a dyn Fn(Service) -> String,
    /// Returns the URL of a database, by its name without `_db`.
    pub database: &'a dyn Fn(&str) -> String,
    /// Returns the URL of Redis for the user with this name.
    pub redis: &'a dyn Fn(&str) -> String,
    /// The folder of the search index.
    pub index: &'a Path,
}

impl Service {
    /// All services.
    pub const ALL: [Self; 4] = [Self::ProductApi, Self::Cart, Self::Search, Self::Recommendation];
    /// The services that consume events.
    pub const SUBSCRIBERS: [Self; 3] = [Self::Cart, Self::Search, Self::Recommendation];

    /// Returns the name of its program, which is also the prefix of its keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProductApi => "product-api",
            Self::Cart => "cart",
            Self::Search => "search",
            Self::Recommendation => "recommendation",
        }
    }

    /// Returns the name of its database without `_db`, if it has one.
    pub fn database(self) -> Option<&'static str> {
        match self {
            Self::ProductApi => Some("shop"),
            Self::Search => None,
            Self::Cart | Self::Recommendation => Some(self.name()),
        }
    }

    /// Returns its first process, which always runs.
    pub const fn first(self) -> Replica {
        Replica { service: self, is_second: false }
    }

    /// Returns its second process.
    pub const fn second(self) -> Replica {
        Replica { service: self, is_second: true }
    }

    /// Returns the settings that connect it with its stores and with other services.
    pub fn connections(self, to: Addresses<'_>) -> Vec<(&'static str, String)> {
        let mut settings = vec![("REDIS__URL", (to.redis)(self.name()))];
        settings.extend(self.database().map(|name| ("POSTGRES__URL", (to.database)(name))));
        if self != Self::ProductApi {
            settings.push(("PRODUCT_API__URL", (to.service)(Self::ProductApi)));
        }
        match self {
            Self::Search => settings.push(("INDEX__PATH", to.index.display().to_string())),
            Self::Recommendation => settings.push(("CART__URL", (to.service)(Self::Cart))),
            Self::ProductApi | Self::Cart => {}
        }
        settings
    }

    /// Returns whether the service reads `variable`.
    pub fn has_section(self, checkout: &Path, variable: &str) -> bool {
        has_section(self.name(), checkout, variable)
    }
}

/// The name of the console's program.
const CONSOLE: &str = "console";

/// Returns whether a program reads `variable`: its `settings.toml` has the section of the variable or, if no program
/// has that section, the section around it.
fn has_section(program: &str, checkout: &Path, variable: &str) -> bool {
    let Some((section, _)) = variable.rsplit_once("__") else { return false };
    let section = section.replace("__", ".").to_ascii_lowercase();
    let has = |program: &str, section: &str| {
        let file = checkout.join("services").join(program).join("src/settings.toml");
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().any(|line| line.strip_prefix('[').and_then(|line| line.split(']').next()) == Some(section))
    };
    let around = section.split('.').next().unwrap_or_default();
    let mut all = Service::ALL.into_iter().map(Service::name).chain([CONSOLE]);
    has(program, &section) || !all.any(|program| has(program, &section)) && has(program, around)
}

impl Replica {
    /// Every process, the first ones first.
    pub fn all() -> impl Iterator<Item = Self> {
        Service::ALL.into_iter().map(Service::first).chain(Service::ALL.into_iter().map(Service::second))
    }

    /// Returns its name: `cart`, and `cart-2` for the second process.
    pub fn name(self) -> &'static str {
        match (self.service, self.is_second) {
            (service, false) => service.name(),
            (Service::ProductApi, true) => "product-api-2",
            (Service::Cart, true) => "cart-2",
            (Service::Search, true) => "search-2",
            (Service::Recommendation, true) => "recommendation-2",
        }
    }

    /// Returns its place in [`all`](Self::all).
    pub fn index(self) -> usize {
        self.service as usize + usize::from(self.is_second) * Service::ALL.len()
    }
}

impl From<Replica> for Part {
    fn from(replica: Replica) -> Self {
        Self::Service(replica)
    }
}

impl From<Service> for Part {
    fn from(service: Service) -> Self {
        Self::Service(service.first())
    }
}

impl From<Service> for Replica {
    fn from(service: Service) -> Self {
        service.first()
    }
}

impl Part {
    /// Every part: the stores, the processes of the services, and the console.
    pub fn all() -> impl Iterator<Item = Self> {
        let services = Replica::all().map(Self::Service);
        [Self::Postgres, Self::Redis].into_iter().chain(services).chain([Self::Console])
    }

    /// Returns the name of the program that is built for it, if any.
    pub fn program(self) -> Option<&'static str> {
        match self {
            Self::Postgres | Self::Redis => None,
            Self::Service(replica) => Some(replica.service.name()),
            Self::Console => Some(CONSOLE),
        }
    }

    /// Returns whether its program reads `variable`.
    pub fn has_section(self, checkout: &Path, variable: &str) -> bool {
        self.program().is_some_and(|program| has_section(program, checkout, variable))
    }

    /// Returns whether it runs only with `replicas=2`.
    pub fn is_second(self) -> bool {
        matches!(self, Self::Service(replica) if replica.is_second)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Service(replica) => replica.name(),
            Self::Console => CONSOLE,
        }
    }

    /// Returns the name of the variable that sets its port, such as `PRODUCT_API_PORT`.
    pub fn port_variable(self) -> String {
        self.name().replace('-', "_").to_ascii_uppercase() + "_PORT"
    }

    /// Returns the part with this name.
    ///
    /// # Errors
    /// Returns an error that lists the names if there is none.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let found = Self::all().find(|part| Some(part.name()) == name);
        let names = Self::all().map(Self::name).collect::<Vec<_>>().join(" ");
        found.ok_or_else(|| Failure::new(format!("which one? There are: {names}")))
    }
}

/// Returns whether a variable has the form of a setting: `SECTION__NAME`.
pub fn is_setting(variable: &str) -> bool {
    let starts = variable.starts_with(|first: char| first.is_ascii_uppercase());
    let rest = variable.get(1..).unwrap_or_default();
    starts
        && rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        && rest.split_once("__").is_some_and(|(_, name)| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_has_a_section_and_a_name() {
        for setting in ["EVENTS__TRANSPORT", "LANES__TTL__HARD_TTL", "PRODUCT_API__URL"] {
            assert!(is_setting(setting), "{setting}");
        }
        for other in ["PATH", "SEED_PRODUCTS", "__NAME", "EVENTS__", "events__transport", "A__B-C", "ß__A", ""] {
            assert!(!is_setting(other), "{other}");
        }
    }

    #[test]
    fn setting_belongs_to_services_that_have_its_section() {
        let checkout = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        for (setting, expected) in [
            ("HTTP__WORKERS", "product-api cart search recommendation"),
            ("EVENTS__TRANSPORT", "cart search recommendation"),
            ("POSTGRES__MAX_CONNECTIONS", "product-api cart recommendation"),
            ("RELAY__BATCH", "product-api cart"),
            ("LANES__TTL__HARD_TTL", "product-api"),
            ("LANES__VIEW__HARD_TTL", "cart"),
            ("LANES__PAGE__HARD_TTL", "search"),
            ("EVENT__TRANSPORT", ""),
        ] {
            let has: Vec<_> =
                Service::ALL.into_iter().filter(|service| service.has_section(checkout, setting)).collect();
            assert_eq!(has.iter().map(|service| service.name()).collect::<Vec<_>>().join(" "), expected, "{setting}");
        }
    }
}
