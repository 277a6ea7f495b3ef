//! Samples of described sources: decoded and compared with what was expected.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use canh_schema::{Event, Position, Timestamp, Value};
use serde_json::{Map, json};

use super::{Problem, Vendors};
use crate::{DecodeSettings, Door, Envelope, Framing, decode};

/// What came of the samples of one folder.
#[derive(Debug)]
pub struct Proof {
    pub name: String,
    pub events: usize,
    /// What is wrong with the folder, or with reading or writing its samples.
    pub problems: Vec<Problem>,
    /// Lines that are expected and missing begin with `-`, others with `+`.
    pub differences: Vec<String>,
}

impl Proof {
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.differences.is_empty()
    }
}

/// Whether what comes of the samples is written down as expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Saved {
    Compared,
    Written,
}

/// When the samples count as received, so that a time without year is always the same.
const RECEIVED: &str = "2026-11-22T09:00:00Z";

/// Decodes the `sample.log` of each folder of `dir`, or of `dir` itself, line by line, and compares it with the
/// `expected.ndjson`.
pub fn prove(dir: &Path, saved: Saved) -> Vec<Proof> {
    let is_one = dir.join("source.toml").exists();
    let whole = match dir.parent().filter(|_| is_one) {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => dir,
    };
    let vendors = Arc::new(Vendors::load(whole));
    let mut folders: Vec<_> = match is_one {
        true => vec![dir.to_owned()],
        false => std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect(),
    };
    folders.retain(|path| path.join("source.toml").exists());
    folders.sort();
    let mut proofs: Vec<Proof> = folders.iter().map(|path| folder(path, &vendors, saved)).collect();
    if proofs.is_empty() {
        let reason = "there is no folder with a `source.toml` in it".to_owned();
        let problem = Problem { path: dir.display().to_string(), line: None, reason };
        proofs.push(Proof { name: String::new(), events: 0, problems: vec![problem], differences: Vec::new() });
    }
    proofs
}

fn folder(path: &Path, vendors: &Arc<Vendors>, saved: Saved) -> Proof {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let start = path.display().to_string();
    let mut problems: Vec<Problem> =
        vendors.problems().iter().filter(|problem| problem.path.starts_with(&start)).cloned().collect();
    if !problems.is_empty() {
        return Proof { name, events: 0, problems, differences: Vec::new() };
    }
    let at = |file: &str, error: std::io::Error| Problem {
        path: path.join(file).display().to_string(),
        line: None,
        reason: error.to_string(),
    };
    let sample = match std::fs::read(path.join("sample.log")) {
        Ok(sample) => sample,
        Err(error) => {
            problems.push(at("sample.log", error));
            return Proof { name, events: 0, problems, differences: Vec::new() };
        }
    };
    let events = events(&sample, vendors);
    let found: Vec<String> = events.iter().map(shown).collect();
    if saved == Saved::Written {
        let text: String = found.iter().map(|line| format!("{line}\n")).collect();
        if let Err(error) = std::fs::write(path.join("expected.ndjson"), text) {
            problems.push(at("expected.ndjson", error));
        }
        return Proof { name, events: events.len(), problems, differences: Vec::new() };
    }
    let expected = std::fs::read_to_string(path.join("expected.ndjson")).unwrap_or_else(|error| {
        problems.push(at("expected.ndjson", error));
        String::new()
    });
    let expected: Vec<&str> = expected.lines().collect();
    let mut differences = Vec::new();
    for number in 0..expected.len().max(found.len()) {
        let (ours, theirs) = (found.get(number).map(String::as_str), expected.get(number).copied());
        if ours != theirs && problems.is_empty() {
            differences.push(format!("sample {}", number + 1));
            differences.extend(parts(theirs, ours));
        }
    }
    Proof { name, events: events.len(), problems, differences }
}

fn events(sample: &[u8], vendors: &Arc<Vendors>) -> Vec<Event> {
    let received = Timestamp::parse_rfc3339(RECEIVED).unwrap_or_default();
    let settings = DecodeSettings { vendors: vendors.clone(), ..DecodeSettings::default() };
    let envelope = Envelope::new(Door::Import, received, Framing::Lines, Bytes::copy_from_slice(sample));
    decode(&envelope, Position::new(1), 1, &settings).events
}

/// The values in which two events differ.
fn parts(expected: Option<&str>, found: Option<&str>) -> Vec<String> {
    let read = |text: Option<&str>| serde_json::from_str::<Map<String, serde_json::Value>>(text?).ok();
    let (Some(expected_map), Some(found_map)) = (read(expected), read(found)) else {
        let line = |mark, text: Option<&str>| text.map(|text| format!("{mark} {text}"));
        return line('-', expected).into_iter().chain(line('+', found)).collect();
    };
    let mut parts = Vec::new();
    let names = expected_map.keys().chain(found_map.keys().filter(|name| !expected_map.contains_key(*name)));
    for name in names {
        let (theirs, ours) = (expected_map.get(name), found_map.get(name));
        if theirs != ours {
            parts.extend(theirs.map(|value| format!("-   {name} = {value}")));
            parts.extend(ours.map(|value| format!("+   {name} = {value}")));
        }
    }
    parts
}

/// The event as one line of JSON. What it is made of has names that begin with `_`, attributes with `+`.
fn shown(event: &Event) -> String {
    let mut map = Map::new();
    let source = &event.logsource;
    map.insert("_time".to_owned(), json!(event.time.to_string()));
    map.insert("_class".to_owned(), json!(event.class.name()));
    map.insert("_product".to_owned(), json!(source.product.as_deref()));
    map.insert("_service".to_owned(), json!(source.services().collect::<Vec<_>>()));
    map.insert("_category".to_owned(), json!(source.categories.iter().map(|name| name.as_str()).collect::<Vec<_>>()));
    for (id, value) in &event.fields {
        map.insert(id.name().to_owned(), value_of(value));
    }
    for (name, value) in &event.attrs {
        map.insert(format!("+{name}"), value_of(value));
    }
    let issues: Vec<_> = event.issues.iter().map(|issue| format!("{} {}", issue.kind.name(), issue.detail)).collect();
    if !issues.is_empty() {
        map.insert("_issues".to_owned(), json!(issues));
    }
    serde_json::Value::Object(map).to_string()
}

fn value_of(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(flag) => json!(flag),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Ip(address) => json!(address.to_string()),
        Value::Text(text) => json!(text.as_str()),
        Value::List(members) => serde_json::Value::Array(members.iter().map(value_of).collect()),
    }
}
