//! The functions of a build without the feature `otel`.

use reqwest::RequestBuilder;
use tracing::Span;

use crate::trace_parent::TraceParent;

/// Returns `None`: no span belongs to a trace.
pub fn current() -> Option<TraceParent> {
    None
}

/// Returns `None`: no span belongs to a trace.
pub fn current_trace_id() -> Option<String> {
    None
}

/// Does nothing.
pub fn continue_trace(_span: &Span, _parent: TraceParent, _state: Option<&str>) {}

/// Does nothing.
pub fn link(_span: &Span, _other: &Span) {}

/// Does nothing.
pub fn rename(_span: &Span, _name: String) {}

/// Returns the request unchanged.
pub fn propagate(request: RequestBuilder) -> RequestBuilder {
    request
}
