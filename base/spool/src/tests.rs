//! What a user of the log would miss: records that vanish, records nobody wrote, a log that a full disk has spoilt.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use crate::*;

struct Log {
    dir: TempDir,
    config: SpoolConfig,
}

impl Log {
    fn new(segment_max: u64, bytes_max: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = SpoolConfig { dir: dir.path().join("log"), segment_max, bytes_max, record_max: 100_000 };
        Self { dir, config }
    }

    fn open(&self) -> (Spool, Recovery) {
        Spool::open(self.config.clone()).unwrap()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = fs::read_dir(&self.config.dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "log"))
            .collect();
        paths.sort();
        paths
    }
}

/// The payload of record `sequence`: recognisable, of changing length.
fn payload(sequence: u64) -> Vec<u8> {
    let mut bytes = format!("record {sequence} ").into_bytes();
    bytes.resize(bytes.len() + (sequence as usize * 37) % 200, b'.');
    bytes
}

fn fill(spool: &mut Spool, count: u64) {
    for _ in 0..count {
        let expected = spool.last() + 1;
        assert_eq!(spool.append(&[&payload(expected)]).unwrap(), expected);
        if expected.is_multiple_of(7) {
            spool.sync().unwrap();
        }
    }
    spool.sync().unwrap();
}

/// Everything a reader gives: numbers whose payload is right, and gaps.
fn read_all(reader: &mut Reader) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut sequences, mut gaps) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Ok(Some(record)) => {
                assert_eq!(record.payload, payload(record.sequence), "record {}", record.sequence);
                sequences.push(record.sequence);
            }
            Ok(None) => return (sequences, gaps),
            Err(SpoolError::Gap { first, last, .. }) => gaps.push((first, last)),
            Err(error) => panic!("{error}"),
        }
    }
}

fn flip(path: &Path, at: usize, mask: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= mask;
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_appended_is_read_in_order_across_segments_and_restarts() {
    let log = Log::new(1_000, 1 << 20);
    let (mut spool, recovery) = log.open();
    assert!(recovery.created);
    let id = spool.id();
    fill(&mut spool, 50);
    let mut reader = spool.reader(0);
    assert_eq!(read_all(&mut reader).0, (1..=50).collect::<Vec<_>>());
    fill(&mut spool, 10);
    assert_eq!(read_all(&mut reader).0, (51..=60).collect::<Vec<_>>());
    drop(spool);
    assert!(log.segments().len() > 3);

    let (mut spool, recovery) = log.open();
    assert_eq!(recovery, Recovery { first: 1, last: 60, ..Recovery::default() });
    assert_eq!(spool.id(), id);
    fill(&mut spool, 5);
    for after in [0, 1, 13, 30, 59, 60, 64, 65, 99] {
        let expected: Vec<_> = (after + 1..=65).collect();
        assert_eq!(read_all(&mut spool.reader(after)), (expected, vec![]), "after {after}");
    }
}

#[test]
fn a_reader_can_go_back_and_forth() {
    let log = Log::new(1_000, 1 << 20);
    let (mut spool, _) = log.open();
    fill(&mut spool, 60);
    let mut reader = spool.reader(0);
    for after in [40, 41, 3, 59, 0] {
        reader.seek(after);
        assert_eq!(reader.position(), after);
        assert_eq!(reader.next().unwrap().map(|record| record.sequence), Some(after + 1));
    }
}

#[test]
fn only_durable_records_are_seen_unless_asked_otherwise() {
    let log = Log::new(10_000, 1 << 20);
    let (mut spool, _) = log.open();
    spool.append(&[&payload(1)]).unwrap();
    spool.flush().unwrap();
    let mut reader = spool.reader(0);
    assert_eq!(read_all(&mut reader).0, []);
    assert_eq!(spool.sync().unwrap(), 1);
    assert_eq!(read_all(&mut reader).0, [1]);
    spool.set_visible(Visible::Written);
    spool.append(&[&payload(2)]).unwrap();
    spool.flush().unwrap();
    assert_eq!(read_all(&mut reader).0, [2]);
    assert_eq!(spool.durable(), 1);
}

#[test]
fn one_writer_at_a_time() {
    let log = Log::new(1_000, 1 << 20);
    let (spool, _) = log.open();
    assert!(matches!(Spool::open(log.config.clone()), Err(SpoolError::Locked { .. })));
    drop(spool);
    log.open();
}

#[test]
fn release_deletes_whole_segments_and_never_unread_records() {
    let log = Log::new(1_000, 1 << 20);
    let (mut spool, _) = log.open();
    fill(&mut spool, 60);
    let before = spool.bytes();
    for through in [0, 20, 35, 60] {
        spool.release(through).unwrap();
        assert!(spool.first() <= through + 1);
        let kept = read_all(&mut spool.reader(through)).0;
        assert_eq!(kept, (through + 1..=60).collect::<Vec<_>>());
    }
    assert!(spool.bytes() < before / 4);
    let on_disk: u64 = log.segments().iter().map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(spool.bytes(), on_disk);
    fill(&mut spool, 3);
    drop(spool);
    assert_eq!(log.open().1.last, 63);
}

#[test]
fn a_full_log_takes_records_again_after_release() {
    let log = Log::new(1 << 20, 8_000);
    let (mut spool, _) = log.open();
    let mut written = 0;
    for _ in 0..20 {
        let error = loop {
            match spool.append(&[&payload(written + 1)]) {
                Ok(sequence) => written = sequence,
                Err(error) => break error,
            }
            spool.sync().unwrap();
        };
        assert!(matches!(error, SpoolError::Full { .. }) && error.is_full(), "{error}");
        assert!(spool.bytes() <= 8_000);
        assert!(spool.release(written).unwrap() > 4_000);
    }
    assert!(written > 500);
    assert!(matches!(spool.append(&[&[0; 60_000], &[0; 60_000]]), Err(SpoolError::TooLarge { len: 120_000, .. })));
}

#[test]
fn a_full_disk_takes_the_group_back_and_nothing_else() {
    let log = Log::new(1 << 20, 1 << 22);
    let (mut spool, _) = log.open();
    fill(&mut spool, 10);
    let bytes = spool.bytes();
    let mut reader = spool.reader(0);
    assert_eq!(read_all(&mut reader).0.len(), 10);
    for _ in 0..3 {
        spool.limit_disk(Some(bytes + 150));
        for sequence in 11..=20 {
            spool.append(&[&payload(sequence)]).unwrap();
        }
        let error = spool.sync().unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!((spool.last(), spool.durable(), spool.bytes()), (10, 10, bytes));
        assert_eq!(log.segments()[0].metadata().unwrap().len(), bytes);
    }
    spool.limit_disk(None);
    fill(&mut spool, 10);
    assert_eq!(read_all(&mut reader), ((11..=20).collect(), vec![]));
    drop(spool);
    let (spool, recovery) = log.open();
    assert_eq!((recovery.torn_bytes, recovery.last), (0, 20));
    assert_eq!(read_all(&mut spool.reader(0)).0.len(), 20);
}

#[test]
fn numbers_that_readers_have_seen_are_not_used_again_after_a_failed_sync() {
    let log = Log::new(1 << 20, 1 << 22);
    let (mut spool, _) = log.open();
    spool.set_visible(Visible::Written);
    fill(&mut spool, 3);
    spool.append(&[&payload(4)]).unwrap();
    spool.flush().unwrap();
    let mut reader = spool.reader(0);
    assert_eq!(read_all(&mut reader).0, [1, 2, 3, 4]);
    spool.limit_disk(Some(spool.bytes()));
    spool.append(&[&payload(5)]).unwrap();
    spool.sync().unwrap_err();
    spool.limit_disk(None);
    assert_eq!(spool.append(&[&payload(6)]).unwrap(), 6);
    spool.sync().unwrap();
    assert_eq!(read_all(&mut reader).0, [6]);
    assert_eq!(read_all(&mut spool.reader(0)), (vec![1, 2, 3, 6], vec![(4, 5)]));
}

#[test]
fn damage_in_an_earlier_segment_is_one_exact_gap() {
    let log = Log::new(1_000, 1 << 20);
    let (mut spool, _) = log.open();
    fill(&mut spool, 60);
    let segments = log.segments();
    // The first byte of the second segment's first record: its length.
    let first: u64 = segments[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    flip(&segments[1], 32, 0xff);
    let (sequences, gaps) = read_all(&mut spool.reader(0));
    assert_eq!(gaps, [(first, first)]);
    assert_eq!(sequences, (1..=60).filter(|&sequence| sequence != first).collect::<Vec<_>>());
    assert_eq!(spool.handle().gap_records(), 1);
    // All of a segment gone, and a place behind the damage.
    fs::write(&segments[1], b"").unwrap();
    let second: u64 = segments[2].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert_eq!(read_all(&mut spool.reader(0)).1, [(first, second - 1)]);
    assert_eq!(read_all(&mut spool.reader(second - 1)).1, []);
}

#[test]
fn damage_in_the_middle_of_the_last_segment_keeps_what_follows() {
    let log = Log::new(1 << 20, 1 << 22);
    let (mut spool, _) = log.open();
    fill(&mut spool, 20);
    drop(spool);
    let path = log.segments()[0].clone();
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(10).position(|part| part == b"record 10 ").unwrap();
    flip(&path, at, 1);
    let (mut spool, recovery) = log.open();
    assert_eq!(recovery.damaged, [DamagedRange { first: 10, last: 10, path }]);
    assert_eq!((recovery.torn_bytes, recovery.last), (0, 20));
    fill(&mut spool, 5);
    let expected: Vec<_> = (1..=25).filter(|&sequence| sequence != 10).collect();
    assert_eq!(read_all(&mut spool.reader(0)), (expected, vec![(10, 10)]));
}

#[test]
fn a_payload_that_looks_like_a_record_is_never_one() {
    let log = Log::new(1 << 20, 1 << 22);
    let (mut spool, _) = log.open();
    fill(&mut spool, 2);
    let mut hostile = Vec::new();
    segment::Codec::new(0, 1000).encode(4, &[b"invented"], 8, &mut hostile);
    spool.append(&[b"visible start", &hostile]).unwrap();
    spool.sync().unwrap();
    drop(spool);
    let path = log.segments()[0].clone();
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(13).position(|part| part == b"visible start").unwrap();
    flip(&path, at, 1);
    let (spool, recovery) = log.open();
    assert_eq!(recovery.last, 2);
    assert_eq!(read_all(&mut spool.reader(0)).0, [1, 2]);
}

#[test]
fn an_unfinished_segment_is_made_good() {
    for (kept, torn) in [(0, 0), (31, 31)] {
        let log = Log::new(1_000, 1 << 20);
        let (mut spool, _) = log.open();
        fill(&mut spool, 30);
        drop(spool);
        let next = log.config.dir.join(format!("{:020}.log", 31));
        fs::write(&next, vec![0; kept]).unwrap();
        let (mut spool, recovery) = log.open();
        assert_eq!(recovery.last, 30, "kept {kept}");
        fill(&mut spool, 5);
        assert_eq!(read_all(&mut spool.reader(0)).0.len(), 35);

        // The same with all older segments released.
        let log = Log::new(1_000, 1 << 20);
        drop(log.open());
        fs::remove_file(&log.segments()[0]).unwrap();
        fs::write(log.config.dir.join(format!("{:020}.log", 9)), vec![0; kept]).unwrap();
        let (mut spool, recovery) = log.open();
        assert_eq!((recovery.last, recovery.torn_bytes), (8, torn));
        fill(&mut spool, 2);
        drop(spool);
        assert_eq!(read_all(&mut log.open().0.reader(0)).0, [9, 10]);
    }
}

#[test]
fn a_lost_id_is_found_in_the_segments_and_a_lost_log_gets_a_new_one() {
    let log = Log::new(1_000, 1 << 20);
    let (mut spool, _) = log.open();
    fill(&mut spool, 30);
    let id = spool.id();
    drop(spool);
    fs::remove_file(log.config.dir.join("id")).unwrap();
    let (spool, _) = log.open();
    assert_eq!(spool.id(), id);
    assert_eq!(read_all(&mut spool.reader(0)).0.len(), 30);
    drop(spool);
    for path in log.segments() {
        fs::remove_file(path).unwrap();
    }
    assert_ne!(log.open().0.id(), id);
    assert!(log.dir.path().exists());
}

#[test]
fn a_cursor_beyond_the_end_is_never_caught_up_with() {
    let log = Log::new(1_000, 1 << 20);
    let (mut spool, _) = log.open();
    fill(&mut spool, 3);
    spool.advance_past(3).unwrap();
    assert_eq!(spool.last(), 3);
    spool.advance_past(9).unwrap();
    fill(&mut spool, 2);
    assert_eq!(read_all(&mut spool.reader(9)), (vec![10, 11], vec![]));
    assert_eq!(read_all(&mut spool.reader(0)), (vec![1, 2, 3, 10, 11], vec![(4, 9)]));
    drop(spool);
    assert_eq!(log.open().1.last, 11);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cutting the last file anywhere keeps every record before the cut and invents none.
    #[test]
    fn truncation_keeps_what_is_before_it(count in 1u64..60, segment_max in 300u64..4_000, cut in any::<prop::sample::Index>()) {
        let log = Log::new(segment_max, 1 << 20);
        let (mut spool, _) = log.open();
        fill(&mut spool, count);
        drop(spool);
        let path = log.segments().pop().unwrap();
        let bytes = fs::read(&path).unwrap();
        let cut = cut.index(bytes.len());
        fs::write(&path, &bytes[..cut]).unwrap();

        let first: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        let mut end = 32;
        let mut kept = first - 1;
        while kept < count && end + 16 + payload(kept + 1).len() <= cut {
            kept += 1;
            end += 16 + payload(kept).len();
        }
        let (mut spool, recovery) = log.open();
        prop_assert_eq!(recovery.last, kept);
        prop_assert_eq!(read_all(&mut spool.reader(0)), ((1..=kept).collect(), vec![]));
        fill(&mut spool, 3);
        drop(spool);
        prop_assert_eq!(read_all(&mut log.open().0.reader(0)).0, (1..=kept + 3).collect::<Vec<_>>());
    }

    /// Flipped bits cost the records they hit, no other, and every loss that is not at the very end is reported.
    #[test]
    fn flipped_bits_cost_only_what_they_hit(
        count in 2u64..60,
        segment_max in 300u64..4_000,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1u8..=255), 1..4),
    ) {
        let log = Log::new(segment_max, 1 << 20);
        let (mut spool, _) = log.open();
        fill(&mut spool, count);
        drop(spool);
        let mut hit = std::collections::BTreeSet::new();
        for (file, at, mask) in flips {
            let segments = log.segments();
            let path = file.get(&segments);
            let at = at.index(path.metadata().unwrap().len() as usize);
            flip(path, at, mask);
            let mut sequence: u64 = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            let mut end = 32;
            while at >= 32 && sequence <= count {
                end += 16 + payload(sequence).len();
                if at < end {
                    hit.insert(sequence);
                    break;
                }
                sequence += 1;
            }
        }
        let (mut spool, recovery) = log.open();
        prop_assert!(recovery.last <= count.max(recovery.damaged.last().map_or(0, |range| range.last)));
        let (sequences, gaps) = read_all(&mut spool.reader(0));
        // Two flips of one byte may undo each other, so a hit record may be whole.
        for sequence in 1..=count {
            let gone = gaps.iter().any(|&(first, last)| (first..=last).contains(&sequence)) || sequence > recovery.last;
            prop_assert_eq!(sequences.contains(&sequence), !gone, "record {}", sequence);
            prop_assert!(!gone || hit.contains(&sequence), "record {} was not hit", sequence);
        }
        let next = spool.append(&[b"x"]).unwrap();
        prop_assert!(next == recovery.last + 1 && sequences.iter().all(|&sequence| sequence < next));
        spool.sync().unwrap();
        prop_assert_eq!(spool.reader(next - 1).next().unwrap().map(|record| record.payload), Some(b"x".to_vec()));
    }
}
