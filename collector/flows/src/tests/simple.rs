//! Protocols without templates: NetFlow v1, v5 and v7, and sFlow.

use super::*;
use crate::{Malformed, Protocol, Sampling};

fn v5(count: u16, sampling: u16, records: &[u8]) -> Vec<u8> {
    let head = [
        &words(&[5, count])[..],
        &100_000u32.to_be_bytes(),
        &1_000_000_000u32.to_be_bytes(),
        &500u32.to_be_bytes(),
        &77u32.to_be_bytes(),
        &words(&[0x0102, sampling]),
    ];
    bytes(&[&head.concat(), records])
}

fn record() -> Vec<u8> {
    bytes(&[
        &[10, 0, 0, 1, 198, 51, 100, 7, 10, 0, 0, 254],
        &words(&[3, 4]),
        &5u32.to_be_bytes(),
        &640u32.to_be_bytes(),
        &99_000u32.to_be_bytes(),
        &99_500u32.to_be_bytes(),
        &words(&[51_000, 443]),
        &[0, 0x1b, 6, 0x20],
        &words(&[64_500, 64_501]),
        &[24, 16, 0, 0],
    ])
}

#[test]
fn netflow_v5() {
    let (seen, outcome) = feed(&mut decoder(), &v5(2, 0x4000 | 100, &bytes(&[&record(), &record()])));
    assert_eq!((outcome.protocol, outcome.domain, outcome.sequence), (Some(Protocol::NetflowV5), 0x0102, Some(77)));
    assert_eq!((outcome.step, outcome.flows, outcome.malformed), (Some(2), 2, None));
    let flow = &seen.flows[1];
    assert_eq!(flow.source, Some([10, 0, 0, 1].into()));
    assert_eq!(flow.destination, Some([198, 51, 100, 7].into()));
    assert_eq!((flow.source_port, flow.destination_port, flow.protocol), (Some(51_000), Some(443), Some(6)));
    assert_eq!((flow.packets, flow.bytes, flow.tcp_flags), (Some(5), Some(640), Some(0x1b)));
    assert_eq!((flow.ingress, flow.egress), (Some(3), Some(4)));
    assert_eq!(flow.exported, Some(1_000_000_000_000_000_500));
    assert_eq!(flow.start, Some(999_999_999_000_000_500));
    assert_eq!(flow.end, Some(999_999_999_500_000_500));
    assert_eq!((flow.source_as, flow.destination_as), (Some(64_500), Some(64_501)));
    assert_eq!(flow.sampling, Sampling::OneIn(100));
    assert_eq!(
        seen.natives[0],
        "ipNextHopIPv4Address=Address(10.0.0.254) tcpControlBits=Unsigned(27) ipClassOfService=Unsigned(32) \
         sourceIPv4PrefixLength=Unsigned(24) destinationIPv4PrefixLength=Unsigned(16)"
    );
}

#[test]
fn a_count_that_lies_is_seen() {
    let check = |count, records: &[u8], flows, malformed| {
        let (_, outcome) = feed(&mut decoder(), &v5(count, 0, records));
        assert_eq!((outcome.flows, outcome.malformed), (flows, malformed), "count {count}");
    };
    let two = bytes(&[&record(), &record()]);
    check(1, &two, 1, None);
    check(3, &two, 2, Some(Malformed::Short));
    check(1, &two[..47], 0, Some(Malformed::Short));
    check(0, &[], 0, None);
    let (_, outcome) = feed(&mut decoder(), &v5(1, 0, &two)[..20]);
    assert_eq!(outcome.malformed, Some(Malformed::Short));
}

#[test]
fn netflow_v1_and_v7() {
    let head = [&words(&[1, 1])[..], &[0; 12]].concat();
    let mut one = record();
    one.splice(36.., [0, 0, 17, 0x20, 0].into_iter().chain([0; 11]));
    let (seen, outcome) = feed(&mut decoder(), &bytes(&[&head, &one]));
    assert_eq!((outcome.protocol, outcome.sequence, outcome.flows), (Some(Protocol::NetflowV1), None, 1));
    assert_eq!((seen.flows[0].protocol, seen.flows[0].destination_port), (Some(17), Some(443)));
    let (seen, outcome) = feed(&mut decoder(), &bytes(&[&head, &one[..48]]));
    assert_eq!((outcome.flows, outcome.malformed, seen.flows[0].protocol), (1, None, Some(17)));
    let head = [&words(&[7, 1])[..], &[0; 20]].concat();
    let (seen, outcome) = feed(&mut decoder(), &bytes(&[&head, &record(), &[10, 0, 0, 9]]));
    assert_eq!((outcome.protocol, outcome.flows), (Some(Protocol::NetflowV7), 1));
    assert!(seen.natives[0].ends_with("ipv4RouterSc=Address(10.0.0.9)"));
}

#[test]
fn what_is_no_flow_protocol_is_said_to_be_none() {
    for datagram in [&b""[..], b"\0", b"\0\x09", b"<13>hello", &[0, 5], &[0, 10, 0, 20, 0, 0], &[0, 0, 0, 4, 1]] {
        let (_, outcome) = feed(&mut decoder(), datagram);
        assert!(outcome.malformed.is_some(), "{datagram:?}");
    }
}

fn long(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

fn sflow(samples: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let count = u32::try_from(samples.len()).unwrap();
    let mut out = bytes(&[&long(&[5, 1]), &[10, 0, 0, 5], &long(&[2, 9, 1_000, count])]);
    for (format, body) in samples {
        out.extend(long(&[*format, u32::try_from(body.len()).unwrap()]));
        out.extend(body);
    }
    out
}

fn packet() -> Vec<u8> {
    let ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 12, 8, 0];
    let ip = [0x45, 0, 0, 60, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0xc3, 0x50, 0, 53, 0, 40, 0, 0];
    bytes(&[&ethernet, &ip, &[0, 0]])
}

fn raw_record() -> Vec<u8> {
    let packet = packet();
    let body = bytes(&[&long(&[1, 78, 4, 46]), &packet]);
    bytes(&[&long(&[1, u32::try_from(body.len()).unwrap()]), &body])
}

#[test]
fn sflow_samples() {
    let plain = bytes(&[&long(&[1, 3, 512, 5_120, 2, 3, 0x4000_0102, 1]), &raw_record()]);
    let expanded = bytes(&[&long(&[1, 0, 3, 1, 5_120, 0, 0, 3, 2, 4, 1]), &raw_record()]);
    let (seen, outcome) = feed(&mut decoder(), &sflow(&[(1, plain), (3, expanded), (0x0100_0001, vec![1, 2, 3, 4])]));
    assert_eq!((outcome.protocol, outcome.domain, outcome.sequence), (Some(Protocol::Sflow), 2, Some(9)));
    assert_eq!((outcome.step, outcome.flows, outcome.malformed), (Some(1), 2, None));
    let flow = &seen.flows[0];
    assert_eq!((flow.source, flow.destination), (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into())));
    assert_eq!((flow.source_port, flow.destination_port, flow.protocol), (Some(50_000), Some(53), Some(17)));
    assert_eq!((flow.bytes, flow.packets, flow.sampling), (Some(60), Some(1), Sampling::OneIn(512)));
    assert_eq!((flow.ingress, flow.egress, flow.vlan), (Some(3), None, Some(12)));
    assert_eq!(
        seen.natives[0],
        "sflow.source_id=Unsigned(3) sflow.discard_reason=Unsigned(258) sflow.drops=Unsigned(2) \
         sflow.frame_length=Unsigned(78) ethernetType=Unsigned(2048) ipClassOfService=Unsigned(0) ipTTL=Unsigned(64)"
    );
    assert_eq!((seen.flows[1].ingress, seen.flows[1].egress), (Some(3), None));
}

#[test]
fn sflow_counters() {
    let generic = long(&[3, 6, 0, 1_000_000_000, 1, 3, 0, 900, 1, 2, 3, 4, 5, 6, 1, 0, 7, 8, 9, 10, 11, 0]);
    let body = bytes(&[&long(&[1, 3, 2, 2, 4, 0, 1, 88]), &generic]);
    let (seen, outcome) = feed(&mut decoder(), &sflow(&[(2, body)]));
    assert_eq!((outcome.counters, outcome.malformed), (1, None));
    assert_eq!(
        seen.counters,
        [
            "Some(InterfaceCounters { index: 3, speed: 1000000000, is_up: true, received: Direction { bytes: 900, packets: 6, \
          discards: 4, errors: 5 }, sent: Direction { bytes: 4294967296, packets: 24, discards: 10, errors: 11 } })"
        ]
    );
}
