//! Tests of the documentation: its links lead to existing files, and the glossary names existing items.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the checkout")
}

/// Returns the Markdown files at the top level, in `docs` and next to the crates and services.
fn documents() -> Vec<PathBuf> {
    let mut documents = markdown_in(&root());
    for folder in ["docs", "docs/adr", "docs/bench", "docs/strategies", "crates/cache/docs"] {
        documents.extend(markdown_in(&root().join(folder)));
    }
    documents.extend(members().iter().flat_map(|member| markdown_in(member)));
    documents
}

/// Returns the folders of the crates and services.
fn members() -> Vec<PathBuf> {
    let folders =
        ["crates", "services"].map(|folder| fs::read_dir(root().join(folder)).expect("a part of the workspace"));
    folders.into_iter().flatten().map(|member| member.expect("a member").path()).collect()
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.map(|entry| entry.expect("an entry").path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
}

/// Returns the text and the target of each inline link to a file.
fn links(markdown: &str) -> Vec<(&str, &str)> {
    let mut links = Vec::new();
    let mut rest = markdown;
    while let Some(middle) = rest.find("](") {
        let (before, after) = (&rest[..middle], &rest[middle + 2..]);
        let text = before.rfind('[').map_or("", |at| &before[at + 1..]);
        let Some(end) = after.find(')') else { break };
        let target = &after[..end];
        if !target.contains("://") && !target.starts_with(['#', '<']) && !target.contains(char::is_whitespace) {
            links.push((text, target.split('#').next().unwrap_or_default()));
        }
        rest = &after[end..];
    }
    links
}

#[test]
fn links_between_documents_and_files_exist() {
    let mut dead = Vec::new();
    let mut seen = 0;
    for document in documents() {
        let markdown = fs::read_to_string(&document).expect("a document");
        for (_, target) in links(&markdown) {
            seen += 1;
            // An item of a crate, in the documentation of that crate.
            let is_item = target.contains("::") || target.starts_with("crate");
            if !is_item && !document.parent().expect("a folder").join(target).exists() {
                dead.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(seen > 100, "only {seen} links were found");
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn every_crate_and_service_has_a_readme() {
    for member in members() {
        assert!(member.join("README.md").is_file(), "{} has no README.md", member.display());
    }
}

#[test]
fn glossary_names_items_that_the_linked_files_define() {
    let glossary = root().join("docs/GLOSSARY.md");
    let markdown = fs::read_to_string(&glossary).expect("the glossary");
    let mut checked = 0;
    for (text, target) in links(&markdown).into_iter().filter(|(_, target)| target.ends_with(".rs")) {
        let name = text.trim_matches('`');
        let source = fs::read_to_string(root().join("docs").join(target)).expect(target);
        let defined = ["struct", "enum", "trait", "type"].iter().any(|kind| {
            source.lines().any(|line| {
                let declaration = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
                let declaration = declaration.trim_start_matches("pub(super) ");
                declaration.strip_prefix(kind).is_some_and(|rest| {
                    let rest = rest.trim_start();
                    rest.strip_prefix(name).is_some_and(|after| !after.starts_with(|next: char| next.is_alphanumeric()))
                })
            })
        });
        assert!(defined, "{target} defines no {name}");
        checked += 1;
    }
    assert!(checked > 30, "only {checked} items were found");
}

/// The crates that other projects may use, and those that the services share.
const LIBRARIES: [&str; 9] = [
    "cache", "cache-testkit", "contract", "database", "outbox", "redis-connect", "service", "tls-client",
    "trace-context",
];

#[test]
fn glossary_names_every_public_type_of_a_library() {
    let glossary = fs::read_to_string(root().join("docs/GLOSSARY.md")).unwrap();
    let named: BTreeSet<&str> = glossary.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut defined = BTreeSet::new();
    for library in LIBRARIES {
        for (path, source) in sources(&root().join("crates").join(library).join("src")) {
            for line in source.lines().map(str::trim_start) {
                let types = ["pub struct ", "pub enum ", "pub trait ", "pub type "];
                let Some(rest) = types.iter().find_map(|start| line.strip_prefix(start)) else { continue };
                let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
                assert!(named.contains(name), "{name} in {} is not in the glossary", path.display());
                defined.insert(name.to_owned());
            }
        }
    }
    let without = glossary.split_once("## Types without a term").expect("the section").1;
    for name in without.split('`').skip(1).step_by(2).filter(|name| name.starts_with(char::is_uppercase)) {
        assert!(defined.contains(name), "{name} is no public type");
    }
}

#[test]
fn architecture_lists_every_decision_by_its_title() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the page");
    let decisions = markdown_in(&root().join("docs/adr"));
    assert!(decisions.len() > 20, "only {} decisions were found", decisions.len());
    for decision in decisions {
        let text = fs::read_to_string(&decision).expect("a decision");
        let (number, title) = text.lines().next().and_then(|line| line.split_once(": ")).expect("a title");
        let file = decision.file_name().expect("a name").to_string_lossy().into_owned();
        let row = format!("| [{}](adr/{file}) | {title} |", number.trim_start_matches("# "));
        assert!(page.contains(&row), "this row is missing: {row}");
    }
}

#[test]
fn paths_in_the_architecture_cross_few_files_which_exist() {
    let page = root().join("docs/ARCHITECTURE.md");
    let markdown = fs::read_to_string(&page).expect("the page");
    let files = |path: &str| {
        let (_, section) = markdown.split_once(&format!("### Files of {path}\n")).expect(path);
        let section = section.split("\n#").next().unwrap_or_default();
        let files: BTreeSet<&str> = links(section).into_iter().map(|(_, file)| file).collect();
        assert_eq!(files.len(), section.matches("](").count(), "a file is listed twice: {path}");
        for file in &files {
            assert!(page.with_file_name(file).is_file(), "{path}: {file}");
        }
        files
    };
    let [hit, miss, write, event] = ["a hit", "a miss", "a write", "an event"].map(files);
    assert!(hit.is_disjoint(&miss), "a miss lists the files that a hit does not have");
    let counts = [hit.len(), hit.len() + miss.len(), write.len(), event.len()];
    assert!(counts.iter().all(|count| *count >= 5), "{counts:?}");
    assert!(counts.into_iter().zip([15, 22, 15, 16]).all(|(count, most)| count <= most), "{counts:?}");
}

/// Returns the text of every file below `folder` whose name ends with `.rs`, with its path.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            found.push((path, text));
        }
    }
    found
}

#[test]
fn tests_that_the_comparison_names_exist() {
    let page = fs::read_to_string(root().join("docs/COMPARISON.md")).expect("the page");
    let (_, section) = page.split_once("## Tests of this crate\n").expect("the section");
    let tests = sources(&root().join("crates/cache/tests"));
    let mut checked = 0;
    for row in section.lines().filter(|line| line.starts_with("| ") && line.contains(".rs` |")) {
        let [file, test] = [1, 3].map(|at| row.split('`').nth(at).expect("a file and a test"));
        let declaration = format!("fn {test}(");
        let exists = tests.iter().any(|(path, text)| path.ends_with(file) && text.contains(&declaration));
        assert!(exists, "no {file} in crates/cache/tests has a test {test}");
        checked += 1;
    }
    assert!(checked > 10, "only {checked} tests were found");
}

#[test]
fn each_cell_about_another_library_links_to_its_evidence() {
    let page = fs::read_to_string(root().join("docs/COMPARISON.md")).expect("the page");
    let defined: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split_once("]: https://").map(|(name, _)| name))
        .collect();
    let mut used = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| [") && line.matches(" | ").count() > 3) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        for cell in &cells[1..] {
            let evidence: Vec<&str> =
                cell.split("][").skip(1).filter_map(|rest| rest.split_once(']').map(|(name, _)| name)).collect();
            let is_linked = !evidence.is_empty() && evidence.iter().all(|name| defined.contains(name));
            assert!(is_linked, "{}: the cell {cell:?} has no evidence", cells[0]);
            used.extend(evidence);
        }
    }
    assert!(used.len() > 60, "only {} links were found", used.len());
}

#[test]
fn metrics_page_lists_exactly_the_metrics_of_the_code() {
    let page = fs::read_to_string(root().join("docs/METRICS.md")).expect("the page");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split('`').next());
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();

    let folders = ["crates/cache/src", "crates/outbox/src", "crates/service/src", "services"];
    let makers =
        ["counter!(", "gauge!(", "histogram!(", "counted(", "measured(", "labelled(", "const DURATION: &str = "];
    let mut emitted = BTreeSet::new();
    for (_, text) in folders.iter().flat_map(|folder| sources(&root().join(folder))) {
        for maker in makers {
            let names = text.split(maker).skip(1).filter_map(|rest| rest.strip_prefix('"'));
            emitted.extend(names.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    assert!(emitted.len() > 40, "only {} metrics were found", emitted.len());
    assert_eq!(listed, emitted);
}
