//! Collects lines and packets, puts them into the order of time and writes the files with their manifest.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use canh_schema::Timestamp;
use serde::Serialize;

use crate::truth::GroundTruth;

/// Through which door of the product a file enters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// An agent on the host follows the file.
    AgentFile,
    /// An agent reads the capture.
    AgentCapture,
    /// Each line is one message over syslog TCP.
    SyslogTcp,
    /// Each line is one datagram over syslog UDP.
    SyslogUdp,
    /// Newline-delimited JSON over HTTP.
    HttpNdjson,
}

/// One file of the scenario.
#[derive(Clone, Debug, Serialize)]
pub struct File {
    /// Relative to the directory of the scenario.
    pub path: String,
    pub host: &'static str,
    pub door: Door,
    /// Lines, or packets of a capture.
    pub records: u64,
}

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    pub files: Vec<File>,
    pub truth: GroundTruth,
}

impl Manifest {
    pub fn records(&self, door: Door) -> u64 {
        self.files.iter().filter(|file| file.door == door).map(|file| file.records).sum()
    }
}

/// A file that lines go to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Stream {
    pub(crate) host: &'static str,
    pub(crate) name: &'static str,
    pub(crate) door: Door,
}

impl Stream {
    pub(crate) const fn file(host: &'static str, name: &'static str) -> Self {
        Self { host, name, door: Door::AgentFile }
    }
}

#[derive(Debug)]
pub(crate) struct Output {
    lines: BTreeMap<Stream, Vec<(Timestamp, String)>>,
    frames: Vec<(Timestamp, Vec<u8>)>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self { lines: BTreeMap::new(), frames: Vec::new() }
    }

    pub(crate) fn line(&mut self, stream: Stream, at: Timestamp, text: String) {
        self.lines.entry(stream).or_default().push((at, text));
    }

    pub(crate) fn frame(&mut self, at: Timestamp, frame: Vec<u8>) {
        self.frames.push((at, frame));
    }

    pub(crate) fn write(mut self, dir: &Path, truth: GroundTruth) -> anyhow::Result<Manifest> {
        let mut files = Vec::new();
        for (stream, lines) in &mut self.lines {
            lines.sort_by_key(|(at, _)| *at); // stable: lines of one moment keep their order
            let path = format!("{}/{}", stream.host, stream.name);
            let mut bytes = Vec::new();
            for (_, line) in &*lines {
                bytes.extend_from_slice(line.as_bytes());
                bytes.push(b'\n');
            }
            write(dir, &path, &bytes)?;
            files.push(File { path, host: stream.host, door: stream.door, records: lines.len() as u64 });
        }
        self.frames.sort_by_key(|(at, _)| *at);
        let path = "API-Svr/capture.pcap".to_owned();
        write(dir, &path, &pcap(&self.frames))?;
        files.push(File { path, host: "API-Svr", door: Door::AgentCapture, records: self.frames.len() as u64 });
        let manifest = Manifest { files, truth };
        write(dir, "manifest.json", &serde_json::to_vec_pretty(&manifest)?)?;
        write(dir, "ground_truth.json", &serde_json::to_vec_pretty(&manifest.truth)?)?;
        Ok(manifest)
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = dir.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make the directory `{}`", parent.display()))?;
    }
    let mut file = fs::File::create(&path).with_context(|| format!("cannot create `{}`", path.display()))?;
    file.write_all(bytes).with_context(|| format!("cannot write `{}`", path.display()))
}

/// The classic capture format with microseconds, little-endian, Ethernet. Source: draft-ietf-opsawg-pcap, section 4.
fn pcap(frames: &[(Timestamp, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    bytes.extend_from_slice(&2_u16.to_le_bytes());
    bytes.extend_from_slice(&4_u16.to_le_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&262_144_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    for (at, frame) in frames {
        let micros = at.nanos().rem_euclid(1_000_000_000) / 1_000;
        // The format has 32 bits for each of these; it ends in the year 2106.
        bytes.extend_from_slice(&(at.secs() as u32).to_le_bytes());
        bytes.extend_from_slice(&(micros as u32).to_le_bytes());
        bytes.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        bytes.extend_from_slice(frame);
    }
    bytes
}
