//! Event log files of Windows as they lie on a disk: the verdicts of all public rules over the raw files are those of the
//! ground truth, which somebody else's reader and judge made of the same files.

#[allow(dead_code, reason = "each test uses a part")]
mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Cursor;
use std::ops::ControlFlow;

use canh_collector::{EvtxFile, EvtxProblem};
use canh_detection::{Engine, EngineConfig, load_paths};
use canh_schema::{Timestamp, Value};
use support::{events, findings, shared};

/// Differences from the ground truth that are known: the rule, in how many records it is missing and in how many it is
/// found besides, and why.
const KNOWN: &[(&str, usize, usize, &str)] = &[
    (
        "69aeb277-f15f-4d2d-b32a-55e883609563",
        13,
        0,
        "4719: its filter names identifiers in braces, as Windows and our reader write them; the flat form has none",
    ),
    ("ab4561b1-6c7e-48a7-ad08-087cfb9ce8f1", 0, 13, "4719: the other side of the same, its selection names them"),
    (
        "cbe51394-cd93-4473-b555-edf0144952d9",
        0,
        4,
        "channel `DNS Server` is service `dns-server`; the flat form has none",
    ),
];

/// Records that the other reader has and ours has not, or the reverse: the file, how many more ours has, and why.
const COUNTS: &[(&str, i64, &str)] = &[];

#[test]
fn raw_event_logs_are_judged_as_their_flat_form() {
    let Some(data) = shared::data() else { return };
    let corpus = data.join("corpus");
    // File and number of the record in it, to the line of the flat form.
    let mut flat: HashMap<String, Vec<usize>> = HashMap::new();
    for line in shared::lines(&corpus.join("evtx-flat.source.tsv.gz")) {
        let mut columns = line.split('\t');
        let mut column = || columns.next().expect("three columns").to_owned();
        let (line, file, number) = (column(), column(), column());
        let lines = flat.entry(file).or_default();
        assert_eq!(number.parse::<usize>().expect("a number"), lines.len(), "records are in order");
        lines.push(line.parse().expect("a number"));
    }
    let ids: Vec<String> = shared::lines(&corpus.join("evtx-flat.jsonl.gz"))
        .map(|line| {
            let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let id = &event["EventRecordID"];
            id.as_str().map_or_else(|| id.to_string(), str::to_owned)
        })
        .collect();

    let (_dir, rules) = shared::public_rules(&data);
    let mut engine = Engine::new(load_paths(&rules), EngineConfig::default());
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").expect("a time");
    let (mut found, mut position, mut issues) = (BTreeSet::new(), 0, BTreeMap::new());
    let mut counts = Vec::new();
    shared::each_file(&corpus.join("evtx-raw.tar.zst"), |name, bytes| {
        let lines = flat.get(name).unwrap_or_else(|| panic!("`{name}` has no flat form"));
        let mut records = Vec::new();
        let file = EvtxFile::open(Cursor::new(bytes)).unwrap_or_else(|problem| panic!("`{name}`: {problem}"));
        file.read(|record| {
            match record {
                Ok(record) => records.push(record),
                Err(EvtxProblem::Tail { .. }) => (),
                Err(problem) => eprintln!("{name}: {problem}"),
            }
            ControlFlow::Continue(())
        });
        if records.len() != lines.len() {
            counts.push((name.to_owned(), records.len() as i64 - lines.len() as i64));
        }
        let mut place = 0;
        for record in &records {
            position += 1;
            let batch = events(record, Some("evtx"), "import", position, received);
            let [event] = batch.events.as_slice() else { panic!("{name}: one event for each record") };
            for issue in &event.issues {
                *issues.entry(format!("{} {}", issue.kind.name(), issue.detail)).or_insert(0) += 1;
            }
            let id = event.attr("EventRecordID").and_then(Value::as_text).unwrap_or_default();
            // The same record by its own number: a record that only one of the readers has moves nothing.
            let Some(at) = lines[place..].iter().position(|line| ids[*line] == id) else { continue };
            place += at;
            let line = lines[place];
            place += 1;
            found.extend(findings(&mut engine, &batch).into_iter().map(|f| (line, f.rule.id.as_str().to_owned())));
        }
    });
    eprintln!("{} issues: {issues:#?}", issues.len());

    let expected = shared::expected(&corpus.join("evtx-flat.expected.tsv.gz"));
    let mut differences: BTreeMap<&str, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    expected.difference(&found).for_each(|(line, rule)| differences.entry(rule).or_default().0.push(*line));
    found.difference(&expected).for_each(|(line, rule)| differences.entry(rule).or_default().1.push(*line));
    eprintln!("{} of {} pairs agree", expected.intersection(&found).count(), expected.len());
    let counted: Vec<_> = differences.iter().map(|(rule, (less, more))| (*rule, less.len(), more.len())).collect();
    let known: Vec<_> = KNOWN.iter().map(|(rule, less, more, _)| (*rule, *less, *more)).collect();
    assert_eq!(counted, known, "lines that lack a verdict, and that have one too many: {differences:#?}");
    let known: Vec<_> = COUNTS.iter().map(|(file, more, _)| ((*file).to_owned(), *more)).collect();
    assert_eq!(counts, known, "files with more or fewer records");
}
