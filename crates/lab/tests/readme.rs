//! The README's table of figures is the one that was measured.

use std::path::Path;

use lab::bench_strategies::is_as_measured;

#[test]
fn the_table_of_the_readme_is_made_of_the_figures_beside_it() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    if let Err(error) = is_as_measured(&readme) {
        panic!("{error:#}");
    }
}
