//! Times and caps.

use std::time::Duration;

use canh_packet::{Checksums, FlowConfig, FlowEnd, FlowTable, LinkType, Timestamp, Undecodable};

use crate::build::{Talk, datagram, ethernet, timed};
use crate::{flows, run, run_with};

/// Datagrams of one conversation at these seconds: why each of its flows ended.
#[track_caller]
fn check_idle(seconds: &[f64], expected: &[FlowEnd]) {
    let packets: Vec<_> = seconds.iter().map(|second| (*second, datagram(5_555, 9_999, b"x"))).collect();
    let records = run(&packets);
    let reasons: Vec<FlowEnd> = flows(&records).iter().map(|flow| flow.reason).collect();
    assert_eq!(reasons, expected, "{seconds:?}");
}

#[test]
fn silence_ends_a_flow() {
    use FlowEnd::{Finished, Idle, StillActive};
    check_idle(&[0.0, 59.0, 118.0], &[Finished]);
    check_idle(&[0.0, 60.0], &[Idle, Finished]);
    // A flow that goes on for more than half an hour is reported meanwhile.
    let long: Vec<f64> = (0..=40).map(|step| f64::from(step) * 50.0).collect();
    check_idle(&long, &[StillActive, Finished]);
    // Time that steps back a little is late packets; far back, it is another time.
    check_idle(&[500.0, 499.0], &[Finished]);
    check_idle(&[5_000.0, 0.0], &[Idle, Finished]);
}

#[test]
fn time_without_packets_ends_flows_too() {
    let mut table = FlowTable::new(FlowConfig::default());
    let mut out = Vec::new();
    let packet = datagram(5_555, 9_999, b"x");
    table.packet(LinkType::ETHERNET, Timestamp::from_nanos(0), packet.len() as u32, &packet, &mut out);
    table.tick(Timestamp::from_nanos(59_000_000_000), &mut out);
    assert!(out.is_empty());
    table.tick(Timestamp::from_nanos(60_000_000_000), &mut out);
    assert_eq!((out.len(), table.len()), (1, 0));
}

#[test]
fn tcp_times_depend_on_the_state() {
    let attempt = Talk::new(80).send(0, "S", b"");
    let other = |second| (second, datagram(5_555, 9_999, b"x"));
    let ends_by = |packets: Vec<(f64, Vec<u8>)>, until: f64| {
        let mut packets = packets;
        packets.push(other(until));
        let (records, _) = run_with(FlowConfig::default(), &packets);
        flows(&records).iter().any(|flow| flow.conversation.responder_port == 80 && flow.reason != FlowEnd::Finished)
    };
    assert!(!ends_by(vec![(1_000.0, attempt.clone())], 1_004.0));
    assert!(ends_by(vec![(1_000.0, attempt)], 1_005.0));
    let mut talk = Talk::new(80);
    let established = timed(talk.handshake());
    assert!(!ends_by(established.clone(), 1_299.0));
    assert!(ends_by(established.clone(), 1_301.0));
    let mut closed = established;
    closed.extend([(1_001.0, talk.send(0, "FA", b"")), (1_001.0, talk.send(1, "FA", b""))]);
    assert!(!ends_by(closed.clone(), 1_005.0));
    assert!(ends_by(closed, 1_006.1));
}

#[test]
fn a_full_table_gives_up_attempts_before_conversations() {
    let mut talk = Talk::new(80);
    let mut packets: Vec<Vec<u8>> = talk.handshake();
    for port in 1_000..1_100 {
        let mut attempt = Talk::new(port);
        packets.push(attempt.send(0, "S", b""));
    }
    packets.push(talk.send(0, "PA", b"still here"));
    let packets: Vec<_> = packets.into_iter().map(|packet| (1_000.0, packet)).collect();
    let (records, stats) = run_with(FlowConfig { flows_max: 10, ..FlowConfig::default() }, &packets);
    let flows = flows(&records);
    assert_eq!((stats.flows_opened, stats.flows_evicted, flows.len()), (101, 91, 101));
    let survivor = flows.iter().find(|flow| flow.conversation.responder_port == 80).unwrap();
    assert_eq!((survivor.originator.payload_bytes, survivor.reason), (10, FlowEnd::Finished));
    let packets_in_flows: u64 = flows.iter().map(|flow| flow.originator.packets + flow.responder.packets).sum();
    assert_eq!(packets_in_flows, stats.packets);
}

#[track_caller]
fn check_undecodable(packet: &[u8], expected: Undecodable) {
    let (records, stats) = run_with(FlowConfig::default(), &[(1.0, packet.to_vec())]);
    assert!(records.is_empty());
    let counted: Vec<Undecodable> = stats.undecodable().filter(|(_, count)| *count == 1).map(|(why, _)| why).collect();
    assert_eq!(counted, [expected], "{packet:02x?}");
}

#[test]
fn what_has_no_flow_is_counted_with_its_reason() {
    let frame = datagram(5_555, 9_999, b"abc");
    check_undecodable(&ethernet(0x0806, &[0; 28]), Undecodable::NotIp);
    check_undecodable(&frame[..10], Undecodable::TruncatedLink);
    check_undecodable(&frame[..20], Undecodable::TruncatedIp);
    check_undecodable(&frame[..36], Undecodable::TruncatedTransport);
    check_undecodable(&ethernet(0x0800, &[0x41; 40]), Undecodable::BadIp);
    check_undecodable(&ethernet(0x8100, &[0x81, 0].repeat(50)), Undecodable::TooDeep);
    let mut later = frame;
    later[20..22].copy_from_slice(&[0x00, 0x10]);
    check_undecodable(&later, Undecodable::FragmentAlone);
}

#[test]
fn wrong_checksums_count_only_when_asked_for() {
    let mut frame = datagram(5_555, 9_999, b"abc");
    frame[40..42].copy_from_slice(&[1, 2]);
    let header: u32 = (14..34).step_by(2).map(|at| u32::from(frame[at]) << 8 | u32::from(frame[at + 1])).sum();
    let sum = !((header & 0xffff) + (header >> 16)) as u16;
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    for (checksums, packets, history) in [(Checksums::Ignore, 1, "D"), (Checksums::Verify, 0, "C")] {
        let config = FlowConfig { checksums, ..FlowConfig::default() };
        let (records, stats) = run_with(config, &[(1.0, frame.clone())]);
        let flow = flows(&records)[0];
        assert_eq!((flow.originator.packets, flow.history.as_str()), (packets, history));
        assert_eq!(stats.bad_checksums, 1 - packets);
    }
}

#[test]
fn a_flow_is_reported_at_the_interval_asked_for() {
    let config = FlowConfig { active: Duration::from_secs(10), ..FlowConfig::default() };
    let packets: Vec<_> = (0..=50).map(|second| (f64::from(second), datagram(5_555, 9_999, b"x"))).collect();
    let (records, _) = run_with(config, &packets);
    let counts: Vec<u64> = flows(&records).iter().map(|flow| flow.originator.packets).collect();
    assert_eq!(counts, [11, 21, 31, 41, 51, 51]);
}
