//! From datagrams to records, with what exporters said before.

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashSet;

use crate::context::{self, Context, Restored};
use crate::flow::{Clock, Sampling, Slot};
use crate::flow_set::FlowSet;
use crate::limits::Limits;
use crate::message::{self, Malformed, Set};
use crate::options::{self, Topic};
use crate::sflow::{self, Counters, Item, Sample};
use crate::store::{Store, StoreCounts, StreamKey};
use crate::template::{self, Protocol, SetEnd, Template, TemplateSet};
use crate::wire::{Reader, unsigned};

/// Takes what is in a datagram.
pub trait Sink {
    /// Records of flows that share a template.
    fn flows(&mut self, set: &FlowSet<'_>);

    /// Data whose template is not known.
    fn unknown(&mut self, _set: &UnknownSet<'_>) {}

    fn sample(&mut self, _sample: Sample<'_>) {}

    fn counters(&mut self, _counters: &Counters<'_>) {}
}

/// Data that cannot be read yet.
#[derive(Clone, Copy, Debug)]
pub struct UnknownSet<'a> {
    pub stream: StreamKey,
    pub template: u16,
    /// Which set of its message it is, from 0.
    pub place: usize,
    /// With its head.
    pub bytes: &'a [u8],
}

/// What was in a datagram.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// `None` if it is of no protocol that is known here.
    pub protocol: Option<Protocol>,
    /// What tells apart exporters of one address: domain, source id, engine or sub-agent.
    pub domain: u32,
    pub sequence: Option<u32>,
    /// By how much the sequence number grows until the next message, if all of this one could be counted.
    pub step: Option<u32>,
    pub flows: u64,
    pub options: u64,
    pub counters: u64,
    /// Sets whose template is not known.
    pub unknown_sets: u64,
    /// Templates that are new, or new in this form.
    pub learned: Vec<u16>,
    pub malformed: Option<Malformed>,
}

impl Outcome {
    fn malformed(problem: Malformed, protocol: Option<Protocol>) -> Self {
        Self { malformed: Some(problem), protocol, ..Self::default() }
    }
}

/// Decodes datagrams one after another. Pure: the same datagrams give the same records.
#[derive(Default, Debug)]
pub struct Decoder {
    store: Store,
    /// Collects what the data of the batch need, between [`Decoder::begin_batch`] and [`Decoder::take_context`].
    context: Option<Context>,
    needed: FxHashSet<(Topic, u64)>,
}

impl Decoder {
    pub fn new(limits: Limits) -> Self {
        Self { store: Store::new(limits), ..Self::default() }
    }

    /// From here on, what data need of what was said before is noted.
    pub fn begin_batch(&mut self) {
        self.store.batch += 1;
        self.context = Some(Context::default());
    }

    /// What the data since [`Decoder::begin_batch`] needed; [`Decoder::restore`] reads it.
    pub fn take_context(&mut self) -> Vec<u8> {
        self.context.take().map(|mut context| context.take()).unwrap_or_default()
    }

    /// About how long [`Decoder::take_context`] would be.
    pub fn context_len(&self) -> usize {
        self.context.as_ref().map_or(0, Context::len)
    }

    /// All that is known.
    pub fn snapshot(&self) -> Vec<u8> {
        context::whole(&self.store)
    }

    /// Learns what [`Decoder::snapshot`] or [`Decoder::take_context`] wrote.
    pub fn restore(&mut self, bytes: &[u8]) -> Restored {
        let restored = context::restore(&mut self.store, bytes);
        self.store.changed = false;
        restored
    }

    /// Whether something was learned or lost since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.store.changed)
    }

    pub fn counts(&self) -> StoreCounts {
        self.store.counts
    }

    /// Templates, and pairs of exporter and domain, that are known.
    pub fn known(&self) -> (usize, usize) {
        (self.store.templates_len(), self.store.streams.len())
    }

    /// Reads one datagram of this exporter.
    pub fn feed(&mut self, exporter: IpAddr, datagram: &[u8], sink: &mut impl Sink) -> Outcome {
        self.store.tick += 1;
        if sflow::is_sflow(datagram) {
            return feed_sflow(datagram, sink);
        }
        match message::fixed(datagram) {
            Ok(Some(fixed)) => return feed_fixed(exporter, &fixed, sink),
            Ok(None) => (),
            Err(problem) => return Outcome::malformed(problem, None),
        }
        match message::head(datagram) {
            Ok(Some((head, sets))) => self.feed_sets(exporter, &head, sets, sink),
            Ok(None) => Outcome::malformed(Malformed::NoProtocol, None),
            Err(problem) => Outcome::malformed(problem, None),
        }
    }

    fn feed_sets(
        &mut self,
        exporter: IpAddr,
        head: &message::Head,
        sets: message::Sets<'_>,
        sink: &mut impl Sink,
    ) -> Outcome {
        let key = StreamKey { exporter, protocol: head.protocol, domain: head.domain };
        let mut outcome = Outcome {
            protocol: Some(head.protocol),
            domain: head.domain,
            sequence: Some(head.sequence),
            ..Outcome::default()
        };
        for (place, set) in sets.enumerate() {
            let set = match set {
                Ok(set) => set,
                Err(problem) => {
                    outcome.malformed.get_or_insert(problem);
                    break;
                }
            };
            if let Some(kind) = TemplateSet::of(head.protocol, set.id) {
                self.define(key, kind, &set, &mut outcome);
            } else if set.id >= 256 {
                self.data(key, head, (place, &set), sink, &mut outcome);
            }
        }
        outcome.step = match head.protocol {
            Protocol::NetflowV9 => Some(1),
            _ if outcome.unknown_sets > 0 || outcome.malformed.is_some() => None,
            _ => u32::try_from(outcome.flows + outcome.options).ok(),
        };
        outcome
    }

    fn define(&mut self, key: StreamKey, kind: TemplateSet, set: &Set<'_>, outcome: &mut Outcome) {
        let mut reader = Reader::new(set.body);
        while reader.rest().len() >= 4 {
            let before = reader.rest();
            let Some(definition) = template::read(kind, &mut reader) else {
                if before.iter().any(|byte| *byte != 0) {
                    outcome.malformed.get_or_insert(Malformed::Template);
                }
                return;
            };
            outcome.learned.extend(self.store.define(key, definition, kind.is_options()));
        }
    }

    fn data(
        &mut self,
        key: StreamKey,
        head: &message::Head,
        (place, set): (usize, &Set<'_>),
        sink: &mut impl Sink,
        outcome: &mut Outcome,
    ) {
        let (tick, batch) = (self.store.tick, self.store.batch);
        let known = self.store.streams.get_mut(&key).and_then(|stream| {
            stream.seen = tick;
            stream.templates.get_mut(&set.id)
        });
        let Some(known) = known else {
            outcome.unknown_sets += 1;
            sink.unknown(&UnknownSet { stream: key, template: set.id, place, bytes: set.whole });
            return;
        };
        (known.used, known.proven) = (tick, true);
        let template = Arc::clone(&known.value);
        if let Some(context) = &mut self.context
            && known.learned != batch
            && known.written != batch
        {
            known.written = batch;
            context.template(key, &template);
        }
        let mut count = 0u64;
        let end = if template.is_options() {
            let store = &mut self.store;
            template.records(set.body, |record| {
                count += 1;
                options::read(&record, |topic, about, fact| store.note(key, topic, about, fact));
            })
        } else {
            template.count(set.body, &mut count)
        };
        if end == SetEnd::Damaged {
            outcome.malformed.get_or_insert(Malformed::Record);
        }
        if template.is_options() {
            outcome.options += count;
            return;
        }
        outcome.flows += count;
        self.note_needed(key, &template, set.body);
        let zero = StreamKey { domain: 0, ..key };
        let own = self.store.streams.get(&key);
        let up_since = own.and_then(|stream| stream.fact(Topic::UpSince, 0)).map(|fact| fact.number);
        sink.flows(&FlowSet {
            exporter: key.exporter,
            protocol: head.protocol,
            domain: head.domain,
            sequence: Some(head.sequence),
            clock: Clock { up_since, ..head.clock },
            template: &template,
            bytes: set.body,
            sampling: Sampling::Unsaid,
            own,
            zero: if key.domain == 0 { None } else { self.store.streams.get(&zero) },
        });
    }

    /// Notes the facts that the records refer to, if a context is wanted.
    fn note_needed(&mut self, key: StreamKey, template: &Template, body: &[u8]) {
        let Some(context) = &mut self.context else { return };
        let zero = StreamKey { domain: 0, ..key };
        let streams = &mut self.store.streams;
        let has_facts = |key| streams.get(&key).is_some_and(|stream| !stream.options.is_empty());
        if !has_facts(key) && !has_facts(zero) {
            return;
        }
        self.needed.clear();
        self.needed.extend([(Topic::Everything, 0), (Topic::UpSince, 0)]);
        let places: Vec<_> =
            REFERENCES.iter().filter_map(|(slot, topic)| Some((*topic, template.slot(*slot)?))).collect();
        let mut last = vec![None; places.len()];
        template.records(body, |record| {
            for ((topic, place), last) in places.iter().zip(&mut last) {
                let about = unsigned(record.field(*place));
                if *last != Some(about) {
                    *last = Some(about);
                    self.needed.insert((*topic, about));
                    if *topic == Topic::Interface {
                        self.needed.insert((Topic::InterfaceRate, about));
                    }
                }
            }
        });
        let batch = self.store.batch;
        for (topic, about) in &self.needed {
            for key in [key, zero] {
                let known = streams.get_mut(&key).and_then(|stream| stream.options.get_mut(&(*topic, *about)));
                if let Some(known) = known
                    && known.learned != batch
                    && known.written != batch
                {
                    known.written = batch;
                    context.fact(key, *topic, *about, &known.value);
                }
            }
        }
    }
}

/// Which field of a record refers to which facts.
const REFERENCES: &[(Slot, Topic)] = &[
    (Slot::Sampler, Topic::Sampler),
    (Slot::Ingress, Topic::Interface),
    (Slot::Egress, Topic::Interface),
    (Slot::Application, Topic::Application),
    (Slot::IngressVrf, Topic::Vrf),
    (Slot::EgressVrf, Topic::Vrf),
];

fn feed_sflow(datagram: &[u8], sink: &mut impl Sink) -> Outcome {
    let mut outcome = Outcome { protocol: Some(Protocol::Sflow), step: Some(1), ..Outcome::default() };
    let read = sflow::read(datagram, |item| match item {
        Item::Sample(sample) => {
            outcome.flows += 1;
            sink.sample(sample);
        }
        Item::Counters(counters) => {
            outcome.counters += 1;
            sink.counters(&counters);
        }
    });
    match read {
        Ok((head, malformed)) => {
            (outcome.domain, outcome.sequence, outcome.malformed) = (head.sub_agent, Some(head.sequence), malformed);
        }
        Err(problem) => outcome.malformed = Some(problem),
    }
    outcome
}

fn feed_fixed(exporter: IpAddr, fixed: &message::Fixed<'_>, sink: &mut impl Sink) -> Outcome {
    let mut flows = 0;
    fixed.template.count(fixed.records, &mut flows);
    if flows > 0 {
        sink.flows(&FlowSet {
            exporter,
            protocol: fixed.protocol,
            domain: fixed.engine,
            sequence: fixed.sequence,
            clock: fixed.clock,
            template: fixed.template,
            bytes: fixed.records,
            sampling: fixed.sampling,
            own: None,
            zero: None,
        });
    }
    Outcome {
        protocol: Some(fixed.protocol),
        domain: fixed.engine,
        sequence: fixed.sequence,
        step: Some(fixed.count),
        flows,
        malformed: fixed.malformed,
        ..Outcome::default()
    }
}
