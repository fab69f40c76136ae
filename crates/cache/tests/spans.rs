//! The spans that a trace of a program shows of its cache, as `docs/observability.md` lists them.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::memory::Memory;
use cache::{CacheClient, Keyspace, Policy};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Subscriber, trace_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The values of a span's fields, by name.
type Fields = BTreeMap<String, String>;

/// Records spans, each named after those around it: `request/cache.load`.
#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<BTreeMap<String, Fields>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Recorded {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let names = context.span_scope(id).unwrap().from_root().map(|span| span.name()).collect::<Vec<_>>();
        let mut values = Values::default();
        attributes.record(&mut values);
        self.0.lock().unwrap().insert(names.join("/"), values.0);
    }
}

#[derive(Default)]
struct Values(Fields);

impl Visit for Values {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// Reads twice and invalidates, and returns the spans.
async fn recorded() -> BTreeMap<String, Fields> {
    let recorded = Recorded::default();
    let _recording = tracing::subscriber::set_default(tracing_subscriber::registry().with(recorded.clone()));
    let client = CacheClient::in_memory(Keyspace::new("blog").unwrap(), &Memory::new());
    let posts = client.cache::<u32>("post", Policy::ttl(Duration::from_secs(60))).unwrap();
    let read = async || posts.get_or_load(1, || async { Ok::<_, std::io::Error>(7) }).await.unwrap();

    read().instrument(trace_span!("request")).await;
    read().instrument(trace_span!("a hit")).await;
    let done = posts.invalidate(1).instrument(trace_span!("write")).await;
    assert_eq!(done.acknowledged(), Ok(1));
    recorded.0.lock().unwrap().clone()
}

#[tokio::test]
async fn miss_and_invalidation_are_spans_within_that_of_their_caller() {
    let spans = recorded().await;
    let shown: Vec<(&str, Vec<(&str, &str)>)> = spans
        .iter()
        .map(|(path, fields)| (path.as_str(), fields.iter().map(|(name, value)| (&**name, &**value)).collect()))
        .collect();
    assert_eq!(
        shown,
        [
            ("a hit", vec![]),
            ("request", vec![]),
            ("request/cache.acquire", vec![("key", "blog:post:1")]),
            ("request/cache.commit", vec![("key", "blog:post:1")]),
            ("request/cache.load", vec![("cache", "post")]),
            ("request/cache.wait", vec![("cache", "post"), ("shared", "false")]),
            ("write", vec![]),
            ("write/cache.invalidate", vec![("keys", "1"), ("keyspace", "blog"), ("tags", "0")]),
        ]
    );
}

#[tokio::test]
async fn every_span_and_field_is_in_the_documentation() {
    let made: BTreeMap<String, BTreeSet<String>> = recorded()
        .await
        .into_iter()
        .filter_map(|(path, fields)| Some((path.split_once('/')?.1.to_owned(), fields.into_keys().collect())))
        .collect();
    let page = include_str!("../docs/observability.md");
    let documented: BTreeMap<String, BTreeSet<String>> = page
        .lines()
        .filter(|line| line.starts_with("| `cache."))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
            (names(cells[1])[0].clone(), names(cells[3]).into_iter().collect())
        })
        .collect();
    assert_eq!(documented, made);
}
