//! HTTP access logs of WSO2's pass-through transport. Request and answer are lines of their own, without a number in
//! common; a later pattern writes `name=value` and has both.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::web_access::{quoted, time};
use super::{Context, Fit, Format, Text};
use crate::source::project;
use crate::source::web::{self, Exchange};

/// Access log of the pass-through transport.
pub(super) struct Wso2Access;

impl Format for Wso2Access {
    fn name(&self) -> &'static str {
        "wso2_access"
    }

    fn about(&self) -> &'static str {
        "access log of WSO2's pass-through transport (http_gw*.log), both patterns"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"- 10.20.1.7 - - [22/Nov/2026:15:53:29 +0700] "POST /oauth2/token HTTP/1.1" - - "-" "Synapse-PT-HttpComponents-NIO""#,
            r#"203.0.113.9, 10.20.1.2 10.20.1.7 - - [22/Nov/2026:15:53:29 +0700] "GET /hotich/1.0.0/khaisinh/12 HTTP/1.1" - - "-" "curl/8.5.0""#,
            r#"- 10.20.1.7  - [22/Nov/2026:15:53:29 +0700] "- - " 200 - "-" "-""#,
            "time=[22/Nov/2026:15:53:29 +0700] remoteHostname=10.20.1.7 localPort=8243 localIP=10.20.1.3 requestMethod=GET requestURL=/hotich/1.0.0/khaisinh/12 remoteIP=10.20.1.7 requestProtocol=HTTP/1.1 HTTPStatusCode=200 queryString=?day=1",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, _: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        if line.starts_with(['{', '<']) {
            return Fit::No;
        }
        let read = if line.starts_with("time=") { pairs(line, event) } else { halves(line, event) };
        if read.is_none() {
            return Fit::No;
        }
        event.set(field::MESSAGE, line);
        event.set(field::EVENT_DATASET, "wso2.access");
        event.logsource = LogSource::product("wso2").with_service("access").with_category("webserver");
        Fit::Yes
    }
}

/// `forwarded-for host ident user [time] "request" status bytes "referrer" "agent"`.
fn halves(line: &str, event: &mut Event) -> Option<()> {
    let open = line.find(" [").filter(|open| *open < 512)?;
    let (before, rest) = (&line[..open], &line[open + 2..]);
    let (stamp, rest) = rest.split_once(']')?;
    let (request, rest) = quoted(rest.trim_start())?;
    let mut words = rest.trim_start().splitn(3, ' ');
    let (status, _bytes, rest) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    let is_answer = request.trim_end() == "- -";
    if is_answer == (status == "-") {
        return None; // an ordinary server writes the request and the status into one line
    }
    let at = time(stamp.as_bytes())?;
    let (referrer, rest) = quoted(rest.trim_start()).unwrap_or(("-", rest));
    let (agent, _) = quoted(rest.trim_start()).unwrap_or(("-", rest));

    let mut words = before.rsplit(' ').filter(|word| !word.is_empty()).filter(|word| *word != "-");
    // From the right: the user if there is one, then the peer, then who the peer speaks for.
    let peer = words.by_ref().find(|word| word.parse::<std::net::IpAddr>().is_ok());
    let client = before.split([',', ' ']).find(|word| word.parse::<std::net::IpAddr>().is_ok());
    let client = client.or(peer)?;
    project::set_text(event, field::SOURCE_IP, client);
    if let Some(peer) = peer {
        event.attrs.push((CompactString::const_new("wso2.peer"), Value::from(peer)));
    }
    event.time = at;
    let (method, uri) = match request.split_once(' ') {
        Some((method, rest)) if !is_answer => (Some(method), rest.rsplit_once(" HTTP/").map_or(rest, |(uri, _)| uri)),
        _ => (None, ""),
    };
    let given = |word| (word != "-").then_some(word);
    let exchange = Exchange {
        method,
        uri,
        status: status.parse().ok(),
        agent: given(agent),
        referrer: given(referrer),
        ..Exchange::default()
    };
    web::describe(event, &exchange);
    event.set(field::EVENT_ACTION, if is_answer { "http_answer" } else { "http_request" });
    Some(())
}

/// `time=… remoteHostname=… requestMethod=… requestURL=… HTTPStatusCode=… queryString=…`.
fn pairs(line: &str, event: &mut Event) -> Option<()> {
    const NAMES: [&str; 9] = [
        "remoteHostname",
        "localPort",
        "localIP",
        "requestMethod",
        "requestURL",
        "remoteIP",
        "requestProtocol",
        "HTTPStatusCode",
        "queryString",
    ];
    let rest = line.strip_prefix("time=[")?;
    let (stamp, rest) = rest.split_once(']')?;
    let at = time(stamp.as_bytes())?;
    let mut values: [Option<&str>; NAMES.len()] = [None; NAMES.len()];
    for (name, value) in rest.split(' ').filter_map(|word| word.split_once('=')).take(NAMES.len() * 2) {
        if let Some(place) = NAMES.iter().position(|known| *known == name) {
            values[place] = Some(value).filter(|value| !matches!(*value, "" | "-"));
        }
    }
    let [host, _, _, method, url, address, _, status, query] = values;
    let url = url?;
    event.time = at;
    for (name, value) in NAMES.iter().zip(values).filter_map(|(name, value)| Some((*name, value?))) {
        event.attrs.push((CompactString::const_new(name), Value::from(value)));
    }
    if let Some(client) = address.or(host) {
        project::set_text(event, field::SOURCE_IP, client);
    }
    let whole = query.map(|query| format!("{url}?{}", query.trim_start_matches('?')));
    let uri = whole.as_deref().unwrap_or(url);
    let status = status.and_then(|status| status.parse().ok());
    web::describe(event, &Exchange { method, uri, status, ..Exchange::default() });
    Some(())
}
