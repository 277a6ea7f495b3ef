//! The shared data beside the checkout: public rules, archives, expected verdicts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// `../shared/data/detection` beside the checkout, or nothing, loudly.
pub(crate) fn data() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/detection");
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED: the detection data is not at `{}`", dir.display());
    None
}

/// What is in a file that may be packed.
pub(crate) fn open(path: &Path) -> Box<dyn Read> {
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open `{}`: {error}", path.display()));
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file).expect("the file is zstd")),
        _ => Box::new(file),
    }
}

pub(crate) fn lines(path: &Path) -> impl Iterator<Item = String> {
    BufReader::new(open(path)).lines().map(|line| line.expect("lines of UTF-8"))
}

/// Every regular file of an archive, one after the other: name and content.
pub(crate) fn each_file(path: &Path, mut each: impl FnMut(&str, Vec<u8>)) {
    let mut archive = tar::Archive::new(open(path));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("a whole archive");
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().expect("a name").to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole file");
        each(&name, bytes);
    }
}

/// The active public rules, unpacked into a directory that lives as long as the first value.
pub(crate) fn public_rules(data: &Path) -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    tar::Archive::new(open(&data.join("sigma/sigmahq-8eaafff1.tar.zst"))).unpack(dir.path()).expect("unpacked");
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"];
    let paths = folders.iter().map(|folder| dir.path().join(folder)).collect();
    (dir, paths)
}

/// `(line, rule id)` of an `.expected.tsv.gz`.
pub(crate) fn expected(path: &Path) -> BTreeSet<(usize, String)> {
    let pairs = lines(path).map(|line| {
        let (number, rule) = line.split_once('\t').expect("a line number, a tab, a rule id");
        (number.parse().expect("a line number"), rule.to_owned())
    });
    pairs.collect()
}
