//! Caps of the carver; what is taken out of packets is in `tests/table/files.rs`.

use super::*;

fn about(name: &str) -> FileAbout {
    FileAbout {
        protocol: AppProtocol::Http,
        direction: FileDirection::ToOriginator,
        method: None,
        url: None,
        host: None,
        status: None,
        name: Some(name.to_owned()),
        content_type: None,
        encoding: None,
        part: None,
    }
}

fn carver(file_bytes_max: usize, files_max: usize, bytes_max: usize) -> Carver {
    Carver::new(CarveConfig { file_bytes_max, files_max, bytes_max, ..CarveConfig::default() })
}

fn finish(carver: &mut Carver, file: &mut Option<FileId>) {
    carver.finish(file, Timestamp::from_nanos(0), &Conversation::unknown);
}

#[test]
fn what_stalled_longest_makes_room() {
    let mut carver = carver(1_000, 10, 1_000);
    let (mut first, mut second) = (carver.begin(about("a"), None), carver.begin(about("b"), None));
    carver.append(&mut first, &[1; 400]);
    carver.append(&mut second, &[2; 400]);
    carver.append(&mut first, &[1; 10]); // `second` is the one that stalled now
    assert!(first.is_some());
    let mut third = carver.begin(about("c"), None);
    carver.append(&mut third, &[3; 150]);
    carver.append(&mut second, &[2; 1]);
    assert_eq!((second, carver.stats().no_room), (None, 1));
    finish(&mut carver, &mut first);
    finish(&mut carver, &mut third);
    let files: Vec<_> = carver.take().into_iter().map(|file| (file.about.name.unwrap(), file.bytes.len())).collect();
    assert_eq!(files, [("a".to_owned(), 410), ("c".to_owned(), 150)]);
    assert_eq!((carver.used, carver.open.len()), (0, 0));
}

#[test]
fn what_was_not_taken_counts() {
    let mut carver = carver(1_000, 10, 1_000);
    for number in 0..3 {
        let mut file = carver.begin(about("a"), Some(400));
        carver.append(&mut file, &[number; 400]);
        finish(&mut carver, &mut file);
    }
    assert_eq!((carver.stats().files, carver.stats().no_room), (2, 1));
    assert_eq!(carver.take().len(), 2);
    assert_eq!(carver.used, 0);
}

#[test]
fn lengths_and_numbers_have_an_end() {
    let mut carver = carver(100, 2, 1_000);
    assert_eq!(carver.begin(about("a"), Some(101)), None);
    assert_eq!(carver.begin(about("a"), Some(u64::MAX)), None);
    let mut file = carver.begin(about("a"), None);
    carver.append(&mut file, &[0; 60]);
    carver.append(&mut file, &[0; 60]);
    assert_eq!((file, carver.stats().too_large, carver.used), (None, 3, 0));
    for _ in 0..5 {
        let _ = carver.begin(about("b"), None);
    }
    assert_eq!((carver.open.len(), carver.stats().no_room), (2, 3));
    let mut empty = carver.begin(about("c"), Some(10));
    finish(&mut carver, &mut empty);
    assert_eq!(carver.stats().files, 0);
    // A length that is only claimed takes no memory.
    let mut file = carver.begin(about("d"), Some(100));
    carver.append(&mut file, &[0; 1]);
    assert!(carver.used < 10, "{}", carver.used);
    carver.abandon(&mut file);
    carver.abandon(&mut file);
    assert_eq!((carver.stats().incomplete, carver.used), (1, 0));
}

#[test]
fn announced_transfers_are_bounded_and_taken_once() {
    let mut carver = carver(1, 1, 1);
    let at = |port: u16| (IpAddr::from([10, 0, 0, 1]), port);
    let first = carver.announce(at(1), Transfer::default());
    for port in 2..=ANNOUNCED_MAX as u16 + 1 {
        carver.announce(at(port), Transfer::default());
    }
    assert_eq!((carver.claim(at(1)), carver.transfer(first).is_some()), (None, false));
    let id = carver.announce(at(7), Transfer::default());
    carver.describe(id, Transfer { name: Some("x".to_owned()), ..Transfer::default() });
    assert_eq!((carver.claim(at(7)), carver.claim(at(7))), (Some(id), None));
    assert_eq!(carver.transfer(id).and_then(|transfer| transfer.name).as_deref(), Some("x"));
    assert!(carver.announced.len() < ANNOUNCED_MAX);
}

#[test]
fn encodings_are_taken_off_within_a_limit() {
    use std::io::Write as _;
    let text = b"hello hello hello hello".repeat(100);
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let zlib = |bytes: &[u8]| {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let bare = |bytes: &[u8]| {
        let mut out = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let cut = gzip(&text)[..20].to_vec();
    for (encoding, bytes, len_max, left, is_text) in [
        ("gzip", gzip(&text), 10_000, None, true),
        ("X-Gzip", gzip(&text), text.len(), None, true),
        ("gzip", gzip(&text), text.len() - 1, Some("gzip"), false),
        ("deflate", zlib(&text), 10_000, None, true),
        ("deflate", bare(&text), 10_000, None, true),
        ("deflate, gzip", gzip(&zlib(&text)), 10_000, None, true),
        ("br, gzip", gzip(b"brotli"), 10_000, Some("br"), false),
        ("gzip", cut, 10_000, Some("gzip"), false),
        ("br", vec![1], 10_000, Some("br"), false),
        ("identity", text.clone(), 10_000, None, true),
    ] {
        let about = FileAbout { encoding: Some(encoding.to_owned()), ..about("a") };
        let file = CarvedFile { conversation: Conversation::unknown(), at: Timestamp::from_nanos(0), about, bytes };
        let decoded = file.decoded(len_max);
        assert_eq!(decoded.about.encoding.as_deref(), left, "encoding: {encoding}");
        assert_eq!(decoded.bytes == text, is_text, "encoding: {encoding}");
    }
}
