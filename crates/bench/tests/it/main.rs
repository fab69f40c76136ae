//! The README's table of figures is generated from the measured figures.

use std::fs;
use std::path::{Path, PathBuf};

use bench::strategies::is_as_measured;
use serde_json::{Value, json};

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
        let mut all: Value = serde_json::from_str(text).unwrap();
        let hits = all["hit/ttl/round 1"].as_array_mut().unwrap();
        let count = hits[1].as_u64().unwrap();
        hits[1] = (count + 1).into();
        all.to_string()
    });
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("hit/ttl/round 1"), "{error}");
}

/// A table with gaps would compare what was not measured.
#[test]
fn incomplete_figures_are_refused() {
    fn remove_from_rounds(figures: &mut Value, name: &str) {
        for case in figures["cases"].as_array_mut().unwrap() {
            for round in case["rounds"].as_array_mut().unwrap() {
                round[name] = Value::Null;
            }
        }
    }
    fn empty_in_cases(figures: &mut Value, name: &str) {
        for case in figures["cases"].as_array_mut().unwrap() {
            case[name] = json!([]);
        }
    }
    type Removal = fn(&mut Value);
    let removals: [(Removal, &str); 6] = [
        (|figures| empty_in_cases(figures, "races"), "the races are missing"),
        (|figures| remove_from_rounds(figures, "cpu"), "the CPU per hit is missing"),
        (
            |figures| {
                empty_in_cases(figures, "mixed");
                remove_from_rounds(figures, "plain_loads");
            },
            "the database loads are missing",
        ),
        (|figures| figures["cold_starts"] = json!([]), "cold starts are missing"),
        (|figures| figures["quick"] = json!(true), "the figures are of a quick run"),
        (
            |figures| figures["cases"].as_array_mut().unwrap().retain(|case| case["name"] != "swr"),
            "not every strategy and naive cache-aside are measured",
        ),
    ];
    for (remove, says) in removals {
        let refused = tampered("docs/bench/figures.json", |text| {
            let mut figures: Value = serde_json::from_str(text).unwrap();
            remove(&mut figures);
            figures.to_string()
        });
        let error = refused.expect_err(says).to_string();
        assert!(error.ends_with(says), "{error} instead of {says}");
    }
}
