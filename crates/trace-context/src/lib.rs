//! The [W3C trace context](https://www.w3.org/TR/trace-context/) between the spans of a process, HTTP requests and events.
//!
//! ```text
//! traceparent of a request ─ continue_trace ─► span ─ propagate ─► traceparent of the next request
//!                                               └──── current ───► traceparent of an event ─ continue_trace ─► span
//! ```
//!
//! Spans are those of `tracing`. They belong to a trace only with the feature `otel` and in a process whose subscriber has
//! a layer of `tracing-opentelemetry`. Otherwise [`current`] returns `None`, and the other functions do nothing. So the
//! crates that send requests or write events do not depend on OpenTelemetry.

#[cfg(not(feature = "otel"))]
#[path = "off.rs"]
mod spans;
#[cfg(feature = "otel")]
mod spans;
mod trace_parent;

pub use spans::{continue_trace, current, current_trace_id, link, propagate, rename};
pub use trace_parent::{InvalidTraceParent, TraceParent, lenient};

/// The header that carries a [`TraceParent`].
pub const TRACEPARENT: &str = "traceparent";

/// The header that carries data of tracing systems, in addition to [`TRACEPARENT`].
pub const TRACESTATE: &str = "tracestate";
