//! The form of an envelope in the journal: a head, and the payload as it came.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use canh_schema::{AgentId, Timestamp};
use compact_str::CompactString;

use super::{AgentBatch, Door, Envelope, EnvelopeError, Framing, Labels};

/// The version of envelopes with a proven sender or with labels, which an older program would take for the payload.
pub(super) const VERSION: u8 = 2;
/// The version of all others.
const VERSION_PLAIN: u8 = 1;

/// The longest format or host name kept, in bytes.
pub(super) const NAME_MAX: usize = u8::MAX as usize;
/// The most labels kept.
pub(super) const LABELS_MAX: usize = 8;

pub(super) mod flag {
    pub(in crate::envelope) const AGENT: u8 = 1;
    pub(in crate::envelope) const FORMAT: u8 = 2;
    pub(in crate::envelope) const HOST: u8 = 4;
    pub(in crate::envelope) const PEER_V4: u8 = 8;
    pub(in crate::envelope) const PEER_V6: u8 = 16;
    pub(in crate::envelope) const TRUNCATED: u8 = 32;
    pub(in crate::envelope) const SENDER: u8 = 64;
    pub(in crate::envelope) const LABELS: u8 = 128;
}

impl Envelope {
    /// Length of the encoded form in bytes, at most this.
    pub fn encoded_len_max(&self) -> usize {
        // head, agent, address, three names with their lengths, and labels
        let label_len = |(name, value): &(CompactString, CompactString)| 2 + name.len() + value.len();
        let labels_len = 1 + self.labels.iter().take(LABELS_MAX).map(label_len).sum::<usize>();
        12 + 32 + 16 + 3 * (1 + NAME_MAX) + labels_len + self.payload.len()
    }

    /// All of the encoded form except the payload, which follows it as it is.
    pub fn encode_head(&self) -> BytesMut {
        let format = self.format.as_deref().map(|name| cut_name(name, NAME_MAX));
        let host = self.host.as_deref().map(|name| cut_name(name, NAME_MAX));
        let sender = self.sender.as_deref().map(|name| cut_name(name, NAME_MAX));
        let mut flags = peer_flag(self.peer);
        flags |= if sender.is_some() { flag::SENDER } else { 0 };
        flags |= if self.agent.is_some() { flag::AGENT } else { 0 };
        flags |= if format.is_some() { flag::FORMAT } else { 0 };
        flags |= if host.is_some() { flag::HOST } else { 0 };
        flags |= if self.labels.is_empty() { 0 } else { flag::LABELS };

        let mut head = BytesMut::with_capacity(64);
        let plain = sender.is_none() && self.labels.is_empty();
        let version = if plain { VERSION_PLAIN } else { VERSION };
        head.put_slice(&[version, self.door as u8, self.framing as u8, flags]);
        head.put_i64_le(self.received.nanos());
        if let Some(batch) = &self.agent {
            head.put_slice(batch.agent.as_bytes());
            head.put_u64_le(batch.spool);
            head.put_u64_le(batch.sequence);
        }
        put_peer(&mut head, self.peer);
        for name in [format, host, sender].into_iter().flatten() {
            put_name(&mut head, name);
        }
        if !self.labels.is_empty() {
            head.put_u8(u8::try_from(self.labels.len().min(LABELS_MAX)).unwrap_or(u8::MAX));
            for (name, value) in self.labels.iter().take(LABELS_MAX) {
                put_name(&mut head, cut_name(name, NAME_MAX));
                put_name(&mut head, cut_name(value, NAME_MAX));
            }
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
        if !matches!(version, VERSION_PLAIN | VERSION) {
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
        let has_labels = version == VERSION && flags & flag::LABELS != 0;
        let labels = if has_labels { get_labels(&mut bytes)? } else { Labels::new() };
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
            labels,
            payload: bytes,
        })
    }
}

pub(super) fn peer_flag(peer: Option<IpAddr>) -> u8 {
    match peer {
        None => 0,
        Some(IpAddr::V4(_)) => flag::PEER_V4,
        Some(IpAddr::V6(_)) => flag::PEER_V6,
    }
}

pub(super) fn put_peer(out: &mut BytesMut, peer: Option<IpAddr>) {
    match peer {
        None => (),
        Some(IpAddr::V4(address)) => out.put_slice(&address.octets()),
        Some(IpAddr::V6(address)) => out.put_slice(&address.octets()),
    }
}

/// `None` when the bytes end too early; `Some(None)` when the flags say that there is no address.
pub(super) fn get_peer(bytes: &mut Bytes, flags: u8) -> Option<Option<IpAddr>> {
    if flags & flag::PEER_V4 != 0 {
        bytes.try_get_u32().ok().map(|bits| Some(IpAddr::V4(Ipv4Addr::from_bits(bits))))
    } else if flags & flag::PEER_V6 != 0 {
        bytes.try_get_u128().ok().map(|bits| Some(IpAddr::V6(Ipv6Addr::from_bits(bits))))
    } else {
        Some(None)
    }
}

fn put_name(out: &mut BytesMut, name: &str) {
    out.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.put_slice(name.as_bytes());
}

fn get_labels(bytes: &mut Bytes) -> Result<Labels, EnvelopeError> {
    let count = bytes.try_get_u8().map_err(|_| EnvelopeError::Short)?;
    (0..count).map(|_| Ok((get_name(bytes)?, get_name(bytes)?))).collect()
}

fn get_name(bytes: &mut Bytes) -> Result<CompactString, EnvelopeError> {
    let len = usize::from(bytes.try_get_u8().map_err(|_| EnvelopeError::Short)?);
    let name = if len <= bytes.len() { bytes.split_to(len) } else { return Err(EnvelopeError::Short) };
    CompactString::from_utf8(name).map_err(|_| EnvelopeError::Text)
}

/// The start of `name` that fits into `max` bytes, cut between characters.
pub(super) fn cut_name(name: &str, max: usize) -> &str {
    &name[..name.floor_char_boundary(max)]
}
