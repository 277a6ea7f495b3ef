//! nfacctd's output: sums of bytes and packets by what its configuration names. Compared are the sums by the ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use canh_flows::Flow;
use serde_json::Value;

use crate::{capture, name, text, truths};

/// Addresses and ports.
type Ends = (String, String, u64, u64);

/// How many sums were compared. Captures of one test are of several exporters, and their sums are in one file.
pub(crate) fn compare(captures: &[PathBuf], add: &mut impl FnMut(String, String)) -> usize {
    let mut tests: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
    for path in captures.iter().filter(|path| truth(path, "output-flow").is_some()) {
        tests.entry(name(path).split("__").next().unwrap().to_owned()).or_default().push(path);
    }
    tests
        .iter()
        .map(|(test, captures)| compare_test(captures, &mut |what| add(name(captures[0]), format!("{test}: {what}"))))
        .sum()
}

fn truth(capture: &Path, part: &str) -> Option<PathBuf> {
    truths(capture).into_iter().find(|path| name(path).contains(part))
}

fn compare_test(captures: &[&Path], add: &mut impl FnMut(String)) -> usize {
    let output = truth(captures[0], "output-flow").unwrap();
    let config = text(&truth(captures[0], "nfacctd").unwrap());
    let setting = |name: &str| {
        let line = config.lines().find(|line| line.trim_start().starts_with(name))?;
        line.split(':').nth(1).map(|value| value.trim().to_owned())
    };
    // Captures were sent to other ports than the configuration says; the name of tshark's decode has the real one.
    let decoded = truth(captures[0], "tshark.cflow.port").map(|path| name(&path));
    let port = decoded.and_then(|name| name.split("port").nth(1)?.split('.').next()?.parse().ok());
    let port: Option<u16> = port.or_else(|| setting("nfacctd_port")?.parse().ok());
    let is_scaled = setting("nfacctd_renormalize").as_deref() == Some("true");
    let mut expected: BTreeMap<Ends, (u64, u64)> = BTreeMap::new();
    let mut expected_names: BTreeSet<String> = BTreeSet::new();
    for line in text(&output).lines() {
        let Ok(row) = serde_json::from_str::<Value>(line) else { continue };
        let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| row[key].as_u64().unwrap_or_default();
        if row.get("ip_src").is_none() || row.get("packets").is_none() {
            continue;
        }
        expected_names.extend(Some(word("vrf_name")).filter(|name| !name.is_empty()));
        let ends = (word("ip_src"), word("ip_dst"), number("port_src"), number("port_dst"));
        let sums = expected.entry(ends).or_default();
        *sums = (sums.0 + number("bytes"), sums.1 + number("packets"));
    }
    let mut found: BTreeMap<Ends, (u64, u64)> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for path in captures {
        let datagrams = capture::datagrams(path, port);
        for record in capture::decode(&datagrams).records {
            let Flow { source: Some(source), destination: Some(destination), .. } = record.flow else { continue };
            let port = |port: Option<u16>| u64::from(port.unwrap_or_default());
            let ends = (
                source.to_string(),
                destination.to_string(),
                port(record.flow.source_port),
                port(record.flow.destination_port),
            );
            let factor = if is_scaled { record.flow.sampling.factor() } else { 1 };
            names.extend(record.vrf.into_iter().flatten());
            let sums = found.entry(ends).or_default();
            sums.0 += record.flow.bytes.unwrap_or_default() * factor;
            sums.1 += record.flow.packets.unwrap_or_default() * factor;
        }
    }
    let unnamed: Vec<_> = expected_names.difference(&names).collect();
    if !unnamed.is_empty() {
        add(format!("names of VRFs are not here: {unnamed:?}"));
    }
    let missing: Vec<_> = expected.keys().filter(|ends| !found.contains_key(*ends)).collect();
    if !missing.is_empty() {
        add(format!("{} of {} ends are not here, for example {:?}", missing.len(), expected.len(), missing[0]));
    }
    let more = found.keys().filter(|ends| !expected.contains_key(*ends)).count();
    if more > 0 {
        add(format!("{more} ends are here only"));
    }
    let both = expected.iter().filter_map(|(ends, theirs)| Some((ends, theirs, found.get(ends)?)));
    let differ: Vec<_> = both.clone().filter(|(_, theirs, ours)| theirs != ours).collect();
    if let Some((ends, theirs, ours)) = differ.first() {
        add(format!("{} sums differ, for example {ends:?}: {ours:?} / {theirs:?}", differ.len()));
    }
    both.count()
}
