//! `product-api` serves, `product-api healthcheck` checks the readiness of a running instance, and `product-api
//! openapi` prints the OpenAPI document.

use std::process::ExitCode;

use product_api::settings::Settings;
use product_api::{NAME, app};
use runtime::process::Binary;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Binary {
        name: NAME,
        settings: Settings::from_env,
        sections: |settings| (&settings.http, &settings.log),
        openapi: app::openapi,
    }
    .main(app::run)
}
