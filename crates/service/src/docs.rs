//! The API's description at `/openapi.json`, and a page to read and try it at `/docs/`.
//!
//! The files of the page are embedded in the binary, so it works without a network.

mod complete;

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use complete::complete;

const OPENAPI: &str = "/openapi.json";

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
            .service(web::redirect("/docs", "/docs/"))
            .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from(OPENAPI)));
    }
}
