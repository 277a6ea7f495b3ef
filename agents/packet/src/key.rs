//! What makes packets belong to one flow, and who of the two began it.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use crate::dissect::{Tunnel, TunnelKind, Vlans};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;
pub(crate) const SCTP: u8 = 132;

/// The five-tuple of one packet, as it was sent. ICMP has its type and its counterpart in the place of the ports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuple {
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
    pub protocol: u8,
    /// There is no answer to such a packet: one in the other direction is another flow.
    pub one_way: bool,
}

/// The key of a flow: equal for both directions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FlowKey {
    low: u128,
    high: u128,
    ports_and_protocol: u64,
    scope: u64,
}

/// Which end of the key sent a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Low,
    High,
}

impl FlowKey {
    /// `vlans` are left out by the caller when they shall not matter.
    pub(crate) fn new(tuple: &Tuple, vlans: Vlans, tunnel: Option<Tunnel>) -> (Self, End) {
        let source = (number(tuple.source), tuple.source_port);
        let destination = (number(tuple.destination), tuple.destination_port);
        let end = if tuple.one_way || source <= destination { End::Low } else { End::High };
        let (low, high) = if end == End::Low { (source, destination) } else { (destination, source) };
        let ports_and_protocol = u64::from(low.1) << 48
            | u64::from(high.1) << 32
            | u64::from(tuple.protocol) << 8
            | u64::from(tuple.one_way) << 1
            | u64::from(tuple.source.is_ipv6());
        // 0 is for packets without a tag, which is not the same as tag 0.
        let tag = |vlan: Option<u16>| vlan.map_or(0, |id| u64::from(id) + 1);
        let scope = tag(vlans.outer) << 48 | tag(vlans.inner) << 35 | tunnel.map_or(0, tunnel_scope);
        (Self { low: low.0, high: high.0, ports_and_protocol, scope }, end)
    }
}

/// 35 bits. Only numbers that are the same in both directions count: PPTP, GTP-U and ERSPAN number each
/// direction.
fn tunnel_scope(tunnel: Tunnel) -> u64 {
    let id = match tunnel.kind {
        TunnelKind::Gre | TunnelKind::Vxlan | TunnelKind::Geneve => u64::from(tunnel.id),
        TunnelKind::IpInIp | TunnelKind::Pptp | TunnelKind::Erspan | TunnelKind::GtpU | TunnelKind::Teredo => 0,
    };
    (tunnel.kind as u64 + 1) << 32 | id
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.low);
        state.write_u128(self.high);
        state.write_u64(self.ports_and_protocol);
        state.write_u64(self.scope);
    }
}

/// The type that answers an ICMP type, or `None` where there is no such pair. Source: RFC 792, RFC 950, RFC 1256.
pub(crate) fn icmp_counterpart(icmp_type: u8) -> Option<u8> {
    Some(match icmp_type {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// The same for ICMPv6. Source: RFC 4443, RFC 4861, RFC 2710, RFC 4620, RFC 6275.
pub(crate) fn icmp6_counterpart(icmp_type: u8) -> Option<u8> {
    Some(match icmp_type {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}

/// Ports that Zeek's analysers register, so that it takes them for the server's when the beginning was not seen.
const TCP_SERVER_PORTS: &[u16] = &[
    21, 22, 23, 25, 53, 80, 81, 88, 110, 111, 135, 139, 143, 389, 443, 445, 502, 513, 514, 524, 563, 585, 587, 614,
    631, 636, 989, 990, 992, 993, 995, 1080, 1434, 1883, 2811, 3128, 3268, 3306, 3389, 5222, 5223, 5269, 5432, 6379,
    6666, 6667, 6668, 6669, 8000, 8080, 8888, 20_000,
];
const UDP_SERVER_PORTS: &[u16] = &[
    53, 67, 68, 88, 111, 123, 137, 161, 162, 389, 443, 514, 1812, 2123, 2152, 3389, 3544, 4011, 4789, 5060, 5072, 5353,
    5355, 6081, 20_000,
];

fn is_tcp_server(port: u16) -> bool {
    TCP_SERVER_PORTS.binary_search(&port).is_ok()
}

/// Whether the receiver of the first TCP packet seen is the originator. Never after a plain SYN. A SYN with ACK whose
/// both ports are servers' is not turned, because a stealthy scan looks like that.
pub(crate) fn tcp_is_answer(source_port: u16, destination_port: u16, syn: bool, ack: bool) -> bool {
    if (syn && !ack) || !is_tcp_server(source_port) {
        return false;
    }
    !is_tcp_server(destination_port) || (!syn && source_port < destination_port)
}

/// Whether the receiver of the first UDP datagram seen is the originator.
pub(crate) fn udp_is_answer(source_port: u16, destination_port: u16) -> bool {
    let server = |port| UDP_SERVER_PORTS.binary_search(&port).is_ok();
    server(source_port) && !server(destination_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_ports_are_sorted_for_the_search() {
        assert!(TCP_SERVER_PORTS.is_sorted());
        assert!(UDP_SERVER_PORTS.is_sorted());
    }

    #[track_caller]
    fn check(source: &str, source_port: u16, destination: &str, destination_port: u16, one_way: bool, same: bool) {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let there = Tuple { source, source_port, destination, destination_port, protocol: TCP, one_way };
        let back = Tuple {
            source: destination,
            source_port: destination_port,
            destination: source,
            destination_port: source_port,
            ..there
        };
        let (there, there_end) = FlowKey::new(&there, Vlans::default(), None);
        let (back, back_end) = FlowKey::new(&back, Vlans::default(), None);
        assert_eq!(there == back, same);
        if same && (source, source_port) != (destination, destination_port) {
            assert_ne!(there_end, back_end);
        }
    }

    #[test]
    fn both_directions_have_one_key() {
        check("10.0.0.1", 1_000, "10.0.0.2", 80, false, true);
        check("10.0.0.2", 1_000, "10.0.0.1", 80, false, true);
        check("10.0.0.1", 1_000, "10.0.0.1", 80, false, true);
        check("10.0.0.1", 80, "10.0.0.1", 80, false, true);
        check("fe80::1", 80, "fe80::2", 81, false, true);
        check("10.0.0.1", 3, "10.0.0.2", 3, true, false);
    }

    #[test]
    fn tags_and_tunnels_separate_flows() {
        let tuple = Tuple {
            source: "10.0.0.1".parse().unwrap(),
            source_port: 1,
            destination: "10.0.0.2".parse().unwrap(),
            destination_port: 2,
            protocol: UDP,
            one_way: false,
        };
        let key = |outer, inner, tunnel| FlowKey::new(&tuple, Vlans { outer, inner }, tunnel).0;
        let vxlan = |id| Some(Tunnel { kind: TunnelKind::Vxlan, id });
        let gtp = |id| Some(Tunnel { kind: TunnelKind::GtpU, id });
        assert_ne!(key(None, None, None), key(Some(0), None, None));
        assert_ne!(key(Some(1), Some(2), None), key(Some(2), Some(1), None));
        assert_ne!(key(None, None, vxlan(1)), key(None, None, vxlan(2)));
        assert_eq!(key(None, None, gtp(1)), key(None, None, gtp(2)));
    }
}
