//! One received batch as it came, before anybody has looked inside, and its form in the journal.
//!
//! A door makes an [`Envelope`], the journal keeps it, `decode` makes events of it. Payloads are kept decompressed and
//! otherwise untouched. How a payload splits into records is said by [`Framing`]; [`Envelope::records`] does the split.

mod head;
mod records;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use bytes::Bytes;
use canh_schema::Timestamp;
/// The number that an agent gave a batch.
pub use canh_wire::BatchNumber as AgentBatch;
use compact_str::{CompactString, ToCompactString, format_compact};

use self::head::{LABELS_MAX, NAME_MAX, VERSION, cut_name};
pub use self::records::{Cut, Record, RecordList, Records};

/// One received batch as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    pub door: Door,
    /// Address of the sender. `None` for files, and for a list of records that each carry their own.
    pub peer: Option<IpAddr>,
    /// Name of the sender that it has proven, with a certificate.
    pub sender: Option<CompactString>,
    /// When the door had the whole batch.
    pub received: Timestamp,
    /// Set when one of our agents numbered the batch.
    pub agent: Option<AgentBatch>,
    /// Format that the sender or the configuration names; `None` leaves it to the decoder.
    pub format: Option<CompactString>,
    /// Host that the sender or the configuration names for records that do not name one.
    pub host: Option<CompactString>,
    /// What else the sender says of every record, by the name of a field or attribute. A record's own value goes before.
    pub labels: Labels,
    pub framing: Framing,
    pub payload: Bytes,
}

/// Names with their values, few and short.
pub type Labels = Vec<(CompactString, CompactString)>;

/// Where a batch came in. The number is stored, so it is never given to something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Door {
    OtlpGrpc = 1,
    OtlpHttp = 2,
    Ndjson = 3,
    SyslogUdp = 4,
    SyslogTcp = 5,
    /// A file read once, by `canh import` or the demo.
    Import = 6,
    /// A sample of a rule that the server sends itself, to see that the rule still fires. Such events are looked at by the
    /// rules and go nowhere else.
    Canary = 7,
    /// What was found in a file that was sent to be scanned.
    Samples = 8,
    /// What the server's own delivery ledger found missing.
    Ledger = 9,
    SyslogTls = 20,
    Relp = 21,
    RelpTls = 22,
    /// Elasticsearch's `_bulk`.
    Elasticsearch = 30,
    /// Splunk's HTTP Event Collector.
    SplunkHec = 31,
    /// NetFlow, IPFIX and sFlow.
    Flow = 40,
    /// Traps and informs of SNMP.
    Snmp = 50,
    /// Graylog's GELF.
    GelfUdp = 51,
    GelfTcp = 52,
    GelfHttp = 53,
    /// Prometheus' remote write.
    PrometheusWrite = 54,
    /// `systemd-journal-upload`.
    JournaldUpload = 55,
    /// The forward protocol of Fluentd and Fluent Bit.
    Forward = 56,
}

impl Door {
    pub const ALL: [Self; 22] = [
        Self::OtlpGrpc,
        Self::OtlpHttp,
        Self::Ndjson,
        Self::SyslogUdp,
        Self::SyslogTcp,
        Self::Import,
        Self::Canary,
        Self::Samples,
        Self::Ledger,
        Self::SyslogTls,
        Self::Relp,
        Self::RelpTls,
        Self::Elasticsearch,
        Self::SplunkHec,
        Self::Flow,
        Self::Snmp,
        Self::GelfUdp,
        Self::GelfTcp,
        Self::GelfHttp,
        Self::PrometheusWrite,
        Self::JournaldUpload,
        Self::Forward,
    ];

    /// The name in configuration, metrics and `canh.source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "otlp_grpc",
            Self::OtlpHttp => "otlp_http",
            Self::Ndjson => "ndjson",
            Self::SyslogUdp => "syslog_udp",
            Self::SyslogTcp => "syslog_tcp",
            Self::Import => "import",
            Self::Canary => "canary",
            Self::Samples => "samples",
            Self::Ledger => "ledger",
            Self::SyslogTls => "syslog_tls",
            Self::Relp => "relp",
            Self::RelpTls => "relp_tls",
            Self::Elasticsearch => "elasticsearch",
            Self::SplunkHec => "splunk_hec",
            Self::Flow => "flow",
            Self::Snmp => "snmp",
            Self::GelfUdp => "gelf_udp",
            Self::GelfTcp => "gelf_tcp",
            Self::GelfHttp => "gelf_http",
            Self::PrometheusWrite => "prometheus_write",
            Self::JournaldUpload => "journald_upload",
            Self::Forward => "forward",
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|door| *door as u8 == number)
    }
}

/// How a payload splits into records. The number is stored, so it is never given to something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Framing {
    /// One protobuf `ExportLogsServiceRequest`.
    OtlpLogs = 1,
    /// One protobuf `ExportMetricsServiceRequest`.
    OtlpMetrics = 2,
    /// Texts, each ended by LF; the last LF may be missing, a CR before LF is not part of the text.
    Lines = 3,
    /// JSON values, each on its own line. Split like [`Framing::Lines`].
    NdJson = 4,
    /// A list made by [`RecordList`]: every record has a length and may have a sender and a mark that it was cut.
    Records = 5,
    /// Pairs of lines as Elasticsearch's `_bulk` has them: what to do with a document, and the document.
    ElasticBulk = 20,
    /// JSON objects behind one another as Splunk's HTTP Event Collector has them, each with an event inside.
    HecEvents = 21,
    /// A list as in [`Framing::Records`]: first what the decoder has to know of the exporters, then their datagrams.
    Flows = 40,
    /// A list as in [`Framing::Records`] of notifications of SNMP, each with how its sender was known.
    Snmp = 50,
    /// One protobuf `prometheus.WriteRequest`.
    PrometheusWrite = 51,
    /// A list as in [`Framing::Records`] of entries of systemd's journal in its export format.
    JournalExport = 52,
    /// A list as in [`Framing::Records`] of events of the forward protocol, each a tag, a time and a record in MessagePack.
    Fluent = 53,
    /// One protobuf `ExportTraceServiceRequest`.
    OtlpTraces = 60,
}

impl Framing {
    pub const ALL: [Self; 13] = [
        Self::OtlpLogs,
        Self::OtlpMetrics,
        Self::Lines,
        Self::NdJson,
        Self::Records,
        Self::ElasticBulk,
        Self::HecEvents,
        Self::Flows,
        Self::Snmp,
        Self::PrometheusWrite,
        Self::JournalExport,
        Self::Fluent,
        Self::OtlpTraces,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|framing| *framing as u8 == number)
    }
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum EnvelopeError {
    #[error("journal record is shorter than its own head says")]
    Short,
    #[error(
        "journal record has version {version}, this program reads version {VERSION}; was it written by a newer one?"
    )]
    Version { version: u8 },
    #[error("journal record has unknown {what} {number}; was it written by a newer program?")]
    Unknown { what: &'static str, number: u8 },
    #[error("text in the head of a journal record is not UTF-8")]
    Text,
}

impl Envelope {
    pub fn new(door: Door, received: Timestamp, framing: Framing, payload: Bytes) -> Self {
        Self {
            door,
            peer: None,
            sender: None,
            received,
            agent: None,
            format: None,
            host: None,
            labels: Labels::new(),
            framing,
            payload,
        }
    }

    /// Adds a label; more than eight are not kept, and one that is empty is none.
    pub fn label(&mut self, name: impl Into<CompactString>, value: &str) {
        if self.labels.len() < LABELS_MAX && !value.is_empty() {
            self.labels.push((name.into(), cut_name(value, NAME_MAX).into()));
        }
    }

    /// The records of the payload, in the order received. Empty lines are left out; the records of an OTLP message
    /// or of HEC are for their decoders, here they are one record. Never fails: what does not fit its framing is one record.
    pub fn records(&self) -> Records {
        Records { framing: self.framing, peer: self.peer, rest: self.payload.clone() }
    }

    /// What `canh.source` is for a record that came from `peer`: the agent's id, or the door and the name that the sender
    /// has proven, or else its address.
    pub fn source(&self, peer: Option<IpAddr>) -> CompactString {
        if let (None, Some(name)) = (&self.agent, &self.sender) {
            return format_compact!("{}:{name}", self.door.name());
        }
        match (&self.agent, peer) {
            (Some(batch), _) => batch.agent.to_compact_string(),
            (None, Some(address)) => format_compact!("{}:{address}", self.door.name()),
            (None, None) => CompactString::const_new(self.door.name()),
        }
    }
}
