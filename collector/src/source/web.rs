//! Requests to web servers: ECS fields, and the names that Sigma's `webserver` and `proxy` rules use.

use canh_schema::{Event, LogSource, Timestamp, Value, field};
use compact_str::{CompactString, format_compact};

use super::project;

/// One line of an access log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request<'t> {
    pub(crate) time: Timestamp,
    /// Virtual host, perhaps with its port.
    pub(crate) vhost: Option<&'t str>,
    pub(crate) client: &'t str,
    pub(crate) user: Option<&'t str>,
    /// The request line as the client sent it, escapes of the log kept.
    pub(crate) line: &'t str,
    pub(crate) status: u32,
    pub(crate) bytes: Option<u64>,
    pub(crate) referrer: Option<&'t str>,
    pub(crate) agent: Option<&'t str>,
}

/// Fills the event. `origin` is the file or the program that the line came from, if known.
pub(crate) fn apply(event: &mut Event, request: &Request<'_>, origin: Option<&str>) {
    event.attrs.reserve(14);
    let (method, uri, version) = split_line(request.line);
    let mut exchange = Exchange { method, uri, host: request.vhost.map(without_port), ..Exchange::default() };
    exchange.status = Some(i64::from(request.status));
    exchange.bytes = request.bytes.and_then(|bytes| i64::try_from(bytes).ok());
    exchange.agent = request.agent;
    exchange.referrer = request.referrer;
    if project::set_text(event, field::SOURCE_IP, request.client) {
        event.attrs.push(("c-ip".into(), Value::from(request.client)));
    } else {
        event.set(field::SOURCE_DOMAIN, request.client);
        event.attrs.push(("c-dns".into(), Value::from(request.client)));
    }
    if let Some(user) = request.user {
        event.set(field::USER_NAME, user);
        event.attrs.push(("cs-username".into(), Value::from(user)));
    }
    if let Some(version) = version {
        event.set(field::HTTP_VERSION, version);
        event.attrs.push(("cs-version".into(), Value::Text(format_compact!("HTTP/{version}"))));
    }
    let server = origin.and_then(server_name);
    event.logsource = LogSource::default().with_category("webserver");
    if let Some(server) = server {
        event.logsource = std::mem::take(&mut event.logsource).with_service(server);
    }
    event.set(field::EVENT_DATASET, format_compact!("{}.access", server.unwrap_or("web")));
    describe(event, &exchange);
}

/// What is known of a request and its answer, from whatever source.
#[derive(Debug, Default)]
pub(crate) struct Exchange<'t> {
    pub(crate) method: Option<&'t str>,
    /// Path and query as asked for.
    pub(crate) uri: &'t str,
    pub(crate) host: Option<&'t str>,
    pub(crate) status: Option<i64>,
    pub(crate) bytes: Option<i64>,
    pub(crate) agent: Option<&'t str>,
    pub(crate) referrer: Option<&'t str>,
}

/// Sets the fields of the exchange and the names of Sigma's taxonomy for `webserver` and `proxy`.
pub(crate) fn describe(event: &mut Event, exchange: &Exchange<'_>) {
    let mut attr = |name: &'static str, value: Value| event.attrs.push((CompactString::const_new(name), value));
    let (path, query) = match exchange.uri.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (exchange.uri, None),
    };
    if let Some(method) = exchange.method {
        attr("cs-method", Value::from(method));
    }
    if !exchange.uri.is_empty() {
        attr("c-uri", Value::from(exchange.uri));
        attr("cs-uri", Value::from(exchange.uri));
        attr("cs-uri-stem", Value::from(path));
        // Rules are written against servers that put the whole address here as well as against those that put what
        // follows the question mark, so both are given.
        let query_value = match query {
            Some(query) => Value::List(vec![Value::from(exchange.uri), Value::from(query)]),
            None => Value::from(path),
        };
        attr("cs-uri-query", query_value);
        if let Some(query) = query {
            attr("c-uri-query", Value::from(query));
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some((_, extension)) = name.rsplit_once('.') {
            attr("c-uri-extension", Value::from(extension));
        }
    }
    if let Some(host) = exchange.host {
        attr("cs-host", Value::from(host));
        attr("r-dns", Value::from(host));
    }
    if let Some(status) = exchange.status {
        attr("sc-status", Value::Integer(status));
    }
    if let Some(bytes) = exchange.bytes {
        attr("sc-bytes", Value::Integer(bytes));
    }
    if let Some(agent) = exchange.agent {
        attr("cs-user-agent", Value::from(agent));
        attr("c-useragent", Value::from(agent));
    }
    if let Some(referrer) = exchange.referrer {
        attr("cs-referer", Value::from(referrer));
        attr("cs-referrer", Value::from(referrer));
    }

    let mut set = |id, value: Option<Value>| {
        if let Some(value) = value {
            event.set(id, value);
        }
    };
    set(field::HTTP_METHOD, exchange.method.map(Value::from));
    set(field::HTTP_STATUS, exchange.status.map(Value::Integer));
    set(field::HTTP_RESPONSE_BYTES, exchange.bytes.map(Value::Integer));
    set(field::HTTP_REFERRER, exchange.referrer.map(Value::from));
    set(field::USER_AGENT, exchange.agent.map(Value::from));
    set(field::URL_DOMAIN, exchange.host.map(Value::from));
    if !exchange.uri.is_empty() {
        set(field::URL_ORIGINAL, Some(Value::from(exchange.uri)));
        set(field::URL_PATH, Some(Value::from(path)));
        set(field::URL_QUERY, query.map(Value::from));
    }
    set(field::EVENT_CATEGORY, Some(Value::from("web")));
    set(field::EVENT_ACTION, Some(Value::from("http_request")));
    set(
        field::EVENT_OUTCOME,
        exchange.status.map(|status| Value::from(if status < 400 { "success" } else { "failure" })),
    );
}

/// Method, address and version of a request line. A line that is not HTTP is all address.
fn split_line(line: &str) -> (Option<&str>, &str, Option<&str>) {
    let Some((method, rest)) = line.split_once(' ') else { return (None, line, None) };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b'-') {
        return (None, line, None);
    }
    match rest.rsplit_once(" HTTP/") {
        Some((uri, version)) => (Some(method), uri, Some(version)),
        None => (Some(method), rest, None),
    }
}

/// `example.vn` of `example.vn:443`; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The server that writes such files.
fn server_name(origin: &str) -> Option<&'static str> {
    const SERVERS: &[(&str, &str)] = &[("nginx", "nginx"), ("apache", "apache"), ("httpd", "apache")];
    SERVERS.iter().find(|(part, _)| origin.contains(part)).map(|(_, server)| *server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: (Option<&str>, &str, Option<&str>)) {
        assert_eq!(split_line(line), expected, "input: {line:?}");
    }

    #[test]
    fn request_lines() {
        check("GET /a?b HTTP/1.1", (Some("GET"), "/a?b", Some("1.1")));
        check("GET /a b HTTP/1.1", (Some("GET"), "/a b", Some("1.1")));
        check("GET /a", (Some("GET"), "/a", None));
        check("\\x16\\x03 x", (None, "\\x16\\x03 x", None));
        check("", (None, "", None));
    }
}
