//! Every capture of `../shared/data/netflow`, decoded here and by others: tshark's records one by one, nfacctd's sums,
//! tcpdump's counts. Each disagreement stands in [`KNOWN`] with its reason; a new one fails, and so does one that is gone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod capture;
mod pmacct;
mod tshark;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where we and others say different things: file, what, and why we stay with ours.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "110-IPFIXv10-NFv9-multiple-sources__traffic-00.pcap",
        "110-IPFIXv10-NFv9-multiple-sources: 60 of 72 ends are not here, for example (\"10.10.0.35\", \"10.10.0.43\", 179, 39649)",
        "the sums are of two exporters, and the capture of the other one is not in this set",
    ),
    (
        "ipfix.pcap",
        "cflow.abstimestart of 2: 11:20:13.506 / 00:00:00.000",
        "flows without a start; tshark writes 1970, here the uptime 0 is when the exporter came up, as its options say",
    ),
    (
        "netflow5_test_invalid01.pcap",
        "length of 3: -15 / 4294967281",
        "flows that end before they start; tshark subtracts without a sign. The event has no length",
    ),
    (
        "netflow9_test_nprobe.pcap",
        "cflow.abstimestart of 1: 19:05:55.010 / 00:00:00.000",
        "as in `ipfix.pcap`: a flow that began when the exporter came up, by the uptime in the head of its message",
    ),
    ("netflow5_test_invalid02.pcap", "length of 2: -46592 / 4294920704", "as in `netflow5_test_invalid01.pcap`"),
    (
        "sflow-print-v6.pcap",
        "counters: 48, tshark 39",
        "samples of one number in one datagram are one key in tshark's JSON; tcpdump has 48 too",
    ),
    (
        "sflow_multiple_counter_30_pdus.pcap",
        "counters: 144, tshark 133",
        "as in `sflow-print-v6.pcap`; tcpdump has 144 too",
    ),
];

fn shared() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/netflow");
    let found = ["../../../shared/data/netflow", "../../../../shared/data/netflow"]
        .iter()
        .map(|path| Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: `{}` is not there", dir.display());
    }
    found
}

/// A text, unpacked if its name ends in `.gz`.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|end| end == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    text
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Files beside a capture that say what is in it.
fn truths(capture: &Path) -> Vec<PathBuf> {
    files(&PathBuf::from(format!("{}.truth", capture.display())))
}

#[test]
fn every_capture_is_read_as_others_read_it() {
    let Some(shared) = shared() else { return };
    let mut found = BTreeSet::new();
    let mut compared = 0;
    let captures: Vec<PathBuf> = files(&shared)
        .iter()
        .flat_map(|folder| files(folder))
        .filter(|path| path.extension().is_some_and(|end| end == "pcap"))
        .collect();
    for path in &captures {
        let file = name(path);
        let mut add = |what: String| {
            found.insert((file.clone(), what));
        };
        for truth in truths(path) {
            let truth_name = name(&truth);
            if truth_name.starts_with("tcpdump") && !truth_name.contains("-nv") {
                let seen = capture::decode(&capture::datagrams(path, None));
                let theirs = text(&truth).lines().filter(|line| line.contains("counter sample")).count();
                compared += 1;
                if theirs != seen.counters.len() {
                    add(format!("counters: {}, tcpdump {theirs}", seen.counters.len()));
                }
                continue;
            }
            let port = truth_name.split("port").nth(1).and_then(|rest| rest.split('.').next());
            let Some(port) = port.and_then(|port| port.parse().ok()) else { continue };
            let seen = capture::decode(&capture::datagrams(path, Some(port)));
            let expected: serde_json::Value = serde_json::from_str(&text(&truth)).unwrap();
            if truth_name.starts_with("tshark.cflow") {
                compared += tshark::compare_flows(&expected, &seen, &mut add);
            } else if truth_name.starts_with("tshark.sflow") {
                compared += tshark::compare_samples(&expected, &seen, &mut add);
            }
        }
    }
    compared += pmacct::compare(&captures, &mut |file, what| {
        found.insert((file, what));
    });
    eprintln!("{} captures, {compared} values compared", captures.len());
    let known: BTreeSet<(String, String)> =
        KNOWN.iter().map(|(file, what, _)| ((*file).to_owned(), (*what).to_owned())).collect();
    let new: Vec<_> = found.difference(&known).collect();
    // A file of the list that is not there this time says nothing.
    let here: BTreeSet<String> = captures.iter().map(|path| name(path)).collect();
    let gone: Vec<_> = known.difference(&found).filter(|(file, _)| here.contains(file)).collect();
    assert!(new.is_empty() && gone.is_empty(), "new: {new:#?}\ngone: {gone:#?}");
}
