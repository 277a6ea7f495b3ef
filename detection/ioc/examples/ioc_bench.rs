//! What a million indicators cost: bytes for each, time to load them, events per CPU-second when nothing matches.
//!
//! ```text
//! cargo run --release -p canh-ioc --example ioc_bench -- [indicators]
//! ```

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;

use canh_ioc::{Builder, IndicatorSet, LoadOptions};
use canh_schema::{Event, Timestamp};

/// Events of a corpus that are measured; more take long and say the same.
const EVENTS_MAX: usize = 60_000;
const ROUNDS: usize = 5;

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let text = list(count);
    println!("{count} indicators as CSV, {} MB", text.len() / 1_000_000);
    let before = resident_bytes().saturating_sub(text.len() as u64);
    let begin = cpu_seconds();
    let mut builder = Builder::new(LoadOptions::default());
    builder.add_text("bench.csv", &text);
    let (set, report) = builder.finish();
    let seconds = cpu_seconds() - begin;
    drop(text);
    println!("loaded in {seconds:.2} s of CPU, {} refused, {} known", report.errors(), report.duplicates);
    for problem in report.problems.iter().take(3) {
        println!("  {problem}");
    }
    println!(
        "{} indicators, {:.1} bytes each in the index, {:.1} MB; resident grew by {:.1} MB; most while loading {:.1} MB, the text included",
        set.len(),
        set.memory_bytes() as f64 / set.len() as f64,
        set.memory_bytes() as f64 / 1e6,
        resident_bytes().saturating_sub(before) as f64 / 1e6,
        peak_bytes() as f64 / 1e6,
    );
    for count in set.counts(Timestamp::from_secs(0)) {
        println!("  {:10} {}", count.kind.name(), count.count);
    }
    let Some(corpus) = support::corpus() else { return };
    for name in ["zeek.jsonl.gz", "otrf-balanced.jsonl.zst", "otrf-stream.jsonl.zst", "evtx-flat.jsonl.gz"] {
        let lines = support::lines(&corpus.join(name)).take(EVENTS_MAX);
        let events: Vec<Event> = lines.enumerate().map(|(index, line)| support::event(index, &line)).collect();
        measure(name, &events, &set);
    }
}

fn measure(name: &str, events: &[Event], set: &IndicatorSet) {
    let mut best = f64::MAX;
    let mut matches = 0;
    for _ in 0..ROUNDS {
        let begin = cpu_seconds();
        matches = events.iter().map(|event| set.evaluate(event, event.time).len()).sum();
        best = best.min(cpu_seconds() - begin);
    }
    let values: usize = events.iter().map(|event| event.attrs.len() + event.fields.len()).sum();
    println!(
        "{name}: {} events of {} values, {matches} matches, {:.0} events/s, {:.2} us each",
        events.len(),
        values / events.len().max(1),
        events.len() as f64 / best,
        best / events.len() as f64 * 1e6
    );
}

/// A mixed list that no real event is in: a third addresses, a third names and URLs, a third hashes.
fn list(count: u64) -> String {
    let mut text = "value,type,confidence,valid_until,first_seen,tags,description\n".to_owned();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    for number in 0..count {
        let (a, b, c, d) = (next(), next(), next(), next());
        let written = match number % 100 {
            // A corner of the space, so that hardly any event of the corpora is in it.
            0..30 => writeln!(text, "{}.{}.{}.{},ip,", 203 + a % 3, b % 256, c % 256, d % 256),
            30..33 => writeln!(text, "203.{}.{}.{}/{},cidr,", a % 256, b % 256, c % 256, 24 + d % 8),
            33..34 => writeln!(text, "2001:db8:{:x}:{:x}::{:x},ip,", a % 65_536, b % 65_536, c % 65_536),
            34..56 => writeln!(text, "{:x}.{:x}.example,domain,", a % (1 << 40), b % 65_536),
            56..68 => {
                writeln!(text, "http://{:x}.example/{:x}/{:x}.php?id={:x},url,", a % (1 << 32), b % 65_536, c, d % 999)
            }
            68..74 => writeln!(text, "{a:016x}{b:016x},md5,"),
            74..78 => writeln!(text, "{a:016x}{b:016x}{:08x},sha1,", c % (1 << 32)),
            78..97 => writeln!(text, "{a:016x}{b:016x}{c:016x}{d:016x},sha256,"),
            97..98 => writeln!(text, "{:x}@{:x}.example,email,", a % (1 << 40), b % (1 << 24)),
            98 => writeln!(text, "{a:016x}{b:016x},ja3,"),
            _ => writeln!(text, "\"Mozilla/4.0 (compatible; {a:x})\",user_agent,"),
        };
        written.expect("a text grows");
        text.pop();
        let day = a % 28 + 1;
        let written = writeln!(
            text,
            "{},2099-{:02}-{day:02},2026-01-{day:02} 08:00:00,\"tlp:green,T{}\",campaign {}",
            a % 101,
            b % 12 + 1,
            1_000 + c % 600,
            d % 5_000
        );
        written.expect("a text grows");
    }
    text
}

/// CPU time of this process, so that other work on the machine does not count.
fn cpu_seconds() -> f64 {
    let schedstat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn status_bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) * 1_024
}

fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

fn peak_bytes() -> u64 {
    status_bytes("VmHWM:")
}
