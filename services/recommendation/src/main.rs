//! The binary of the recommendation service: `recommendation`, `recommendation healthcheck` and `recommendation openapi`.

use std::process::ExitCode;

use recommendation::app::App;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main::<App>()
}
