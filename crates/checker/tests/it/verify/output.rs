//! The output of a run: the verdict, the report and the log of operations.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use checker::verify::Options;
use checker::verify::map::Promise;
use serde_json::Value;

use super::shop::Flaw;
use super::{check, check_with};

/// Enough reads to detect an error in the collection of the figures.
const READS: u64 = 2_000;

fn options() -> Options {
    Options { reads: READS, seconds: 60, together: 1, products: 16, ..Options::default() }
}

/// The machine is shared, and these tests do not judge the checker's share of the CPU time.
fn failures(mut report: checker::verify::Report) -> Vec<String> {
    report.own_cpu_share = 0.1;
    report.failures()
}

#[tokio::test]
async fn a_run_that_read_enough_of_a_sound_server_passes() {
    let report = check_with(Flaw::None, 1, Promise::Never, &options()).await;
    assert_eq!(failures(report), Vec::<String>::new());
}

#[tokio::test]
async fn a_run_that_read_too_little_fails() {
    let failures = failures(check(Promise::Never, 2).await);
    assert!(failures.len() == 1 && failures[0].contains("before the time was over"), "{failures:?}");
}

#[tokio::test]
async fn a_run_without_a_cache_or_with_refused_reads_fails() {
    for (flaw, says) in [(Flaw::NoCache, "no read came from a cache"), (Flaw::Refusals, "had no useful answer")] {
        let failures = failures(check_with(flaw, 1, Promise::Never, &options()).await);
        assert!(failures.len() == 1 && failures[0].contains(says), "{flaw:?}: {failures:?}");
    }
}

#[tokio::test]
async fn report_has_verdict_patterns_and_failures() {
    let folder = tempfile::tempdir().unwrap();
    let report = check_with(Flaw::UnwrittenValue, 1, Promise::Never, &options()).await;
    report.save(folder.path()).unwrap();
    let text = std::fs::read_to_string(folder.path().join("verify.md")).unwrap();
    for part in
        ["FAILED: promises were broken", "× Future", "Future: product", "| missing |", "% of the CPU time", "commit "]
    {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json: Value = serde_json::from_slice(&std::fs::read(folder.path().join("verify.json")).unwrap()).unwrap();
    assert!(json["failures"][0].as_str().unwrap().contains("promises were broken"), "{json}");
    let subject = &json["subjects"][0];
    assert!(subject["patterns"]["hot"]["hits"].as_u64().unwrap() > 0, "{subject}");
    assert!(subject["violations"][0]["read"]["begin"].is_u64(), "{subject}");
    assert_eq!(json["wanted_reads"], READS);
}

/// Returns the lines of a file, each as a map of columns by name.
fn lines(folder: &Path, name: &str) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().unwrap();
    lines
        .map(|cells| {
            assert_eq!(cells.len(), head.len(), "{name}: {cells:?}");
            head.iter().cloned().zip(cells).collect()
        })
        .collect()
}

#[tokio::test]
async fn every_read_and_write_is_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { log: Some(folder.path().to_owned()), ..options() };
    let report = check_with(Flaw::Refusals, 1, Promise::Never, &options).await;
    let tally = &report.subjects[0];
    let number = |line: &HashMap<String, String>, column: &str| -> u64 {
        line[column].parse().unwrap_or_else(|_| panic!("{column} of {line:?}"))
    };

    let keys = lines(folder.path(), "keys.csv");
    assert_eq!(keys.len(), 16);
    assert!(keys.iter().all(|line| line["subject"] == "\"shop\"" && number(line, "id") == number(line, "key") + 1));
    let known: HashSet<u64> = keys.iter().map(|line| number(line, "key")).collect();

    let reads = lines(folder.path(), "reads.csv");
    let (failed, seen): (Vec<_>, Vec<_>) = reads.iter().partition(|line| line["source"] == "failed");
    assert_eq!((seen.len() as u64, failed.len() as u64), (tally.reads, tally.failed_reads));
    assert!(!failed.is_empty(), "it refuses reads");
    assert_eq!(seen.iter().filter(|line| line["source"] == "hit").count() as u64, tally.hits);
    for line in &reads {
        assert!(number(line, "begin_ns") <= number(line, "end_ns") && known.contains(&number(line, "key")), "{line:?}");
        assert!(number(line, "node") == 0 && number(line, "session") < 100, "{line:?}");
    }
    for line in &seen {
        assert!(number(line, "version") >= number(line, "floor") && line["anomaly"].is_empty(), "{line:?}");
        assert!(number(line, "number") > 0 && number(line, "stale_ns") == 0, "{line:?}");
    }

    let writes = lines(folder.path(), "writes.csv");
    assert_eq!(writes.len() as u64, tally.writes);
    for line in &writes {
        assert!(number(line, "begin_ns") <= number(line, "end_ns") && known.contains(&number(line, "key")), "{line:?}");
        assert!(number(line, "version") > 1 && line["acknowledged"] == "yes" && line["source"] == "-", "{line:?}");
        assert!(number(line, "node") == 0 && number(line, "session") < 100, "{line:?}");
    }
    let numbers: HashSet<u64> = writes.iter().map(|line| number(line, "number")).collect();
    assert_eq!(numbers.len(), writes.len(), "no two writes have the same number");
}
