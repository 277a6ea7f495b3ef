//! The hellos of TLS: who is asked for, which version and protocol are agreed on, and the JA3 fingerprints.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use tls_parser::{parse_tls_handshake_client_hello, parse_tls_handshake_server_hello};

use super::Context;
use super::stream::{Bytes, Progress};
use crate::dissect::bytes::{u8_at, u16_at, u24_at};
use crate::record::{Record, TlsRecord};
use crate::time::Timestamp;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
/// Protocols of one hello that are kept.
const PROTOCOLS_MAX: usize = 16;
/// A retry request is a server hello with this random value. Source: RFC 8446, section 4.1.3.
const RETRY_RANDOM: [u8; 8] = [0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11];

/// Whether a stream begins with a hello: a handshake record of version 3.0 to 3.4 that holds one.
pub(crate) fn is_hello(data: &[u8]) -> bool {
    matches!(data, [HANDSHAKE, 3, 0..=4, high, low, CLIENT_HELLO | SERVER_HELLO, ..] if (*high, *low) != (0, 0))
}

/// Whether so few bytes may become a hello.
pub(crate) fn may_be_hello(data: &[u8]) -> bool {
    matches!(data, [HANDSHAKE] | [HANDSHAKE, 3] | [HANDSHAKE, 3, 0..=4, ..])
}

/// One connection's hellos.
#[derive(Debug, Default)]
pub(crate) struct TlsStream {
    seen: Option<Box<Seen>>,
    /// Length that each direction's buffer must reach before it is worth looking again.
    wanted: [usize; 2],
    wrote: bool,
}

#[derive(Debug)]
struct Seen {
    at: Timestamp,
    client: Option<ClientHello>,
    server: Option<ServerHello>,
}

#[derive(Debug, Default)]
struct ClientHello {
    server_name: Option<String>,
    protocols: Vec<String>,
    ja3_text: String,
}

#[derive(Debug, Default)]
struct ServerHello {
    version: u16,
    cipher: u16,
    protocol: Option<String>,
    ja3s_text: String,
    is_retry: bool,
}

/// The first handshake message of a direction.
enum First {
    /// Not before the buffer is this long.
    Wants(usize),
    Message(u8, Vec<u8>),
    /// Not a handshake.
    Other,
}

impl TlsStream {
    pub(crate) fn data(&mut self, bytes: Bytes<'_>, context: &mut Context<'_>) -> Progress {
        if bytes.data.len() < self.wanted[bytes.end] {
            return Progress::Consumed(0);
        }
        match first_message(bytes.data) {
            First::Wants(len) => {
                self.wanted[bytes.end] = len;
                Progress::Consumed(0)
            }
            First::Message(kind, body) => self.hello(kind, &body, bytes.data.len(), context),
            // An alert instead of a hello, or data of a connection whose beginning was missed.
            First::Other => {
                self.finish(context);
                Progress::Done
            }
        }
    }

    fn hello(&mut self, kind: u8, body: &[u8], len: usize, context: &mut Context<'_>) -> Progress {
        let at = context.at;
        let seen = self.seen.get_or_insert_with(|| Box::new(Seen { at, client: None, server: None }));
        match kind {
            CLIENT_HELLO => {
                // After a retry request comes another hello; the first one is the one to tell.
                if seen.client.is_none() {
                    seen.client = read_client_hello(body);
                }
            }
            SERVER_HELLO => {
                seen.server = read_server_hello(body);
                if seen.server.as_ref().is_some_and(|server| server.is_retry) {
                    return Progress::Consumed(len); // the real one follows
                }
                self.finish(context);
                return Progress::Done;
            }
            _ => {
                self.finish(context);
                return Progress::Done;
            }
        }
        Progress::Consumed(len)
    }

    /// Writes what was seen, once.
    pub(crate) fn finish(&mut self, context: &mut Context<'_>) {
        let Some(seen) = self.seen.take() else { return };
        if self.wrote || (seen.client.is_none() && seen.server.is_none()) {
            return;
        }
        self.wrote = true;
        let Seen { at, client, server } = *seen;
        let (version, cipher, next_protocol, ja3s_text) = match server {
            Some(server) => (Some(server.version), Some(server.cipher), server.protocol, Some(server.ja3s_text)),
            None => (None, None, None, None),
        };
        let (server_name, client_protocols, ja3_text) = match client {
            Some(client) => (client.server_name, client.protocols, Some(client.ja3_text)),
            None => (None, Vec::new(), None),
        };
        let record = TlsRecord {
            conversation: (context.conversation)(),
            at,
            server_name,
            client_protocols,
            next_protocol,
            version: version.map(version_name),
            cipher,
            ja3: ja3_text.as_deref().map(md5_hex),
            ja3_text,
            ja3s: ja3s_text.as_deref().map(md5_hex),
        };
        context.out.push(Record::Tls(record));
    }
}

/// Puts the first handshake message together, which may be spread over several records.
fn first_message(data: &[u8]) -> First {
    let (mut at, mut message, mut total) = (0, Vec::new(), None);
    loop {
        let Some(header) = data.get(at..at + 5) else { return First::Wants(at + 5) };
        let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if header[0] != HANDSHAKE || header[1] != 3 || len == 0 {
            return First::Other;
        }
        let available = data.get(at + 5..).unwrap_or_default();
        message.extend_from_slice(available.get(..len).unwrap_or(available));
        if total.is_none() {
            total = u24_at(&message, 1).map(|body| body as usize + 4);
        }
        match total {
            Some(total) if message.len() >= total => {
                let kind = message.first().copied().unwrap_or_default();
                return First::Message(kind, message.get(4..total).unwrap_or_default().to_vec());
            }
            _ if available.len() < len => return First::Wants(at + 5 + len.min(total.unwrap_or(4).max(4))),
            _ => at += 5 + len,
        }
    }
}

/// Source: RFC 8446, section 4.1.2; RFC 6066, section 3; RFC 7301, section 3.1; github.com/salesforce/ja3.
fn read_client_hello(body: &[u8]) -> Option<ClientHello> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let mut result = ClientHello::default();
    let (mut types, mut groups, mut formats) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, data) in extensions(hello.ext.unwrap_or_default()) {
        types.push(kind);
        match kind {
            0 if u8_at(data, 2) == Some(0) => {
                let len = u16_at(data, 3).map_or(0, usize::from);
                result.server_name = data.get(5..5 + len).map(printable);
            }
            10 => groups = words(data.get(2..).unwrap_or_default()),
            11 => formats = data.get(1..).unwrap_or_default().iter().map(|byte| u16::from(*byte)).collect(),
            16 => result.protocols = protocols(data),
            _ => {}
        }
    }
    let ciphers: Vec<u16> = hello.ciphers.iter().map(|cipher| cipher.0).collect();
    let lists = [&ciphers, &types, &groups].map(|list| dashed(list.iter().copied().filter(|it| !is_grease(*it))));
    let [ciphers, types, groups] = lists;
    result.ja3_text = format!("{},{ciphers},{types},{groups},{}", hello.version.0, dashed(formats.into_iter()));
    Some(result)
}

/// Source: RFC 8446, section 4.1.3.
fn read_server_hello(body: &[u8]) -> Option<ServerHello> {
    let (_, hello) = parse_tls_handshake_server_hello(body).ok()?;
    let mut result = ServerHello {
        version: hello.version.0,
        cipher: hello.cipher.0,
        is_retry: hello.random.starts_with(&RETRY_RANDOM),
        ..ServerHello::default()
    };
    let mut types = Vec::new();
    for (kind, data) in extensions(hello.ext.unwrap_or_default()) {
        types.push(kind);
        match kind {
            16 => result.protocol = protocols(data).into_iter().next(),
            43 => result.version = u16_at(data, 0).unwrap_or(result.version),
            _ => {}
        }
    }
    result.ja3s_text = format!("{},{},{}", hello.version.0, hello.cipher.0, dashed(types.into_iter()));
    Some(result)
}

/// Types and contents. A broken extension does not hide those before it.
fn extensions(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let kind = u16_at(rest, 0)?;
        let len = usize::from(u16_at(rest, 2)?);
        let data = rest.get(4..4 + len)?;
        rest = rest.get(4 + len..)?;
        Some((kind, data))
    })
}

fn protocols(data: &[u8]) -> Vec<String> {
    let mut rest = data.get(2..).unwrap_or_default();
    let mut names = Vec::new();
    while let Some((len, after)) = rest.split_first() {
        let Some(name) = after.get(..usize::from(*len)) else { break };
        if names.len() == PROTOCOLS_MAX {
            break;
        }
        names.push(printable(name));
        rest = after.get(usize::from(*len)..).unwrap_or_default();
    }
    names
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// Values that are there to be ignored. Source: RFC 8701.
const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn dashed(values: impl Iterator<Item = u16>) -> String {
    let mut text = String::new();
    for value in values {
        let dash = if text.is_empty() { "" } else { "-" };
        let _ = write!(text, "{dash}{value}"); // writing to a string cannot fail
    }
    text
}

fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL 3.0".to_owned(),
        0x0301 => "1.0".to_owned(),
        0x0302 => "1.1".to_owned(),
        0x0303 => "1.2".to_owned(),
        0x0304 => "1.3".to_owned(),
        0x7f00..=0x7fff => format!("1.3 draft {}", version & 0xff),
        other => format!("0x{other:04x}"),
    }
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().fold(String::with_capacity(32), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a string cannot fail
        hex
    })
}
