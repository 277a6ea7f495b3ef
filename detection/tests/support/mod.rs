//! The detection data beside the workspace: JSON lines to events as the normaliser makes them, and expected verdicts.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use canh_schema::{BatchId, Event, EventBatch, EventId, LogSource, Position, Timestamp, Value};
use compact_str::CompactString;

/// `../shared/data/detection` beside the workspace, or nothing, loudly.
pub fn data() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/detection");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED: the detection data is not at `{}`", dir.display());
    None
}

/// The four directories of active public rules, unpacked once into the target directory.
pub fn public_rules(data: &Path) -> Vec<PathBuf> {
    // Examples are not told where the target directory is.
    let scratch = option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let out = scratch.join("sigmahq-8eaafff1");
    if !out.is_dir() {
        // Several tests may unpack at the same time; whoever renames first wins.
        let fresh = tempfile::tempdir_in(&scratch).expect("the target directory is writable");
        let packed = File::open(data.join("sigma/sigmahq-8eaafff1.tar.zst")).expect("the rule archive is there");
        let plain = zstd::stream::read::Decoder::new(packed).expect("the rule archive is zstd");
        unpack(plain, fresh.path());
        let _ = fs::rename(fresh.keep(), &out);
    }
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"];
    folders.iter().map(|folder| out.join(folder)).collect()
}

/// Just enough of tar (POSIX ustar) for the rule archive: names, sizes, regular files.
fn unpack(mut archive: impl Read, out: &Path) {
    let mut header = [0_u8; 512];
    let mut long_name: Option<String> = None;
    while archive.read_exact(&mut header).is_ok() && header[0] != 0 {
        let text = |range: std::ops::Range<usize>| {
            let bytes = &header[range];
            let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..len]).into_owned()
        };
        let size = usize::from_str_radix(text(124..136).trim(), 8).expect("a size in octal digits");
        let mut body = vec![0; size.div_ceil(512) * 512];
        archive.read_exact(&mut body).expect("the archive is whole");
        body.truncate(size);
        let name = match (text(345..500), text(0..100)) {
            (prefix, name) if prefix.is_empty() || !header[257..262].eq(b"ustar") || header[263] == b' ' => name,
            (prefix, name) => format!("{prefix}/{name}"),
        };
        match header[156] {
            b'L' => long_name = Some(String::from_utf8_lossy(&body).trim_end_matches('\0').to_owned()),
            b'x' => {
                let records = String::from_utf8_lossy(&body).into_owned();
                long_name = records.lines().find_map(|line| line.split_once("path=").map(|(_, path)| path.to_owned()));
            }
            b'0' | 0 => {
                let path = out.join(long_name.take().unwrap_or(name));
                fs::create_dir_all(path.parent().expect("a file is in a directory"))
                    .expect("the directory is writable");
                fs::write(path, body).expect("the file is writable");
            }
            _ => long_name = None,
        }
    }
}

/// Opens a `.gz` or `.zst` file as lines.
pub fn lines(path: &Path) -> Box<dyn Iterator<Item = String>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open `{}`: {error}", path.display()));
    let plain: Box<dyn Read> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file).expect("the file is zstd")),
        _ => Box::new(file),
    };
    Box::new(BufReader::new(plain).lines().map(|line| line.expect("the file is UTF-8 lines")))
}

/// `(line, rule id)` of an `.expected.tsv.gz`.
pub fn expected(path: &Path) -> BTreeSet<(usize, String)> {
    lines(path)
        .map(|line| {
            let (number, rule) = line.split_once('\t').expect("a line number, a tab, a rule id");
            (number.parse().expect("a line number"), rule.to_owned())
        })
        .collect()
}

/// One line of a corpus as an event: the envelope becomes the log source, objects become dotted names.
pub fn event(index: usize, line: &str) -> Event {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).expect("a JSON object");
    event_of(index, Timestamp::from_secs(1_700_000_000), object)
}

pub fn event_of(index: usize, time: Timestamp, object: serde_json::Map<String, serde_json::Value>) -> Event {
    let number = u32::try_from(index).expect("fewer than four billion lines");
    let mut event = Event::new(EventId::new(BatchId::from_journal(1, 1), number), time, bytes::Bytes::new());
    event.attrs.reserve(object.len());
    for (name, value) in object {
        let text = || value.as_str().map(CompactString::from);
        match name.as_str() {
            "_product" => event.logsource.product = text(),
            "_service" => event.logsource.service = text(),
            "_category" => {
                let categories = value.as_array().map(Vec::as_slice).unwrap_or_default();
                event.logsource.categories.extend(categories.iter().filter_map(|name| Some(name.as_str()?.into())));
            }
            _ => flatten(name, value, &mut event.attrs),
        }
    }
    event
}

fn flatten(name: String, value: serde_json::Value, out: &mut Vec<(CompactString, Value)>) {
    match value {
        serde_json::Value::Object(members) => {
            for (member, value) in members {
                flatten(format!("{name}.{member}"), value, out);
            }
        }
        serde_json::Value::Array(members) if members.iter().any(serde_json::Value::is_object) => {
            for member in members {
                flatten(name.clone(), member, out);
            }
        }
        single => push(name.into(), scalar(single), out),
    }
}

/// The members of several objects in a list come together under one name.
fn push(name: CompactString, value: Value, out: &mut Vec<(CompactString, Value)>) {
    // Only dotted names can come twice.
    let known = if name.contains('.') { out.iter_mut().find(|(known, _)| *known == name) } else { None };
    match known {
        None => out.push((name, value)),
        Some((_, Value::List(values))) => values.push(value),
        Some((_, single)) => *single = Value::List(vec![std::mem::replace(single, Value::Null), value]),
    }
}

fn scalar(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(value) => Value::Integer(value),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::Text(text.into()),
        serde_json::Value::Array(values) => Value::List(values.into_iter().map(scalar).collect()),
        serde_json::Value::Object(_) => Value::Null,
    }
}

pub fn batch(events: Vec<Event>) -> EventBatch {
    EventBatch::new(Position::new(1), events)
}

pub fn source(product: &str) -> LogSource {
    LogSource::product(product)
}
