//! Community ID v1: one text per conversation that every sensor computes alike.
//!
//! Source: github.com/corelight/community-id-spec. The crate `community-id` gives the values; this adds which protocols
//! have ports.

use crate::key::{ICMP, ICMP6, SCTP, TCP, Tuple, UDP};

/// `1:` and a SHA-1 in base64, or an empty text for addresses of two families, which cannot happen in one packet.
pub(crate) fn community_id(tuple: &Tuple) -> String {
    let has_ports = matches!(tuple.protocol, TCP | UDP | SCTP | ICMP | ICMP6);
    let port = |port: u16| has_ports.then_some(port);
    community_id::calculate_community_id(
        0,
        tuple.source,
        tuple.destination,
        port(tuple.source_port),
        port(tuple.destination_port),
        tuple.protocol,
        false,
    )
    .unwrap_or_default()
}
