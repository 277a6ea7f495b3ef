//! Who sends us events.

use canh_store::state::{SourceKind, SourceRecord};
use serde::Serialize;
use utoipa::ToSchema;

use super::Time;

/// Agents and other senders, those heard of most recently first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentList {
    pub(crate) items: Vec<AgentView>,
    /// Without a sign of life for so long, a sender counts as silent.
    pub(crate) silent_after_s: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentView {
    /// Agent id, or door and address of the sender.
    pub(crate) id: String,
    pub(crate) kind: AgentKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    pub(crate) first_seen: Time,
    pub(crate) last_seen: Time,
    pub(crate) status: AgentStatus,
    /// Events received from it.
    pub(crate) events: u64,
    /// Bytes received from it, before decompression is undone: the size of the events themselves.
    pub(crate) bytes: u64,
    /// What the sender itself says that it lost.
    pub(crate) dropped: Vec<AgentDropped>,
    /// Bytes that wait in its spool, as it last said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spool_bytes: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentKind {
    /// Our own agent.
    Agent,
    /// Another OpenTelemetry sender.
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
    /// Files read by the server itself.
    File,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AgentStatus {
    Online,
    Silent,
    /// It delivered the demo and is not expected to send again.
    Demo,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentDropped {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

impl AgentView {
    pub(crate) fn new(record: SourceRecord, status: AgentStatus) -> Self {
        Self {
            id: record.id.into(),
            kind: match record.kind {
                SourceKind::Agent => AgentKind::Agent,
                SourceKind::Otlp => AgentKind::Otlp,
                SourceKind::Syslog => AgentKind::Syslog,
                SourceKind::Http => AgentKind::Http,
                SourceKind::Flow => AgentKind::Flow,
                SourceKind::Snmp => AgentKind::Snmp,
                SourceKind::Gelf => AgentKind::Gelf,
                SourceKind::Fluent => AgentKind::Fluent,
                SourceKind::Kafka => AgentKind::Kafka,
                SourceKind::File => AgentKind::File,
            },
            host: record.host.map(Into::into),
            version: record.version.map(Into::into),
            first_seen: record.first_seen.into(),
            last_seen: record.last_seen.into(),
            status,
            events: record.events,
            bytes: record.bytes,
            dropped: record
                .dropped
                .into_iter()
                .map(|(reason, count)| AgentDropped { reason: reason.into(), count })
                .collect(),
            spool_bytes: record.spool_bytes,
        }
    }
}
