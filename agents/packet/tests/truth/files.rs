//! Files taken out of captures, against what Zeek says of the same captures: hashes and lengths of bodies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use canh_packet::{AppProtocol, CarveConfig, CarveStats, CarvedFile, FlowConfig, FlowTable, LinkType, Timestamp};
use md5::{Digest, Md5};

/// Share of bodies that have to be found with their length, in thousandths, a little below what is reached. Zeek's log
/// has also those of which a part is missing.
const BODIES: u64 = 800;

fn files(path: &Path) -> Option<(Vec<CarvedFile>, CarveStats)> {
    let (mut capture, _file) = crate::open(path).ok()?;
    let link = LinkType(capture.get_datalink().0);
    let mut table = FlowTable::new(FlowConfig { carve: Some(CarveConfig::default()), ..FlowConfig::default() });
    let (mut records, mut files) = (Vec::new(), Vec::new());
    while let Ok(packet) = capture.next_packet() {
        let stamp = packet.header.ts;
        let at = Timestamp::from_nanos(stamp.tv_sec.saturating_mul(1_000_000_000).saturating_add(stamp.tv_usec));
        table.packet(link, at, packet.header.len, packet.data, &mut records);
        files.append(&mut table.take_files());
    }
    table.finish(&mut records);
    files.append(&mut table.take_files());
    Some((files, table.carve_stats()))
}

fn hash(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_capture_gives_what_it_gives() {
    let Some(folder) = crate::data("every_capture_gives_what_it_gives") else { return };
    let mut kinds: BTreeMap<&str, (u64, usize)> = BTreeMap::new();
    let mut sum = CarveStats::default();
    for path in crate::captures(&folder) {
        let Some((found, stats)) = files(&path) else { continue };
        assert_eq!(found.len() as u64, stats.files, "{}", path.display());
        for file in &found {
            let (count, bytes) = kinds.entry(file.about.protocol.name()).or_default();
            (*count, *bytes) = (*count + 1, *bytes + file.bytes.len());
        }
        sum.incomplete += stats.incomplete;
        sum.too_large += stats.too_large;
        sum.no_room += stats.no_room;
    }
    println!("files and bytes: {kinds:?}\n{sum:?}");
    for (protocol, least) in [(AppProtocol::Http, 1_000), (AppProtocol::Smtp, 20), (AppProtocol::Ftp, 5)] {
        assert!(kinds.get(protocol.name()).is_some_and(|(count, _)| *count >= least), "{}", protocol.name());
    }
}

#[test]
fn known_hashes_and_parts() {
    let Some(folder) = crate::data("known_hashes_and_parts") else { return };
    let of = |name: &str| files(&folder.join("zeek").join(name)).unwrap().0;
    let got = of("http__get.pcap");
    assert_eq!(got.iter().map(|file| hash(&file.bytes)).collect::<Vec<_>>(), ["397168fd09991a0e712254df7bc639ac"]);
    assert_eq!(got[0].about.url.as_deref(), Some("http://bro.org/download/CHANGES.bro-aux.txt"));
    // Two mails, one with a text of this name attached.
    let mails = of("smtp.pcap");
    assert_eq!(mails.len(), 2);
    assert!(String::from_utf8_lossy(&mails[0].bytes).contains("NEWS.txt"));
}

/// Target and length of each body that `http.log` has, both directions.
fn bodies(log: &Path) -> Option<Vec<(String, usize)>> {
    let text = fs::read_to_string(log).ok()?;
    let names: Vec<&str> = text.lines().find_map(|line| line.strip_prefix("#fields\t"))?.split('\t').collect();
    let place = |name: &str| names.iter().position(|it| *it == name);
    let (uri, lengths) = (place("uri")?, [place("request_body_len")?, place("response_body_len")?]);
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    let bodies = rows.flat_map(|row| {
        let len = |place: usize| row.get(place).and_then(|text| text.parse::<usize>().ok()).filter(|len| *len > 0);
        let uri = row.get(uri).map_or("", |uri| *uri).to_owned();
        lengths.into_iter().filter_map(len).map(|len| (uri.clone(), len)).collect::<Vec<_>>()
    });
    Some(bodies.collect())
}

#[test]
fn bodies_have_the_lengths_that_zeek_saw() {
    let Some(folder) = crate::data("bodies_have_the_lengths_that_zeek_saw") else { return };
    let (mut agree, mut of) = (0_u64, 0_u64);
    for capture in crate::captures(&folder.join("zeek")) {
        let Ok(tests) = fs::read_dir(PathBuf::from(format!("{}.truth", capture.display()))) else { continue };
        let expected: Vec<_> = tests
            .flatten()
            .filter_map(|test| bodies(&test.path().join("http.log")))
            .max_by_key(Vec::len)
            .unwrap_or_default();
        if expected.is_empty() {
            continue;
        }
        let (found, stats) = files(&capture).unwrap();
        // Zeek counts what is left after the encoding is taken off.
        let mut lengths: Vec<usize> = found.iter().map(|file| file.clone().decoded(64 << 20).bytes.len()).collect();
        let mut missing = Vec::new();
        for (uri, len) in expected {
            of += 1;
            match lengths.iter().position(|other| *other == len) {
                Some(place) => {
                    lengths.swap_remove(place);
                    agree += 1;
                }
                None => missing.push((uri, len)),
            }
        }
        if !missing.is_empty() {
            println!("{}: not found: {missing:?}; over: {lengths:?}; {stats:?}", capture.display());
        }
    }
    let thousandths = agree * 1_000 / of.max(1);
    println!("bodies of HTTP: {agree} of {of} ({}.{} %)", thousandths / 10, thousandths % 10);
    assert!(thousandths >= BODIES, "below {BODIES} thousandths");
}
