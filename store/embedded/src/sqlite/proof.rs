//! The proof of a finding as JSON text, read back to exactly what it was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canh_schema::{Compared, ConditionPart, EventHash, Explained, Proof};
use serde_json::{Value as Json, json};

use super::json::{read_texts, read_value, texts, value};

/// Deeper than any condition that loads.
const DEPTH_MAX: usize = 256;

pub(super) fn proof(proof: &Proof) -> Json {
    json!({
        "mapping": proof.mapping_version,
        "condition": explained(&proof.condition),
        "hashes": proof.event_hashes.iter().map(|hash| json!(hash.to_string())).collect::<Json>(),
        "remembered": proof.remembered.as_ref().map(|bytes| STANDARD.encode(bytes)),
    })
}

pub(super) fn read_proof(json: &Json) -> Option<Proof> {
    let hash = |hash: &Json| hash.as_str()?.parse::<EventHash>().ok();
    Some(Proof {
        mapping_version: u32::try_from(json.get("mapping")?.as_u64()?).ok()?,
        condition: read_explained(json.get("condition")?, 0)?,
        event_hashes: json.get("hashes")?.as_array()?.iter().map(hash).collect::<Option<_>>()?,
        // Findings of earlier versions have none.
        remembered: match json.get("remembered").and_then(Json::as_str) {
            Some(text) => Some(STANDARD.decode(text).ok()?.into()),
            None => None,
        },
    })
}

fn explained(part: &Explained) -> Json {
    let each = |parts: &[Explained]| parts.iter().map(explained).collect::<Json>();
    let (name, inner) = match &part.part {
        ConditionPart::All(parts) => ("all", each(parts)),
        ConditionPart::Any(parts) => ("any", each(parts)),
        ConditionPart::Not(part) => ("not", explained(part)),
        ConditionPart::AtLeast(wanted, parts) => ("at_least", json!([wanted, each(parts)])),
        ConditionPart::Compared(compared) => ("compared", comparison(compared)),
        ConditionPart::LeftOut(count) => ("left_out", json!(count)),
    };
    json!({ "holds": part.holds, name: inner })
}

fn comparison(compared: &Compared) -> Json {
    json!({
        "selection": compared.selection.as_str(),
        "field": compared.field.as_str(),
        "modifiers": compared.modifiers.as_str(),
        "patterns": texts(&compared.patterns),
        "total": compared.patterns_total,
        // A list, so that null is not the same as absent.
        "value": compared.value.iter().map(value).collect::<Json>(),
    })
}

fn read_explained(json: &Json, depth: usize) -> Option<Explained> {
    if depth > DEPTH_MAX {
        return None;
    }
    let holds = json.get("holds")?.as_bool()?;
    let each = |parts: &Json| -> Option<Vec<Explained>> {
        parts.as_array()?.iter().map(|part| read_explained(part, depth + 1)).collect()
    };
    let count = |count: &Json| u32::try_from(count.as_u64()?).ok();
    let (name, inner) = json.as_object()?.iter().find(|(name, _)| *name != "holds")?;
    let part = match name.as_str() {
        "all" => ConditionPart::All(each(inner)?),
        "any" => ConditionPart::Any(each(inner)?),
        "not" => ConditionPart::Not(Box::new(read_explained(inner, depth + 1)?)),
        "at_least" => ConditionPart::AtLeast(count(inner.get(0)?)?, each(inner.get(1)?)?),
        "compared" => ConditionPart::Compared(read_comparison(inner)?),
        "left_out" => ConditionPart::LeftOut(count(inner)?),
        _ => return None,
    };
    Some(Explained { holds, part })
}

fn read_comparison(json: &Json) -> Option<Compared> {
    let text = |name: &str| json.get(name)?.as_str();
    let value = match json.get("value")?.as_array()?.as_slice() {
        [] => None,
        [value] => Some(read_value(value)?),
        _ => return None,
    };
    Some(Compared {
        selection: text("selection")?.into(),
        field: text("field")?.into(),
        modifiers: text("modifiers")?.into(),
        patterns: read_texts(json.get("patterns")?)?,
        patterns_total: u32::try_from(json.get("total")?.as_u64()?).ok()?,
        value,
    })
}
