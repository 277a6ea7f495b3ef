//! STIX 2.1 bundles: objects of type `indicator` with a STIX pattern. Techniques come from the relationships of the
//! bundle, TLP from its markings.
//!
//! Objects are read one by one, so that a bundle needs little more memory than its text.

use canh_schema::Level;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Format, head, stix_pattern};
use crate::about::{self, About};
use crate::builder::{Reading, quoted};
use crate::problem::Place;

pub(super) struct Stix;

#[derive(Deserialize)]
struct Bundle<'t> {
    #[serde(borrow, default)]
    objects: Vec<&'t RawValue>,
}

/// Enough to leave other objects alone, whatever is in them.
#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    r#type: String,
}

/// The parts that are needed of an indicator, a technique or a relationship.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    id: String,
    name: Option<String>,
    description: Option<String>,
    pattern: Option<String>,
    pattern_type: Option<String>,
    valid_from: Option<String>,
    valid_until: Option<String>,
    confidence: Option<f64>,
    #[serde(default)]
    revoked: bool,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    indicator_types: Vec<String>,
    #[serde(default)]
    object_marking_refs: Vec<String>,
    #[serde(default)]
    external_references: Vec<External>,
    relationship_type: Option<String>,
    source_ref: Option<String>,
    target_ref: Option<String>,
}

#[derive(Deserialize)]
struct External {
    #[serde(default)]
    source_name: String,
    external_id: Option<String>,
}

/// Identifiers of the TLP markings. Source: STIX 2.1, section 7.2.1.4, and the extension for TLP 2.0.
const TLP: &[(&str, &str)] = &[
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "tlp:white"),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "tlp:green"),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "tlp:amber"),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "tlp:red"),
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "tlp:clear"),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "tlp:green"),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", "tlp:amber"),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", "tlp:amber+strict"),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "tlp:red"),
];

impl Format for Stix {
    fn name(&self) -> &'static str {
        "stix"
    }

    fn about(&self) -> &'static str {
        "STIX 2.1 bundle; indicators whose pattern names single values"
    }

    fn fits(&self, _name: &str, text: &str) -> bool {
        let start = text.trim_ascii_start();
        let head = head(start);
        start.starts_with('{') && (head.contains("\"bundle\"") || head.contains("\"spec_version\""))
    }

    fn sample(&self) -> &'static str {
        r#"{"type":"bundle","id":"bundle--8a3d7d1e-6f0e-4d6c-9a53-2b8e9a1f0c11","objects":[
{"type":"indicator","spec_version":"2.1","id":"indicator--5b4b9d0a-5b1f-4a53-8b6f-0e7c7a9d2f10","name":"beacon","pattern":"[domain-name:value = 'evil.example' OR ipv4-addr:value = '198.51.100.7']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","valid_until":"2099-01-01T00:00:00Z","confidence":85,"object_marking_refs":["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"]}]}"#
    }

    fn read(&self, text: &str, into: &mut Reading<'_>) {
        let bundle: Bundle<'_> = match serde_json::from_str(text) {
            Ok(bundle) => bundle,
            Err(error) => {
                return into.refuse(Place::Line(error.line() as u64), format!("the bundle is not JSON: {error}"));
            }
        };
        let techniques = techniques(&bundle);
        for (number, raw) in bundle.objects.iter().enumerate() {
            let path = |end: &str| Place::Path(format!("objects[{number}]{end}"));
            if serde_json::from_str::<Kind>(raw.get()).is_ok_and(|kind| kind.r#type != "indicator") {
                into.skip();
                continue;
            }
            match serde_json::from_str::<Object>(raw.get()) {
                Ok(object) => indicator(&object, &techniques, &path, into),
                Err(error) => into.refuse(path(""), format!("the object cannot be read: {error}")),
            }
        }
    }
}

fn indicator(
    object: &Object,
    techniques: &FxHashMap<String, Vec<String>>,
    path: &impl Fn(&str) -> Place,
    into: &mut Reading<'_>,
) {
    if object.revoked {
        return into.skip();
    }
    if let Some(kind) = object.pattern_type.as_deref().filter(|kind| *kind != "stix") {
        let reason = format!("the pattern is of type {}; only `stix` is read", quoted(kind));
        return into.refuse(path(".pattern_type"), reason);
    }
    let Some(pattern) = &object.pattern else {
        return into.refuse(path(""), "the indicator has no `pattern`");
    };
    let pattern = match stix_pattern::read(pattern) {
        Ok(pattern) => pattern,
        Err(reason) => return into.refuse(path(".pattern"), reason),
    };
    let Some(about) = about(object, techniques) else {
        return into.refuse(path(".valid_until"), "the time cannot be read; write it like `2026-01-31T08:00:00Z`");
    };
    for name in &pattern.unknown {
        into.refuse(path(".pattern"), format!("{} is of no type of indicator that is known", quoted(name)));
    }
    for (kind, value) in &pattern.values {
        into.take(path(".pattern"), Some(*kind), value, &about);
    }
}

/// `None` if it expires at a time that cannot be read: without it the indicator would match for ever.
fn about(object: &Object, techniques: &FxHashMap<String, Vec<String>>) -> Option<About> {
    let mut about = About {
        confidence: object.confidence.and_then(|number| about::confidence(&number.to_string())),
        first_seen: object.valid_from.as_deref().and_then(about::time),
        ..About::default()
    };
    if let Some(text) = &object.valid_until {
        about.expiry = Some(about::time(text)?);
    }
    about.describe(object.name.as_deref().unwrap_or_default());
    about.describe(object.description.as_deref().unwrap_or_default());
    for marking in &object.object_marking_refs {
        if let Some((_, tlp)) = TLP.iter().find(|(id, _)| id == marking) {
            about.add_tag(tlp);
        }
    }
    for technique in techniques.get(&object.id).into_iter().flatten() {
        about.add_tag(technique);
    }
    for label in object.indicator_types.iter().chain(&object.labels) {
        about.add_tag(label);
        if label == "benign" {
            about.severity = Some(Level::Informational);
        }
    }
    Some(about)
}

/// Techniques by the indicator that indicates them.
fn techniques(bundle: &Bundle<'_>) -> FxHashMap<String, Vec<String>> {
    let objects = |part: &'static str| {
        let found = bundle.objects.iter().filter(move |raw| raw.get().contains(part));
        found.filter_map(|raw| serde_json::from_str::<Object>(raw.get()).ok())
    };
    let mut patterns: FxHashMap<String, String> = FxHashMap::default();
    for object in objects("attack-pattern").filter(|object| object.r#type == "attack-pattern") {
        let id = object.external_references.iter().find(|one| one.source_name.starts_with("mitre-"));
        if let Some(id) = id.and_then(|one| one.external_id.clone()) {
            patterns.insert(object.id, id);
        }
    }
    let mut techniques: FxHashMap<String, Vec<String>> = FxHashMap::default();
    if patterns.is_empty() {
        return techniques;
    }
    for object in objects("relationship").filter(|object| object.relationship_type.as_deref() == Some("indicates")) {
        if let (Some(source), Some(technique)) =
            (object.source_ref, object.target_ref.and_then(|target| patterns.get(&target)))
        {
            techniques.entry(source).or_default().push(technique.clone());
        }
    }
    techniques
}
