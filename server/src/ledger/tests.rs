//! The ledger against a journal that is only a list: whatever happens, its sums are those of the list.

use canh_collector::{DropReason, Note, Noted};
use canh_schema::TimeRange;
use canh_schema::{
    AgentId, BatchId, BatchNumber, Event, EventBatch, EventClass, EventId, Missing, Position, Timestamp, field,
};
use canh_store::state::{GapKind, LedgerGap, LedgerQuery, MemoryState, StateStore, StoreMark};
use proptest::prelude::*;

use super::book::Book;

const AGENT: AgentId = AgentId::from_bytes([7; 16]);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

/// A batch of `counts` events of each sender, received at `secs`.
fn batch(position: u64, secs: i64, counts: &[(&str, usize)]) -> EventBatch {
    let id = BatchId::from_journal(1, position);
    let mut events = Vec::new();
    for (source, count) in counts {
        for _ in 0..*count {
            let mut event = Event::new(EventId::new(id, 0), at(secs), bytes::Bytes::new());
            event.set(field::CANH_SOURCE, *source);
            events.push(event);
        }
    }
    EventBatch { bytes: 10, ..EventBatch::new(Position::new(position), events) }
}

fn numbered(position: u64, sequence: u64) -> EventBatch {
    let number = Some(BatchNumber { agent: AGENT, spool: 255, sequence });
    EventBatch { number, ..batch(position, 100, &[(&AGENT.to_string(), 1)]) }
}

/// A book whose journal begins at 1, and what it has been shown.
struct Shown {
    book: Book,
    last: Position,
}

fn fresh() -> Shown {
    Shown { book: Book::new(Default::default(), Position::START), last: Position::START }
}

impl Shown {
    fn show(&mut self, batch: &EventBatch, now: i64) {
        self.book.count(batch, self.last, at(now));
        self.last = batch.position;
    }
}

/// Kind, first, last, missing, healed.
type Short = (GapKind, i64, i64, u64, bool);

fn short(gap: &LedgerGap) -> Short {
    (gap.kind, gap.first, gap.last, gap.missing, gap.healed.is_some())
}

/// The batches of an agent come in this order, one a second; what is told after a minute.
#[track_caller]
fn check_numbers(sequences: &[u64], told: &[(i64, i64, u64)]) {
    let mut shown = fresh();
    for (place, sequence) in (1..).zip(sequences) {
        shown.show(&numbered(place, *sequence), 0);
    }
    let due: Vec<_> = shown.book.gaps.due(at(60)).iter().map(|gap| (gap.first, gap.last, gap.missing)).collect();
    assert_eq!(due, told, "order: {sequences:?}");
    assert_eq!(shown.book.gaps.due(at(10)), [], "nothing is told before it was waited for");
}

#[test]
fn numbers_that_never_come_are_told_with_their_range() {
    check_numbers(&[1, 2, 3], &[]);
    check_numbers(&[5, 6], &[]);
    check_numbers(&[1, 3], &[(2, 2, 1)]);
    check_numbers(&[1, 10, 12], &[(2, 9, 8), (11, 11, 1)]);
    check_numbers(&[1, 3, 2], &[]);
    check_numbers(&[1, 6, 2, 5], &[(3, 4, 2)]);
    check_numbers(&[1, 6, 4], &[(2, 3, 2), (5, 5, 1)]);
    check_numbers(&[1, 6, 4, 3, 2, 5], &[]);
}

#[test]
fn a_gap_that_was_told_is_crossed_out_when_it_is_filled() {
    let mut shown = fresh();
    shown.show(&numbered(1, 1), 0);
    shown.show(&numbered(2, 3), 0);
    let id = shown.book.gaps.due(at(60))[0].id;
    shown.book.gaps.told(id, at(60));
    assert_eq!(shown.book.gaps.due(at(90)), []);
    shown.show(&numbered(3, 2), 90);
    let update = shown.book.take_update();
    assert_eq!(update.gaps.iter().map(short).collect::<Vec<_>>(), [(GapKind::Batches, 2, 2, 0, true)]);
}

#[test]
fn a_flood_of_gaps_is_bounded() {
    let mut shown = fresh();
    for place in 1..=2_000 {
        shown.show(&numbered(place, place * 2), 0);
    }
    let due = shown.book.gaps.due(at(60));
    assert_eq!(due.len(), 256);
    assert_eq!(due.iter().map(|gap| gap.missing).sum::<u64>(), 1_999);
}

#[test]
fn what_agents_make_up_is_bounded() {
    let mut shown = fresh();
    for place in 1..=20_003 {
        let number = Some(BatchNumber { agent: AGENT, spool: place, sequence: 1 });
        let mut reported = EventBatch { number, ..batch(place, 100, &[(&AGENT.to_string(), 1)]) };
        let event = &mut reported.events[0];
        event.class = EventClass::Metric;
        event.set(field::METRIC_NAME, "canh_agent_dropped_total");
        event.set(field::METRIC_VALUE, 1);
        event.attrs.push(("reason".into(), format!("made up {place}").as_str().into()));
        shown.show(&reported, 0);
    }
    let update = shown.book.take_update();
    assert_eq!(update.spools.len(), 20_000);
    let spools: Vec<u64> = update.forgotten_spools.iter().map(|(_, spool)| *spool).collect();
    assert_eq!(spools, [1, 2, 3], "those that were quiet for longest");
    assert_eq!(update.lines.len(), 1);
    assert_eq!(update.lines[0].dropped.len(), 65, "64 reasons, and what is more is one");
    assert_eq!(update.lines[0].dropped.iter().map(|(_, records)| records).sum::<u64>(), 20_003);
    assert_eq!(shown.book.take_update().forgotten_spools, []);
}

#[test]
fn records_of_the_journal_that_cannot_be_read_are_told() {
    let mut shown = fresh();
    shown.show(&batch(1, 0, &[("a", 1)]), 0);
    shown.show(&batch(5, 0, &[("a", 1)]), 0);
    shown.show(&EventBatch::unreadable(Position::new(6)), 0);
    let due: Vec<_> = shown.book.gaps.due(at(6)).iter().map(short).collect();
    assert_eq!(due, [(GapKind::Journal, 2, 4, 3, false), (GapKind::Journal, 6, 6, 1, false)]);
}

#[test]
fn offsets_that_were_gone_are_told_once() {
    let gone = Missing {
        source: "kafka:prod/logs".into(),
        place: "logs/3".into(),
        reason: "deleted".into(),
        first: 40,
        last: 69,
    };
    let mark = EventBatch { missing: Some(gone), ..EventBatch::new(Position::new(1), Vec::new()) };
    let mut shown = fresh();
    shown.show(&mark, 0);
    shown.show(&batch(2, 0, &[("a", 1)]), 0);
    shown.show(&mark, 0); // read again after a restart
    let due = shown.book.gaps.due(at(6));
    assert_eq!(due.iter().map(short).collect::<Vec<_>>(), [(GapKind::Offsets, 40, 69, 30, false)]);
    assert_eq!((due[0].spool.as_str(), due[0].reason.as_str()), ("logs/3", "deleted"));
    shown.book.gaps.told(due[0].id, at(7));
    assert!(shown.book.gaps.due(at(60)).is_empty());
}

/// The store had `before` events at position 1, and has `after` at position 3; batches 2 and 3 have three events.
#[track_caller]
fn check_store(before: u64, after: u64, oldest: i64, told: Option<(&str, u64)>) {
    let mut shown = fresh();
    shown.show(&batch(1, 0, &[("a", 7)]), 0);
    shown.book.compare(StoreMark { position: Position::new(1), events: before, oldest: 5 }, at(0));
    // The store is ahead of the ledger for a moment.
    shown.book.compare(StoreMark { position: Position::new(3), events: after, oldest }, at(0));
    shown.show(&batch(2, 0, &[("a", 1), ("b", 1)]), 0);
    shown.show(&batch(3, 0, &[("a", 1)]), 0);
    shown.book.compare(StoreMark { position: Position::new(3), events: 0, oldest: 9 }, at(0));
    let due = shown.book.gaps.due(at(6));
    let found = due.iter().map(|gap| (gap.reason.as_str(), gap.missing)).next();
    assert_eq!(found, told, "{before} then {after}");
    if let Some(gap) = due.first() {
        assert_eq!((gap.kind, gap.first, gap.last), (GapKind::Store, 2, 3));
    }
    assert_eq!(shown.book.marks().compared.map(|mark| mark.events), Some(after));
}

#[test]
fn the_store_is_compared_with_the_journal() {
    check_store(7, 10, 5, None);
    check_store(7, 8, 5, Some(("", 2)));
    check_store(7, 11, 5, Some(("doubled", 1)));
    check_store(7, 4, 6, None); // the oldest events were deleted meanwhile
}

#[test]
fn a_comparison_across_a_deletion_says_nothing() {
    let mut shown = fresh();
    shown.show(&batch(1, 0, &[("a", 7)]), 0);
    let mark = |events| StoreMark { position: Position::new(1), events, oldest: 5 };
    shown.book.compare(mark(7), at(0));
    // Older events that came later are kept, so that the oldest event says nothing.
    shown.book.expired(2);
    shown.book.compare(mark(3), at(0));
    assert_eq!(shown.book.gaps.due(at(60)), []);
    shown.book.compare(mark(2), at(0));
    assert_eq!(shown.book.gaps.due(at(60)).len(), 1, "the next one counts again");
}

#[test]
fn losses_of_an_hour_are_one_gap() {
    let mut book = fresh().book;
    let note = |noted, records| Note { source: "syslog_udp".into(), noted, records };
    book.note(note(Noted::Dropped(DropReason::KernelBuffer), 5), at(10));
    book.note(note(Noted::Dropped(DropReason::KernelBuffer), 2), at(12));
    book.note(note(Noted::Dropped(DropReason::Truncated), 9), at(12));
    book.note(note(Noted::Duplicates, 3), at(12));
    book.note(note(Noted::Missed, 4), at(3_700));
    let second = 1_000_000_000;
    let due: Vec<_> = book.gaps.due(at(3_706)).iter().map(short).collect();
    let kernel = (GapKind::Dropped, 10 * second, 12 * second, 7, false);
    assert_eq!(due, [kernel, (GapKind::Sequence, 3_700 * second, 3_700 * second, 4, false)]);
    let mut lines = book.take_update().lines;
    lines.sort_by_key(|line| line.hour);
    assert_eq!(lines[0].dropped, [("kernel_buffer".into(), 7), ("truncated".into(), 9)]);
    assert_eq!((lines[0].counts.duplicates, lines[1].counts.missed), (3, 4));
}

#[test]
fn forged_senders_are_noted_under_their_door() {
    let mut book = fresh().book;
    for number in 0..30_000 {
        let source = compact_str::format_compact!("gelf_udp:{number}");
        book.note(Note { source, noted: Noted::Dropped(DropReason::BadFrame), records: 1 }, at(10));
    }
    let lines = book.take_update().lines;
    assert_eq!(lines.len(), 10_001);
    let door = lines.iter().find(|line| line.source == "gelf_udp").expect("the door has a line");
    assert_eq!(door.dropped, [("bad_frame".into(), 20_000)]);
}

#[test]
fn a_store_that_is_too_far_ahead_is_compared_anew() {
    let mut shown = fresh();
    shown.show(&batch(1, 0, &[("a", 1)]), 0);
    shown.book.compare(StoreMark { position: Position::new(1), events: 1, oldest: 0 }, at(0));
    let end = 300_000;
    shown.book.compare(StoreMark { position: Position::new(end), events: end, oldest: 0 }, at(0));
    for position in 2..=end {
        if !shown.book.has_room() {
            shown.book.detected(Position::new(position));
            shown.book.stored(Position::new(position));
            shown.book.give_up_comparing();
        }
        assert!(shown.book.has_room(), "at {position}");
        shown.show(&batch(position, 0, &[("a", 1)]), 0);
    }
    assert_eq!(shown.book.gaps.due(at(60)), []);
}

#[test]
fn what_an_agent_counts_itself_is_the_growth_of_its_counters() {
    let report = |position, sequence, name: &str, value: f64| {
        let mut batch = numbered(position, sequence);
        let event = &mut batch.events[0];
        event.class = EventClass::Metric;
        event.set(field::METRIC_NAME, name);
        event.set(field::METRIC_VALUE, value);
        event.attrs.push(("stage".into(), "spool".into()));
        event.attrs.push(("reason".into(), "damaged".into()));
        batch
    };
    let counts = |first: u64, values: &[f64]| {
        let mut shown = fresh();
        for (place, value) in (1_u64..).zip(values) {
            shown.show(&report(place, first + place - 1, "canh_agent_read_total", *value), 0);
        }
        shown.book.take_update().lines[0].counts.read
    };
    assert_eq!(counts(1, &[10.0, 15.0]), 15);
    assert_eq!(counts(1, &[10.0, 15.0, 3.0]), 18, "the agent began again");
    assert_eq!(counts(8, &[10.0, 15.0]), 5, "what an agent counted before it came is not known");
    assert_eq!(counts(1, &[10.0, f64::NAN, f64::INFINITY, 1e19, -5.0, 15.0]), 15, "what is no count is left out");
    let mut shown = fresh();
    shown.show(&report(1, 1, "canh_agent_dropped_total", 4.0), 0);
    assert_eq!(shown.book.take_update().lines[0].dropped, [("agent.spool.damaged".into(), 4)]);
}

#[derive(Clone, Debug)]
enum Step {
    Show,
    Detect(u64),
    Store(u64),
    Write,
    /// What was not written is gone.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Show),
        2 => (0..40_u64).prop_map(Step::Detect),
        2 => (0..40_u64).prop_map(Step::Store),
        2 => Just(Step::Write),
        1 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever is done in whatever order, in the end every event is counted once at every stage.
    #[test]
    fn a_restart_neither_loses_nor_doubles(
        steps in prop::collection::vec(step(), 0..80),
        sizes in prop::collection::vec((0..4_usize, 0..3_usize), 1..40),
    ) {
        let journal: Vec<EventBatch> = (1..)
            .zip(&sizes)
            .map(|(position, (a, b))| batch(position, 3_000 + position as i64 * 60, &[("a", *a), ("b", *b)]))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let state = MemoryState::new();
        let (mut detected, mut stored) = (0, 0);
        let open = || {
            let start = runtime.block_on(state.ledger_start()).unwrap();
            let book = Book::new(start, Position::START);
            let last = book.marks().oldest();
            Shown { book, last }
        };
        let mut shown = open();
        let end = journal.len() as u64;
        let finish = [Step::Detect(end), Step::Store(end), Step::Write];
        let all = steps.into_iter().chain(std::iter::repeat_n(Step::Show, journal.len())).chain(finish);
        for step in all {
            match step {
                Step::Show => if let Some(batch) = journal.get(shown.last.get() as usize) {
                    shown.show(batch, 0);
                },
                Step::Detect(to) => {
                    detected = to.min(end).max(detected);
                    shown.book.detected(Position::new(detected));
                }
                Step::Store(to) => {
                    stored = to.min(end).max(stored);
                    shown.book.stored(Position::new(stored));
                    let events = journal[..stored as usize].iter().map(|batch| batch.events.len() as u64).sum();
                    shown.book.compare(StoreMark { position: Position::new(stored), events, oldest: 0 }, at(0));
                }
                Step::Write => runtime.block_on(state.put_ledger(shown.book.take_update())).unwrap(),
                Step::Crash => shown = open(),
            }
        }
        prop_assert_eq!(shown.book.gaps.due(at(1_000_000)), []);
        for source in ["a", "b"] {
            let query = LedgerQuery { range: TimeRange::ALL, source: Some(source.into()) };
            let lines = runtime.block_on(state.ledger(&query)).unwrap().lines;
            for hour in [0, 3_600] {
                let inside = |event: &&Event| canh_store::state::hour_of(event.received) == at(hour);
                let of_source = |event: &&Event| event.get(field::CANH_SOURCE).and_then(|v| v.as_str()) == Some(source);
                let expected = journal.iter().flat_map(|b| &b.events).filter(inside).filter(of_source).count() as u64;
                let line = lines.iter().find(|line| line.hour == at(hour)).map(|line| line.counts).unwrap_or_default();
                prop_assert_eq!((line.journaled, line.detected, line.stored), (expected, expected, expected));
            }
        }
    }
}
