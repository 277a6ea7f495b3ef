//! The event corpora beside the workspace, as events.
#![allow(dead_code)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use canh_schema::{BatchId, Event, EventId, FieldId, Timestamp, Value, field};

/// `../shared/data/detection/corpus` beside the workspace, or nothing, loudly.
pub(crate) fn corpus() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/detection/corpus");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED: the event corpora are not at `{}`", dir.display());
    None
}

/// Opens a `.gz` or `.zst` file as lines.
pub(crate) fn lines(path: &Path) -> Box<dyn Iterator<Item = String>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open `{}`: {error}", path.display()));
    let plain: Box<dyn Read> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file).expect("the file is zstd")),
        _ => Box::new(file),
    };
    Box::new(BufReader::new(plain).lines().map(|line| line.expect("the file is UTF-8 lines")))
}

/// What the normaliser makes catalogue fields of, as far as indicators are concerned.
const NORMALISED: &[(&str, FieldId)] = &[
    ("Computer", field::HOST_NAME),
    ("SourceIp", field::SOURCE_IP),
    ("IpAddress", field::SOURCE_IP),
    ("DestinationIp", field::DESTINATION_IP),
    ("DestinationHostname", field::DESTINATION_DOMAIN),
    ("QueryName", field::DNS_QUESTION_NAME),
    ("id.orig_h", field::SOURCE_IP),
    ("id.resp_h", field::DESTINATION_IP),
    ("id.resp_p", field::DESTINATION_PORT),
    ("query", field::DNS_QUESTION_NAME),
    ("answers", field::DNS_ANSWERS_DATA),
    ("server_name", field::TLS_SERVER_NAME),
    ("ja3", field::TLS_JA3),
    ("user_agent", field::USER_AGENT),
    ("host", field::URL_DOMAIN),
    ("uri", field::URL_ORIGINAL),
    ("md5", field::HASH_MD5),
    ("sha1", field::HASH_SHA1),
    ("Image", field::PROCESS_EXECUTABLE),
    ("CommandLine", field::PROCESS_COMMAND_LINE),
];

/// One line as an event, with native names and with catalogue fields.
pub(crate) fn event(index: usize, line: &str) -> Event {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).expect("a JSON object");
    let number = u32::try_from(index).expect("fewer than four billion lines");
    let id = EventId::new(BatchId::from_journal(1, 1), number);
    let mut event = Event::new(id, Timestamp::from_secs(1_700_000_000), bytes::Bytes::new());
    for (name, value) in object.into_iter().filter(|(name, _)| !name.starts_with('_')) {
        flatten(&name, value, &mut event.attrs);
    }
    for (name, field) in NORMALISED {
        if let Some(value) = event.attr(name).cloned() {
            let typed = value.as_ip().filter(|_| matches!(field.kind(), canh_schema::FieldKind::Ip)).map(Value::Ip);
            event.set(*field, typed.unwrap_or(value));
        }
    }
    event
}

fn flatten(name: &str, value: serde_json::Value, out: &mut Vec<(compact_str::CompactString, Value)>) {
    match value {
        serde_json::Value::Object(members) => {
            members.into_iter().for_each(|(member, value)| flatten(&format!("{name}.{member}"), value, out));
        }
        single => out.push((name.into(), scalar(single))),
    }
}

fn scalar(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null | serde_json::Value::Object(_) => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(value) => Value::Integer(value),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(values) => Value::List(values.into_iter().map(scalar).collect()),
    }
}
