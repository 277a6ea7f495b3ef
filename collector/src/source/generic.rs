//! JSON objects of sources that have no table: catalogue fields are found by name, time and host by usual names.

use canh_schema::{Event, IssueKind, Timestamp, Value, field, field_by_name};
use compact_str::CompactString;

use super::project;
use crate::format::{Context, epoch_seconds, rfc3339};

/// Names under which objects carry their time, the best first.
const TIMES: &[&str] = &[
    "@timestamp",
    "timestamp",
    "time",
    "ts",
    "eventTime",
    "event_time",
    "EventTime",
    "datetime",
    "date",
    "created_at",
    "published",
    "_timestamp",
];

/// Names under which objects carry their host.
const HOSTS: &[&str] = &["host.name", "host.hostname", "hostname", "host", "Hostname", "computer", "Computer"];

/// Names under which objects carry their text.
const MESSAGES: &[&str] = &["message", "msg", "Message", "log", "text"];

pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    project_catalogue(event);
    time(event, TIMES, context);
    first_text(event, field::HOST_NAME, HOSTS);
    first_text(event, field::MESSAGE, MESSAGES);
    first_text(event, field::LOG_LEVEL, &["level", "severity", "log.level"]);
}

/// Sets each catalogue field whose name is an attribute. A value of the wrong type is noted and stays an attribute.
pub(crate) fn project_catalogue(event: &mut Event) {
    let attrs = std::mem::take(&mut event.attrs);
    for (name, value) in &attrs {
        if let Some(id) = field_by_name(name)
            && !project::set_value(event, id, value)
        {
            event.push_issue(IssueKind::TypeConflict, name.clone());
        }
    }
    event.attrs = attrs;
}

/// Sets the event's time from the first of these names that is there.
pub(crate) fn time(event: &mut Event, names: &[&str], context: &Context<'_>) {
    let Some(value) = names.iter().find_map(|name| event.attr(name)).filter(|value| !project::is_absent(value)) else {
        return;
    };
    let read = read_time(value, context);
    put_time(event, read);
}

/// Sets the event's time from a value that says it.
pub(crate) fn set_time(event: &mut Event, value: &Value, context: &Context<'_>) {
    put_time(event, read_time(value, context));
}

/// The time, or the beginning of what is none.
fn read_time(value: &Value, context: &Context<'_>) -> Result<Timestamp, CompactString> {
    timestamp(value, context).ok_or_else(|| value.as_text().unwrap_or_default().chars().take(64).collect())
}

fn put_time(event: &mut Event, read: Result<Timestamp, CompactString>) {
    match read {
        Ok(at) => event.time = at,
        Err(shown) => event.push_issue(IssueKind::BadTime, shown),
    }
}

/// A time as JSON carries it: text of RFC 3339 and its relatives, or a number since 1970.
pub(crate) fn timestamp(value: &Value, context: &Context<'_>) -> Option<Timestamp> {
    match value {
        Value::Text(text) => rfc3339(text, &context.settings.zone).or_else(|| epoch_seconds(text.trim().parse().ok()?)),
        Value::Integer(number) => epoch_seconds(*number as f64),
        Value::Float(number) => epoch_seconds(*number),
        _ => None,
    }
}

/// Sets a field that is not set yet from the first of these attributes that has text.
pub(crate) fn first_text(event: &mut Event, id: canh_schema::FieldId, names: &[&str]) {
    if event.get(id).is_some() {
        return;
    }
    let found = names.iter().find_map(|name| {
        let value = event.attr(name).filter(|value| !project::is_absent(value))?;
        value.as_str().map(CompactString::from)
    });
    if let Some(text) = found {
        event.set(id, text);
    }
}
