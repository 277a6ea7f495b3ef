//! What the API server of Kubernetes was asked, and by whom. Native names stay; rules that use others find them through
//! the mapping of this log source.
//!
//! Source: the reference of `audit.k8s.io/v1` in the documentation of Kubernetes.

use canh_schema::{Event, FieldId, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::{generic, project};
use crate::format::Context;

const FIELDS: &[(&str, FieldId)] = &[
    ("user.username", field::USER_NAME),
    ("user.uid", field::USER_ID),
    ("impersonatedUser.username", field::USER_TARGET_NAME),
    ("verb", field::EVENT_ACTION),
    ("userAgent", field::USER_AGENT),
    ("requestURI", field::URL_ORIGINAL),
    ("responseStatus.code", field::HTTP_STATUS),
    ("responseStatus.message", field::EVENT_REASON),
];

/// When the request came in, and when the stage was reached.
const TIMES: &[&str] = &["requestReceivedTimestamp", "stageTimestamp"];

pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    generic::time(event, TIMES, context);
    let attrs = std::mem::take(&mut event.attrs);
    let find = |name: &str| attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = |name: &str| find(name).and_then(Value::as_str);
    for (name, id) in FIELDS {
        if let Some(value) = find(name) {
            project::set_value(event, *id, value);
        }
    }
    // The first is the client, the others are proxies on the way.
    if let Some(client) = find("sourceIPs").and_then(|list| list.members().first()) {
        project::set_value(event, field::SOURCE_IP, client);
    }
    let code = find("responseStatus.code").and_then(Value::as_i64);
    let outcome = match (text("annotations.authorization.k8s.io/decision"), code) {
        (Some("forbid"), _) | (_, Some(400..)) => Some("failure"),
        (_, Some(_)) => Some("success"),
        _ => None,
    };
    if let Some(outcome) = outcome {
        event.set(field::EVENT_OUTCOME, CompactString::const_new(outcome));
    }
    event.set(field::EVENT_CATEGORY, CompactString::const_new("configuration"));
    event.set(field::EVENT_DATASET, CompactString::const_new("kubernetes.audit"));
    let part = |name: &str| text(name).unwrap_or_default();
    let object = match (text("objectRef.resource"), text("objectRef.subresource")) {
        (Some(resource), Some(below)) => format_compact!("{resource}/{below}"),
        (Some(resource), None) => CompactString::from(resource),
        (None, _) => CompactString::from(part("requestURI")),
    };
    let mut line = format_compact!("{} {} {object}", part("user.username"), part("verb"));
    for name in ["objectRef.namespace", "objectRef.name"] {
        if let Some(text) = text(name) {
            line.push(' ');
            line.push_str(text);
        }
    }
    if let Some(code) = code {
        line.push_str(&format_compact!(" {code}"));
    }
    event.set(field::MESSAGE, line);
    event.attrs = attrs;
    event.logsource = LogSource { product: Some(CompactString::const_new("kubernetes")), ..LogSource::default() };
    event.logsource.service = Some(CompactString::const_new("audit"));
    // Most public rules for this log also name a category.
    event.logsource.categories.push(CompactString::const_new("application"));
}
