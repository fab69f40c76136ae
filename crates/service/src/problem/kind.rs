//! The problem kinds.

use actix_web::http::StatusCode;

/// The problem kinds. The rows of the table below follow this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is explained in the table below")]
pub enum Kind {
    Malformed,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    Gone,
    PreconditionFailed,
    BodyTooLarge,
    UnsupportedMediaType,
    InvalidFields,
    TooManyRequests,
    HeadersTooLarge,
    Internal,
    Unavailable,
}

struct Row(Kind, StatusCode, &'static str, &'static str, &'static str);

/// kind, status, slug (stable: clients compare it), title, meaning and remedy.
#[rustfmt::skip]
static TABLE: [Row; 16] = [
    Row(Kind::Malformed, StatusCode::BAD_REQUEST, "malformed", "Malformed request",
        "The path, the query or the body cannot be read. Nothing was changed. Correct the request; the same request will fail again."),
    Row(Kind::Unauthorized, StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized",
        "This address is for the operators of the service. Send their token: `Authorization: Bearer <token>`."),
    Row(Kind::Forbidden, StatusCode::FORBIDDEN, "forbidden", "Forbidden",
        "The address serves only pages and clients of this machine. The detail says what the request lacks."),
    Row(Kind::NotFound, StatusCode::NOT_FOUND, "not-found", "Not found",
        "Nothing exists at this address, or it no longer exists."),
    Row(Kind::MethodNotAllowed, StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The address exists, but not for this method. The Allow header lists those that it has."),
    Row(Kind::RequestTimeout, StatusCode::REQUEST_TIMEOUT, "request-timeout", "Request timeout",
        "The request did not arrive in time. Nothing was changed. Send it again, without pauses."),
    Row(Kind::Conflict, StatusCode::CONFLICT, "conflict", "Conflict",
        "The request contradicts the current state. Nothing was changed. Read the current state and decide again."),
    Row(Kind::Gone, StatusCode::GONE, "gone", "Gone",
        "The resource existed, and is no longer kept. Read the current state."),
    Row(Kind::PreconditionFailed, StatusCode::PRECONDITION_FAILED, "precondition-failed", "Precondition failed",
        "If-Match or If-None-Match does not hold for the current representation: it has changed since it was read. Nothing was changed. Read again, then write with the new ETag."),
    Row(Kind::BodyTooLarge, StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large",
        "The body is longer than this service reads. Nothing was changed."),
    Row(Kind::UnsupportedMediaType, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type",
        "The Content-Type is missing or not supported. Send application/json."),
    Row(Kind::InvalidFields, StatusCode::UNPROCESSABLE_ENTITY, "invalid-fields", "Invalid fields",
        "The request has invalid fields; `errors` names each. Nothing was changed."),
    Row(Kind::TooManyRequests, StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests",
        "The rate limit is exceeded. Retry after the number of seconds in Retry-After."),
    Row(Kind::HeadersTooLarge, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "Headers too large",
        "The request line and the headers are longer than this service reads. Nothing was changed. Send fewer or shorter headers."),
    Row(Kind::Internal, StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error",
        "The service failed. It has logged the cause, which the response does not contain."),
    Row(Kind::Unavailable, StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable",
        "A dependency of this request does not respond. Retry after the number of seconds in Retry-After."),
];

impl Kind {
    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Returns the status of responses of this kind.
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// Returns the last part of the kind's address.
    pub fn slug(self) -> &'static str {
        self.row().2
    }

    /// Returns the title of the kind.
    pub fn title(self) -> &'static str {
        self.row().3
    }

    /// Returns the problem's `type`: a relative reference to the page that explains it.
    pub fn uri(self) -> String {
        format!("/problems/{}", self.slug())
    }

    /// Returns what the kind means, and what the client can do.
    pub(super) fn meaning(self) -> &'static str {
        self.row().4
    }

    pub(super) fn of_slug(slug: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == slug).map(|row| row.0)
    }

    /// Returns the kind of a bare status.
    pub(super) fn of(status: StatusCode) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == status).map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_kind_has_its_own_row() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.2);
            assert_eq!(Kind::of(row.1), Some(row.0), "two kinds share a status");
        }
    }
}
