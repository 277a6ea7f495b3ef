//! One entry per function that reads bytes from the network. Fuzzers and the property test walk this list.
//! Results go into `black_box`: a function whose result nobody looks at is left out by the compiler, and tests nothing.

use std::hint::black_box;

use crate::app::dns::{self, Names};
use crate::app::stream::recognise;
use crate::carve::{self, CarveConfig};
use crate::config::{Checksums, FlowConfig};
use crate::dissect::{LinkType, Vlans, ip, link, transport, tunnel};
use crate::table::FlowTable;
use crate::time::Timestamp;

/// A function that must neither panic nor loop, whatever it is given.
#[derive(Clone, Copy, Debug)]
pub struct FuzzTarget {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// Every reader of this crate.
pub fn fuzz_targets() -> &'static [FuzzTarget] {
    TARGETS
}

const fn target(name: &'static str, run: fn(&[u8])) -> FuzzTarget {
    FuzzTarget { name, run }
}

static TARGETS: &[FuzzTarget] = &[
    target("link_ethernet", |bytes| {
        let _ = black_box(link::strip(LinkType::ETHERNET, bytes));
    }),
    target("link_sll", |bytes| {
        let _ = black_box(link::strip(LinkType::LINUX_SLL, bytes));
    }),
    target("link_sll2", |bytes| {
        let _ = black_box(link::strip(LinkType::LINUX_SLL2, bytes));
    }),
    target("link_null", |bytes| {
        let _ = black_box(link::strip(LinkType::NULL, bytes));
    }),
    target("link_ppp", |bytes| {
        let _ = black_box(link::strip(LinkType::PPP, bytes));
    }),
    target("link_pppoe", |bytes| {
        let _ = black_box(link::strip(LinkType::PPP_ETHER, bytes));
    }),
    target("link_hdlc", |bytes| {
        let _ = black_box(link::strip(LinkType::CISCO_HDLC, bytes));
    }),
    target("link_mpls", |bytes| {
        let _ = black_box(link::ether_payload(0x8847, bytes, Vlans::default()));
    }),
    target("ip", |bytes| {
        if let Ok(ip) = ip::dissect(bytes, true) {
            let _ = black_box(ip.checksum_ok());
        }
    }),
    target("tcp", |bytes| {
        let _ = black_box(transport::tcp(bytes, bytes.len() as u32));
    }),
    target("udp", |bytes| {
        let _ = black_box(transport::udp(bytes, bytes.len() as u32));
    }),
    target("gre", |bytes| {
        let _ = black_box(tunnel::gre(bytes));
    }),
    target("vxlan", |bytes| {
        let _ = black_box(tunnel::over_udp(1, 4789, bytes));
    }),
    target("geneve", |bytes| {
        let _ = black_box(tunnel::over_udp(1, 6081, bytes));
    }),
    target("gtp_u", |bytes| {
        let _ = black_box(tunnel::over_udp(1, 2152, bytes));
    }),
    target("teredo", |bytes| {
        let _ = black_box(tunnel::over_udp(1, 3544, bytes));
    }),
    target("dns", |bytes| {
        let _ = black_box(dns::parse(bytes, Names::Plain));
    }),
    target("netbios", |bytes| {
        let _ = black_box(dns::parse(bytes, Names::NetBios));
    }),
    target("recognise", |bytes| {
        let _ = black_box(recognise(bytes, true));
    }),
    target("tls", |bytes| stream(b"\x16\x03\x01\x02\x00\x01", bytes)),
    target("http", |bytes| stream(b"GET / HTTP/1.1\r\n", bytes)),
    target("http_answer", |bytes| stream(b"HTTP/1.1 200 OK\r\n", bytes)),
    target("files_http", |bytes| files(0, b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n", bytes)),
    target("files_http_chunked", |bytes| files(1, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", bytes)),
    target("files_http_encoded", |bytes| files(1, b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n", bytes)),
    target("files_smtp", |bytes| files(0, b"EHLO x\r\nDATA\r\n", bytes)),
    target("files_ftp", |bytes| files(0, b"220 x\r\n", bytes)),
    target("file_name", |bytes| {
        let _ = black_box(carve::declared_name(bytes));
        let _ = black_box(carve::name_of_target(&String::from_utf8_lossy(bytes)));
    }),
    target("table", |bytes| packets(LinkType::ETHERNET, bytes)),
    target("table_raw", |bytes| packets(LinkType::RAW, bytes)),
];

/// One TCP connection whose data begins with `start`. The bytes say also how it is cut into segments, and which of
/// them come from whom, out of order, twice, or never.
fn stream(start: &[u8], bytes: &[u8]) {
    let mut table = FlowTable::new(FlowConfig::default());
    talk(&mut table, 0, start, bytes);
}

/// The same, with small caps for files, which are decoded.
fn files(end: usize, start: &[u8], bytes: &[u8]) {
    let carve = CarveConfig { file_bytes_max: 200, files_max: 2, bytes_max: 300, held_back_bytes_max: 400 };
    let mut table = FlowTable::new(FlowConfig { carve: Some(carve), ..FlowConfig::default() });
    talk(&mut table, end, start, bytes);
    for file in table.take_files() {
        let _ = black_box(file.decoded(1_000));
    }
}

fn talk(table: &mut FlowTable, begins: usize, start: &[u8], bytes: &[u8]) {
    let mut out = Vec::new();
    let mut sequences = [1_000_u32, 9_000];
    let mut send = |end: usize, shift: u32, data: &[u8]| {
        let (source, destination) = if end == 0 { (1, 2) } else { (2, 1) };
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, source, 10, 0, 0, destination];
        let ports = if end == 0 { [0x9c, 0x40, 0, 80] } else { [0, 80, 0x9c, 0x40] };
        packet.extend(ports);
        packet.extend(sequences[end].wrapping_add(shift).to_be_bytes());
        packet.extend(sequences[1 - end].to_be_bytes());
        // Now and then an end closes.
        let flags = if shift % 16 == 15 { 0x19 } else { 0x18 };
        packet.extend([0x50, flags, 1, 0, 0, 0, 0, 0]);
        packet.extend(data);
        sequences[end] = sequences[end].wrapping_add(data.len() as u32);
        table.packet(LinkType::RAW, Timestamp::from_nanos(0), packet.len() as u32, &packet, &mut out);
    };
    send(begins, 0, start);
    let mut rest = bytes;
    while let Some((control, after)) = rest.split_first() {
        let len = usize::from(control >> 2).min(after.len());
        let (data, after) = after.split_at(len);
        let shift = if control & 2 == 0 { 0 } else { u32::from(*control) };
        send(usize::from(control & 1), shift, data);
        rest = after;
    }
    table.finish(&mut out);
}

/// The bytes cut into packets by a length before each.
fn packets(link: LinkType, bytes: &[u8]) {
    let config = FlowConfig { flows_max: 4, fragments_max: 2, checksums: Checksums::Ignore, ..FlowConfig::default() };
    let mut table = FlowTable::new(config);
    let mut out = Vec::new();
    let (mut rest, mut at) = (bytes, 0_i64);
    while let Some((len, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(*len).min(after.len()));
        at = at.wrapping_add(i64::from(*len) << 28);
        table.packet(link, Timestamp::from_nanos(at), packet.len() as u32, packet, &mut out);
        rest = after;
    }
    table.finish(&mut out);
}
