//! Every consumer sees every batch once and in order, whatever the others do.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use canh_schema::{BatchId, EventId, Timestamp};
use prometheus::Registry;
use tempfile::TempDir;

use super::*;
use crate::envelope::{Door, Framing};
use crate::journal::JournalConfig;

struct Bench {
    dir: TempDir,
    feed: Feed,
    drops: Drops,
    decoded: Arc<AtomicUsize>,
}

/// One event per record; a record `boom` is one on which the decoder fails.
fn bench(cache: ByteSize) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    bench_in(dir, cache)
}

fn bench_in(dir: TempDir, cache: ByteSize) -> Bench {
    let registry = Registry::new();
    let drops = Drops::new(&registry).unwrap();
    let config = JournalConfig { dir: dir.path().to_owned(), ..JournalConfig::default() };
    let journal = Journal::open(&config, &registry).unwrap();
    let decoded = Arc::new(AtomicUsize::new(0));
    let counter = decoded.clone();
    let decode: Decoder = Arc::new(move |envelope, position, journal| {
        counter.fetch_add(1, Ordering::Relaxed);
        let id = EventId::new(BatchId::from_journal(journal, position.get()), 0);
        let record = envelope.records().next().unwrap();
        assert_ne!(&record.bytes[..], b"boom");
        EventBatch::new(position, vec![Event::new(id, envelope.received, record.bytes)])
    });
    Bench { dir, feed: Feed::new(journal, decode, cache, drops.clone()), drops, decoded }
}

impl Bench {
    async fn append(&self, text: &str) {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let envelope = Envelope::new(Door::SyslogTcp, Timestamp::from_secs(1), Framing::Lines, payload);
        self.feed.journal().append(envelope).await.unwrap();
    }
}

fn text_of(batch: &EventBatch) -> String {
    batch.events.first().map(|event| String::from_utf8_lossy(&event.raw).into_owned()).unwrap_or_default()
}

/// Everything from `after` to the end of a closed journal.
fn rest(feed: &Feed, mut after: Position) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(batch) = feed.next_blocking(after) {
        assert!(batch.position > after);
        after = batch.position;
        texts.push(text_of(&batch));
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn consumers_share_what_is_decoded() {
    let bench = bench(ByteSize::mib(1));
    let consumers: Vec<_> = (0..3)
        .map(|_| {
            let feed = bench.feed.clone();
            std::thread::spawn(move || rest(&feed, Position::START))
        })
        .collect();
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    for text in &expected {
        bench.append(text).await;
    }
    bench.feed.journal().close().await;
    for consumer in consumers {
        assert_eq!(consumer.join().unwrap(), expected);
    }
    assert_eq!(bench.decoded.load(Ordering::Relaxed), 100, "each batch is decoded once");
}

#[tokio::test]
async fn a_consumer_that_fell_behind_reads_the_journal_again() {
    let bench = bench(ByteSize::new(1)); // nothing fits into the cache
    let expected: Vec<String> = (0..10).map(|n| n.to_string()).collect();
    for text in &expected {
        bench.append(text).await;
    }
    bench.feed.journal().close().await;
    assert_eq!(rest(&bench.feed, Position::START), expected);
    assert_eq!(rest(&bench.feed, Position::new(4)), expected[4..]);
    assert_eq!(bench.decoded.load(Ordering::Relaxed), 16);
    let cache = bench.feed.inner.cache.lock();
    assert_eq!((cache.slots.len(), cache.bytes), (0, 0));
    assert!(cache.readers.len() <= READERS_MAX);
}

#[tokio::test]
async fn a_task_waits_for_the_next_batch() {
    let bench = bench(ByteSize::mib(1));
    assert!(matches!(bench.feed.try_next(Position::START), Pull::Idle));
    let (batch, ()) = tokio::join!(bench.feed.next(Position::START), bench.append("x"));
    assert_eq!(text_of(&batch.unwrap()), "x");
    let (batch, ()) = tokio::join!(bench.feed.next(Position::new(1)), bench.feed.journal().close());
    assert!(batch.is_none());
    assert!(matches!(bench.feed.try_next(Position::new(1)), Pull::Closed));
}

#[tokio::test]
async fn what_every_reader_has_passed_leaves_the_cache() {
    let bench = bench(ByteSize::mib(1));
    for n in 0..4 {
        bench.append(&n.to_string()).await;
    }
    let next = |after| match bench.feed.try_next(Position::new(after)) {
        Pull::Batch(batch) => batch.position.get(),
        other => panic!("{other:?}"),
    };
    assert_eq!((next(0), next(1), next(2)), (1, 2, 3));
    bench.feed.journal().release(Position::new(2));
    assert_eq!(next(3), 4);
    let cache = bench.feed.inner.cache.lock();
    let kept: Vec<u64> = cache.slots.keys().map(|after| after.get()).collect();
    assert_eq!(kept, [2, 3]);
}

#[tokio::test]
async fn a_batch_on_which_the_decoder_fails_is_counted_and_passed_over() {
    let bench = bench(ByteSize::mib(1));
    for text in ["a", "boom", "b"] {
        bench.append(text).await;
    }
    bench.feed.journal().close().await;
    assert_eq!(rest(&bench.feed, Position::START), ["a", "", "b"]);
    assert_eq!(bench.drops.get("decode", DropReason::DecoderFailed), 1);
}

/// Flips a bit of the record that holds `text`.
fn damage(dir: &Path, text: &str) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("`{text}` is not in the journal");
}

#[tokio::test]
async fn damage_on_disk_is_counted_and_passed_over() {
    let bench = bench(ByteSize::mib(1));
    for text in ["first", "second", "third", "fourth"] {
        bench.append(text).await;
    }
    bench.feed.journal().close().await;
    damage(bench.dir.path(), "second");
    damage(bench.dir.path(), "fourth");
    // The last one is an empty batch, so that consumers see that the place has moved on.
    assert_eq!(rest(&bench.feed, Position::START), ["first", "third", ""]);
    assert_eq!(bench.drops.get(STAGE, DropReason::Damaged), 2);
}
