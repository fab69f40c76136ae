//! The trace of spans, with OpenTelemetry.

use std::str::FromStr;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use reqwest::RequestBuilder;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::trace_parent::TraceParent;
use crate::{TRACEPARENT, TRACESTATE};

/// The longest `tracestate` that is passed on, in bytes: the length that the specification recommends to support.
const LONGEST_STATE: usize = 512;

/// Returns the current span as the parent of the next one; `None` if it belongs to no trace.
pub fn current() -> Option<TraceParent> {
    parent(Span::current().context().span().span_context())
}

/// Returns the id of the current trace, for a log line. A subscriber may call it while it handles an event.
pub fn current_trace_id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// Makes `span` a child of `parent`, which may be a span of another process. `state` is the `tracestate` beside it. Call
/// it before the span is entered.
pub fn continue_trace(span: &Span, parent: TraceParent, state: Option<&str>) {
    let (trace, id) = (TraceId::from(parent.trace_id()), SpanId::from(parent.span_id()));
    let flags = if parent.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = state.filter(|state| state.len() <= LONGEST_STATE);
    let state = state.and_then(|state| TraceState::from_str(state).ok()).unwrap_or_default();
    let parent = Context::new().with_remote_span_context(SpanContext::new(trace, id, flags, true, state));
    // It fails for a span that no layer records.
    let _ = span.set_parent(parent);
}

/// Links `span` to another span, usually of another trace.
pub fn link(span: &Span, other: &Span) {
    span.add_link(other.context().span().span_context().clone());
}

/// Changes the name of a span that has begun. The layer reads `otel.name` only when a span begins.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Adds the headers that make the current span the parent of what the receiver does.
pub fn propagate(request: RequestBuilder) -> RequestBuilder {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    let Some(parent) = parent(span) else { return request };
    let request = request.header(TRACEPARENT, parent.to_string());
    match span.trace_state().header() {
        state if state.is_empty() => request,
        state => request.header(TRACESTATE, state),
    }
}

fn parent(span: &SpanContext) -> Option<TraceParent> {
    let trace_id = u128::from_be_bytes(span.trace_id().to_bytes());
    TraceParent::new(trace_id, u64::from_be_bytes(span.span_id().to_bytes()), span.is_sampled())
}
