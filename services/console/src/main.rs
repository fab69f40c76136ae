//! The binary of the console: `console`, `console healthcheck` and `console openapi`.

use std::process::ExitCode;

use console::app::App;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main::<App>()
}
