//! IPv4 and IPv6 with its extension headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Undecodable;
use super::bytes::{array_at, u8_at, u16_at, u32_at};

/// Extension headers followed in one packet.
const EXTENSIONS_MAX: usize = 12;

/// An IP packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// What the payload is, by IANA's number.
    pub protocol: u8,
    /// Length of the whole packet as its header says.
    pub total_len: u32,
    /// What the capture kept of the payload, without padding of the link layer.
    pub payload: &'a [u8],
    /// Length of the payload on the wire.
    pub payload_len: u32,
    pub fragment: Option<Fragment>,
    pub header_checksum_ok: bool,
}

/// Place of a fragment in its datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment {
    pub id: u32,
    /// In bytes.
    pub offset: u32,
    pub more: bool,
}

/// Reads the IP header and, in IPv6, the extension headers. `verify` asks for the checksum of an IPv4 header.
pub(crate) fn dissect(bytes: &[u8], verify: bool) -> Result<Ip<'_>, Undecodable> {
    match u8_at(bytes, 0).map(|first| first >> 4) {
        Some(4) => v4(bytes, verify),
        Some(6) => v6(bytes),
        Some(_) => Err(Undecodable::BadIp),
        None => Err(Undecodable::TruncatedIp),
    }
}

/// Source: RFC 791, section 3.1.
fn v4(bytes: &[u8], verify: bool) -> Result<Ip<'_>, Undecodable> {
    let header: [u8; 20] = array_at(bytes, 0).ok_or(Undecodable::TruncatedIp)?;
    let header_len = usize::from(header[0] & 0x0f) * 4;
    if header_len < 20 {
        return Err(Undecodable::BadIp);
    }
    let rest = bytes.get(header_len..).ok_or(Undecodable::TruncatedIp)?;
    // Segmentation by the network card leaves the length at zero: then the frame says it.
    let total_len = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        0 => bytes.len(),
        len if len < header_len => return Err(Undecodable::BadIp),
        len => len,
    };
    let payload_len = total_len - header_len;
    let flags = u16::from_be_bytes([header[6], header[7]]);
    let (offset, more) = (u32::from(flags & 0x1fff) * 8, flags & 0x2000 != 0);
    let fragment = (more || offset > 0).then(|| Fragment {
        id: u32::from(u16::from_be_bytes([header[4], header[5]])),
        offset,
        more,
    });
    Ok(Ip {
        source: IpAddr::V4(Ipv4Addr::new(header[12], header[13], header[14], header[15])),
        destination: IpAddr::V4(Ipv4Addr::new(header[16], header[17], header[18], header[19])),
        protocol: header[9],
        total_len: u32::try_from(total_len).unwrap_or(u32::MAX),
        payload: rest.get(..payload_len).unwrap_or(rest),
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
        fragment,
        header_checksum_ok: !verify || bytes.get(..header_len).is_some_and(|header| ones_sum(header, 0) == 0xffff),
    })
}

/// Source: RFC 8200, sections 3 and 4.
fn v6(bytes: &[u8]) -> Result<Ip<'_>, Undecodable> {
    let header: &[u8; 40] = bytes.first_chunk().ok_or(Undecodable::TruncatedIp)?;
    let rest = &bytes[40..];
    let declared = usize::from(u16::from_be_bytes([header[4], header[5]]));
    // Zero with something that follows is a jumbogram or segmentation by the network card: then the frame says it.
    let is_longer = declared == 0 && matches!(header[6], 0 | 6 | 17);
    let whole = if is_longer { rest.len() } else { declared };
    let mut payload = rest.get(..whole).unwrap_or(rest);
    let (mut protocol, mut skipped, mut fragment) = (header[6], 0, None);
    for step in 0.. {
        // Length of this extension header, if it is one.
        let len = match protocol {
            0 | 43 | 60 | 135 | 139 | 140 => u8_at(payload, 1).map(|units| usize::from(units) * 8 + 8),
            51 => u8_at(payload, 1).map(|units| usize::from(units) * 4 + 8),
            44 => {
                let word = u16_at(payload, 2).ok_or(Undecodable::TruncatedIp)?;
                let id = u32_at(payload, 4).ok_or(Undecodable::TruncatedIp)?;
                let (offset, more) = (u32::from(word & 0xfff8), word & 1 == 1);
                if more || offset > 0 {
                    fragment = Some(Fragment { id, offset, more });
                }
                Some(8)
            }
            _ => break,
        };
        if step == EXTENSIONS_MAX {
            return Err(Undecodable::TooDeep);
        }
        let len = len.ok_or(Undecodable::TruncatedIp)?;
        protocol = u8_at(payload, 0).ok_or(Undecodable::TruncatedIp)?;
        payload = payload.get(len..).ok_or(Undecodable::TruncatedIp)?;
        skipped += len;
        if fragment.is_some_and(|fragment: Fragment| fragment.offset > 0) {
            break; // what follows is the middle of something
        }
    }
    let (source, destination) = (array_at(header, 8), array_at(header, 24));
    let address = |octets: Option<[u8; 16]>| IpAddr::V6(Ipv6Addr::from(octets.unwrap_or_default()));
    Ok(Ip {
        source: address(source),
        destination: address(destination),
        protocol,
        total_len: u32::try_from(whole + 40).unwrap_or(u32::MAX),
        payload,
        payload_len: u32::try_from(whole.saturating_sub(skipped)).unwrap_or(u32::MAX),
        fragment,
        header_checksum_ok: true,
    })
}

impl Ip<'_> {
    /// Whether a checksum over the payload and the pseudo header holds. Payloads that the capture cut off pass.
    /// Source: RFC 1071; RFC 8200, section 8.1.
    pub(crate) fn checksum_ok(&self) -> bool {
        if (self.payload.len() as u64) < u64::from(self.payload_len) || self.fragment.is_some() {
            return true;
        }
        let pseudo = match (self.source, self.destination) {
            _ if self.protocol == 1 => 0, // ICMP for IPv4 has none
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                ones_sum(&destination.octets(), ones_sum(&source.octets(), u32::from(self.protocol) + self.payload_len))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let lengths = u32::from(self.protocol) + (self.payload_len & 0xffff) + (self.payload_len >> 16);
                ones_sum(&destination.octets(), ones_sum(&source.octets(), lengths))
            }
            _ => return true,
        };
        ones_sum(self.payload, pseudo) == 0xffff
    }
}

/// One's complement sum of 16-bit words, folded.
fn ones_sum(bytes: &[u8], start: u32) -> u32 {
    let mut sum = u64::from(start);
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        sum += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = words.remainder() {
        sum += u64::from(*last) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u32
}
