//! Lines whose values are named by a header: Zeek's own logs, W3C logs of IIS, CSV. The header came with the batch, so
//! that each batch is read for itself.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;
use serde_json::{Map, Value as Json};

use super::Context;
use crate::secrets::{MASK, Secrets};
use crate::source::web::{self, Exchange};
use crate::source::{generic, project, zeek};
use crate::vendor::columns_of;

/// Longest header that is read, in bytes.
const HEADER_LEN_MAX: usize = 16 * 1024;
/// Column of W3C logs that is not kept.
const COOKIE: &str = "cs(Cookie)";
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What the first lines of a file say about the others.
#[derive(Clone, PartialEq, Debug)]
pub struct Header {
    kind: Kind,
    /// Between two values.
    between: u8,
    names: Vec<CompactString>,
}

#[derive(Clone, PartialEq, Debug)]
enum Kind {
    Zeek {
        path: CompactString,
        types: Vec<CompactString>,
        /// Between the members of a set.
        inside: CompactString,
        empty: CompactString,
        unset: CompactString,
    },
    W3c,
    Csv,
}

impl Header {
    /// `None` if it names nothing.
    pub fn read(text: &str) -> Option<Self> {
        if text.len() > HEADER_LEN_MAX {
            return None;
        }
        let text = text.trim_start_matches('\u{feff}');
        if !text.starts_with('#') {
            return Self::csv(text.lines().next()?);
        }
        match text.lines().rev().find_map(|line| line.strip_prefix("#Fields:")) {
            Some(fields) => Some(Self { kind: Kind::W3c, between: b' ', names: words(fields) }),
            None => Self::zeek(text),
        }
        .filter(|header| !header.names.is_empty())
    }

    fn csv(line: &str) -> Option<Self> {
        let count = |mark: &u8| memchr::memchr_iter(*mark, line.as_bytes()).count();
        let between = SEPARATORS.into_iter().rev().max_by_key(count)?;
        let (names, _) = columns_of(line, between, usize::MAX);
        let names: Vec<CompactString> = names.iter().map(|name| name.trim().into()).collect();
        (!names.iter().all(CompactString::is_empty)).then_some(Self { kind: Kind::Csv, between, names })
    }

    fn zeek(text: &str) -> Option<Self> {
        let between = text.lines().find_map(|line| line.strip_prefix("#separator "));
        let between = unescaped(between.unwrap_or(r"\x09").trim());
        let [between] = *between.as_bytes() else { return None };
        let said = |name: &str| {
            let line = text.lines().rev().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.as_bytes().first().filter(|first| **first == between).and(rest.get(1..)))
        };
        let list = |name| said(name).map(|rest| rest.split(char::from(between)).map(CompactString::from).collect());
        let kind = Kind::Zeek {
            path: said("#path").unwrap_or_default().into(),
            types: list("#types").unwrap_or_default(),
            inside: said("#set_separator").unwrap_or(",").into(),
            empty: said("#empty_field").unwrap_or("(empty)").into(),
            unset: said("#unset_field").unwrap_or("-").into(),
        };
        Some(Self { kind, between, names: list("#fields")? })
    }

    /// The line without secrets, if it has any. A value may be a query of its own, and a header names secrets too.
    pub(crate) fn without_secrets(&self, secrets: &Secrets, line: &[u8]) -> Option<Vec<u8>> {
        let is_unset = |cell: &[u8]| match &self.kind {
            Kind::Zeek { unset, empty, .. } => cell == unset.as_bytes() || cell == empty.as_bytes(),
            Kind::W3c | Kind::Csv => matches!(cell, b"" | b"-"),
        };
        let mut out = Vec::with_capacity(line.len());
        let mut is_changed = false;
        for (at, cell) in line.split(|byte| *byte == self.between).enumerate() {
            if at > 0 {
                out.push(self.between);
            }
            // The cells of CSV may have its separator inside, so that names are sure only when they are read.
            let name = self.names.get(at).filter(|_| self.kind != Kind::Csv);
            let is_secret = name.is_some_and(|name| name == COOKIE || secrets.is_secret(name));
            match secrets.mask(cell).text {
                _ if is_secret && !is_unset(cell) => {
                    out.extend_from_slice(MASK);
                    is_changed = true;
                }
                Some(masked) => {
                    out.extend_from_slice(&masked);
                    is_changed = true;
                }
                None => out.extend_from_slice(cell),
            }
        }
        is_changed.then_some(out)
    }

    /// The values of a line, under their names.
    fn values(&self, line: &str, fields_max: usize) -> Vec<(CompactString, Value)> {
        let line = line.trim_end_matches(['\r', '\n']);
        let named = |at: usize| self.names.get(at).filter(|name| !name.is_empty()).cloned();
        let name_of = |at: usize| named(at).unwrap_or_else(|| compact_str::format_compact!("column_{}", at + 1));
        match &self.kind {
            Kind::Csv => {
                let (cells, _) = columns_of(line, self.between, fields_max);
                let cells = cells.iter().enumerate().filter(|(_, cell)| !cell.is_empty());
                cells.map(|(at, cell)| (name_of(at), Value::from(cell.as_ref()))).collect()
            }
            Kind::W3c => {
                let cells = line.split(' ').enumerate().take(fields_max).filter(|(_, cell)| !matches!(*cell, "-" | ""));
                cells.map(|(at, cell)| (name_of(at), Value::from(cell))).collect()
            }
            Kind::Zeek { path, types, .. } => {
                let mut values = vec![(CompactString::const_new("_path"), Value::from(path.as_str()))];
                for (at, cell) in line.split(char::from(self.between)).enumerate().take(fields_max) {
                    let kind = types.get(at).map_or("string", CompactString::as_str);
                    values.extend(self.zeek_value(kind, cell).map(|value| (name_of(at), value)));
                }
                values
            }
        }
    }

    fn zeek_value(&self, kind: &str, cell: &str) -> Option<Value> {
        let Kind::Zeek { inside, empty, unset, .. } = &self.kind else { return None };
        if cell == unset {
            return None;
        }
        if let Some(member) = kind.strip_prefix("set[").or_else(|| kind.strip_prefix("vector[")) {
            let member = member.trim_end_matches(']');
            let members: Vec<Value> = match cell == empty {
                true => Vec::new(),
                false => cell.split(inside.as_str()).filter_map(|part| self.zeek_value(member, part)).collect(),
            };
            return Some(Value::List(members));
        }
        let text = || Value::from(if cell == empty { String::new() } else { unescaped(cell) });
        Some(match kind {
            "bool" => match cell {
                "T" => Value::Bool(true),
                "F" => Value::Bool(false),
                _ => text(),
            },
            "count" | "int" | "port" => cell.parse().map_or_else(|_| text(), Value::Integer),
            "double" | "interval" | "time" => cell.parse().map_or_else(|_| text(), Value::Float),
            _ => text(),
        })
    }

    /// Fills the event from a line.
    pub(crate) fn apply(&self, event: &mut Event, context: &Context<'_>, line: &str) {
        event.attrs = self.values(line, context.settings.fields_max);
        if self.kind == Kind::Csv {
            context.settings.secrets.mask_doubtful(event);
        }
        match &self.kind {
            Kind::Zeek { .. } => return zeek::apply(event, context),
            Kind::Csv => {
                event.set(field::EVENT_DATASET, "csv");
                generic::apply(event, context);
            }
            Kind::W3c => w3c(event, context),
        }
        if event.get(field::MESSAGE).is_none() {
            event.set(field::MESSAGE, line);
        }
    }

    /// The line as an object, for those who take nothing else.
    pub fn object(&self, line: &str) -> Option<String> {
        const VALUES_MAX: usize = 4_096;
        let mut map = Map::new();
        if self.kind == Kind::W3c {
            map.insert("_service".to_owned(), "iis".into());
            map.insert("_category".to_owned(), "webserver".into());
        }
        let values = self.values(line, VALUES_MAX);
        if self.kind == Kind::W3c {
            let get = |name: &str| values.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str());
            if let (Some(date), Some(clock)) = (get("date"), get("time")) {
                map.insert("@timestamp".to_owned(), format!("{date}T{clock}Z").into());
            }
        }
        let has_values = !values.is_empty();
        for (name, value) in values {
            map.insert(name.into(), json(value));
        }
        has_values.then(|| Json::Object(map).to_string())
    }
}

fn json(value: Value) -> Json {
    match value {
        Value::Bool(flag) => flag.into(),
        Value::Integer(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::List(members) => members.into_iter().map(json).collect(),
        other => other.as_text().map_or(Json::Null, |text| text.into_owned().into()),
    }
}

fn words(text: &str) -> Vec<CompactString> {
    text.split_ascii_whitespace().map(CompactString::from).collect()
}

/// `\x09` for what cannot stand in a line.
fn unescaped(text: &str) -> String {
    if !text.contains("\\x") {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = rest.strip_prefix(b"\\x").and_then(|rest| std::str::from_utf8(rest.get(..2)?).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Requests to IIS. Its times are UTC, and its cookies are not kept.
fn w3c(event: &mut Event, context: &Context<'_>) {
    let attrs = std::mem::take(&mut event.attrs);
    let get = |name: &str| attrs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str());
    if let (Some(date), Some(clock)) = (get("date"), get("time")) {
        generic::set_time(event, &Value::from(format!("{date}T{clock}Z")), context);
    }
    event.logsource = LogSource::default().with_category("webserver").with_service("iis");
    event.set(field::EVENT_DATASET, "iis.access");
    let set = |event: &mut Event, id, name: &str| {
        if let Some(value) = get(name) {
            project::set_text(event, id, value);
        }
    };
    set(event, field::SOURCE_IP, "c-ip");
    set(event, field::DESTINATION_IP, "s-ip");
    set(event, field::DESTINATION_PORT, "s-port");
    set(event, field::USER_NAME, "cs-username");
    let stem = get("cs-uri-stem").unwrap_or_default();
    let uri = match get("cs-uri-query") {
        Some(query) => format!("{stem}?{query}"),
        None => stem.to_owned(),
    };
    // A blank is written as `+`.
    let agent = get("cs(User-Agent)").map(|agent| agent.replace('+', " "));
    let exchange = Exchange {
        method: get("cs-method"),
        uri: &uri,
        host: get("cs-host"),
        status: get("sc-status").and_then(|status| status.parse().ok()),
        bytes: get("sc-bytes").and_then(|bytes| bytes.parse().ok()),
        agent: agent.as_deref(),
        referrer: get("cs(Referer)"),
    };
    web::describe(event, &exchange);
    if let Some(millis) = get("time-taken").and_then(|millis| millis.parse::<i64>().ok()) {
        event.set(field::EVENT_DURATION, millis.saturating_mul(1_000_000));
    }
    let known: Vec<CompactString> = event.attrs.iter().map(|(name, _)| name.clone()).collect();
    event.attrs.extend(attrs.into_iter().filter(|(name, _)| !known.contains(name)));
}

#[cfg(test)]
mod tests {
    use canh_schema::{EventId, Timestamp};

    use super::*;
    use crate::DecodeSettings;
    use crate::format::EnvelopeKeys;

    const CONN: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\tlocal_orig\ttunnel_parents\tnote\n\
#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\tbool\tset[string]\tstring";

    fn event(header: &Header, line: &str) -> Event {
        let settings = DecodeSettings::default();
        let received = Timestamp::from_secs(1_795_340_000);
        let context = Context {
            received,
            settings: &settings,
            file: None,
            envelope_keys: EnvelopeKeys::Plain,
            depth: 0,
            header: None,
        };
        let mut event = Event::new(EventId::from_bytes([0; 16]), received, line.as_bytes().to_vec().into());
        header.apply(&mut event, &context, line);
        event
    }

    #[test]
    fn zeek() {
        let header = Header::read(CONN).unwrap();
        let line = "1795336308.25\tCab1\t10.10.1.4\t64842\t10.10.0.4\t443\ttcp\t1.5\tT\tCx1,Cx2\ta\\x09b";
        let found = event(&header, line);
        assert_eq!(found.get(field::SOURCE_PORT), Some(&Value::Integer(64842)));
        assert_eq!(found.get(field::EVENT_DATASET), Some(&Value::from("zeek.conn")));
        assert_eq!(found.time.to_string(), "2026-11-22T08:31:48.25Z");
        assert_eq!(found.attr("local_orig"), Some(&Value::Bool(true)));
        assert_eq!(found.attr("tunnel_parents"), Some(&Value::List(vec![Value::from("Cx1"), Value::from("Cx2")])));
        assert_eq!(found.attr("note"), Some(&Value::from("a\tb")));
        let found = event(&header, "1795336308.25\tCab1\t10.10.1.4\t64842\t10.10.0.4\t443\ttcp\t-\t-\t(empty)\t-");
        assert_eq!(found.attr("duration"), None);
        assert_eq!(found.attr("tunnel_parents"), Some(&Value::List(Vec::new())));
        // The same as what Zeek writes in JSON.
        let object = header.object(line).unwrap();
        let settings = DecodeSettings::default();
        let envelope = crate::Envelope::new(
            crate::Door::Import,
            Timestamp::from_secs(1_795_340_000),
            crate::Framing::Lines,
            object.into_bytes().into(),
        );
        let json = crate::decode(&envelope, canh_schema::Position::new(1), 1, &settings).events.remove(0);
        let ours = event(&header, line);
        assert_eq!((json.time, &json.logsource), (ours.time, &ours.logsource));
        assert_eq!(json.get(field::MESSAGE), ours.get(field::MESSAGE));
        assert_eq!(json.get(field::EVENT_DURATION), ours.get(field::EVENT_DURATION));
    }

    #[test]
    fn w3c_and_csv() {
        let text = "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time s-ip cs-method cs-uri-stem \
cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Cookie) sc-status time-taken";
        let header = Header::read(text).unwrap();
        let line = "2026-11-22 08:31:48 10.0.0.5 POST /api/a.aspx password=s3cret&x=1 443 - 203.0.113.9 Mozilla/5.0+(X) s=abc 200 15";
        let masked = header.without_secrets(&Secrets::standard(), line.as_bytes()).unwrap();
        let masked = String::from_utf8(masked).unwrap();
        assert_eq!(
            masked,
            "2026-11-22 08:31:48 10.0.0.5 POST /api/a.aspx password=***&x=1 443 - 203.0.113.9 Mozilla/5.0+(X) *** 200 15"
        );
        let found = event(&header, &masked);
        assert_eq!(found.time.to_string(), "2026-11-22T08:31:48Z");
        assert_eq!(found.get(field::URL_QUERY), Some(&Value::from("password=***&x=1")));
        assert_eq!(found.get(field::USER_AGENT), Some(&Value::from("Mozilla/5.0 (X)")));
        assert_eq!(found.get(field::HTTP_STATUS), Some(&Value::Integer(200)));

        let header = Header::read("time;user.name;\"a;b\"").unwrap();
        let found = event(&header, "2026-11-22T08:31:48Z;minh;\"x;y\";more");
        assert_eq!(found.get(field::USER_NAME), Some(&Value::from("minh")));
        assert_eq!(found.attr("a;b"), Some(&Value::from("x;y")));
        assert_eq!(found.attr("column_4"), Some(&Value::from("more")));
        assert_eq!(found.time.to_string(), "2026-11-22T08:31:48Z");
        for text in ["", "#", "#Fields:", "#separator ab", "#fields", ",,"] {
            assert_eq!(Header::read(text), None, "{text:?}");
        }
    }
}
