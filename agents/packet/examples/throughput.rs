//! Packets per second of processor time: `throughput <folder of captures> [copies] [files]`. With `files`, files are taken
//! out of the streams as well.
//!
//! All captures below the folder are held in memory and go through one table several times. Each copy is later, and has
//! other addresses, so that it has flows of its own. What is measured is the time of the processor, so that other work
//! on the machine matters little. Linux only.

use std::path::PathBuf;
use std::{env, fs};

use canh_packet::{CarveConfig, FlowConfig, FlowTable, LinkType, Timestamp};
use pcap::{Capture, Precision};

struct Packet {
    link: LinkType,
    at: i64,
    wire_len: u32,
    bytes: Vec<u8>,
}

fn main() {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder of captures"));
    let copies: u32 = arguments.next().map_or(20, |text| text.parse().expect("a number of copies"));
    let carve = arguments.next().is_some_and(|word| word == "files").then(CarveConfig::default);
    let packets = load(folder);
    let span = packets.last().map_or(0, |packet| packet.at) + 1;
    let mut table = FlowTable::new(FlowConfig { carve, ..FlowConfig::default() });
    let mut out = Vec::new();
    let mut records = 0;
    let mut copy_bytes: Vec<Vec<u8>> = packets.iter().map(|packet| packet.bytes.clone()).collect();
    let mut ticks = 0;
    for copy in 0..copies {
        copy_bytes.iter_mut().zip(&packets).for_each(|(bytes, packet)| shift(bytes, packet.link, copy));
        let before = processor_ticks();
        for (packet, bytes) in packets.iter().zip(&copy_bytes) {
            let at = Timestamp::from_nanos(packet.at + span * i64::from(copy));
            table.packet(packet.link, at, packet.wire_len, bytes, &mut out);
            records += out.len();
            out.clear();
            drop(table.take_files());
        }
        ticks += processor_ticks() - before;
    }
    let before = processor_ticks();
    table.finish(&mut out);
    ticks += processor_ticks() - before;
    records += out.len();
    let seconds = ticks as f64 / 100.0;
    let stats = table.stats();
    println!(
        "{} packets, {:.0} bytes on average, {} flows, {records} records",
        stats.packets,
        stats.bytes as f64 / stats.packets as f64,
        stats.flows_opened
    );
    println!("{:?}", table.carve_stats());
    println!("{seconds:.2} s of processor: {:.2} million packets per second", stats.packets as f64 / seconds / 1e6);
}

/// Every packet of every file, one file after the other in time.
fn load(folder: PathBuf) -> Vec<Packet> {
    let (mut packets, mut folders, mut base) = (Vec::new(), vec![folder], 0);
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(folder).expect("folder").flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(mut capture) = Capture::from_file_with_precision(&path, Precision::Nano) else { continue };
            let link = LinkType(capture.get_datalink().0);
            let (mut first, mut last) = (None, 0);
            while let Ok(packet) = capture.next_packet() {
                let at = packet.header.ts.tv_sec.saturating_mul(1_000_000_000).saturating_add(packet.header.ts.tv_usec);
                // A file is taken for one that lasts a minute at most.
                let since = (at - *first.get_or_insert(at)).clamp(last, 60_000_000_000.max(last));
                last = since;
                let wire_len = packet.header.len;
                packets.push(Packet { link, at: base + since, wire_len, bytes: packet.data.to_vec() });
            }
            base += last;
        }
    }
    packets
}

/// Other addresses for each copy, where the packet is plain Ethernet with IPv4.
fn shift(bytes: &mut [u8], link: LinkType, copy: u32) {
    if link == LinkType::ETHERNET && bytes.len() > 34 && bytes[12..14] == [8, 0] && copy > 0 {
        for at in [27, 31] {
            bytes[at] = bytes[at].wrapping_add(1);
        }
    }
}

/// Hundredths of a second that this process has used the processor.
fn processor_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc/self/stat");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let number = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    number(11) + number(12)
}
