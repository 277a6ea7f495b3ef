//! Answers byte by byte, and batches as brokers keep them.

use std::io::Write;

use bytes::Bytes;

use crate::crc::crc32c;
use crate::*;

const LIMITS: Limits = Limits { key: 100, value: 1_000, headers: 2, header: 100 };

fn signed(out: &mut Vec<u8>, value: i64) {
    let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn part(out: &mut Vec<u8>, part: Option<&[u8]>) {
    signed(out, part.map_or(-1, |part| part.len() as i64));
    out.extend_from_slice(part.unwrap_or_default());
}

fn record(delta: i64, value: Option<&[u8]>) -> Vec<u8> {
    let mut inner = vec![0];
    signed(&mut inner, 5);
    signed(&mut inner, delta);
    part(&mut inner, Some(b"key"));
    part(&mut inner, value);
    signed(&mut inner, 3);
    for name in ["a", "b", "c"] {
        part(&mut inner, Some(name.as_bytes()));
        part(&mut inner, if name == "b" { None } else { Some(b"v") });
    }
    let mut out = Vec::new();
    signed(&mut out, inner.len() as i64);
    out.extend(inner);
    out
}

/// A batch with these attributes; `records` are packed already.
fn batch(base: i64, last_delta: i32, attributes: i16, producer: i64, count: i32, records: &[u8]) -> Vec<u8> {
    let mut checked = Vec::new();
    checked.extend(attributes.to_be_bytes());
    checked.extend(last_delta.to_be_bytes());
    checked.extend(1_000_i64.to_be_bytes());
    checked.extend(9_000_i64.to_be_bytes());
    checked.extend(producer.to_be_bytes());
    checked.extend(0_i16.to_be_bytes());
    checked.extend(0_i32.to_be_bytes());
    checked.extend(count.to_be_bytes());
    checked.extend_from_slice(records);
    let mut out = base.to_be_bytes().to_vec();
    out.extend((9 + i32::try_from(checked.len()).unwrap()).to_be_bytes());
    out.extend(0_i32.to_be_bytes());
    out.push(2);
    out.extend(crc32c(&checked).to_be_bytes());
    out.extend(checked);
    out
}

/// Offset and value of all records, and the errors.
fn read(bytes: &[u8], aborted: Vec<Aborted>) -> (Vec<(i64, String)>, Vec<BadBatch>, i64) {
    let (mut records, mut errors, mut last) = (Vec::new(), Vec::new(), -1);
    for batch in Batches::new(Bytes::copy_from_slice(bytes), aborted) {
        match batch {
            Ok(batch) => {
                last = batch.last;
                let Some(mut inside) = batch.records else { continue };
                loop {
                    match inside.next(&LIMITS) {
                        Ok(Some(record)) => {
                            let value = String::from_utf8(record.value.unwrap_or_default()).unwrap();
                            records.push((record.offset, value));
                        }
                        Ok(None) => break,
                        Err(error) => {
                            errors.push(error);
                            break;
                        }
                    }
                }
            }
            Err(error) => errors.push(error),
        }
    }
    (records, errors, last)
}

#[test]
fn records_in_all_packings() {
    let two = [record(0, Some(b"one")), record(3, Some(b"two"))].concat();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&two).unwrap();
    let snappy = snap::raw::Encoder::new().compress_vec(&two).unwrap();
    let len = u32::try_from(snappy.len()).unwrap().to_be_bytes();
    let xerial = [b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".as_slice(), &len, &snappy].concat();
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(&two).unwrap();
    let zstd = zstd::encode_all(two.as_slice(), 3).unwrap();
    let forms = [
        (0, two.clone()),
        (1, gzip.finish().unwrap()),
        (2, snappy),
        (2, xerial),
        (3, lz4.finish().unwrap()),
        (4, zstd),
    ];
    for (packing, packed) in forms {
        let bytes = batch(40, 5, packing, -1, 2, &packed);
        let expected = vec![(40, "one".to_owned()), (43, "two".to_owned())];
        assert_eq!(read(&bytes, Vec::new()), (expected, Vec::new(), 45), "packing {packing}");
        // A batch that the broker cut off comes again.
        let cut = [&bytes[..], &bytes[..bytes.len() - 1]].concat();
        assert_eq!(read(&cut, Vec::new()).0.len(), 2);
        fuzz(&bytes);
    }
    let first = Batches::new(batch(40, 5, 0, -1, 2, &two).into(), Vec::new()).next().unwrap().unwrap();
    let first = first.records.unwrap().next(&Limits { value: 2, ..LIMITS }).unwrap().unwrap();
    assert_eq!((first.time_ms, first.key.as_deref(), first.is_cut), (1_005, Some(b"key".as_slice()), true));
    assert_eq!(first.value.as_deref(), Some(b"on".as_slice()));
    assert_eq!(first.headers, [(b"a".to_vec(), Some(b"v".to_vec())), (b"b".to_vec(), None)]);
    let appended = Batches::new(batch(1, 0, 8, -1, 1, &record(0, None)).into(), Vec::new()).next().unwrap().unwrap();
    let appended = appended.records.unwrap().next(&LIMITS).unwrap().unwrap();
    assert_eq!((appended.time_ms, appended.value), (9_000, None));
}

#[test]
fn what_cannot_be_read_says_its_range() {
    let one = record(0, Some(b"one"));
    let good = batch(7, 0, 0, -1, 1, &one);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let all = [damaged, batch(8, 0, 0, -1, 1, &one)].concat();
    let (records, errors, _) = read(&all, Vec::new());
    assert_eq!((records.len(), errors), (1, vec![BadBatch::Checksum { first: 7, last: 7 }]), "the next one is read");
    let check = |bytes: Vec<u8>, expected: BadBatch| assert_eq!(read(&bytes, Vec::new()).1, [expected]);
    check(batch(7, 4, 0, -1, 2, &one), BadBatch::Records { first: 7, last: 11 });
    check(batch(7, 4, 1, -1, 1, b"no gzip"), BadBatch::Records { first: 7, last: 11 });
    check(batch(7, 4, 5, -1, 1, &one), BadBatch::Records { first: 7, last: 11 });
    check(batch(7, 0, 0, -1, 1, &record(1, None)), BadBatch::Records { first: 7, last: 7 });
    check(batch(7, -1, 0, -1, 1, &one), BadBatch::NoBatch);
    check(good[..20].to_vec(), BadBatch::NoBatch);
    let mut old = good.clone();
    old[16] = 1;
    check(old, BadBatch::TooOld { first: 7 });
    // A little that becomes much costs one record of memory.
    let much = zstd::encode_all([record(0, Some(&vec![b'x'; 50 << 20]))].concat().as_slice(), 3).unwrap();
    assert!(much.len() < 100_000);
    assert_eq!(read(&batch(7, 0, 4, -1, 1, &much), Vec::new()).0[0].1.len(), LIMITS.value);
}

#[test]
fn transactions_that_were_given_up_are_none() {
    let one = |n: i64| record(0, Some(n.to_string().as_bytes()));
    let end = |base: i64, producer: i64, commits: u8| {
        let mut inner = vec![0];
        signed(&mut inner, 0);
        signed(&mut inner, 0);
        part(&mut inner, Some(&[0, 0, 0, commits]));
        part(&mut inner, Some(&[0; 6]));
        signed(&mut inner, 0);
        let mut out = Vec::new();
        signed(&mut out, inner.len() as i64);
        out.extend(inner);
        batch(base, 0, 0x30, producer, 1, &out)
    };
    let bytes = [
        batch(0, 0, 0x10, 1, 1, &one(0)), // given up
        batch(1, 0, 0x10, 2, 1, &one(1)), // committed
        batch(2, 0, 0, -1, 1, &one(2)),   // of no transaction
        end(3, 1, 0),
        end(4, 2, 1),
        batch(5, 0, 0x10, 1, 1, &one(5)), // the next transaction of the same producer
        end(6, 1, 1),
    ]
    .concat();
    let (records, errors, last) = read(&bytes, vec![Aborted { producer: 1, first: 0 }]);
    let values: Vec<_> = records.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!((values, errors, last), (vec!["1", "2", "5"], Vec::new(), 6));
}

#[test]
fn requests_and_answers() {
    let versions = b"\0\0\0\0\0\x02\0\x01\0\x04\0\x0c\0\x03\0\0\0\x09";
    let (code, versions) = Versions::read(versions).unwrap();
    assert_eq!((code, versions.best(Api::Fetch), versions.best(Api::Metadata)), (Code::NONE, Ok(11), Ok(4)));
    assert_eq!(versions.best(Api::ListOffsets), Err(NotSpoken(Api::ListOffsets)));
    let bytes = request(Api::Metadata, 12, 7, "canh", &metadata(12, &["a".to_owned()]));
    assert_eq!(bytes[..4], (i32::try_from(bytes.len()).unwrap() - 4).to_be_bytes());
    assert_eq!(&bytes[4..20], b"\0\x03\0\x0c\0\0\0\x07\0\x04canh\0\x02");
    assert_eq!(answer_body(b"\0\0\0\x07\0rest", true), Ok((7, b"rest".as_slice())));

    let mut answer = b"\0\0\0\0\0\0\0\x01\0\0\0\x05\0\x01h\0\0\x23\x84\xff\xff\0\x02id\0\0\0\x05".to_vec();
    answer.extend(b"\0\0\0\x01\0\0\0\x01t\0\0\0\0\x01\0\x05\0\0\0\x02\0\0\0\x05\0\0\0\0\0\0\0\0");
    let read = metadata_answer(&answer, 4).unwrap();
    assert_eq!((read.cluster.as_deref(), read.brokers[0].port), (Some("id"), 9_092));
    let partition = Partition { code: Code(5), index: 2, leader: 5 };
    assert_eq!(
        read.topics,
        [Topic { code: Code::NONE, name: "t".to_owned(), id: [0; 16], partitions: vec![partition] }]
    );
    for len in 0..answer.len() {
        assert_eq!(metadata_answer(&answer[..len], 4), Err(Malformed), "{len} bytes");
        fuzz(&answer[..len]);
    }
    let places = [Place { topic: "a", partition: 0, offset: 5 }, Place { topic: "a", partition: 1, offset: 6 }];
    let lens = [4, 5, 7, 9, 11].map(|version| fetch(version, &places, 500, 1_000).len());
    assert_eq!(lens, [60, 76, 88, 96, 98]);
    let mut answer = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x01a\0\0\0\x01\0\0\0\x01\0\x01".to_vec();
    answer.extend(9_i64.to_be_bytes());
    answer.extend(8_i64.to_be_bytes());
    answer.extend(0_i64.to_be_bytes());
    answer.extend(b"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x02xy");
    let read = fetched(answer.into(), 11).unwrap().partitions.pop().unwrap();
    assert_eq!((read.partition, read.code, read.end), (1, Code::OFFSET_OUT_OF_RANGE, 8));
    assert_eq!(&read.records[..], b"xy");
}
