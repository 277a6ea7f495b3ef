//! Headers of TCP, UDP, ICMP and SCTP.

use super::Undecodable;
use super::bytes::{array_at, u16_at};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment. Source: RFC 9293, section 3.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    pub window: u16,
    /// What the capture kept of the data.
    pub payload: &'a [u8],
    /// Length of the data on the wire.
    pub payload_len: u32,
}

impl Tcp<'_> {
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

pub(crate) fn tcp(bytes: &[u8], wire_len: u32) -> Result<Tcp<'_>, Undecodable> {
    let header: [u8; 20] = array_at(bytes, 0).ok_or(Undecodable::TruncatedTransport)?;
    let header_len = u32::from(header[12] >> 4) * 4;
    if header_len < 20 || header_len > wire_len {
        return Err(Undecodable::BadTransport);
    }
    Ok(Tcp {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledged: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: header[13],
        window: u16::from_be_bytes([header[14], header[15]]),
        payload: bytes.get(header_len as usize..).unwrap_or_default(),
        payload_len: wire_len - header_len,
    })
}

/// A UDP datagram. Source: RFC 768.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Udp<'a> {
    pub source_port: u16,
    pub destination_port: u16,
    pub checksum: u16,
    pub payload: &'a [u8],
    pub payload_len: u32,
}

pub(crate) fn udp(bytes: &[u8], wire_len: u32) -> Result<Udp<'_>, Undecodable> {
    let header: [u8; 8] = array_at(bytes, 0).ok_or(Undecodable::TruncatedTransport)?;
    // The length says less than there is only when somebody pads; more when it is fragmented or wrong.
    let declared = u32::from(u16::from_be_bytes([header[4], header[5]])).saturating_sub(8);
    let available = wire_len.saturating_sub(8);
    let payload_len = if declared == 0 { available } else { declared.min(available) };
    let payload = &bytes[8..];
    Ok(Udp {
        source_port: u16::from_be_bytes([header[0], header[1]]),
        destination_port: u16::from_be_bytes([header[2], header[3]]),
        checksum: u16::from_be_bytes([header[6], header[7]]),
        payload: payload.get(..payload_len as usize).unwrap_or(payload),
        payload_len: declared,
    })
}

/// Type and code of ICMP and ICMPv6. Both have eight bytes before the data.
pub(crate) fn icmp(bytes: &[u8]) -> Result<(u8, u8), Undecodable> {
    let header: [u8; 8] = array_at(bytes, 0).ok_or(Undecodable::TruncatedTransport)?;
    Ok((header[0], header[1]))
}

/// Ports of SCTP, which come first as in TCP and UDP. Source: RFC 9260, section 3.1.
pub(crate) fn ports(bytes: &[u8]) -> Result<(u16, u16), Undecodable> {
    match (u16_at(bytes, 0), u16_at(bytes, 2)) {
        (Some(source), Some(destination)) => Ok((source, destination)),
        _ => Err(Undecodable::TruncatedTransport),
    }
}
