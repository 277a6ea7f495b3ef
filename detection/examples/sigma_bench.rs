//! Events per CPU-second on one core, from JSON bytes to findings, with all public rules.
//!
//! ```text
//! cargo run --release -p canh-detection --example sigma_bench -- [corpus file] [rounds]
//! ```
//!
//! Without a file, the Windows corpora of the detection data are measured one after the other. Printed besides: the
//! time to load and compile the rules, the resident memory after it, and the rules looked at for each event.

#[path = "../tests/support/mod.rs"]
#[expect(unreachable_pub, reason = "shared by the tests and the example")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use canh_detection::{Engine, EngineConfig, load_paths};

/// Events of a corpus that are measured; more take long and say the same.
const EVENTS_MAX: usize = 60_000;

fn main() {
    let Some(data) = support::data() else { return };
    let begin = Instant::now();
    let rules = load_paths(support::public_rules(&data));
    println!("read {} rules, {} errors in {:?}", rules.rules.len(), rules.errors.len(), begin.elapsed());
    let begin = Instant::now();
    let mut engine = Engine::new(rules, EngineConfig::default());
    println!("compiled in {:?}, resident memory {} MiB", begin.elapsed(), resident_mib());

    let mut args = std::env::args().skip(1);
    let corpora: Vec<PathBuf> = match args.next() {
        Some(file) => vec![file.into()],
        None => ["evtx-flat.jsonl.gz", "otrf-balanced.jsonl.zst", "otrf-stream.jsonl.zst", "zeek.jsonl.gz"]
            .iter()
            .map(|file| data.join("corpus").join(file))
            .collect(),
    };
    let rounds = args.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    for corpus in corpora {
        measure(&corpus, rounds, &mut engine);
    }
}

fn measure(corpus: &Path, rounds: usize, engine: &mut Engine) {
    let lines: Vec<String> = support::lines(corpus).take(EVENTS_MAX).collect();
    let bytes: usize = lines.iter().map(String::len).sum();
    let name = corpus.file_name().unwrap_or_default().to_string_lossy();
    println!("\n{name}: {} events, {} bytes each", lines.len(), bytes / lines.len().max(1));
    // Groups and plans are made when a log source is first seen; the first round pays for that.
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..rounds {
        let before = engine.stats();
        let (mut parse, mut evaluate, mut findings) = (0.0, 0.0, 0);
        for chunk in lines.chunks(500) {
            let begin = cpu_seconds();
            let events = chunk.iter().enumerate().map(|(index, line)| support::event(index, line)).collect();
            let batch = support::batch(events);
            let parsed = cpu_seconds();
            let mut out = Vec::new();
            engine.evaluate(&batch, &mut out);
            findings += out.len();
            parse += parsed - begin;
            evaluate += cpu_seconds() - parsed;
        }
        best = (best.0.min(parse + evaluate), best.1.min(evaluate));
        let looked_at = engine.stats().rule_evaluations - before.rule_evaluations;
        println!(
            "  {findings} findings, {:.1} rules looked at for each event, {:.0} events/s parse and match",
            looked_at as f64 / lines.len() as f64,
            lines.len() as f64 / (parse + evaluate),
        );
    }
    println!(
        "  best: {:.0} events/s with parsing, {:.0} events/s matching alone, {:.1} us matching for each event",
        lines.len() as f64 / best.0,
        lines.len() as f64 / best.1,
        best.1 / lines.len() as f64 * 1e6,
    );
}

/// CPU time of this process, so that other work on the machine does not count.
fn cpu_seconds() -> f64 {
    let schedstat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn resident_mib() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4 / 1024
}
