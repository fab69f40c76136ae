//! The check of the imports between the files of a crate.

use std::fs;

use tempfile::TempDir;
use testkit::imports;

/// Checks a crate with these files.
fn assert_acyclic(files: &[(&str, &str)]) {
    let folder = TempDir::new().expect("a folder");
    for (file, code) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, code).expect("a file");
    }
    imports::assert_acyclic(&folder.path().to_string_lossy());
}

#[test]
fn imports_in_one_direction_are_accepted() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\npub use a::{A, inner::Inner};\n"),
        ("a.rs", "mod inner;\npub(crate) use inner::Inner;\nuse std::fmt;\npub struct A;\n"),
        (
            "a/inner.rs",
            "//! use super::A;\npub struct Inner; // use super::A;\n#[cfg(test)]\nmod tests {\n    use super::super::A;\n}\n",
        ),
        ("b.rs", "use crate::{A, a::Inner as C};\nfn f(_: A, _: C) {}\n#[cfg(test)]\nmod checks;\n"),
        ("b/checks.rs", "use crate::a::A;\n"),
    ];
    assert_acyclic(&files);
}

#[test]
#[should_panic(expected = "import from one another: a → a/inner → a")]
fn parent_and_child_that_use_each_other_are_a_circle() {
    let files = [
        ("lib.rs", "mod a;\n"),
        ("a.rs", "mod inner;\npub use inner::Inner;\npub struct A(Inner);\n"),
        ("a/inner.rs", "pub struct Inner;\nimpl Inner {\n    fn of(_: &super::A) {}\n}\n"),
    ];
    assert_acyclic(&files);
}

#[test]
#[should_panic(expected = "import from one another: a → b → c → a")]
fn re_export_does_not_hide_a_circle() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\nmod c;\npub use c::C;\n"),
        ("a.rs", "use crate::b::{self, B};\npub struct A;\n"),
        ("b.rs", "use crate::C;\npub struct B;\n"),
        ("c.rs", "use crate::a::A;\npub struct C;\n"),
    ];
    assert_acyclic(&files);
}

#[test]
#[should_panic(expected = "there is no file in")]
fn empty_folder_proves_nothing() {
    assert_acyclic(&[("README.md", "")]);
}
