//! Isolation of the services: the stack's access rules, tried on real servers.
//!
//! `deploy/redis/render-acl` and `deploy/postgres/databases` are run as the stack runs them. Then each user runs the
//! commands that it must be able to run, and tries those that it must not.

mod guarded;
mod postgres;
mod redis;
mod services;
mod streams;

/// Returns the path of a script in the folder `deploy`.
fn deploy(script: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy").join(script)
}

/// Returns a password that cannot be guessed.
fn password() -> String {
    format!("{:032x}", rand::random::<u128>())
}
