//! Every shipped rule finds its own samples and not the others. A sample is raw: it goes through the real decoder.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use canh_schema::Timestamp;
use serde_json::Value;
use support::{engine, events, findings, rules};

/// Every folder with a `rule.yml`.
fn folders() -> Vec<PathBuf> {
    let list = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("cannot read `{}`: {error}", dir.display()));
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect()
    };
    let mut folders: Vec<PathBuf> = list(&rules()).iter().flat_map(|area| list(area)).collect();
    folders.sort();
    assert!(folders.len() >= 10, "where are the rules?");
    folders
}

struct Sample {
    about: String,
    format: String,
    lines: String,
}

fn samples(path: &Path) -> Vec<Sample> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
    let samples: Vec<Sample> = text
        .lines()
        .map(|line| {
            let value: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
            let lines: Vec<&str> = value["raw"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
            Sample { about: text("about"), format: text("format"), lines: lines.join("\n") }
        })
        .collect();
    assert!(!samples.is_empty(), "`{}` has no sample", path.display());
    samples
}

/// The titles that fire on a sample, on a fresh engine with this rule only.
fn fired(folder: &Path, sample: &Sample) -> Vec<String> {
    let received = Timestamp::parse_rfc3339("2026-01-15T12:00:00Z").expect("a time");
    let batch = events(sample.lines.as_bytes(), Some(&sample.format), "sample", 1, received);
    let found = findings(&mut engine(&[folder.join("rule.yml")]), &batch);
    found.iter().map(|finding| finding.rule.title.to_string()).collect()
}

#[test]
fn every_rule_finds_what_it_is_for() {
    for folder in folders() {
        for sample in samples(&folder.join("match.ndjson")) {
            assert!(
                !fired(&folder, &sample).is_empty(),
                "{}: nothing was found in: {}",
                folder.display(),
                sample.about
            );
        }
    }
}

#[test]
fn no_rule_finds_its_near_misses() {
    for folder in folders() {
        for sample in samples(&folder.join("no_match.ndjson")) {
            let fired = fired(&folder, &sample);
            assert!(fired.is_empty(), "{}: {fired:?} fired on: {}", folder.display(), sample.about);
        }
    }
}
