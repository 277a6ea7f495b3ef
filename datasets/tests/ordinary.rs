//! Our own rules over recorded events in which no public rule finds anything: nothing of level high or above, apart from
//! what is listed with its reason. These records come from laboratories and exercises, so ordinary means no more than
//! that; the two ordinary days of the scenario are judged in `scenario.rs`.

#[allow(dead_code, reason = "each test uses a part")]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_detection::Engine;
use canh_schema::{Level, Position, Timestamp};
use support::{engine, findings, rules, shared};

/// Corpus, rule, findings, why they are right.
const KNOWN: &[(&str, &str, usize, &str)] = &[
    (
        "otrf-stream",
        "LSASS Opened with Rights to Read Its Memory",
        7,
        "recorded while passwords were being read out of memory (0x1010); this corpus has no truth file",
    ),
    ("otrf-stream", "Security Log Cleared", 14, "the log was cleared before each recording began"),
];

const PIECE_LEN: usize = 1 << 20;

#[track_caller]
fn check(corpus: &str, extension: &str) {
    let Some(data) = shared::data() else { return };
    let dir = data.join("corpus");
    let truth = dir.join(format!("{corpus}.expected.tsv.gz"));
    let attacks: BTreeSet<usize> = match truth.exists() {
        true => shared::expected(&truth).into_iter().map(|(line, _)| line).collect(),
        false => BTreeSet::new(),
    };
    let mut engine = engine(&[rules()]);
    let (mut piece, mut position, mut lines, mut loud) = (Vec::new(), 0, 0_usize, BTreeMap::new());
    for (number, line) in shared::lines(&dir.join(format!("{corpus}.{extension}"))).enumerate() {
        if attacks.contains(&number) {
            continue;
        }
        lines += 1;
        piece.extend_from_slice(line.as_bytes());
        piece.push(b'\n');
        if piece.len() > PIECE_LEN {
            position += 1;
            judge(&mut engine, std::mem::take(&mut piece), position, &mut loud);
        }
    }
    judge(&mut engine, piece, position + 1, &mut loud);
    let shown: Vec<_> = loud.iter().map(|(rule, (count, _))| (rule.clone(), *count)).collect();
    let known: Vec<_> =
        KNOWN.iter().filter(|row| row.0 == corpus).map(|(_, rule, count, _)| ((*rule).to_owned(), *count)).collect();
    eprintln!("{corpus}: {lines} lines, {shown:?}");
    assert_eq!(shown, known, "{corpus}: rules of level high and above that hold: {loud:#?}");
}

fn judge(engine: &mut Engine, lines: Vec<u8>, position: u64, loud: &mut BTreeMap<String, (usize, String)>) {
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").expect("a time");
    let mut envelope = Envelope::new(Door::Import, received, Framing::NdJson, Bytes::from(lines));
    envelope.host = Some("recorded".into());
    let batch = decode(&envelope, Position::new(position), 1, &DecodeSettings::default());
    for finding in findings(engine, &batch).iter().filter(|finding| finding.rule.level >= Level::High) {
        let first = || format!("{} {:?} {:?} {:?}", finding.time, finding.host, finding.source_ip, finding.matches);
        loud.entry(finding.rule.title.to_string()).or_insert_with(|| (0, first())).0 += 1;
    }
}

#[test]
fn zeek() {
    check("zeek", "jsonl.gz");
}

#[test]
fn cloudtrail() {
    check("cloudtrail", "jsonl.gz");
}

#[test]
fn saas_cloud() {
    check("saas-cloud", "jsonl.gz");
}

#[test]
fn windows_in_its_natural_mix() {
    check("otrf-stream", "jsonl.zst");
}
