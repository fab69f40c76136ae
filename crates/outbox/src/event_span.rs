//! Spans of work on events: in each trace that has caused one of the events, so that every trace is complete although
//! events are handled in batches.

use std::collections::HashSet;
use std::future::Future;

use trace_context::{TraceParent, continue_trace, link};
use tracing::field::Empty;
use tracing::{Instrument, Span, trace_span};

/// What is done with the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventWork {
    /// The relay appends them to the stream.
    Publish,
    /// The event handler of a consumer applies them.
    Process,
    /// A service continues with them after the event handler.
    Continue(&'static str),
}

impl EventWork {
    fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Process => "process",
            Self::Continue(name) => name,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Publish => "producer",
            Self::Process => "consumer",
            Self::Continue(_) => "internal",
        }
    }
}

/// Does `work` on events of `stream` in a span of the first trace. Each further trace gets a span that lasts as long and
/// is linked to the first, which has what happens within. Without a trace, there is no span.
pub async fn in_traces<F: Future>(
    what: EventWork, stream: &'static str, traces: impl IntoIterator<Item = Option<TraceParent>>, work: F,
) -> F::Output {
    let spans = open(what, stream, traces);
    match spans.first() {
        Some(first) => work.instrument(first.clone()).await,
        None => work.await,
    }
}

/// Records that the work of the current span has failed.
pub fn mark_failed() {
    Span::current().record("otel.status_code", "ERROR");
}

fn open(what: EventWork, stream: &str, traces: impl IntoIterator<Item = Option<TraceParent>>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut known = HashSet::new();
    for parent in traces.into_iter().flatten() {
        if !known.insert(parent) {
            continue;
        }
        let span = trace_span!(
            "events",
            otel.name = format!("{} {stream}", what.name()),
            otel.kind = what.kind(),
            otel.status_code = Empty,
            messaging.system = "redis",
            messaging.destination.name = stream,
            messaging.operation.name = what.name(),
        );
        if span.is_disabled() {
            return spans;
        }
        continue_trace(&span, parent, None);
        if let Some(first) = spans.first() {
            link(&span, first);
        }
        spans.push(span);
    }
    spans
}
