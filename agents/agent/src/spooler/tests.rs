//! A crash between any two steps, and a spool without room: no record is lost, doubled or invented.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::channel;

use canh_schema::{AgentId, Timestamp};
use canh_spool::{Reader, SpoolConfig};
use canh_wire::LogEntry;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::checkpoint::{Place, decode};
use crate::counters::Source;

const KEY: &str = "file:1:1";

fn origin() -> Origin {
    Origin { agent: AgentId::from_bytes([1; 16]), agent_version: String::new(), host_name: String::new() }
}

fn open(dir: &Path, bytes_max: u64) -> (Spooler, watch::Receiver<Progress>) {
    let config = SpoolConfig { dir: dir.join("spool"), segment_max: 4_096, bytes_max, record_max: 1 << 20 };
    let mut spool = Spool::open(config).unwrap().0;
    let checkpoint = Checkpoint::recover(dir.join("places.json"), &mut spool).unwrap();
    Spooler::new(spool, checkpoint, origin(), Arc::default(), Arc::default(), CancellationToken::new())
}

/// The line that ends at `offset`, where every line is one byte of the file.
fn item(offset: u64) -> Item {
    let entry =
        LogEntry { observed: Timestamp::from_secs(1), body: offset.to_string().into_bytes(), ..LogEntry::default() };
    let place = Place::File { path: "/a".to_owned(), offset, print_len: 0, print: 0 };
    Item {
        source: Source::File,
        payload: Payload::Log(entry),
        mark: Some(Mark { key: KEY.into(), place: Some(place) }),
    }
}

fn offset_of(checkpoint: &Checkpoint) -> u64 {
    match checkpoint.marks().get(KEY) {
        Some(Place::File { offset, .. }) => *offset,
        None => 0,
        other => panic!("{other:?}"),
    }
}

/// Reads at most `count` batches as the shipper does, and answers the lines and the last number.
fn ship(reader: &mut Reader, count: usize) -> (Vec<u64>, u64) {
    let mut lines = Vec::new();
    for _ in 0..count {
        let Some(record) = reader.next().unwrap() else { break };
        let message = ExportLogsServiceRequest::decode(decode(&record.payload).unwrap().message).unwrap();
        for record in &message.resource_logs[0].scope_logs[0].log_records {
            match record.body.as_ref().and_then(|body| body.value.as_ref()) {
                Some(any_value::Value::StringValue(text)) => lines.push(text.parse().unwrap()),
                other => panic!("{other:?}"),
            }
        }
    }
    (lines, reader.position())
}

#[derive(Clone, Debug)]
enum Step {
    Take(u64),
    Close,
    Snapshot,
    Ship(usize),
    /// The process is gone; with bytes of a write that did not finish.
    Crash(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (1u64..40).prop_map(Step::Take),
        Just(Step::Close),
        Just(Step::Snapshot),
        (1usize..6).prop_map(Step::Ship),
        prop::collection::vec(any::<u8>(), 0..60).prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_between_any_two_steps_changes_nothing(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spooler, _) = open(dir.path(), 1 << 24);
        let (mut read_to, mut acked, mut shipped) = (0, 0, Vec::new());
        let mut reader = spooler.spool.reader(0);
        for step in steps.into_iter().chain([Step::Close, Step::Ship(usize::MAX)]) {
            match step {
                Step::Take(count) => {
                    for _ in 0..count {
                        read_to += 1;
                        spooler.take(item(read_to)).unwrap();
                    }
                }
                Step::Close => spooler.close_batch().unwrap(),
                Step::Snapshot => {
                    spooler.snapshot_wanted = true;
                    spooler.tidy();
                }
                Step::Ship(count) => {
                    let (lines, position) = ship(&mut reader, count);
                    shipped.extend(lines);
                    acked = position;
                    spooler.acked.store(acked, Ordering::Release);
                    spooler.tidy();
                }
                Step::Crash(torn) => {
                    drop(spooler);
                    let mut segments: Vec<_> = std::fs::read_dir(dir.path().join("spool")).unwrap()
                        .map(|entry| entry.unwrap().path())
                        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
                        .collect();
                    segments.sort();
                    let mut last = OpenOptions::new().append(true).open(segments.last().unwrap()).unwrap();
                    last.write_all(&torn).unwrap();
                    spooler = open(dir.path(), 1 << 24).0;
                    spooler.acked.store(acked, Ordering::Release);
                    reader = spooler.spool.reader(acked);
                    read_to = offset_of(&spooler.checkpoint);
                }
            }
        }
        prop_assert_eq!(shipped, (1..=read_to).collect::<Vec<_>>());
    }
}

#[test]
fn without_room_the_spooler_waits_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, mut progress) = open(dir.path(), 256 * 1024);
    let (counters, acked) = (spooler.counters.clone(), spooler.acked.clone());
    let mut reader = spooler.spool.reader(0);
    let (sender, receiver) = channel();
    for chunk in 0..20 {
        sender.send((1..=1_000).map(|at| item(chunk * 1_000 + at)).collect()).unwrap();
    }
    drop(sender);
    let thread = thread::spawn(move || spooler.run(&receiver));
    while counters.spool_waits.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    let mut shipped = Vec::new();
    loop {
        let ended = progress.borrow_and_update().ended;
        let (lines, position) = ship(&mut reader, usize::MAX);
        shipped.extend(lines);
        acked.store(position, Ordering::Release);
        if ended {
            break;
        }
        thread::yield_now();
    }
    thread.join().unwrap();
    assert_eq!(shipped, (1..=20_000).collect::<Vec<_>>());
}

#[test]
fn a_stop_without_room_keeps_the_places_of_what_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (spooler, _progress) = open(dir.path(), 256 * 1024);
    spooler.stop.cancel();
    let (sender, receiver) = channel();
    for chunk in 0..20 {
        sender.send((1..=1_000).map(|at| item(chunk * 1_000 + at)).collect()).unwrap();
    }
    spooler.run(&receiver);
    let (spooler, _progress) = open(dir.path(), 256 * 1024);
    let (lines, _) = ship(&mut spooler.spool.reader(0), usize::MAX);
    let kept = offset_of(&spooler.checkpoint);
    assert!(kept < 20_000);
    assert_eq!(lines, (1..=kept).collect::<Vec<_>>());
}

#[test]
fn marks_without_records_use_no_batch_number() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spooler, _progress) = open(dir.path(), 1 << 24);
    spooler.take(Item { payload: Payload::Nothing, ..item(7) }).unwrap();
    spooler.close_batch().unwrap();
    spooler.tidy();
    assert_eq!(spooler.spool.last(), 0);
    drop(spooler);
    assert_eq!(offset_of(&open(dir.path(), 1 << 24).0.checkpoint), 7);
}
