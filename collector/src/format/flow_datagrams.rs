//! Batches of NetFlow, IPFIX and sFlow. The first record of a batch is what its data need of what exporters said before, so
//! decoding looks at nothing else; docs/decisions/flow-decoder.md says why. What the values mean is in
//! `source::exported_flow`.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use canh_flows::{Counters, FlowSet, Limits, Sample, Sink, UnknownSet};
use canh_schema::{Event, IssueKind, field};
use compact_str::format_compact;

use crate::decode::Decoder;
use crate::envelope::{Envelope, Record};
use crate::source::exported_flow::{self, Exported};

pub(crate) fn decode(decoder: &mut Decoder<'_>, envelope: &Envelope) {
    let mut records = envelope.records();
    let Some(context) = records.next() else { return };
    let mut flows = canh_flows::Decoder::new(Limits::BATCH);
    if !flows.restore(&context.bytes).is_whole {
        problem(decoder, &context, "what was known of the exporters cannot be read".into());
    }
    let mut left = 0;
    for record in records {
        let exporter = record.peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let mut events = Events { decoder, record: &record, exporter, left: 0, unknown: None };
        let outcome = flows.feed(exporter, &record.bytes, &mut events);
        let (more, unknown) = (events.left, events.unknown);
        left += more;
        if let Some(malformed) = outcome.malformed {
            problem(decoder, &record, malformed.text().into());
        } else if let Some(template) = unknown {
            problem(decoder, &record, format_compact!("template {template} is not known"));
        }
    }
    if left > 0 {
        let mut event = decoder.event(Bytes::new());
        let text = format_compact!("batch has more than {} flows; {left} left out", decoder.settings().events_max);
        event.push_issue(IssueKind::Truncated, text.clone());
        event.set(field::MESSAGE, text);
        decoder.finish(event, None);
    }
}

/// An event that keeps a datagram of which something could not be read.
fn problem(decoder: &mut Decoder<'_>, record: &Record, text: compact_str::CompactString) {
    if decoder.is_full() {
        return;
    }
    let mut event = decoder.event(record.bytes.clone());
    event.set(field::MESSAGE, format_compact!("flow datagram: {text}"));
    event.push_issue(IssueKind::Malformed, text);
    decoder.finish(event, record.peer);
}

/// Makes events of one datagram.
struct Events<'d, 'e> {
    decoder: &'d mut Decoder<'e>,
    record: &'d Record,
    exporter: IpAddr,
    /// Flows that did not fit into the batch.
    left: u64,
    unknown: Option<u16>,
}

impl Events<'_, '_> {
    /// A new event, if the batch may have one more.
    fn event(&mut self, bytes: &[u8]) -> Option<Event> {
        if self.decoder.is_full() {
            self.left += 1;
            return None;
        }
        Some(self.decoder.event(part(&self.record.bytes, bytes)))
    }

    fn finish(&mut self, event: Event) {
        self.decoder.finish(event, self.record.peer);
    }
}

impl Sink for Events<'_, '_> {
    fn flows(&mut self, set: &FlowSet<'_>) {
        set.for_each(|record| {
            let Some(mut event) = self.event(record.bytes()) else { return };
            exported_flow::record(&mut event, set, &record);
            self.finish(event);
        });
    }

    fn unknown(&mut self, set: &UnknownSet<'_>) {
        self.unknown.get_or_insert(set.template);
    }

    fn sample(&mut self, sample: Sample<'_>) {
        let Some(mut event) = self.event(sample.bytes) else { return };
        exported_flow::sample(&mut event, &sample);
        self.finish(event);
    }

    fn counters(&mut self, counters: &Counters<'_>) {
        let Some(interface) = &counters.interface else { return };
        let exported = Exported { observer: counters.agent, exporter: self.exporter };
        for metric in exported_flow::metrics(interface) {
            let Some(mut event) = self.event(counters.bytes) else { return };
            exported_flow::metric(&mut event, &exported, interface, &metric);
            self.finish(event);
        }
    }
}

/// The bytes as a part of those that they lie in.
fn part(whole: &Bytes, bytes: &[u8]) -> Bytes {
    let start = (bytes.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
    match start.checked_add(bytes.len()) {
        Some(end) if end <= whole.len() => whole.slice(start..end),
        _ => Bytes::copy_from_slice(bytes),
    }
}

/// Datagrams and a context, each with two bytes of length before it, so that the fuzzer gets behind the framing.
pub(crate) fn fuzz(bytes: &[u8]) {
    let mut list = crate::envelope::RecordList::default();
    let mut rest = bytes;
    while let Some((len, more)) = rest.split_first_chunk::<2>() {
        let (record, more) = more.split_at(usize::from(u16::from_be_bytes(*len)).min(more.len()));
        list.push(record, Some([192, 0, 2, 1].into()), crate::envelope::Cut::Whole);
        rest = more;
    }
    let received = canh_schema::Timestamp::from_secs(1_793_000_000);
    let framing = crate::envelope::Framing::Flows;
    let envelope = Envelope::new(crate::envelope::Door::Flow, received, framing, list.take());
    crate::decode(&envelope, canh_schema::Position::new(1), 1, &crate::DecodeSettings::default());
}
