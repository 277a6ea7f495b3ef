//! The delivery ledger.

use canh_schema::{Position, TimeRange, Timestamp};
use canh_store::state::{
    GAPS_MAX, GapKind, LedgerCounter, LedgerCounts, LedgerGap, LedgerLine, LedgerMarks, LedgerPage, LedgerQuery,
    LedgerSpool, LedgerStart, LedgerUpdate, OPEN_GAPS_MAX, StoreMark,
};
use compact_str::CompactString;
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use rustc_hash::FxHashMap;

use super::Done;
use super::row::{int, named, text, time, uint};

pub(super) fn put(db: &Connection, update: &LedgerUpdate) -> Done<()> {
    for line in &update.lines {
        put_line(db, line)?;
    }
    for gap in &update.gaps {
        put_gap(db, gap)?;
    }
    let mut forget = db.prepare_cached("DELETE FROM ledger_gaps WHERE id = ?1")?;
    for id in &update.closed {
        forget.execute([int(*id)])?;
    }
    let mut put = db.prepare_cached("REPLACE INTO ledger_spools (source, spool, highest) VALUES (?1, ?2, ?3)")?;
    for spool in &update.spools {
        // The spool's number is random, so all 64 bits are used: kept as the signed number of the same bits.
        put.execute(params![spool.source.as_str(), spool.spool.cast_signed(), int(spool.highest)])?;
    }
    let mut put = db.prepare_cached("REPLACE INTO ledger_counters (source, name, value) VALUES (?1, ?2, ?3)")?;
    for counter in &update.counters {
        put.execute(params![counter.source.as_str(), counter.name.as_str(), counter.value])?;
    }
    let mut forget = db.prepare_cached("DELETE FROM ledger_spools WHERE source = ?1 AND spool = ?2")?;
    for (source, spool) in &update.forgotten_spools {
        forget.execute(params![source.as_str(), spool.cast_signed()])?;
    }
    let mut forget = db.prepare_cached("DELETE FROM ledger_counters WHERE source = ?1 AND name = ?2")?;
    for (source, name) in &update.forgotten_counters {
        forget.execute([source.as_str(), name.as_str()])?;
    }
    put_marks(db, &update.marks)?;
    if let Some(before) = update.forget_before {
        for table in ["ledger", "ledger_drops"] {
            db.execute(&format!("DELETE FROM {table} WHERE hour < ?1"), [before.nanos()])?;
        }
        db.execute("DELETE FROM ledger_gaps WHERE noticed < ?1", [before.nanos()])?;
    }
    Ok(())
}

fn put_line(db: &Connection, line: &LedgerLine) -> Done<()> {
    let counts = &line.counts;
    if !counts.is_zero() {
        let mut add = db.prepare_cached(
            "INSERT INTO ledger
                (source, hour, read, sent, batches, bytes, journaled, detected, stored, duplicates, missed)
             VALUES (:source, :hour, :read, :sent, :batches, :bytes, :journaled, :detected, :stored, :duplicates, :missed)
             ON CONFLICT (source, hour) DO UPDATE SET
                read = read + excluded.read, sent = sent + excluded.sent, batches = batches + excluded.batches,
                bytes = bytes + excluded.bytes, journaled = journaled + excluded.journaled,
                detected = detected + excluded.detected, stored = stored + excluded.stored,
                duplicates = duplicates + excluded.duplicates, missed = missed + excluded.missed",
        )?;
        add.execute(named_params! {
            ":source": line.source.as_str(),
            ":hour": line.hour.nanos(),
            ":read": int(counts.read),
            ":sent": int(counts.sent),
            ":batches": int(counts.batches),
            ":bytes": int(counts.bytes),
            ":journaled": int(counts.journaled),
            ":detected": int(counts.detected),
            ":stored": int(counts.stored),
            ":duplicates": int(counts.duplicates),
            ":missed": int(counts.missed),
        })?;
    }
    let mut add = db.prepare_cached(
        "INSERT INTO ledger_drops (source, hour, reason, records) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (source, hour, reason) DO UPDATE SET records = records + excluded.records",
    )?;
    for (reason, records) in &line.dropped {
        add.execute(params![line.source.as_str(), line.hour.nanos(), reason.as_str(), int(*records)])?;
    }
    Ok(())
}

fn put_gap(db: &Connection, gap: &LedgerGap) -> Done<()> {
    let mut put = db.prepare_cached(
        "REPLACE INTO ledger_gaps
            (id, source, kind, spool, reason, first, last, missing, noticed, raised, healed)
         VALUES (:id, :source, :kind, :spool, :reason, :first, :last, :missing, :noticed, :raised, :healed)",
    )?;
    put.execute(named_params! {
        ":id": int(gap.id),
        ":source": gap.source.as_str(),
        ":kind": gap.kind.name(),
        ":spool": gap.spool.as_str(),
        ":reason": gap.reason.as_str(),
        ":first": gap.first,
        ":last": gap.last,
        ":missing": int(gap.missing),
        ":noticed": gap.noticed.nanos(),
        ":raised": gap.raised.map(Timestamp::nanos),
        ":healed": gap.healed.map(Timestamp::nanos),
    })?;
    Ok(())
}

fn put_marks(db: &Connection, marks: &LedgerMarks) -> Done<()> {
    let compared = marks.compared.unwrap_or_default();
    db.execute(
        "REPLACE INTO ledger_marks
            (one, journaled, detected, stored, compared, compared_events, compared_oldest)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            int(marks.journaled.get()),
            int(marks.detected.get()),
            int(marks.stored.get()),
            marks.compared.map(|mark| int(mark.position.get())),
            int(compared.events),
            compared.oldest,
        ],
    )?;
    Ok(())
}

fn marks(db: &Connection) -> Done<Option<LedgerMarks>> {
    let place = |row: &Row<'_>, column: &str| uint(row, column).map(Position::new);
    let read = |row: &Row<'_>| {
        let compared: Option<i64> = row.get("compared")?;
        let compared = match compared {
            None => None,
            Some(_) => Some(StoreMark {
                position: place(row, "compared")?,
                events: uint(row, "compared_events")?,
                oldest: row.get("compared_oldest")?,
            }),
        };
        Ok(LedgerMarks {
            journaled: place(row, "journaled")?,
            detected: place(row, "detected")?,
            stored: place(row, "stored")?,
            compared,
        })
    };
    Ok(db.query_row("SELECT * FROM ledger_marks", [], read).optional()?)
}

pub(super) fn start(db: &Connection) -> Done<LedgerStart> {
    let mut spools = db.prepare("SELECT source, spool, highest FROM ledger_spools ORDER BY source, spool")?;
    let spool = |row: &Row<'_>| {
        let spool: i64 = row.get("spool")?;
        Ok(LedgerSpool { source: text(row, "source")?, spool: spool.cast_unsigned(), highest: uint(row, "highest")? })
    };
    let mut counters = db.prepare("SELECT source, name, value FROM ledger_counters ORDER BY source, name")?;
    let counter = |row: &Row<'_>| {
        Ok(LedgerCounter { source: text(row, "source")?, name: text(row, "name")?, value: row.get("value")? })
    };
    let mut gaps = db.prepare(&format!(
        "SELECT * FROM (
            SELECT * FROM ledger_gaps WHERE healed IS NULL AND (kind = ?1 OR raised IS NULL)
            ORDER BY id DESC LIMIT {OPEN_GAPS_MAX})
         ORDER BY id"
    ))?;
    let last: Option<i64> = db.query_row("SELECT max(id) FROM ledger_gaps", [], |row| row.get(0))?;
    Ok(LedgerStart {
        marks: marks(db)?,
        spools: spools.query_map([], spool)?.collect::<Result<_, _>>()?,
        counters: counters.query_map([], counter)?.collect::<Result<_, _>>()?,
        gaps: gaps.query_map([GapKind::Batches.name()], read_gap)?.collect::<Result<_, _>>()?,
        last_gap: last.and_then(|last| u64::try_from(last).ok()).unwrap_or(0),
    })
}

fn read_gap(row: &Row<'_>) -> rusqlite::Result<LedgerGap> {
    let time_option = |column: &str| row.get::<_, Option<i64>>(column).map(|at| at.map(Timestamp::from_nanos));
    Ok(LedgerGap {
        id: uint(row, "id")?,
        source: text(row, "source")?,
        kind: named(row, "kind", GapKind::from_name)?,
        spool: text(row, "spool")?,
        reason: text(row, "reason")?,
        first: row.get("first")?,
        last: row.get("last")?,
        missing: uint(row, "missing")?,
        noticed: time(row, "noticed")?,
        raised: time_option("raised")?,
        healed: time_option("healed")?,
    })
}

pub(super) fn page(db: &Connection, query: &LedgerQuery) -> Done<LedgerPage> {
    let TimeRange { start, end } = query.range;
    // One sender hour by hour, or every sender with its sum. Each hour is one group in the first case.
    let (group, order) = match query.source {
        Some(_) => ("source, hour", "hour DESC"),
        None => ("source", "source"),
    };
    let source = query.source.as_deref();
    let mut lines: Vec<LedgerLine> = Vec::new();
    let mut places: FxHashMap<(CompactString, Timestamp), usize> = FxHashMap::default();
    // Whatever was dropped and nothing else of it came is only in the second table.
    let mut statement = db.prepare_cached(&format!(
        "WITH counted AS (
            SELECT source, hour, read, sent, batches, bytes, journaled, detected, stored, duplicates, missed FROM ledger
            UNION ALL
            SELECT DISTINCT source, hour, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM ledger_drops)
         SELECT source, min(hour) AS hour, sum(read) AS read, sum(sent) AS sent, sum(batches) AS batches,
                sum(bytes) AS bytes, sum(journaled) AS journaled, sum(detected) AS detected, sum(stored) AS stored,
                sum(duplicates) AS duplicates, sum(missed) AS missed
         FROM counted WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR source = ?3)
         GROUP BY {group} ORDER BY {order}"
    ))?;
    let mut rows = statement.query(params![start.nanos(), end.nanos(), source])?;
    while let Some(row) = rows.next()? {
        let mut line = LedgerLine::new(text(row, "source")?, time(row, "hour")?);
        line.counts = read_counts(row)?;
        places.insert((line.source.clone(), line.hour), lines.len());
        lines.push(line);
    }
    let mut statement = db.prepare_cached(
        "SELECT source, hour, reason, records FROM ledger_drops
         WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR source = ?3)",
    )?;
    let by_source: FxHashMap<CompactString, usize> = match query.source {
        Some(_) => FxHashMap::default(),
        None => lines.iter().enumerate().map(|(at, line)| (line.source.clone(), at)).collect(),
    };
    let mut rows = statement.query(params![start.nanos(), end.nanos(), source])?;
    while let Some(row) = rows.next()? {
        let key: CompactString = text(row, "source")?;
        let at = match query.source {
            Some(_) => places.get(&(key, time(row, "hour")?)),
            None => by_source.get(&key),
        };
        let reason: CompactString = text(row, "reason")?;
        if let Some(line) = at.and_then(|at| lines.get_mut(*at)) {
            line.drop(&reason, uint(row, "records")?);
        }
    }
    let wanted = "raised IS NOT NULL AND noticed >= ?1 AND noticed < ?2 AND (?3 IS NULL OR source = ?3)";
    let span = params![start.nanos(), end.nanos(), source];
    let total: i64 =
        db.query_row(&format!("SELECT count(*) FROM ledger_gaps WHERE {wanted}"), span, |row| row.get(0))?;
    let mut gaps =
        db.prepare_cached(&format!("SELECT * FROM ledger_gaps WHERE {wanted} ORDER BY id DESC LIMIT {GAPS_MAX}"))?;
    let gaps: Vec<LedgerGap> = gaps.query_map(span, read_gap)?.collect::<Result<_, _>>()?;
    let gaps_left = u64::try_from(total).unwrap_or(0).saturating_sub(gaps.len() as u64);
    Ok(LedgerPage { lines, gaps, gaps_left, marks: marks(db)?.unwrap_or_default() })
}

fn read_counts(row: &Row<'_>) -> rusqlite::Result<LedgerCounts> {
    Ok(LedgerCounts {
        read: uint(row, "read")?,
        sent: uint(row, "sent")?,
        batches: uint(row, "batches")?,
        bytes: uint(row, "bytes")?,
        journaled: uint(row, "journaled")?,
        detected: uint(row, "detected")?,
        stored: uint(row, "stored")?,
        duplicates: uint(row, "duplicates")?,
        missed: uint(row, "missed")?,
    })
}
