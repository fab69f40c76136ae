//! Converts problems into responses: handlers' errors, actix' own errors, unknown addresses.

use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::error::PathError;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};

use super::{BODY_LIMIT, Kind, Problem};
use crate::response_middleware::caching::NO_STORE;

const MEDIA_TYPE: &str = "application/problem+json";

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(wait) = self.retry_after_seconds() {
            response.insert_header((RETRY_AFTER, wait));
        }
        if self.kind == Kind::Unauthorized {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"operations\""));
        }
        let body = serde_json::to_vec(self).expect("a struct of strings and numbers serialises");
        // Also set here, and not only as a default: a middleware may return a problem outside the middleware that sets
        // defaults.
        response.insert_header((CACHE_CONTROL, NO_STORE)).insert_header((CONTENT_TYPE, MEDIA_TYPE)).body(body)
    }
}

impl Problem {
    /// Returns the value of `Retry-After`, if there is one.
    pub(crate) fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(whole_seconds)
    }
}

/// Rounds up to the whole seconds of Retry-After, because a retry that comes too early is the costly error.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Mounts the pages of the problem kinds, and converts actix' own errors into problems.
pub(crate) fn configure(cfg: &mut web::ServiceConfig) {
    let path = web::PathConfig::default().error_handler(|error, _| unreadable_path(&error).into());
    cfg.app_data(path)
        .app_data(web::PayloadConfig::new(BODY_LIMIT))
        .service(web::resource("/problems/{slug}").route(web::get().to(explain)))
        .default_service(web::to(unknown_address));
}

fn unreadable_path(error: &PathError) -> Problem {
    match error {
        PathError::Deserialize(reason) => Problem::malformed(format!("The path cannot be read: {reason}.")),
        _ => Problem::malformed("The path cannot be read."),
    }
}

async fn unknown_address(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(Problem::not_found(format!("There is nothing at {}.", request.path())))
}

/// Adds a body to the errors for which actix returns only a status (405 above all).
///
/// `method` is the method that the client sent.
pub(crate) fn explain_bare_error(response: ServiceResponse, method: &Method) -> ServiceResponse {
    let status = response.status();
    let bare =
        response.response().body().size() == BodySize::Sized(0) && !response.headers().contains_key(CONTENT_TYPE);
    let Some(kind) = Kind::of(status).filter(|_| bare) else { return response };

    let request = response.request();
    let detail = match response.headers().get(ALLOW).and_then(|allow| allow.to_str().ok()) {
        Some(allow) => format!("{} has {allow}, not {method}.", request.path()),
        None => format!("{method} {} has no response.", request.path()),
    };
    let body = serde_json::to_vec(&Problem::new(kind, detail)).unwrap_or_default();
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE.parse().expect("a constant of visible ASCII"));
    response
}

/// Handles `GET /problems/{slug}`.
async fn explain(slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    let kind = Kind::of_slug(&slug).ok_or_else(|| Problem::not_found("There is no problem of that name."))?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(format!(
        "{} ({})\n{}\n\n{}\n",
        kind.title(),
        kind.status(),
        kind.uri(),
        kind.meaning()
    )))
}
