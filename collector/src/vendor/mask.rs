//! What only this source does not want to be kept; what nobody wants to be kept is known to `crate::secrets`. It is replaced
//! in the event's values and in its raw text. The journal has the record as it came until it is released.

use canh_schema::{Event, Value};
use compact_str::CompactString;
use regex::Regex;

use crate::secrets::MASK_TEXT as MASK;

/// A secret shorter than this is replaced where the expression finds it and nowhere else, because its text is anywhere.
const SECRET_LEN_MIN: usize = 4;
/// Most secrets of one event.
const SECRETS_MAX: usize = 32;

/// Replaces the values of these names and answers what they were.
pub(super) fn take_hidden(names: &[CompactString], event: &mut Event) -> Vec<CompactString> {
    let mut secrets = Vec::new();
    for (_, value) in event.attrs.iter_mut().filter(|(name, _)| names.contains(name)) {
        let text = value.as_text().map(CompactString::from).unwrap_or_default();
        if !matches!(text.as_str(), "" | "-" | MASK) && secrets.len() < SECRETS_MAX {
            secrets.push(text);
            *value = Value::from(MASK);
        }
    }
    secrets
}

/// Replaces these texts in the raw text and in the message.
pub(super) fn hide_texts(secrets: &[CompactString], event: &mut Event) {
    let hidden = |text: &str| secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK));
    event.raw = hidden(&String::from_utf8_lossy(&event.raw)).into_bytes().into();
    if let Some(message) = event.get(canh_schema::field::MESSAGE).and_then(Value::as_str).map(hidden) {
        event.set(canh_schema::field::MESSAGE, message);
    }
}

/// Replaces what the expressions find.
pub(super) fn apply(masks: &[Regex], event: &mut Event) {
    let raw = String::from_utf8_lossy(&event.raw).into_owned();
    let mut secrets: Vec<CompactString> = Vec::new();
    let hidden = replaced(masks, &raw, &mut secrets);
    if let Some(hidden) = hidden {
        event.raw = hidden.into_bytes().into();
    }
    // The longest first, in case that one is a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let values = event.fields.iter_mut().map(|(_, value)| value).chain(event.attrs.iter_mut().map(|(_, value)| value));
    for value in values {
        hide(masks, &secrets, value);
    }
}

fn hide(masks: &[Regex], secrets: &[CompactString], value: &mut Value) {
    match value {
        Value::Text(text) => {
            let mut found = Vec::new();
            if let Some(hidden) = replaced(masks, text, &mut found) {
                *text = hidden.into();
            }
            for secret in secrets {
                // A value that an expression looks at with its name before it is alone here.
                if text == secret {
                    *text = CompactString::const_new(MASK);
                } else if secret.len() >= SECRET_LEN_MIN && text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), MASK).into();
                }
            }
        }
        Value::List(members) => members.iter_mut().for_each(|member| hide(masks, secrets, member)),
        _ => (),
    }
}

/// The text without what the expressions find, if they find anything.
fn replaced(masks: &[Regex], text: &str, secrets: &mut Vec<CompactString>) -> Option<String> {
    let mut out: Option<String> = None;
    for mask in masks {
        let current = out.as_deref().unwrap_or(text);
        let mut next = String::new();
        let mut done = 0;
        for groups in mask.captures_iter(current) {
            let Some(found) = groups.get(1).or_else(|| groups.get(0)) else { continue };
            if found.is_empty() || found.as_str() == MASK {
                continue;
            }
            if secrets.len() < SECRETS_MAX {
                secrets.push(found.as_str().into());
            }
            next.push_str(&current[done..found.start()]);
            next.push_str(MASK);
            done = found.end();
        }
        if done > 0 {
            next.push_str(&current[done..]);
            out = Some(next);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use canh_schema::field;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let masks = [Regex::new(r"(?i)password=([^&\s]+)").unwrap(), Regex::new(r"Bearer [\w.-]+").unwrap()];
        let raw = "GET /a?password=s3cret&x=1 Bearer ab.cd and password=1";
        let mut event =
            Event::new(canh_schema::EventId::from_bytes([0; 16]), Default::default(), raw.as_bytes().to_vec().into());
        event.set(field::URL_QUERY, "password=s3cret&x=1");
        event.attrs.push(("password".into(), Value::from("s3cret")));
        event.attrs.push(("port".into(), Value::from("1234")));
        event.attrs.push(("list".into(), Value::List(vec![Value::from("s3cret!")])));
        apply(&masks, &mut event);
        assert_eq!(event.raw, b"GET /a?password=***&x=1 *** and password=***".as_slice());
        assert_eq!(event.get(field::URL_QUERY), Some(&Value::from("password=***&x=1")));
        assert_eq!(event.attr("password"), Some(&Value::from("***")));
        assert_eq!(event.attr("port"), Some(&Value::from("1234")));
        assert_eq!(event.attr("list"), Some(&Value::List(vec![Value::from("***!")])));
    }
}
