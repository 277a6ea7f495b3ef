//! DNS, TLS and HTTP inside of flows.

use canh_packet::{DnsRecord, HttpRecord, Record, TlsRecord};

use crate::build::{CLIENT, SERVER, Talk, datagram, ethernet, ipv4, timed, udp};
use crate::{flows, run};

fn http(records: &[Record]) -> Vec<&HttpRecord> {
    records.iter().filter_map(|record| if let Record::Http(http) = record { Some(http) } else { None }).collect()
}

fn tls(records: &[Record]) -> Vec<&TlsRecord> {
    records.iter().filter_map(|record| if let Record::Tls(tls) = record { Some(tls) } else { None }).collect()
}

fn dns(records: &[Record]) -> Vec<&DnsRecord> {
    records.iter().filter_map(|record| if let Record::Dns(dns) = record { Some(dns) } else { None }).collect()
}

/// A conversation on some port: `(end, text)` in order.
fn talk(port: u16, parts: &[(usize, &str)]) -> Vec<Record> {
    let mut talk = Talk::new(port);
    let mut packets = talk.handshake();
    packets.extend(parts.iter().map(|(end, text)| talk.send(*end, "PA", text.as_bytes())));
    run(&timed(packets))
}

/// Requests and answers as `METHOD host uri status`.
#[track_caller]
fn check_http(parts: &[(usize, &str)], expected: &[&str]) {
    let records = talk(8_123, parts);
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
    let seen: Vec<String> = http(&records)
        .iter()
        .map(|it| {
            let status = it.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            format!("{} {} {} {status}", text(&it.method), text(&it.host), text(&it.uri))
        })
        .collect();
    assert_eq!(seen, expected, "{parts:?}");
    assert_eq!(flows(&records)[0].app.map(|app| app.name()), Some("http"));
}

#[test]
fn http_on_any_port() {
    let get = "GET /a HTTP/1.1\r\nHost: x.vn\r\nUser-Agent: curl\r\n\r\n";
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    check_http(&[(0, get), (1, ok)], &["GET x.vn /a 200"]);
    check_http(&[(0, get)], &["GET x.vn /a -"]);
    check_http(&[(0, get), (1, ok), (0, get), (1, ok)], &["GET x.vn /a 200", "GET x.vn /a 200"]);
    // Two requests at once, and a body that looks like an answer.
    let twice = format!("{get}{get}");
    let body = "HTTP/1.1 404 Not Found\r\nContent-Length: 24\r\n\r\nHTTP/1.1 200 OK is a lie";
    let answers = format!("{body}{ok}");
    check_http(&[(0, &twice), (1, &answers)], &["GET x.vn /a 404", "GET x.vn /a 200"]);
    // One byte at a time at first.
    check_http(&[(0, "G"), (0, "ET"), (0, &get[3..]), (1, "HT"), (1, &ok[2..])], &["GET x.vn /a 200"]);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    check_http(&[(0, get), (1, chunked), (0, get), (1, ok)], &["GET x.vn /a 200", "GET x.vn /a 200"]);
    let post = "POST /b HTTP/1.1\r\nHost: x.vn\r\nContent-Length: 5\r\n\r\nhello";
    let interim = format!("HTTP/1.1 100 Continue\r\n\r\n{ok}");
    check_http(&[(0, post), (1, &interim), (0, get), (1, ok)], &["POST x.vn /b 200", "GET x.vn /a 200"]);
    let head = "HEAD /a HTTP/1.1\r\nHost: x.vn\r\n\r\n";
    let no_body = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n";
    check_http(&[(0, head), (1, no_body), (0, get), (1, ok)], &["HEAD x.vn /a 200", "GET x.vn /a 200"]);
}

#[test]
fn segments_out_of_order_and_repeated_are_put_in_order() {
    let parts = ["GET /a HTTP/1.1\r\n", "Host: x.vn\r\n", "\r\n"];
    let build = |order: &[usize]| {
        let mut talk = Talk::new(80);
        let mut packets = talk.handshake();
        let segments: Vec<Vec<u8>> = parts.iter().map(|part| talk.send(0, "PA", part.as_bytes())).collect();
        packets.extend(order.iter().map(|index| segments[*index].clone()));
        run(&timed(packets))
    };
    for order in [&[0, 1, 2][..], &[0, 2, 1], &[0, 1, 1, 0, 2], &[0, 2, 2, 1]] {
        let records = build(order);
        let [request] = http(&records)[..] else { panic!("{order:?}: {records:?}") };
        assert_eq!(request.host.as_deref(), Some("x.vn"), "{order:?}");
    }
    // A part that never comes: the request is not made up.
    assert!(http(&build(&[0, 2])).iter().all(|request| request.host.is_none()));
}

#[test]
fn an_answer_after_a_missing_one_belongs_to_the_newest_request() {
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x.vn\r\n\r\n");
    let answer = |status: u16| format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
    let mut talk = Talk::new(80);
    let mut packets = talk.handshake();
    packets.push(talk.send(0, "PA", request("/a").as_bytes()));
    let _missed_by_the_capture = talk.send(1, "PA", answer(401).as_bytes());
    packets.push(talk.send(0, "PA", request("/b").as_bytes()));
    packets.push(talk.send(1, "PA", answer(200).as_bytes()));
    packets.push(talk.send(0, "A", b""));
    let records = run(&timed(packets));
    let seen: Vec<_> = http(&records).iter().map(|it| (it.uri.as_deref(), it.status)).collect();
    assert_eq!(seen, [(Some("/a"), None), (Some("/b"), Some(200))]);
}

/// A client's hello with a name, in one handshake record.
fn client_hello() -> Vec<u8> {
    let name = b"www.example.vn";
    let mut extensions = vec![0x0a, 0x0a, 0, 0, 0, 0];
    extensions.extend((name.len() as u16 + 5).to_be_bytes());
    extensions.extend((name.len() as u16 + 3).to_be_bytes());
    extensions.push(0);
    extensions.extend((name.len() as u16).to_be_bytes());
    extensions.extend(name);
    extensions.extend(b"\x00\x0a\x00\x04\x00\x02\x00\x1d\x00\x0b\x00\x02\x01\x00\x00\x10\x00\x05\x00\x03\x02h2");
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x13, 0x01, 0xc0, 0x2f, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    record(1, &body)
}

fn server_hello() -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([8; 32]);
    body.extend([0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
    record(2, &body)
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![22, 3, 1];
    bytes.extend((body.len() as u16 + 4).to_be_bytes());
    bytes.extend([kind, 0]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// The hello cut into segments of this length.
#[track_caller]
fn check_tls(before: &[(usize, &str)], segment_len: usize) {
    let mut talk = Talk::new(25);
    let mut packets = talk.handshake();
    packets.extend(before.iter().map(|(end, text)| talk.send(*end, "PA", text.as_bytes())));
    packets.extend(client_hello().chunks(segment_len).map(|part| talk.send(0, "PA", part)));
    packets.extend(server_hello().chunks(segment_len).map(|part| talk.send(1, "PA", part)));
    let records = run(&timed(packets));
    let [hello] = tls(&records)[..] else { panic!("{segment_len}: {records:?}") };
    assert_eq!(hello.server_name.as_deref(), Some("www.example.vn"));
    assert_eq!(hello.version.as_deref(), Some("1.3"));
    assert_eq!((hello.cipher, hello.client_protocols.as_slice()), (Some(0x1301), &["h2".to_owned()][..]));
    assert_eq!(hello.ja3_text.as_deref(), Some("771,4865-49199,0-10-11-16,29,0"));
    assert_eq!(flows(&records)[0].app.map(|app| app.name()), Some("tls"));
}

#[test]
fn tls_hellos_in_any_number_of_segments() {
    for segment_len in [1_000, 60, 7, 2, 1] {
        check_tls(&[], segment_len);
    }
    // After a STARTTLS, and through a proxy.
    check_tls(&[(1, "220 mail\r\n"), (0, "STARTTLS\r\n"), (1, "220 go\r\n")], 60);
    check_tls(&[(0, "CONNECT x.vn:443 HTTP/1.1\r\n\r\n"), (1, "HTTP/1.1 200 OK\r\n\r\n")], 60);
}

#[test]
fn a_hello_without_an_answer_is_reported_at_the_end() {
    let mut talk = Talk::new(443);
    let mut packets = talk.handshake();
    packets.push(talk.send(0, "PA", &client_hello()));
    let records = run(&timed(packets));
    let [hello] = tls(&records)[..] else { panic!("{records:?}") };
    assert_eq!((hello.version.as_deref(), hello.server_name.is_some()), (None, true));
}

const QUESTION: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x02vn\x00\x00\x10\x00\x01";
const REFUSAL: &[u8] = b"\x00\x07\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x02vn\x00\x00\x10\x00\x01";

#[test]
fn dns_over_udp_and_tcp() {
    let back = |payload: &[u8]| ethernet(0x0800, &ipv4(17, SERVER, CLIENT, &udp(5_300, 40_000, payload)));
    let records = run(&[(1.0, datagram(40_000, 5_300, QUESTION)), (1.5, back(REFUSAL))]);
    let [pair] = dns(&records)[..] else { panic!("{records:?}") };
    assert_eq!((pair.question_name.as_str(), pair.question_type.as_str()), ("www.vn", "TXT"));
    assert_eq!(pair.response_code.as_deref(), Some("NXDOMAIN"));
    assert_eq!(pair.round_trip.map(|time| time.as_millis()), Some(500));

    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes()[..], message].concat();
    let mut talk = Talk::new(53);
    let mut packets = talk.handshake();
    packets.push(talk.send(0, "PA", &framed(QUESTION)));
    let answer = framed(REFUSAL);
    packets.push(talk.send(1, "PA", &answer[..9]));
    packets.push(talk.send(1, "PA", &answer[9..]));
    let records = run(&timed(packets));
    let [pair] = dns(&records)[..] else { panic!("{records:?}") };
    assert_eq!((pair.id, pair.response_code.as_deref()), (7, Some("NXDOMAIN")));
}

#[test]
fn a_question_without_an_answer_is_reported_at_the_end() {
    let records = run(&[(1.0, datagram(40_000, 53, QUESTION))]);
    let [alone] = dns(&records)[..] else { panic!("{records:?}") };
    assert_eq!((alone.id, alone.response_code.as_ref(), alone.question_name.as_str()), (7, None, "www.vn"));
}
