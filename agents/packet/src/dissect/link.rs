//! From the link layer of a capture to IP: Ethernet and its tags, Linux cooked captures, wireless, loopback, PPP, raw IP.

use super::bytes::{u8_at, u16_at, u32_at};
use super::{LinkType, Undecodable, Vlans};

/// Tags and labels followed in one packet; nobody stacks more.
const HEADERS_MAX: usize = 16;

/// The IP packet of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub ip: &'a [u8],
    pub vlans: Vlans,
}

/// Strips the link layer.
pub(crate) fn strip(link: LinkType, bytes: &[u8]) -> Result<Frame<'_>, Undecodable> {
    let vlans = Vlans::default();
    match link {
        LinkType::ETHERNET => ethernet(bytes, vlans),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 | LinkType(14 | 101) => Ok(Frame { ip: bytes, vlans }),
        LinkType::NULL | LinkType::LOOP => loopback(bytes),
        LinkType::LINUX_SLL => typed(u16_at(bytes, 14), bytes, 16, vlans),
        LinkType::LINUX_SLL2 => typed(u16_at(bytes, 0), bytes, 20, vlans),
        LinkType::PPP | LinkType::PPP_SERIAL => ppp(bytes, vlans),
        LinkType::PPP_ETHER => ppp_over_ethernet(bytes, vlans),
        LinkType::IEEE_802_11 => ieee_802_11(bytes),
        LinkType::RADIOTAP => {
            let len = u16_at(bytes, 2).map(u16::swap_bytes).ok_or(Undecodable::TruncatedLink)?;
            ieee_802_11(bytes.get(usize::from(len)..).ok_or(Undecodable::TruncatedLink)?)
        }
        LinkType::CISCO_HDLC => typed(u16_at(bytes, 2), bytes, 4, vlans),
        _ => Err(Undecodable::LinkUnknown),
    }
}

/// An Ethernet frame without preamble.
pub(crate) fn ethernet(bytes: &[u8], vlans: Vlans) -> Result<Frame<'_>, Undecodable> {
    typed(u16_at(bytes, 12), bytes, 14, vlans)
}

/// What follows a header of `skip` bytes that names the type of what follows.
fn typed(ether_type: Option<u16>, bytes: &[u8], skip: usize, vlans: Vlans) -> Result<Frame<'_>, Undecodable> {
    match (ether_type, bytes.get(skip..)) {
        (Some(ether_type), Some(rest)) => ether_payload(ether_type, rest, vlans),
        _ => Err(Undecodable::TruncatedLink),
    }
}

/// Follows tags from an EtherType to IP. Source: IEEE 802.1Q, RFC 2516, RFC 3032, RFC 1042.
pub(crate) fn ether_payload(ether_type: u16, bytes: &[u8], vlans: Vlans) -> Result<Frame<'_>, Undecodable> {
    let (mut ether_type, mut bytes, mut vlans) = (ether_type, bytes, vlans);
    for _ in 0..HEADERS_MAX {
        // The place of the next type, and of what it describes.
        let (type_at, skip) = match ether_type {
            0x0800 | 0x86dd => return Ok(Frame { ip: bytes, vlans }),
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => {
                vlans.push(u16_at(bytes, 0).ok_or(Undecodable::TruncatedLink)?);
                (2, 4)
            }
            0x8847 | 0x8848 => return mpls(bytes, vlans),
            0x8864 => return ppp_over_ethernet(bytes, vlans),
            0x880b => return ppp(bytes, vlans),
            0x8926 => (4, 6),           // Cisco VN-Tag
            0x8903 => (2 + 12, 2 + 14), // Cisco FabricPath: two bytes, then a whole Ethernet frame
            0x88e7 => (4 + 12, 4 + 14), // provider backbone bridge: the I-tag, then a whole Ethernet frame
            0x6558 => (12, 14),         // transparent bridging: a whole Ethernet frame
            // Not a type but the length of an IEEE 802.3 frame, then LLC.
            0..=0x05dc => match bytes {
                [0xaa, 0xaa, 0x03, ..] => (6, 8),
                [0x06, 0x06, 0x03, ip @ ..] => return Ok(Frame { ip, vlans }),
                _ => return Err(Undecodable::NotIp),
            },
            _ => return Err(Undecodable::NotIp),
        };
        let (Some(next), Some(rest)) = (u16_at(bytes, type_at), bytes.get(skip..)) else {
            return Err(Undecodable::TruncatedLink);
        };
        (ether_type, bytes) = (next, rest);
    }
    Err(Undecodable::TooDeep)
}

/// A label stack. MPLS does not say what it carries; the first four bits do. Source: RFC 3032, RFC 4385.
fn mpls(bytes: &[u8], vlans: Vlans) -> Result<Frame<'_>, Undecodable> {
    for label in 0..HEADERS_MAX {
        let entry = u32_at(bytes, label * 4).ok_or(Undecodable::TruncatedLink)?;
        if entry & 0x100 == 0 {
            continue;
        }
        let rest = bytes.get(label * 4 + 4..).unwrap_or_default();
        return match u8_at(rest, 0).ok_or(Undecodable::TruncatedLink)? >> 4 {
            4 | 6 => Ok(Frame { ip: rest, vlans }),
            0 => ethernet(rest.get(4..).unwrap_or_default(), vlans), // a pseudowire: control word, then Ethernet
            _ => ethernet(rest, vlans),
        };
    }
    Err(Undecodable::TooDeep)
}

/// Source: RFC 2516, section 4.
fn ppp_over_ethernet(bytes: &[u8], vlans: Vlans) -> Result<Frame<'_>, Undecodable> {
    match bytes {
        [_, 0, _, _, _, _, rest @ ..] => ppp(rest, vlans),
        [_, _, ..] => Err(Undecodable::NotIp), // discovery
        _ => Err(Undecodable::TruncatedLink),
    }
}

/// A frame of a wireless network that is not encrypted. Of several frames sent as one (A-MSDU) the first is read.
/// Source: IEEE 802.11-2020, sections 9.2 and 9.3.2.
pub(crate) fn ieee_802_11(bytes: &[u8]) -> Result<Frame<'_>, Undecodable> {
    let [control, flags] = *bytes.first_chunk().ok_or(Undecodable::TruncatedLink)?;
    let (is_data, has_no_body) = (control & 0x0c == 0x08, control & 0x40 != 0);
    if !is_data || has_no_body || flags & 0x40 != 0 {
        return Err(Undecodable::NotIp);
    }
    // A fourth address only between access points.
    let mut at = if flags & 0x03 == 0x03 { 30 } else { 24 };
    let mut is_aggregate = false;
    if control & 0x80 != 0 {
        is_aggregate = u8_at(bytes, at).ok_or(Undecodable::TruncatedLink)? & 0x80 != 0;
        at += if flags & 0x80 != 0 { 6 } else { 2 };
    }
    at += if is_aggregate { 14 } else { 0 };
    // What follows is LLC, as after the length of an IEEE 802.3 frame.
    ether_payload(0, bytes.get(at..).ok_or(Undecodable::TruncatedLink)?, Vlans::default())
}

/// With or without the HDLC address and control bytes. Source: RFC 1661, section 2; RFC 1662, section 3.1.
pub(crate) fn ppp(bytes: &[u8], vlans: Vlans) -> Result<Frame<'_>, Undecodable> {
    let bytes = bytes.strip_prefix(&[0xff, 0x03]).unwrap_or(bytes);
    // A protocol number that is odd in its first byte was shortened to that byte.
    let (protocol, rest) = match bytes {
        [short, rest @ ..] if short & 1 == 1 => (u16::from(*short), rest),
        [high, low, rest @ ..] => (u16::from_be_bytes([*high, *low]), rest),
        _ => return Err(Undecodable::TruncatedLink),
    };
    match protocol {
        0x0021 | 0x0057 => Ok(Frame { ip: rest, vlans }),
        0x0281 | 0x0283 => mpls(rest, vlans),
        _ => Err(Undecodable::NotIp),
    }
}

/// The address family, in the byte order of the machine that captured. IPv6 has a number per system.
fn loopback(bytes: &[u8]) -> Result<Frame<'_>, Undecodable> {
    let family = u32_at(bytes, 0).ok_or(Undecodable::TruncatedLink)?;
    match family.min(family.swap_bytes()) {
        2 | 10 | 24 | 28 | 30 => Ok(Frame { ip: bytes.get(4..).unwrap_or_default(), vlans: Vlans::default() }),
        _ => Err(Undecodable::NotIp),
    }
}
