//! `recommendation` serves. `recommendation healthcheck` asks a running server whether it is ready.
//! `recommendation openapi` prints the OpenAPI description.

use std::process::ExitCode;

use recommendation::settings::Settings;
use recommendation::{NAME, app};
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
