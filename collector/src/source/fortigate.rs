//! Lines of FortiGate: `date=… time=… devname="fw-01" logid="…" type="event" subtype="system" …`. Every pair is an
//! attribute; those with a meaning of their own are catalogue fields as well.

use canh_schema::{Event, FieldId, IssueKind, LogSource, Timestamp, Value, field};
use compact_str::CompactString;

use super::project;
use crate::format::{Context, Marks, Pairs, epoch_seconds, rfc3339};

/// What FortiGate calls its values, and their field. Of two names for one field the first that is there counts.
const FIELDS: &[(&str, FieldId)] = &[
    ("devname", field::HOST_NAME),
    ("logid", field::EVENT_CODE),
    ("level", field::LOG_LEVEL),
    ("srcip", field::SOURCE_IP),
    ("remip", field::SOURCE_IP),
    ("srcport", field::SOURCE_PORT),
    ("srcmac", field::SOURCE_MAC),
    ("dstip", field::DESTINATION_IP),
    ("dstport", field::DESTINATION_PORT),
    ("sentbyte", field::SOURCE_BYTES),
    ("rcvdbyte", field::DESTINATION_BYTES),
    ("sentpkt", field::SOURCE_PACKETS),
    ("rcvdpkt", field::DESTINATION_PACKETS),
    ("user", field::USER_NAME),
    ("group", field::GROUP_NAME),
    ("action", field::EVENT_ACTION),
    ("reason", field::EVENT_REASON),
    ("hostname", field::URL_DOMAIN),
    ("url", field::URL_ORIGINAL),
    ("filename", field::FILE_NAME),
    ("qname", field::DNS_QUESTION_NAME),
    ("qtype", field::DNS_QUESTION_TYPE),
];

/// Log types and sub-types that Sigma has a category for.
const CATEGORIES: &[(&str, &str)] =
    &[("traffic", "firewall"), ("virus", "antivirus"), ("dns", "dns"), ("webfilter", "proxy")];

/// Reads the line if it is one of FortiGate.
pub(super) fn apply(event: &mut Event, context: &Context<'_>, message: &str) -> bool {
    if !message.starts_with("date=") || !message.contains(" logid=") || !message.contains(" type=") {
        return false;
    }
    let fields_max = context.settings.fields_max;
    let mut pairs = Pairs::new(message, Marks::BLANKS);
    for (key, value) in pairs.by_ref().take(fields_max) {
        event.attrs.push((CompactString::from(key), Value::Text(value)));
    }
    if pairs.next().is_some() {
        event.push_issue(IssueKind::TooManyFields, "pairs were left out");
    }
    let text = |name: &str| event.attr(name).and_then(Value::as_str).map(CompactString::from);
    let (kind, sub) = (text("type"), text("subtype"));
    let found: Vec<_> = FIELDS.iter().filter_map(|(name, id)| Some((*id, text(name)?))).collect();
    let outcome = match text("status").as_deref() {
        Some("success" | "succeeded") => Some("success"),
        Some("failed" | "failure" | "error") => Some("failure"),
        _ => None,
    };
    let at = time(event, context);
    let transport = text("proto").and_then(|number| match number.as_str() {
        "1" => Some("icmp"),
        "6" => Some("tcp"),
        "17" => Some("udp"),
        _ => None,
    });
    // `GUI(10.20.0.5)`: where the administrator came from.
    let from = text("ui").and_then(|ui| Some(CompactString::from(ui.split_once('(')?.1.strip_suffix(')')?)));

    for (id, value) in found {
        let is_set = id != field::HOST_NAME && id != field::LOG_LEVEL && event.get(id).is_some();
        if !is_set && !matches!(value.as_str(), "" | "N/A") {
            project::set_text(event, id, &value);
        }
    }
    if let Some(from) = from.filter(|_| event.get(field::SOURCE_IP).is_none()) {
        project::set_text(event, field::SOURCE_IP, &from);
    }
    if let Some(outcome) = outcome {
        event.set(field::EVENT_OUTCOME, CompactString::const_new(outcome));
    }
    if let Some(transport) = transport {
        event.set(field::NETWORK_TRANSPORT, CompactString::const_new(transport));
    }
    match at {
        Some(at) => event.time = at,
        None => event.push_issue(IssueKind::BadTime, "eventtime, date and time"),
    }
    event.set(field::EVENT_DATASET, "fortigate");
    event.logsource = LogSource::product("fortigate");
    event.logsource.service.clone_from(&kind);
    event.logsource.other_services.extend(sub.clone());
    let categories =
        CATEGORIES.iter().filter(|(name, _)| [&kind, &sub].iter().any(|one| one.as_deref() == Some(*name)));
    event.logsource.categories.extend(categories.map(|(_, category)| CompactString::const_new(category)));
    true
}

/// `eventtime` counts seconds or nanoseconds, by version; before it there were only date, time and zone.
fn time(event: &Event, context: &Context<'_>) -> Option<Timestamp> {
    let text = |name| event.attr(name).and_then(Value::as_str);
    let counted = text("eventtime").and_then(|number| match number.len() {
        // As a whole number, because a double has no room for the nanoseconds.
        19 => number.parse().ok().map(Timestamp::from_nanos),
        _ => epoch_seconds(number.parse().ok()?),
    });
    if counted.is_some() {
        return counted;
    }
    let zone = text("tz").unwrap_or_default();
    let stamp = format!("{}T{}{zone}", text("date")?, text("time")?);
    rfc3339(&stamp, &context.settings.zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tested;

    #[test]
    fn lines() {
        let event = tested::decode(
            r#"<189>date=2026-11-22 time=09:00:00 devname="fw-01" devid="FGT60F" eventtime=1795312800123456789 tz="+0700" logid="0100032002" type="event" subtype="system" level="alert" vd="root" logdesc="Admin login failed" user="admin" ui="https(203.0.113.9)" method="https" action="login" status="failed" reason="passwd_invalid" msg="Administrator admin login failed""#,
        );
        assert_eq!(event.time.to_string(), "2026-11-22T02:00:00.123456789Z");
        assert_eq!(event.logsource.product.as_deref(), Some("fortigate"));
        assert_eq!(event.logsource.services().collect::<Vec<_>>(), ["event", "system"]);
        for (id, expected) in [
            (field::HOST_NAME, "fw-01"),
            (field::SOURCE_IP, "203.0.113.9"),
            (field::USER_NAME, "admin"),
            (field::EVENT_OUTCOME, "failure"),
            (field::EVENT_CODE, "0100032002"),
            (field::LOG_LEVEL, "alert"),
        ] {
            assert_eq!(event.get(id).and_then(Value::as_text).as_deref(), Some(expected), "{}", id.name());
        }
        let old = r#"<189>date=2026-11-22 time=09:00:00 devname=fw-01 logid="0000000013" type="traffic" subtype="forward" srcip=10.10.1.11 dstip=203.0.113.9 proto=6 action="deny""#;
        let event = tested::decode(old);
        assert_eq!(event.time.to_string(), "2026-11-22T02:00:00Z");
        assert_eq!(event.logsource.categories.as_slice(), ["firewall"]);
        let other = tested::decode("<189>date=2026-11-22 time=09:00:00 hello");
        assert_eq!(other.logsource.product.as_deref(), Some("linux"));
    }
}
