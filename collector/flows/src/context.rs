//! What is known of exporters as bytes: before a batch in the journal, the part that its data need; in the state file, all.
//!
//! A list of streams. Each: 4 or 6 and the address, protocol, domain, length; then its entries. An entry is the number of a
//! template set, a length and the template as it was sent; or 16 and the number of a topic, what it is about, a number, a
//! length and a text. Numbers are in network byte order. What cannot be read ends the list.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::options::{Fact, Topic};
use crate::store::{Store, StreamKey};
use crate::template::{self, Definition, Protocol, Template, TemplateSet};
use crate::wire::Reader;

/// Numbers of topics begin behind this.
const TOPICS: u8 = 16;

/// What the data of one batch need and the batch does not bring itself.
#[derive(Default, Debug)]
pub(crate) struct Context {
    streams: FxHashMap<StreamKey, Vec<u8>>,
    len: usize,
}

impl Context {
    pub(crate) fn template(&mut self, key: StreamKey, template: &Template) {
        let entries = self.streams.entry(key).or_default();
        let before = entries.len();
        put_template(entries, key.protocol, template);
        self.len += entries.len() - before;
    }

    pub(crate) fn fact(&mut self, key: StreamKey, topic: Topic, about: u64, fact: &Fact) {
        let entries = self.streams.entry(key).or_default();
        let before = entries.len();
        put_fact(entries, topic, about, fact);
        self.len += entries.len() - before;
    }

    /// About how long it is as bytes.
    pub(crate) fn len(&self) -> usize {
        self.len + 32 * self.streams.len()
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.len = 0;
        let mut streams: Vec<_> = self.streams.drain().collect();
        streams.sort_unstable_by_key(|(key, _)| *key);
        let mut out = Vec::new();
        streams.iter().for_each(|(key, entries)| put_stream(&mut out, *key, entries));
        out
    }
}

fn put_template(out: &mut Vec<u8>, protocol: Protocol, template: &Template) {
    let definition = template.definition();
    let Ok(len) = u16::try_from(definition.len()) else { return };
    // The number of a template set is 3 at most.
    out.push(TemplateSet::for_template(protocol, template.is_options()).id().to_be_bytes()[1]);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(definition);
}

fn put_fact(out: &mut Vec<u8>, topic: Topic, about: u64, fact: &Fact) {
    let Ok(len) = u16::try_from(fact.text.len()) else { return };
    out.push(TOPICS + topic as u8);
    out.extend_from_slice(&about.to_be_bytes());
    out.extend_from_slice(&fact.number.to_be_bytes());
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(fact.text.as_bytes());
}

fn put_stream(out: &mut Vec<u8>, key: StreamKey, entries: &[u8]) {
    match key.exporter {
        IpAddr::V4(address) => {
            out.push(4);
            out.extend_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            out.push(6);
            out.extend_from_slice(&address.octets());
        }
    }
    out.push(if key.protocol == Protocol::Ipfix { 10 } else { 9 });
    out.extend_from_slice(&key.domain.to_be_bytes());
    out.extend_from_slice(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(entries);
}

/// Everything that is known.
pub(crate) fn whole(store: &Store) -> Vec<u8> {
    let mut keys: Vec<_> = store.streams.keys().copied().collect();
    keys.sort_unstable();
    let mut out = Vec::new();
    for key in keys {
        let Some(stream) = store.streams.get(&key) else { continue };
        let mut entries = Vec::new();
        let mut templates: Vec<_> = stream.templates.iter().collect();
        templates.sort_unstable_by_key(|(id, known)| (known.proven, known.used, **id));
        templates.iter().for_each(|(_, known)| put_template(&mut entries, key.protocol, &known.value));
        let mut facts: Vec<_> = stream.options.iter().collect();
        facts.sort_unstable_by_key(|((topic, about), _)| (*topic as u8, *about));
        facts.iter().for_each(|((topic, about), known)| put_fact(&mut entries, *topic, *about, &known.value));
        put_stream(&mut out, key, &entries);
    }
    out
}

/// Puts what is in `bytes` into the store. How much could be read is the answer.
pub(crate) fn restore(store: &mut Store, bytes: &[u8]) -> Restored {
    let mut reader = Reader::new(bytes);
    let mut restored = Restored { templates: 0, facts: 0, is_whole: true };
    while !reader.rest().is_empty() {
        if read_stream(store, &mut reader, &mut restored).is_none() {
            restored.is_whole = false;
            break;
        }
    }
    restored
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    pub templates: usize,
    pub facts: usize,
    /// Whether the bytes could be read to their end.
    pub is_whole: bool,
}

fn read_stream(store: &mut Store, reader: &mut Reader<'_>, restored: &mut Restored) -> Option<()> {
    let exporter = match reader.u8()? {
        4 => reader.ipv4()?.into(),
        6 => reader.ipv6()?.into(),
        _ => return None,
    };
    let protocol = match reader.u8()? {
        9 => Protocol::NetflowV9,
        10 => Protocol::Ipfix,
        _ => return None,
    };
    let key = StreamKey { exporter, protocol, domain: reader.u32()? };
    let len = usize::try_from(reader.u32()?).ok()?;
    let mut entries = Reader::new(reader.take(len)?);
    while !entries.rest().is_empty() {
        let kind = entries.u8()?;
        store.tick += 1; // keeps the order in which they were of use
        if let Some(topic) = kind.checked_sub(TOPICS) {
            let topic = Topic::from_number(topic)?;
            let (about, number, len) = (entries.u64()?, entries.u64()?, entries.u16()?);
            let text = std::str::from_utf8(entries.take(usize::from(len))?).ok()?;
            store.note(key, topic, about, Fact { number, text: text.into() });
            restored.facts += 1;
        } else {
            let set = TemplateSet::of(protocol, u16::from(kind))?;
            let len = entries.u16()?;
            let mut definition = Reader::new(entries.take(usize::from(len))?);
            let Definition::Template(template) = template::read(set, &mut definition)? else { return None };
            store.define(key, Definition::Template(template), set.is_options());
            restored.templates += 1;
        }
    }
    Some(())
}
