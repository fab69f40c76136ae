//! What is one service's, is no other's: the rules that the stack runs with, tried on real servers.
//!
//! `deploy/redis/render-acl` and `deploy/postgres/databases` are run as the stack runs them; then each user does what it
//! must be able to do, and tries what it must not.

mod guarded;
mod postgres;
mod redis;
mod services;
mod streams;

/// A script of the folder `deploy`.
fn deploy(script: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(script)
}

/// Nobody could guess it.
fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
