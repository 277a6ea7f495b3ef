//! Entries for fuzzing: each takes any bytes and must not panic.

use canh_schema::{BatchId, Event, EventId, Timestamp, Value};

use crate::builder::{Builder, LoadOptions};
use crate::fields::FIELDS;
use crate::format::FORMATS;

/// Every reader by name.
pub fn fuzz_targets() -> Vec<(&'static str, fn(&[u8]))> {
    let mut targets: Vec<(&'static str, fn(&[u8]))> = vec![("list", list), ("allow", allow), ("event", event)];
    // One entry for each format, which is named so that it is chosen.
    for format in FORMATS {
        let target: fn(&[u8]) = match format.name() {
            "stix" => stix,
            "misp" => misp,
            "csv" => csv,
            _ => plain,
        };
        targets.push((format.name(), target));
    }
    targets
}

fn read(file: &str, text: &str) {
    let mut builder = Builder::new(LoadOptions::default());
    builder.add_text(file, text);
    let (set, _) = builder.finish();
    // Whatever was taken can be shown and is found again.
    for indicator in set.iter().take(100) {
        let _ = (indicator.level(), indicator.value);
    }
}

fn list(bytes: &[u8]) {
    read("list", &String::from_utf8_lossy(bytes));
}

fn plain(bytes: &[u8]) {
    read("list.txt", &String::from_utf8_lossy(bytes));
}

fn csv(bytes: &[u8]) {
    read("list.csv", &String::from_utf8_lossy(bytes));
}

fn misp(bytes: &[u8]) {
    read("list.json", &format!("{{\"Event\":{}}}", String::from_utf8_lossy(bytes)));
    read("list.json", &String::from_utf8_lossy(bytes));
}

fn stix(bytes: &[u8]) {
    let pattern = serde_json::Value::from(String::from_utf8_lossy(bytes));
    read("list", &format!(r#"{{"type":"bundle","objects":[{{"type":"indicator","pattern":{pattern}}}]}}"#));
    read("list", &format!(r#"{{"type":"bundle","objects":[{}]}}"#, String::from_utf8_lossy(bytes)));
}

fn allow(bytes: &[u8]) {
    let mut builder = Builder::new(LoadOptions::default());
    builder.add_allowed("allow", &String::from_utf8_lossy(bytes));
    builder.finish();
}

/// The bytes as the value of every field that is looked at.
fn event(bytes: &[u8]) {
    let mut builder = Builder::new(LoadOptions::default());
    for format in FORMATS {
        builder.add_text("list", format.sample());
    }
    let (set, _) = builder.finish();
    let text = String::from_utf8_lossy(bytes);
    let now = Timestamp::from_secs(1_793_000_000);
    let mut event = Event::new(EventId::new(BatchId::from_journal(1, 1), 0), now, Default::default());
    for (name, _) in FIELDS {
        event.attrs.push(((*name).into(), Value::from(text.as_ref())));
    }
    set.evaluate(&event, now);
}
