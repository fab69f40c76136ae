#![doc = include_str!("../README.md")]

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
