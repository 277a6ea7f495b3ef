//! What every door needs: the way into the journal, and the counters beside it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use canh_schema::{AgentId, Timestamp};
use compact_str::CompactString;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use tokio_util::sync::CancellationToken;

use super::flow::FlowMetrics;
use super::places::RefusedConnection;
use super::samples::SampleSink;
use super::source_tokens::{SourceToken, SourceTokens};
use crate::drops::{DropReason, Drops};
use crate::envelope::{Door, Envelope};
use crate::journal::{Appended, Journal, JournalError};
use crate::sources::{Noted, Seen, SourceAbout, SourceKey, Sources};
use crate::token::{AuthError, Scheme, TokenCheck, tokens_in};

/// Label of a batch that came with the token of one source: the name of that token.
pub(super) const TOKEN_LABEL: &str = "canh.token";

/// How long to wait before a full or failing journal is asked again.
const RETRY: Duration = Duration::from_millis(200);

/// The way from a door into the journal. Clones are the same way.
#[derive(Clone)]
pub struct Intake {
    pub(super) journal: Arc<Journal>,
    tokens: Arc<dyn TokenCheck>,
    source_tokens: Arc<SourceTokens>,
    pub(super) drops: Drops,
    pub(super) sources: Arc<Sources>,
    /// Scans files, if there are rules for it.
    pub(super) samples: Option<Arc<dyn SampleSink>>,
    pub(super) metrics: Arc<DoorMetrics>,
}

pub(super) struct DoorMetrics {
    batches: IntCounterVec,
    records: IntCounterVec,
    bytes: IntCounterVec,
    refused: IntCounterVec,
    resent: IntCounterVec,
    token_records: IntCounterVec,
    refused_connections: IntCounterVec,
    pub(super) connections: IntGaugeVec,
    pub(super) flows: FlowMetrics,
}

impl DoorMetrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let help = "Connections open at a door.";
        let connections = IntGaugeVec::new(Opts::new("canh_door_connections", help), &["door"])?;
        registry.register(Box::new(connections.clone()))?;
        Ok(Self {
            batches: counter("canh_door_batches_total", "Batches journaled.", &["door"])?,
            records: counter("canh_door_records_total", "Records journaled.", &["door"])?,
            bytes: counter("canh_door_bytes_total", "Bytes of payload journaled.", &["door"])?,
            refused: counter("canh_door_refused_total", "Requests refused; the sender was told.", &["door", "reason"])?,
            resent: counter(
                "canh_door_resent_total",
                "Bodies that came again because their sender had gone away before the answer; not kept twice.",
                &["door"],
            )?,
            token_records: counter(
                "canh_token_records_total",
                "Records journaled of a source that has a token of its own.",
                &["token", "door"],
            )?,
            refused_connections: counter(
                "canh_door_connections_refused_total",
                "Connections closed because of a limit on their number, or because they could not be secured.",
                &["door", "reason"],
            )?,
            connections,
            flows: FlowMetrics::new(registry)?,
        })
    }

    /// Counts a batch that the journal has.
    fn kept(&self, door: Door, token: Option<&str>, records: u64, bytes: u64) {
        let door = door.name();
        if let Some(token) = token {
            self.token_records.with_label_values(&[token, door]).inc_by(records);
        }
        self.batches.with_label_values(&[door]).inc();
        self.records.with_label_values(&[door]).inc_by(records);
        self.bytes.with_label_values(&[door]).inc_by(bytes);
    }
}

impl Intake {
    /// # Errors
    ///
    /// If `registry` has the counters already.
    pub fn new(
        journal: Arc<Journal>,
        tokens: Arc<dyn TokenCheck>,
        drops: Drops,
        sources: Arc<Sources>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let source_tokens = Arc::new(SourceTokens::new(&[]));
        let metrics = Arc::new(DoorMetrics::new(registry)?);
        Ok(Self { journal, tokens, source_tokens, drops, sources, samples: None, metrics })
    }

    /// The same way with sources that have tokens of their own.
    #[must_use]
    pub(crate) fn with_source_tokens(self, tokens: &[SourceToken]) -> Self {
        Self { source_tokens: Arc::new(SourceTokens::new(tokens)), ..self }
    }

    /// Whose token is in an `authorization` header: the name of a source that has one of its own, no name for the token
    /// that all share.
    pub(super) fn who(&self, schemes: &[Scheme], header: Option<&[u8]>) -> Result<Option<CompactString>, AuthError> {
        for token in tokens_in(schemes, header)? {
            // Both lists are always asked, so that time says nothing about them.
            let (shared, own) = (self.tokens.check(&token), self.source_tokens.check(&token));
            if shared.is_some() || own.is_some() {
                return Ok(own);
            }
        }
        Err(AuthError::Unknown)
    }

    /// The same way with somebody who scans files.
    #[must_use]
    pub fn with_samples(self, samples: Option<Arc<dyn SampleSink>>) -> Self {
        Self { samples, ..self }
    }

    /// Journals a batch of one sender and notes it under that sender.
    pub(super) async fn append(&self, envelope: Envelope, records: u64) -> Result<Appended, JournalError> {
        let source = source_key(&envelope);
        self.append_of(source, envelope, records).await
    }

    /// Journals a batch whose senders the caller notes itself.
    pub(super) async fn append_quietly(&self, envelope: Envelope, records: u64) -> Result<Appended, JournalError> {
        self.append_of(None, envelope, records).await
    }

    async fn append_of(
        &self,
        source: Option<SourceKey>,
        envelope: Envelope,
        records: u64,
    ) -> Result<Appended, JournalError> {
        let (door, peer, at) = (envelope.door, envelope.peer, envelope.received);
        let bytes = envelope.payload.len() as u64;
        // Names of tokens come from the configuration, so there are few.
        let token = envelope.labels.iter().find(|(name, _)| name == TOKEN_LABEL).map(|(_, token)| token.clone());
        let (metrics, sources) = (self.metrics.clone(), self.sources.clone());
        let kept = move |appended: &Appended| {
            let mut seen = Seen { batches: 1, ..Seen::new(door, peer, at) };
            if appended.duplicate {
                seen.duplicates = 1;
            } else {
                metrics.kept(door, token.as_deref(), records, bytes);
                (seen.records, seen.bytes) = (records, bytes);
            }
            if let Some(source) = source {
                if appended.duplicate {
                    sources.note(source.name(), Noted::Duplicates, records);
                }
                sources.add(source, &seen);
            }
        };
        self.journal.append_then(envelope, kept).await
    }

    /// Journals a batch that one of our agents sent beside its numbered ones, and notes it under that agent.
    pub(super) async fn append_of_agent(
        &self,
        envelope: Envelope,
        records: u64,
        agent: AgentId,
    ) -> Result<(), JournalError> {
        // The door of its numbered batches, by which it is known for an agent.
        let mut seen = Seen::new(Door::OtlpGrpc, envelope.peer, envelope.received);
        (seen.batches, seen.records, seen.bytes) = (1, records, envelope.payload.len() as u64);
        self.append_quietly(envelope, records).await?;
        self.sources.add(SourceKey::Agent(agent), &seen);
        Ok(())
    }

    /// Journals a batch of one sender, who waits meanwhile: a full or failing journal is asked again until `stop` fires.
    pub(super) async fn append_patiently(
        &self,
        envelope: &Envelope,
        records: u64,
        stop: &CancellationToken,
    ) -> Result<Appended, JournalError> {
        loop {
            let error = match self.append(envelope.clone(), records).await {
                Ok(appended) => return Ok(appended),
                Err(error) => error,
            };
            if !error.is_retryable() || stop.is_cancelled() {
                return Err(error);
            }
            tokio::select! {
                () = stop.cancelled() => (),
                () = tokio::time::sleep(RETRY) => (),
            }
        }
    }

    /// Notes the name that a sender has proven as the name of its host.
    pub(super) fn describe_named(&self, door: Door, name: &CompactString) {
        let mut about = SourceAbout::default();
        about.set_host(name);
        self.sources.describe(&SourceKey::Named(door, name.clone()), about);
    }

    /// Counts records that could not be journaled and that nobody will send again.
    pub(super) fn lost(&self, door: Door, peer: Option<IpAddr>, error: &JournalError, records: u64) {
        self.dropped(door, peer, lost_reason(error), records);
    }

    pub(super) fn dropped(&self, door: Door, peer: Option<IpAddr>, reason: DropReason, records: u64) {
        self.dropped_of(door, peer, None, reason, records);
    }

    /// The same for a sender that may have proven its name.
    pub(super) fn dropped_of(
        &self,
        door: Door,
        peer: Option<IpAddr>,
        name: Option<&CompactString>,
        reason: DropReason,
        records: u64,
    ) {
        if records == 0 {
            return;
        }
        self.drops.add(door.name(), reason, records);
        let named = name.map(|name| SourceKey::Named(door, name.clone()));
        let source = named.or(peer.map(|address| SourceKey::Peer(door, address)));
        let name = source.as_ref().map_or_else(|| CompactString::const_new(door.name()), SourceKey::name);
        self.sources.note(name, Noted::Dropped(reason), records);
        if let Some(source) = source {
            self.sources.add(source, &Seen { dropped: records, ..Seen::new(door, peer, Timestamp::now()) });
        }
    }

    /// Notes what a sender numbered and did not arrive.
    pub(super) fn missed(&self, door: Door, peer: IpAddr, messages: u64) {
        self.sources.note(SourceKey::Peer(door, peer).name(), Noted::Missed, messages);
    }

    /// Counts a body that came again and is in the journal already.
    pub(super) fn resent(&self, door: Door, peer: IpAddr) {
        self.resent_of(door, Some(peer), Some(SourceKey::Peer(door, peer)));
    }

    /// The same for a sender that may have proven its name.
    pub(super) fn resent_of(&self, door: Door, peer: Option<IpAddr>, source: Option<SourceKey>) {
        self.metrics.resent.with_label_values(&[door.name()]).inc();
        let mut seen = Seen::new(door, peer, Timestamp::now());
        seen.duplicates = 1;
        if let Some(source) = source {
            self.sources.add(source, &seen);
        }
    }

    /// Counts a request that was refused, so that its sender knows and still has the data.
    pub(super) fn refused(&self, door: Door, reason: &'static str) {
        self.metrics.refused.with_label_values(&[door.name(), reason]).inc();
    }

    /// Counts records of a request that were refused while others of it were taken; the sender was told.
    pub(super) fn refused_items(&self, door: Door, reason: &'static str, items: u64) {
        if items > 0 {
            self.metrics.refused.with_label_values(&[door.name(), reason]).inc_by(items);
        }
    }

    /// Counts a connection that was closed for a limit. What its sender wanted to send is not known.
    pub(super) fn refused_connection(&self, door: &str, reason: RefusedConnection) {
        self.refused_for(door, reason.name());
    }

    /// The same for a reason that only some doors have.
    pub(super) fn refused_for(&self, door: &str, reason: &'static str) {
        self.metrics.refused_connections.with_label_values(&[door, reason]).inc();
    }
}

pub(super) fn lost_reason(error: &JournalError) -> DropReason {
    match error {
        JournalError::Full { .. } => DropReason::JournalFull,
        JournalError::Closed => DropReason::ShuttingDown,
        _ => DropReason::JournalError,
    }
}

/// Under whom a batch is noted.
pub(super) fn source_key(envelope: &Envelope) -> Option<SourceKey> {
    if let (None, Some(name)) = (&envelope.agent, &envelope.sender) {
        return Some(SourceKey::Named(envelope.door, name.clone()));
    }
    match (&envelope.agent, envelope.peer) {
        (Some(batch), _) => Some(SourceKey::Agent(batch.agent)),
        (None, Some(address)) => Some(SourceKey::Peer(envelope.door, address)),
        (None, None) => None,
    }
}
