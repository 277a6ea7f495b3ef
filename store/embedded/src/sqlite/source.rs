//! Senders and the list of rules.

use canh_schema::{RuleId, Timestamp};
use canh_store::state::{
    OTHER_SOURCES_MAX, RuleCount, RuleLoadError, RuleStatus, RulesOverview, RulesStatus, SourceKind, SourceRecord,
    SourceReport,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde_json::{Value as Json, json};

use super::row::{int, json, named, text, text_option, time, uint, uint_option};
use super::{Done, json as nested};

const RULES_LOADED_AT: &str = "rules_loaded_at";

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
        "REPLACE INTO sources (id, kind, host, version, first_seen, last_seen, events, bytes, dropped, spool_bytes)
         VALUES (:id, :kind, :host, :version, :first_seen, :last_seen, :events, :bytes, :dropped, :spool_bytes)",
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
    })
}

pub(super) fn sources(db: &Connection) -> Done<Vec<SourceRecord>> {
    let mut statement = db.prepare_cached("SELECT * FROM sources ORDER BY last_seen DESC, id")?;
    Ok(statement.query_map([], read_source)?.collect::<Result<_, _>>()?)
}

pub(super) fn put_rules_status(db: &Connection, status: &RulesStatus) -> Done<()> {
    db.execute("DELETE FROM rules", [])?;
    db.execute("DELETE FROM rule_errors", [])?;
    let mut put = db.prepare_cached("INSERT INTO rules (id, title, level, tags, file) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for rule in &status.rules {
        let tags = nested::texts(&rule.tags).to_string();
        put.execute(params![rule.id.as_str(), rule.title.as_str(), rule.level.name(), tags, rule.file])?;
    }
    let mut put =
        db.prepare_cached("INSERT INTO rule_errors (file, line, column_number, message) VALUES (?1, ?2, ?3, ?4)")?;
    for error in &status.errors {
        put.execute(params![error.file, error.line, error.column, error.message])?;
    }
    let loaded_at = status.loaded_at.nanos();
    db.execute("REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![RULES_LOADED_AT, loaded_at])?;
    Ok(())
}

pub(super) fn rules_status(db: &Connection) -> Done<Option<RulesOverview>> {
    let snapshot = db.unchecked_transaction()?;
    let mut loaded = snapshot.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let Some(loaded_at) = loaded.query_row([RULES_LOADED_AT], |row| time(row, "value")).optional()? else {
        return Ok(None);
    };
    let mut rules = snapshot.prepare_cached(
        "SELECT rules.*, findings, last_found FROM rules LEFT JOIN rule_counts ON rule_counts.rule = rules.id
         ORDER BY title, id",
    )?;
    let read = |row: &Row<'_>| {
        let rule = RuleStatus {
            id: RuleId::new(row.get::<_, String>("id")?),
            title: text(row, "title")?,
            level: named(row, "level", |name| name.parse().ok())?,
            tags: json(row, "tags", nested::read_texts)?,
            file: row.get("file")?,
        };
        let count = RuleCount {
            findings: uint_option(row, "findings")?.unwrap_or(0),
            last_found: row.get::<_, Option<i64>>("last_found")?.map(Timestamp::from_nanos),
        };
        Ok((rule, count))
    };
    let rules = rules.query_map([], read)?.collect::<Result<_, _>>()?;
    let mut errors = snapshot.prepare_cached("SELECT * FROM rule_errors ORDER BY row")?;
    let read = |row: &Row<'_>| {
        Ok(RuleLoadError {
            file: row.get("file")?,
            line: row.get("line")?,
            column: row.get("column_number")?,
            message: row.get("message")?,
        })
    };
    let errors = errors.query_map([], read)?.collect::<Result<_, _>>()?;
    Ok(Some(RulesOverview { loaded_at, rules, errors }))
}
