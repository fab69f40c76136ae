//! The page that explains a problem kind, to which the `type` of a problem leads.

use actix_web::{HttpResponse, web};

use super::{Kind, Problem};

/// Handles `GET /problems/{slug}`.
pub(super) async fn explain(slug: web::Path<String>) -> Result<HttpResponse, Problem> {
    let kind = Kind::of_slug(&slug).ok_or_else(|| Problem::not_found("there is no problem of that name"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(format!(
        "{} ({})\n{}\n\n{}\n",
        kind.title(),
        kind.status(),
        kind.uri(),
        kind.meaning()
    )))
}
