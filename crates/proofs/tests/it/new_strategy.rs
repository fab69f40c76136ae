//! The patch in CONTRIBUTING.md adds a strategy. `make new-strategy` runs it.

use std::path::Path;

use contract::STRATEGIES;
use proofs::new_strategy::{apply, patch};

#[test]
fn patch_adds_a_strategy_by_its_file_its_page_and_one_line() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let changed = apply(&root, &patch(&root).expect("a patch")).expect("three files");
    let added = |folder: &str| {
        let path = changed.keys().find(|path| path.starts_with(folder)).expect(folder);
        assert!(!root.join(path).exists(), "{} exists already", path.display());
        path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned()
    };
    let name = added("services/product-api/src/strategies");
    assert_eq!(added("docs/strategies"), format!("{}-{name}", STRATEGIES.len() + 1));
    let list = "crates/contract/src/strategies.rs";
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a text");
    let before = text(&std::fs::read(root.join(list)).expect("the list"));
    let after = text(changed.get(Path::new(list)).expect("a changed list"));
    let new: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(new.len() == 1 && new[0].contains(&format!(" {name},")), "{new:?}");
    assert_eq!(after.lines().count(), before.lines().count() + 1);
}
