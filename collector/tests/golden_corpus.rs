//! Events that nobody here wrote, from the shared data: each line becomes one event, and the log source that is found
//! is the one that the data's own envelope names. Skipped, loudly, where the data is not there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_schema::{Event, Position, Timestamp, Value};

fn data(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/detection").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: `{}` is not there", path.display());
    None
}

fn read(path: &Path) -> Vec<u8> {
    let file = File::open(path).unwrap();
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "zst") {
        zstd::Decoder::new(file).unwrap().read_to_end(&mut bytes).unwrap();
    } else {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    }
    bytes
}

/// Name and content of each file of a tar archive (ustar with the long names of GNU and pax).
fn files_of_tar(mut archive: &[u8]) -> Vec<(String, &[u8])> {
    let text =
        |field: &[u8]| String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap_or(&[])).into_owned();
    let mut files = Vec::new();
    let mut long_name = None;
    while archive.len() >= 512 && archive[0] != 0 {
        let (head, rest) = archive.split_at(512);
        let len = usize::from_str_radix(text(&head[124..136]).trim(), 8).unwrap();
        let content = &rest[..len];
        match head[156] {
            b'L' => long_name = Some(text(content)),
            b'x' => {
                let records = String::from_utf8_lossy(content).into_owned();
                let path =
                    records.lines().find_map(|record| record.split_once(" path=").map(|(_, path)| path.to_owned()));
                long_name = path.or(long_name);
            }
            b'0' | 0 => {
                let prefix = text(&head[345..500]);
                let name = text(&head[..100]);
                let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                files.push((long_name.take().unwrap_or(name), content));
            }
            _ => long_name = None,
        }
        archive = rest.get(len.div_ceil(512) * 512..).unwrap_or(&[]);
    }
    files
}

fn decode_all(framing: Framing, bytes: Vec<u8>) -> Vec<Event> {
    let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap();
    let settings = DecodeSettings { events_max: usize::MAX, ..DecodeSettings::default() };
    let envelope = Envelope::new(Door::Import, received, framing, Bytes::from(bytes));
    decode(&envelope, Position::new(1), 1, &settings).events
}

fn issues(events: &[Event]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for issue in events.iter().flat_map(|event| &event.issues) {
        let detail = if issue.kind.name() == "type_conflict" { issue.detail.as_str() } else { "" };
        *counts.entry(format!("{} {detail}", issue.kind.name()).trim_end().to_owned()).or_insert(0) += 1;
    }
    counts
}

/// Product, service and sorted categories.
type Source = (Option<String>, Option<String>, Vec<String>);

fn derived(event: &Event) -> Source {
    let source = &event.logsource;
    let mut categories: Vec<String> = source.categories.iter().map(ToString::to_string).collect();
    categories.sort();
    (source.product.as_ref().map(ToString::to_string), source.service.as_ref().map(ToString::to_string), categories)
}

fn stated(value: impl Fn(&str) -> Vec<String>) -> Source {
    let mut categories = value("_category");
    categories.sort();
    (value("_product").pop(), value("_service").pop(), categories)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value.map(|value| value.members().iter().filter_map(Value::as_text).map(String::from).collect()).unwrap_or_default()
}

/// Decodes a file of lines without regard to its envelope keys and compares what is found with what they say. A line
/// that differs for a known reason is counted under it.
#[track_caller]
fn check_lines(file: &str, expected_issues: &[(&str, usize)], expected_differences: &[(&str, usize)]) {
    let Some(path) = data(file) else { return };
    let bytes = read(&path);
    let mut events = 0;
    let mut found = BTreeMap::new();
    let mut differences: BTreeMap<String, usize> = BTreeMap::new();
    for chunk in chunks(&bytes) {
        let named = decode_all(Framing::NdJson, chunk.to_vec());
        let lines = chunk.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        assert_eq!(named.len(), lines, "{file}: one event for each line");
        events += lines;
        for (issue, count) in issues(&named) {
            *found.entry(issue).or_default() += count;
        }
        for (event, named) in decode_all(Framing::Lines, chunk.to_vec()).iter().zip(&named) {
            let stated = stated(|key| texts(event.attr(key)));
            assert_eq!(derived(named), stated, "{file}: the envelope's own words");
            let derived = derived(event);
            if derived != stated {
                let reason = reason(event).map(str::to_owned);
                let reason = reason.unwrap_or_else(|| format!("{} for {}", shown(&derived), shown(&stated)));
                *differences.entry(reason).or_default() += 1;
            }
        }
    }
    println!("{file}: {events} events, issues {found:?}");
    println!("{file}: log sources that differ {differences:#?}");
    let owned = |list: &[(&str, usize)]| list.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect();
    assert_eq!(found, owned(expected_issues), "{file}: issues");
    assert_eq!(differences, owned(expected_differences), "{file}: log sources");
}

fn shown(source: &Source) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
    format!("{}/{}/{}", text(&source.0), text(&source.1), source.2.join("+"))
}

/// Whole lines, about a mebibyte each time, so that a large file does not stand in memory as events.
fn chunks(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let from = bytes.len().min(1 << 20);
        let end = bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| from + at + 1);
        let (chunk, rest) = bytes.split_at(end);
        bytes = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

const CLEARED: &str = "event 104 says in `Channel` which log was cleared; its own is lost in the flat form";
const WINLOGBEAT_6: &str = "Winlogbeat 6, whose service the envelope does not name and we do";

const DNS_SERVER: &str = "channel `DNS Server`, which the envelope leaves without a service; the specification has one";

/// Why the envelope says something else.
fn reason(event: &Event) -> Option<&'static str> {
    let is = |name, text| event.attr(name).and_then(Value::as_str) == Some(text);
    if is("Provider_Name", "Microsoft-Windows-Eventlog") && event.attr("EventID") == Some(&Value::Integer(104)) {
        return Some(CLEARED);
    }
    if is("Channel", "DNS Server") {
        return Some(DNS_SERVER);
    }
    is("@metadata.beat", "winlogbeat").then_some(WINLOGBEAT_6)
}

#[test]
fn windows_attack_samples() {
    check_lines("corpus/evtx-flat.jsonl.gz", &[], &[(CLEARED, 89), (DNS_SERVER, 4)]);
}

#[test]
fn windows_simulated_intrusions() {
    check_lines("corpus/otrf-balanced.jsonl.zst", &[], &[(WINLOGBEAT_6, 3_000)]);
}

#[test]
fn zeek_logs() {
    check_lines("corpus/zeek.jsonl.gz", &[], &[]);
}

/// Decodes a file of lines for which there is no table yet: the envelope names the source.
#[track_caller]
fn check_named(file: &str, expected_issues: &[(&str, usize)]) {
    let Some(path) = data(file) else { return };
    let bytes = read(&path);
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let events = decode_all(Framing::NdJson, bytes);
    assert_eq!(events.len(), lines, "{file}: one event for each line");
    for issue in events.iter().flat_map(|event| &event.issues) {
        println!("{file}: {} {}", issue.kind.name(), issue.detail);
    }
    let expected = expected_issues.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect();
    assert_eq!(issues(&events), expected, "{file}: issues");
}

#[test]
fn cloud_logs() {
    check_named("corpus/cloudtrail.jsonl.gz", &[]);
    // Times such as `redacted` and `2025-04-11:21:02.3387000Z`.
    check_named("corpus/saas-cloud.jsonl.gz", &[("bad_time", 10)]);
}

#[test]
fn audit_logs() {
    let Some(path) = data("linux/auditd-raw.tar.gz") else { return };
    let archive = read(&path);
    let mut total = 0;
    for (name, content) in files_of_tar(&archive).into_iter().filter(|(name, _)| name.ends_with(".log")) {
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        let events = decode_all(Framing::Lines, content.to_vec());
        assert_eq!(events.len(), lines, "{name}");
        for event in &events {
            let unread = event.raw.starts_with(b"type=UNKNOWN[") && !event.raw.windows(6).any(|word| word == b"audit(");
            assert_eq!(event.issues.len(), usize::from(unread), "{name}: {:?}", event.raw);
            assert_eq!(event.logsource.service.as_deref(), Some("auditd"), "{name}: {:?}", event.raw);
            assert!(event.attr("type").is_some() && (unread || event.time < event.received), "{name}: {:?}", event.raw);
        }
        total += events.len();
    }
    println!("auditd: {total} records");
    assert_eq!(total, 158);
}

/// Values of one sample that upstream wrote otherwise in its JSON than in its EVTX: a letter's case, a digit of the time.
const KNOWN_DIFFERENT: usize = 2;

/// The nested JSON of each labelled sample gives the same log source and the same values as its flat form.
#[test]
fn nested_windows_events_equal_their_flat_form() {
    let (Some(raw), Some(flat), Some(places)) = (
        data("regression/raw.tar.zst"),
        data("regression/regression.jsonl.gz"),
        data("regression/regression.source.tsv.gz"),
    ) else {
        return;
    };
    let archive = read(&raw);
    let mut samples = BTreeMap::new();
    for (name, content) in files_of_tar(&archive).into_iter().filter(|(name, _)| name.ends_with(".json")) {
        let stem = Path::new(&name).file_stem().unwrap().to_string_lossy().into_owned();
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let documents = serde_json::Deserializer::from_slice(content).into_iter::<serde_json::Value>();
        let lines: String = documents.map(|document| format!("{}\n", document.unwrap())).collect();
        samples.insert(stem, decode_all(Framing::Lines, lines.into_bytes()));
    }
    let flat = read(&flat);
    let places = String::from_utf8(read(&places)).unwrap();
    let mut compared = 0;
    let mut differ = Vec::new();
    for (line, place) in flat.split(|byte| *byte == b'\n').zip(places.lines()) {
        let mut columns = place.split('\t').skip(1);
        let (sample, n) = (columns.next().unwrap(), columns.next().unwrap().parse::<usize>().unwrap());
        let event = &samples.get(sample).unwrap_or_else(|| panic!("no sample `{sample}`"))[n];
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
        let source = stated(|key| match object.get(key) {
            Some(serde_json::Value::Array(list)) => {
                list.iter().filter_map(|one| one.as_str()).map(String::from).collect()
            }
            Some(serde_json::Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        });
        assert_eq!(derived(event), source, "{sample}");
        assert_eq!(event.issues, [], "{sample}");
        for (key, value) in object.iter().filter(|(key, _)| !key.starts_with('_')) {
            // The nested form was written without the blanks around texts.
            let trimmed = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => text.trim().into(),
                other => other,
            };
            let found = event.attr(key).map(plain).map(trimmed);
            if found != Some(trimmed(value.clone())) {
                differ.push(format!("{sample} {key}: {found:?} for {value:?}"));
            }
        }
        compared += 1;
    }
    println!("nested against flat: {compared} events, values that differ: {differ:#?}");
    assert_eq!(differ.len(), KNOWN_DIFFERENT, "{differ:#?}");
    assert_eq!(compared, 175);
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Ip(value) => value.to_string().into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(values) => values.iter().map(plain).collect(),
    }
}
