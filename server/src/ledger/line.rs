//! A gap as a line of the server's own log. It enters the journal like any other, and a rule makes the alert of it.

use canh_schema::Timestamp;
use canh_store::state::{GapKind, LedgerGap};
use compact_str::{CompactString, ToCompactString, format_compact};
use serde::Serialize;

pub(super) const ACTION: &str = "delivery_gap";

/// The keys of the log source come first, because the decoder looks for them there.
#[derive(Serialize)]
struct Line<'a> {
    _product: &'static str,
    _service: &'static str,
    #[serde(rename = "@timestamp")]
    time: CompactString,
    message: String,
    #[serde(rename = "event.action")]
    action: &'static str,
    #[serde(rename = "event.dataset")]
    dataset: &'static str,
    #[serde(rename = "event.reason", skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(rename = "host.name", skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(rename = "canh.ledger.source")]
    source: &'a str,
    #[serde(rename = "canh.ledger.kind")]
    kind: &'static str,
    #[serde(rename = "canh.ledger.spool", skip_serializing_if = "str::is_empty")]
    spool: &'a str,
    #[serde(rename = "canh.ledger.first")]
    first: CompactString,
    #[serde(rename = "canh.ledger.last")]
    last: CompactString,
    #[serde(rename = "canh.ledger.missing")]
    missing: u64,
}

/// One JSON line, without its end. `host` is the machine that sends, if that is known.
pub(super) fn line(gap: &LedgerGap, host: Option<&str>, now: Timestamp) -> serde_json::Result<Vec<u8>> {
    let (first, last) = gap.range_texts();
    serde_json::to_vec(&Line {
        _product: "canh",
        _service: "ledger",
        time: now.to_compact_string(),
        message: message(gap, &first, &last),
        action: ACTION,
        dataset: "canh.ledger",
        reason: &gap.reason,
        host,
        source: &gap.source,
        kind: gap.kind.name(),
        spool: &gap.spool,
        first,
        last,
        missing: gap.missing,
    })
}

fn message(gap: &LedgerGap, first: &str, last: &str) -> String {
    let LedgerGap { source, missing, reason, spool, .. } = gap;
    let between = if first == last { format_compact!("at {first}") } else { format_compact!("from {first} to {last}") };
    match gap.kind {
        GapKind::Batches => {
            format!("{missing} batches of agent {source} are missing: numbers {first} to {last} of spool {spool}")
        }
        GapKind::Journal => format!("{missing} records of the journal cannot be read: {first} to {last}"),
        GapKind::Store if reason == "doubled" => {
            format!("the store has {missing} events more than came to it, from journal records {first} to {last}")
        }
        GapKind::Store => format!("the store lacks {missing} events of journal records {first} to {last}"),
        GapKind::Dropped => format!("{missing} records of {source} were dropped ({reason}), {between}"),
        GapKind::Offsets => format!(
            "{missing} offsets of {spool} ({source}) were gone before they were read ({reason}): {first} to {last}"
        ),
        GapKind::Sequence => format!("about {missing} messages of {source} did not arrive, {between}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: GapKind, reason: &str, first: i64, last: i64, expected: &str) {
        let gap = LedgerGap {
            id: 1,
            source: "flow:192.0.2.1".into(),
            kind,
            spool: "00ff".into(),
            reason: reason.into(),
            first,
            last,
            missing: 3,
            noticed: Timestamp::default(),
            raised: None,
            healed: None,
        };
        let line = line(&gap, Some("gw"), Timestamp::default()).expect("JSON");
        let line: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(line["message"], expected);
        assert_eq!(line["canh.ledger.first"], gap.range_texts().0.as_str());
    }

    #[test]
    fn every_kind_says_its_range() {
        let second = 1_000_000_000;
        check(
            GapKind::Batches,
            "",
            4,
            6,
            "3 batches of agent flow:192.0.2.1 are missing: numbers 4 to 6 of spool 00ff",
        );
        check(GapKind::Journal, "", 4, 6, "3 records of the journal cannot be read: 4 to 6");
        check(GapKind::Store, "", 4, 6, "the store lacks 3 events of journal records 4 to 6");
        check(
            GapKind::Store,
            "doubled",
            4,
            6,
            "the store has 3 events more than came to it, from journal records 4 to 6",
        );
        let times = "from 1970-01-01T00:00:01Z to 1970-01-01T00:00:02Z";
        let dropped = format!("3 records of flow:192.0.2.1 were dropped (journal_full), {times}");
        check(GapKind::Dropped, "journal_full", second, 2 * second, &dropped);
        let gone = "3 offsets of 00ff (flow:192.0.2.1) were gone before they were read (deleted): 4 to 6";
        check(GapKind::Offsets, "deleted", 4, 6, gone);
        let at = "about 3 messages of flow:192.0.2.1 did not arrive, at 1970-01-01T00:00:01Z";
        check(GapKind::Sequence, "", second, second, at);
    }
}
