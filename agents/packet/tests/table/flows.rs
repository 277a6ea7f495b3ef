//! States, histories, originators, and what is found below tags and tunnels.

use canh_packet::{Transport, TunnelKind};

use crate::build::{CLIENT, SERVER, Talk, datagram, ethernet, fragment, ipv4, ipv6, timed, udp};
use crate::{flows, run};

/// A TCP connection by steps: `>` is the client, `<` the server, then flags, then the length of the data.
#[track_caller]
fn check(port: u16, steps: &str, state: &str, history: &str) {
    let mut talk = Talk::new(port);
    let packets = steps.split(' ').map(|step| {
        let end = usize::from(step.starts_with('<'));
        let flags: String = step[1..].chars().take_while(char::is_ascii_uppercase).collect();
        let len = step[1 + flags.len()..].parse().unwrap_or(0);
        talk.send(end, &flags, &vec![b'x'; len])
    });
    let records = run(&timed(packets.collect()));
    let [flow] = flows(&records)[..] else { panic!("{steps}: {records:?}") };
    assert_eq!((flow.connection_state, flow.history.as_str()), (state, history), "{steps}");
}

#[test]
fn states_and_histories_are_zeeks() {
    check(80, ">S", "S0", "S");
    check(80, ">S <RA", "REJ", "Sr");
    check(80, ">S <SA >A", "S1", "ShA");
    check(80, ">S <SA >A >PA10 <PA20 >FA <FA >A", "SF", "ShADdFf");
    check(80, ">S <SA >A >PA10 <A <PA20 >RA", "RSTO", "ShADadR");
    check(80, ">S <SA >A >PA10 <RA", "RSTR", "ShADr");
    check(80, ">S <SA >A >FA", "S2", "ShAF");
    check(80, ">S <SA >A <FA", "S3", "ShAf");
    check(80, ">S >R", "RSTOS0", "SR");
    check(80, ">S >F", "SH", "SF");
    // The beginning was not seen.
    check(50_000, ">PA10 <PA20", "OTH", "Dd");
    check(80, "<SA >A", "S1", "^hA");
    check(80, "<PA20 >PA10", "OTH", "^dD");
    check(80, "<SA <R", "RSTRH", "^hr");
    // A packet with flags that contradict each other.
    check(80, ">SF", "SH", "Q");
}

#[test]
fn a_new_syn_after_the_end_is_a_new_flow() {
    let mut talk = Talk::new(80);
    let mut packets = vec![talk.send(0, "S", b""), talk.send(1, "RA", b"")];
    packets.extend([talk.send(0, "S", b""), talk.send(1, "SA", b"")]);
    let records = run(&timed(packets));
    let states: Vec<&str> = flows(&records).iter().map(|flow| flow.connection_state).collect();
    assert_eq!(states, ["REJ", "S1"]);
}

#[test]
fn bytes_and_flags_are_counted_for_each_side() {
    let mut talk = Talk::new(80);
    let mut packets = talk.handshake();
    packets.push(talk.send(0, "PA", b"hello"));
    packets.push(talk.send(1, "PA", b"hello, you"));
    let records = run(&timed(packets));
    let flow = flows(&records)[0];
    assert_eq!((flow.originator.packets, flow.originator.ip_bytes, flow.originator.payload_bytes), (3, 125, 5));
    assert_eq!((flow.responder.packets, flow.responder.ip_bytes, flow.responder.payload_bytes), (2, 90, 10));
    assert_eq!((flow.originator.tcp_flags, flow.responder.tcp_flags), (0x1a, 0x1a));
    assert_eq!(flow.duration().as_millis(), 400);
}

/// The same datagram, in any wrapping, is the same conversation.
#[track_caller]
fn check_wrapped(frame: Vec<u8>, vlans: (Option<u16>, Option<u16>), tunnel: Option<(TunnelKind, u32)>) {
    let records = run(&[(1.0, frame)]);
    let all = flows(&records);
    let flow = all.iter().find(|flow| flow.conversation.responder_port == 9_999).expect("the flow inside");
    let talk = &flow.conversation;
    assert_eq!((talk.vlans.outer, talk.vlans.inner), vlans);
    assert_eq!(talk.tunnel.map(|tunnel| (tunnel.kind, tunnel.id)), tunnel);
    assert_eq!((talk.originator_port, talk.transport), (5_555, Transport::Udp));
    assert_eq!(flow.originator.payload_bytes, 3);
}

#[test]
fn flows_are_found_below_tags_and_tunnels() {
    let ip = ipv4(17, CLIENT, SERVER, &udp(5_555, 9_999, b"abc"));
    let frame = ethernet(0x0800, &ip);
    let joined = |parts: &[&[u8]]| parts.concat();
    let over_ip = |protocol, payload: &[u8]| ethernet(0x0800, &ipv4(protocol, [1, 1, 1, 1], [2, 2, 2, 2], payload));
    check_wrapped(frame.clone(), (None, None), None);
    check_wrapped(joined(&[&frame, &[0; 20]]), (None, None), None); // padding of a short frame
    check_wrapped(ethernet(0x8100, &joined(&[&[0x60, 5, 8, 0], &ip])), (Some(5), None), None);
    let tags = [0x60, 5, 0x81, 0, 0, 6, 8, 0];
    check_wrapped(ethernet(0x88a8, &joined(&[&tags, &ip])), (Some(5), Some(6)), None);
    check_wrapped(ethernet(0x8847, &joined(&[&[0, 1, 0, 64, 0, 2, 1, 64], &ip])), (None, None), None);
    let pseudowire = joined(&[&[0, 2, 1, 64, 0, 0, 0, 0], &frame]);
    check_wrapped(ethernet(0x8847, &pseudowire), (None, None), None);
    check_wrapped(ethernet(0x8864, &joined(&[&[0x11, 0, 0, 9, 0, 33, 0, 0x21], &ip])), (None, None), None);
    check_wrapped(ethernet(31, &joined(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &ip])), (None, None), None);
    check_wrapped(over_ip(4, &ip), (None, None), Some((TunnelKind::IpInIp, 0)));
    check_wrapped(over_ip(47, &joined(&[&[0, 0, 8, 0], &ip])), (None, None), Some((TunnelKind::Gre, 0)));
    let keyed = [0x20, 0, 0x65, 0x58, 0, 0, 0, 77];
    check_wrapped(over_ip(47, &joined(&[&keyed, &frame])), (None, None), Some((TunnelKind::Gre, 77)));
    let erspan = [0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 9, 0, 0, 0, 0];
    check_wrapped(over_ip(47, &joined(&[&erspan, &frame])), (None, None), Some((TunnelKind::Erspan, 9)));
    let vxlan = udp(50_000, 4_789, &joined(&[&[8, 0, 0, 0, 0, 0, 42, 0], &frame]));
    check_wrapped(over_ip(17, &vxlan), (None, None), Some((TunnelKind::Vxlan, 42)));
    let geneve = udp(50_000, 6_081, &joined(&[&[1, 0, 0x65, 0x58, 0, 0, 42, 0, 0, 0, 0, 0], &frame]));
    check_wrapped(over_ip(17, &geneve), (None, None), Some((TunnelKind::Geneve, 42)));
    let gtp = udp(2_152, 2_152, &joined(&[&[0x30, 255, 0, 31, 0, 0, 0, 42], &ip]));
    check_wrapped(over_ip(17, &gtp), (None, None), Some((TunnelKind::GtpU, 42)));
}

#[test]
fn ipv6_extension_headers_are_followed() {
    let inside = udp(5_555, 9_999, b"abc");
    // Hop-by-hop, routing, destination options, then a fragment header of a datagram that is whole.
    let chain =
        [[43, 0, 1, 4, 0, 0, 0, 0], [60, 0, 0, 0, 0, 0, 0, 0], [44, 0, 1, 4, 0, 0, 0, 0], [17, 0, 0, 0, 0, 0, 0, 9]];
    check_wrapped(ethernet(0x86dd, &ipv6(0, &[chain.concat(), inside].concat())), (None, None), None);
}

#[test]
fn later_fragments_count_for_the_flow_of_the_first() {
    let whole = udp(5_555, 9_999, &[b'x'; 40]);
    let part = |flags, bytes: &[u8]| ethernet(0x0800, &fragment(17, CLIENT, SERVER, flags, bytes));
    let records = run(&[
        (1.0, part(0x2000, &whole[..24])),
        (1.1, part(0x2003, &whole[24..40])),
        (1.2, part(0x0005, &whole[40..])),
    ]);
    let [flow] = flows(&records)[..] else { panic!("{records:?}") };
    assert_eq!((flow.originator.packets, flow.originator.ip_bytes, flow.originator.payload_bytes), (3, 108, 40));
}

#[test]
fn icmp_questions_and_answers_are_one_flow() {
    let icmp = |icmp_type, source, destination| {
        ethernet(0x0800, &ipv4(1, source, destination, &[icmp_type, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4]))
    };
    let records = run(&[(1.0, icmp(8, CLIENT, SERVER)), (1.1, icmp(0, SERVER, CLIENT))]);
    let [flow] = flows(&records)[..] else { panic!("{records:?}") };
    let talk = &flow.conversation;
    assert_eq!((talk.originator_port, talk.responder_port, talk.transport), (8, 0, Transport::Icmp));
    assert_eq!((flow.originator.packets, flow.responder.packets, flow.originator.payload_bytes), (1, 1, 4));
    // A message without an answer is a flow of its own in each direction.
    let records = run(&[(1.0, icmp(3, CLIENT, SERVER)), (1.1, icmp(3, SERVER, CLIENT))]);
    assert_eq!(flows(&records).len(), 2);
}

#[test]
fn an_answer_from_a_known_port_has_the_receiver_as_originator() {
    let records = run(&[(1.0, datagram(53, 40_000, b"?"))]);
    let flow = flows(&records)[0];
    assert_eq!((flow.conversation.originator_port, flow.history.as_str()), (40_000, "^d"));
    let records = run(&[(1.0, datagram(40_001, 40_000, b"?"))]);
    assert_eq!(flows(&records)[0].conversation.originator_port, 40_001);
}
