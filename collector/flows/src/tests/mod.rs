//! Whole datagrams, written here byte by byte.

mod hostile;
mod sets;
mod simple;

use std::net::IpAddr;

use crate::{Counters, Decoder, Flow, FlowSet, Limits, Outcome, Sample, Sink, UnknownSet, Value};

/// Everything that came out, as text where it is easier to read.
#[derive(Default, Debug)]
struct Seen {
    flows: Vec<Flow>,
    natives: Vec<String>,
    names: Vec<String>,
    counters: Vec<String>,
    unknown: Vec<(u16, usize)>,
}

impl Sink for Seen {
    fn flows(&mut self, set: &FlowSet<'_>) {
        set.for_each(|record| {
            let flow = set.flow(&record);
            let name = |index: Option<u32>| index.and_then(|index| set.interface(index)).unwrap_or("-").to_owned();
            self.names.push(format!("{} {}", name(flow.ingress), name(flow.egress)));
            self.natives.push(shown(record.natives()));
            self.flows.push(flow);
        });
    }

    fn unknown(&mut self, set: &UnknownSet<'_>) {
        self.unknown.push((set.template, set.place));
    }

    fn sample(&mut self, sample: Sample<'_>) {
        self.natives.push(shown(sample.natives.iter().copied()));
        self.flows.push(sample.flow);
    }

    fn counters(&mut self, counters: &Counters<'_>) {
        self.counters.push(format!("{:?}", counters.interface));
    }
}

fn shown<'a>(natives: impl Iterator<Item = (&'a str, Value<'a>)>) -> String {
    natives.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(" ")
}

const EXPORTER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn feed(decoder: &mut Decoder, datagram: &[u8]) -> (Seen, Outcome) {
    let mut seen = Seen::default();
    let outcome = decoder.feed(EXPORTER, datagram, &mut seen);
    (seen, outcome)
}

fn decoder() -> Decoder {
    Decoder::new(Limits::default())
}

/// Bytes one after another.
fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Numbers of two bytes.
fn words(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    bytes(&[&words(&[id, u16::try_from(body.len() + 4).unwrap()]), body])
}

/// A message of NetFlow v9, up for 100 s, written at 1 000 000 000 s.
fn v9(sequence: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let head = [
        &words(&[9, 1])[..],
        &100_000u32.to_be_bytes(),
        &1_000_000_000u32.to_be_bytes(),
        &sequence.to_be_bytes(),
        &7u32.to_be_bytes(),
    ];
    bytes(&[&head.concat(), &sets.concat()])
}

fn ipfix(domain: u32, sets: &[Vec<u8>]) -> Vec<u8> {
    let sets = sets.concat();
    let head = [
        &words(&[10, u16::try_from(sets.len() + 16).unwrap()])[..],
        &1_000_000_000u32.to_be_bytes(),
        &5u32.to_be_bytes(),
        &domain.to_be_bytes(),
    ];
    bytes(&[&head.concat(), &sets])
}
