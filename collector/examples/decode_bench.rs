//! How many events a second one core decodes: `cargo run --release -p canh-collector --example decode_bench [FILE…]`.
//!
//! Without files it takes the samples of every format. A file is read as lines; one that ends in `.zst` or `.gz` is
//! unpacked first.

use std::hint::black_box;
use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use canh_collector::format::FORMATS;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_schema::{Position, Timestamp};

/// Size of one batch, as a door would make it.
const BATCH_LEN: usize = 256 * 1024;

fn main() -> std::io::Result<()> {
    let settings = DecodeSettings::default();
    let mut mixed = String::new();
    for format in FORMATS {
        let lines: String = format.samples().iter().map(|sample| format!("{sample}\n")).collect();
        measure(format.name(), lines.as_bytes(), &settings);
        mixed.push_str(&lines);
    }
    measure("mixed", mixed.as_bytes(), &settings);
    for path in std::env::args().skip(1) {
        let file = std::fs::File::open(&path)?;
        let mut bytes = Vec::new();
        match path.rsplit('.').next() {
            Some("zst") => zstd::Decoder::new(file)?.read_to_end(&mut bytes)?,
            Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes)?,
            _ => std::io::BufReader::new(file).read_to_end(&mut bytes)?,
        };
        measure(&path, &bytes, &settings);
    }
    Ok(())
}

/// Decodes the lines over and over for a second, after one round to warm up.
fn measure(name: &str, lines: &[u8], settings: &DecodeSettings) {
    let batches = batches(lines);
    let mut events = 0;
    let mut rounds = 0;
    let mut start = Instant::now();
    while rounds == 0 || start.elapsed() < Duration::from_secs(1) {
        if rounds == 1 {
            start = Instant::now();
            events = 0;
        }
        for (number, payload) in batches.iter().enumerate() {
            let received = Timestamp::from_secs(1_795_400_000);
            let envelope = Envelope::new(Door::Import, received, Framing::NdJson, payload.clone());
            let position = Position::new(u64::try_from(number).unwrap_or(0));
            events += black_box(decode(&envelope, position, 1, settings)).events.len();
        }
        rounds += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    let bytes: usize = batches.iter().map(Bytes::len).sum();
    let rounds = f64::from(rounds - 1).max(1.0);
    println!(
        "{name:<40} {:>10.0} events/s {:>8.1} MB/s",
        events as f64 / seconds,
        bytes as f64 * rounds / seconds / 1e6
    );
}

/// The lines in batches; few lines are repeated until they fill one.
fn batches(lines: &[u8]) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut batch = Vec::new();
    loop {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            batch.extend_from_slice(line);
            if batch.len() >= BATCH_LEN {
                out.push(Bytes::from(std::mem::take(&mut batch)));
            }
        }
        if !out.is_empty() || lines.is_empty() {
            break;
        }
    }
    if !batch.is_empty() {
        out.push(Bytes::from(batch));
    }
    out
}
