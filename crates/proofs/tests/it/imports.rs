//! The files of each crate import from one another in one direction, so that each can be read with what it imports.

use testkit::imports::assert_acyclic;

#[test]
fn files_of_a_crate_import_in_one_direction() {
    for name in [
        "cache", "contract", "outbox", "redis-connect", "tls-client", "trace-context", "database", "service", "client",
        "demo", "checker", "bench", "proofs", "supervise",
    ] {
        assert_acyclic(&format!("{}/../{name}/src", env!("CARGO_MANIFEST_DIR")));
    }
}
