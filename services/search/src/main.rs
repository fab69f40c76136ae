//! `search` serves. `search healthcheck` asks a running server whether it is ready. `search openapi` prints the OpenAPI
//! description.

use std::process::ExitCode;

use runtime::process::Binary;
use search::app;
use search::settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Binary {
        name: "search",
        settings: Settings::from_env,
        sections: |settings| (&settings.http, &settings.log),
        openapi: app::openapi,
    }
    .main(app::run)
}
