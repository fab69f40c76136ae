//! The README's table of figures is generated from the measured figures.

use std::fs;
use std::path::{Path, PathBuf};

use bench::strategies::is_as_measured;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Checks a copy of the compared files in which `change` was applied to one file.
fn tampered(file: &str, change: impl FnOnce(&str) -> String) -> anyhow::Result<()> {
    let copy = tempfile::tempdir()?;
    fs::create_dir_all(copy.path().join("docs/bench"))?;
    fs::copy(root().join("README.md"), copy.path().join("README.md"))?;
    for entry in fs::read_dir(root().join("docs/bench"))? {
        let entry = entry?;
        fs::copy(entry.path(), copy.path().join("docs/bench").join(entry.file_name()))?;
    }
    let before = fs::read_to_string(copy.path().join(file))?;
    let after = change(&before);
    assert_ne!(before, after, "nothing was changed in {file}");
    fs::write(copy.path().join(file), after)?;
    is_as_measured(&copy.path().join("README.md"))
}

#[test]
fn readme_table_is_generated_from_the_published_figures() {
    if let Err(error) = is_as_measured(&root().join("README.md")) {
        panic!("{error:#}");
    }
}

#[test]
fn hand_edited_table_is_refused() {
    // Changes the first digit of the first row of figures.
    let refused = tampered("README.md", |text| text.replacen("| *bare `GET`* | – |", "| *bare `GET`* | 0 |", 1));
    assert!(refused.unwrap_err().to_string().starts_with("the table in"));
}

#[test]
fn figures_that_differ_from_their_histograms_are_refused() {
    // Adds a request to the first histogram that has any.
    let refused = tampered("docs/bench/histograms.json", |text| {
        let mut all: serde_json::Value = serde_json::from_str(text).unwrap();
        let hits = all["hit/ttl/round 1"].as_array_mut().unwrap();
        let count = hits[1].as_u64().unwrap();
        hits[1] = (count + 1).into();
        all.to_string()
    });
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("hit/ttl/round 1"), "{error}");
}

#[test]
fn figures_without_a_race_are_refused() {
    let refused = tampered("docs/bench/figures.json", |text| {
        let mut figures: serde_json::Value = serde_json::from_str(text).unwrap();
        for case in figures["cases"].as_array_mut().unwrap() {
            case["races"] = serde_json::json!([]);
        }
        figures.to_string()
    });
    assert!(refused.unwrap_err().to_string().ends_with("the races are missing"));
}
