//! The binary of the cart service: `cart`, `cart healthcheck` and `cart openapi`.

use std::process::ExitCode;

use cart::app::App;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main::<App>()
}
