//! The map: which addresses are read and written, what their responses show, and what each cache promises.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use config::{Config, File, FileFormat};
use contract::{STRATEGIES, Staleness, StrategyInfo};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The map of this repository's stack, without the strategies.
const OURS: &str = include_str!("map.toml");
/// The time that the delivery of an event takes at most, on a busy machine.
const DELIVERY: Duration = Duration::from_secs(2);
/// The time that a load takes at most, on a busy machine.
const LOAD: Duration = Duration::from_secs(1);

/// The checker's description of an implementation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The addresses of each service, one for each replica.
    pub services: BTreeMap<String, Vec<String>>,
    /// The products that are written.
    pub products: Products,
    /// How they are written.
    pub writing: Writing,
    /// What a response shows, unless the subject specifies something else.
    pub shown: Shown,
    /// Whether responses say where they came from (`Cache-Status`). If they do not, the checker does not require hits.
    #[serde(default = "yes")]
    pub cache_status: bool,
    /// The caches.
    pub subjects: Vec<Subject>,
}

fn yes() -> bool {
    true
}

/// The products of a run: created for it, or existing ones.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Products {
    /// The call that creates a product.
    pub create: Option<Call>,
    /// The call that removes a product when the run is over.
    pub remove: Option<Call>,
    /// The ids of existing products, which are divided among the subjects.
    #[serde(default)]
    pub ids: Vec<u64>,
}

/// A request that prepares or cleans up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// GET, PUT, …
    pub method: String,
    /// The service to which the request is sent.
    pub service: String,
    /// The path, with `{id}`, `{word}` or `{page}`.
    pub path: String,
    /// Where the response has the id of the created object, as a JSON pointer (RFC 6901).
    pub id: Option<String>,
    /// The body of the request.
    pub body: Option<Value>,
}

/// The common properties of all writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writing {
    /// The method, normally PUT.
    pub method: String,
    /// The body, with `{n}`, which identifies the write. A subject may have a different body.
    pub body: Value,
    /// Where the response has the version that the write made, as a JSON pointer.
    pub version: String,
    /// The part of the response's `Cache-Status` which says that the invalidation has not happened yet.
    pub unacknowledged: Option<String>,
}

/// Where a product is shown, as JSON pointers from the root of the response or from one of its items.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Its version, if it is shown.
    pub version: Option<String>,
    /// The number of the write.
    pub number: String,
    /// Further values that must come from the same write.
    #[serde(default)]
    pub others: BTreeMap<String, String>,
}

/// One cache.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Its name in the report.
    pub name: String,
    /// The promise about its staleness.
    pub stale: Promise,
    /// What is read from it.
    pub read: Reading,
    /// What is written to it.
    pub write: Target,
    /// A page that shows several products, if it must be created first.
    pub page: Option<Page>,
    /// Additional or replaced fields in the body of the call that creates its products.
    #[serde(default)]
    pub create: serde_json::Map<String, Value>,
    /// What an item of the response shows, if it differs from the other subjects.
    pub shown: Option<Shown>,
}

/// The address of writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The service.
    pub service: String,
    /// The path, with `{id}`, `{word}` or `{page}`.
    pub path: String,
    /// The body, if it differs from that of all writes.
    pub body: Option<Value>,
}

/// The address of reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The service.
    pub service: String,
    /// The path, with `{id}`, `{word}` or `{page}`.
    pub path: String,
    /// Where the list of products is, as a JSON pointer. Without it, the response is the product itself.
    pub items: Option<String>,
    /// Whether that list contains the requested product.
    #[serde(default)]
    pub lists: Lists,
    /// Where the response says that it may be outdated (true or false), as a JSON pointer.
    pub flagged: Option<String>,
}

/// The content of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lists {
    /// The requested product, and perhaps others. If it is not there, it is absent.
    #[default]
    Itself,
    /// Other products, and never the requested one.
    Others,
}

/// A page that shows several products.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The call that creates the page.
    pub create: Call,
    /// The call that adds a product to the page.
    pub add: Call,
    /// How many products it shows.
    pub products: usize,
}

/// How stale a read may be that begins after a write was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Never stale.
    Never,
    /// Stale for at most this time after the acknowledgement.
    AtMost(Duration),
}

impl Map {
    /// Loads a map; without a file, the map of this repository's stack. `services` replaces addresses: `NAME=URL,URL`.
    pub fn load(file: Option<&Path>, services: &[String]) -> Result<Self> {
        let source = match file {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
            None => OURS.to_owned(),
        };
        let map = Config::builder().add_source(File::from_str(&source, FileFormat::Toml)).build()?;
        let mut map: Self = map.try_deserialize().context("the map is invalid")?;
        if file.is_none() {
            map.subjects.splice(0..0, STRATEGIES.iter().map(Subject::of));
        }
        for replaced in services {
            let (name, urls) = replaced.split_once('=').with_context(|| format!("{replaced:?} is not NAME=URL"))?;
            let addresses = map.services.get_mut(name).with_context(|| format!("the map has no service {name:?}"))?;
            *addresses = urls.split(',').map(|url| url.trim_end_matches('/').to_owned()).collect();
        }
        map.check()?;
        Ok(map)
    }

    /// Removes all subjects except those with these names.
    pub fn only(&mut self, names: &[String]) -> Result<()> {
        for name in names {
            ensure!(self.subjects.iter().any(|subject| subject.name == *name), "the map has no subject {name:?}");
        }
        if !names.is_empty() {
            self.subjects.retain(|subject| names.contains(&subject.name));
        }
        Ok(())
    }

    /// Returns what a response of this subject shows.
    pub fn shown<'a>(&'a self, subject: &'a Subject) -> &'a Shown {
        subject.shown.as_ref().unwrap_or(&self.shown)
    }

    /// Returns the body of a write to a product of this subject.
    pub fn body<'a>(&'a self, subject: &'a Subject) -> &'a Value {
        subject.write.body.as_ref().unwrap_or(&self.writing.body)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.subjects.is_empty(), "the map has no subjects");
        ensure!(self.products.create.is_some() || !self.products.ids.is_empty(), "the map has no products");
        let mut used: Vec<&str> = Vec::new();
        used.extend(self.products.create.iter().chain(&self.products.remove).map(|call| call.service.as_str()));
        for subject in &self.subjects {
            used.extend([subject.read.service.as_str(), subject.write.service.as_str()]);
            used.extend(subject.page.iter().flat_map(|page| [page.create.service.as_str(), page.add.service.as_str()]));
        }
        for service in used {
            let addresses =
                self.services.get(service).with_context(|| format!("no address for service {service:?}"))?;
            ensure!(!addresses.is_empty(), "no address for service {service:?}");
        }
        Ok(())
    }
}

impl Subject {
    /// Returns the subject of a strategy: products that are read and written through it.
    fn of(strategy: &StrategyInfo) -> Self {
        let (service, path) = ("product-api".to_owned(), format!("/products/{}/{{id}}", strategy.name));
        let stale = match strategy.own {
            Staleness::Never => Promise::Never,
            Staleness::Delivery => Promise::AtMost(DELIVERY),
            Staleness::Seconds(ttl) => Promise::AtMost(Duration::from_secs(ttl) + LOAD),
        };
        Self {
            name: strategy.name.to_owned(),
            stale,
            read: Reading {
                service: service.clone(),
                path: path.clone(),
                items: None,
                lists: Lists::Itself,
                flagged: None,
            },
            write: Target { service, path, body: None },
            page: None,
            create: serde_json::Map::new(),
            shown: None,
        }
    }
}

impl<'de> Deserialize<'de> for Promise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self::Never);
        }
        let at_most = humantime::parse_duration(&text).map_err(serde::de::Error::custom)?;
        Ok(Self::AtMost(at_most))
    }
}

/// Fills in a template by replacing every `{name}`. A text that consists only of `{n}` becomes the number.
pub(super) fn fill(template: &Value, names: &[(&str, &str)], n: u32) -> Value {
    match template {
        Value::String(text) if text == "{n}" => n.into(),
        Value::String(text) => fill_text(text, names).replace("{n}", &n.to_string()).into(),
        Value::Array(items) => items.iter().map(|item| fill(item, names, n)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), fill(value, names, n)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Fills in the names of a path.
pub(super) fn fill_text(template: &str, names: &[(&str, &str)]) -> String {
    names.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn default_map_is_valid() {
        let map = Map::load(None, &["cart=http://a:1/,http://b:2".to_owned()]).unwrap();
        assert_eq!(map.services["cart"], ["http://a:1", "http://b:2"]);
        let subjects = map.subjects.iter().map(|subject| (subject.name.as_str(), subject.stale));
        let within = |seconds| Promise::AtMost(Duration::from_secs(seconds));
        let expected = [
            ("ttl", within(11)),
            ("explicit", Promise::Never),
            ("writethrough", Promise::Never),
            ("events", within(2)),
            ("swr", within(61)),
            ("tags", Promise::Never),
            ("production", Promise::Never),
            ("production, others' writes", within(2)),
            ("cart", within(2)),
            ("search", within(2)),
            ("recommendation", within(2)),
        ];
        assert_eq!(subjects.collect::<Vec<_>>(), expected);
        let swr = &map.subjects[4];
        let address = ("product-api", "/products/swr/{id}");
        assert_eq!((swr.read.service.as_str(), swr.read.path.as_str()), address);
        assert_eq!((swr.write.service.as_str(), swr.write.path.as_str()), address);
    }

    #[test]
    fn service_unknown_to_the_map_is_refused() {
        assert!(Map::load(None, &["till=http://a:1".to_owned()]).is_err());
        assert!(Map::load(None, &["cart".to_owned()]).is_err());
    }

    #[test]
    fn a_template_keeps_numbers_as_numbers() {
        let template = json!({ "name": "Checked {word} {n}", "price": "{n}", "tags": ["{id}", 3], "on": true });
        let filled = fill(&template, &[("word", "k7"), ("id", "12")], 5);
        assert_eq!(filled, json!({ "name": "Checked k7 5", "price": 5, "tags": ["12", 3], "on": true }));
    }
}
