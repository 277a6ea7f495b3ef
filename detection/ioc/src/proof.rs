//! What a list says of a match, as lines of a proof, and back: whoever judges again has the proof and not the list.

use canh_schema::{FieldMatch, Timestamp, Value};
use compact_str::CompactString;

use crate::about::{CONFIDENCE_DEFAULT, Indicator};
use crate::kind::IndicatorKind;
use crate::set::Match;

const INDICATOR: &str = "indicator";
const LIST: &str = "list";

/// The value that matched first, then what the list says about it.
pub fn proof(one: &Match) -> Vec<FieldMatch> {
    let indicator = &one.indicator;
    let said = |name: &'static str, value: Value| FieldMatch {
        selection: CompactString::const_new(LIST),
        field: CompactString::const_new(name),
        modifiers: CompactString::const_new(""),
        pattern: indicator.value.clone(),
        value,
    };
    let time = |at: Timestamp| Value::from(at.to_string());
    let mut proof = vec![
        FieldMatch {
            selection: CompactString::const_new(INDICATOR),
            field: one.field.clone(),
            modifiers: indicator.kind.name().into(),
            pattern: indicator.value.clone(),
            value: Value::Text(one.value.clone()),
        },
        said("indicator.list", Value::Text(indicator.list.clone())),
        said("indicator.confidence", Value::Integer(i64::from(indicator.confidence))),
        said("indicator.expiry", indicator.expiry.map_or_else(|| Value::from("never"), time)),
    ];
    let seen = [("indicator.first_seen", indicator.first_seen), ("indicator.last_seen", indicator.last_seen)];
    proof.extend(seen.into_iter().filter_map(|(name, at)| at.map(|at| said(name, time(at)))));
    if !indicator.description.is_empty() {
        proof.push(said("indicator.description", Value::Text(indicator.description.clone())));
    }
    proof
}

/// The indicators that lines of proofs name. Other lines are left out.
pub fn indicators_of(lines: &[FieldMatch]) -> Vec<Indicator> {
    let mut found: Vec<Indicator> = Vec::new();
    for line in lines {
        if line.selection == INDICATOR {
            let Some(kind) = IndicatorKind::from_name(&line.modifiers) else { continue };
            found.push(Indicator {
                kind,
                value: line.pattern.clone(),
                list: CompactString::default(),
                confidence: CONFIDENCE_DEFAULT,
                severity: None,
                expiry: None,
                first_seen: None,
                last_seen: None,
                description: CompactString::default(),
                tags: Vec::new(),
            });
        } else if line.selection == LIST
            && let Some(last) = found.last_mut()
        {
            said(last, &line.field, &line.value);
        }
    }
    found
}

fn said(indicator: &mut Indicator, name: &str, value: &Value) {
    let text = value.as_text().unwrap_or_default();
    let time = || Timestamp::parse_rfc3339(&text);
    match name {
        "indicator.list" => indicator.list = text.as_ref().into(),
        "indicator.confidence" => {
            indicator.confidence = text.parse().ok().filter(|value| *value <= 100).unwrap_or(CONFIDENCE_DEFAULT);
        }
        "indicator.expiry" => indicator.expiry = time(),
        "indicator.first_seen" => indicator.first_seen = time(),
        "indicator.last_seen" => indicator.last_seen = time(),
        "indicator.description" => indicator.description = text.as_ref().into(),
        _ => (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, LoadOptions};

    #[track_caller]
    fn check(list: &str) {
        let set = |mut builder: Builder| {
            builder.add_text("cert-vn.txt", list);
            builder.finish().0
        };
        for indicator in set(Builder::new(LoadOptions::default())).iter() {
            let one = Match { field: "f".into(), value: "v".into(), indicator: indicator.clone(), expired: false };
            // What is in no line of the proof.
            let known = Indicator { tags: Vec::new(), severity: None, ..indicator };
            let mut back = indicators_of(&proof(&one));
            assert_eq!(back, std::slice::from_ref(&known), "list: {list:?}");
            let mut builder = Builder::new(LoadOptions::default());
            back.drain(..).for_each(|indicator| builder.add_indicator(&indicator));
            assert_eq!(builder.finish().0.iter().collect::<Vec<_>>(), [known], "list: {list:?}");
        }
    }

    #[test]
    fn a_proof_gives_the_indicator_back() {
        check("198.51.100.7\n203.0.113.0/24\nevil.example\nhttp://a.example/x?y=1\nmail:a@evil.example\n");
        check(
            "#! confidence: 81\n#! expires: 2026-12-31\n#! description: second stage\nd41d8cd98f00b204e9800998ecf8427e\n",
        );
        check("#! severity: high\n#! tags: T1071.001\nuser_agent: Mozilla/9\nxn--bcher-kva.example\n");
        assert_eq!(indicators_of(&[]), []);
    }
}
