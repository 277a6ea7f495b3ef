//! The delivery ledger as a client sees it.

use axum::http::StatusCode;
use canh_schema::Timestamp;
use canh_store::state::{
    GapKind, LedgerCounts, LedgerGap, LedgerLine, LedgerUpdate, SourceKind, SourceReport, StateStore, hour_of,
};
use serde_json::json;

use crate::support::Console;

fn counts(journaled: u64, stored: u64) -> LedgerCounts {
    LedgerCounts { journaled, detected: journaled, stored, batches: 1, ..LedgerCounts::default() }
}

#[tokio::test]
async fn what_is_missing_comes_first_and_counts_add_up() {
    let console = Console::new();
    let now = Timestamp::now();
    let line = |source: &str, counts| LedgerLine { counts, ..LedgerLine::new(source.into(), hour_of(now)) };
    let mut dropped = line("relp:192.0.2.4", LedgerCounts { duplicates: 2, ..counts(5, 5) });
    dropped.drop("journal_full", 3);
    dropped.drop("truncated", 1);
    let mut cut = line("tcp:192.0.2.3", counts(4, 4));
    cut.drop("truncated", 1);
    let gap = LedgerGap {
        id: 1,
        source: "agent".into(),
        kind: GapKind::Batches,
        spool: "ff".into(),
        reason: "".into(),
        first: 3,
        last: 5,
        missing: 3,
        noticed: now.saturating_sub(std::time::Duration::from_millis(1)),
        raised: Some(now),
        healed: None,
    };
    let lines = vec![line("b", counts(3, 3)), line("a", counts(3, 2)), line("agent", counts(9, 9)), dropped, cut];
    let update = LedgerUpdate { lines, gaps: vec![gap], ..LedgerUpdate::default() };
    console.state.put_ledger(update).await.expect("put");
    let report = SourceReport {
        id: "agent".into(),
        kind: SourceKind::Agent,
        host: Some("esb".into()),
        version: None,
        seen: now,
        events: 1,
        bytes: 1,
        dropped: None,
        spool_bytes: None,
        clock_behind_ms: Some(180_000),
    };
    console.state.put_sources(&[report]).await.expect("put");

    let answer = console.get("/api/v1/ledger").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let lines = answer.body["lines"].as_array().expect("a list");
    let short: Vec<_> = lines.iter().map(|line| json!([line["source"], line["state"], line["received"]])).collect();
    let expected = [
        json!(["agent", "gap", 9]),
        json!(["relp:192.0.2.4", "gap", 10]),
        json!(["a", "waiting", 3]),
        json!(["b", "complete", 3]),
        json!(["tcp:192.0.2.3", "complete", 4]),
    ];
    assert_eq!(short, expected);
    assert_eq!((&lines[0]["host"], &lines[0]["read"]), (&json!("esb"), &json!(null)));
    let gap = &answer.body["gaps"][0];
    assert_eq!(json!([gap["first"], gap["last"], gap["kind"], gap["host"]]), json!(["3", "5", "batches", "esb"]));

    let answer = console.get("/api/v1/ledger?source=b").await;
    assert_eq!(answer.body["lines"].as_array().map(Vec::len), Some(1), "{}", answer.body);
    assert_eq!(answer.body["gaps"], json!([]));
    let answer = console.get("/api/v1/ledger?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z").await;
    assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!("range_empty")));
}
