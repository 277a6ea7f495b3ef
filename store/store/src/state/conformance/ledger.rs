//! What is promised about the delivery ledger.

use canh_schema::{Position, TimeRange, Timestamp};
use compact_str::CompactString;

use super::super::{
    GAPS_MAX, GapKind, LedgerCounter, LedgerCounts, LedgerGap, LedgerLine, LedgerMarks, LedgerQuery, LedgerSpool,
    LedgerStart, LedgerUpdate, StateStore, StoreMark, hour_of,
};
use super::{HOSTILE, at};

const HOUR: i64 = 3_600;

fn line(source: &str, hour: i64, journaled: u64) -> LedgerLine {
    let counts = LedgerCounts {
        read: 1,
        sent: 2,
        batches: 3,
        bytes: 4,
        journaled,
        detected: 5,
        stored: 6,
        duplicates: 7,
        missed: 8,
    };
    LedgerLine { counts, ..LedgerLine::new(source.into(), at(hour * HOUR)) }
}

fn gap(id: u64, source: &str, noticed: i64) -> LedgerGap {
    LedgerGap {
        id,
        source: source.into(),
        kind: GapKind::Batches,
        spool: "00000000000000ff".into(),
        reason: CompactString::default(),
        first: 5,
        last: 9,
        missing: 5,
        noticed: at(noticed),
        raised: Some(at(noticed + 1)),
        healed: None,
    }
}

fn everything(source: Option<&str>) -> LedgerQuery {
    LedgerQuery { range: TimeRange::ALL, source: source.map(CompactString::from) }
}

pub(super) async fn the_ledger_adds_up(state: impl StateStore) {
    assert_eq!(state.ledger_start().await.expect("read"), LedgerStart::default());
    assert_eq!(hour_of(at(HOUR + 7)), at(HOUR));
    assert_eq!(hour_of(at(-1)), at(-HOUR));
    let mut odd = line(HOSTILE, 2, 10);
    odd.drop(HOSTILE, 3);
    odd.drop("full", 1);
    let mut only_dropped = LedgerLine::new("lost".into(), at(HOUR));
    only_dropped.drop("full", 9);
    let update = LedgerUpdate {
        lines: vec![line("a", 1, 10), line("a", 2, 20), odd.clone(), only_dropped.clone()],
        ..LedgerUpdate::default()
    };
    state.put_ledger(update.clone()).await.expect("put");
    state.put_ledger(LedgerUpdate { lines: vec![odd.clone()], ..update }).await.expect("put");

    let page = state.ledger(&everything(None)).await.expect("read");
    let sums: Vec<_> = page.lines.iter().map(|line| (line.source.as_str(), line.counts.journaled)).collect();
    assert_eq!(sums, [(HOSTILE, 20), ("a", 30), ("lost", 0)]);
    assert_eq!(page.lines[0].dropped, [(HOSTILE.into(), 6), ("full".into(), 2)] as [(CompactString, u64); 2]);
    assert_eq!(page.lines[1].counts.named().map(|(_, count)| count), [2, 4, 6, 8, 30, 10, 12, 14, 16]);
    assert_eq!(page.lines[1].hour, at(HOUR));
    assert_eq!(page.lines[2], only_dropped);

    let page = state.ledger(&everything(Some("a"))).await.expect("read");
    assert_eq!(page.lines, [line("a", 2, 20), line("a", 1, 10)]);
    let range = TimeRange { start: at(2 * HOUR), end: at(3 * HOUR) };
    let page = state.ledger(&LedgerQuery { range, source: Some("a".into()) }).await.expect("read");
    assert_eq!(page.lines, [line("a", 2, 20)]);
    let page = state.ledger(&LedgerQuery { range, source: None }).await.expect("read");
    assert_eq!(page.lines.len(), 2);
}

pub(super) async fn the_ledger_goes_on_where_it_was(state: impl StateStore) {
    let marks = LedgerMarks {
        journaled: Position::new(9),
        detected: Position::new(7),
        stored: Position::new(8),
        compared: Some(StoreMark { position: Position::new(6), events: 77, oldest: -5 }),
    };
    assert_eq!(marks.oldest(), Position::new(6));
    let spool = |highest| LedgerSpool { source: "a".into(), spool: u64::MAX, highest };
    let counter = |value| LedgerCounter { source: "a".into(), name: "read".into(), value };
    let silent = LedgerGap { raised: None, kind: GapKind::Dropped, reason: "full".into(), ..gap(2, "a", 20) };
    let told = LedgerGap { kind: GapKind::Store, ..gap(3, "a", 30) };
    let healed = LedgerGap { healed: Some(at(50)), ..gap(4, "a", 40) };
    let update = LedgerUpdate {
        gaps: vec![gap(1, "a", 10), silent.clone(), told, healed, gap(5, "b", 60)],
        spools: vec![spool(3)],
        counters: vec![counter(1.5)],
        ..LedgerUpdate::default()
    };
    state.put_ledger(update).await.expect("put");
    let changed = LedgerGap { first: 6, missing: 4, ..gap(1, "a", 10) };
    let update = LedgerUpdate {
        gaps: vec![changed.clone()],
        closed: vec![5],
        spools: vec![spool(4)],
        counters: vec![counter(2.5)],
        marks,
        ..LedgerUpdate::default()
    };
    state.put_ledger(update).await.expect("put");
    let start = state.ledger_start().await.expect("read");
    let expected = LedgerStart {
        marks: Some(marks),
        spools: vec![spool(4)],
        counters: vec![counter(2.5)],
        gaps: vec![changed, silent],
        last_gap: 4,
    };
    // A gap that was closed may or may not have used up its number.
    assert_eq!(LedgerStart { last_gap: start.last_gap.min(4), ..start }, expected);

    let update = LedgerUpdate {
        forgotten_spools: vec![("a".into(), u64::MAX), ("b".into(), 1)],
        forgotten_counters: vec![("a".into(), "read".into())],
        marks,
        ..LedgerUpdate::default()
    };
    assert!(!update.is_empty());
    state.put_ledger(update).await.expect("put");
    let start = state.ledger_start().await.expect("read");
    assert_eq!((start.spools, start.counters), (vec![], vec![]));
}

pub(super) async fn gaps_are_shown_once_told(state: impl StateStore) {
    let many = u64::try_from(GAPS_MAX).expect("small") + 5;
    let mut gaps: Vec<LedgerGap> = (1..=many).map(|id| gap(id, "a", 100)).collect();
    gaps.push(LedgerGap { raised: None, ..gap(many + 1, "a", 100) });
    gaps.push(gap(many + 2, "b", 200));
    let lines = vec![line("a", 1, 1), line("a", 2, 1)];
    state.put_ledger(LedgerUpdate { gaps, lines, ..LedgerUpdate::default() }).await.expect("put");
    let page = state.ledger(&everything(None)).await.expect("read");
    assert_eq!((page.gaps.len(), page.gaps_left, page.gaps[0].id), (GAPS_MAX, 6, many + 2));
    let page = state.ledger(&everything(Some("b"))).await.expect("read");
    assert_eq!((page.gaps, page.gaps_left), (vec![gap(many + 2, "b", 200)], 0));

    let forget_before = Some(Timestamp::from_secs(2 * HOUR));
    state.put_ledger(LedgerUpdate { forget_before, ..LedgerUpdate::default() }).await.expect("put");
    let page = state.ledger(&everything(None)).await.expect("read");
    assert_eq!((page.lines, page.gaps.len()), (vec![line("a", 2, 1)], 0));
}
