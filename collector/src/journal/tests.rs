//! The promises of the journal: durable before answered, once per number, full rather than lossy.

use std::fs;
use std::path::Path;

use canh_schema::{AgentId, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::envelope::{AgentBatch, Door, Framing};

fn config(dir: &Path) -> JournalConfig {
    JournalConfig { dir: dir.to_owned(), segment_max: ByteSize::kib(64), ..JournalConfig::default() }
}

fn open(dir: &Path) -> Arc<Journal> {
    Journal::open(&config(dir), &Registry::new()).unwrap()
}

fn batch(text: &str) -> Envelope {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    Envelope::new(Door::SyslogTcp, Timestamp::from_secs(1), Framing::Lines, payload)
}

fn numbered(sequence: u64) -> Envelope {
    let agent = Some(AgentBatch { agent: AgentId::from_bytes([7; 16]), spool: 3, sequence });
    Envelope { agent, ..batch(&format!("batch {sequence}")) }
}

fn texts(journal: &Journal) -> Vec<String> {
    let mut reader = journal.reader(Position::START);
    let mut texts = Vec::new();
    while let Some((_, envelope)) = reader.next_batch().unwrap() {
        texts.push(String::from_utf8(envelope.payload.to_vec()).unwrap());
    }
    texts
}

/// What is on disk now, as after a power cut.
fn image_of(dir: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
    }
    image
}

#[tokio::test]
async fn what_is_answered_is_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for n in 1..=20 {
        let appended = journal.append(batch(&format!("{n}"))).await.unwrap();
        assert_eq!(appended, Appended { position: Position::new(n), duplicate: false });
    }
    let image = image_of(dir.path());
    let again = open(image.path());
    assert_eq!(texts(&again), (1..=20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(again.id(), journal.id());
    assert_eq!(again.append(batch("21")).await.unwrap().position, Position::new(21));
}

#[tokio::test]
async fn a_torn_tail_costs_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.append(batch("one")).await.unwrap();
    let image = image_of(dir.path());
    let segment = fs::read_dir(image.path()).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.extension().is_some_and(|ext| ext == "log")).last().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend_from_slice(&[9; 11]);
    fs::write(&segment, bytes).unwrap();

    let again = open(image.path());
    again.append(batch("two")).await.unwrap();
    assert_eq!(texts(&again), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_at_the_same_time_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let appends = (0..200).map(|n| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.append(batch(&n.to_string())).await.unwrap().position })
    });
    let mut positions = Vec::new();
    for append in appends.collect::<Vec<_>>() {
        positions.push(append.await.unwrap().get());
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=200).collect::<Vec<_>>());
    assert_eq!(journal.shared.metrics.records.get(), 200);
    assert_eq!(journal.shared.metrics.group_records.get_sample_sum(), 200.0);
}

#[tokio::test]
async fn a_numbered_batch_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for (sequence, duplicate) in [(2, false), (1, false), (2, true), (3, false), (1, true)] {
        assert_eq!(journal.append(numbered(sequence)).await.unwrap().duplicate, duplicate, "sequence {sequence}");
    }
    assert_eq!(journal.duplicates(), 2);
    assert_eq!(texts(&journal), ["batch 2", "batch 1", "batch 3"]);

    let image = image_of(dir.path());
    let again = open(image.path());
    assert!(again.append(numbered(3)).await.unwrap().duplicate);
    assert!(!again.append(numbered(4)).await.unwrap().duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_twice_at_the_same_time_is_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let (a, b) = tokio::join!(journal.append(numbered(1)), journal.append(numbered(1)));
    assert_eq!([a.unwrap().duplicate, b.unwrap().duplicate].iter().filter(|duplicate| **duplicate).count(), 1);
    assert_eq!(texts(&journal), ["batch 1"]);
}

#[tokio::test]
async fn numbers_are_known_after_their_records_are_freed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let filler = "x".repeat(40_000);
    for sequence in 1..=60 {
        let mut envelope = numbered(sequence);
        envelope.payload = Bytes::from(filler.clone());
        journal.append(envelope).await.unwrap();
    }
    journal.release(Position::new(60));
    journal.close().await;
    assert!(journal.first() > Position::new(1), "nothing was freed");

    let image = image_of(dir.path());
    drop(journal);
    let again = open(image.path());
    for sequence in [1, 30, 60] {
        assert!(again.append(numbered(sequence)).await.unwrap().duplicate, "sequence {sequence}");
    }
    assert!(!again.append(numbered(61)).await.unwrap().duplicate);
}

#[tokio::test]
async fn a_full_journal_says_so_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { bytes_max: ByteSize::kib(256), ..config(dir.path()) };
    let journal = Journal::open(&config, &Registry::new()).unwrap();
    let filler = "x".repeat(20_000);
    let mut taken = 0;
    let error = loop {
        match journal.append(batch(&filler)).await {
            Ok(appended) => taken = appended.position.get(),
            Err(error) => break error,
        }
        assert!(taken < 100, "the limit does not hold");
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(texts(&journal).len() as u64, taken);

    journal.release(Position::new(taken));
    // The writer frees before it writes, so the very next batch finds room.
    assert_eq!(journal.append(batch(&filler)).await.unwrap().position, Position::new(taken + 1));
}

#[test]
fn a_value_that_cannot_work_is_an_error_that_names_its_key() {
    #[track_caller]
    fn check(key: &str, change: impl Fn(&mut JournalConfig)) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        let error = Journal::open(&config, &Registry::new()).unwrap_err();
        assert!(matches!(error, JournalError::Setting { .. }) && !error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains(&format!("`journal.{key}`")), "{error}");
    }
    let none = ByteSize::new(0);
    check("segment_max", |config| config.segment_max = none);
    check("bytes_max", |config| config.bytes_max = none);
    check("batch_max", |config| config.batch_max = none);
    check("batch_max", |config| config.batch_max = ByteSize::gib(4));
    check("queue_bytes", |config| config.queue_bytes = none);
}

#[tokio::test]
async fn a_batch_that_can_never_fit_is_refused_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { batch_max: ByteSize::kib(1), ..config(dir.path()) };
    let journal = Journal::open(&config, &Registry::new()).unwrap();
    let error = journal.append(batch(&"x".repeat(2_000))).await.unwrap_err();
    assert!(matches!(error, JournalError::TooLarge { .. }) && !error.is_retryable());
    journal.append(batch("small")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_writes_what_is_queued_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let appends: Vec<_> = (0..50)
        .map(|n| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(batch(&n.to_string())).await })
        })
        .collect();
    journal.close().await;
    let mut kept = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(_) => kept += 1,
            Err(error) => assert!(matches!(error, JournalError::Closed)),
        }
    }
    assert_eq!(texts(&journal).len(), kept);
    assert!(matches!(journal.append(batch("late")).await, Err(JournalError::Closed)));
    assert!(journal.progress().closed);
}

#[tokio::test]
async fn positions_that_a_reader_has_passed_are_not_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open_past(&config(dir.path()), Position::new(41), &Registry::new()).unwrap();
    assert_eq!(journal.append(batch("x")).await.unwrap().position, Position::new(42));
}

#[test]
fn a_folder_that_is_in_use_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let _journal = open(dir.path());
    let error = Journal::open(&config(dir.path()), &Registry::new()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&dir.path().display().to_string()), "{error}: {source}");
}

#[tokio::test]
async fn a_disk_that_fails_is_told_to_senders_and_the_journal_goes_on_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    let away = dir.path().join("away");
    let journal = open(&folder);
    // The first file is full, so that the next batch needs a new one.
    journal.append(batch(&"x".repeat(70_000))).await.unwrap();
    fs::rename(&folder, &away).unwrap();
    for _ in 0..2 {
        let error = journal.append(numbered(1)).await.unwrap_err();
        assert!(matches!(error, JournalError::Disk { .. }) && error.is_retryable(), "{error:?}");
    }
    fs::rename(&away, &folder).unwrap();
    let appended = journal.append(numbered(1)).await.unwrap();
    assert_eq!(appended, Appended { position: Position::new(2), duplicate: false });
    assert!(journal.append(numbered(1)).await.unwrap().duplicate);
}
