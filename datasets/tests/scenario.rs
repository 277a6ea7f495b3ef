//! The scenario against the shipped rules, without the network: what is ordinary stays quiet, the log part of the
//! attack is found, for more than one seed. The packets are judged by the black-box tests.

#[allow(dead_code, reason = "each test uses a part")]
mod support;

use std::collections::BTreeSet;
use std::fs;

use canh_datasets::{Door, Manifest, Options, generate};
use canh_schema::{EventBatch, Level, Timestamp};
use support::{engine, events, findings, rules};

fn end() -> Timestamp {
    Timestamp::parse_rfc3339("2026-03-05T03:20:00Z").expect("a time")
}

/// Every log file, decoded, in one stream in the order of time as it would arrive.
fn stream(dir: &std::path::Path, manifest: &Manifest) -> EventBatch {
    let mut all = EventBatch::new(canh_schema::Position::new(1), Vec::new());
    for (position, file) in (1..).zip(&manifest.files) {
        if file.door == Door::AgentCapture {
            continue;
        }
        let text = fs::read(dir.join(&file.path)).expect("the file was written");
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        assert_eq!(lines, file.records, "{}", file.path);
        all.events.extend(events(&text, None, file.host, position, end()).events);
    }
    all.events.sort_by_key(|event| event.time);
    all
}

#[track_caller]
fn check(seed: u64) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options { hours: 24, scale: 0.5, ..Options::new(seed, end()) };
    let manifest = generate(&options, dir.path()).expect("the scenario is written");
    let batch = stream(dir.path(), &manifest);
    let unread = batch.events.iter().find(|event| !event.issues.is_empty());
    assert!(unread.is_none(), "a line that is not read as it should: {unread:?}");

    let found = findings(&mut engine(&[rules()]), &batch);
    let fired: BTreeSet<&str> = found.iter().map(|finding| finding.rule.id.as_str()).collect();
    let packets_only = "3c8ae19d-27b9-4f14-a8dc-5e9f2a6b4cbb";
    let expected: BTreeSet<&str> = manifest
        .truth
        .steps
        .iter()
        .flat_map(|step| step.rules.iter().copied())
        .filter(|rule| *rule != packets_only)
        .collect();
    let missed: Vec<_> = expected.difference(&fired).collect();
    assert!(missed.is_empty(), "seed {seed}: missed {missed:?}");
    for finding in found.iter().filter(|finding| finding.rule.level >= Level::High) {
        assert!(expected.contains(finding.rule.id.as_str()), "seed {seed}: a false alarm: {finding:?}");
    }
}

#[test]
fn the_attack_is_found_and_nothing_ordinary_is_high() {
    check(1);
    check(2);
    check(77);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let written = |seed| {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let manifest = generate(&Options { hours: 4, ..Options::new(seed, end()) }, dir.path()).expect("written");
        manifest
            .files
            .iter()
            .map(|file| fs::read(dir.path().join(&file.path)).expect("the file was written"))
            .collect::<Vec<_>>()
    };
    assert!(written(5) == written(5), "the same seed gave different bytes");
    assert!(written(5) != written(6), "another seed gave the same bytes");
}
