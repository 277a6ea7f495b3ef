//! Files that are seen in traffic: taken out of packets by the real agent, scanned by the real server, and found again with
//! the flow that carried them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use canh_tests::{Api, Server, ServerOptions, program, wait_until, workspace};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(90);
/// The shipped Sigma rule about matches of YARA rules.
const YARA_MATCH: &str = "7d0c5a1e-93b4-4f6d-8a27-5e1f4b9c6d10";
/// The harmless test file of anti-malware programs, in parts so that this file is not taken for it.
const EICAR: &[&str] = &["X5O!P%@AP[4\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*"];
const RULE: &str = "rule.name:eicar_test_file";

fn server(dir: &Path) -> anyhow::Result<Server> {
    let options = ServerOptions {
        rules: vec![workspace().join("rules")],
        yara: vec![workspace().join("rules/yara")],
        ..ServerOptions::default()
    };
    Server::start(dir, &options)
}

/// A zip with one deflated member.
fn zip(name: &str, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    let packed = encoder.finish()?;
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let sizes = [crc.sum(), packed.len() as u32, bytes.len() as u32].map(u32::to_le_bytes);
    let common =
        [&[20, 0, 0, 0, 8, 0, 0, 0, 0, 0][..], sizes.as_flattened(), &(name.len() as u32).to_le_bytes()].concat();
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat();
    let central = [b"PK\x01\x02\x14\x00", &common[..], &[0; 14], name.as_bytes()].concat();
    let places = [central.len() as u32, local.len() as u32].map(u32::to_le_bytes);
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", places.as_flattened(), &[0, 0]].concat();
    Ok([local, central, end].concat())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// What a gateway is sent: a SOAP message with a zip in it.
fn soap() -> anyhow::Result<String> {
    let zip = base64(&zip("hoa-don.com", EICAR.concat().as_bytes())?);
    Ok(format!(
        "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><gui><tep \
         ten=\"hoa-don.zip\">{zip}</tep></gui></s:Body></s:Envelope>"
    ))
}

/// Answers each request with the test file, and closes the connection.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        let _ = answer(stream);
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    let head_end = |request: &[u8]| request.windows(4).position(|part| part == b"\r\n\r\n").map(|at| at + 4);
    let whole = |request: &[u8]| {
        let end = head_end(request)?;
        let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
        let len = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        (request.len() >= end + len).then_some(())
    };
    while whole(&request).is_none() {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            len => request.extend_from_slice(&buffer[..len]),
        }
    }
    let body = EICAR.concat();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn send(port: u16, request: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "no answer");
    Ok(())
}

/// The first value of this name, wherever in the event it stands.
fn text_of(event: &Value, name: &str) -> Option<String> {
    match event {
        Value::Object(fields) => match fields.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) if !other.is_null() => Some(other.to_string().trim_matches(['[', ']', '"']).to_owned()),
            _ => fields.values().find_map(|value| text_of(value, name)),
        },
        Value::Array(values) => values.iter().find_map(|value| text_of(value, name)),
        _ => None,
    }
}

/// The match says which flow it came from, and that flow is there.
fn check_flow(api: &Api, query: &str) -> anyhow::Result<Value> {
    let event = api.events(query)?.into_iter().next().context("an event")?;
    let id = text_of(&event, "network.community_id").with_context(|| format!("no community id: {event}"))?;
    let flow = format!("event.dataset:flow AND network.community_id:\"{id}\"");
    wait_until(&flow, PATIENCE, || Ok(api.count(&flow)? >= 1))?;
    Ok(event)
}

#[test]
fn a_file_on_the_wire_ends_as_an_alert_that_names_its_flow() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = server(dir.path())?;
    let api = server.api()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || serve(&listener));
    let inputs = format!(
        "[[input.capture]]\ninterface = \"lo\"\nfilter = \"tcp port {port} or tcp port {http}\"\nactive_seconds = 1\n\
         [input.capture.files]\nurl = \"http://127.0.0.1:{http}\"\n",
        http = server.ports.http
    );
    let config = server.agent_config("cua-ngo", &inputs)?;
    let agent = server.agent(&config, &[])?;
    let download = format!("yara_match AND {RULE} AND url.full:\"http://127.0.0.1:{port}/tai/hoa-don.com\"");
    let upload = format!("yara_match AND {RULE} AND url.full:\"http://127.0.0.1:{port}/dich-vu\"");
    let (download, upload) = (format!("event.action:{download}"), format!("event.action:{upload}"));
    let soap = soap()?;
    let get = format!("GET /tai/hoa-don.com HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    let post = format!(
        "POST /dich-vu HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{soap}",
        soap.len()
    );
    let mut refused = false;
    let both = wait_until("both files to be found", PATIENCE, || {
        refused = agent.output().contains("CAP_NET_RAW");
        if !refused {
            send(port, &get)?;
            send(port, &post)?;
            thread::sleep(Duration::from_millis(500));
        }
        Ok(refused || (api.count(&download)? >= 1 && api.count(&upload)? >= 1))
    });
    if refused {
        eprintln!("SKIPPED: packets of `lo` may not be captured here, so nothing was taken out of live traffic");
        return Ok(());
    }
    both.with_context(|| agent.output())?;
    let event = check_flow(&api, &download)?;
    for (name, expected) in [
        ("source.ip", "127.0.0.1"),
        ("destination.port", port.to_string().as_str()),
        ("file.name", "hoa-don.com"),
        ("http.response.status_code", "200"),
        ("transfer.direction", "to_originator"),
        ("network.protocol", "http"),
        ("host.name", "cua-ngo"),
    ] {
        assert_eq!(text_of(&event, name).as_deref(), Some(expected), "{name}: {event}");
    }
    let event = check_flow(&api, &format!("{upload} AND transfer.direction:to_responder"))?;
    assert_eq!(text_of(&event, "yara.member.path").as_deref(), Some("dich-vu!/base64-1!/hoa-don.com"), "{event}");
    // The same file once more is one that the server knows: it is not sent, and raises an event of its own.
    send(port, &get)?;
    let again = format!("{download} AND yara.known:true");
    wait_until(&again, PATIENCE, || Ok(api.count(&again)? >= 1))?;
    wait_until("an alert", PATIENCE, || Ok(api.alerts()?.iter().any(|alert| alert["rule_id"] == YARA_MATCH)))?;
    // What the agent itself sent to the server was seen too, and not sent again.
    assert_eq!(api.count(&format!("event.action:yara_scan AND destination.port:{}", server.ports.http))?, 0);
    Ok(())
}

/// Frames of one TCP connection between 10.0.0.1 and 10.0.0.2, as a capture file.
fn capture(path: &Path, port: u16, said: &[(usize, &str)]) -> anyhow::Result<()> {
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1].map(u32::to_le_bytes).as_flattened().to_vec();
    let (mut next, mut number) = ([1_000_u32, 9_000], 0_u32);
    let mut frame = |end: usize, flags: u8, data: &[u8]| {
        let (hosts, ports) = if end == 0 { ([1, 2], [40_000, port]) } else { ([2, 1], [port, 40_000]) };
        let mut packet = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        packet.extend((40 + data.len() as u16).to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, hosts[0], 10, 0, 0, hosts[1]]);
        packet.extend(ports.map(u16::to_be_bytes).as_flattened());
        packet.extend([next[end], next[1 - end]].map(u32::to_be_bytes).as_flattened());
        packet.extend([0x50, flags, 4, 0, 0, 0, 0, 0]);
        packet.extend(data);
        let len = packet.len() as u32;
        number += 1;
        file.extend(
            [1_790_000_000 + number / 1_000, number % 1_000 * 1_000, len, len].map(u32::to_le_bytes).as_flattened(),
        );
        file.extend(packet);
        next[end] = next[end].wrapping_add(data.len() as u32 + u32::from(flags & 3 != 0));
    };
    frame(0, 0x02, b"");
    frame(1, 0x12, b"");
    frame(0, 0x10, b"");
    for (end, text) in said {
        text.as_bytes().chunks(1_000).for_each(|data| frame(*end, 0x18, data));
    }
    frame(0, 0x11, b"");
    frame(1, 0x11, b"");
    frame(0, 0x10, b"");
    fs::write(path, file).context("cannot write the capture")
}

#[test]
fn files_in_a_capture_file_are_scanned_by_an_import() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = server(&dir.path().join("server"))?;
    let api = server.api()?;
    let zip = base64(&zip("hoa-don.com", EICAR.concat().as_bytes())?);
    let mail = format!(
        "Subject: hoa don\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xyz\r\n\r\n--xyz\r\n\
         Content-Type: text/plain\r\n\r\nxem tep\r\n--xyz\r\nContent-Type: application/zip; name=hoa-don.zip\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{zip}\r\n--xyz--\r\n.\r\n"
    );
    let said = [
        (1, "220 mail\r\n"),
        (0, "EHLO x\r\n"),
        (1, "250 mail\r\n"),
        (0, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"),
        (1, "250 x\r\n250 x\r\n354 x\r\n"),
        (0, mail.as_str()),
        (1, "250 x\r\n"),
    ];
    let path = dir.path().join("thu.pcap");
    capture(&path, 25, &said)?;
    let agent = program("canh-agent")?.display().to_string();
    let named = path.display().to_string();
    for _ in 0..2 {
        let (code, output) = server.command(&["import", &named, "--files", "--agent", &agent])?;
        assert_eq!(code, 0, "{output}");
    }
    let found = format!("event.action:yara_match AND {RULE} AND network.protocol:smtp");
    wait_until(&found, PATIENCE, || Ok(api.count(&found)? >= 1))?;
    let event = check_flow(&api, &found)?;
    assert_eq!(
        text_of(&event, "yara.member.path").as_deref(),
        Some("message.eml!/hoa-don.zip!/hoa-don.com"),
        "{event}"
    );
    // It has the time of the packets, and came once.
    assert!(event.to_string().contains("2026-09-21T14:13:20"), "{event}");
    assert_eq!(api.count(&found)?, 1);
    Ok(())
}
