//! Traffic records of our agent: they bring catalogue fields already. Here they get their class, their log source and
//! the names that Sigma's rules for DNS, web and connections use.
//!
//! | dataset | product | service | categories |
//! |---|---|---|---|
//! | `flow` | canh | flow | `firewall`, `network_connection` |
//! | `dns` | canh | dns | `dns` |
//! | `tls` | canh | tls | |
//! | `http` | canh | http | `proxy`, `webserver` |

use canh_schema::{Event, EventClass, FieldId, LogSource, Value, field};
use compact_str::CompactString;

use super::web::{self, Exchange};

/// What a kind of record is in Sigma's words.
struct Kind {
    name: &'static str,
    class: EventClass,
    categories: &'static [&'static str],
    /// Catalogue fields that are supplied under the names that rules use.
    names: &'static [(FieldId, &'static str)],
}

static KINDS: &[Kind] = &[
    Kind {
        name: "flow",
        class: EventClass::Flow,
        categories: &["firewall", "network_connection"],
        names: &[
            (field::SOURCE_IP, "src_ip"),
            (field::SOURCE_PORT, "src_port"),
            (field::DESTINATION_IP, "dst_ip"),
            (field::DESTINATION_PORT, "dst_port"),
            (field::DESTINATION_IP, "DestinationIp"),
            (field::DESTINATION_PORT, "DestinationPort"),
        ],
    },
    Kind {
        name: "dns",
        class: EventClass::Log,
        categories: &["dns"],
        names: &[
            (field::DNS_QUESTION_NAME, "query"),
            (field::DNS_QUESTION_TYPE, "record_type"),
            (field::DNS_ANSWERS_DATA, "answer"),
        ],
    },
    Kind { name: "tls", class: EventClass::Log, categories: &[], names: &[(field::TLS_SERVER_NAME, "server_name")] },
    Kind { name: "http", class: EventClass::Log, categories: &["proxy", "webserver"], names: &[] },
];

/// `dns` of `canh.dns`.
fn kind(dataset: &str) -> Option<&'static Kind> {
    let name = dataset.strip_prefix("canh.").unwrap_or(dataset);
    KINDS.iter().find(|kind| kind.name == name)
}

/// Whether records of this dataset are ours.
pub(crate) fn is_dataset(dataset: &str) -> bool {
    kind(dataset).is_some()
}

/// Fills the event from its catalogue fields.
pub(crate) fn apply(event: &mut Event) {
    let Some(kind) = event.get(field::EVENT_DATASET).and_then(Value::as_str).and_then(kind) else { return };
    event.class = kind.class;
    event.set(field::EVENT_DATASET, CompactString::const_new(kind.name));
    event.logsource = LogSource::product("canh").with_service(kind.name);
    event.logsource.categories.extend(kind.categories.iter().map(|name| CompactString::const_new(name)));
    for (id, name) in kind.names {
        if let Some(value) = event.get(*id).filter(|_| event.attr(name).is_none()).cloned() {
            event.attrs.push((CompactString::const_new(name), value));
        }
    }
    event.set(field::EVENT_CATEGORY, "network");
    if kind.name == "http" {
        http(event);
    }
    if event.get(field::MESSAGE).is_none() {
        let text = summary(event, kind.name);
        event.set(field::MESSAGE, text);
    }
}

fn http(event: &mut Event) {
    let text = |id| event.get(id).and_then(Value::as_str).map(CompactString::from);
    let method = text(field::HTTP_METHOD);
    let host = text(field::URL_DOMAIN);
    let agent = text(field::USER_AGENT);
    let referrer = text(field::HTTP_REFERRER);
    let uri = text(field::URL_ORIGINAL).or_else(|| {
        let mut uri = text(field::URL_PATH)?;
        if let Some(query) = text(field::URL_QUERY) {
            uri.push('?');
            uri.push_str(&query);
        }
        Some(uri)
    });
    let exchange = Exchange {
        method: method.as_deref(),
        uri: uri.as_deref().unwrap_or_default(),
        host: host.as_deref(),
        status: event.get(field::HTTP_STATUS).and_then(Value::as_i64),
        bytes: event.get(field::HTTP_RESPONSE_BYTES).and_then(Value::as_i64),
        agent: agent.as_deref(),
        referrer: referrer.as_deref(),
    };
    web::describe(event, &exchange);
}

/// One line: the ends, the protocol, what was asked for.
fn summary(event: &Event, name: &str) -> CompactString {
    let mut text = CompactString::from(name);
    let mut add = |mark: &str, id| {
        if let Some(value) = event.get(id).and_then(Value::as_text) {
            text.push_str(mark);
            text.push_str(&value[..value.floor_char_boundary(256)]);
        }
    };
    add(" ", field::SOURCE_IP);
    add(":", field::SOURCE_PORT);
    add(" -> ", field::DESTINATION_IP);
    add(":", field::DESTINATION_PORT);
    for id in [
        field::NETWORK_TRANSPORT,
        field::NETWORK_PROTOCOL,
        field::DNS_QUESTION_TYPE,
        field::DNS_QUESTION_NAME,
        field::DNS_RESPONSE_CODE,
        field::TLS_SERVER_NAME,
        field::HTTP_METHOD,
        field::URL_DOMAIN,
        field::URL_ORIGINAL,
        field::HTTP_STATUS,
        field::NETWORK_STATE,
    ] {
        add(" ", id);
    }
    text
}
