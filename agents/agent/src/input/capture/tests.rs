//! Captures from files written here; a live interface needs rights that tests do not have.

use std::fs;
use std::path::Path;

use canh_schema::field_by_name;

use super::fields::OWN_NAMES;
use super::*;

const ETHERNET: [u8; 14] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];

/// A classic capture file of Ethernet packets, one second apart.
fn capture_file(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (second, packet) in packets.iter().enumerate() {
        bytes.extend((1_700_000_000 + second as u32).to_le_bytes());
        bytes.extend(500_000_u32.to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend(packet);
    }
    bytes
}

/// A UDP datagram between two hosts; `back` is the answer's direction.
fn udp(back: bool, payload: &[u8]) -> Vec<u8> {
    let (hosts, ports) = if back { ([2, 1], [53, 40_000]) } else { ([1, 2], [40_000_u16, 53]) };
    let mut bytes = ETHERNET.to_vec();
    bytes.extend([0x45, 0]);
    bytes.extend((28 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, hosts[0], 10, 0, 0, hosts[1]]);
    bytes.extend(ports[0].to_be_bytes());
    bytes.extend(ports[1].to_be_bytes());
    bytes.extend((8 + payload.len() as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

fn question_and_answer() -> Vec<Vec<u8>> {
    let question = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x02vn\x00\x00\x01\x00\x01";
    let answer = b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x02vn\x00\x00\x01\x00\x01\
        \xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x09\x08\x07";
    vec![udp(false, question), udp(true, answer)]
}

fn config(path: &Path, filter: Option<&str>) -> CaptureConfig {
    let mut config: CaptureConfig = toml::from_str(&format!("file = {:?}", path.display().to_string())).unwrap();
    config.filter = filter.map(str::to_owned);
    config
}

/// Runs over a file of these bytes.
fn run_file(bytes: &[u8], filter: Option<&str>) -> (Vec<CaptureRecord>, Result<CaptureCounters, CaptureError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.pcap");
    fs::write(&path, bytes).unwrap();
    let mut records = Vec::new();
    let sink = |captured| {
        if let Captured::Record(record) = captured {
            records.push(record);
        }
        ControlFlow::Continue(())
    };
    let result = run(&config(&path, filter), &Surroundings::default(), &CancellationToken::new(), sink, |_| ());
    (records, result)
}

fn attribute<'a>(record: &'a CaptureRecord, name: &str) -> Option<&'a Value> {
    record.attributes.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
}

#[track_caller]
fn check(record: &CaptureRecord, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(attribute(record, name), Some(value), "`{name}` of {record:?}");
    }
}

#[test]
fn a_file_becomes_records_with_names_of_the_catalogue() {
    let (records, result) = run_file(&capture_file(&question_and_answer()), None);
    let counters = result.unwrap();
    assert_eq!((counters.packets, counters.records), (2, 2));
    let [dns, flow] = records.as_slice() else { panic!("{records:?}") };
    check(
        dns,
        &[
            ("event.dataset", Value::text("dns")),
            ("dns.question.name", Value::text("www.vn")),
            ("dns.question.type", Value::text("A")),
            ("dns.response_code", Value::text("NOERROR")),
            ("dns.answers.data", Value::List(vec![Value::text("10.9.8.7")])),
            ("event.duration", Value::Integer(1_000_000_000)),
        ],
    );
    check(
        flow,
        &[
            ("event.dataset", Value::text("flow")),
            ("source.ip", Value::Ip([10, 0, 0, 1].into())),
            ("source.port", Value::Integer(40_000)),
            ("destination.ip", Value::Ip([10, 0, 0, 2].into())),
            ("destination.port", Value::Integer(53)),
            ("network.transport", Value::text("udp")),
            ("network.protocol", Value::text("dns")),
            ("network.connection.state", Value::text("SF")),
            ("network.packets", Value::Integer(2)),
            ("source.bytes", Value::Integer(52)),
            ("event.start", Value::text("2023-11-14T22:13:20.5Z")),
            ("event.duration", Value::Integer(1_000_000_000)),
            ("observer.ingress.interface.name", Value::text("test.pcap")),
        ],
    );
    assert_eq!(flow.at.to_string(), "2023-11-14T22:13:21.5Z");
    for record in &records {
        for (name, _) in &record.attributes {
            assert!(field_by_name(name).is_some() || OWN_NAMES.contains(name), "`{name}` is in no list");
        }
    }
}

#[test]
fn a_filter_leaves_packets_out() {
    let (records, result) = run_file(&capture_file(&question_and_answer()), Some("udp dst port 53"));
    assert_eq!(result.unwrap().packets, 1);
    check(&records[1], &[("network.connection.state", Value::text("S0"))]);
}

#[track_caller]
fn check_error(bytes: &[u8], filter: Option<&str>, records_expected: usize, expected: &str) {
    let (records, result) = run_file(bytes, filter);
    assert_eq!(records.len(), records_expected);
    let message = result.unwrap_err().to_string();
    assert!(message.contains(expected), "{message}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let whole = capture_file(&question_and_answer());
    check_error(b"this is no capture file at all", None, 0, "is not a capture file that libpcap can read");
    check_error(b"", None, 0, "is not a capture file that libpcap can read");
    check_error(&whole, Some("prot 53"), 0, "capture filter `prot 53` cannot be used");
    // The question was read; it and its flow are kept.
    check_error(&whole[..whole.len() - 10], None, 2, "is broken at packet 2; the 1 before it were kept");
    let missing = run(
        &config(Path::new("/nowhere.pcap"), None),
        &Surroundings::default(),
        &CancellationToken::new(),
        |_| panic!(),
        |_| (),
    );
    assert!(matches!(missing, Err(CaptureError::File { .. })));
}

#[test]
fn a_capture_has_one_source() {
    for text in ["", "file = \"a.pcap\"\ninterface = \"eth0\""] {
        let config: CaptureConfig = toml::from_str(text).unwrap();
        let result = run(&config, &Surroundings::default(), &CancellationToken::new(), |_| panic!(), |_| ());
        assert!(matches!(result, Err(CaptureError::Source)), "{text}");
    }
    assert!(toml::from_str::<CaptureConfig>("interfaces = \"eth0\"").is_err());
}

#[test]
fn a_sink_that_breaks_off_ends_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.pcap");
    fs::write(&path, capture_file(&question_and_answer())).unwrap();
    let mut taken = 0;
    let sink = |_| {
        taken += 1;
        ControlFlow::Break(())
    };
    let counters =
        run(&config(&path, None), &Surroundings::default(), &CancellationToken::new(), sink, |_| ()).unwrap();
    assert!(counters.packets == 2 && taken >= 1);
}
