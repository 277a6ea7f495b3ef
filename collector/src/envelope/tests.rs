//! What is written is read back, what an older program wrote as well, and hostile bytes harm nobody.

use std::net::{Ipv4Addr, Ipv6Addr};

use canh_schema::AgentId;
use proptest::prelude::*;

use super::*;

fn peer() -> impl Strategy<Value = Option<IpAddr>> {
    prop_oneof![
        Just(None),
        any::<u32>().prop_map(|bits| Some(IpAddr::V4(Ipv4Addr::from_bits(bits)))),
        any::<u128>().prop_map(|bits| Some(IpAddr::V6(Ipv6Addr::from_bits(bits)))),
    ]
}

prop_compose! {
    fn envelope()(
        door in prop::sample::select(Door::ALL.to_vec()),
        framing in prop::sample::select(Framing::ALL.to_vec()),
        peer in peer(),
        received in any::<i64>(),
        agent in prop::option::of((any::<[u8; 16]>(), any::<u64>(), any::<u64>())),
        format in prop::option::of("[a-zé]{0,20}"),
        host in prop::option::of("[a-zé]{0,20}"),
        sender in prop::option::of("[a-zé]{0,20}"),
        labels in prop::collection::vec(("[a-zé.]{0,20}", "[a-zé]{0,20}"), 0..=LABELS_MAX),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) -> Envelope {
        Envelope {
            door,
            peer,
            sender: sender.map(CompactString::from),
            received: Timestamp::from_nanos(received),
            agent: agent.map(|(agent, spool, sequence)| {
                AgentBatch { agent: AgentId::from_bytes(agent), spool, sequence }
            }),
            format: format.map(CompactString::from),
            host: host.map(CompactString::from),
            labels: labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            framing,
            payload: Bytes::from(payload),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(envelope in envelope()) {
        let bytes = envelope.encode();
        prop_assert!(bytes.len() <= envelope.encoded_len_max());
        prop_assert_eq!(Envelope::decode(bytes), Ok(envelope));
    }

    #[test]
    fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), honest in any::<bool>()) {
        if honest && let [version, door, framing, ..] = bytes.as_mut_slice() {
            let (doors, framings) = (Door::ALL, Framing::ALL);
            *version = VERSION;
            *door = doors[usize::from(*door) % doors.len()] as u8;
            *framing = framings[usize::from(*framing) % framings.len()] as u8;
        }
        let payload = Bytes::from(bytes);
        if let Ok(envelope) = Envelope::decode(payload.clone()) {
            envelope.records().for_each(drop);
        }
        for framing in Framing::ALL {
            let records = Envelope::new(Door::Import, Timestamp::default(), framing, payload.clone()).records();
            let bytes: usize = records.map(|record| record.bytes.len()).sum();
            prop_assert!(bytes <= payload.len());
        }
    }

    #[test]
    fn a_list_gives_back_its_records(
        records in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..50), peer(), any::<bool>()), 0..20),
        envelope_peer in peer(),
    ) {
        let mut list = RecordList::default();
        let mut expected = Vec::new();
        for (bytes, peer, truncated) in records {
            let cut = if truncated { Cut::Truncated } else { Cut::Whole };
            list.push(&bytes, peer, cut);
            expected.push(Record { bytes: bytes.into(), peer: peer.or(envelope_peer), cut });
        }
        let mut envelope = Envelope::new(Door::SyslogUdp, Timestamp::default(), Framing::Records, list.take());
        envelope.peer = envelope_peer;
        prop_assert_eq!(envelope.records().collect::<Vec<_>>(), expected);
    }
}

#[track_caller]
fn check_lines(payload: &'static str, expected: &[&str]) {
    let payload = Bytes::from_static(payload.as_bytes());
    let envelope = Envelope::new(Door::SyslogTcp, Timestamp::default(), Framing::Lines, payload.clone());
    let lines: Vec<Bytes> = envelope.records().map(|record| record.bytes).collect();
    assert_eq!(lines, expected, "payload: {payload:?}");
}

#[test]
fn lines() {
    check_lines("", &[]);
    check_lines("\n\n", &[]);
    check_lines("a\nb", &["a", "b"]);
    check_lines("a\nb\n", &["a", "b"]);
    check_lines("a\r\n\r\nb\rc\r\n", &["a", "b\rc"]);
}

#[track_caller]
fn check_damage(bytes: &'static [u8], expected: EnvelopeError) {
    assert_eq!(Envelope::decode(Bytes::from_static(bytes)), Err(expected), "bytes: {bytes:?}");
}

#[test]
fn damage_is_named() {
    check_damage(b"", EnvelopeError::Short);
    check_damage(b"\x02", EnvelopeError::Short);
    check_damage(b"\x09", EnvelopeError::Version { version: 9 });
    check_damage(b"\x02\x01\x01\x40\0\0\0\0\0\0\0\0\x05abc", EnvelopeError::Short);
    check_damage(b"\x01\x01\x01\x01\0\0\0\0\0\0\0\0agent", EnvelopeError::Short);
    check_damage(b"\x01\x63\x01\x00\0\0\0\0\0\0\0\0", EnvelopeError::Unknown { what: "door", number: 0x63 });
    check_damage(b"\x01\x01\x63\x00\0\0\0\0\0\0\0\0", EnvelopeError::Unknown { what: "framing", number: 0x63 });
    check_damage(b"\x01\x01\x01\x02\0\0\0\0\0\0\0\0\x01\xff", EnvelopeError::Text);
}

#[test]
fn a_long_name_is_cut_between_characters() {
    let mut envelope = Envelope::new(Door::Ndjson, Timestamp::default(), Framing::NdJson, Bytes::new());
    envelope.host = Some("é".repeat(200).into());
    let host = Envelope::decode(envelope.encode()).unwrap().host.unwrap();
    assert_eq!(host, "é".repeat(127));
}

#[test]
fn doors_have_their_own_names() {
    let names: std::collections::BTreeSet<_> = Door::ALL.iter().map(|door| door.name()).collect();
    assert_eq!(names.len(), Door::ALL.len());
}

#[test]
fn an_envelope_of_the_first_version_is_read() {
    let bytes: &[u8] = b"\x01\x05\x03\x0e\x01\0\0\0\0\0\0\0\x0a\x01\x02\x03\x05plain\x02fwone\ntwo\n";
    let mut expected =
        Envelope::new(Door::SyslogTcp, Timestamp::from_nanos(1), Framing::Lines, Bytes::from_static(b"one\ntwo\n"));
    expected.peer = Some(IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));
    expected.format = Some("plain".into());
    expected.host = Some("fw".into());
    assert_eq!(Envelope::decode(Bytes::from_static(bytes)), Ok(expected.clone()));
    // What has neither sender nor labels is still written so that the older program can read it.
    assert_eq!(expected.encode(), bytes);
}
