//! The field catalogue: one row per field that Canh knows by name. Index schema, field picker, reference manual and
//! the ClickHouse tables are made from these rows. Names are those of the Elastic Common Schema (ECS) 8; fields of
//! ours that ECS does not have begin with `canh.`.
//!
//! Adding a field is one line here. The order does not matter to anybody: stored data uses names, not numbers.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

/// A field of the catalogue. The number is its row and holds only within one running program.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FieldId(u16);

impl FieldId {
    pub fn spec(self) -> &'static FieldSpec {
        &CATALOGUE[usize::from(self.0)]
    }

    pub fn name(self) -> &'static str {
        self.spec().name
    }

    pub fn kind(self) -> FieldKind {
        self.spec().kind
    }

    pub const fn row(self) -> usize {
        self.0 as usize
    }

    /// Every field, in row order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..CATALOGUE.len()).filter_map(|row| u16::try_from(row).ok()).map(Self)
    }
}

/// What a field holds, and so how it is indexed and compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FieldKind {
    /// Compared whole, without regard to case: names, ids, paths, hashes.
    Keyword,
    /// Searched by its words.
    Text,
    /// IPv4 or IPv6 address; networks can be asked for.
    Ip,
    /// Whole number.
    Integer,
    /// Number with a fraction.
    Float,
    Bool,
    /// Point in time.
    Time,
}

impl FieldKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keyword => "keyword",
            Self::Text => "text",
            Self::Ip => "ip",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Time => "time",
        }
    }
}

/// One row of the catalogue.
#[derive(Debug)]
pub struct FieldSpec {
    pub name: &'static str,
    pub kind: FieldKind,
    /// One line for the reference manual and the field picker. Units, if any, are in it.
    pub about: &'static str,
}

macro_rules! catalogue {
    ($($constant:ident = $name:literal, $kind:ident, $about:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Row { $($constant,)* }

        /// The fields by constant, for code that sets them.
        pub mod field {
            use super::{FieldId, Row};
            $(pub const $constant: FieldId = FieldId(Row::$constant as u16);)*
        }

        /// Every field that Canh knows by name.
        pub static CATALOGUE: &[FieldSpec] = &[
            $(FieldSpec { name: $name, kind: FieldKind::$kind, about: $about },)*
        ];
    };
}

catalogue! {
    // Where the event comes from. The normaliser sets these on every event.
    ORGANIZATION_ID = "organization.id", Keyword, "organisation that the source belongs to";
    CANH_SYSTEM = "canh.system", Keyword, "information system that the source belongs to";
    CANH_SOURCE = "canh.source", Keyword, "agent id, or door and address of the sender";
    CANH_TOKEN = "canh.token", Keyword, "name of the source's own token, where it has one";
    CANH_INDEX = "canh.index", Keyword, "index that an Elasticsearch or Splunk sender named";
    HOST_NAME = "host.name", Keyword, "name of the machine that the event is about";
    HOST_IP = "host.ip", Ip, "address of the machine that the event is about";
    HOST_ZONE = "host.zone", Keyword, "network zone of the machine, for example `dmz`";
    AGENT_ID = "agent.id", Keyword, "agent that delivered the event";
    AGENT_VERSION = "agent.version", Keyword, "version of the agent";
    LOG_FILE_PATH = "log.file.path", Keyword, "file that the line was read from";
    LOG_LEVEL = "log.level", Keyword, "level that the source gave the line";
    LOG_LOGGER = "log.logger", Keyword, "class or component that wrote the line";
    LOG_SYSLOG_FACILITY = "log.syslog.facility.name", Keyword, "syslog facility (RFC 5424, section 6.2.1)";
    LOG_SYSLOG_SEVERITY = "log.syslog.severity.name", Keyword, "syslog severity (RFC 5424, section 6.2.1)";
    LOG_SYSLOG_MSGID = "log.syslog.msgid", Keyword, "syslog message type (RFC 5424, section 6.2.7)";

    // What it is.
    MESSAGE = "message", Text, "the text of the event as people read it";
    EVENT_ACTION = "event.action", Keyword, "what was done, for example `ssh_login`";
    EVENT_CATEGORY = "event.category", Keyword, "kind of event, for example `authentication`";
    EVENT_TYPE = "event.type", Keyword, "sub-kind of event, for example `start`";
    EVENT_OUTCOME = "event.outcome", Keyword, "`success`, `failure` or `unknown`";
    EVENT_CODE = "event.code", Keyword, "the source's own number for this kind of event";
    EVENT_PROVIDER = "event.provider", Keyword, "what wrote the event, for example `Microsoft-Windows-Sysmon`";
    EVENT_DATASET = "event.dataset", Keyword, "format and stream, for example `nginx.access`";
    EVENT_REASON = "event.reason", Keyword, "why, as the source says it";
    EVENT_DURATION = "event.duration", Integer, "length in nanoseconds";
    EVENT_START = "event.start", Time, "when it began";
    EVENT_END = "event.end", Time, "when it ended";

    // Network.
    SOURCE_IP = "source.ip", Ip, "address of the originator";
    SOURCE_PORT = "source.port", Integer, "port of the originator";
    SOURCE_MAC = "source.mac", Keyword, "hardware address of the originator";
    SOURCE_BYTES = "source.bytes", Integer, "bytes sent by the originator";
    SOURCE_PACKETS = "source.packets", Integer, "packets sent by the originator";
    SOURCE_DOMAIN = "source.domain", Keyword, "name of the originator";
    DESTINATION_IP = "destination.ip", Ip, "address of the responder";
    DESTINATION_PORT = "destination.port", Integer, "port of the responder";
    DESTINATION_MAC = "destination.mac", Keyword, "hardware address of the responder";
    DESTINATION_BYTES = "destination.bytes", Integer, "bytes sent by the responder";
    DESTINATION_PACKETS = "destination.packets", Integer, "packets sent by the responder";
    DESTINATION_DOMAIN = "destination.domain", Keyword, "name of the responder";
    SOURCE_GEO_LOCATION = "source.geo.location", Keyword, "where the originator is: degrees north and east, `21.03,105.85`";
    SOURCE_GEO_COUNTRY = "source.geo.country_iso_code", Keyword, "country of the originator, two letters (ISO 3166-1)";
    SOURCE_GEO_CITY = "source.geo.city_name", Keyword, "city of the originator";
    SOURCE_GEO_NAME = "source.geo.name", Keyword, "what the operator calls the network of the originator";
    SOURCE_AS_NUMBER = "source.as.number", Integer, "number of the autonomous system of the originator";
    SOURCE_AS_ORGANIZATION = "source.as.organization.name", Keyword, "who runs the autonomous system of the originator";
    DESTINATION_GEO_LOCATION = "destination.geo.location", Keyword, "where the responder is: degrees north and east, `21.03,105.85`";
    DESTINATION_GEO_COUNTRY = "destination.geo.country_iso_code", Keyword, "country of the responder, two letters (ISO 3166-1)";
    DESTINATION_GEO_CITY = "destination.geo.city_name", Keyword, "city of the responder";
    DESTINATION_GEO_NAME = "destination.geo.name", Keyword, "what the operator calls the network of the responder";
    DESTINATION_AS_NUMBER = "destination.as.number", Integer, "number of the autonomous system of the responder";
    DESTINATION_AS_ORGANIZATION = "destination.as.organization.name", Keyword, "who runs the autonomous system of the responder";
    NETWORK_TRANSPORT = "network.transport", Keyword, "`tcp`, `udp`, `icmp`, …";
    NETWORK_PROTOCOL = "network.protocol", Keyword, "application protocol, for example `dns`";
    NETWORK_TYPE = "network.type", Keyword, "`ipv4` or `ipv6`";
    NETWORK_COMMUNITY_ID = "network.community_id", Keyword, "Community ID v1, equal on every sensor";
    NETWORK_BYTES = "network.bytes", Integer, "bytes in both directions";
    NETWORK_PACKETS = "network.packets", Integer, "packets in both directions";
    NETWORK_VLAN_ID = "network.vlan.id", Keyword, "VLAN";
    NETWORK_STATE = "network.connection.state", Keyword, "TCP connection state in Zeek's words, for example `SF`";
    OBSERVER_IP = "observer.ip", Ip, "address of the device that saw the traffic";
    OBSERVER_INTERFACE = "observer.ingress.interface.name", Keyword, "interface or capture file that the packets came from";
    OBSERVER_INTERFACE_ID = "observer.ingress.interface.id", Keyword, "index of the interface that the packets came from";
    OBSERVER_EGRESS_INTERFACE = "observer.egress.interface.name", Keyword, "interface that the packets left through";
    OBSERVER_EGRESS_INTERFACE_ID = "observer.egress.interface.id", Keyword, "index of the interface that the packets left through";
    NETWORK_APPLICATION = "network.application", Keyword, "application as the device that saw the traffic recognised it";
    DNS_QUESTION_NAME = "dns.question.name", Keyword, "name asked for";
    DNS_QUESTION_TYPE = "dns.question.type", Keyword, "type asked for, for example `TXT`";
    DNS_RESPONSE_CODE = "dns.response_code", Keyword, "answer code, for example `NXDOMAIN`";
    DNS_ANSWERS_DATA = "dns.answers.data", Keyword, "data of the answers";
    DNS_RESOLVED_IP = "dns.resolved_ip", Ip, "addresses among the answers";
    TLS_SERVER_NAME = "tls.client.server_name", Keyword, "name that the client asked for (SNI)";
    TLS_VERSION = "tls.version", Keyword, "version agreed on, for example `1.3`";
    TLS_JA3 = "tls.client.ja3", Keyword, "JA3 fingerprint of the client";
    TLS_JA3S = "tls.server.ja3s", Keyword, "JA3S fingerprint of the server";

    // Web.
    HTTP_METHOD = "http.request.method", Keyword, "method, for example `GET`";
    HTTP_STATUS = "http.response.status_code", Integer, "status";
    HTTP_RESPONSE_BYTES = "http.response.body.bytes", Integer, "bytes of the answer's body";
    HTTP_REFERRER = "http.request.referrer", Keyword, "page that the request came from";
    HTTP_VERSION = "http.version", Keyword, "version, for example `1.1`";
    URL_FULL = "url.full", Keyword, "whole address, with scheme and host";
    URL_ORIGINAL = "url.original", Keyword, "address as asked for";
    URL_PATH = "url.path", Keyword, "path of the address";
    URL_QUERY = "url.query", Keyword, "what follows the question mark";
    URL_DOMAIN = "url.domain", Keyword, "host of the address";
    USER_AGENT = "user_agent.original", Keyword, "what the client calls itself";

    // Who.
    USER_NAME = "user.name", Keyword, "account that acts";
    USER_ID = "user.id", Keyword, "number or SID of the account that acts";
    USER_DOMAIN = "user.domain", Keyword, "directory of the account that acts";
    USER_TARGET_NAME = "user.target.name", Keyword, "account that is acted on or become";
    GROUP_NAME = "group.name", Keyword, "group";

    // Processes, files, registry.
    PROCESS_NAME = "process.name", Keyword, "program";
    PROCESS_PID = "process.pid", Integer, "process number";
    PROCESS_EXECUTABLE = "process.executable", Keyword, "full path of the program";
    PROCESS_COMMAND_LINE = "process.command_line", Keyword, "command with its arguments";
    PROCESS_WORKING_DIRECTORY = "process.working_directory", Keyword, "directory it ran in";
    PROCESS_PARENT_PID = "process.parent.pid", Integer, "number of the parent process";
    PROCESS_PARENT_EXECUTABLE = "process.parent.executable", Keyword, "full path of the parent program";
    PROCESS_PARENT_COMMAND_LINE = "process.parent.command_line", Keyword, "command of the parent";
    PROCESS_EXIT_CODE = "process.exit_code", Integer, "exit code";
    FILE_PATH = "file.path", Keyword, "full path of the file";
    FILE_NAME = "file.name", Keyword, "name of the file";
    FILE_EXTENSION = "file.extension", Keyword, "what follows the last dot of the name";
    FILE_SIZE = "file.size", Integer, "bytes of the file";
    FILE_OWNER = "file.owner", Keyword, "account that the file belongs to";
    HASH_MD5 = "file.hash.md5", Keyword, "MD5 of the file";
    HASH_SHA1 = "file.hash.sha1", Keyword, "SHA-1 of the file";
    HASH_SHA256 = "file.hash.sha256", Keyword, "SHA-256 of the file";
    HASH_SHA512 = "file.hash.sha512", Keyword, "SHA-512 of the file";
    PROCESS_HASH_MD5 = "process.hash.md5", Keyword, "MD5 of the program";
    PROCESS_HASH_SHA1 = "process.hash.sha1", Keyword, "SHA-1 of the program";
    PROCESS_HASH_SHA256 = "process.hash.sha256", Keyword, "SHA-256 of the program";
    REGISTRY_PATH = "registry.path", Keyword, "registry key or value";
    SERVICE_NAME = "service.name", Keyword, "service or unit";

    // Requests as programs tell of them.
    TRACE_ID = "trace.id", Keyword, "request, across all programs that took part in it";
    SPAN_ID = "span.id", Keyword, "part of a request";
    PARENT_ID = "parent.id", Keyword, "part of a request that this one belongs to";
    SPAN_NAME = "span.name", Keyword, "what was done in this part, for example `GET /v1/hoso/{id}`";
    SPAN_KIND = "span.kind", Keyword, "`server`, `client`, `producer`, `consumer` or `internal`";
    ERROR_TYPE = "error.type", Keyword, "kind of what went wrong, for example the name of an exception";
    ERROR_MESSAGE = "error.message", Text, "what went wrong";
    ERROR_STACK_TRACE = "error.stack_trace", Text, "where in the program it went wrong";

    // Mail.
    EMAIL_FROM = "email.from.address", Keyword, "author of a message";
    EMAIL_SENDER = "email.sender.address", Keyword, "who handed the message in, if not the author";
    EMAIL_TO = "email.to.address", Keyword, "recipients of a message";
    EMAIL_CC = "email.cc.address", Keyword, "recipients of a copy";
    EMAIL_REPLY_TO = "email.reply_to.address", Keyword, "where answers are to go";

    // What another engine or device found.
    RULE_NAME = "rule.name", Keyword, "name of the rule that the source says matched";
    RULE_RULESET = "rule.ruleset", Keyword, "file or set that the rule is in";
    RULE_DESCRIPTION = "rule.description", Text, "what the rule is for";
    RULE_REFERENCE = "rule.reference", Keyword, "where to read more about the rule";

    // What the delivery ledger found missing.
    LEDGER_SOURCE = "canh.ledger.source", Keyword, "sender that something is missing of, as in `canh.source`";
    LEDGER_KIND = "canh.ledger.kind", Keyword, "`batches`, `journal`, `store`, `dropped` or `sequence`";
    LEDGER_SPOOL = "canh.ledger.spool", Keyword, "spool of the agent whose batches are missing";
    LEDGER_FIRST = "canh.ledger.first", Keyword, "first number or time of what is missing";
    LEDGER_LAST = "canh.ledger.last", Keyword, "last number or time of what is missing";
    LEDGER_MISSING = "canh.ledger.missing", Integer, "how many batches, records, events or messages";

    // Metrics. One event is one sample.
    METRIC_NAME = "canh.metric.name", Keyword, "name of the metric, OpenTelemetry semantic conventions";
    METRIC_VALUE = "canh.metric.value", Float, "value of the sample";
    METRIC_UNIT = "canh.metric.unit", Keyword, "unit in UCUM, for example `By`";
}

static BY_NAME: LazyLock<FxHashMap<&'static str, FieldId>> =
    LazyLock::new(|| FieldId::all().map(|field| (field.name(), field)).collect());

/// The field of this exact name.
pub fn field_by_name(name: &str) -> Option<FieldId> {
    BY_NAME.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_constant() {
        assert_eq!(BY_NAME.len(), CATALOGUE.len(), "two rows have the same name");
        assert_eq!(field::SOURCE_IP.name(), "source.ip");
        for id in FieldId::all() {
            assert_eq!(field_by_name(id.name()), Some(id));
            assert!(!id.spec().about.is_empty(), "`{}` has no description", id.name());
        }
        assert_eq!(field_by_name("nowhere"), None);
    }
}
