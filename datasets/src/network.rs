//! Conversations that the capture at the DMZ sees: names asked for, web calls, TLS, database sessions.

use std::net::Ipv4Addr;
use std::time::Duration;

use canh_schema::Timestamp;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::frames::{Conversation, End, refused, udp};
use crate::output::Output;
use crate::web::BROWSER;
use crate::world::{self, Clock, RESOLVER, citizen, client_port, hex, host, pick};

/// Types of question. Source: RFC 1035, section 3.2.2.
pub(crate) const A: u16 = 1;
pub(crate) const TXT: u16 = 16;

fn name_bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(63));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A question to the resolver and its answer. Source: RFC 1035, section 4.
pub(crate) fn dns(
    random: &mut StdRng,
    output: &mut Output,
    at: Timestamp,
    client: Ipv4Addr,
    name: &str,
    kind: u16,
    answer: &[u8],
) {
    let id: u16 = random.random();
    let mut question = name_bytes(name);
    question.extend_from_slice(&kind.to_be_bytes());
    question.extend_from_slice(&1_u16.to_be_bytes());
    let message = |flags: u16, answers: u16| {
        let mut bytes = Vec::new();
        for word in [id, flags, 1, answers, 0, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&question);
        bytes
    };
    let (from, to) = (End(client, client_port(random)), End(RESOLVER, 53));
    output.frame(at, udp(from, to, &message(0x0100, 0)));
    let mut response = message(0x8180, 1);
    response.extend_from_slice(&[0xc0, 0x0c]); // the name of the question
    for word in [kind, 1, 0, 300, u16::try_from(answer.len()).unwrap_or(0)] {
        response.extend_from_slice(&word.to_be_bytes());
    }
    response.extend_from_slice(answer);
    output.frame(at + Duration::from_millis(random.random_range(1..25)), udp(to, from, &response));
}

/// TXT data: one string. Source: RFC 1035, section 3.3.14.
pub(crate) fn txt(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap_or(255)];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

pub(crate) fn http(
    random: &mut StdRng,
    output: &mut Output,
    at: Timestamp,
    client: Ipv4Addr,
    server: &str,
    request: &str,
    answer: usize,
) {
    let ends = (End(client, client_port(random)), End(host(server).address, 80));
    let mut talk = Conversation::open(random, output, at, ends.0, ends.1);
    talk.send(output, request.as_bytes());
    talk.wait(Duration::from_millis(random.random_range(5..80)));
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: {answer}\r\nContent-Type: application/json\r\n\r\n"
    )
    .into_bytes();
    response.extend(std::iter::repeat_n(b'x', answer));
    talk.answer(output, &response);
    talk.close(output);
}

/// A ClientHello with a server name. Source: RFC 8446, section 4.1.2; RFC 6066, section 3.
fn client_hello(random: &mut StdRng, name: &str) -> Vec<u8> {
    let extension = |kind: u16, data: &[u8]| {
        let mut bytes = kind.to_be_bytes().to_vec();
        bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
        bytes.extend_from_slice(data);
        bytes
    };
    let mut server_name = ((name.len() + 3) as u16).to_be_bytes().to_vec();
    server_name.push(0);
    server_name.extend_from_slice(&(name.len() as u16).to_be_bytes());
    server_name.extend_from_slice(name.as_bytes());
    let extensions = [
        extension(0, &server_name),
        extension(10, &[0, 4, 0, 0x1d, 0, 0x17]),
        extension(11, &[1, 0]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(16, b"\x00\x0c\x02h2\x08http/1.1"),
        extension(43, &[4, 3, 4, 3, 3]),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend(world::bytes(random, 32));
    body.push(32);
    body.extend(world::bytes(random, 32));
    body.extend_from_slice(&[0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2f, 1, 0]);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let mut handshake = vec![1, 0];
    handshake.extend_from_slice(&(body.len() as u16).to_be_bytes());
    handshake.extend_from_slice(&body);
    record(22, &handshake)
}

fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3];
    bytes.extend_from_slice(&(data.len() as u16).to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn server_hello(random: &mut StdRng) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend(world::bytes(random, 32));
    body.extend_from_slice(&[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]);
    let mut handshake = vec![2, 0];
    handshake.extend_from_slice(&(body.len() as u16).to_be_bytes());
    handshake.extend_from_slice(&body);
    record(22, &handshake)
}

fn tls(random: &mut StdRng, output: &mut Output, at: Timestamp, client: Ipv4Addr, server: Ipv4Addr, name: &str) {
    let ends = (End(client, client_port(random)), End(server, 443));
    let mut talk = Conversation::open(random, output, at, ends.0, ends.1);
    let hello = client_hello(random, name);
    talk.send(output, &hello);
    let hello = server_hello(random);
    talk.answer(output, &hello);
    for _ in 0..random.random_range(1..4) {
        let (sent, answered) = (random.random_range(60..700), random.random_range(200..4_000));
        let data = world::bytes(random, sent);
        talk.send(output, &record(23, &data));
        talk.wait(Duration::from_millis(random.random_range(5..60)));
        let data = world::bytes(random, answered);
        talk.answer(output, &record(23, &data));
    }
    talk.close(output);
}

/// An SSH session: banners, then bytes that look like what they are, encrypted.
pub(crate) fn ssh(
    random: &mut StdRng,
    output: &mut Output,
    at: Timestamp,
    client: Ipv4Addr,
    server: &str,
    rounds: u32,
) {
    let ends = (End(client, client_port(random)), End(host(server).address, 22));
    let mut talk = Conversation::open(random, output, at, ends.0, ends.1);
    talk.answer(output, b"SSH-2.0-OpenSSH_8.0\r\n");
    talk.send(output, b"SSH-2.0-OpenSSH_9.6\r\n");
    for _ in 0..rounds {
        let data = world::bytes(random, 96);
        talk.send(output, &data);
        talk.wait(Duration::from_millis(120));
        let data = world::bytes(random, 160);
        talk.answer(output, &data);
    }
    talk.close(output);
}

const SITES: [&str; 8] = [
    "dichvucong.gov.example",
    "ndxp.mic.example",
    "update.os-vendor.example",
    "d3f8a91c2b7e4a6f.cdn.static-assets.example",
    "time.vendor.example",
    "ocsp.ca.example",
    "mail.tinh.example",
    "buudien.example",
];

pub(crate) fn ordinary(clock: &Clock, random: &mut StdRng, output: &mut Output) {
    let api = host("API-Svr").address;
    for at in clock.times(random, 3.0) {
        let client = world::HOSTS[random.random_range(0..10)].address;
        let name = pick(random, &SITES);
        dns(random, output, at, client, name, A, &[203, 0, 113, 10]);
    }
    // Mail servers look up long keys; they are ordinary.
    for at in clock.times(random, 0.05) {
        let key = format!("v=DKIM1; k=rsa; p={}", hex(random, 180));
        dns(random, output, at, host("DichVu-Svr").address, "s20260101._domainkey.tinh.example", TXT, &txt(&key));
    }
    for at in clock.times(random, 1.0) {
        let path = format!("/api/motcua/1.0/hoso/{:06}", random.random_range(1..900_000));
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: api.tinh.example\r\nUser-Agent: {BROWSER}\r\nAccept: */*\r\n\r\n");
        let (client, size) = (citizen(random), random.random_range(200..6_000));
        http(random, output, at, client, "API-Svr", &request, size);
    }
    for at in clock.times(random, 1.0) {
        let (client, server, name) = if random.random_bool(0.6) {
            (citizen(random), api, "api.tinh.example")
        } else {
            (api, Ipv4Addr::new(203, 0, 113, 10), SITES[random.random_range(0..SITES.len())])
        };
        tls(random, output, at, client, server, name);
    }
    for at in clock.times(random, 0.1) {
        let client = world::workstation(random);
        ssh(random, output, at, client, "API-Svr", 6);
    }
    for at in clock.times_evenly(random, 0.1) {
        let (client, port) = (citizen(random), pick_port(random));
        let ends = (End(client, client_port(random)), End(api, port));
        refused(random, output, at, ends.0, ends.1);
    }
}

fn pick_port(random: &mut StdRng) -> u16 {
    [23, 445, 3_389, 8_080, 6_379][random.random_range(0..5)]
}
