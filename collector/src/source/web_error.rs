//! Error logs of nginx and Apache: who asked for what, and what went wrong.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::project;

/// Messages that are told apart, by their beginning or by what they hold.
const ACTIONS: &[(&str, &str)] = &[
    ("ModSecurity: Access denied", "waf_block"),
    ("ModSecurity: Warning", "waf_warning"),
    ("upstream timed out", "upstream_timeout"),
    ("connect() failed", "upstream_connect"),
    ("no live upstreams", "upstream_none"),
    ("upstream prematurely closed connection", "upstream_closed"),
    ("SSL_do_handshake() failed", "tls_error"),
    ("upstream SSL certificate", "tls_error"),
    ("client sent invalid header", "bad_request"),
    ("client sent invalid request", "bad_request"),
    ("client sent duplicate", "bad_request"),
    ("client sent both", "bad_request"),
    ("limiting requests", "rate_limited"),
    ("limiting connections", "rate_limited"),
    ("user \"", "web_login"),
    ("worker_connections are not enough", "connection_limit"),
    ("server reached MaxRequestWorkers", "connection_limit"),
    ("client denied by server configuration", "access_denied"),
    ("access forbidden by rule", "access_denied"),
    ("exited on signal", "worker_crash"),
    ("exit signal", "worker_crash"),
    ("No space left on device", "disk_full"),
];

fn apply(event: &mut Event, server: &'static str, level: &str, message: &str) {
    event.logsource = LogSource::default().with_service(server).with_other_service("web_error");
    event.set(field::EVENT_DATASET, format_compact!("{server}.error"));
    event.set(field::LOG_LEVEL, CompactString::from(level));
    event.set(field::MESSAGE, message);
    event.set(field::EVENT_CATEGORY, "web");
    if let Some((_, action)) = ACTIONS.iter().find(|(part, _)| message.contains(part)) {
        event.set(field::EVENT_ACTION, *action);
        event.set(field::EVENT_OUTCOME, "failure");
    }
    if message.contains("ModSecurity: ") {
        modsecurity(event, message);
    }
}

fn attr(event: &mut Event, name: &'static str, value: &str) {
    if !value.is_empty() {
        event.attrs.push((CompactString::const_new(name), Value::from(value)));
    }
}

/// A line of nginx behind its time. Answers whether it is one.
pub(crate) fn nginx(event: &mut Event, rest: &str) -> bool {
    let Some((level, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { return false };
    let Some((process, message)) = rest.split_once(": ") else { return false };
    let Some((pid, thread)) = process.split_once('#') else { return false };
    if !project::set_text(event, field::PROCESS_PID, pid) || !thread.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let message = match message.strip_prefix('*').and_then(|rest| rest.split_once(' ')) {
        Some((connection, rest)) => {
            attr(event, "nginx.connection", connection);
            rest
        }
        None => message,
    };
    apply(event, "nginx", level, message);
    // The context stands behind the message, its parts in this order. What a client chose comes last and in quotes.
    let Some(at) = message.find(", client: ") else { return true };
    let mut context = &message[at..];
    for (mark, end) in [
        (", client: ", ", "),
        (", server: ", ", "),
        (", request: \"", "\""),
        (", upstream: \"", "\""),
        (", host: \"", "\""),
    ] {
        let Some((_, after)) = context.split_once(mark) else { continue };
        let value = after.find(end).map_or(after, |end| &after[..end]);
        context = &after[value.len()..];
        match mark {
            ", client: " => drop(project::set_text(event, field::SOURCE_IP, value)),
            ", request: \"" => request(event, value),
            ", upstream: \"" => attr(event, "nginx.upstream", value),
            ", host: \"" => event.set(field::URL_DOMAIN, value),
            _ => attr(event, "nginx.server", value),
        }
    }
    true
}

/// `GET /tracuu?so=1 HTTP/1.1`.
fn request(event: &mut Event, line: &str) {
    let Some((method, rest)) = line.split_once(' ') else { return };
    let uri = rest.rsplit_once(" HTTP/").map_or(rest, |(uri, _)| uri);
    let (path, query) = uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    event.set(field::HTTP_METHOD, method);
    event.set(field::URL_ORIGINAL, uri);
    event.set(field::URL_PATH, path);
    if let Some(query) = query {
        event.set(field::URL_QUERY, query);
    }
}

/// Most parts in brackets that are read before the message.
const PARTS_MAX: usize = 6;

/// A line of Apache behind its time and `] [`. Answers whether it is one.
pub(crate) fn apache(event: &mut Event, rest: &str) -> bool {
    let Some((level, mut rest)) = rest.split_once("] ") else { return false };
    let (module, level) = level.split_once(':').unwrap_or(("", level));
    const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
    if !LEVELS.contains(&level) {
        return false;
    }
    attr(event, "apache.module", module);
    for _ in 0..PARTS_MAX {
        let Some((part, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else { break };
        rest = after;
        if let Some(pid) = part.strip_prefix("pid ") {
            project::set_text(event, field::PROCESS_PID, pid.split(':').next().unwrap_or(pid));
        } else if let Some(client) = part.strip_prefix("client ") {
            // Version 2.4 writes the port behind the address.
            if !project::set_text(event, field::SOURCE_IP, client)
                && let Some((host, port)) = client.rsplit_once(':')
            {
                project::set_text(event, field::SOURCE_IP, host.trim_matches(['[', ']']));
                project::set_text(event, field::SOURCE_PORT, port);
            }
        }
    }
    let (code, message) = match rest.split_once(": ") {
        Some((code, message)) if code.len() == 7 && code.starts_with("AH") => (code, message),
        _ => ("", rest),
    };
    apply(event, "apache", level, message);
    if !code.is_empty() {
        event.set(field::EVENT_CODE, code);
    }
    true
}

/// `[id "942100"] [msg "…"] [uri "/tracuu"]` in a line of ModSecurity.
fn modsecurity(event: &mut Event, message: &str) {
    let value =
        |name: &str| message.split_once(name).and_then(|(_, rest)| rest.split_once("\"]")).map(|(value, _)| value);
    for (name, mark) in [("modsecurity.id", "[id \""), ("modsecurity.msg", "[msg \""), ("modsecurity.file", "[file \"")]
    {
        attr(event, name, value(mark).unwrap_or_default());
    }
    if event.get(field::URL_PATH).is_none()
        && let Some(uri) = value("[uri \"")
    {
        event.set(field::URL_PATH, uri);
    }
    if event.get(field::SOURCE_IP).is_none()
        && let Some((_, client)) = message.split_once("[client ")
    {
        project::set_text(event, field::SOURCE_IP, client.split(']').next().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&mut Event, &str) -> bool, line: &str, expected: Option<(&str, &str, &str)>) {
        let id = canh_schema::EventId::from_bytes([0; 16]);
        let mut event = Event::new(id, canh_schema::Timestamp::from_secs(0), bytes::Bytes::new());
        let found = read(&mut event, line);
        let text = |name| event.lookup(name).and_then(Value::as_text).unwrap_or_default();
        let (action, address, path) = (text("event.action"), text("source.ip"), text("url.path"));
        assert_eq!(found.then_some((&*action, &*address, &*path)), expected, "input: {line:?}");
    }

    #[test]
    fn lines_of_nginx() {
        let line = r#"[error] 1#1: *7 upstream timed out, client: 10.0.0.1, server: a, request: "GET /x?y, host: "z" HTTP/1.1""#;
        check(nginx, line, Some(("upstream_timeout", "10.0.0.1", "/x")));
        check(nginx, "[alert] 1#1: worker process 2 exited on signal 9", Some(("worker_crash", "", "")));
        check(nginx, "[error] 1#1: *", Some(("", "", "")));
        check(nginx, "[error] one#1: x", None);
        check(nginx, "[error] x", None);
        check(nginx, "", None);
    }

    #[test]
    fn lines_of_apache() {
        check(
            apache,
            r#"security2:error] [pid 8:tid 1] [client 10.0.0.1:5] [client 10.0.0.1] ModSecurity: Access denied [uri "/x"] [y"#,
            Some(("waf_block", "10.0.0.1", "/x")),
        );
        check(apache, "error] [client 2001:db8::1] File does not exist: /x", Some(("", "2001:db8::1", "")));
        check(apache, "core:loud] [pid 8] x", None);
        check(apache, "", None);
    }
}
