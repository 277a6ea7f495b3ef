//! From text to findings as in production, inside one process: envelope, decode, detect.

pub(crate) mod shared;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_detection::{Engine, EngineConfig, load_paths};
use canh_schema::{EventBatch, Finding, Position, Timestamp};

/// The folder of the shipped rules.
pub(crate) fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
}

/// An engine with these rules; every one of them must load.
pub(crate) fn engine(paths: &[PathBuf]) -> Engine {
    let engine = Engine::new(load_paths(paths), EngineConfig::default());
    let problems: Vec<String> = engine.problems().iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(engine.rules().len() > 0, "no rules in {paths:?}");
    engine
}

/// Decodes lines as one batch.
pub(crate) fn events(lines: &[u8], format: Option<&str>, host: &str, position: u64, received: Timestamp) -> EventBatch {
    let mut envelope = Envelope::new(Door::Import, received, Framing::Lines, Bytes::copy_from_slice(lines));
    envelope.format = format.map(Into::into);
    envelope.host = Some(host.into());
    decode(&envelope, Position::new(position), 1, &DecodeSettings::default())
}

/// What the engine finds in a batch.
pub(crate) fn findings(engine: &mut Engine, batch: &EventBatch) -> Vec<Finding> {
    let mut found = Vec::new();
    engine.evaluate(batch, &mut found);
    found
}
