//! JSON objects: flattened to dotted names in one pass over the text, without building a tree.

use std::fmt;
use std::sync::LazyLock;

use canh_schema::{Event, Issue, IssueKind, LogSource, Value, field};
use compact_str::{CompactString, ToCompactString, format_compact};
use rustc_hash::FxHashMap;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Context, Fit, Format, Text};
use crate::source;

/// Any JSON object that no other format claims.
pub(super) struct JsonObject;

impl Format for JsonObject {
    fn name(&self) -> &'static str {
        "json"
    }

    fn about(&self) -> &'static str {
        "a JSON object; names are kept, nested ones are joined with dots"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"@timestamp":"2026-11-22T08:59:58.100Z","host":{"name":"API-Svr"},"level":"warn","message":"slow answer","source":{"ip":"10.10.1.7"},"took_ms":812.5,"tags":["lgsp","api"],"calls":[{"to":"ESB","ok":true},{"to":"IS","ok":false}]}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some(json) = text.take_json(context) else { return Fit::No };
        let vendor = context.settings.vendors.of_json(&json);
        json.into_event(event);
        source::generic::apply(event, context);
        if let Some(number) = vendor {
            context.settings.vendors.apply_json(event, context, number);
        }
        if event.get(field::EVENT_DATASET).is_none() {
            event.set(field::EVENT_DATASET, "json");
        }
        Fit::Yes
    }
}

/// Names by which the formats that are written in JSON know their records, a bit for each. They are looked for in one pass
/// when an object has been read, so that a format costs an ordinary record nothing.
pub(crate) mod mark {
    pub(crate) const CHANNEL: u32 = 1;
    pub(crate) const EVENT_ID: u32 = 1 << 1;
    pub(crate) const PROVIDER: u32 = 1 << 2;
    pub(crate) const WINLOG: u32 = 1 << 3;
    pub(crate) const LOG_NAME: u32 = 1 << 4;
    pub(crate) const OLD_EVENT_ID: u32 = 1 << 5;
    pub(crate) const COMPUTER_NAME: u32 = 1 << 6;
    pub(crate) const SYSTEM_EVENT_ID: u32 = 1 << 7;
    pub(crate) const JOURNALD: u32 = 1 << 8;
    pub(crate) const DATASET: u32 = 1 << 9;
    pub(crate) const ZEEK_PATH: u32 = 1 << 10;
    pub(crate) const ZEEK_STREAM: u32 = 1 << 11;
    pub(crate) const ZEEK_TIME: u32 = 1 << 12;
    pub(crate) const API_VERSION: u32 = 1 << 13;
    pub(crate) const AZURE_RESOURCE: u32 = 1 << 14;
    pub(crate) const AZURE_OPERATION: u32 = 1 << 15;
    pub(crate) const AWS_SOURCE: u32 = 1 << 16;
    pub(crate) const AWS_NAME: u32 = 1 << 17;
    pub(crate) const AWS_REGION: u32 = 1 << 18;
    pub(crate) const GELF: u32 = 1 << 24;
    pub(crate) const EVE_TYPE: u32 = 1 << 19;
    pub(crate) const EVE_FLOW: u32 = 1 << 20;
    pub(crate) const EVE_STATS: u32 = 1 << 21;

    pub(super) const NAMES: &[(&str, u32)] = &[
        ("Channel", CHANNEL),
        ("EventID", EVENT_ID),
        ("Provider_Name", PROVIDER),
        ("SourceName", PROVIDER),
        ("winlog.channel", WINLOG),
        ("winlog.event_id", WINLOG),
        ("winlog.provider_name", WINLOG),
        ("log_name", LOG_NAME),
        ("event_id", OLD_EVENT_ID),
        ("computer_name", COMPUTER_NAME),
        ("Event.System.EventID", SYSTEM_EVENT_ID),
        ("Event.System.EventID.#text", SYSTEM_EVENT_ID),
        ("Event.System.EventID.#attributes.Qualifiers", SYSTEM_EVENT_ID),
        ("System.EventID", SYSTEM_EVENT_ID),
        ("System.EventID.#text", SYSTEM_EVENT_ID),
        ("System.EventID.#attributes.Qualifiers", SYSTEM_EVENT_ID),
        ("__REALTIME_TIMESTAMP", JOURNALD),
        ("event.dataset", DATASET),
        ("_path", ZEEK_PATH),
        ("@stream", ZEEK_STREAM),
        ("eventSource", AWS_SOURCE),
        ("eventName", AWS_NAME),
        ("awsRegion", AWS_REGION),
        ("event_type", EVE_TYPE),
        ("flow_id", EVE_FLOW),
        ("stats.uptime", EVE_STATS),
        ("ts", ZEEK_TIME),
        ("@proc", ZEEK_TIME),
        ("apiVersion", API_VERSION),
        ("resourceId", AZURE_RESOURCE),
        ("operationName", AZURE_OPERATION),
        ("short_message", GELF),
    ];
}

static MARKS: LazyLock<FxHashMap<&'static str, u32>> = LazyLock::new(|| mark::NAMES.iter().copied().collect());

/// A flattened object.
#[derive(Debug, Default)]
pub(crate) struct Json {
    pub(crate) entries: Vec<(CompactString, Value)>,
    pub(crate) issues: Vec<Issue>,
    /// Of [`mark`].
    marks: u32,
}

impl Json {
    /// Reads an object. `None` if the text does not begin as one. What was read before a mistake is kept.
    pub(crate) fn read(text: &str, depth_max: usize, fields_max: usize) -> Option<Self> {
        let start = text.trim_ascii_start();
        if !start.starts_with('{') {
            return None;
        }
        let mut flat = Flattener {
            path: String::new(),
            // A guess that is seldom too small: growing costs a copy each time.
            json: Self { entries: Vec::with_capacity((start.len() / 32).clamp(4, 64)), ..Self::default() },
            depth: 0,
            depth_max,
            fields_max,
            values: 0,
            lists: 0,
            list_start: 0,
        };
        let mut deserializer = serde_json::Deserializer::from_str(start);
        let outcome = Node(&mut flat).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        let mut json = flat.json;
        if let Err(error) = outcome {
            if json.entries.is_empty() {
                return None;
            }
            json.issues.push(Issue { kind: IssueKind::Malformed, detail: format_compact!("JSON: {error}") });
        }
        let marks = &*MARKS;
        let found = json.entries.iter().filter_map(|(name, _)| marks.get(name.as_str()));
        json.marks = found.fold(0, |all, mark| all | mark);
        Some(json)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether all of these marks are there.
    pub(crate) fn has(&self, marks: u32) -> bool {
        self.marks & marks == marks
    }

    /// Whether any of these marks is there.
    pub(crate) fn has_any(&self, marks: u32) -> bool {
        self.marks & marks != 0
    }

    pub(crate) fn into_event(self, event: &mut Event) {
        if event.attrs.is_empty() {
            event.attrs = self.entries;
        } else {
            event.attrs.extend(self.entries);
        }
        event.issues.extend(self.issues);
    }

    /// Removes the envelope keys and makes a log source of them.
    pub(super) fn take_logsource(&mut self) -> Option<LogSource> {
        const KEYS: [&str; 3] = ["_product", "_service", "_category"];
        // They are written first; a search through the whole object would cost every ordinary record.
        let count = self.entries.iter().take_while(|(key, _)| KEYS.contains(&key.as_str())).count();
        if count == 0 {
            return None;
        }
        let mut logsource = LogSource::default();
        for (key, value) in self.entries.drain(..count) {
            let mut texts = value.members().iter().filter_map(Value::as_str);
            match key.as_str() {
                "_product" => logsource.product = texts.next().map(CompactString::from),
                "_service" => logsource.service = texts.next().map(CompactString::from),
                _ => logsource.categories = texts.map(CompactString::from).collect(),
            }
        }
        Some(logsource)
    }
}

struct Flattener {
    /// Dotted name of where the reader is.
    path: String,
    json: Json,
    depth: usize,
    depth_max: usize,
    fields_max: usize,
    /// Values taken, members of lists included.
    values: usize,
    /// Lists that the reader is inside of.
    lists: usize,
    /// The first entry that belongs to the outermost list.
    list_start: usize,
}

/// The longest dotted name, in bytes. Every value repeats the names around it, so a long one costs many times over.
pub(super) const NAME_LEN_MAX: usize = 512;

/// A list may hold this many times the fields of an event.
const VALUES_PER_FIELD: usize = 4;

impl Flattener {
    fn push(&mut self, value: Value) {
        if self.path.len() > NAME_LEN_MAX {
            return self.note(IssueKind::TooDeep, NAME_LEN_MAX);
        }
        let full = self.json.entries.len() >= self.fields_max;
        if full && self.lists == 0 || self.values >= self.fields_max.saturating_mul(VALUES_PER_FIELD) {
            return self.note(IssueKind::TooManyFields, self.fields_max);
        }
        self.values += 1;
        if self.lists == 0 {
            self.json.entries.push((CompactString::from(self.path.as_str()), value));
            return;
        }
        let inside = self.json.entries.get_mut(self.list_start..).unwrap_or_default();
        match inside.iter_mut().find(|(key, _)| *key == self.path.as_str()) {
            Some((_, Value::List(members))) => members.push(value),
            _ if full => self.note(IssueKind::TooManyFields, self.fields_max),
            _ => self.json.entries.push((CompactString::from(self.path.as_str()), Value::List(vec![value]))),
        }
    }

    fn push_empty_list(&mut self) {
        if self.path.len() <= NAME_LEN_MAX && self.json.entries.len() < self.fields_max {
            self.json.entries.push((CompactString::from(self.path.as_str()), Value::List(Vec::new())));
        }
    }

    fn note(&mut self, kind: IssueKind, limit: usize) {
        if !self.json.issues.iter().any(|issue| issue.kind == kind) {
            self.json.issues.push(Issue { kind, detail: format_compact!("limit is {limit}") });
        }
    }
}

/// One value of the text, at the reader's path.
struct Node<'a>(&'a mut Flattener);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.0.depth > self.0.depth_max {
            let limit = self.0.depth_max;
            self.0.note(IssueKind::TooDeep, limit);
            return deserializer.deserialize_ignored_any(IgnoredAny).map(drop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push(Value::Bool(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(Value::Integer(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        // Beyond the range of a signed number the digits are kept as text, exactly.
        self.0.push(i64::try_from(value).map_or_else(|_| Value::Text(value.to_compact_string()), Value::Integer));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.push(Value::Float(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.0.push(Value::Text(CompactString::from(value)));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push(Value::Null);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let flat = self.0;
        let len = flat.path.len();
        flat.depth += 1;
        while map.next_key_seed(Key(flat))?.is_some() {
            map.next_value_seed(Node(flat))?;
            flat.path.truncate(len);
        }
        flat.depth -= 1;
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let flat = self.0;
        if flat.lists == 0 {
            flat.list_start = flat.json.entries.len();
        }
        flat.depth += 1;
        flat.lists += 1;
        let mut empty = true;
        while list.next_element_seed(Node(flat))?.is_some() {
            empty = false;
        }
        flat.lists -= 1;
        flat.depth -= 1;
        if empty && flat.lists == 0 {
            flat.push_empty_list();
        }
        Ok(())
    }
}

/// The name of a member, added to the path.
struct Key<'a>(&'a mut Flattener);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        if !self.0.path.is_empty() {
            self.0.path.push('.');
        }
        self.0.path.push_str(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let shown = match Json::read(text, 4, 6) {
            None => "not JSON".to_owned(),
            Some(json) => {
                let entries = json.entries.iter().map(|(key, value)| format!("{key} = {value:?}\n"));
                let issues = json.issues.iter().map(|issue| format!("! {} {}\n", issue.kind.name(), issue.detail));
                entries.chain(issues).collect()
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn objects_are_flattened() {
        check(
            r#"{"a":{"b":1,"c":"x"},"d.e":null,"f":-2.5,"g":18446744073709551615}"#,
            expect![[r#"
            a.b = Integer(1)
            a.c = Text("x")
            d.e = Null
            f = Float(-2.5)
            g = Text("18446744073709551615")
        "#]],
        );
        check(
            r#"{"a":[1,[2,"x"],null],"e":[],"o":[{"k":1},{"k":2,"l":true}]}"#,
            expect![[r#"
            a = List([Integer(1), Integer(2), Text("x"), Null])
            e = List([])
            o.k = List([Integer(1), Integer(2)])
            o.l = List([Bool(true)])
        "#]],
        );
        check(
            r#" {"a":"\u00e9\n"} "#,
            expect![[r#"
            a = Text("é\n")
        "#]],
        );
    }

    #[test]
    fn mistakes_keep_what_came_before() {
        check(
            r#"{"a":1,"b"#,
            expect![[r#"
            a = Integer(1)
            ! malformed JSON: EOF while parsing a string at line 1 column 9
        "#]],
        );
        check(
            r#"{"a":1} tail"#,
            expect![[r#"
            a = Integer(1)
            ! malformed JSON: trailing characters at line 1 column 9
        "#]],
        );
        check("{broken", expect!["not JSON"]);
        check("[1]", expect!["not JSON"]);
        check("", expect!["not JSON"]);
    }

    #[test]
    fn limits_hold() {
        check(
            r#"{"a":{"b":{"c":{"d":{"e":{"f":1}}}}},"z":1}"#,
            expect![[r#"
            z = Integer(1)
            ! too_deep limit is 4
        "#]],
        );
        check(
            r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1}"#,
            expect![[r#"
            1 = Integer(1)
            2 = Integer(1)
            3 = Integer(1)
            4 = Integer(1)
            5 = Integer(1)
            6 = Integer(1)
            ! too_many_fields limit is 6
        "#]],
        );
        let long = format!(r#"{{"{}":{{"a":1,"b":[]}},"c":1}}"#, "x".repeat(600));
        assert_eq!(Json::read(&long, 32, 10).unwrap().entries.len(), 1);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        assert!(Json::read(&deep, 32, 10).is_none_or(|json| !json.issues.is_empty()));
        let wide = format!(r#"{{"a":[{}]}}"#, vec!["1"; 10_000].join(","));
        assert_eq!(Json::read(&wide, 32, 10).unwrap().get("a").unwrap().members().len(), 40);
    }
}
