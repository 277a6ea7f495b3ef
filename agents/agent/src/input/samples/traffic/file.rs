//! A file that was seen in traffic, as it is offered and sent.

use canh_packet::{AppProtocol, CarvedFile, FileDirection};
use canh_schema::Timestamp;
use serde_json::{Map, Value, json};

use super::super::item::{Sha256Bytes, hex};

/// Longest texts that are sent, in bytes. The server takes a little more.
const URL_MAX: usize = 2_048;
const NAME_MAX: usize = 1_024;
const SHORT_MAX: usize = 200;

/// First bytes of programs, packings, documents and scripts.
const NOTABLE: &[&[u8]] = &[
    b"MZ",
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xca\xfe\xba\xbe",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"BZh",
    b"MSCF",
    b"%PDF",
    b"\xd0\xcf\x11\xe0",
    b"{\\rt",
    b"#!",
    b"<?php",
    b"<%",
    b"--",
];

/// Whether a file is kept when others have to go: a program, an archive, a document, a mail, an upload. Everything else
/// (pages, pictures, answers of interfaces) is plain.
pub(super) fn is_notable(file: &CarvedFile) -> bool {
    let about = &file.about;
    about.protocol != AppProtocol::Http
        || NOTABLE.iter().any(|start| file.bytes.starts_with(start))
        || about.content_type.as_deref().is_some_and(|text| {
            let text = text.to_ascii_lowercase();
            ["multipart/", "application/octet-stream", "application/soap", "application/xop"]
                .iter()
                .any(|start| text.starts_with(start))
        })
        || (about.direction == FileDirection::ToResponder && about.method.as_deref() == Some("PUT"))
}

/// What the server is told about a file, under the names of its door. Numbers are numbers.
pub(super) fn describe(file: &CarvedFile) -> Vec<(&'static str, Value)> {
    let (about, talk) = (&file.about, &file.conversation);
    let mut told = vec![
        ("source_ip", json!(talk.originator.to_string())),
        ("source_port", json!(talk.originator_port)),
        ("destination_ip", json!(talk.responder.to_string())),
        ("destination_port", json!(talk.responder_port)),
        ("protocol", json!(about.protocol.name())),
        ("direction", json!(about.direction.name())),
        ("observed", json!(Timestamp::from_nanos(file.at.nanos()).to_string())),
    ];
    let texts = [
        ("community_id", Some(talk.community_id.as_str()), SHORT_MAX),
        ("url", about.url.as_deref(), URL_MAX),
        ("method", about.method.as_deref(), SHORT_MAX),
        ("name", about.name.as_deref(), NAME_MAX),
        ("content_type", about.content_type.as_deref(), SHORT_MAX),
        ("encoding", about.encoding.as_deref(), SHORT_MAX),
        ("part", about.part.as_deref(), SHORT_MAX),
    ];
    told.extend(texts.into_iter().filter_map(|(name, text, max)| Some((name, json!(cut(text?, max))))));
    told.extend(about.status.map(|status| ("status", json!(status))));
    told
}

/// As it is offered.
pub(super) fn offer(file: &CarvedFile, sha256: &Sha256Bytes) -> Value {
    let origin: Map<String, Value> = describe(file).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    json!({ "sha256": hex(sha256), "origin": origin })
}

/// The same for a query.
pub(super) fn query(file: &CarvedFile) -> Vec<(&'static str, String)> {
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    describe(file).into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
