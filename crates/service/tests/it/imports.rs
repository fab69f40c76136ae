//! The order of the files: each imports only from files that do not import from it.

#[test]
fn files_of_the_crate_do_not_import_one_another_in_a_circle() {
    testkit::imports::assert_acyclic(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
}
