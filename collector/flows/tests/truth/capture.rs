//! Datagrams out of captures, and what we make of them.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use canh_flows::{Counters, Decoder, Flow, FlowSet, Limits, Outcome, Sample, Sink, UnknownSet, Value};

/// One datagram and who sent it.
pub(crate) struct Datagram {
    pub(crate) exporter: IpAddr,
    pub(crate) bytes: Vec<u8>,
}

/// The UDP datagrams to this port, or to any; captures are of Ethernet, little-endian, without fragments.
pub(crate) fn datagrams(path: &Path, port: Option<u16>) -> Vec<Datagram> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.get(24..).unwrap_or_default();
    let mut out = Vec::new();
    while rest.len() >= 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let frame = &rest[16..(16 + len).min(rest.len())];
        out.extend(udp(frame).filter(|(to, _)| port.is_none_or(|port| port == *to)).map(|(_, datagram)| datagram));
        rest = rest.get(16 + len..).unwrap_or_default();
    }
    out
}

fn udp(frame: &[u8]) -> Option<(u16, Datagram)> {
    let mut at = 12;
    while frame.get(at..at + 2)? == [0x81, 0] {
        at += 4;
    }
    let ip = frame.get(at + 2..)?;
    let (exporter, udp): (IpAddr, &[u8]) = match frame.get(at..at + 2)? {
        [8, 0] if ip.get(9)? == &17 => {
            let header_len = usize::from(ip[0] & 15) * 4;
            (<[u8; 4]>::try_from(ip.get(12..16)?).ok()?.into(), ip.get(header_len..)?)
        }
        [0x86, 0xdd] if ip.get(6)? == &17 => (<[u8; 16]>::try_from(ip.get(8..24)?).ok()?.into(), ip.get(40..)?),
        _ => return None,
    };
    let port = u16::from_be_bytes([*udp.get(2)?, *udp.get(3)?]);
    let len = usize::from(u16::from_be_bytes([*udp.get(4)?, *udp.get(5)?]));
    let bytes = udp.get(8..len.min(udp.len()))?.to_vec();
    Some((port, Datagram { exporter, bytes }))
}

/// What came out of a capture.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) records: Vec<Seen1>,
    pub(crate) counters: Vec<usize>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) unknown: usize,
}

/// One record with all of its values under their native names.
#[derive(Default)]
pub(crate) struct Seen1 {
    pub(crate) flow: Flow,
    pub(crate) natives: Vec<(String, String)>,
    pub(crate) vrf: [Option<String>; 2],
    pub(crate) is_sample: bool,
}

impl Seen1 {
    pub(crate) fn native(&self, name: &str) -> Option<&str> {
        // Of several fields with one name, and of both directions, tshark's JSON has the last.
        let reverse =
            name.split_at_checked(1).map(|(first, rest)| format!("reverse{}{rest}", first.to_ascii_uppercase()));
        let is_it = |known: &str| known == name || reverse.as_deref() == Some(known);
        self.natives.iter().rfind(|(known, _)| is_it(known)).map(|(_, value)| value.as_str())
    }
}

pub(crate) fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Unsigned(number) => number.to_string(),
        Value::Address(address) => address.to_string(),
        Value::Text(text) => (*text).to_owned(),
        Value::Mac(mac) => mac.map(|byte| format!("{byte:02x}")).join(":"),
        other => format!("{other:?}"),
    }
}

impl Sink for Seen {
    fn flows(&mut self, set: &FlowSet<'_>) {
        set.for_each(|record| {
            let all = record.fields().filter(|(_, bytes)| !bytes.is_empty());
            let natives = all.map(|(field, bytes)| (field.name.to_string(), shown(&field.kind.read(bytes)))).collect();
            let flow = set.flow(&record);
            let vrf = [flow.ingress_vrf, flow.egress_vrf].map(|id| id.and_then(|id| set.vrf(id)).map(str::to_owned));
            self.records.push(Seen1 { flow, natives, vrf, is_sample: false });
        });
    }

    fn unknown(&mut self, _: &UnknownSet<'_>) {
        self.unknown += 1;
    }

    fn sample(&mut self, sample: Sample<'_>) {
        let natives = sample.natives.iter().map(|(name, value)| ((*name).to_owned(), shown(value))).collect();
        self.records.push(Seen1 { flow: sample.flow, natives, vrf: [None, None], is_sample: true });
    }

    fn counters(&mut self, counters: &Counters<'_>) {
        self.counters.push(counters.bytes.len());
    }
}

pub(crate) fn decode(datagrams: &[Datagram]) -> Seen {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = Seen::default();
    for datagram in datagrams {
        let outcome = decoder.feed(datagram.exporter, &datagram.bytes, &mut seen);
        seen.outcomes.push(outcome);
    }
    seen
}
