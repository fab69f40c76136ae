//! The spans that a trace of a program shows of its cache.
#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache::memory::Memory;
use cache::{CacheClient, Keyspace, Policy};
use tracing::span::{Attributes, Id};
use tracing::{Instrument, Subscriber, trace_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Records the names of spans, each after those around it: `request/cache.load`.
#[derive(Clone, Default)]
struct Paths(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Paths {
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let names = context.span_scope(id).unwrap().from_root().map(|span| span.name()).collect::<Vec<_>>();
        self.0.lock().unwrap().push(names.join("/"));
    }
}

#[tokio::test]
async fn miss_and_invalidation_are_spans_within_that_of_their_caller() {
    let paths = Paths::default();
    let _recording = tracing::subscriber::set_default(tracing_subscriber::registry().with(paths.clone()));
    let client = CacheClient::in_memory(Keyspace::new("blog").unwrap(), &Memory::new());
    let posts = client.cache::<u32>("post", Policy::ttl(Duration::from_secs(60))).unwrap();
    let read = async || posts.get_or_load(1, || async { Ok::<_, std::io::Error>(7) }).await.unwrap();

    read().instrument(trace_span!("request")).await;
    read().instrument(trace_span!("a hit")).await;
    let done = posts.invalidate(1).instrument(trace_span!("write")).await;
    assert_eq!(done.acknowledged(), Ok(1));

    let mut paths = paths.0.lock().unwrap().clone();
    paths.sort();
    assert_eq!(
        paths,
        [
            "a hit", "request", "request/cache.acquire", "request/cache.commit", "request/cache.load",
            "request/cache.wait", "write", "write/cache.invalidate",
        ]
    );
}
