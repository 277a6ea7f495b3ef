//! What is remembered of exporters: their templates and what their options said.
//!
//! Everything is bounded. Where there is no room for a template, a sixteenth of those in the way goes: first templates of
//! which no data ever came, then the ones whose data came longest ago. Where there is no room for an exporter or its
//! options, the sixteenth of the exporters that were quiet for longest goes.

use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::limits::Limits;
use crate::options::{Fact, Topic};
use crate::template::{Definition, Protocol, Template};

/// An exporter and one of its domains. Templates and options belong to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamKey {
    pub exporter: IpAddr,
    pub protocol: Protocol,
    /// Observation domain or source id.
    pub domain: u32,
}

/// Something remembered.
#[derive(Clone, Debug)]
pub(crate) struct Known<T> {
    pub(crate) value: T,
    /// Batch in which it came.
    pub(crate) learned: u64,
    /// Batch whose context has it.
    pub(crate) written: u64,
    /// When it was of use last, and whether it ever was.
    pub(crate) used: u64,
    pub(crate) proven: bool,
}

#[derive(Default, Debug)]
pub(crate) struct Stream {
    pub(crate) templates: FxHashMap<u16, Known<Arc<Template>>>,
    pub(crate) options: FxHashMap<(Topic, u64), Known<Fact>>,
    pub(crate) seen: u64,
    /// Fields of its templates, as the limits count them.
    fields: usize,
}

impl Stream {
    pub(crate) fn fact(&self, topic: Topic, key: u64) -> Option<&Fact> {
        self.options.get(&(topic, key)).map(|known| &known.value)
    }
}

/// What happened to what is remembered, since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct StoreCounts {
    /// Templates that were not known before, or came with another layout.
    pub learned: u64,
    /// Of these, the ones that replaced another layout.
    pub redefined: u64,
    pub withdrawn: u64,
    /// Templates that went to make room.
    pub evicted_templates: u64,
    /// Exporters and domains that went to make room, with all that was known of them.
    pub evicted_streams: u64,
    /// Facts that found no room.
    pub refused_options: u64,
}

#[derive(Default, Debug)]
pub(crate) struct Store {
    pub(crate) limits: Limits,
    pub(crate) streams: FxHashMap<StreamKey, Stream>,
    templates: usize,
    fields: usize,
    options: usize,
    pub(crate) counts: StoreCounts,
    /// Counts datagrams; the clock of `used`.
    pub(crate) tick: u64,
    pub(crate) batch: u64,
    /// Whether something is known that a copy on disk does not have.
    pub(crate) changed: bool,
}

/// Which part goes when there is no room.
const PART: usize = 16;

impl Store {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub(crate) fn templates_len(&self) -> usize {
        self.templates
    }

    /// The stream of this key, made if there is none.
    pub(crate) fn stream(&mut self, key: StreamKey) -> &mut Stream {
        if self.streams.len() >= self.limits.streams && !self.streams.contains_key(&key) {
            self.evict_streams();
        }
        let stream = self.streams.entry(key).or_default();
        stream.seen = self.tick;
        stream
    }

    /// Takes what one template record says. The id, if a layout is new.
    pub(crate) fn define(&mut self, key: StreamKey, definition: Definition, is_options: bool) -> Option<u16> {
        match definition {
            Definition::Template(template) => self.learn(key, template),
            Definition::Withdrawn(which) => {
                let stream = self.streams.get(&key)?;
                let is_meant =
                    |template: &Template| which.map_or(template.is_options() == is_options, |id| template.id() == id);
                let ids: Vec<u16> =
                    stream.templates.iter().filter(|(_, known)| is_meant(&known.value)).map(|(id, _)| *id).collect();
                let gone = ids.iter().filter(|id| self.remove(key, **id)).count();
                self.counts.withdrawn += gone as u64;
                None
            }
        }
    }

    fn learn(&mut self, key: StreamKey, template: Template) -> Option<u16> {
        let (tick, batch) = (self.tick, self.batch);
        let (id, weight) = (template.id(), template.weight());
        let mut proven = false;
        if let Some(known) = self.stream(key).templates.get_mut(&id) {
            known.used = tick;
            if *known.value == template {
                return None;
            }
            proven = known.proven;
            self.remove(key, id);
            self.counts.redefined += 1;
        }
        while self.stream(key).fields + weight > self.limits.fields_per_stream && self.evict_templates(Some(key)) {}
        while self.fields + weight > self.limits.fields && self.evict_templates(None) {}
        let stream = self.stream(key);
        stream.fields += weight;
        stream
            .templates
            .insert(id, Known { value: Arc::new(template), learned: batch, written: 0, used: tick, proven });
        (self.fields, self.templates) = (self.fields + weight, self.templates + 1);
        self.counts.learned += 1;
        self.changed = true;
        Some(id)
    }

    /// Whether it was there.
    fn remove(&mut self, key: StreamKey, id: u16) -> bool {
        let Some(stream) = self.streams.get_mut(&key) else { return false };
        let Some(known) = stream.templates.remove(&id) else { return false };
        let weight = known.value.weight();
        stream.fields -= weight;
        (self.fields, self.templates) = (self.fields - weight, self.templates - 1);
        self.changed = true;
        true
    }

    /// Remembers one fact.
    pub(crate) fn note(&mut self, key: StreamKey, topic: Topic, about: u64, fact: Fact) {
        let (tick, batch) = (self.tick, self.batch);
        if let Some(known) = self.stream(key).options.get_mut(&(topic, about)) {
            if known.value != fact {
                *known = Known { value: fact, learned: batch, written: 0, used: tick, proven: true };
                self.changed = true;
            }
            return;
        }
        if self.options >= self.limits.options {
            self.evict_streams();
        }
        let limits = self.limits;
        let stream = self.stream(key);
        if stream.options.len() >= limits.options_per_stream {
            self.counts.refused_options += 1;
            return;
        }
        let known = Known { value: fact, learned: batch, written: 0, used: tick, proven: true };
        stream.options.insert((topic, about), known);
        self.options += 1;
        self.changed = true;
    }

    /// Makes room among the templates of one stream, or of all. Whether there were any.
    fn evict_templates(&mut self, only: Option<StreamKey>) -> bool {
        let mut all: Vec<(bool, u64, StreamKey, u16)> = Vec::new();
        for (key, stream) in &self.streams {
            if only.is_none_or(|only| only == *key) {
                all.extend(stream.templates.iter().map(|(id, known)| (known.proven, known.used, *key, *id)));
            }
        }
        let gone = least(&mut all).iter().filter(|(.., key, id)| self.remove(*key, *id)).count();
        self.counts.evicted_templates += gone as u64;
        gone > 0
    }

    fn evict_streams(&mut self) {
        let tick = self.tick;
        let quiet = self.streams.iter().filter(|(_, stream)| stream.seen != tick);
        let mut all: Vec<(u64, StreamKey)> = quiet.map(|(key, stream)| (stream.seen, *key)).collect();
        for (_, key) in least(&mut all) {
            if let Some(stream) = self.streams.remove(key) {
                self.templates -= stream.templates.len();
                self.fields -= stream.fields;
                self.options -= stream.options.len();
                self.counts.evicted_streams += 1;
                self.changed = true;
            }
        }
    }
}

/// The smallest sixteenth, at least one.
fn least<T: Ord>(all: &mut [T]) -> &[T] {
    let count = (all.len() / PART).max(1).min(all.len());
    if count < all.len() {
        all.select_nth_unstable(count);
    }
    all.get(..count).unwrap_or_default()
}
