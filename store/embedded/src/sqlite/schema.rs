//! The tables, and how an older file becomes a newer one.
//!
//! Times are nanoseconds since 1970. Lists and nested values are JSON, because nothing is asked of their insides.

use canh_store::state::StateError;
use rusqlite::{Connection, TransactionBehavior};

use super::{Done, Stop};

/// `Canh` in ASCII: says whose file this is.
const APPLICATION_ID: i64 = 0x4361_6e68;

/// Step `n` brings schema `n` to `n + 1`. A step that was released is never changed.
const STEPS: &[&str] = &[
    "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

    CREATE TABLE users (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL COLLATE NOCASE UNIQUE,
        password_hash TEXT NOT NULL,
        role TEXT NOT NULL,
        created INTEGER NOT NULL,
        disabled INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE preferences (
        user INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
        language TEXT NOT NULL,
        theme TEXT NOT NULL,
        time_zone TEXT NOT NULL
    );
    CREATE TABLE sessions (
        token BLOB PRIMARY KEY,
        user INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        created INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        user_agent TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE api_tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        token BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER
    );
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        detail TEXT NOT NULL
    );

    CREATE TABLE alerts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        rule TEXT NOT NULL,
        entity_kind TEXT NOT NULL,
        entity_value TEXT NOT NULL,
        title TEXT NOT NULL,
        level TEXT NOT NULL,
        tags TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        host TEXT,
        user TEXT,
        source_ip TEXT,
        count INTEGER NOT NULL,
        first_time INTEGER NOT NULL,
        last_time INTEGER NOT NULL,
        opened_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        rule_info TEXT NOT NULL,
        matches TEXT NOT NULL
    );
    CREATE INDEX alerts_by_time ON alerts (last_time, id);
    CREATE INDEX alerts_by_status ON alerts (status, last_time, id);
    CREATE INDEX alerts_unclosed ON alerts (rule, entity_kind, entity_value, id) WHERE status <> 'closed';

    -- `number` counts the findings of an alert from 1. Of old ones only the id is kept: time and events are NULL.
    CREATE TABLE findings (
        id BLOB PRIMARY KEY,
        alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        time INTEGER,
        events BLOB
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX findings_by_alert ON findings (alert, number);

    CREATE TABLE alert_history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        alert INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
        at INTEGER NOT NULL,
        who TEXT,
        status TEXT NOT NULL,
        reason TEXT,
        note TEXT
    );
    CREATE INDEX alert_history_by_alert ON alert_history (alert, id);

    CREATE TABLE rule_counts (
        rule TEXT PRIMARY KEY,
        findings INTEGER NOT NULL,
        last_found INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE rules (
        row INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        title TEXT NOT NULL,
        level TEXT NOT NULL,
        tags TEXT NOT NULL,
        file TEXT NOT NULL
    );
    CREATE TABLE rule_errors (
        row INTEGER PRIMARY KEY,
        file TEXT NOT NULL,
        line INTEGER,
        column_number INTEGER,
        message TEXT NOT NULL
    );

    CREATE TABLE sources (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        host TEXT,
        version TEXT,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        events INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        dropped TEXT NOT NULL,
        spool_bytes INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX sources_by_time ON sources (last_seen);
",
    "
    ALTER TABLE alerts ADD COLUMN proof TEXT;

    ALTER TABLE rules ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
    ALTER TABLE rules ADD COLUMN kind TEXT NOT NULL DEFAULT 'event';
    ALTER TABLE rules ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE rules ADD COLUMN samples INTEGER NOT NULL DEFAULT 0;
    -- They are written anew at each start; rows of an older version lack too much.
    DELETE FROM rules;

    CREATE TABLE rule_texts (hash BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE rule_health (
        rule TEXT PRIMARY KEY,
        canary_at INTEGER,
        canary_hop TEXT,
        suppressed INTEGER NOT NULL,
        suppressed_last INTEGER
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE rules ADD COLUMN needs_review INTEGER NOT NULL DEFAULT 0;

    -- The newest decision about each rule, whether it is loaded or not.
    CREATE TABLE rule_reviews (
        rule TEXT PRIMARY KEY,
        decision TEXT NOT NULL,
        hash BLOB NOT NULL,
        who TEXT NOT NULL,
        at INTEGER NOT NULL,
        note TEXT,
        backtest_from INTEGER,
        backtest_to INTEGER,
        backtest_alerts INTEGER,
        backtest_alerts_per_day REAL
    ) WITHOUT ROWID;
",
    "
    CREATE TABLE ledger (
        source TEXT NOT NULL,
        hour INTEGER NOT NULL,
        read INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        batches INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        journaled INTEGER NOT NULL,
        detected INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        duplicates INTEGER NOT NULL,
        missed INTEGER NOT NULL,
        PRIMARY KEY (source, hour)
    ) WITHOUT ROWID;
    CREATE INDEX ledger_by_hour ON ledger (hour);
    CREATE TABLE ledger_drops (
        source TEXT NOT NULL,
        hour INTEGER NOT NULL,
        reason TEXT NOT NULL,
        records INTEGER NOT NULL,
        PRIMARY KEY (source, hour, reason)
    ) WITHOUT ROWID;
    CREATE INDEX ledger_drops_by_hour ON ledger_drops (hour);
    CREATE TABLE ledger_gaps (
        id INTEGER PRIMARY KEY,
        source TEXT NOT NULL,
        kind TEXT NOT NULL,
        spool TEXT NOT NULL,
        reason TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        missing INTEGER NOT NULL,
        noticed INTEGER NOT NULL,
        raised INTEGER,
        healed INTEGER
    );
    CREATE INDEX ledger_gaps_by_time ON ledger_gaps (noticed);
    CREATE TABLE ledger_spools (source TEXT, spool INTEGER, highest INTEGER NOT NULL, PRIMARY KEY (source, spool))
        WITHOUT ROWID;
    CREATE TABLE ledger_counters (source TEXT, name TEXT, value REAL NOT NULL, PRIMARY KEY (source, name))
        WITHOUT ROWID;
    -- How far in the journal; one row.
    CREATE TABLE ledger_marks (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        journaled INTEGER NOT NULL,
        detected INTEGER NOT NULL,
        stored INTEGER NOT NULL,
        compared INTEGER,
        compared_events INTEGER NOT NULL,
        compared_oldest INTEGER NOT NULL
    );
",
    "
    ALTER TABLE sources ADD COLUMN clock_behind_ms INTEGER;
",
];

/// Refuses what is not ours, damaged or too new; brings the rest up to date.
pub(super) fn check_and_migrate(db: &mut Connection, path: &str) -> Done<()> {
    let corrupt = |why: String| Stop::State(StateError::Corrupt { path: path.to_owned(), source: why.into() });
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(corrupt(verdict));
    }
    let application: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        return Err(corrupt("it holds the tables of another program".to_owned()));
    }
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    let found: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(StateError::TooNew { path: path.to_owned(), found, known }.into());
    }
    for (version, step) in (1u32..).zip(STEPS).filter(|(version, _)| *version > found) {
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        tracing::info!(version, "state database brought up to date");
    }
    Ok(())
}
