//! Senders.

use canh_schema::Timestamp;
use canh_store::state::{DemoRun, OTHER_SOURCES_MAX, SourceKind, SourceRecord, SourceReport};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde_json::{Value as Json, json};

use super::row::{int, json, named, text, text_option, time, uint, uint_option};
use super::{Done, json as nested};

pub(super) fn put_sources(db: &Connection, reports: &[SourceReport]) -> Done<()> {
    for report in reports {
        let mut find = db.prepare_cached("SELECT * FROM sources WHERE id = ?1")?;
        let record = match find.query_row([report.id.as_str()], read_source).optional()? {
            Some(mut known) => {
                known.add(report);
                known
            }
            None => SourceRecord::first(report),
        };
        put_source(db, &record)?;
    }
    let mut forget = db.prepare_cached(
        "DELETE FROM sources WHERE id IN (
            SELECT id FROM sources WHERE kind <> ?1 ORDER BY last_seen DESC, id DESC LIMIT -1 OFFSET ?2)",
    )?;
    forget.execute(params![SourceKind::Agent.name(), int(OTHER_SOURCES_MAX as u64)])?;
    Ok(())
}

fn put_source(db: &Connection, record: &SourceRecord) -> Done<()> {
    let dropped: Json = record.dropped.iter().map(|(reason, count)| json!([reason.as_str(), count])).collect();
    let mut statement = db.prepare_cached(
        "REPLACE INTO sources (id, kind, host, version, first_seen, last_seen, events, bytes, dropped, spool_bytes,
            clock_behind_ms)
         VALUES (:id, :kind, :host, :version, :first_seen, :last_seen, :events, :bytes, :dropped, :spool_bytes,
            :clock_behind_ms)",
    )?;
    statement.execute(named_params! {
        ":id": record.id.as_str(),
        ":kind": record.kind.name(),
        ":host": record.host.as_deref(),
        ":version": record.version.as_deref(),
        ":first_seen": record.first_seen.nanos(),
        ":last_seen": record.last_seen.nanos(),
        ":events": int(record.events),
        ":bytes": int(record.bytes),
        ":dropped": dropped.to_string(),
        ":spool_bytes": record.spool_bytes.map(int),
        ":clock_behind_ms": record.clock_behind_ms,
    })?;
    Ok(())
}

fn read_source(row: &Row<'_>) -> rusqlite::Result<SourceRecord> {
    Ok(SourceRecord {
        id: text(row, "id")?,
        kind: named(row, "kind", SourceKind::from_name)?,
        host: text_option(row, "host")?,
        version: text_option(row, "version")?,
        first_seen: time(row, "first_seen")?,
        last_seen: time(row, "last_seen")?,
        events: uint(row, "events")?,
        bytes: uint(row, "bytes")?,
        dropped: json(row, "dropped", |dropped| nested::read_pairs(dropped, Json::as_u64))?,
        spool_bytes: uint_option(row, "spool_bytes")?,
        clock_behind_ms: row.get("clock_behind_ms")?,
    })
}

pub(super) fn sources(db: &Connection) -> Done<Vec<SourceRecord>> {
    let mut statement = db.prepare_cached("SELECT * FROM sources ORDER BY last_seen DESC, id")?;
    Ok(statement.query_map([], read_source)?.collect::<Result<_, _>>()?)
}

const DEMO_FROM: &str = "demo_from";
const DEMO_TO: &str = "demo_to";

pub(super) fn put_demo_run(db: &Connection, run: DemoRun) -> Done<()> {
    let mut put = db.prepare_cached("REPLACE INTO meta (name, value) VALUES (?1, ?2)")?;
    put.execute(params![DEMO_FROM, run.from.nanos()])?;
    put.execute(params![DEMO_TO, run.to.nanos()])?;
    Ok(())
}

pub(super) fn demo_run(db: &Connection) -> Done<Option<DemoRun>> {
    let mut find = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let mut at =
        |name: &str| -> Done<Option<Timestamp>> { Ok(find.query_row([name], |row| time(row, "value")).optional()?) };
    Ok(at(DEMO_FROM)?.zip(at(DEMO_TO)?).map(|(from, to)| DemoRun { from, to }))
}
