//! One source, ready: takes the values out of a line and says what they mean.

use std::borrow::Cow;

use canh_schema::{Event, FieldId, FieldKind, IssueKind, LogSource, Timestamp, Value, field, field_by_name};
use compact_str::{CompactString, format_compact};
use regex::Regex;
use rustc_hash::FxHashMap;

use super::columns::columns_of;
use super::definition::Form;
use super::join::Rule;
use super::mask;
use crate::format::{Context, Layout, Marks, Zone};
use crate::source::web::{self, Exchange};
use crate::source::{key_value, project, vendor_event};

#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: CompactString,
    pub(crate) about: String,
    pub(super) zone: Option<Zone>,
    pub(super) masks: Vec<Regex>,
    pub(super) hidden: Vec<CompactString>,
    pub(super) absent: Vec<CompactString>,
    pub(super) recognition: Recognition,
    pub(super) join: Option<Rule>,
    pub(super) form: Form,
    pub(super) marks: Marks,
    pub(super) inner: Option<CompactString>,
    pub(super) times: Vec<(Vec<CompactString>, Vec<Layout>)>,
    pub(super) rules: Rules,
    pub(super) kinds: Vec<KindRules>,
}

#[derive(Debug)]
pub(super) struct Recognition {
    pub(super) programs: Vec<CompactString>,
    pub(super) prefixes: Vec<CompactString>,
    pub(super) contains: Vec<CompactString>,
    pub(super) regex: Option<Regex>,
    pub(super) cef: Vec<(CompactString, CompactString)>,
    pub(super) leef: Vec<(CompactString, CompactString)>,
    pub(super) json: Vec<CompactString>,
}

#[derive(Debug)]
pub(super) struct KindRules {
    pub(super) shape: Shape,
    pub(super) when: Vec<(CompactString, Vec<CompactString>)>,
    pub(super) rules: Rules,
}

#[derive(Debug)]
pub(super) enum Shape {
    Regex {
        regex: Regex,
        /// Of its groups; a group without name is not kept.
        names: Vec<Option<CompactString>>,
    },
    Columns(Vec<CompactString>),
    Any,
}

#[derive(Debug)]
pub(super) struct Rules {
    pub(super) fields: Vec<(FieldId, Fill)>,
    pub(super) constants: Vec<(FieldId, Value)>,
    pub(super) also: Vec<(CompactString, Fill)>,
    pub(super) web: Option<WebNames>,
    pub(super) logsource: Option<LogSource>,
}

/// What fills a field: the first of these values that says something.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) from: Vec<CompactString>,
    pub(super) values: FxHashMap<CompactString, CompactString>,
    pub(super) otherwise: Option<CompactString>,
    pub(super) change: Change,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Nothing,
    /// A length of time in nanoseconds.
    Times(f64),
    Lower,
    BaseName,
    Transport,
    /// `(3)www(7)example(0)` is `www.example`.
    Labels,
}

#[derive(Debug)]
pub(super) struct WebNames {
    pub(super) method: Option<CompactString>,
    pub(super) url: Option<CompactString>,
    pub(super) host: Option<CompactString>,
    pub(super) status: Option<CompactString>,
    pub(super) bytes: Option<CompactString>,
    pub(super) agent: Option<CompactString>,
    pub(super) referrer: Option<CompactString>,
}

type Values = Vec<(CompactString, Value)>;

impl Recognition {
    /// Whether what is asked of the text holds.
    pub(super) fn holds(&self, text: &str) -> bool {
        let any =
            |list: &[CompactString], fits: &dyn Fn(&str) -> bool| list.is_empty() || list.iter().any(|one| fits(one));
        any(&self.prefixes, &|prefix| text.starts_with(prefix))
            && any(&self.contains, &|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(text))
    }

    /// Whether the text may be of the source though it was not read as such, because it is cut off or of a kind that is not
    /// described. What makes it more likely is enough here.
    pub(super) fn may_hold(&self, program: Option<&str>, text: &str) -> bool {
        let has_program =
            program.is_some_and(|program| self.programs.iter().any(|name| name.eq_ignore_ascii_case(program)));
        has_program
            || self.prefixes.iter().any(|prefix| text.starts_with(prefix.as_str()))
            || self.contains.iter().any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
    }
}

impl Source {
    /// Whether it says what lines mean, and not only which of them belong together.
    pub(super) fn reads(&self) -> bool {
        !(self.form == Form::Lines && self.kinds.is_empty())
    }

    /// Fills the event from a line that was recognised; `false` if no kind fits, and then nothing is changed.
    pub(crate) fn apply(&self, event: &mut Event, context: &Context<'_>, text: &str) -> bool {
        let Some((kind, mut values, complete)) = self.extract(text, context) else { return false };
        if !complete {
            event.push_issue(IssueKind::TooManyFields, "values were left out");
        }
        event.attrs.append(&mut values);
        self.describe(event, context, Some(text), kind);
        true
    }

    /// The same for a record whose values are attributes already.
    pub(super) fn apply_given(&self, event: &mut Event, context: &Context<'_>) -> bool {
        let fits = |kind: &&KindRules| {
            kind.when.iter().all(|(name, allowed)| {
                event.attr(name).and_then(Value::as_text).is_some_and(|value| allowed.iter().any(|one| *one == *value))
            })
        };
        let kind = self.kinds.iter().find(fits);
        if kind.is_none() && !self.kinds.is_empty() {
            self.mask(event);
            return false;
        }
        self.describe(event, context, None, kind);
        true
    }

    fn extract(&self, text: &str, context: &Context<'_>) -> Option<(Option<&KindRules>, Values, bool)> {
        let room = context.settings.fields_max;
        let value = |name: &CompactString, text: &str| (name.clone(), Value::from(text));
        match self.form {
            Form::Lines => self.kinds.iter().find_map(|kind| {
                let Shape::Regex { regex, names } = &kind.shape else { return None };
                let groups = regex.captures(text)?;
                let found = |name: &str| names.iter().position(|known| known.as_deref() == Some(name));
                let fits = kind.when.iter().all(|(name, allowed)| {
                    let group = found(name).and_then(|at| groups.get(at + 1));
                    group.is_some_and(|group| allowed.iter().any(|one| *one == group.as_str()))
                });
                let named = names.iter().zip(groups.iter().skip(1));
                let values = named.filter_map(|(name, group)| Some(value(name.as_ref()?, group?.as_str().trim())));
                fits.then(|| (Some(kind), values.take(room).collect(), true))
            }),
            Form::Csv => {
                let (parts, complete) = columns_of(text, self.marks.between, room);
                self.kinds.iter().find_map(|kind| {
                    let Shape::Columns(columns) = &kind.shape else { return None };
                    let part = |name: &CompactString| parts.get(columns.iter().position(|column| column == name)?);
                    let fits = kind.when.iter().all(|(name, allowed)| {
                        part(name).is_some_and(|part| allowed.iter().any(|one| *one == part.trim()))
                    });
                    let named = columns.iter().zip(&parts).filter(|(name, part)| !name.is_empty() && !part.is_empty());
                    fits.then(|| (Some(kind), named.map(|(name, part)| value(name, part.trim())).collect(), complete))
                })
            }
            Form::Pairs => {
                let mut shell =
                    Event::new(canh_schema::EventId::from_bytes([0; 16]), context.received, bytes::Bytes::new());
                let inside = text.strip_prefix('[').map_or(text, |inside| inside.trim_end().trim_end_matches(']'));
                key_value::attributes(&mut shell, context, inside, self.marks);
                if shell.attrs.is_empty() {
                    return None;
                }
                let find =
                    |name: &str| shell.attrs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str());
                let fits = |kind: &&KindRules| {
                    kind.when
                        .iter()
                        .all(|(name, allowed)| find(name).is_some_and(|value| allowed.iter().any(|one| one == value)))
                };
                let kind = self.kinds.iter().find(fits);
                let known = kind.is_some() || self.kinds.is_empty();
                known.then(|| (kind, std::mem::take(&mut shell.attrs), shell.issues.is_empty()))
            }
            Form::Given => None,
        }
    }

    fn describe(&self, event: &mut Event, context: &Context<'_>, text: Option<&str>, kind: Option<&KindRules>) {
        let hidden = if self.hidden.is_empty() { Vec::new() } else { mask::take_hidden(&self.hidden, event) };
        let mut attrs = std::mem::take(&mut event.attrs);
        // Values that are named like a catalogue field are that field.
        attrs.retain(|(name, value)| match field_by_name(name).filter(|_| text.is_some()) {
            Some(id) => !put(event, id, &value.as_text().unwrap_or_default()),
            None => true,
        });
        let get = |name: &str| -> Option<Cow<'_, str>> {
            let value = attrs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_text())?;
            let value = value_or_none(value, &self.absent)?;
            Some(value)
        };
        let both = || std::iter::once(&self.rules).chain(kind.map(|kind| &kind.rules));
        // Before the fields, which know better what was done and how it ended.
        for web in both().filter_map(|rules| rules.web.as_ref()) {
            web.describe(event, &get);
        }
        let mut lists = Vec::new();
        for rules in both() {
            for (id, fill) in &rules.fields {
                let from = fill.from.iter().find_map(|name| Some((name, get(name)?)));
                let Some((name, value)) = from else { continue };
                // A list is taken whole, as only JSON has them.
                if let Some(Value::List(members)) = attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value) {
                    lists.push((*id, Value::List(members.clone())));
                } else if let Some(value) = fill.of(&value)
                    && !put(event, *id, &value)
                {
                    event.push_issue(IssueKind::TypeConflict, name.clone());
                }
            }
        }
        for (id, list) in lists {
            project::set_value(event, id, &list);
        }
        let zone = self.zone.as_ref().unwrap_or(&context.settings.zone);
        for (names, layouts) in &self.times {
            let parts: Vec<_> = names.iter().filter_map(|name| get(name)).collect();
            if parts.len() == names.len() {
                set_time(event, &parts.join(" "), layouts, context, zone);
                break;
            }
        }
        if event.get(field::MESSAGE).is_none()
            && let Some(text) = text
        {
            event.set(field::MESSAGE, text);
        }
        event.set(field::EVENT_DATASET, self.name.clone());
        let mut supplied = Vec::new();
        for rules in both() {
            for (id, value) in &rules.constants {
                event.set(*id, value.clone());
            }
            for (ours, fill) in &rules.also {
                let value = fill.from.iter().find_map(|name| get(name));
                if let Some(value) = value.as_deref().and_then(|value| fill.of(value)) {
                    supplied.push((ours.clone(), Value::from(value.as_ref())));
                }
            }
            if let Some(logsource) = &rules.logsource {
                event.logsource = logsource.clone();
            }
        }
        let inner = self.inner.as_ref().and_then(|name| get(name)).map(|text| CompactString::from(text.as_ref()));
        let mut made = std::mem::replace(&mut event.attrs, attrs);
        event.attrs.append(&mut made);
        event.attrs.append(&mut supplied);
        if let Some(inner) = inner {
            match context.depth < DEPTH_MAX {
                true => unwrap(event, context, &inner),
                false => {
                    event.push_issue(IssueKind::TooDeep, format_compact!("more than {DEPTH_MAX} records in records"))
                }
            }
        }
        if !hidden.is_empty() {
            mask::hide_texts(&hidden, event);
        }
        self.mask(event);
    }

    /// Replaces what the source does not want to be kept.
    pub(crate) fn mask(&self, event: &mut Event) {
        if !self.masks.is_empty() {
            mask::apply(&self.masks, event);
        }
    }
}

/// How many records may be inside of one another.
const DEPTH_MAX: u8 = 4;

/// Reads the record inside of the record. What the outer one says stays where the inner one is silent.
fn unwrap(event: &mut Event, context: &Context<'_>, inner: &str) {
    let context = &Context { depth: context.depth + 1, header: None, ..*context };
    let fields = std::mem::take(&mut event.fields);
    let logsource = std::mem::take(&mut event.logsource);
    crate::decode::decode_text(inner, context, None, event);
    let dataset = event.get(field::EVENT_DATASET).and_then(Value::as_str).unwrap_or_default();
    let is_bare = matches!(dataset, "" | "plain" | "key_value" | "json");
    if event.logsource == LogSource::default() || is_bare {
        event.logsource = logsource;
    }
    for (id, value) in fields {
        let is_better = match id {
            field::EVENT_DATASET => is_bare,
            field::MESSAGE => false,
            _ => event.get(id).is_none(),
        };
        if is_better {
            event.set(id, value);
        }
    }
}

/// The name that the DNS server of Windows writes with the length before each part.
fn labels(text: &str) -> String {
    let parts = text.split('(').filter_map(|part| part.split_once(')').map(|(_, part)| part));
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { text.to_owned() } else { parts.join(".") }
}

fn value_or_none<'v>(value: Cow<'v, str>, absent: &[CompactString]) -> Option<Cow<'v, str>> {
    let trimmed = value.trim();
    (!matches!(trimmed, "" | "-") && !absent.iter().any(|one| one == trimmed)).then_some(value)
}

/// Sets the field; a name in the place of an address is the name of that end.
fn put(event: &mut Event, id: FieldId, text: &str) -> bool {
    if project::set_text(event, id, text.trim()) {
        return true;
    }
    if id.kind() != FieldKind::Ip {
        return false;
    }
    match id {
        field::SOURCE_IP => event.set(field::SOURCE_DOMAIN, text.trim()),
        field::DESTINATION_IP => event.set(field::DESTINATION_DOMAIN, text.trim()),
        _ => return false,
    }
    true
}

fn set_time(event: &mut Event, text: &str, layouts: &[Layout], context: &Context<'_>, zone: &Zone) {
    match layouts.iter().find_map(|layout| layout.read(text, context.received, zone)) {
        Some(at) if at > Timestamp::from_secs(0) => event.time = at,
        _ => event.push_issue(IssueKind::BadTime, text.chars().take(64).collect::<CompactString>()),
    }
}

impl Fill {
    fn of<'v>(&self, value: &'v str) -> Option<Cow<'v, str>> {
        if !self.values.is_empty() {
            let known = self.values.get(value).or_else(|| self.values.get(value.trim().to_lowercase().as_str()));
            match known.or(self.otherwise.as_ref()) {
                Some(ours) => return Some(Cow::Owned(ours.to_string())),
                None => return Some(Cow::Borrowed(value)),
            }
        }
        match self.change {
            Change::Nothing => Some(Cow::Borrowed(value)),
            Change::Lower => Some(Cow::Owned(value.to_lowercase())),
            Change::BaseName => Some(Cow::Borrowed(value.rsplit(['/', '\\']).next().unwrap_or(value))),
            Change::Labels => Some(Cow::Owned(labels(value))),
            Change::Transport => Some(Cow::Owned(vendor_event::transport(value.trim()).into())),
            Change::Times(factor) => {
                let nanos = value.trim().parse::<f64>().ok()? * factor;
                (0.0..9.2e18).contains(&nanos).then(|| Cow::Owned((nanos as i64).to_string()))
            }
        }
    }
}

impl WebNames {
    fn describe<'v>(&self, event: &mut Event, get: &dyn Fn(&str) -> Option<Cow<'v, str>>) {
        let value = |name: &Option<CompactString>| name.as_deref().and_then(get);
        let (method, url, host) = (value(&self.method), value(&self.url), value(&self.host));
        let (agent, referrer) = (value(&self.agent), value(&self.referrer));
        let number = |name| value(name).and_then(|text| text.trim().parse::<i64>().ok());
        let url = url.unwrap_or_default();
        // A proxy's whole address: host and path apart.
        let (from_url, path) = match url.split_once("://").map(|(_, rest)| rest) {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            None => ("", url.as_ref()),
        };
        let from_url = from_url.rsplit('@').next().unwrap_or(from_url);
        // A tunnel's address is a host and a port.
        let tunnel = match method.as_deref() {
            Some("CONNECT") => url.rsplit_once(':').map_or("", |(host, _)| host),
            _ => "",
        };
        let host = host.as_deref().or([from_url, tunnel].into_iter().find(|host| !host.is_empty()));
        let exchange = Exchange {
            method: method.as_deref(),
            uri: path,
            host,
            status: number(&self.status),
            bytes: number(&self.bytes),
            agent: agent.as_deref(),
            referrer: referrer.as_deref(),
        };
        web::describe(event, &exchange);
        if url.contains("://") {
            event.set(field::URL_FULL, format_compact!("{url}"));
        }
    }
}
