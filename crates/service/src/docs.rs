//! The API's description at `/openapi.json`, and a page to read and try it at `/docs/`.
//!
//! The files of the page are embedded in the binary, so it works without a network.

mod complete;

use std::sync::Arc;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use complete::complete;

const OPENAPI: &str = "/openapi.json";
const PAGE: &str = "/docs/{_:.*}";

/// The API's description, ready to be sent.
#[derive(Debug, Clone)]
pub struct Docs(Arc<str>);

impl Docs {
    /// Serialises the description, once.
    pub fn new(openapi: &OpenApi) -> Result<Self, serde_json::Error> {
        openapi.to_json().map(|json| Self(json.into()))
    }

    pub(crate) fn configure(&self, cfg: &mut web::ServiceConfig) {
        let json = Arc::clone(&self.0);
        let description = web::get().to(move || {
            let json = String::from(&*json);
            async { HttpResponse::Ok().content_type("application/json").body(json) }
        });
        cfg.service(web::resource(OPENAPI).route(description))
            .service(web::resource("/docs").route(web::get().to(to_page)))
            .service(SwaggerUi::new(PAGE).config(Config::from(OPENAPI)))
            // The page's service refuses other methods as if there were no page.
            .service(web::resource(PAGE).route(web::get().to(HttpResponse::NotFound)));
    }
}

async fn to_page() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/docs/")).finish()
}
