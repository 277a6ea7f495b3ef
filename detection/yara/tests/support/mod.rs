//! What the tests of this crate share: rules from text, the shared data, and archives made on the spot.

#![allow(dead_code)] // each test file uses its own part

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use canh_yara::{RuleFiles, SampleInfo, ScanLimits, ScanReport, Scanner};
use zip::write::SimpleFileOptions;

/// Finds the word `canary`.
pub(crate) const CANARY: &str = "rule canary : test { meta: author = \"Canh\" strings: $a = \"canary\" condition: $a }";

/// A scanner of one text that must compile.
pub(crate) fn scanner(text: &str) -> Scanner {
    let mut files = RuleFiles::default();
    files.add(Path::new("test.yar"), "test.yar", text.to_owned());
    let compiled = files.compile();
    assert_eq!(compiled.problems, [], "rules: {text}");
    compiled.scanner
}

pub(crate) fn scan(scanner: &Scanner, name: &str, bytes: &[u8]) -> ScanReport {
    scanner.scan(bytes, &SampleInfo::of_path(name), &ScanLimits::default())
}

/// Members that match, `""` for the sample itself.
pub(crate) fn places(report: &ScanReport) -> Vec<&str> {
    report.matches.iter().map(|found| found.member.as_ref().map_or("", |member| member.path.as_str())).collect()
}

pub(crate) fn gaps(report: &ScanReport) -> Vec<&'static str> {
    report.gaps.keys().map(|reason| reason.name()).collect()
}

/// The folder of shared YARA data, or a loud word that it is not there.
pub(crate) fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/detection/yara");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("SKIPPED: the shared YARA data is not at `{}`", path.display());
    None
}

/// Unpacks a `.tar.zst`.
pub(crate) fn unpack(archive: &Path, into: &Path) {
    let file = fs::File::open(archive).expect("the archive can be opened");
    let reader = zstd::stream::read::Decoder::new(file).expect("it is zstd");
    tar::Archive::new(reader).unpack(into).expect("it can be unpacked");
}

pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).expect("a member can be begun");
        writer.write_all(bytes).expect("a member can be written");
    }
    writer.finish().expect("a zip can be finished").into_inner()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).expect("can be packed");
    writer.finish().expect("can be finished")
}

pub(crate) fn tarball(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("can be added");
    }
    builder.into_inner().expect("can be finished")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).expect("can be packed")
}
