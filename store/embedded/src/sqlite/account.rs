//! Users, sessions, tokens, preferences and the audit log.

use canh_schema::Timestamp;
use canh_store::state::{
    ApiToken, ApiTokenId, AuditEntry, NewUser, Preferences, Role, SecretHash, Session, StateError, Theme, User, UserId,
    UserState,
};
use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde_json::{Value as Json, json};

use super::row::{int, json, named, text, time, uint};
use super::{Done, json as nested};

const SETUP_TOKEN: &str = "setup_token";

pub(super) fn user_state(db: &Connection) -> Done<UserState> {
    let some: bool = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM users)")?.query_row([], |row| row.get(0))?;
    Ok(if some { UserState::Some } else { UserState::None })
}

pub(super) fn offer_setup_token(db: &Connection, token: SecretHash) -> Done<UserState> {
    let state = user_state(db)?;
    if state == UserState::None {
        db.execute("REPLACE INTO meta (name, value) VALUES (?1, ?2)", params![SETUP_TOKEN, token.as_bytes()])?;
    }
    Ok(state)
}

pub(super) fn create_first_user(db: &Connection, token: SecretHash, user: &NewUser) -> Done<UserId> {
    if user_state(db)? == UserState::Some {
        return Err(StateError::SetupDone.into());
    }
    // Both sides are hashes, so how long the comparison takes tells nothing about the token.
    let spent =
        db.execute("DELETE FROM meta WHERE name = ?1 AND value = ?2", params![SETUP_TOKEN, token.as_bytes()])?;
    if spent == 0 {
        return Err(StateError::SetupTokenWrong.into());
    }
    create_user(db, user)
}

pub(super) fn create_user(db: &Connection, user: &NewUser) -> Done<UserId> {
    if user_by_name(db, &user.name)?.is_some() {
        return Err(StateError::NameTaken { name: user.name.to_string() }.into());
    }
    db.execute(
        "INSERT INTO users (name, password_hash, role, created) VALUES (?1, ?2, ?3, ?4)",
        params![user.name.as_str(), user.password_hash, user.role.name(), user.created.nanos()],
    )?;
    Ok(UserId::new(last_id(db)))
}

fn last_id(db: &Connection) -> u64 {
    u64::try_from(db.last_insert_rowid()).unwrap_or(0)
}

fn read_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: UserId::new(uint(row, "id")?),
        name: text(row, "name")?,
        password_hash: row.get("password_hash")?,
        role: named(row, "role", Role::from_name)?,
        created: time(row, "created")?,
        disabled: row.get("disabled")?,
    })
}

pub(super) fn user_by_name(db: &Connection, name: &str) -> Done<Option<User>> {
    let mut statement = db.prepare_cached("SELECT * FROM users WHERE name = ?1")?;
    Ok(statement.query_row([name], read_user).optional()?)
}

pub(super) fn users(db: &Connection) -> Done<Vec<User>> {
    let mut statement = db.prepare_cached("SELECT * FROM users ORDER BY name")?;
    Ok(statement.query_map([], read_user)?.collect::<Result<_, _>>()?)
}

pub(super) fn set_user_disabled(db: &Connection, id: UserId, disabled: bool) -> Done<bool> {
    let changed = db.execute("UPDATE users SET disabled = ?2 WHERE id = ?1", params![int(id.get()), disabled])?;
    if disabled {
        db.execute("DELETE FROM sessions WHERE user = ?1", [int(id.get())])?;
    }
    Ok(changed > 0)
}

pub(super) fn preferences(db: &Connection, user: UserId) -> Done<Option<Preferences>> {
    let mut statement = db.prepare_cached("SELECT * FROM preferences WHERE user = ?1")?;
    let read = |row: &Row<'_>| {
        Ok(Preferences {
            language: row.get("language")?,
            theme: named(row, "theme", Theme::from_name)?,
            time_zone: row.get("time_zone")?,
        })
    };
    Ok(statement.query_row([int(user.get())], read).optional()?)
}

pub(super) fn put_preferences(db: &Connection, user: UserId, wanted: &Preferences) -> Done<()> {
    db.execute(
        "REPLACE INTO preferences (user, language, theme, time_zone) VALUES (?1, ?2, ?3, ?4)",
        params![int(user.get()), wanted.language, wanted.theme.name(), wanted.time_zone],
    )?;
    Ok(())
}

pub(super) fn put_session(db: &Connection, session: &Session) -> Done<()> {
    db.execute(
        "REPLACE INTO sessions (token, user, created, last_seen, user_agent) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            session.token.as_bytes(),
            int(session.user.get()),
            session.created.nanos(),
            session.last_seen.nanos(),
            session.user_agent
        ],
    )?;
    Ok(())
}

pub(super) fn session(db: &Connection, token: SecretHash) -> Done<Option<(Session, User)>> {
    let mut statement = db.prepare_cached(
        "SELECT users.*, sessions.created AS session_created, last_seen, user_agent
         FROM sessions JOIN users ON users.id = sessions.user WHERE token = ?1 AND NOT disabled",
    )?;
    let read = |row: &Row<'_>| {
        let user = read_user(row)?;
        let session = Session {
            token,
            user: user.id,
            created: time(row, "session_created")?,
            last_seen: time(row, "last_seen")?,
            user_agent: row.get("user_agent")?,
        };
        Ok((session, user))
    };
    Ok(statement.query_row([token.as_bytes()], read).optional()?)
}

pub(super) fn touch_session(db: &Connection, token: SecretHash, seen: Timestamp) -> Done<()> {
    let mut statement = db.prepare_cached("UPDATE sessions SET last_seen = max(last_seen, ?2) WHERE token = ?1")?;
    statement.execute(params![token.as_bytes(), seen.nanos()])?;
    Ok(())
}

pub(super) fn delete_session(db: &Connection, token: SecretHash) -> Done<()> {
    db.execute("DELETE FROM sessions WHERE token = ?1", [token.as_bytes()])?;
    Ok(())
}

pub(super) fn expire_sessions(db: &Connection, idle: Timestamp, made: Timestamp) -> Done<u64> {
    let gone = db.execute("DELETE FROM sessions WHERE last_seen < ?1 OR created < ?2", [idle.nanos(), made.nanos()])?;
    Ok(gone as u64)
}

pub(super) fn put_api_token(db: &Connection, token: &ApiToken) -> Done<ApiTokenId> {
    db.execute("DELETE FROM api_tokens WHERE name = ?1", [token.name.as_str()])?;
    db.execute(
        "INSERT INTO api_tokens (token, name, role, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            token.token.as_bytes(),
            token.name.as_str(),
            token.role.name(),
            token.created.nanos(),
            token.expires.map(Timestamp::nanos)
        ],
    )?;
    Ok(ApiTokenId::new(last_id(db)))
}

pub(super) fn api_token(db: &Connection, token: SecretHash) -> Done<Option<ApiToken>> {
    let mut statement = db.prepare_cached("SELECT * FROM api_tokens WHERE token = ?1")?;
    let read = |row: &Row<'_>| {
        Ok(ApiToken {
            token,
            name: text(row, "name")?,
            role: named(row, "role", Role::from_name)?,
            created: time(row, "created")?,
            expires: row.get::<_, Option<i64>>("expires")?.map(Timestamp::from_nanos),
        })
    };
    Ok(statement.query_row([token.as_bytes()], read).optional()?)
}

pub(super) fn delete_api_token(db: &Connection, id: ApiTokenId) -> Done<bool> {
    Ok(db.execute("DELETE FROM api_tokens WHERE id = ?1", [int(id.get())])? > 0)
}

pub(super) fn record(db: &Connection, entry: &AuditEntry) -> Done<()> {
    let detail: Json = entry.detail.iter().map(|(name, value)| json!([name.as_str(), value])).collect();
    let mut statement = db.prepare_cached(
        "INSERT INTO audit (at, who, action, target, detail) VALUES (:at, :who, :action, :target, :detail)",
    )?;
    statement.execute(named_params! {
        ":at": entry.at.nanos(),
        ":who": entry.who.as_str(),
        ":action": entry.action.as_str(),
        ":target": entry.target.as_str(),
        ":detail": detail.to_string(),
    })?;
    Ok(())
}

pub(super) fn audit_log(db: &Connection, limit: usize) -> Done<Vec<AuditEntry>> {
    let mut statement = db.prepare_cached("SELECT * FROM audit ORDER BY id DESC LIMIT ?1")?;
    let read = |row: &Row<'_>| {
        Ok(AuditEntry {
            at: time(row, "at")?,
            who: text(row, "who")?,
            action: text(row, "action")?,
            target: text(row, "target")?,
            detail: json(row, "detail", |detail| nested::read_pairs(detail, |text| text.as_str().map(str::to_owned)))?,
        })
    };
    Ok(statement.query_map([int(limit as u64)], read)?.collect::<Result<_, _>>()?)
}
