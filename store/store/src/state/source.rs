//! Who sends events.

use canh_schema::Timestamp;
use compact_str::CompactString;

/// Which door a sender uses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SourceKind {
    /// Our own agent.
    Agent,
    Otlp,
    Syslog,
    Http,
    /// NetFlow, IPFIX or sFlow.
    Flow,
    /// Traps and informs of SNMP.
    Snmp,
    /// GELF over UDP or TCP.
    Gelf,
    /// The forward protocol of Fluentd and Fluent Bit.
    Fluent,
    /// A topic of Kafka.
    Kafka,
    /// Files that the server reads itself.
    File,
}

impl SourceKind {
    pub const ALL: [Self; 10] = [
        Self::Agent,
        Self::Otlp,
        Self::Syslog,
        Self::Http,
        Self::Flow,
        Self::Snmp,
        Self::Gelf,
        Self::Fluent,
        Self::Kafka,
        Self::File,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Otlp => "otlp",
            Self::Syslog => "syslog",
            Self::Http => "http",
            Self::Flow => "flow",
            Self::Snmp => "snmp",
            Self::Gelf => "gelf",
            Self::Fluent => "fluent",
            Self::Kafka => "kafka",
            Self::File => "file",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What one sender did since the last report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceReport {
    /// As in `canh.source`: agent id, or door and address.
    pub id: CompactString,
    pub kind: SourceKind,
    /// `None` leaves what is known.
    pub host: Option<CompactString>,
    pub version: Option<CompactString>,
    pub seen: Timestamp,
    /// Added to what was counted before.
    pub events: u64,
    pub bytes: u64,
    /// The sender's own counters since its first start; they replace what was known. `None` leaves what is known.
    pub dropped: Option<Vec<(CompactString, u64)>>,
    pub spool_bytes: Option<u64>,
    /// Milliseconds that its clock is behind ours, negative if it is ahead. `None` leaves what is known.
    pub clock_behind_ms: Option<i64>,
}

/// When the demo was played. A sender that was heard of then and at no other time is one of the demo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DemoRun {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl DemoRun {
    pub fn has(&self, sender: &SourceRecord) -> bool {
        sender.first_seen >= self.from && sender.last_seen <= self.to
    }
}

/// One sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceRecord {
    pub id: CompactString,
    pub kind: SourceKind,
    pub host: Option<CompactString>,
    pub version: Option<CompactString>,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub events: u64,
    pub bytes: u64,
    /// By reason.
    pub dropped: Vec<(CompactString, u64)>,
    pub spool_bytes: Option<u64>,
    pub clock_behind_ms: Option<i64>,
}

impl SourceRecord {
    /// A sender that is heard of for the first time.
    pub fn first(report: &SourceReport) -> Self {
        let mut record = Self {
            id: report.id.clone(),
            kind: report.kind,
            host: None,
            version: None,
            first_seen: report.seen,
            last_seen: report.seen,
            events: 0,
            bytes: 0,
            dropped: Vec::new(),
            spool_bytes: None,
            clock_behind_ms: None,
        };
        record.add(report);
        record
    }

    /// Adds what a report says. Every backend uses this, so that they add alike.
    pub fn add(&mut self, report: &SourceReport) {
        self.kind = report.kind;
        self.host = report.host.clone().or_else(|| self.host.take());
        self.version = report.version.clone().or_else(|| self.version.take());
        self.first_seen = self.first_seen.min(report.seen);
        self.last_seen = self.last_seen.max(report.seen);
        self.events = self.events.saturating_add(report.events);
        self.bytes = self.bytes.saturating_add(report.bytes);
        if let Some(dropped) = &report.dropped {
            self.dropped.clone_from(dropped);
            self.dropped.sort();
        }
        self.spool_bytes = report.spool_bytes.or(self.spool_bytes);
        self.clock_behind_ms = report.clock_behind_ms.or(self.clock_behind_ms);
    }
}
