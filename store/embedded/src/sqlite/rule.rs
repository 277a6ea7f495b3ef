//! The list of rules, how they do, and their texts.

use canh_schema::{RuleHash, RuleId, Timestamp};
use canh_store::state::{
    CanaryHop, ReviewedBacktest, RuleCount, RuleDecision, RuleHealth, RuleLoadError, RuleRecord, RuleReview,
    RuleStatus, RuleText, RulesOverview, RulesStatus,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row::{int, json, named, text, time, uint, uint_option};
use super::{Done, account, json as nested};

const RULES_LOADED_AT: &str = "rules_loaded_at";

pub(super) fn put_rules_status(db: &Connection, status: &RulesStatus) -> Done<()> {
    db.execute("DELETE FROM rules", [])?;
    db.execute("DELETE FROM rule_errors", [])?;
    let mut put = db.prepare_cached(
        "INSERT INTO rules (id, hash, title, level, tags, file, kind, quiet, samples, needs_review)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for rule in &status.rules {
        let tags = nested::texts(&rule.tags).to_string();
        put.execute(params![
            rule.id.as_str(),
            rule.hash.as_bytes(),
            rule.title.as_str(),
            rule.level.name(),
            tags,
            rule.file,
            rule.kind.as_str(),
            rule.quiet,
            rule.samples,
            rule.needs_review
        ])?;
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
        "SELECT rules.*, findings, last_found, canary_at, canary_hop, suppressed, suppressed_last,
             decision, rule_reviews.hash AS review_hash, who, at, note,
             backtest_from, backtest_to, backtest_alerts, backtest_alerts_per_day
         FROM rules
         LEFT JOIN rule_reviews ON rule_reviews.rule = rules.id
         LEFT JOIN rule_counts ON rule_counts.rule = rules.id
         LEFT JOIN rule_health ON rule_health.rule = rules.id
         ORDER BY title, id",
    )?;
    let read = |row: &Row<'_>| {
        let rule = RuleStatus {
            id: RuleId::new(row.get::<_, String>("id")?),
            title: text(row, "title")?,
            level: named(row, "level", |name| name.parse().ok())?,
            tags: json(row, "tags", nested::read_texts)?,
            file: row.get("file")?,
            hash: RuleHash::from_bytes(row.get("hash")?),
            kind: text(row, "kind")?,
            quiet: row.get("quiet")?,
            samples: row.get("samples")?,
            needs_review: row.get("needs_review")?,
        };
        let count = RuleCount {
            findings: uint_option(row, "findings")?.unwrap_or(0),
            last_found: row.get::<_, Option<i64>>("last_found")?.map(Timestamp::from_nanos),
        };
        let canary_at = row.get::<_, Option<i64>>("canary_at")?.map(Timestamp::from_nanos);
        let health = RuleHealth {
            canary: match canary_at {
                Some(at) => Some((at, named(row, "canary_hop", CanaryHop::from_name)?)),
                None => None,
            },
            suppressed: uint_option(row, "suppressed")?.unwrap_or(0),
            suppressed_last: row.get::<_, Option<i64>>("suppressed_last")?.map(Timestamp::from_nanos),
        };
        let review = match row.get_ref("decision")? {
            ValueRef::Null => None,
            _ => Some(read_review(row)?),
        };
        Ok(RuleRecord { rule, count, health, review })
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

/// Columns of `rule_reviews`, with the hash under a name that no other table has.
fn read_review(row: &Row<'_>) -> rusqlite::Result<RuleReview> {
    let backtest = match row.get_ref("backtest_from")? {
        ValueRef::Null => None,
        _ => Some(ReviewedBacktest {
            from: time(row, "backtest_from")?,
            to: time(row, "backtest_to")?,
            alerts: uint(row, "backtest_alerts")?,
            alerts_per_day: row.get("backtest_alerts_per_day")?,
        }),
    };
    Ok(RuleReview {
        decision: named(row, "decision", RuleDecision::from_name)?,
        hash: RuleHash::from_bytes(row.get("review_hash")?),
        who: text(row, "who")?,
        at: time(row, "at")?,
        note: row.get("note")?,
        backtest,
    })
}

pub(super) fn put_review(db: &Connection, rule: &RuleId, review: &RuleReview) -> Done<()> {
    let mut put = db.prepare_cached(
        "REPLACE INTO rule_reviews (rule, decision, hash, who, at, note,
             backtest_from, backtest_to, backtest_alerts, backtest_alerts_per_day)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let backtest = review.backtest.as_ref();
    put.execute(params![
        rule.as_str(),
        review.decision.name(),
        review.hash.as_bytes(),
        review.who.as_str(),
        review.at.nanos(),
        review.note,
        backtest.map(|backtest| backtest.from.nanos()),
        backtest.map(|backtest| backtest.to.nanos()),
        backtest.map(|backtest| int(backtest.alerts)),
        backtest.map(|backtest| backtest.alerts_per_day)
    ])?;
    account::record(db, &review.audit(rule))
}

pub(super) fn reviews(db: &Connection) -> Done<Vec<(RuleId, RuleReview)>> {
    let mut statement = db.prepare_cached("SELECT *, hash AS review_hash FROM rule_reviews")?;
    let read = |row: &Row<'_>| Ok((RuleId::new(row.get::<_, String>("rule")?), read_review(row)?));
    Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
}

pub(super) fn put_texts(db: &Connection, texts: &[RuleText]) -> Done<()> {
    let mut put = db.prepare_cached("INSERT OR IGNORE INTO rule_texts (hash, text) VALUES (?1, ?2)")?;
    for text in texts {
        put.execute(params![text.hash.as_bytes(), text.text])?;
    }
    Ok(())
}

pub(super) fn rule_text(db: &Connection, hash: RuleHash) -> Done<Option<RuleText>> {
    let mut statement = db.prepare_cached("SELECT text FROM rule_texts WHERE hash = ?1")?;
    let text = statement.query_row([hash.as_bytes()], |row| row.get("text")).optional()?;
    Ok(text.map(|text| RuleText { hash, text }))
}

pub(super) fn put_health(db: &Connection, health: &[(RuleId, RuleHealth)]) -> Done<()> {
    let mut put = db.prepare_cached(
        "REPLACE INTO rule_health (rule, canary_at, canary_hop, suppressed, suppressed_last)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for (rule, health) in health {
        put.execute(params![
            rule.as_str(),
            health.canary.map(|(at, _)| at.nanos()),
            health.canary.map(|(_, hop)| hop.name()),
            int(health.suppressed),
            health.suppressed_last.map(Timestamp::nanos)
        ])?;
    }
    Ok(())
}
