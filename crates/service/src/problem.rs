//! Errors in responses: RFC 9457 `application/problem+json`, with one mapping for every service.
//!
//! A handler returns `Result<_, Problem>`. A client receives the kind's stable `type` and title, and a detail that is
//! written for clients. The cause (SQL, a host name, a stack) stays in the process, and [`crate::http_metrics`] logs it
//! once.

mod answers;
mod body;
mod body_bytes;
mod failures;
mod json;
mod kind;
mod query;

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use answers::{configure, explain_bare_error};
pub use body::Body;
pub use body_bytes::{BODY_LIMIT, BodyBytes};
pub(crate) use body_bytes::{BodyTimeout, check_declared_length};
pub use failures::RETRY_AFTER;
pub use kind::Kind;
pub use query::Query;

/// An error response.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    cause: Option<Box<str>>,
}

/// A field of a request that cannot be used.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field: `price_cents`, `items[2].quantity`; `$` is the body itself.
    pub field: String,
    /// What is wrong with the field.
    pub message: String,
}

impl FieldError {
    /// Creates a field error: `FieldError::new("price_cents", "must not be negative")`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl Problem {
    /// Creates a problem of any kind; the constructors below are shorter.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), retry_after: None, cause: None }
    }

    /// 400: the request cannot be read.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    /// 400 for a single query parameter.
    pub fn malformed_parameter(name: impl Into<String>, message: impl Into<String>) -> Self {
        let error = FieldError::new(name, message);
        let detail = format!("The query cannot be read: {}: {}.", error.field, error.message);
        Self { errors: vec![error], ..Self::malformed(detail) }
    }

    /// 401: the request does not carry the token that this address requires.
    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unauthorized, detail)
    }

    /// 404: there is nothing at this address.
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    /// 408: the client did not send the body within `limit`.
    pub fn request_timeout(limit: Duration) -> Self {
        Self::new(Kind::RequestTimeout, format!("The body must arrive within {} seconds.", limit.as_secs_f64()))
    }

    /// 409: the request contradicts the current state.
    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Conflict, detail)
    }

    /// 410: the resource existed, and is no longer kept.
    pub fn gone(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Gone, detail)
    }

    /// 412: `If-Match` or `If-None-Match` does not hold for the current representation.
    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::PreconditionFailed, detail)
    }

    /// 413: the body is longer than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(Kind::BodyTooLarge, format!("The body may have at most {limit} bytes."))
    }

    /// 415: the media type of the body is not supported.
    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::UnsupportedMediaType, detail)
    }

    /// 422: the request was read, but these fields cannot be used.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => Cow::Borrowed("The request cannot be used as it is."),
            [one] => Cow::Owned(format!("{}: {}", one.field, one.message)),
            many => Cow::Owned(format!("{} fields cannot be used.", many.len())),
        };
        Self { errors, ..Self::new(Kind::InvalidFields, detail) }
    }

    /// 422: the request cannot be used, and it is unknown which field is the reason.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InvalidFields, detail)
    }

    /// 422 for a single field.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(field, message)])
    }

    /// 503: retry after `retry_after`. The cause is logged and not sent.
    pub fn unavailable(retry_after: Duration, cause: impl fmt::Display) -> Self {
        let problem = Self::new(Kind::Unavailable, "A store or service that the response needs does not answer.");
        Self { retry_after: Some(retry_after), cause: Some(cause.to_string().into()), ..problem }
    }

    /// 503 although nothing is broken: a limit of this service is reached. The detail is sent.
    pub fn overloaded(retry_after: Duration, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Kind::Unavailable, detail) }
    }

    /// 500: a bug in this service. The cause is logged and not sent.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let problem = Self::new(Kind::Internal, "The service has a defect. It has logged the cause.");
        Self { cause: Some(cause.to_string().into()), ..problem }
    }

    /// Returns the kind of this problem.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the cause, which is not sent to the client.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.title(), self.detail)?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, " ({cause})"))
    }
}

impl std::error::Error for Problem {}
