//! One received batch as it came, before anybody has looked inside, and its form in the journal.
//!
//! A door makes an [`Envelope`], the journal keeps it, `decode` makes events of it. Payloads are kept decompressed and
//! otherwise untouched. How a payload splits into records is said by [`Framing`]; [`Envelope::records`] does the split.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use canh_schema::{AgentId, Timestamp};
/// The number that an agent gave a batch.
pub use canh_wire::BatchNumber as AgentBatch;
use compact_str::{CompactString, ToCompactString, format_compact};

/// One received batch as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Envelope {
    pub door: Door,
    /// Address of the sender. `None` for files, and for a list of records that each carry their own.
    pub peer: Option<IpAddr>,
    /// Name of the sender that it has proven, with a certificate.
    pub sender: Option<CompactString>,
    /// When the door had the whole batch.
    pub received: Timestamp,
    /// Set when one of our agents numbered the batch.
    pub agent: Option<AgentBatch>,
    /// Format that the sender or the configuration names; `None` leaves it to the decoder.
    pub format: Option<CompactString>,
    /// Host that the sender or the configuration names for records that do not name one.
    pub host: Option<CompactString>,
    pub framing: Framing,
    pub payload: Bytes,
}

/// Where a batch came in. The number is stored, so it is never given to something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Door {
    OtlpGrpc = 1,
    OtlpHttp = 2,
    Ndjson = 3,
    SyslogUdp = 4,
    SyslogTcp = 5,
    /// A file read once, by `canh import` or the demo.
    Import = 6,
    /// A sample of a rule that the server sends itself, to see that the rule still fires. Such events are looked at by the
    /// rules and go nowhere else.
    Canary = 7,
    /// What was found in a file that was sent to be scanned.
    Samples = 8,
    SyslogTls = 20,
    Relp = 21,
    RelpTls = 22,
}

impl Door {
    pub const ALL: [Self; 11] = [
        Self::OtlpGrpc,
        Self::OtlpHttp,
        Self::Ndjson,
        Self::SyslogUdp,
        Self::SyslogTcp,
        Self::Import,
        Self::Canary,
        Self::Samples,
        Self::SyslogTls,
        Self::Relp,
        Self::RelpTls,
    ];

    /// The name in configuration, metrics and `canh.source`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtlpGrpc => "otlp_grpc",
            Self::OtlpHttp => "otlp_http",
            Self::Ndjson => "ndjson",
            Self::SyslogUdp => "syslog_udp",
            Self::SyslogTcp => "syslog_tcp",
            Self::Import => "import",
            Self::Canary => "canary",
            Self::Samples => "samples",
            Self::SyslogTls => "syslog_tls",
            Self::Relp => "relp",
            Self::RelpTls => "relp_tls",
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|door| *door as u8 == number)
    }
}

/// How a payload splits into records. The number is stored, so it is never given to something else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Framing {
    /// One protobuf `ExportLogsServiceRequest`.
    OtlpLogs = 1,
    /// One protobuf `ExportMetricsServiceRequest`.
    OtlpMetrics = 2,
    /// Texts, each ended by LF; the last LF may be missing, a CR before LF is not part of the text.
    Lines = 3,
    /// JSON values, each on its own line. Split like [`Framing::Lines`].
    NdJson = 4,
    /// A list made by [`RecordList`]: every record has a length and may have a sender and a mark that it was cut.
    Records = 5,
}

impl Framing {
    pub const ALL: [Self; 5] = [Self::OtlpLogs, Self::OtlpMetrics, Self::Lines, Self::NdJson, Self::Records];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|framing| *framing as u8 == number)
    }
}

/// One record of a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Shares the payload's memory.
    pub bytes: Bytes,
    /// Sender of this record: its own, or else that of the envelope.
    pub peer: Option<IpAddr>,
    pub cut: Cut,
}

/// Whether a record is all that was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    Whole,
    /// Longer than the limit of the door; the rest was dropped and counted.
    Truncated,
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, thiserror::Error, PartialEq, Eq)]
pub enum EnvelopeError {
    #[error("journal record is shorter than its own head says")]
    Short,
    #[error(
        "journal record has version {version}, this program reads version {VERSION}; was it written by a newer one?"
    )]
    Version { version: u8 },
    #[error("journal record has unknown {what} {number}; was it written by a newer program?")]
    Unknown { what: &'static str, number: u8 },
    #[error("text in the head of a journal record is not UTF-8")]
    Text,
}

/// The version that this program writes where it needs to, and the one of all envelopes without a proven sender.
const VERSION: u8 = 2;
const VERSION_WITHOUT_SENDER: u8 = 1;

/// The longest format or host name kept, in bytes.
const NAME_MAX: usize = u8::MAX as usize;

mod flag {
    pub(super) const AGENT: u8 = 1;
    pub(super) const FORMAT: u8 = 2;
    pub(super) const HOST: u8 = 4;
    pub(super) const PEER_V4: u8 = 8;
    pub(super) const PEER_V6: u8 = 16;
    pub(super) const TRUNCATED: u8 = 32;
    pub(super) const SENDER: u8 = 64;
}

impl Envelope {
    pub fn new(door: Door, received: Timestamp, framing: Framing, payload: Bytes) -> Self {
        Self { door, peer: None, sender: None, received, agent: None, format: None, host: None, framing, payload }
    }

    /// Length of the encoded form in bytes, at most this.
    pub fn encoded_len_max(&self) -> usize {
        // head, agent, address, and three names with their lengths
        12 + 32 + 16 + 3 * (1 + NAME_MAX) + self.payload.len()
    }

    /// All of the encoded form except the payload, which follows it as it is.
    pub fn encode_head(&self) -> BytesMut {
        let format = self.format.as_deref().map(|name| cut_name(name, NAME_MAX));
        let host = self.host.as_deref().map(|name| cut_name(name, NAME_MAX));
        let sender = self.sender.as_deref().map(|name| cut_name(name, NAME_MAX));
        let version = if sender.is_some() { VERSION } else { VERSION_WITHOUT_SENDER };
        let mut flags = peer_flag(self.peer);
        flags |= if sender.is_some() { flag::SENDER } else { 0 };
        flags |= if self.agent.is_some() { flag::AGENT } else { 0 };
        flags |= if format.is_some() { flag::FORMAT } else { 0 };
        flags |= if host.is_some() { flag::HOST } else { 0 };

        let mut head = BytesMut::with_capacity(64);
        head.put_slice(&[version, self.door as u8, self.framing as u8, flags]);
        head.put_i64_le(self.received.nanos());
        if let Some(batch) = &self.agent {
            head.put_slice(batch.agent.as_bytes());
            head.put_u64_le(batch.spool);
            head.put_u64_le(batch.sequence);
        }
        put_peer(&mut head, self.peer);
        for name in [format, host, sender].into_iter().flatten() {
            head.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
            head.put_slice(name.as_bytes());
        }
        head
    }

    /// The whole encoded form in one piece.
    pub fn encode(&self) -> Bytes {
        let mut bytes = self.encode_head();
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }

    /// Reads what [`Envelope::encode`] wrote. The payload shares the memory of `bytes`.
    pub fn decode(mut bytes: Bytes) -> Result<Self, EnvelopeError> {
        let short = |_| EnvelopeError::Short;
        let version = bytes.try_get_u8().map_err(short)?;
        if !matches!(version, VERSION_WITHOUT_SENDER | VERSION) {
            return Err(EnvelopeError::Version { version });
        }
        let door = bytes.try_get_u8().map_err(short)?;
        let framing = bytes.try_get_u8().map_err(short)?;
        let flags = bytes.try_get_u8().map_err(short)?;
        let received = Timestamp::from_nanos(bytes.try_get_i64_le().map_err(short)?);
        let agent = match flags & flag::AGENT {
            0 => None,
            _ => Some(AgentBatch {
                agent: AgentId::from_bytes(bytes.try_get_u128().map_err(short)?.to_be_bytes()),
                spool: bytes.try_get_u64_le().map_err(short)?,
                sequence: bytes.try_get_u64_le().map_err(short)?,
            }),
        };
        let peer = get_peer(&mut bytes, flags).ok_or(EnvelopeError::Short)?;
        let format = if flags & flag::FORMAT == 0 { None } else { Some(get_name(&mut bytes)?) };
        let host = if flags & flag::HOST == 0 { None } else { Some(get_name(&mut bytes)?) };
        let has_sender = version == VERSION && flags & flag::SENDER != 0;
        let sender = if has_sender { Some(get_name(&mut bytes)?) } else { None };
        Ok(Self {
            door: Door::from_number(door).ok_or(EnvelopeError::Unknown { what: "door", number: door })?,
            framing: Framing::from_number(framing)
                .ok_or(EnvelopeError::Unknown { what: "framing", number: framing })?,
            peer,
            sender,
            received,
            agent,
            format,
            host,
            payload: bytes,
        })
    }

    /// The records of the payload, in the order received. Empty lines are left out; the records of an OTLP message
    /// are for the OTLP decoder, here it is one record. Never fails: what does not fit its framing is one record.
    pub fn records(&self) -> Records {
        Records { framing: self.framing, peer: self.peer, rest: self.payload.clone() }
    }

    /// What `canh.source` is for a record that came from `peer`: the agent's id, or the door and the name that the sender
    /// has proven, or else its address.
    pub fn source(&self, peer: Option<IpAddr>) -> CompactString {
        if let (None, Some(name)) = (&self.agent, &self.sender) {
            return format_compact!("{}:{name}", self.door.name());
        }
        match (&self.agent, peer) {
            (Some(batch), _) => batch.agent.to_compact_string(),
            (None, Some(address)) => format_compact!("{}:{address}", self.door.name()),
            (None, None) => CompactString::const_new(self.door.name()),
        }
    }
}

/// Iterates over the records of one payload. See [`Envelope::records`].
#[derive(Debug)]
pub struct Records {
    framing: Framing,
    peer: Option<IpAddr>,
    rest: Bytes,
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        match self.framing {
            Framing::OtlpLogs | Framing::OtlpMetrics => self.whole(Cut::Whole),
            Framing::Lines | Framing::NdJson => self.line(),
            Framing::Records => self.listed(),
        }
    }
}

impl Records {
    fn whole(&mut self, cut: Cut) -> Option<Record> {
        (!self.rest.is_empty()).then(|| Record { bytes: std::mem::take(&mut self.rest), peer: self.peer, cut })
    }

    fn line(&mut self) -> Option<Record> {
        while !self.rest.is_empty() {
            let mut line = match memchr::memchr(b'\n', &self.rest) {
                Some(end) => {
                    let line = self.rest.split_to(end);
                    self.rest.advance(1);
                    line
                }
                None => std::mem::take(&mut self.rest),
            };
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.is_empty() {
                return Some(Record { bytes: line, peer: self.peer, cut: Cut::Whole });
            }
        }
        None
    }

    fn listed(&mut self) -> Option<Record> {
        let mut rest = self.rest.clone();
        let mut read = || {
            let flags = rest.try_get_u8().ok()?;
            let len = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
            let peer = get_peer(&mut rest, flags)?;
            let bytes = (len <= rest.len()).then(|| rest.split_to(len))?;
            let cut = if flags & flag::TRUNCATED == 0 { Cut::Whole } else { Cut::Truncated };
            Some(Record { bytes, peer: peer.or(self.peer), cut })
        };
        match read() {
            Some(record) => {
                self.rest = rest;
                Some(record)
            }
            None => self.whole(Cut::Truncated),
        }
    }
}

/// Makes the payload of [`Framing::Records`].
#[derive(Debug, Default)]
pub struct RecordList {
    bytes: BytesMut,
    count: usize,
}

impl RecordList {
    /// Adds one record. `peer` is its sender when that is not the envelope's.
    pub fn push(&mut self, bytes: &[u8], peer: Option<IpAddr>, cut: Cut) {
        // A record longer than 4 GiB cannot pass any door; were there one, its end would be cut off and marked.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let kept = &bytes[..usize::try_from(len).map_or(bytes.len(), |len| len.min(bytes.len()))];
        let truncated = cut == Cut::Truncated || kept.len() < bytes.len();
        self.bytes.put_u8(peer_flag(peer) | if truncated { flag::TRUNCATED } else { 0 });
        self.bytes.put_u32_le(len);
        put_peer(&mut self.bytes, peer);
        self.bytes.put_slice(kept);
        self.count += 1;
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Size of the payload so far.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// The payload; the list is empty afterwards.
    pub fn take(&mut self) -> Bytes {
        self.count = 0;
        self.bytes.split().freeze()
    }
}

fn peer_flag(peer: Option<IpAddr>) -> u8 {
    match peer {
        None => 0,
        Some(IpAddr::V4(_)) => flag::PEER_V4,
        Some(IpAddr::V6(_)) => flag::PEER_V6,
    }
}

fn put_peer(out: &mut BytesMut, peer: Option<IpAddr>) {
    match peer {
        None => (),
        Some(IpAddr::V4(address)) => out.put_slice(&address.octets()),
        Some(IpAddr::V6(address)) => out.put_slice(&address.octets()),
    }
}

/// `None` when the bytes end too early; `Some(None)` when the flags say that there is no address.
fn get_peer(bytes: &mut Bytes, flags: u8) -> Option<Option<IpAddr>> {
    if flags & flag::PEER_V4 != 0 {
        bytes.try_get_u32().ok().map(|bits| Some(IpAddr::V4(Ipv4Addr::from_bits(bits))))
    } else if flags & flag::PEER_V6 != 0 {
        bytes.try_get_u128().ok().map(|bits| Some(IpAddr::V6(Ipv6Addr::from_bits(bits))))
    } else {
        Some(None)
    }
}

fn get_name(bytes: &mut Bytes) -> Result<CompactString, EnvelopeError> {
    let len = usize::from(bytes.try_get_u8().map_err(|_| EnvelopeError::Short)?);
    let name = if len <= bytes.len() { bytes.split_to(len) } else { return Err(EnvelopeError::Short) };
    CompactString::from_utf8(name).map_err(|_| EnvelopeError::Text)
}

/// The start of `name` that fits into `max` bytes, cut between characters.
fn cut_name(name: &str, max: usize) -> &str {
    &name[..name.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn peer() -> impl Strategy<Value = Option<IpAddr>> {
        prop_oneof![
            Just(None),
            any::<u32>().prop_map(|bits| Some(IpAddr::V4(Ipv4Addr::from_bits(bits)))),
            any::<u128>().prop_map(|bits| Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))),
        ]
    }

    prop_compose! {
        fn envelope()(
            door in prop::sample::select(Door::ALL.to_vec()),
            framing in prop::sample::select(Framing::ALL.to_vec()),
            peer in peer(),
            received in any::<i64>(),
            agent in prop::option::of((any::<[u8; 16]>(), any::<u64>(), any::<u64>())),
            format in prop::option::of("[a-zé]{0,20}"),
            host in prop::option::of("[a-zé]{0,20}"),
            sender in prop::option::of("[a-zé]{0,20}"),
            payload in prop::collection::vec(any::<u8>(), 0..200),
        ) -> Envelope {
            Envelope {
                door,
                peer,
                sender: sender.map(CompactString::from),
                received: Timestamp::from_nanos(received),
                agent: agent.map(|(agent, spool, sequence)| {
                    AgentBatch { agent: AgentId::from_bytes(agent), spool, sequence }
                }),
                format: format.map(CompactString::from),
                host: host.map(CompactString::from),
                framing,
                payload: Bytes::from(payload),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(envelope in envelope()) {
            let bytes = envelope.encode();
            prop_assert!(bytes.len() <= envelope.encoded_len_max());
            prop_assert_eq!(Envelope::decode(bytes), Ok(envelope));
        }

        #[test]
        fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), honest in any::<bool>()) {
            if honest && let [version, door, framing, ..] = bytes.as_mut_slice() {
                (*version, *door, *framing) = (VERSION, *door % 7, *framing % 6);
            }
            let payload = Bytes::from(bytes);
            if let Ok(envelope) = Envelope::decode(payload.clone()) {
                envelope.records().for_each(drop);
            }
            for framing in Framing::ALL {
                let records = Envelope::new(Door::Import, Timestamp::default(), framing, payload.clone()).records();
                let bytes: usize = records.map(|record| record.bytes.len()).sum();
                prop_assert!(bytes <= payload.len());
            }
        }

        #[test]
        fn a_list_gives_back_its_records(
            records in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..50), peer(), any::<bool>()), 0..20),
            envelope_peer in peer(),
        ) {
            let mut list = RecordList::default();
            let mut expected = Vec::new();
            for (bytes, peer, truncated) in records {
                let cut = if truncated { Cut::Truncated } else { Cut::Whole };
                list.push(&bytes, peer, cut);
                expected.push(Record { bytes: bytes.into(), peer: peer.or(envelope_peer), cut });
            }
            let mut envelope = Envelope::new(Door::SyslogUdp, Timestamp::default(), Framing::Records, list.take());
            envelope.peer = envelope_peer;
            prop_assert_eq!(envelope.records().collect::<Vec<_>>(), expected);
        }
    }

    #[track_caller]
    fn check_lines(payload: &'static str, expected: &[&str]) {
        let payload = Bytes::from_static(payload.as_bytes());
        let envelope = Envelope::new(Door::SyslogTcp, Timestamp::default(), Framing::Lines, payload.clone());
        let lines: Vec<Bytes> = envelope.records().map(|record| record.bytes).collect();
        assert_eq!(lines, expected, "payload: {payload:?}");
    }

    #[test]
    fn lines() {
        check_lines("", &[]);
        check_lines("\n\n", &[]);
        check_lines("a\nb", &["a", "b"]);
        check_lines("a\nb\n", &["a", "b"]);
        check_lines("a\r\n\r\nb\rc\r\n", &["a", "b\rc"]);
    }

    #[track_caller]
    fn check_damage(bytes: &'static [u8], expected: EnvelopeError) {
        assert_eq!(Envelope::decode(Bytes::from_static(bytes)), Err(expected), "bytes: {bytes:?}");
    }

    #[test]
    fn damage_is_named() {
        check_damage(b"", EnvelopeError::Short);
        check_damage(b"\x02", EnvelopeError::Short);
        check_damage(b"\x03", EnvelopeError::Version { version: 3 });
        check_damage(b"\x02\x01\x01\x40\0\0\0\0\0\0\0\0\x05abc", EnvelopeError::Short);
        check_damage(b"\x01\x01\x01\x01\0\0\0\0\0\0\0\0agent", EnvelopeError::Short);
        check_damage(b"\x01\x63\x01\x00\0\0\0\0\0\0\0\0", EnvelopeError::Unknown { what: "door", number: 0x63 });
        check_damage(b"\x01\x01\x63\x00\0\0\0\0\0\0\0\0", EnvelopeError::Unknown { what: "framing", number: 0x63 });
        check_damage(b"\x01\x01\x01\x02\0\0\0\0\0\0\0\0\x01\xff", EnvelopeError::Text);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut envelope = Envelope::new(Door::Ndjson, Timestamp::default(), Framing::NdJson, Bytes::new());
        envelope.host = Some("é".repeat(200).into());
        let host = Envelope::decode(envelope.encode()).unwrap().host.unwrap();
        assert_eq!(host, "é".repeat(127));
    }

    #[test]
    fn doors_have_their_own_names() {
        let names: std::collections::BTreeSet<_> = Door::ALL.iter().map(|door| door.name()).collect();
        assert_eq!(names.len(), Door::ALL.len());
    }
}
