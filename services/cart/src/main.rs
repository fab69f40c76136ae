//! `cart` serves, `cart healthcheck` checks the readiness of a running instance, and `cart openapi` prints the OpenAPI
//! document.

use std::process::ExitCode;

use cart::settings::Settings;
use cart::{NAME, app};
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
