//! The binary of the search service: `search`, `search healthcheck` and `search openapi`.

use std::process::ExitCode;

use search::app::App;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main::<App>()
}
