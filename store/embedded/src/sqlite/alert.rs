//! Findings and alerts.

use canh_schema::{EventId, Finding, FindingId, Level, Position, RuleId, Timestamp};
use canh_store::state::{
    Alert, AlertChange, AlertCounts, AlertCursor, AlertEntity, AlertFilter, AlertFinding, AlertId, AlertList,
    AlertRecord, AlertStatus, AlertStatusKind, CloseReason, EntityKind, FINDING_IDS_PER_ALERT_MAX,
    FINDINGS_PER_ALERT_MAX, FindingsPut, HistoryEntry,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::row::{int, json, json_option, named, text, text_option, time, uint, unreadable};
use super::{Done, account, json as nested, proof};

const CURSOR: &str = "detection_cursor";

pub(super) fn cursor(db: &Connection) -> Done<Position> {
    let mut statement = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let cursor = statement.query_row([CURSOR], |row| uint(row, "value")).optional()?;
    Ok(Position::new(cursor.unwrap_or(0)))
}

pub(super) fn put_cursor(db: &Connection, cursor: Position) -> Done<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO meta (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
    )?;
    statement.execute(params![CURSOR, int(cursor.get())])?;
    Ok(())
}

pub(super) fn put_findings(
    db: &Connection,
    findings: &[Finding],
    cursor: Position,
    now: Timestamp,
) -> Done<FindingsPut> {
    let mut put = FindingsPut::default();
    for finding in findings {
        let mut known = db.prepare_cached("SELECT 1 FROM findings WHERE id = ?1")?;
        if known.exists([finding.id.as_bytes()])? {
            put.known += 1;
            continue;
        }
        let alert = match unclosed(db, finding)? {
            Some(mut alert) => {
                alert.join(finding, now);
                put.joined += 1;
                alert
            }
            None => {
                let alert = open(db, finding, now)?;
                put.opened.push(alert.id);
                alert
            }
        };
        update(db, &alert, finding)?;
        keep_finding(db, &alert, finding)?;
        let mut count = db.prepare_cached(
            "INSERT INTO rule_counts (rule, findings, last_found) VALUES (?1, 1, ?2)
             ON CONFLICT (rule) DO UPDATE SET findings = findings + 1, last_found = max(last_found, excluded.last_found)",
        )?;
        count.execute(params![finding.rule.id.as_str(), finding.time.nanos()])?;
    }
    put_cursor(db, cursor)?;
    Ok(put)
}

fn unclosed(db: &Connection, finding: &Finding) -> Done<Option<Alert>> {
    let entity = AlertEntity::of(finding);
    let mut statement = db.prepare_cached(
        "SELECT * FROM alerts WHERE rule = ?1 AND entity_kind = ?2 AND entity_value = ?3 AND status <> 'closed'
         ORDER BY id DESC LIMIT 1",
    )?;
    let key = params![finding.rule.id.as_str(), entity.kind.name(), entity.value.as_str()];
    Ok(statement.query_row(key, read_alert).optional()?)
}

/// Makes the row of a new alert; [`update`] fills in what follows from its finding.
fn open(db: &Connection, finding: &Finding, now: Timestamp) -> Done<Alert> {
    let mut alert = Alert::opened(AlertId::new(0), finding, now);
    let mut statement = db.prepare_cached(
        "INSERT INTO alerts (rule, entity_kind, entity_value, title, level, tags, status, count, first_time, last_time,
            opened_at, updated_at, rule_info, matches)
         VALUES (?1, ?2, ?3, '', '', '', 'open', 0, 0, 0, ?4, ?4, '', '')",
    )?;
    statement.execute(params![
        alert.rule.as_str(),
        alert.entity.kind.name(),
        alert.entity.value.as_str(),
        now.nanos()
    ])?;
    alert.id = AlertId::new(u64::try_from(db.last_insert_rowid()).unwrap_or(0));
    keep_history(db, alert.id, now, None, &AlertChange { status: AlertStatus::Open, note: None })?;
    Ok(alert)
}

fn update(db: &Connection, alert: &Alert, finding: &Finding) -> Done<()> {
    let mut statement = db.prepare_cached(
        "UPDATE alerts SET title = :title, level = :level, tags = :tags, host = :host, user = :user,
            source_ip = :source_ip, count = :count, first_time = :first_time, last_time = :last_time,
            updated_at = :updated_at, rule_info = :rule_info, matches = :matches, proof = :proof
         WHERE id = :id",
    )?;
    statement.execute(named_params! {
        ":id": int(alert.id.get()),
        ":title": alert.title.as_str(),
        ":level": alert.level.name(),
        ":tags": nested::texts(&alert.tags).to_string(),
        ":host": alert.host.as_deref(),
        ":user": alert.user.as_deref(),
        ":source_ip": alert.source_ip.as_deref(),
        ":count": int(alert.count),
        ":first_time": alert.first_time.nanos(),
        ":last_time": alert.last_time.nanos(),
        ":updated_at": alert.updated_at.nanos(),
        ":rule_info": nested::rule(&finding.rule).to_string(),
        ":matches": nested::matches(&finding.matches).to_string(),
        ":proof": proof::proof(&finding.proof).to_string(),
    })?;
    Ok(())
}

/// Keeps the finding and lets go of what the limits leave out. Findings are numbered without gaps, so each new one
/// pushes out at most one.
fn keep_finding(db: &Connection, alert: &Alert, finding: &Finding) -> Done<()> {
    let events: Vec<u8> = finding.events.iter().flat_map(|event| *event.as_bytes()).collect();
    let mut statement =
        db.prepare_cached("INSERT INTO findings (id, alert, number, time, events) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let (id, number) = (int(alert.id.get()), int(alert.count));
    statement.execute(params![finding.id.as_bytes(), id, number, finding.time.nanos(), events])?;
    let details = number - int(FINDINGS_PER_ALERT_MAX as u64);
    if details > 0 {
        let mut forget =
            db.prepare_cached("UPDATE findings SET time = NULL, events = NULL WHERE alert = ?1 AND number = ?2")?;
        forget.execute([id, details])?;
    }
    let ids = number - int(FINDING_IDS_PER_ALERT_MAX as u64);
    if ids > 0 {
        db.prepare_cached("DELETE FROM findings WHERE alert = ?1 AND number = ?2")?.execute([id, ids])?;
    }
    Ok(())
}

fn reason(status: AlertStatus) -> Option<&'static str> {
    match status {
        AlertStatus::Closed(reason) => Some(reason.name()),
        AlertStatus::Open | AlertStatus::Acknowledged => None,
    }
}

fn read_status(row: &Row<'_>) -> rusqlite::Result<AlertStatus> {
    Ok(match named(row, "status", AlertStatusKind::from_name)? {
        AlertStatusKind::Open => AlertStatus::Open,
        AlertStatusKind::Acknowledged => AlertStatus::Acknowledged,
        AlertStatusKind::Closed => AlertStatus::Closed(named(row, "reason", CloseReason::from_name)?),
    })
}

fn read_alert(row: &Row<'_>) -> rusqlite::Result<Alert> {
    Ok(Alert {
        id: AlertId::new(uint(row, "id")?),
        rule: RuleId::new(row.get::<_, String>("rule")?),
        title: text(row, "title")?,
        level: named(row, "level", |name| name.parse().ok())?,
        tags: json(row, "tags", nested::read_texts)?,
        status: read_status(row)?,
        entity: AlertEntity {
            kind: named(row, "entity_kind", EntityKind::from_name)?,
            value: text(row, "entity_value")?,
        },
        host: text_option(row, "host")?,
        user: text_option(row, "user")?,
        source_ip: text_option(row, "source_ip")?,
        count: uint(row, "count")?,
        first_time: time(row, "first_time")?,
        last_time: time(row, "last_time")?,
        opened_at: time(row, "opened_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// Conditions on `alerts` for the parameters that [`list`] binds. A parameter that is NULL leaves its condition out.
const WANTED: &str = "(:status IS NULL OR status = :status)
    AND (:level IS NULL OR level = :level)
    AND (:from IS NULL OR last_time >= :from)
    AND (:to IS NULL OR last_time < :to)
    AND (:text IS NULL OR instr(lower(title), :text) OR instr(lower(rule), :text) OR instr(lower(host), :text)
        OR instr(lower(user), :text) OR instr(lower(source_ip), :text))";

pub(super) fn list(
    db: &Connection,
    filter: &AlertFilter,
    limit: usize,
    before: Option<AlertCursor>,
) -> Done<AlertList> {
    let status = filter.status.map(AlertStatusKind::name);
    let level = filter.level.map(Level::name);
    let from = filter.from.map(Timestamp::nanos);
    let to = filter.to.map(Timestamp::nanos);
    let wanted = filter.text.as_ref().map(|text| text.to_ascii_lowercase());

    let mut count = db.prepare_cached(&format!("SELECT count(*) AS total FROM alerts WHERE {WANTED}"))?;
    let total = count.query_row(
        named_params! {":status": status, ":level": level, ":from": from, ":to": to, ":text": wanted},
        |row| uint(row, "total"),
    )?;

    let mut page = db.prepare_cached(&format!(
        "SELECT * FROM alerts
         WHERE {WANTED} AND (:before_time IS NULL OR (last_time, id) < (:before_time, :before_id))
         ORDER BY last_time DESC, id DESC LIMIT :limit"
    ))?;
    let rows = page.query_map(
        named_params! {
            ":status": status, ":level": level, ":from": from, ":to": to, ":text": wanted,
            ":before_time": before.map(|before| before.last_time.nanos()),
            ":before_id": before.map(|before| int(before.id.get())),
            // One more, to know whether there is another page.
            ":limit": int(limit as u64).saturating_add(1),
        },
        read_alert,
    )?;
    let mut items: Vec<Alert> = rows.collect::<Result<_, _>>()?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(Alert::cursor);
    Ok(AlertList { items, next, total })
}

pub(super) fn record(db: &Connection, id: AlertId) -> Done<Option<AlertRecord>> {
    // One snapshot, so that the parts belong together.
    let snapshot = db.unchecked_transaction()?;
    let mut statement = snapshot.prepare_cached("SELECT * FROM alerts WHERE id = ?1")?;
    let read = |row: &Row<'_>| {
        Ok(AlertRecord {
            alert: read_alert(row)?,
            rule: json(row, "rule_info", nested::read_rule)?,
            matches: json(row, "matches", nested::read_matches)?,
            proof: json_option(row, "proof", proof::read_proof)?,
            findings: Vec::new(),
            history: Vec::new(),
        })
    };
    let Some(mut record) = statement.query_row([int(id.get())], read).optional()? else { return Ok(None) };
    let mut findings = snapshot.prepare_cached(
        "SELECT id, time, events FROM findings WHERE alert = ?1 AND time IS NOT NULL ORDER BY number DESC LIMIT ?2",
    )?;
    let rows = findings.query_map([int(id.get()), int(FINDINGS_PER_ALERT_MAX as u64)], read_finding)?;
    record.findings = rows.collect::<Result<_, _>>()?;
    let mut history = snapshot.prepare_cached("SELECT * FROM alert_history WHERE alert = ?1 ORDER BY id")?;
    record.history = history.query_map([int(id.get())], read_history)?.collect::<Result<_, _>>()?;
    Ok(Some(record))
}

fn read_finding(row: &Row<'_>) -> rusqlite::Result<AlertFinding> {
    let events: Vec<u8> = row.get("events")?;
    let (events, rest) = events.as_chunks::<{ EventId::LEN }>();
    if !rest.is_empty() {
        return Err(unreadable(row, "events", "not a whole number of ids".to_owned()));
    }
    Ok(AlertFinding {
        id: FindingId::from_bytes(row.get("id")?),
        time: time(row, "time")?,
        events: events.iter().map(|id| EventId::from_bytes(*id)).collect(),
    })
}

fn read_history(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let change = AlertChange { status: read_status(row)?, note: row.get("note")? };
    Ok(HistoryEntry { at: time(row, "at")?, who: text_option(row, "who")?, change })
}

fn keep_history(db: &Connection, alert: AlertId, at: Timestamp, who: Option<&str>, change: &AlertChange) -> Done<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO alert_history (alert, at, who, status, reason, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let status = change.status;
    statement.execute(params![int(alert.get()), at.nanos(), who, status.kind().name(), reason(status), change.note])?;
    Ok(())
}

pub(super) fn change(
    db: &Connection,
    id: AlertId,
    change: &AlertChange,
    who: &str,
    at: Timestamp,
) -> Done<Option<Alert>> {
    let mut statement = db.prepare_cached("SELECT * FROM alerts WHERE id = ?1")?;
    let Some(mut alert) = statement.query_row([int(id.get())], read_alert).optional()? else { return Ok(None) };
    if alert.status == change.status && change.note.is_none() {
        return Ok(Some(alert));
    }
    let was = std::mem::replace(&mut alert.status, change.status);
    alert.updated_at = at;
    let mut update = db.prepare_cached("UPDATE alerts SET status = ?2, reason = ?3, updated_at = ?4 WHERE id = ?1")?;
    update.execute(params![int(id.get()), change.status.kind().name(), reason(change.status), at.nanos()])?;
    keep_history(db, id, at, Some(who), change)?;
    account::record(db, &change.audit(id, was, who, at))?;
    Ok(Some(alert))
}

pub(super) fn counts(db: &Connection) -> Done<AlertCounts> {
    let mut statement = db.prepare_cached(
        "SELECT status, level, count(*) AS count FROM alerts WHERE status IN ('open', 'acknowledged')
         GROUP BY status, level",
    )?;
    let read = |row: &Row<'_>| {
        let status = named(row, "status", AlertStatusKind::from_name)?;
        let level: Level = named(row, "level", |name| name.parse().ok())?;
        Ok((status, level, uint(row, "count")?))
    };
    let mut counts = AlertCounts::default();
    for row in statement.query_map([], read)? {
        let (status, level, count) = row?;
        match status {
            AlertStatusKind::Open => counts.add_open(level, count),
            AlertStatusKind::Acknowledged => counts.acknowledged += count,
            AlertStatusKind::Closed => (),
        }
    }
    Ok(counts)
}
