//! Counters of the flow door.

use canh_flows::{Gap, Outcome, StoreCounts};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

#[derive(Clone)]
pub(in crate::door) struct FlowMetrics {
    records: IntCounterVec,
    sequence: IntCounterVec,
    knowledge: IntCounterVec,
    templates: IntGauge,
    exporters: IntGauge,
    held: IntGauge,
}

impl FlowMetrics {
    pub(in crate::door) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        Ok(Self {
            records: counter(
                "canh_flow_records_total",
                "Records received: flows, options, counters, and datagrams that cannot be read.",
                &["protocol", "kind"],
            )?,
            sequence: counter(
                "canh_flow_sequence_total",
                "By the numbers of messages: what exporters sent and did not arrive (NetFlow v5 counts flows, v9 and \
                 sFlow messages, IPFIX records), messages that came late, and exporters that began again.",
                &["protocol", "gap"],
            )?,
            knowledge: counter(
                "canh_flow_templates_total",
                "Templates that were learned, redefined, taken back or had to make room, exporters that had to make \
                 room, and options that found none.",
                &["what"],
            )?,
            templates: gauge("canh_flow_templates", "Templates known.")?,
            exporters: gauge("canh_flow_exporters", "Pairs of exporter and domain that templates are known of.")?,
            held: gauge("canh_flow_held_bytes", "Bytes of data that wait for their template.")?,
        })
    }

    pub(super) fn count(&self, outcome: &Outcome) {
        let protocol = outcome.protocol.map_or("unknown", canh_flows::Protocol::name);
        let malformed = u64::from(outcome.malformed.is_some());
        for (kind, count) in [
            ("flow", outcome.flows),
            ("options", outcome.options),
            ("counters", outcome.counters),
            ("malformed", malformed),
        ] {
            if count > 0 {
                self.records.with_label_values(&[protocol, kind]).inc_by(count);
            }
        }
    }

    pub(super) fn gap(&self, outcome: &Outcome, gap: Gap) {
        let Some(protocol) = outcome.protocol else { return };
        let (name, count) = match gap {
            Gap::None => return,
            Gap::Lost(count) => ("lost", u64::from(count)),
            Gap::Late => ("late", 1),
            Gap::Restarted => ("restarted", 1),
        };
        self.sequence.with_label_values(&[protocol.name(), name]).inc_by(count);
    }

    /// Tells what changed since `before`.
    pub(super) fn knowledge(&self, before: StoreCounts, now: StoreCounts, known: (usize, usize), held: usize) {
        for (what, before, now) in [
            ("learned", before.learned, now.learned),
            ("redefined", before.redefined, now.redefined),
            ("withdrawn", before.withdrawn, now.withdrawn),
            ("evicted", before.evicted_templates, now.evicted_templates),
            ("evicted_exporters", before.evicted_streams, now.evicted_streams),
            ("refused_options", before.refused_options, now.refused_options),
        ] {
            if now > before {
                self.knowledge.with_label_values(&[what]).inc_by(now - before);
            }
        }
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.templates.set(whole(known.0));
        self.exporters.set(whole(known.1));
        self.held.set(whole(held));
    }
}
