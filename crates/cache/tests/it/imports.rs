//! The files of the crate import from one another in one direction, so that each can be read with what it imports.

#[test]
fn files_of_the_crate_import_in_one_direction() {
    testkit::imports::assert_acyclic(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
}
