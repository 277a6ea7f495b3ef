//! What described sources cost other lines: the samples of every format, unknown programs of syslog and plain text, decoded
//! with the sources of the program or without any.
//!
//! `cargo build --example vendor_bench`, then `valgrind --tool=callgrind …/vendor_bench with 20` and the same `without`.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use canh_collector::format::FORMATS;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, Vendors, decode};
use canh_schema::{Position, Timestamp};

/// Lines that are asked about most: nobody else knows them.
const UNKNOWN: &[&str] = &[
    "<30>Nov 22 09:31:48 srv acme-agent[812]: connection from 203.0.113.9 closed after 12 requests and 4 retries",
    "<30>Nov 22 09:31:48 srv containerd[812]: shim disconnected, cleaning up the task of a container that has ended",
    "worker 12 finished its job in 812 milliseconds, nothing more to do for now",
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let vendors = match arguments.next().as_deref() {
        Some("without") => Arc::new(Vendors::default()),
        _ => Vendors::shipped(),
    };
    let rounds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(200);
    let settings = DecodeSettings { vendors, ..DecodeSettings::default() };
    let samples = FORMATS.iter().filter(|format| format.name() != "vendor").flat_map(|format| format.samples());
    let only_unknown = arguments.next().as_deref() == Some("unknown");
    let lines: Vec<&str> = match only_unknown {
        true => UNKNOWN.to_vec(),
        false => samples.copied().chain(UNKNOWN.iter().copied()).collect(),
    };
    let payload = Bytes::from(lines.join("\n"));
    let mut events = 0;
    for round in 0..rounds {
        let received = Timestamp::from_secs(1_795_400_000);
        let envelope = Envelope::new(Door::Import, received, Framing::Lines, payload.clone());
        events += black_box(decode(&envelope, Position::new(round), 1, &settings)).events.len();
    }
    println!("{events} events");
}
