//! The page: files that are embedded in the binary, and never change while it runs.

use actix_web::http::header::{self, CACHE_CONTROL, CONTENT_SECURITY_POLICY};
use actix_web::web::{Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use rust_embed::{EmbeddedFile, RustEmbed};
use service::caching::Validator;
use service::http_metrics::resource;
use service::problem::Problem;
use service::response::conditional_response;
use sha2::{Digest, Sha256};

use crate::settings::AssetSettings;

/// What the page may load: its own files, and nothing else. No script and no style is inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// Mounts the page.
pub(crate) fn configure(settings: &AssetSettings, cfg: &mut ServiceConfig) {
    let folder = Data::new(settings.clone());
    cfg.service(resource("/").app_data(folder.clone()).get(index))
        .service(resource("/favicon.ico").app_data(folder.clone()).get(icon))
        .service(resource("/assets/{file:.*}").app_data(folder).get(asset));
}

async fn index(request: HttpRequest, settings: Data<AssetSettings>) -> Result<HttpResponse, Problem> {
    respond(&request, &settings, "index.html").await
}

async fn icon(request: HttpRequest, settings: Data<AssetSettings>) -> Result<HttpResponse, Problem> {
    respond(&request, &settings, "icon.svg").await
}

async fn asset(
    request: HttpRequest, file: Path<String>, settings: Data<AssetSettings>,
) -> Result<HttpResponse, Problem> {
    respond(&request, &settings, &file).await
}

async fn respond(request: &HttpRequest, settings: &AssetSettings, name: &str) -> Result<HttpResponse, Problem> {
    // The list of embedded files decides in both cases, so a path cannot leave the folder.
    let embedded = Files::get(name);
    let absent = || Problem::not_found("The page has no such file.");
    let (bytes, validator) = if settings.folder.as_os_str().is_empty() {
        let EmbeddedFile { data, metadata } = embedded.ok_or_else(absent)?;
        (data.into_owned(), short(&metadata.sha256_hash()))
    } else {
        if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(absent());
        }
        let bytes = tokio::fs::read(settings.folder.join(name)).await.map_err(|_| absent())?;
        let validator = short(&Sha256::digest(&bytes));
        (bytes, validator)
    };
    let (mut response, is_unchanged) = conditional_response(request, Some(&validator))?;
    response
        // Each start may be another version of the page.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .content_type(media_type(name));
    Ok(if is_unchanged { response.finish() } else { response.body(bytes) })
}

/// The beginning of a digest suffices to tell two versions of a file apart.
fn short(digest: &[u8]) -> Validator {
    Validator::of_digest(digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}
