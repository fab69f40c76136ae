//! The files of the tools import from one another in one direction.

use testkit::imports::assert_acyclic;

#[test]
fn files_of_the_tools_import_in_one_direction() {
    for name in ["client", "demo", "checker", "bench", "proofs"] {
        assert_acyclic(&format!("{}/../{name}/src", env!("CARGO_MANIFEST_DIR")));
    }
}
