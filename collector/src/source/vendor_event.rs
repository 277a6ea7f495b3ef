//! Records of CEF and LEEF: every value is an attribute under its own name, those with a meaning are catalogue fields.
//! A source of `vendor` that knows vendor and product says more.

use canh_schema::{Event, FieldId, IssueKind, LogSource, Value, field};
use compact_str::CompactString;

use super::project;
use crate::format::{Context, Layout};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Dialect {
    Cef,
    Leef,
}

/// A record as it was read.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) dialect: Dialect,
    pub(crate) vendor: CompactString,
    pub(crate) product: CompactString,
    pub(crate) version: CompactString,
    pub(crate) code: CompactString,
    /// CEF alone has them.
    pub(crate) name: Option<CompactString>,
    pub(crate) severity: Option<CompactString>,
    pub(crate) pairs: Vec<(CompactString, CompactString)>,
    /// Whether no pair was left out.
    pub(crate) complete: bool,
}

/// Names of CEF's extension dictionary and their fields. Of two names for one field the first that is there counts.
const CEF: &[(&str, FieldId)] = &[
    ("src", field::SOURCE_IP),
    ("spt", field::SOURCE_PORT),
    ("smac", field::SOURCE_MAC),
    ("shost", field::SOURCE_DOMAIN),
    ("out", field::SOURCE_BYTES),
    ("dst", field::DESTINATION_IP),
    ("dpt", field::DESTINATION_PORT),
    ("dmac", field::DESTINATION_MAC),
    ("dhost", field::DESTINATION_DOMAIN),
    ("in", field::DESTINATION_BYTES),
    ("app", field::NETWORK_PROTOCOL),
    ("suser", field::USER_NAME),
    ("suid", field::USER_ID),
    ("sntdom", field::USER_DOMAIN),
    ("duser", field::USER_TARGET_NAME),
    ("act", field::EVENT_ACTION),
    ("reason", field::EVENT_REASON),
    ("request", field::URL_ORIGINAL),
    ("requestMethod", field::HTTP_METHOD),
    ("requestClientApplication", field::USER_AGENT),
    ("requestContext", field::HTTP_REFERRER),
    ("fname", field::FILE_NAME),
    ("filePath", field::FILE_PATH),
    ("fsize", field::FILE_SIZE),
    ("sproc", field::PROCESS_NAME),
    ("deviceProcessName", field::PROCESS_NAME),
    ("spid", field::PROCESS_PID),
    ("dvchost", field::HOST_NAME),
    ("dvc", field::OBSERVER_IP),
    ("deviceInboundInterface", field::OBSERVER_INTERFACE),
    ("deviceOutboundInterface", field::OBSERVER_EGRESS_INTERFACE),
    ("msg", field::MESSAGE),
];

/// The same for LEEF's own attributes.
const LEEF: &[(&str, FieldId)] = &[
    ("src", field::SOURCE_IP),
    ("srcPort", field::SOURCE_PORT),
    ("srcMAC", field::SOURCE_MAC),
    ("srcBytes", field::SOURCE_BYTES),
    ("srcPackets", field::SOURCE_PACKETS),
    ("dst", field::DESTINATION_IP),
    ("dstPort", field::DESTINATION_PORT),
    ("dstMAC", field::DESTINATION_MAC),
    ("dstBytes", field::DESTINATION_BYTES),
    ("dstPackets", field::DESTINATION_PACKETS),
    ("totalPackets", field::NETWORK_PACKETS),
    ("usrName", field::USER_NAME),
    ("domain", field::USER_DOMAIN),
    ("groupID", field::GROUP_NAME),
    ("action", field::EVENT_ACTION),
    ("act", field::EVENT_ACTION),
    ("reason", field::EVENT_REASON),
    ("url", field::URL_ORIGINAL),
    ("policy", field::RULE_NAME),
    ("sev", field::LOG_LEVEL),
    ("identHostName", field::HOST_NAME),
    ("dvchost", field::HOST_NAME),
    ("devname", field::HOST_NAME),
    ("msg", field::MESSAGE),
];

/// Where the time stands, the best first.
const CEF_TIMES: &[&str] = &["rt", "deviceReceiptTime", "end", "start"];

/// Layouts that CEF allows besides a number. The zone may follow.
const CEF_LAYOUTS: &[&str] = &["%b %d %Y %H:%M:%S%.f", "%b %d %H:%M:%S%.f"];

/// Fills the event.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>, record: Record) {
    let Record { dialect, vendor, product, version, code, name, severity, pairs, complete } = record;
    event.attrs.reserve(pairs.len() + 7);
    for (name, value) in [("deviceVendor", &vendor), ("deviceProduct", &product), ("deviceVersion", &version)] {
        event.attrs.push((CompactString::const_new(name), Value::Text(value.clone())));
    }
    event.attrs.push((CompactString::const_new("deviceEventClassId"), Value::Text(code.clone())));
    for (key, value) in [("name", &name), ("severity", &severity)] {
        if let Some(value) = value {
            event.attrs.push((CompactString::const_new(key), Value::Text(value.clone())));
        }
    }
    event.attrs.extend(pairs.into_iter().map(|(name, value)| (name, Value::Text(value))));
    if !complete {
        event.push_issue(IssueKind::TooManyFields, "pairs were left out");
    }
    labels(event);

    let (table, dataset) = match dialect {
        Dialect::Cef => (CEF, "cef"),
        Dialect::Leef => (LEEF, "leef"),
    };
    let attrs = std::mem::take(&mut event.attrs);
    let text = |name: &str| {
        let value = attrs.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    };
    let mut previous = None;
    for (name, id) in table {
        // A message or a host of the head of syslog is worth less.
        if previous != Some(*id)
            && let Some(value) = text(name)
            && project::set_text(event, *id, value)
        {
            previous = Some(*id);
        }
    }
    if let Some(protocol) = text("proto") {
        event.set(field::NETWORK_TRANSPORT, transport(protocol));
    }
    if let Some(outcome) = text("outcome").and_then(outcome) {
        event.set(field::EVENT_OUTCOME, CompactString::const_new(outcome));
    }
    for name in ["fileHash", "hash", "md5", "sha1", "sha256"] {
        if let Some((id, hash)) = text(name).and_then(hash) {
            event.set(id, hash);
        }
    }
    let at = match dialect {
        Dialect::Cef => CEF_TIMES.iter().find_map(|name| text(name)).map(|at| cef_time(at, context).ok_or(at)),
        Dialect::Leef => text("devTime").map(|at| leef_time(at, text("devTimeFormat"), context).ok_or(at)),
    };
    match at {
        Some(Ok(at)) => event.time = at,
        Some(Err(shown)) => event.push_issue(IssueKind::BadTime, shown.chars().take(64).collect::<CompactString>()),
        None => (),
    }
    let said = text("msg").is_some();
    event.attrs = attrs;
    if !said {
        event.set(field::MESSAGE, name.filter(|name| !name.is_empty()).unwrap_or_else(|| code.clone()));
    }
    if let Some(severity) = severity.filter(|severity| !severity.is_empty()) {
        event.set(field::LOG_LEVEL, severity);
    }
    event.set(field::EVENT_CODE, code);
    event.set(field::EVENT_PROVIDER, product.clone());
    event.set(field::EVENT_DATASET, CompactString::const_new(dataset));
    event.logsource = LogSource::default();
    event.logsource.product = Some(simple(&vendor));
    event.logsource.service = Some(simple(&product));
    context.settings.vendors.product(event, context, dialect, &vendor, &product);
}

/// `cs1Label=Rule Name cs1=no worms` is a value called `Rule Name` as well.
fn labels(event: &mut Event) {
    let mut named = Vec::new();
    for (key, label) in &event.attrs {
        let (Some(base), Some(label)) = (key.strip_suffix("Label"), label.as_str()) else { continue };
        let is_free = !label.is_empty() && label.len() <= 128 && event.attr(label).is_none();
        if let Some(value) = event.attr(base).filter(|_| is_free) {
            named.push((CompactString::from(label), value.clone()));
        }
    }
    event.attrs.append(&mut named);
}

/// The protocol's name, also where its number stands.
pub(crate) fn transport(protocol: &str) -> CompactString {
    match protocol {
        "1" => CompactString::const_new("icmp"),
        "6" => CompactString::const_new("tcp"),
        "17" => CompactString::const_new("udp"),
        "58" => CompactString::const_new("ipv6-icmp"),
        name => CompactString::from(name.to_ascii_lowercase()),
    }
}

pub(crate) fn outcome(word: &str) -> Option<&'static str> {
    const SUCCESS: [&str; 6] = ["success", "successful", "succeeded", "succeed", "ok", "passed"];
    const FAILURE: [&str; 5] = ["failure", "failed", "fail", "error", "denied"];
    let is_of = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    match (is_of(&SUCCESS), is_of(&FAILURE)) {
        (true, _) => Some("success"),
        (_, true) => Some("failure"),
        _ => None,
    }
}

/// The field of a digest, told by its length.
fn hash(text: &str) -> Option<(FieldId, &str)> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let id = match text.len() {
        32 => field::HASH_MD5,
        40 => field::HASH_SHA1,
        64 => field::HASH_SHA256,
        128 => field::HASH_SHA512,
        _ => return None,
    };
    Some((id, text))
}

fn cef_time(text: &str, context: &Context<'_>) -> Option<canh_schema::Timestamp> {
    let (received, zone) = (context.received, &context.settings.zone);
    let read = |layout: Layout| layout.read(text, received, zone);
    read(Layout::Epoch)
        .or_else(|| read(Layout::Iso))
        .or_else(|| CEF_LAYOUTS.iter().find_map(|layout| read(Layout::Written(CompactString::const_new(layout)))))
}

fn leef_time(text: &str, pattern: Option<&str>, context: &Context<'_>) -> Option<canh_schema::Timestamp> {
    let (received, zone) = (context.received, &context.settings.zone);
    let named = pattern.filter(|pattern| pattern.len() <= 64).map(Layout::of_java);
    named.and_then(|layout| layout.read(text, received, zone)).or_else(|| cef_time(text, context))
}

/// A name as log sources have them: `Security Gate` is `security_gate`.
fn simple(name: &str) -> CompactString {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter.to_ascii_lowercase() } else { '_' }).collect()
}
