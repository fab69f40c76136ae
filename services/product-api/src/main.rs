//! The binary of the product API: `product-api`, `product-api healthcheck` and `product-api openapi`.

use std::process::ExitCode;

use product_api::app::App;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    service::process::main::<App>()
}
