//! Files taken out of streams.

use std::io::Write as _;

use canh_packet::{CarveConfig, CarveStats, CarvedFile, FlowConfig, FlowTable, LinkType, Record, Timestamp};
use proptest::prelude::*;

use crate::build::{CLIENT, SERVER, Talk, ethernet, ipv4, tcp};

fn carving() -> FlowConfig {
    FlowConfig { carve: Some(CarveConfig::default()), ..FlowConfig::default() }
}

/// Files, counters and records of packets.
fn carve(config: FlowConfig, packets: &[Vec<u8>]) -> (Vec<CarvedFile>, CarveStats, Vec<Record>) {
    let (mut table, mut out, mut files) = (FlowTable::new(config), Vec::new(), Vec::new());
    for (index, packet) in packets.iter().enumerate() {
        let at = Timestamp::from_nanos(1_000_000_000 + index as i64 * 1_000_000);
        table.packet(LinkType::ETHERNET, at, packet.len() as u32, packet, &mut out);
        files.append(&mut table.take_files());
    }
    table.finish(&mut out);
    files.append(&mut table.take_files());
    (files, table.carve_stats(), out)
}

/// A connection that both ends close: `(end, text)` in order.
fn conversation(port: u16, parts: &[(usize, &[u8])]) -> Vec<Vec<u8>> {
    let mut talk = Talk::new(port);
    let mut packets = talk.handshake();
    packets.extend(parts.iter().map(|(end, text)| talk.send(*end, "PA", text)));
    packets.extend([talk.send(1, "FA", b""), talk.send(0, "FA", b"")]);
    packets
}

/// As one line: direction, method, address, status, name, type, encoding, part, and the bytes.
fn shown(file: &CarvedFile) -> String {
    let about = &file.about;
    let text = |part: &Option<String>| part.clone().unwrap_or_else(|| "-".to_owned());
    let status = about.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    format!(
        "{} {} {} {status} {} {} {} {} {}",
        about.direction.name(),
        text(&about.method),
        text(&about.url),
        text(&about.name),
        text(&about.content_type),
        text(&about.encoding),
        text(&about.part),
        String::from_utf8_lossy(&file.bytes).escape_debug()
    )
}

#[track_caller]
fn check(parts: &[(usize, &str)], expected: &[&str]) {
    let parts: Vec<_> = parts.iter().map(|(end, text)| (*end, text.as_bytes())).collect();
    let (files, ..) = carve(carving(), &conversation(8_123, &parts));
    assert_eq!(files.iter().map(shown).collect::<Vec<_>>(), expected, "{parts:?}");
}

const GET: &str = "GET /d/a.zip?x=1 HTTP/1.1\r\nHost: x.vn\r\n\r\n";
const GET_SHOWN: &str = "to_originator GET http://x.vn/d/a.zip?x=1 200 a.zip";

#[test]
fn bodies_of_http() {
    let with = |fields: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}");
    let ok = with("Content-Length: 2\r\nContent-Type: text/plain; charset=x\r\n", "ok");
    let ok_shown = &format!("{GET_SHOWN} text/plain - - ok");
    check(&[(0, GET), (1, &ok)], &[ok_shown]);
    // One byte at a time at first, and two requests at once.
    check(&[(0, "G"), (0, "ET"), (0, &GET[3..]), (1, "HT"), (1, &ok[2..])], &[ok_shown]);
    check(&[(0, &GET.repeat(2)), (1, &ok.repeat(2))], &[ok_shown, ok_shown]);
    let chunked = with("Transfer-Encoding: chunked\r\n", "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n");
    check(&[(0, GET), (1, &chunked), (0, GET), (1, &ok)], &[&format!("{GET_SHOWN} - - - abcde"), ok_shown]);
    let until_close = with("Content-Type: text/html\r\n", "to the end");
    check(&[(0, GET), (1, &until_close), (1, " of it")], &[&format!("{GET_SHOWN} text/html - - to the end of it")]);
    // The request's body, and the answer's.
    let put = "PUT /up HTTP/1.1\r\nHost: x.vn\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    check(
        &[(0, put), (1, &ok)],
        &[
            "to_responder PUT http://x.vn/up - up application/json - - {}",
            "to_originator PUT http://x.vn/up 200 up text/plain - - ok",
        ],
    );
    let named = with("Content-Disposition: attachment; filename=\"b.exe\"\r\nContent-Length: 2\r\n", "MZ");
    check(&[(0, GET), (1, &named)], &["to_originator GET http://x.vn/d/a.zip?x=1 200 b.exe - - - MZ"]);
    let root = "GET / HTTP/1.1\r\nHost: x.vn\r\n\r\n";
    check(&[(0, root), (1, &ok)], &["to_originator GET http://x.vn/ 200 body.txt text/plain - - ok"]);
    let no_host = "GET /a HTTP/1.0\r\n\r\n";
    check(&[(0, no_host), (1, &ok)], &["to_originator GET http://10.0.0.2:8123/a 200 a text/plain - - ok"]);
    let proxied = "GET http://y.vn/a HTTP/1.1\r\nHost: y.vn\r\n\r\n";
    check(&[(0, proxied), (1, &ok)], &["to_originator GET http://y.vn/a 200 a text/plain - - ok"]);
    let part = "HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-4/9\r\nContent-Length: 2\r\n\r\nok";
    check(&[(0, GET), (1, part)], &["to_originator GET http://x.vn/d/a.zip?x=1 206 a.zip - - bytes 3-4/9 ok"]);
    let head = "HEAD /a HTTP/1.1\r\nHost: x.vn\r\n\r\n";
    check(&[(0, head), (1, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), (0, GET), (1, &ok)], &[ok_shown]);
    check(&[(0, GET), (1, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n")], &[]);
}

#[test]
fn what_has_no_end_is_counted_and_not_handed_out() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    let wrong_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n";
    for body in [cut, chunks, wrong_chunk] {
        let packets = conversation(80, &[(0, GET.as_bytes()), (1, body.as_bytes())]);
        let (files, stats, _) = carve(carving(), &packets);
        assert_eq!((files.len(), stats.incomplete), (0, 1), "{body}");
    }
    // Until the end of the connection, whose end is a reset, or was not seen.
    let open = "HTTP/1.1 200 OK\r\n\r\nabc";
    for last in ["RA", "A"] {
        let mut talk = Talk::new(80);
        let mut packets = talk.handshake();
        packets.push(talk.send(0, "PA", GET.as_bytes()));
        packets.extend([talk.send(1, "PA", open.as_bytes()), talk.send(1, last, b"")]);
        let (files, stats, _) = carve(carving(), &packets);
        assert_eq!((files.len(), stats.incomplete), (0, 1), "{last}");
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    for length in ["99999999999999", "18446744073709551615", "99999999999999999999999", "-1"] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nabc");
        let (files, stats, _) = carve(carving(), &conversation(80, &[(0, GET.as_bytes()), (1, answer.as_bytes())]));
        // What is no number at all is read up to the end of the connection.
        let is_number = length.parse::<u64>().is_ok();
        assert_eq!((files.len(), stats.too_large), (usize::from(!is_number), u64::from(is_number)), "{length}");
    }
    let chunk = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\nabc", "f".repeat(16));
    let (files, stats, _) = carve(carving(), &conversation(80, &[(0, GET.as_bytes()), (1, chunk.as_bytes())]));
    assert_eq!((files.len(), stats.incomplete), (0, 1));
}

/// An answer of some length in segments, for captures that miss or repeat some of them.
fn long_answer() -> (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<u8>) {
    let body: Vec<u8> = (0..200_000_u32).map(|number| (number * 7 % 251) as u8).collect();
    let mut talk = Talk::new(80);
    let mut before = talk.handshake();
    before.push(talk.send(0, "PA", GET.as_bytes()));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    before.push(talk.send(1, "PA", head.as_bytes()));
    let segments = body.chunks(1_400).map(|data| talk.send(1, "A", data)).collect();
    let after = vec![talk.send(0, "A", b""), talk.send(1, "FA", b""), talk.send(0, "FA", b"")];
    (before, segments, after, body)
}

#[test]
fn segments_that_are_late_are_waited_for() {
    let (before, segments, after, body) = long_answer();
    // The second comes when a hundred others have come, as after a loss that is repaired.
    let mut order: Vec<usize> = (0..segments.len()).collect();
    let late = order.remove(1);
    order.insert(100, late);
    let middle = order.iter().map(|index| segments[*index].clone());
    let packets: Vec<_> = before.iter().cloned().chain(middle).chain(after.clone()).collect();
    let (files, stats, _) = carve(carving(), &packets);
    assert_eq!((files.len(), stats.incomplete), (1, 0));
    assert!(files[0].bytes == body);
    // It never comes: the file has a hole.
    order.retain(|index| *index != late);
    let middle = order.iter().map(|index| segments[*index].clone());
    let packets: Vec<_> = before.into_iter().chain(middle).chain(after).collect();
    let (files, stats, _) = carve(carving(), &packets);
    assert_eq!((files.len(), stats.incomplete), (0, 1));
}

#[test]
fn what_the_capture_cut_off_is_a_hole() {
    let mut packets =
        conversation(80, &[(0, GET.as_bytes()), (1, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), (0, b"x")]);
    let shorter = packets[4].len() - 1;
    packets[4].truncate(shorter);
    let (files, stats, _) = carve(carving(), &packets);
    assert_eq!((files.len(), stats.incomplete), (0, 1));
}

#[test]
fn caps_hold() {
    let (before, segments, after, _) = long_answer();
    let packets: Vec<_> = before.into_iter().chain(segments).chain(after).collect();
    let too_long = CarveConfig { file_bytes_max: 199_999, ..CarveConfig::default() };
    let no_memory = CarveConfig { bytes_max: 100_000, ..CarveConfig::default() };
    for (config, too_large, no_room) in [(too_long, 1, 0), (no_memory, 0, 1)] {
        let (files, stats, _) = carve(FlowConfig { carve: Some(config), ..FlowConfig::default() }, &packets);
        assert_eq!((files.len(), stats.too_large, stats.no_room), (0, too_large, no_room));
    }
}

#[test]
fn encoded_bodies_are_decoded_on_request() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&[b'a'; 5_000]).unwrap();
    let packed = packed.finish().unwrap();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", packed.len()).into_bytes();
    answer.extend(&packed);
    let (files, ..) = carve(carving(), &conversation(80, &[(0, GET.as_bytes()), (1, &answer)]));
    assert_eq!((files[0].bytes.as_slice(), files[0].about.encoding.as_deref()), (&packed[..], Some("gzip")));
    let decoded = files[0].clone().decoded(5_000);
    assert_eq!((decoded.bytes, decoded.about.encoding), (vec![b'a'; 5_000], None));
    assert_eq!(files[0].clone().decoded(4_999).bytes, packed);
}

#[test]
fn messages_of_smtp() {
    let hello = [(1, "220 mail.vn ESMTP\r\n"), (0, "EHLO x\r\n"), (1, "250-mail.vn\r\n250 PIPELINING\r\n")];
    let eml = "to_responder - - - message.eml message/rfc822 - -";
    let envelope = [(0, "MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"), (1, "250 ok\r\n250 ok\r\n354 go on\r\n")];
    let after =
        |parts: &[(usize, &'static str)]| hello.iter().copied().chain(parts.iter().copied()).collect::<Vec<_>>();
    let with = |parts: &[(usize, &'static str)]| after(&envelope.iter().chain(parts).copied().collect::<Vec<_>>());
    let end = (1, "250 queued\r\n");
    check(&with(&[(0, "A: b\r\n\r\nx\r\n.\r\n"), end]), &[&format!("{eml} A: b\\r\\n\\r\\nx\\r\\n")]);
    // Dots, a message in pieces, and a second one behind it.
    check(
        &with(&[
            (0, "..a\r\n.b\r\nc.\r\n\r"),
            (0, "\n."),
            (0, "\r"),
            (0, "\nMAIL FROM:<a@x>\r\nDATA\r\n"),
            (1, "354 x\r\n"),
        ]),
        &[&format!("{eml} .a\\r\\nb\\r\\nc.\\r\\n\\r\\n")],
    );
    check(
        &with(&[(0, "a\r\n.\r\nMAIL FROM:<a@x>\r\nDATA\r\n"), (1, "250 ok\r\n250 ok\r\n354 x\r\n"), (0, "b\r\n.\r\n")]),
        &[&format!("{eml} a\\r\\n"), &format!("{eml} b\\r\\n")],
    );
    // Refused, so what follows are commands.
    check(&after(&[(0, "DATA\r\n"), (1, "503 no\r\n"), (0, "QUIT\r\n.\r\n")]), &[]);
    check(
        &after(&[(0, "BDAT 3\r\nabc"), (1, "250 ok\r\n"), (0, "BDAT 2 LAST\r\nde"), (1, "250 ok\r\n")]),
        &[&format!("{eml} abcde")],
    );
    // What follows is encrypted.
    check(&after(&[(0, "STARTTLS\r\n"), (1, "220 go on\r\n"), (0, "DATA\r\n"), (0, "x\r\n.\r\n")]), &[]);
    let (files, stats, records) =
        carve(carving(), &conversation(25, &[(1, b"220 x\r\n"), (0, b"EHLO x\r\nDATA\r\n"), (0, b"cut")]));
    assert_eq!((files.len(), stats.incomplete), (0, 1));
    assert!(
        records
            .iter()
            .any(|record| matches!(record, Record::Flow(flow) if flow.app.map(|app| app.name()) == Some("smtp")))
    );
}

/// Packets of a data connection, which `begins` opens and `sender` sends on.
fn data_connection(client_port: u16, server_port: u16, begins: usize, sender: usize, data: &[u8]) -> Vec<Vec<u8>> {
    let mut next = [5_000, 90_000];
    let mut frame = |end: usize, flags: u8, payload: &[u8]| {
        let (source, destination, ports) = if end == 0 {
            (CLIENT, SERVER, (client_port, server_port))
        } else {
            (SERVER, CLIENT, (server_port, client_port))
        };
        let acknowledged = if flags & 0x10 == 0 { 0 } else { next[1 - end] };
        let packet =
            ethernet(0x0800, &ipv4(6, source, destination, &tcp(ports, next[end], acknowledged, flags, payload)));
        next[end] += payload.len() as u32 + u32::from(flags & 3 != 0);
        packet
    };
    let mut packets = vec![frame(begins, 0x02, b""), frame(1 - begins, 0x12, b""), frame(begins, 0x10, b"")];
    packets.extend(data.chunks(3).map(|piece| frame(sender, 0x18, piece)));
    packets.extend([frame(sender, 0x11, b""), frame(1 - sender, 0x11, b"")]);
    packets
}

#[test]
fn transfers_of_ftp() {
    let login: &[(usize, &str)] =
        &[(1, "220-x\r\n220 x\r\n"), (0, "USER a\r\n"), (1, "331 x\r\n"), (0, "PASS a\r\n"), (1, "230 x\r\n")];
    let retrieved = "to_originator RETR ftp://10.0.0.2/pub/a.zip - a.zip - - - data bytes";
    let active = "to_responder RETR ftp://10.0.0.2/pub/a.zip - a.zip - - - data bytes";
    let rows: &[(&str, &[(usize, &str)], u16, usize, usize, &[&str])] = &[
        ("PASV", &[(1, "227 Entering (10,0,0,2,200,1).\r\n"), (0, "RETR pub/a.zip\r\n")], 51_201, 0, 1, &[retrieved]),
        // Another host's address is not believed, the port is.
        ("NAT", &[(1, "227 Entering (192,168,1,1,200,1).\r\n"), (0, "RETR pub/a.zip\r\n")], 51_201, 0, 1, &[retrieved]),
        ("EPSV", &[(1, "229 Entering (|||51201|)\r\n"), (0, "RETR pub/a.zip\r\n")], 51_201, 0, 1, &[retrieved]),
        (
            "STOR",
            &[(1, "229 Entering (|||51201|)\r\n"), (0, "STOR x\\y.exe\r\n")],
            51_201,
            0,
            0,
            &["to_responder STOR ftp://10.0.0.2/x\\y.exe - y.exe - - - data bytes"],
        ),
        (
            "REST",
            &[(1, "229 Entering (|||51201|)\r\n"), (0, "REST 100\r\n"), (0, "RETR a\r\n")],
            51_201,
            0,
            1,
            &["to_originator RETR ftp://10.0.0.2/a - a - - from byte 100 data bytes"],
        ),
        ("LIST", &[(1, "229 Entering (|||51201|)\r\n"), (0, "LIST\r\n")], 51_201, 0, 1, &[]),
        // The server comes to the client, so the server is who began.
        ("PORT", &[(0, "PORT 10,0,0,1,200,1\r\n"), (0, "RETR pub/a.zip\r\n")], 51_201, 1, 1, &[active]),
        ("EPRT", &[(0, "EPRT |1|10.0.0.1|51201|\r\n"), (0, "RETR pub/a.zip\r\n")], 51_201, 1, 1, &[active]),
        ("other port", &[(1, "229 Entering (|||51202|)\r\n"), (0, "RETR pub/a.zip\r\n")], 51_201, 0, 1, &[]),
        ("no port", &[(1, "229 Entering (|||0|)\r\n"), (1, "227 x\r\n"), (0, "PORT 1,2,3\r\n")], 51_201, 0, 1, &[]),
    ];
    for (what, said, port, begins, sender, expected) in rows {
        let mut talk = Talk::new(21);
        let mut packets = talk.handshake();
        packets.extend(login.iter().chain(*said).map(|(end, text)| talk.send(*end, "PA", text.as_bytes())));
        let (client_port, server_port) = if *begins == 0 { (40_001, *port) } else { (*port, 20) };
        packets.extend(data_connection(client_port, server_port, *begins, *sender, b"data bytes"));
        let (files, ..) = carve(carving(), &packets);
        assert_eq!(files.iter().map(shown).collect::<Vec<_>>(), *expected, "{what}");
    }
}

#[test]
fn nothing_is_taken_unless_asked_for() {
    let packets = conversation(80, &[(0, GET.as_bytes()), (1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]);
    let (files, stats, records) = carve(FlowConfig::default(), &packets);
    assert_eq!((files.len(), stats), (0, CarveStats::default()));
    let (.., same) = carve(carving(), &packets);
    assert_eq!(records, same);
}

/// Both directions of a connection with several files, in one piece each.
fn several() -> [Vec<u8>; 2] {
    let body: Vec<u8> = (0..3_000_u32).map(|number| (number % 253) as u8).collect();
    let mut up = format!("POST /up HTTP/1.1\r\nHost: x.vn\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    up.extend(&body);
    up.extend(GET.as_bytes());
    let mut down = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(700) {
        down.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        down.extend(chunk);
        down.extend(b"\r\n");
    }
    down.extend(b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end");
    [up, down]
}

/// The connection in segments of these lengths. Those of one direction may change places with their neighbours, come
/// twice, and overlap.
fn cut(lengths: &[usize], swaps: &[usize], repeats: &[usize]) -> Vec<Vec<u8>> {
    let mut talk = Talk::new(80);
    let mut packets = talk.handshake();
    let streams = several();
    let mut lengths = lengths.iter().cycle();
    for (end, first) in [(0_usize, 1_001_u32), (1, 70_001)] {
        let (source, destination, ports) =
            if end == 0 { (CLIENT, SERVER, (40_000, 80)) } else { (SERVER, CLIENT, (80, 40_000)) };
        let acknowledged = if end == 0 { 70_001 } else { 1_001 + streams[0].len() as u32 };
        let (mut segments, mut at) = (Vec::new(), 0);
        while at < streams[end].len() {
            let len = lengths.next().copied().unwrap_or(1).min(streams[end].len() - at);
            // Some begin before the end of the one before.
            let from = at.saturating_sub(len % 3);
            let data = &streams[end][from..at + len];
            let payload = tcp(ports, first + from as u32, acknowledged, 0x18, data);
            segments.push(ethernet(0x0800, &ipv4(6, source, destination, &payload)));
            at += len;
        }
        for repeat in repeats {
            let from = repeat % segments.len();
            segments.insert((from + 1).min(segments.len()), segments[from].clone());
        }
        // The first one tells where the stream begins, so it stays where it is.
        for swap in swaps {
            if segments.len() < 4 {
                break;
            }
            let from = 1 + swap % (segments.len() - 2);
            segments.swap(from, from + 1);
        }
        packets.extend(segments);
        let close = tcp(ports, first + streams[end].len() as u32, acknowledged, 0x11, b"");
        packets.push(ethernet(0x0800, &ipv4(6, source, destination, &close)));
    }
    packets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn how_a_stream_is_cut_changes_nothing(
        lengths in prop::collection::vec(1_usize..1_500, 1..40),
        swaps in prop::collection::vec(any::<usize>(), 0..6),
        repeats in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let (expected, ..) = carve(carving(), &cut(&[1_400], &[], &[]));
        prop_assert_eq!(expected.len(), 3);
        let (files, stats, _) = carve(carving(), &cut(&lengths, &swaps, &repeats));
        let bare = |files: &[CarvedFile]| files.iter().map(|file| (file.about.clone(), file.bytes.clone())).collect::<Vec<_>>();
        prop_assert_eq!(bare(&files), bare(&expected));
        prop_assert_eq!(stats.incomplete, 0);
    }
}
