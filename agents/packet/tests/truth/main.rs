//! Real captures with known truth, from `../shared/data/pcap` beside the workspace. Where that is missing the tests say
//! so and pass: the data is not part of this repository.

#![allow(clippy::unwrap_used, reason = "tests stop at what they do not expect")]

mod captures;
mod community;
mod files;
mod suricata;
mod zeek;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use canh_packet::{FlowConfig, FlowTable, LinkType, Record, Stats, Timestamp};
use pcap::{Capture, Offline, Precision};

/// The folder of captures, or `None` after saying aloud that it is not there.
fn data(test: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pcap");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: {test}: `{}` is not there", folder.display());
    None
}

/// Every capture file below a folder, in a fixed order.
fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if [".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz", ".cap"].iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Opens a capture, unpacked into a temporary file if it is compressed.
fn open(path: &Path) -> Result<(Capture<Offline>, Option<tempfile::NamedTempFile>), pcap::Error> {
    if path.extension().is_some_and(|end| end == "gz") {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let capture = Capture::from_file_with_precision(file.path(), Precision::Nano)?;
        return Ok((capture, Some(file)));
    }
    Ok((Capture::from_file_with_precision(path, Precision::Nano)?, None))
}

/// Everything that a capture gives, or `None` if libpcap cannot open it.
fn run(path: &Path, config: FlowConfig) -> Option<(Vec<Record>, Stats)> {
    let (mut capture, _file) = open(path).ok()?;
    let link = LinkType(capture.get_datalink().0);
    let mut table = FlowTable::new(config);
    let mut records = Vec::new();
    while let Ok(packet) = capture.next_packet() {
        let stamp = packet.header.ts;
        let at = Timestamp::from_nanos(stamp.tv_sec.saturating_mul(1_000_000_000).saturating_add(stamp.tv_usec));
        table.packet(link, at, packet.header.len, packet.data, &mut records);
    }
    table.finish(&mut records);
    assert!(table.is_empty());
    let stats = table.stats().clone();
    assert_eq!(stats.flows_opened, stats.flows_ended, "{}", path.display());
    assert_eq!(stats.records, records.len() as u64, "{}", path.display());
    Some((records, stats))
}
