//! From a carrier to the packet inside: GRE with ERSPAN and PPTP, VXLAN, GENEVE, GTP-U, Teredo.
//!
//! Carriers over UDP are found by port, Teredo by its addresses, and the content is checked too: what does not look
//! like the carrier is left alone, and the outer flow stands for it.

use super::bytes::{array_at, u8_at, u16_at, u24_at, u32_at};
use super::link::{self, Frame};
use super::{Tunnel, TunnelKind, Undecodable, Vlans};

/// Source: RFC 2784, RFC 2890, RFC 2637 (version 1), draft-foschiano-erspan.
pub(crate) fn gre(bytes: &[u8]) -> Result<(Tunnel, Frame<'_>), Undecodable> {
    let cut = Undecodable::BadTunnel;
    let flags = u16_at(bytes, 0).ok_or(cut)?;
    let protocol = u16_at(bytes, 2).ok_or(cut)?;
    let (has_checksum, has_routing, has_key, has_sequence) =
        (flags & 0x8000 != 0, flags & 0x4000 != 0, flags & 0x2000 != 0, flags & 0x1000 != 0);
    if has_routing {
        return Err(cut); // source routes went out of use with RFC 2784
    }
    let version = flags & 7;
    let mut at = 4;
    if has_checksum && version == 0 {
        at += 4;
    }
    let mut id = 0;
    if has_key {
        id = u32_at(bytes, at).ok_or(cut)?;
        at += 4;
    }
    if has_sequence {
        at += 4;
    }
    if version == 1 {
        id &= 0xffff; // the upper half is the payload's length
        if flags & 0x80 != 0 {
            at += 4; // acknowledgement
        }
    }
    let rest = bytes.get(at..).ok_or(cut)?;
    let vlans = Vlans::default();
    let (kind, frame) = match protocol {
        // ERSPAN I has no header and no sequence number, II has eight bytes, III twelve and sometimes eight more.
        0x88be if !has_sequence => (TunnelKind::Erspan, link::ethernet(rest, vlans)?),
        0x88be => {
            id = u32::from(u16_at(rest, 2).ok_or(cut)? & 0x03ff);
            (TunnelKind::Erspan, link::ethernet(rest.get(8..).ok_or(cut)?, vlans)?)
        }
        0x22eb => {
            id = u32::from(u16_at(rest, 2).ok_or(cut)? & 0x03ff);
            let skip = if u8_at(rest, 11).ok_or(cut)? & 1 == 1 { 20 } else { 12 };
            (TunnelKind::Erspan, link::ethernet(rest.get(skip..).ok_or(cut)?, vlans)?)
        }
        0x880b => (if version == 1 { TunnelKind::Pptp } else { TunnelKind::Gre }, link::ppp(rest, vlans)?),
        // Access points of Aruba send what they received from the air.
        0x8200..=0x8210 | 0x8240 => (TunnelKind::Gre, link::ieee_802_11(rest)?),
        _ => (TunnelKind::Gre, link::ether_payload(protocol, rest, vlans)?),
    };
    Ok((Tunnel { kind, id }, frame))
}

/// The packet inside of a UDP datagram, if its port is a carrier's and the content agrees.
pub(crate) fn over_udp(
    source_port: u16,
    destination_port: u16,
    payload: &[u8],
) -> Option<Result<(Tunnel, Frame<'_>), Undecodable>> {
    match (source_port, destination_port) {
        (_, 4789) => vxlan(payload),
        (_, 6081) => geneve(payload),
        (_, 4754) => Some(gre(payload)),
        (2152, _) | (_, 2152) => gtp_u(payload),
        (3544, _) | (_, 3544) => teredo(payload, true),
        _ => teredo(payload, false),
    }
}

/// Source: RFC 7348, section 5.
fn vxlan(bytes: &[u8]) -> Option<Result<(Tunnel, Frame<'_>), Undecodable>> {
    if u8_at(bytes, 0)? & 0x08 == 0 {
        return None;
    }
    let tunnel = Tunnel { kind: TunnelKind::Vxlan, id: u24_at(bytes, 4)? };
    Some(link::ethernet(bytes.get(8..)?, Vlans::default()).map(|frame| (tunnel, frame)))
}

/// Source: RFC 8926, section 3.4.
fn geneve(bytes: &[u8]) -> Option<Result<(Tunnel, Frame<'_>), Undecodable>> {
    let first = u8_at(bytes, 0)?;
    if first >> 6 != 0 {
        return None;
    }
    let options_len = usize::from(first & 0x3f) * 4;
    let tunnel = Tunnel { kind: TunnelKind::Geneve, id: u24_at(bytes, 4)? };
    let rest = bytes.get(8 + options_len..)?;
    Some(link::ether_payload(u16_at(bytes, 2)?, rest, Vlans::default()).map(|frame| (tunnel, frame)))
}

/// User data of mobile networks (G-PDU). Source: 3GPP TS 29.281, section 5.
fn gtp_u(bytes: &[u8]) -> Option<Result<(Tunnel, Frame<'_>), Undecodable>> {
    let header: [u8; 8] = array_at(bytes, 0)?;
    if header[0] >> 4 != 0b0011 || header[1] != 255 {
        return None;
    }
    let mut at = 8;
    if header[0] & 0x07 != 0 {
        let mut next = u8_at(bytes, 11)?;
        at = 12;
        // Each extension header gives its length in units of four bytes and, last, the type of the next.
        for _ in 0..8 {
            if next == 0 {
                break;
            }
            let len = usize::from(u8_at(bytes, at)?) * 4;
            if len == 0 {
                return None;
            }
            next = u8_at(bytes, at + len - 1)?;
            at += len;
        }
    }
    let tunnel = Tunnel { kind: TunnelKind::GtpU, id: u32_at(bytes, 4)? };
    raw_ip(tunnel, bytes.get(at..)?)
}

/// IPv6 whose length is exactly that of the datagram: on Teredo's port from and to anybody, elsewhere (relays use any
/// port) only from or to an address of Teredo's own prefix.
/// Source: RFC 4380, sections 2.6 and 5.1.1.
fn teredo(bytes: &[u8], is_port: bool) -> Option<Result<(Tunnel, Frame<'_>), Undecodable>> {
    const PREFIX: [u8; 4] = [0x20, 0x01, 0, 0];
    if !matches!(bytes.first()? >> 4, 0 | 6) {
        return None;
    }
    let mut bytes = bytes;
    if let [0, 1, ids, auth, ..] = bytes {
        bytes = bytes.get(4 + usize::from(*ids) + usize::from(*auth) + 9..)?;
    }
    if bytes.starts_with(&[0, 0]) {
        bytes = bytes.get(8..)?;
    }
    let header: &[u8; 40] = bytes.first_chunk()?;
    let fits = header[0] >> 4 == 6
        && usize::from(u16::from_be_bytes([header[4], header[5]])) + 40 == bytes.len()
        && (is_port || header[8..12] == PREFIX || header[24..28] == PREFIX);
    fits.then(|| Ok((Tunnel { kind: TunnelKind::Teredo, id: 0 }, Frame { ip: bytes, vlans: Vlans::default() })))
}

fn raw_ip(tunnel: Tunnel, bytes: &[u8]) -> Option<Result<(Tunnel, Frame<'_>), Undecodable>> {
    matches!(u8_at(bytes, 0)? >> 4, 4 | 6).then(|| Ok((tunnel, Frame { ip: bytes, vlans: Vlans::default() })))
}
