//! What PostgreSQL's server log means, from a file or through syslog.

use std::sync::LazyLock;

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::project;
use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};
use crate::format::{Context, postgresql_time};

const AUTH: &str = "authentication";
const DB: &str = "database";

static LINES: &[Line] = &[
    line("db_login", Failure, AUTH, "password authentication failed for user \"{user.name*}\""),
    line("db_login", Failure, AUTH, "{db.method} authentication failed for user \"{user.name*}\""),
    line(
        "db_login",
        Failure,
        AUTH,
        "no pg_hba.conf entry for host \"{source.ip}\", user \"{user.name*}\", database \"{db.name}\", {event.reason}",
    ),
    line(
        "db_login",
        Failure,
        AUTH,
        "pg_hba.conf rejects connection for host \"{source.ip}\", user \"{user.name*}\", database \"{db.name}\", {event.reason}",
    ),
    line("db_connect", Unsaid, "network", "connection received: host={source.ip} port={source.port}"),
    line("db_connect", Unsaid, "network", "connection received: host={source.ip}"),
    line(
        "db_authenticated",
        Success,
        AUTH,
        "connection authenticated: identity=\"{user.name*}\" method={db.method} ({postgresql.hba_line})",
    ),
    line(
        "db_login",
        Success,
        AUTH,
        "connection authorized: user={user.name} database={db.name} application_name={db.application}",
    ),
    line("db_login", Success, AUTH, "connection authorized: user={user.name} database={db.name} SSL enabled"),
    line("db_login", Success, AUTH, "connection authorized: user={user.name} database={db.name}"),
    line("db_replication_login", Success, AUTH, "replication connection authorized: user={user.name} "),
    line("db_replication_login", Success, AUTH, "replication connection authorized: user={user.name}"),
    line(
        "db_session_end",
        Unsaid,
        DB,
        "disconnection: session time: {db.session_time} user={user.name} database={db.name} host={source.ip} port={source.port}",
    ),
    line(
        "db_session_end",
        Unsaid,
        DB,
        "disconnection: session time: {db.session_time} user={user.name} database={db.name} host={source.ip}",
    ),
    line("db_query", Unsaid, DB, "statement: {db.query}"),
    line("db_query", Unsaid, DB, "execute {postgresql.prepared}: {db.query}"),
    line("db_query", Success, DB, "duration: {db.millis} ms  statement: {db.query}"),
    line("db_query", Success, DB, "duration: {db.millis} ms  execute {postgresql.prepared}: {db.query}"),
    line(
        "db_audit",
        Unsaid,
        DB,
        "AUDIT: {pgaudit.kind},{pgaudit.statement_id},{pgaudit.part},{pgaudit.class},{pgaudit.command},{pgaudit.object_type},{pgaudit.object},{db.query}",
    ),
    line("db_config_reload", Unsaid, "configuration", "received SIGHUP, reloading configuration files"),
    line(
        "db_config_change",
        Success,
        "configuration",
        "parameter \"{postgresql.parameter}\" changed to \"{postgresql.value}\"",
    ),
    line(
        "db_config_change",
        Success,
        "configuration",
        "parameter \"{postgresql.parameter}\" removed from configuration file, reset to default",
    ),
    line("db_start", Success, DB, "database system is ready to accept connections"),
    line("db_shutdown", Unsaid, DB, "received fast shutdown request"),
    line("db_shutdown", Unsaid, DB, "received smart shutdown request"),
    line("db_shutdown", Unsaid, DB, "received immediate shutdown request"),
    line("db_crash", Failure, DB, "server process (PID {postgresql.pid}) was terminated by signal {event.reason}"),
    line("db_connection_limit", Failure, DB, "sorry, too many clients already"),
    line("db_connection_limit", Failure, DB, "remaining connection slots are reserved for {event.reason}"),
    line("db_connection_limit", Failure, DB, "too many connections for role \"{user.name*}\""),
    line("db_connection_limit", Failure, DB, "too many connections for database \"{db.name*}\""),
    line("db_deadlock", Failure, DB, "deadlock detected"),
    line("db_permission_denied", Failure, DB, "permission denied for {db.object_type} {db.object}"),
    line("db_replication_broken", Failure, DB, "could not receive data from WAL stream: {event.reason}"),
    line("db_replication_broken", Failure, DB, "could not connect to the primary server: {event.reason}"),
    line("db_replication_broken", Failure, DB, "requested WAL segment {postgresql.wal} has already been removed"),
    line("db_replication_broken", Failure, DB, "terminating walreceiver due to timeout"),
    line("db_replication_broken", Failure, DB, "terminating walsender process due to replication timeout"),
    line("db_corruption", Failure, DB, "invalid page in block {postgresql.block} of relation {db.object}"),
    line("db_corruption", Failure, DB, "page verification failed, calculated checksum {event.reason}"),
    line(
        "db_corruption",
        Failure,
        DB,
        "could not read block {postgresql.block} in file \"{file.path}\": {event.reason}",
    ),
    line("db_corruption", Failure, DB, "missing chunk number {postgresql.chunk} for toast value {event.reason}"),
    line("db_disk_full", Failure, DB, "could not extend file \"{file.path}\": No space left on device"),
    line("db_disk_full", Failure, DB, "could not write to file \"{file.path}\": No space left on device"),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// Severities of messages, and the other parts that one message may have. Two blanks follow the colon of each.
const SEVERITIES: [&str; 18] = [
    "LOG",
    "FATAL",
    "ERROR",
    "PANIC",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG1",
    "DEBUG2",
    "DEBUG3",
    "DEBUG4",
    "DEBUG5",
    "DETAIL",
    "HINT",
    "STATEMENT",
    "CONTEXT",
    "QUERY",
    "LOCATION",
];

/// How far into the line its severity may stand.
const PREFIX_MAX: usize = 512;

/// A line behind its time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split<'t> {
    prefix: &'t str,
    severity: &'static str,
    message: &'t str,
}

/// Finds the severity; nothing if the line has none.
pub(crate) fn split(text: &str) -> Option<Split<'_>> {
    let head = &text[..text.floor_char_boundary(PREFIX_MAX)];
    head.match_indices(":  ").find_map(|(at, mark)| {
        let start = head[..at].rfind(' ').map_or(0, |space| space + 1);
        let severity = *SEVERITIES.iter().find(|severity| **severity == &head[start..at])?;
        Some(Split { prefix: head[..start].trim_end(), severity, message: text[at + mark.len()..].trim_end() })
    })
}

/// A line that came through syslog: `[3-1] ` counts the lines of a message, and the time may be left out.
pub(crate) fn syslog(event: &mut Event, context: &Context<'_>, message: &str) -> bool {
    let counted = message.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let body = match counted {
        Some((count, rest)) if count.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => rest,
        _ => message,
    };
    let timed = postgresql_time(body, context);
    let Some(line) = split(timed.map_or(body, |(_, rest)| rest)) else { return false };
    if let Some((time, _)) = timed {
        event.time = time;
    }
    apply(event, &line);
    true
}

pub(crate) fn apply(event: &mut Event, line: &Split<'_>) {
    event.logsource = LogSource::product("postgresql").with_category("database");
    event.set(field::EVENT_DATASET, "postgresql.log");
    event.set(field::LOG_LEVEL, CompactString::from(line.severity.to_ascii_lowercase()));
    event.attrs.push((CompactString::const_new("postgresql.severity"), Value::from(line.severity)));
    event.set(field::MESSAGE, line.message);
    match line.severity {
        "STATEMENT" | "QUERY" => event.attrs.push((CompactString::const_new("db.query"), Value::from(line.message))),
        "DETAIL" | "HINT" | "CONTEXT" | "LOCATION" => (),
        _ => drop(TABLE.apply(event, line.message)),
    }
    prefix(event, line.prefix);
}

/// Most words of a prefix that are looked at.
const WORDS_MAX: usize = 24;

/// `[812] motcua@hoso 10.20.1.7(50122)`, `user=motcua,db=hoso,app=psql,client=10.20.1.7`, and mixtures. What the message
/// itself said is not said again.
fn prefix(event: &mut Event, prefix: &str) {
    let attr = |event: &mut Event, name: &'static str, value: &str| {
        if !matches!(value, "" | "[unknown]" | "[local]") && event.attr(name).is_none() {
            event.attrs.push((CompactString::const_new(name), Value::from(value)));
        }
    };
    let words = prefix.split([' ', ',']).filter(|word| !word.is_empty()).take(WORDS_MAX);
    for word in words {
        let bare = word.trim_end_matches(':');
        if let Some(number) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if !number.contains('-') {
                project::set_text(event, field::PROCESS_PID, number);
            }
        } else if let Some((name, value)) = word.split_once('=') {
            match name {
                "user" | "u" => account(event, value),
                "db" | "d" | "database" => attr(event, "db.name", value),
                "app" | "a" | "application_name" => attr(event, "db.application", value),
                "client" | "h" | "r" | "host" | "remote" => client(event, value),
                _ => (),
            }
        } else if let Some((user, database)) = bare.rsplit_once('@') {
            account(event, user);
            attr(event, "db.name", database);
        } else {
            client(event, bare);
        }
    }
}

fn account(event: &mut Event, name: &str) {
    if !matches!(name, "" | "[unknown]") && event.get(field::USER_NAME).is_none() {
        event.set(field::USER_NAME, name);
    }
}

/// An address, perhaps with its port in round brackets.
fn client(event: &mut Event, word: &str) {
    if event.get(field::SOURCE_IP).is_some() {
        return;
    }
    let (host, port) = match word.strip_suffix(')').and_then(|word| word.split_once('(')) {
        Some((host, port)) => (host, Some(port)),
        None => (word, None),
    };
    if project::set_text(event, field::SOURCE_IP, host)
        && let Some(port) = port
    {
        project::set_text(event, field::SOURCE_PORT, port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let found = split(text).map(|line| (line.prefix, line.severity, line.message));
        assert_eq!(found, expected, "input: {text:?}");
    }

    #[test]
    fn severities() {
        check("[1] a@b FATAL:  x", Some(("[1] a@b", "FATAL", "x")));
        check("LOG:  x", Some(("", "LOG", "x")));
        check("[1] ERROR:  a LOG:  b", Some(("[1]", "ERROR", "a LOG:  b")));
        check("a:  LOG:  b", Some(("a: ", "LOG", "b")).map(|(_, severity, message)| ("a:", severity, message)));
        check("LOG: one blank", None);
        check("CATALOG:  x", None);
        check("", None);
    }

    #[track_caller]
    fn check_prefix(text: &str, expected: (Option<&str>, Option<&str>, Option<&str>)) {
        let mut event = Event::new(
            canh_schema::EventId::from_bytes([0; 16]),
            canh_schema::Timestamp::from_secs(0),
            bytes::Bytes::new(),
        );
        prefix(&mut event, text);
        let address = event.get(field::SOURCE_IP).and_then(Value::as_text).map(|text| text.into_owned());
        let user = event.get(field::USER_NAME).and_then(Value::as_str);
        let database = event.attr("db.name").and_then(Value::as_str);
        assert_eq!((user, database, address.as_deref()), expected, "input: {text:?}");
    }

    #[test]
    fn prefixes() {
        check_prefix("[812] motcua@hoso", (Some("motcua"), Some("hoso"), None));
        check_prefix("[812]: [2-1] user=a,db=b,app=c d,client=10.0.0.1", (Some("a"), Some("b"), Some("10.0.0.1")));
        check_prefix("[812] a@b 10.0.0.1(50122)", (Some("a"), Some("b"), Some("10.0.0.1")));
        check_prefix("[812] [unknown]@[unknown] ", (None, None, None));
        check_prefix("", (None, None, None));
    }
}
