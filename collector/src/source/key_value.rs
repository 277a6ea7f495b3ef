//! Pairs of a source that has no table: each is an attribute, those with usual names are catalogue fields.

use canh_schema::{Event, FieldId, IssueKind, Value, field};
use compact_str::CompactString;

use super::{generic, project, vendor_event};
use crate::format::{Context, Marks, Pairs};

/// Usual names, in lower case. Of two names for one field the first that is there counts.
const FIELDS: &[(&str, FieldId)] = &[
    ("src", field::SOURCE_IP),
    ("srcip", field::SOURCE_IP),
    ("src_ip", field::SOURCE_IP),
    ("source_ip", field::SOURCE_IP),
    ("client_ip", field::SOURCE_IP),
    ("saddr", field::SOURCE_IP),
    ("spt", field::SOURCE_PORT),
    ("sport", field::SOURCE_PORT),
    ("srcport", field::SOURCE_PORT),
    ("src_port", field::SOURCE_PORT),
    ("dst", field::DESTINATION_IP),
    ("dstip", field::DESTINATION_IP),
    ("dst_ip", field::DESTINATION_IP),
    ("dest_ip", field::DESTINATION_IP),
    ("daddr", field::DESTINATION_IP),
    ("dpt", field::DESTINATION_PORT),
    ("dport", field::DESTINATION_PORT),
    ("dstport", field::DESTINATION_PORT),
    ("dst_port", field::DESTINATION_PORT),
    ("dest_port", field::DESTINATION_PORT),
    ("user", field::USER_NAME),
    ("username", field::USER_NAME),
    ("user_name", field::USER_NAME),
    ("action", field::EVENT_ACTION),
    ("act", field::EVENT_ACTION),
    ("reason", field::EVENT_REASON),
    ("url", field::URL_ORIGINAL),
    ("method", field::HTTP_METHOD),
    ("level", field::LOG_LEVEL),
    ("lvl", field::LOG_LEVEL),
    ("severity", field::LOG_LEVEL),
    ("msg", field::MESSAGE),
    ("message", field::MESSAGE),
];

/// Names of the time.
const TIMES: &[&str] = &["time", "ts", "timestamp", "t", "@timestamp", "eventtime"];

/// Adds the pairs as attributes; notes it when some were left out.
pub(crate) fn attributes(event: &mut Event, context: &Context<'_>, text: &str, marks: Marks) {
    let mut pairs = Pairs::new(text, marks);
    let room = context.settings.fields_max;
    event.attrs.extend(pairs.by_ref().take(room).map(|(key, value)| (CompactString::from(key), Value::Text(value))));
    if pairs.next().is_some() {
        event.push_issue(IssueKind::TooManyFields, "pairs were left out");
    }
}

/// Fills the event from a line of pairs. What is set already, for example by a head of syslog, stays.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>, text: &str, marks: Marks) {
    attributes(event, context, text, marks);
    let attrs = std::mem::take(&mut event.attrs);
    let find = |name: &str| {
        let value = attrs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str());
        value.filter(|value| !matches!(*value, "" | "-"))
    };
    for (name, id) in FIELDS {
        if (*id == field::MESSAGE || event.get(*id).is_none())
            && let Some(value) = find(name)
        {
            project::set_text(event, *id, value);
        }
    }
    if let Some(protocol) = find("proto").or_else(|| find("protocol")) {
        event.set(field::NETWORK_TRANSPORT, vendor_event::transport(protocol));
    }
    if let Some(outcome) =
        find("outcome").or_else(|| find("result")).or_else(|| find("status")).and_then(vendor_event::outcome)
    {
        event.set(field::EVENT_OUTCOME, CompactString::const_new(outcome));
    }
    let at = TIMES.iter().find_map(|name| find(name)).map(CompactString::from);
    event.attrs = attrs;
    // A value called `time` may be a length as well, so one that is no time is no mistake.
    if let Some(at) = at.and_then(|at| generic::timestamp(&Value::Text(at), context)).filter(|at| at.secs() > 0) {
        event.time = at;
    }
    generic::project_catalogue(event);
    if event.get(field::EVENT_DATASET).is_none() {
        event.set(field::EVENT_DATASET, CompactString::const_new("key_value"));
    }
}
