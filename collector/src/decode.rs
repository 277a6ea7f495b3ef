//! From a received batch to events. A plain function: no I/O, no clock. It never fails: what cannot be read is kept
//! as text with an issue that says why.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use canh_schema::{BatchId, ByteSize, Event, EventBatch, EventId, IssueKind, Position, Value, field, field_by_name};
use canh_snmp::Mibs;
use compact_str::{CompactString, ToCompactString, format_compact};

use crate::envelope::{Cut, Door, Envelope, Framing, Record};
use crate::format::{
    self, Context, EnvelopeKeys, Format, Text, Zone, auditd, elastic_bulk, flow_datagrams, fluent, journal_export,
    kafka, otlp, prometheus, snmp, splunk_hec,
};
use crate::secrets::{Masked, Secrets};
use crate::source::{project, slapd};
use crate::vendor::Vendors;

/// What decoding may spend, and what it assumes about times without zone.
#[derive(Clone, Debug)]
pub struct DecodeSettings {
    /// Longest record that is read; the rest of a longer one is cut off and the event says so.
    pub line_max: ByteSize,
    /// Most named values of one event.
    pub fields_max: usize,
    /// Deepest nesting of objects and lists that is looked into.
    pub depth_max: usize,
    /// Most events of one batch; what follows is kept together as one last event without being looked into.
    pub events_max: usize,
    /// How far ahead of the receipt a source's clock may be before the time of receipt is used instead.
    pub future_max: Duration,
    /// Zone of times that do not name theirs.
    pub zone: Zone,
    /// Names of what SNMP sends.
    pub mibs: Arc<Mibs>,
    /// Sources that are described in folders.
    pub vendors: Arc<Vendors>,
    /// Names whose values are not kept.
    pub secrets: Arc<Secrets>,
}

/// The names that are known without any file.
static BUILTIN: LazyLock<Arc<Mibs>> = LazyLock::new(Arc::default);

impl Default for DecodeSettings {
    fn default() -> Self {
        Self {
            line_max: ByteSize::mib(1),
            fields_max: 1_024,
            depth_max: 32,
            events_max: 100_000,
            future_max: Duration::from_secs(24 * 3_600),
            zone: Zone::default(),
            mibs: BUILTIN.clone(),
            vendors: Vendors::shipped(),
            secrets: Secrets::standard(),
        }
    }
}

/// Makes the events of one batch. `position` and `journal` (the random number from the journal's creation) name the
/// batch unless an agent numbered it, so that decoding it again gives the same ids.
pub fn decode(envelope: &Envelope, position: Position, journal: u64, settings: &DecodeSettings) -> EventBatch {
    let batch = match &envelope.agent {
        Some(numbered) => BatchId::from_agent(numbered.agent, numbered.spool, numbered.sequence),
        None => BatchId::from_journal(journal, position.get()),
    };
    let mut decoder = Decoder::new(envelope, batch, settings);
    match envelope.framing {
        Framing::OtlpLogs => otlp::decode_logs(&mut decoder, &envelope.payload),
        Framing::OtlpMetrics => otlp::decode_metrics(&mut decoder, &envelope.payload),
        Framing::OtlpTraces => otlp::decode_traces(&mut decoder, &envelope.payload),
        Framing::Flows => flow_datagrams::decode(&mut decoder, envelope),
        Framing::Snmp => snmp::decode(&mut decoder),
        Framing::PrometheusWrite => prometheus::decode(&mut decoder, &envelope.payload),
        Framing::Fluent => fluent::decode(&mut decoder),
        Framing::Kafka => kafka::decode(&mut decoder),
        Framing::JournalExport => journal_export::decode(&mut decoder),
        Framing::Lines | Framing::NdJson | Framing::Records => decoder.records(),
        Framing::ElasticBulk => elastic_bulk::decode(&mut decoder),
        Framing::HecEvents => splunk_hec::decode(&mut decoder, &envelope.payload),
    }
    settings.vendors.join(&mut decoder.events);
    auditd::join(&mut decoder.events);
    slapd::join(&mut decoder.events);
    let bytes = envelope.payload.len() as u64;
    // What imports a file numbers its batches too, but takes room for more numbers than it needs. Offsets of Kafka have holes.
    let number = envelope.of_agent().copied().filter(|_| envelope.door != Door::Ndjson);
    EventBatch { number, bytes, missing: envelope.missing(), ..EventBatch::new(position, decoder.events) }
}

/// The batch that is being decoded.
pub(crate) struct Decoder<'a> {
    envelope: &'a Envelope,
    settings: &'a DecodeSettings,
    batch: BatchId,
    hint: Option<&'static dyn Format>,
    /// The text of `canh.source` for the peer it was last made for.
    source: (Option<IpAddr>, CompactString),
    pub(crate) events: Vec<Event>,
}

impl<'a> Decoder<'a> {
    fn new(envelope: &'a Envelope, batch: BatchId, settings: &'a DecodeSettings) -> Self {
        Self {
            envelope,
            settings,
            batch,
            hint: envelope.format.as_deref().and_then(format::by_name),
            source: (envelope.peer, envelope.source(envelope.peer)),
            events: Vec::new(),
        }
    }

    pub(crate) fn settings(&self) -> &'a DecodeSettings {
        self.settings
    }

    /// Whether the batch holds all the events that it may.
    pub(crate) fn is_full(&self) -> bool {
        self.events.len() >= self.settings.events_max
    }

    /// A new event with the next id of the batch.
    pub(crate) fn event(&self, raw: Bytes) -> Event {
        let index = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        Event::new(EventId::new(self.batch, index), self.envelope.received, raw)
    }

    pub(crate) fn context(&self) -> Context<'a> {
        Context {
            received: self.envelope.received,
            settings: self.settings,
            file: None,
            envelope_keys: match self.envelope.framing {
                Framing::NdJson => EnvelopeKeys::Read,
                _ => EnvelopeKeys::Plain,
            },
            depth: 0,
            header: None,
        }
    }

    fn records(&mut self) {
        if matches!(self.envelope.framing, Framing::Lines | Framing::NdJson) {
            let lines = 1 + memchr::memchr_iter(b'\n', &self.envelope.payload).count();
            self.events.reserve(lines.min(self.settings.events_max));
        }
        for record in self.envelope.records() {
            if self.is_full() {
                self.rest(&record.bytes);
                return;
            }
            self.record(record);
        }
    }

    fn record(&mut self, record: Record) {
        if let Some(event) = self.read(record.bytes, record.cut, self.hint) {
            self.finish(event, record.peer);
        }
    }

    /// The batch as it was received.
    pub(crate) fn envelope(&self) -> &'a Envelope {
        self.envelope
    }

    /// The event of one text; `None` if it is empty. The caller finishes it.
    pub(crate) fn read(&self, bytes: Bytes, cut: Cut, hint: Option<&'static dyn Format>) -> Option<Event> {
        let sent_len = bytes.len();
        let len_max = self.settings.line_max.as_len();
        let raw = if sent_len > len_max { bytes.slice(..len_max) } else { bytes };
        let context = self.context();
        let hint = hint.or(self.hint);
        let name = self.envelope.format.as_deref();
        let (raw, has_doubtful) = self.without_secrets(raw, &context, hint, name);
        let mut event = self.event(raw.clone());
        if sent_len > len_max {
            event.push_issue(IssueKind::Truncated, format_compact!("{len_max} of {sent_len} bytes kept"));
        } else if cut == Cut::Truncated {
            event.push_issue(IssueKind::Truncated, "cut at the door");
        }
        let text = shown(&raw, &mut event);
        if text.trim_ascii().is_empty() {
            return None;
        }
        decode_named(&text, &context, hint, name, &mut event);
        if has_doubtful {
            self.settings.secrets.mask_doubtful(&mut event);
        }
        Some(event)
    }

    /// The text of a record without secrets, and whether [`Secrets::mask_doubtful`] has to look at its event. The arguments
    /// are those of [`decode_named`], which tells whose record it is where some are to be kept as they are.
    pub(crate) fn without_secrets(
        &self,
        raw: Bytes,
        context: &Context<'_>,
        hint: Option<&'static dyn Format>,
        name: Option<&str>,
    ) -> (Bytes, bool) {
        let secrets = &self.settings.secrets;
        let masked = match context.header {
            Some(header) => Masked { text: header.without_secrets(secrets, &raw), has_doubtful: false },
            None => secrets.mask(&raw),
        };
        if (masked.text.is_some() || masked.has_doubtful) && secrets.keeps_any() {
            let mut event = self.event(raw.clone());
            let text = shown(&raw, &mut event);
            decode_named(&text, context, hint, name, &mut event);
            let dataset = event.get(field::EVENT_DATASET).and_then(Value::as_str).unwrap_or_default();
            if secrets.are_kept(dataset) {
                return (raw, false);
            }
        }
        (masked.text.map_or(raw, Bytes::from), masked.has_doubtful)
    }

    /// Keeps what follows the last event that the batch may hold, so that nothing received is lost.
    pub(crate) fn rest(&mut self, first: &Bytes) {
        let payload = &self.envelope.payload;
        let start = (first.as_ptr() as usize).saturating_sub(payload.as_ptr() as usize);
        let raw = payload.slice(start.min(payload.len())..);
        let raw = self.settings.secrets.mask(&raw).text.map_or(raw, Bytes::from);
        let mut event = self.event(raw.clone());
        event.push_issue(
            IssueKind::Truncated,
            format_compact!("batch has more than {} records; {} bytes not split", self.settings.events_max, raw.len()),
        );
        let head = raw.slice(..raw.len().min(4_096));
        let text = shown(&head, &mut event).into_owned();
        event.set(field::MESSAGE, text);
        self.finish(event, self.envelope.peer);
    }

    /// Sets what every event has, checks its time, and adds it to the batch.
    pub(crate) fn finish(&mut self, mut event: Event, peer: Option<IpAddr>) {
        if event.time > event.received.saturating_add(self.settings.future_max) {
            event.push_issue(IssueKind::FutureTime, event.time.to_compact_string());
            event.time = event.received;
        }
        if self.source.0 != peer {
            self.source = (peer, self.envelope.source(peer));
        }
        event.set(field::CANH_SOURCE, self.source.1.clone());
        if let Some(numbered) = self.envelope.of_agent() {
            event.set(field::AGENT_ID, numbered.agent.to_compact_string());
        }
        if event.get(field::HOST_NAME).is_none() {
            let host = self.envelope.host.clone().or_else(|| peer.map(|address| address.to_compact_string()));
            if let Some(host) = host {
                event.set(field::HOST_NAME, host);
            }
        }
        for (name, value) in &self.envelope.labels {
            match name.as_str() {
                // What the token proves is not for the record to say.
                name if name == field::CANH_TOKEN.name() => event.set(field::CANH_TOKEN, value.clone()),
                name => set_if_absent(&mut event, name, value.clone()),
            }
        }
        // These are not made of one text, or not of it alone.
        let framing = self.envelope.framing;
        if matches!(framing, Framing::Snmp | Framing::JournalExport | Framing::Fluent | Framing::HecEvents) {
            self.settings.secrets.mask_values(&mut event);
        }
        self.events.push(event);
    }
}

/// Sets the field of this name, or else the attribute, unless the event has it.
pub(crate) fn set_if_absent(event: &mut Event, name: &str, value: impl Into<Value>) {
    if event.lookup(name).is_some() {
        return;
    }
    let value = value.into();
    match field_by_name(name) {
        Some(id) if project::set_value(event, id, &value) => (),
        _ => event.attrs.push((name.into(), value)),
    }
}

/// As [`decode_text`]; `name` may be that of a source that is described in a folder.
pub(crate) fn decode_named(
    text: &str,
    context: &Context<'_>,
    hint: Option<&'static dyn Format>,
    name: Option<&str>,
    event: &mut Event,
) {
    if let Some(header) = context.header {
        return header.apply(event, context, text.trim_end_matches(['\0', '\r', '\n']));
    }
    if let Some(name) = name.filter(|name| hint.is_none() && name.contains('-')) {
        let line = text.trim_end_matches(['\0', '\r', '\n']);
        match context.settings.vendors.named(name) {
            Some(source) if source.apply(event, context, line) => return,
            _ => event.push_issue(IssueKind::Malformed, format_compact!("not {name}")),
        }
    }
    decode_text(text, context, hint, event);
    // Said to be of this source: what it does not want to be kept is not kept, whoever has read the record.
    if let Some(source) = name.and_then(|name| context.settings.vendors.named(name)) {
        source.mask(event);
    }
}

/// Fills the event from one text: with the format that was named, or else the first that fits.
pub(crate) fn decode_text(text: &str, context: &Context<'_>, hint: Option<&'static dyn Format>, event: &mut Event) {
    let mut text = Text::new(text.trim_end_matches(['\0', '\r', '\n']));
    format::decode(&mut text, context, hint, event);
    if let Some(logsource) = text.take_logsource() {
        event.logsource = logsource;
    }
    if event.get(field::MESSAGE).is_none() {
        event.set(field::MESSAGE, text.as_str());
    }
    context.settings.vendors.mask_unread(event, text.as_str());
}

/// The bytes as text. What is not UTF-8 is shown with replacement characters and noted.
pub(crate) fn shown<'b>(bytes: &'b [u8], event: &mut Event) -> Cow<'b, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        // A cut in the middle of a character is the cut's doing, not the sender's.
        Err(error) if error.error_len().is_none() && event.issues.iter().any(|i| i.kind == IssueKind::Truncated) => {
            String::from_utf8_lossy(&bytes[..error.valid_up_to()])
        }
        Err(error) => {
            event.push_issue(IssueKind::InvalidUtf8, format_compact!("at byte {}", error.valid_up_to()));
            String::from_utf8_lossy(bytes)
        }
    }
}
