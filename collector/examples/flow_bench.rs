//! How many flow records a CPU-second decodes, and what a well-known crate does with the same messages in the same run.
//! `./dev bench` runs it; alone: `cargo run --release -p canh-collector --example flow_bench`.

use std::hint::black_box;
use std::time::Duration;

use canh_collector::{Cut, DecodeSettings, Door, Envelope, Framing, RecordList, decode};
use canh_flows::{Decoder, FlowSet, Limits, Sink};
use canh_schema::{Position, Timestamp};
use netflow_parser::NetflowParser;

fn main() {
    let datagrams = load();
    let records = 30 * datagrams.len() as u64;
    println!("| NetFlow v9, {records} records of 18 fields | records per CPU-second |\n|---|---:|");
    row("decoded to flows", records, &mut run::<false>(&datagrams));
    row("decoded to flows, and every field to a value", records, &mut run::<true>(&datagrams));
    let mut door = door(&datagrams);
    row("followed by the door: templates, options, what a batch needs", records, &mut door);
    let mut list = RecordList::default();
    list.push(b"", None, Cut::Whole);
    for datagram in &datagrams {
        list.push(datagram, Some([192, 0, 2, 1].into()), Cut::Whole);
    }
    let envelope = Envelope::new(Door::Flow, Timestamp::from_secs(1_795_000_000), Framing::Flows, list.take());
    let settings = DecodeSettings::default();
    row("to normalised events", records, &mut || {
        let events = black_box(decode(&envelope, Position::new(1), 1, &settings)).events;
        assert_eq!(events.len() as u64, records);
    });
    let mut parser = NetflowParser::default();
    row("peer: `netflow_parser`, to its lists of values", records, &mut || {
        for datagram in &datagrams {
            let parsed = black_box(parser.parse_bytes(datagram));
            assert!(parsed.error.is_none() && parsed.packets.len() == 1);
        }
    });
}

/// Time that the one thread of this program was on a processor.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux counts the time of threads");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}

/// The median of five rounds, each of half a second or more.
fn row(what: &str, records: u64, work: &mut dyn FnMut()) {
    work();
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let begin = cpu();
            let mut times = 0;
            while cpu() - begin < Duration::from_millis(500) {
                work();
                times += 1;
            }
            (records * times) as f64 / (cpu() - begin).as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("| {what} | {:.0} |", rates.get(2).copied().unwrap_or_default());
}

fn door(datagrams: &[Vec<u8>]) -> impl FnMut() {
    let mut decoder = Decoder::new(Limits::default());
    move || {
        decoder.begin_batch();
        let mut nothing = Nothing;
        for datagram in datagrams {
            black_box(decoder.feed([192, 0, 2, 1].into(), datagram, &mut nothing));
        }
        black_box(decoder.take_context());
    }
}

struct Nothing;

impl Sink for Nothing {
    fn flows(&mut self, _: &FlowSet<'_>) {}
}

/// Messages of NetFlow v9 with 30 records of 18 fields each, as a router sends them.
fn load() -> Vec<Vec<u8>> {
    let fields: &[(u16, u16)] = &[
        (8, 4),
        (12, 4),
        (15, 4),
        (10, 4),
        (14, 4),
        (2, 4),
        (1, 4),
        (22, 4),
        (21, 4),
        (7, 2),
        (11, 2),
        (6, 1),
        (4, 1),
        (5, 1),
        (16, 4),
        (17, 4),
        (9, 1),
        (13, 1),
    ];
    let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    let set = |id: u16, body: &[u8]| [words(&[id, u16::try_from(body.len() + 4).unwrap_or(0)]), body.to_vec()].concat();
    let pairs: Vec<u16> = fields.iter().flat_map(|(number, len)| [*number, *len]).collect();
    let template = set(0, &[words(&[256, 18]), words(&pairs)].concat());
    (0..150u32)
        .map(|number| {
            let head = [9u32 << 16 | 30, 100_000_000, 1_795_000_000, number, 0];
            let head: Vec<u8> = head.iter().flat_map(|long| long.to_be_bytes()).collect();
            let records: Vec<u8> = (0..30u32).flat_map(|record| self::record(number * 30 + record)).collect();
            let first = if number == 0 { template.clone() } else { Vec::new() };
            [head, first, set(256, &records)].concat()
        })
        .collect()
}

fn record(number: u32) -> Vec<u8> {
    let longs = |longs: &[u32]| longs.iter().flat_map(|long| long.to_be_bytes()).collect::<Vec<_>>();
    let source = 0x0a01_0000 + number;
    [
        longs(&[
            source,
            0xcb00_7100 + number % 200,
            0x0a01_0001,
            3,
            4,
            5 + number % 90,
            640 + number,
            99_990_000,
            99_999_000,
        ]),
        vec![0xc3, (number % 251) as u8, 0x01, 0xbb, 0x1b, 6, 0],
        longs(&[64_500, 64_501]),
        vec![24, 24],
    ]
    .concat()
}

struct Count<const VALUES: bool>(u64);

impl<const VALUES: bool> Sink for Count<VALUES> {
    fn flows(&mut self, set: &FlowSet<'_>) {
        set.for_each(|record| {
            self.0 += black_box(set.flow(&record)).bytes.unwrap_or_default();
            if VALUES {
                for (field, bytes) in record.fields() {
                    black_box(field.kind.read(bytes));
                }
            }
        });
    }
}

fn run<const VALUES: bool>(datagrams: &[Vec<u8>]) -> impl FnMut() {
    let mut decoder = Decoder::new(Limits::default());
    move || {
        let mut count = Count::<VALUES>(0);
        for datagram in datagrams {
            decoder.feed([192, 0, 2, 1].into(), datagram, &mut count);
        }
        black_box(count.0);
    }
}
