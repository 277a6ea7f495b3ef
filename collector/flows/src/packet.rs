//! The first bytes of a sampled packet: Ethernet, VLAN tags, MPLS, IP, and the ports. What is cut off is left out.

use std::net::IpAddr;

use crate::flow::Flow;
use crate::wire::Reader;

/// What was found besides the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Headers {
    pub(crate) inner_vlan: Option<u16>,
    pub(crate) ether_type: Option<u16>,
    pub(crate) mpls_label: Option<u32>,
    pub(crate) type_of_service: Option<u8>,
    pub(crate) ttl: Option<u8>,
    /// Bytes of the IP packet as its header says.
    pub(crate) ip_len: Option<u64>,
    pub(crate) is_fragment: bool,
}

/// Tags and labels, and headers behind an IPv6 header, that are stepped over at most.
const STEPS_MAX: usize = 8;

pub(crate) fn ethernet(bytes: &[u8], flow: &mut Flow) -> Headers {
    let mut headers = Headers::default();
    read_ethernet(Reader::new(bytes), flow, &mut headers);
    headers
}

pub(crate) fn ip(bytes: &[u8], flow: &mut Flow) -> Headers {
    let mut headers = Headers::default();
    read_ip(Reader::new(bytes), flow, &mut headers);
    headers
}

fn read_ethernet(mut reader: Reader<'_>, flow: &mut Flow, headers: &mut Headers) -> Option<()> {
    flow.destination_mac = Some(reader.mac()?);
    flow.source_mac = Some(reader.mac()?);
    let mut kind = reader.u16()?;
    for _ in 0..STEPS_MAX {
        // IEEE 802.1Q, 802.1ad, and the number that was used before 802.1ad.
        if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
            break;
        }
        let vlan = reader.u16()? & 0x0fff;
        if flow.vlan.is_none() {
            flow.vlan = Some(vlan);
        } else if headers.inner_vlan.is_none() {
            headers.inner_vlan = Some(vlan);
        }
        kind = reader.u16()?;
    }
    headers.ether_type = Some(kind);
    match kind {
        0x0800 | 0x86dd => read_ip(reader, flow, headers),
        0x8847 | 0x8848 => read_mpls(reader, flow, headers),
        0x8864 => {
            // PPPoE (RFC 2516): version and type, code, session, length; then the protocol of PPP.
            let (_, _, _) = (reader.u16()?, reader.u16()?, reader.u16()?);
            matches!(reader.u16()?, 0x0021 | 0x0057).then(|| read_ip(reader, flow, headers)).flatten()
        }
        _ => None,
    }
}

/// RFC 3032: labels up to the one with the mark of the last, then a packet that does not say what it is.
fn read_mpls(mut reader: Reader<'_>, flow: &mut Flow, headers: &mut Headers) -> Option<()> {
    for _ in 0..STEPS_MAX {
        let entry = reader.u32()?;
        headers.mpls_label.get_or_insert(entry >> 12);
        if entry & 0x100 != 0 {
            return read_ip(reader, flow, headers);
        }
    }
    None
}

fn read_ip(reader: Reader<'_>, flow: &mut Flow, headers: &mut Headers) -> Option<()> {
    match reader.rest().first()? >> 4 {
        4 => read_ipv4(reader, flow, headers),
        6 => read_ipv6(reader, flow, headers),
        _ => None,
    }
}

fn read_ipv4(mut reader: Reader<'_>, flow: &mut Flow, headers: &mut Headers) -> Option<()> {
    let header_len = usize::from(reader.u8()? & 0x0f) * 4;
    headers.type_of_service = Some(reader.u8()?);
    headers.ip_len = Some(u64::from(reader.u16()?));
    let _identification = reader.u16()?;
    let fragment = reader.u16()?;
    headers.ttl = Some(reader.u8()?);
    let protocol = reader.u8()?;
    let _checksum = reader.u16()?;
    let (source, destination) = (reader.ipv4()?, reader.ipv4()?);
    flow.protocol = Some(protocol);
    (flow.source, flow.destination) = (Some(IpAddr::V4(source)), Some(IpAddr::V4(destination)));
    reader.take(header_len.checked_sub(20)?)?;
    headers.is_fragment = fragment & 0x1fff != 0;
    if headers.is_fragment {
        return None; // only the first fragment has ports
    }
    read_transport(reader, protocol, flow)
}

fn read_ipv6(mut reader: Reader<'_>, flow: &mut Flow, headers: &mut Headers) -> Option<()> {
    let first = reader.u32()?;
    headers.type_of_service = Some(((first >> 20) & 0xff) as u8); // eight bits are left
    headers.ip_len = Some(u64::from(reader.u16()?) + 40);
    let mut protocol = reader.u8()?;
    headers.ttl = Some(reader.u8()?);
    let (source, destination) = (reader.ipv6()?, reader.ipv6()?);
    (flow.source, flow.destination) = (Some(IpAddr::V6(source)), Some(IpAddr::V6(destination)));
    flow.protocol = Some(protocol);
    for _ in 0..STEPS_MAX {
        match protocol {
            // Hop-by-hop, routing, destination options, mobility, HIP, shim6 (RFC 8200, RFC 7045).
            0 | 43 | 60 | 135 | 139 | 140 => {
                protocol = reader.u8()?;
                let len = usize::from(reader.u8()?) * 8 + 6;
                reader.take(len)?;
            }
            44 => {
                protocol = reader.u8()?;
                let _reserved = reader.u8()?;
                headers.is_fragment = reader.u16()? >> 3 != 0;
                let _identification = reader.u32()?;
            }
            51 => {
                protocol = reader.u8()?;
                let len = (usize::from(reader.u8()?) + 2) * 4;
                reader.take(len.checked_sub(2)?)?;
            }
            _ => break,
        }
        flow.protocol = Some(protocol);
        if headers.is_fragment {
            return None;
        }
    }
    read_transport(reader, protocol, flow)
}

fn read_transport(mut reader: Reader<'_>, protocol: u8, flow: &mut Flow) -> Option<()> {
    match protocol {
        1 | 58 => flow.icmp = Some((reader.u8()?, reader.u8()?)),
        6 | 17 | 33 | 132 | 136 => {
            flow.source_port = Some(reader.u16()?);
            flow.destination_port = Some(reader.u16()?);
            if protocol == 6 {
                let (_sequence, _acknowledged) = (reader.u32()?, reader.u32()?);
                flow.tcp_flags = Some(reader.u16()? & 0x01ff);
            }
        }
        _ => (),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACS: &[u8] = &[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2];
    const TCP: &[u8] = &[0, 80, 0x1f, 0x90, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x12, 0, 0];
    const IPV4: &[u8] = &[0x45, 0x10, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

    fn check(parts: &[&[u8]], expected: (Option<u16>, Option<u16>, Option<u16>, Option<u16>)) {
        let bytes = parts.concat();
        let mut flow = Flow::default();
        let headers = ethernet(&bytes, &mut flow);
        let found = (flow.vlan, headers.inner_vlan, flow.destination_port, flow.tcp_flags);
        assert_eq!(found, expected, "{parts:?}");
        // A header may be cut anywhere.
        for len in 0..bytes.len() {
            ethernet(&bytes[..len], &mut Flow::default());
        }
    }

    #[test]
    fn tags_labels_and_headers() {
        let tcp = (Some(8080), Some(0x12));
        let with = |vlan, inner| (vlan, inner, tcp.0, tcp.1);
        check(&[MACS, &[8, 0], IPV4, TCP], with(None, None));
        check(&[MACS, &[0x81, 0, 0x20, 5, 8, 0], IPV4, TCP], with(Some(5), None));
        check(&[MACS, &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9, 8, 0], IPV4, TCP], with(Some(7), Some(9)));
        check(&[MACS, &[0x88, 0x47, 0, 0, 0x10, 64, 0, 0, 0x21, 64], IPV4, TCP], with(None, None));
        check(&[MACS, &[0x88, 0x64, 0x11, 0, 0, 1, 0, 62, 0, 0x21], IPV4, TCP], with(None, None));
        check(&[MACS, &[8, 6, 0, 1]], (None, None, None, None));
        let fragment = [&IPV4[..6], &[0x20, 0x10], &IPV4[8..]].concat();
        check(&[MACS, &[8, 0], &fragment, TCP], (None, None, None, None));
        let address = [0x20u8, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let ipv6 = [&[0x6b, 0x80, 0, 0, 0, 28, 0, 64][..], &address, &address].concat();
        let hop_by_hop = [6, 0, 1, 4, 0, 0, 0, 0];
        check(&[MACS, &[0x86, 0xdd], &ipv6, &hop_by_hop, TCP], with(None, None));
        let mut flow = Flow::default();
        let headers = ip(&[&ipv6[..], &hop_by_hop, TCP].concat(), &mut flow);
        assert_eq!((headers.type_of_service, headers.ip_len, flow.protocol), (Some(0xb8), Some(68), Some(6)));
    }
}
