//! What the logs of MySQL and MariaDB mean.

use std::sync::LazyLock;

use canh_schema::{Event, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::project;
use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, line};

const AUTH: &str = "authentication";
const DB: &str = "database";

/// Messages of the error log.
static LINES: &[Line] = &[
    line("db_login", Failure, AUTH, "Access denied for user '{user.name*}'@'{source.ip}' to database '{db.name}'"),
    line(
        "db_login",
        Failure,
        AUTH,
        "Access denied for user '{user.name*}'@'{source.ip}' (using password: {mysql.password})",
    ),
    line("db_host_blocked", Failure, AUTH, "Host '{source.ip}' is blocked because of many connection errors"),
    line(
        "db_session_aborted",
        Failure,
        DB,
        "Aborted connection {mysql.connection} to db: '{db.name}' user: '{user.name*}' host: '{source.ip}' ({event.reason})",
    ),
    line("db_connection_limit", Failure, DB, "Too many connections"),
    line("db_replication_broken", Failure, DB, "Slave SQL{mysql.channel}: {event.reason}"),
    line("db_replication_broken", Failure, DB, "Replica SQL{mysql.channel}: {event.reason}"),
    line("db_replication_broken", Failure, DB, "Slave I/O{mysql.channel}: {event.reason}"),
    line("db_replication_broken", Failure, DB, "Replica I/O{mysql.channel}: {event.reason}"),
    line("db_corruption", Failure, DB, "Database page corruption on disk or a failed {event.reason}"),
    line("db_corruption", Failure, DB, "InnoDB: Database page corruption on disk or a failed {event.reason}"),
    line("db_corruption", Failure, DB, "Table '{db.object}' is marked as crashed and should be repaired"),
    line(
        "db_corruption",
        Failure,
        DB,
        "{mysql.program}: Table '{db.object}' is marked as crashed and should be repaired",
    ),
    line("db_disk_full", Failure, DB, "Disk is full writing '{file.path}' (Errcode: 28"),
    line("db_start", Success, DB, "{mysql.program}: ready for connections"),
    line("db_shutdown", Unsaid, DB, "{mysql.program}: Normal shutdown"),
    line("db_shutdown", Unsaid, DB, "{mysql.program}: Shutdown complete"),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

fn source(event: &mut Event, service: &'static str) {
    event.logsource = LogSource::product("mysql").with_service(service).with_category("database");
    event.set(field::EVENT_DATASET, format_compact!("mysql.{service}"));
}

fn attr(event: &mut Event, name: &'static str, value: &str) {
    if !value.is_empty() {
        event.attrs.push((CompactString::const_new(name), Value::from(value)));
    }
}

const LABELS: [&str; 5] = ["Note", "Warning", "ERROR", "System", "Entry"];

/// `[Label] [code] [part] message` of the error log; older versions leave out code and part. Answers whether it is one.
pub(crate) fn error(event: &mut Event, thread: &str, rest: &str) -> bool {
    let Some((label, message)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { return false };
    if !LABELS.contains(&label) {
        return false;
    }
    source(event, "error");
    event.set(field::LOG_LEVEL, CompactString::from(label.to_ascii_lowercase()));
    attr(event, "mysql.thread", thread);
    let mut message = message.trim_start();
    for _ in 0..2 {
        let Some((mark, after)) = message.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { break };
        if mark.len() > 16 || mark.contains(' ') {
            break;
        }
        if mark.starts_with("MY-") {
            event.set(field::EVENT_CODE, mark);
        } else {
            attr(event, "mysql.part", mark);
        }
        message = after;
    }
    event.set(field::MESSAGE, message);
    TABLE.apply(event, message);
    true
}

/// Commands of the protocol as the general log names them.
pub(crate) fn is_command(command: &str) -> bool {
    const COMMANDS: [&str; 20] = [
        "Connect",
        "Query",
        "Quit",
        "Init DB",
        "Prepare",
        "Execute",
        "Close stmt",
        "Field List",
        "Statistics",
        "Ping",
        "Change user",
        "Reset stmt",
        "Fetch",
        "Binlog Dump",
        "Binlog Dump GTID",
        "Register Slave",
        "Shutdown",
        "Processlist",
        "Kill",
        "Refresh",
    ];
    COMMANDS.contains(&command)
}

/// A line of the general query log.
pub(crate) fn general(event: &mut Event, thread: &str, command: &str, argument: &str) {
    source(event, "general");
    attr(event, "mysql.thread", thread);
    attr(event, "mysql.command", command);
    event.set(field::EVENT_CATEGORY, DB);
    event.set(field::EVENT_ACTION, "db_command");
    match command {
        "Query" | "Prepare" | "Execute" => {
            event.set(field::EVENT_ACTION, "db_query");
            attr(event, "db.query", argument);
        }
        // `root@203.0.113.9 on hoso using TCP/IP`, or why it was refused.
        "Connect" => {
            event.set(field::EVENT_ACTION, "db_connect");
            event.set(field::EVENT_CATEGORY, AUTH);
            if TABLE.apply(event, argument).is_none()
                && let Some((account, rest)) = argument.split_once(" on ")
            {
                account_of(event, account);
                attr(event, "db.name", rest.split(" using ").next().unwrap_or_default().trim());
            }
        }
        _ => attr(event, "mysql.argument", argument),
    }
}

fn account_of(event: &mut Event, account: &str) {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, ""));
    event.set(field::USER_NAME, user);
    if !host.is_empty() && !project::set_text(event, field::SOURCE_IP, host) {
        event.set(field::SOURCE_DOMAIN, host);
    }
}

/// A line of MariaDB's audit plugin behind its time: `host,user,client,connection,query,OPERATION,database,object,code`.
/// Answers whether it is one.
pub(crate) fn audit(event: &mut Event, line: &str) -> bool {
    let mut parts = line.splitn(8, ',');
    let mut next = || parts.next();
    let (Some(server), Some(user), Some(client)) = (next(), next(), next()) else { return false };
    let (Some(connection), Some(query), Some(operation)) = (next(), next(), next()) else { return false };
    let (Some(database), Some(rest)) = (next(), next()) else { return false };
    let is_word = !operation.is_empty() && operation.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let is_number = connection.bytes().chain(query.bytes()).all(|byte| byte.is_ascii_digit());
    let Some((object, code)) = rest.rsplit_once(',') else { return false };
    if !is_word || !is_number || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    source(event, "audit");
    event.set(field::USER_NAME, user);
    if !client.is_empty() && !project::set_text(event, field::SOURCE_IP, client) {
        event.set(field::SOURCE_DOMAIN, client);
    }
    let object = object.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\'')).unwrap_or(object);
    for (name, value) in [
        ("mysql.server", server.trim()),
        ("mysql.connection", connection),
        ("mysql.operation", operation),
        ("mysql.code", code),
        ("db.name", database),
    ] {
        attr(event, name, value);
    }
    let (action, category) = match operation {
        "CONNECT" | "FAILED_CONNECT" => ("db_login", AUTH),
        "DISCONNECT" => ("db_session_end", DB),
        "READ" | "WRITE" | "CREATE" | "ALTER" | "RENAME" | "DROP" => ("db_table", DB),
        _ => ("db_query", DB),
    };
    attr(event, if action == "db_query" { "db.query" } else { "db.object" }, object);
    event.set(field::EVENT_ACTION, action);
    event.set(field::EVENT_CATEGORY, category);
    event.set(field::EVENT_OUTCOME, if code == "0" { "success" } else { "failure" });
    event.set(field::MESSAGE, line);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(&str, &str, &str)>) {
        let id = canh_schema::EventId::from_bytes([0; 16]);
        let mut event = Event::new(id, canh_schema::Timestamp::from_secs(0), bytes::Bytes::new());
        let text =
            |event: &Event, name: &str| event.lookup(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let found = audit(&mut event, line).then(|| {
            let object = text(&event, "db.query") + &text(&event, "db.object");
            (text(&event, "event.action"), object, text(&event, "event.outcome"))
        });
        let found =
            found.as_ref().map(|(action, object, outcome)| (action.as_str(), object.as_str(), outcome.as_str()));
        assert_eq!(found, expected, "input: {line:?}");
    }

    #[test]
    fn lines_of_the_audit_plugin() {
        check("m,u,h,1,2,QUERY,d,'select 1, 2',0", Some(("db_query", "select 1, 2", "success")));
        check("m,u,h,1,2,QUERY,d,'a\\'b',1064", Some(("db_query", "a\\'b", "failure")));
        check("m,u,h,1,0,CONNECT,d,,0", Some(("db_login", "", "success")));
        check("m,u,h,1,2,READ,d,khaisinh,", Some(("db_table", "khaisinh", "failure")));
        check("m,u,h,x,2,QUERY,d,'a',0", None);
        check("m,u,h,1,2,query,d,'a',0", None);
        check("m,u,h,1,2,QUERY,d,'a',x", None);
        check("m,u,h,1,2,QUERY,d", None);
        check("", None);
    }
}
