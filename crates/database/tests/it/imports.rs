//! The structure of the crate.

#[test]
fn imports_between_files_form_a_tree() {
    testkit::imports::assert_acyclic("src");
}
