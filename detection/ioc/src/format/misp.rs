//! MISP: events as they are exported or lie in a feed, alone, in a list or in an answer of the API; attributes with
//! `to_ids`, also those inside objects.

use canh_schema::Level;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, head};
use crate::about::{self, About};
use crate::builder::{Reading, quoted};
use crate::kind::IndicatorKind;
use crate::problem::Place;

pub(super) struct Misp;

/// MISP's type of attribute, and the types of its values; a value with two parts has a `|` between them. `None` is a
/// part that is no indicator.
const TYPES: &[(&str, &[Option<IndicatorKind>])] = &[
    ("ip-src", &[Some(IndicatorKind::Ip)]),
    ("ip-dst", &[Some(IndicatorKind::Ip)]),
    ("ip-src|port", &[Some(IndicatorKind::Ip), None]),
    ("ip-dst|port", &[Some(IndicatorKind::Ip), None]),
    ("domain", &[Some(IndicatorKind::Domain)]),
    ("hostname", &[Some(IndicatorKind::Domain)]),
    ("hostname|port", &[Some(IndicatorKind::Domain), None]),
    ("domain|ip", &[Some(IndicatorKind::Domain), Some(IndicatorKind::Ip)]),
    ("url", &[Some(IndicatorKind::Url)]),
    ("uri", &[Some(IndicatorKind::Url)]),
    ("md5", &[Some(IndicatorKind::Md5)]),
    ("sha1", &[Some(IndicatorKind::Sha1)]),
    ("sha256", &[Some(IndicatorKind::Sha256)]),
    ("sha512", &[Some(IndicatorKind::Sha512)]),
    ("filename|md5", &[None, Some(IndicatorKind::Md5)]),
    ("filename|sha1", &[None, Some(IndicatorKind::Sha1)]),
    ("filename|sha256", &[None, Some(IndicatorKind::Sha256)]),
    ("filename|sha512", &[None, Some(IndicatorKind::Sha512)]),
    ("malware-sample", &[None, Some(IndicatorKind::Md5)]),
    ("email", &[Some(IndicatorKind::Email)]),
    ("email-src", &[Some(IndicatorKind::Email)]),
    ("email-dst", &[Some(IndicatorKind::Email)]),
    ("email-reply-to", &[Some(IndicatorKind::Email)]),
    ("ja3-fingerprint-md5", &[Some(IndicatorKind::Ja3)]),
    ("user-agent", &[Some(IndicatorKind::UserAgent)]),
];

#[derive(Deserialize)]
struct Wrapped<'t> {
    #[serde(borrow, rename = "Event")]
    event: Option<&'t RawValue>,
    #[serde(borrow)]
    response: Option<&'t RawValue>,
    #[serde(borrow, rename = "Attribute")]
    attributes: Option<Vec<&'t RawValue>>,
}

#[derive(Deserialize)]
struct Event<'t> {
    #[serde(default)]
    info: String,
    /// 1 is the worst, 4 is unknown. A text or a number.
    threat_level_id: Option<serde_json::Value>,
    #[serde(borrow, default, rename = "Attribute")]
    attributes: Vec<&'t RawValue>,
    #[serde(borrow, default, rename = "Object")]
    objects: Vec<&'t RawValue>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Group<'t> {
    #[serde(default)]
    deleted: bool,
    #[serde(borrow, default, rename = "Attribute")]
    attributes: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
struct Tag {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Attribute {
    r#type: String,
    value: String,
    /// Left out in some feeds, where every attribute is meant for detection.
    to_ids: Option<bool>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    comment: String,
    first_seen: Option<String>,
    last_seen: Option<String>,
    timestamp: Option<serde_json::Value>,
    #[serde(default, rename = "Tag")]
    tags: Vec<Tag>,
}

impl Format for Misp {
    fn name(&self) -> &'static str {
        "misp"
    }

    fn about(&self) -> &'static str {
        "MISP event, list of events or answer of its API; attributes with `to_ids`"
    }

    fn fits(&self, name: &str, text: &str) -> bool {
        let start = text.trim_ascii_start();
        let head = head(start);
        start.starts_with(['{', '['])
            && (["\"Event\"", "\"Attribute\"", "\"response\""].iter().any(|part| head.contains(part))
                || name.ends_with(".json"))
    }

    fn sample(&self) -> &'static str {
        r#"{"Event":{"info":"phishing","threat_level_id":"2","Tag":[{"name":"tlp:amber"}],"Attribute":[
{"type":"domain","value":"evil.example","to_ids":true,"comment":"landing page"},
{"type":"filename|md5","value":"a.exe|d41d8cd98f00b204e9800998ecf8427e","to_ids":true},
{"type":"comment","value":"seen twice","to_ids":false}]}}"#
    }

    fn read(&self, text: &str, into: &mut Reading<'_>) {
        document(text, "", 0, into);
    }
}

/// Deeper answers than a list in a `response` do not exist.
const DEPTH_MAX: usize = 3;

fn document(text: &str, path: &str, depth: usize, into: &mut Reading<'_>) {
    let place = || Place::Path(if path.is_empty() { "$".to_owned() } else { path.to_owned() });
    if depth > DEPTH_MAX {
        return into.refuse(place(), "nested too deep");
    }
    if text.trim_ascii_start().starts_with('[') {
        match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(members) => {
                for (number, member) in members.iter().enumerate() {
                    document(member.get(), &format!("{path}[{number}]"), depth + 1, into);
                }
            }
            Err(error) => into.refuse(place(), format!("it is not JSON: {error}")),
        }
        return;
    }
    let wrapped: Wrapped<'_> = match serde_json::from_str(text) {
        Ok(wrapped) => wrapped,
        Err(error) => return into.refuse(place(), format!("it is not JSON of MISP: {error}")),
    };
    let dotted = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(inside) = wrapped.event {
        event(inside.get(), &dotted("Event"), into);
    } else if let Some(response) = wrapped.response {
        document(response.get(), &dotted("response"), depth + 1, into);
    } else if let Some(list) = wrapped.attributes {
        attributes(&list, &dotted("Attribute"), &About::default(), into);
    } else {
        into.refuse(place(), "there is neither `Event` nor `Attribute` nor `response` in it");
    }
}

fn event(text: &str, path: &str, into: &mut Reading<'_>) {
    let event: Event<'_> = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(error) => return into.refuse(Place::Path(path.to_owned()), format!("the event cannot be read: {error}")),
    };
    let mut about = About::default();
    let level = event.threat_level_id.as_ref().map(|level| level.to_string().trim_matches('"').to_owned());
    about.severity = match level.as_deref() {
        Some("1") => Some(Level::High),
        Some("2") => Some(Level::Medium),
        Some("3") => Some(Level::Low),
        _ => None,
    };
    about.describe(&event.info);
    for tag in &event.tags {
        about.add_tag(&tag.name);
    }
    attributes(&event.attributes, &format!("{path}.Attribute"), &about, into);
    for (number, raw) in event.objects.iter().enumerate() {
        let path = format!("{path}.Object[{number}]");
        match serde_json::from_str::<Group<'_>>(raw.get()) {
            Ok(group) if group.deleted => into.skip(),
            Ok(group) => attributes(&group.attributes, &format!("{path}.Attribute"), &about, into),
            Err(error) => into.refuse(Place::Path(path), format!("the object cannot be read: {error}")),
        }
    }
}

fn attributes(list: &[&RawValue], path: &str, of_event: &About, into: &mut Reading<'_>) {
    for (number, raw) in list.iter().enumerate() {
        let place = || Place::Path(format!("{path}[{number}]"));
        match serde_json::from_str::<Attribute>(raw.get()) {
            Ok(one) if one.deleted || one.to_ids == Some(false) => into.skip(),
            Ok(one) => attribute(&one, place, of_event, into),
            Err(error) => into.refuse(place(), format!("the attribute cannot be read: {error}")),
        }
    }
}

fn attribute(one: &Attribute, place: impl Fn() -> Place, of_event: &About, into: &mut Reading<'_>) {
    let Some((_, parts)) = TYPES.iter().find(|(name, _)| *name == one.r#type) else {
        let reason = format!("an attribute of type {} is of no type of indicator that is known", quoted(&one.r#type));
        return into.refuse(place(), reason);
    };
    let mut about = of_event.clone();
    if !one.comment.trim().is_empty() {
        about.description.clear();
        about.describe(&one.comment);
    }
    let changed = one.timestamp.as_ref().and_then(|at| about::time(at.to_string().trim_matches('"')));
    about.first_seen = one.first_seen.as_deref().and_then(about::time).or(changed);
    about.last_seen = one.last_seen.as_deref().and_then(about::time);
    for tag in &one.tags {
        about.add_tag(&tag.name);
    }
    if let [Some(kind)] = parts {
        return into.take(place(), Some(*kind), &one.value, &about);
    }
    // The last part is what stands behind the last bar: names of files may have bars in them.
    let Some((first, second)) = one.value.rsplit_once('|') else {
        let reason = format!("{} has no `|`, which a value of type {} has", quoted(&one.value), quoted(&one.r#type));
        return into.refuse(place(), reason);
    };
    for (kind, text) in parts.iter().zip([first, second]) {
        if kind.is_some() {
            into.take(place(), *kind, text, &about);
        }
    }
}
