//! Events per CPU-second from JSON bytes to findings, with all public rules, through the collector's own decoder; beside
//! it another engine on the same events, in turns.
//!
//! ```text
//! cargo run --release -p canh-datasets --example detect_bench -- [rounds]
//! cargo run --release -p canh-datasets --example detect_bench -- [rounds] profile [part of a corpus's name] [whole|alone|two]
//! ```
//!
//! The second form runs nothing but our engine, for a profiler.
//!
//! The other engine reads JSON and knows no syslog, so it has no part in that row.
//!
//! Needs the detection data beside the checkout (`../shared/data/detection`). Prints a Markdown table.

mod short;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use canh_collector::{DecodeSettings, Door, Envelope, Framing, decode};
use canh_detection::{Engine, EngineConfig, RuleSet, load_paths};
use canh_schema::{EventBatch, Position, RuleId, Timestamp};

/// As in the server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events of a corpus that are measured; more take long and say the same.
const EVENTS_MAX: usize = 20_000;
/// Events of one batch, as an agent sends them.
const BATCH: usize = 1_000;
/// Rules of the same kinds that are added to see how the cost grows.
const MORE_RULES: usize = 10_000;

const SYSLOG: &str = "syslog";
const FLOWS: &str = "flows";
/// Files of the shared data, and what is made here.
const CORPORA: &[&str] =
    &["evtx-flat.jsonl.gz", "otrf-balanced.jsonl.zst", "otrf-stream.jsonl.zst", "zeek.jsonl.gz", SYSLOG, FLOWS];

fn main() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/detection");
    if !data.is_dir() {
        eprintln!("SKIPPED: the detection data is not at `{}`", data.display());
        return;
    }
    let rounds: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let rules = unpacked(&data);
    let before = resident_mib();
    let (wall, cpu) = (Instant::now(), cpu_seconds());
    let set = load_paths(&rules);
    let (read_wall, read_cpu) = (wall.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let (wall, count) = (Instant::now(), set.rules.len());
    let mut engine = Engine::new(set, EngineConfig::default());
    let compiled = wall.elapsed().as_secs_f64();
    println!("{count} rules: read in {read_wall:.2} s ({read_cpu:.2} CPU-s), compiled in {compiled:.2} s");
    for corpus in CORPORA {
        found(&mut engine, &decoded(corpus, &Bytes::from(corpus_lines(&data, corpus, BATCH).join("\n"))));
    }
    println!("{} MiB for the rules and the indexes of what came, {before} MiB before\n", resident_mib() - before);
    if std::env::args().nth(2).is_some_and(|word| word == "profile") {
        profile(&data, &rules, &mut engine, rounds);
        return;
    }
    let set = load_paths(&rules);
    let mut more = Engine::new(with_more(&set), EngineConfig::default());
    let mut two = Engine::new(set, EngineConfig { threads: 2, ..EngineConfig::default() });
    let oracle = Oracle::new(&rules);
    eprintln!("the other engine has {} rules", oracle.0.rule_count());

    println!(
        "| events | B each | JSON to findings /CPU-s | matching alone /CPU-s | rsigma-eval, routed /CPU-s | ratio | 2 threads | cost with {MORE_RULES} rules more |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for corpus in CORPORA {
        let lines = corpus_lines(&data, corpus, EVENTS_MAX);
        let bytes: usize = lines.iter().map(String::len).sum();
        let payloads: Vec<Bytes> = lines.chunks(BATCH).map(|chunk| Bytes::from(chunk.join("\n"))).collect();
        let batches: Vec<EventBatch> = payloads.iter().map(|payload| decoded(corpus, payload)).collect();
        let count = lines.len() as f64;
        let (mut whole, mut alone, mut other, mut one_wall, mut two_wall, mut grown) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            whole.push(
                count
                    / settled(|| {
                        payloads.iter().map(|payload| found(&mut engine, &decoded(corpus, payload))).sum::<usize>()
                    })
                    .0,
            );
            let (cpu, wall) = settled(|| batches.iter().map(|batch| found(&mut engine, batch)).sum::<usize>());
            alone.push(count / cpu);
            one_wall.push(wall);
            two_wall.push(settled(|| batches.iter().map(|batch| found(&mut two, batch)).sum::<usize>()).1);
            grown.push(settled(|| batches.iter().map(|batch| found(&mut more, batch)).sum::<usize>()).0 / cpu);
            if *corpus != SYSLOG {
                other.push(count / settled(|| lines.iter().map(|line| oracle.found(line)).sum::<usize>()).0);
            }
        }
        let ours: usize = batches.iter().map(|batch| found(&mut engine, batch)).sum();
        let theirs = (*corpus != SYSLOG).then(|| lines.iter().map(|line| oracle.found(line)).sum::<usize>());
        let grown_to: usize = batches.iter().map(|batch| found(&mut more, batch)).sum();
        eprintln!("{corpus}: {ours} findings, {grown_to} with more rules, {theirs:?} of the other engine");
        let whole = median(whole);
        let (other, ratio) = match other.is_empty() {
            true => ("-".to_owned(), "-".to_owned()),
            false => {
                let other = median(other);
                (format!("{other:.0}"), format!("{:.1}", whole / other))
            }
        };
        println!(
            "| {corpus}, {} | {} | {whole:.0} | {:.0} | {other} | {ratio} | {:.2} | {:.2} |",
            lines.len(),
            bytes / lines.len().max(1),
            median(alone),
            median(one_wall) / median(two_wall),
            median(grown)
        );
    }
}

/// Our engine alone, over and over.
fn profile(data: &Path, rules: &[PathBuf], engine: &mut Engine, rounds: usize) {
    let wanted = std::env::args().nth(3).unwrap_or_default();
    if std::env::args().nth(4).is_some_and(|word| word == "two") {
        return profile_two(data, rules, engine, &wanted, rounds);
    }
    let whole = std::env::args().nth(4).is_none_or(|word| word == "whole");
    for corpus in CORPORA.iter().filter(|corpus| corpus.contains(&wanted)) {
        let lines = corpus_lines(data, corpus, EVENTS_MAX);
        let payloads: Vec<Bytes> = lines.chunks(BATCH).map(|chunk| Bytes::from(chunk.join("\n"))).collect();
        let batches: Vec<EventBatch> = payloads.iter().map(|payload| decoded(corpus, payload)).collect();
        let mut once = || match whole {
            true => payloads.iter().map(|payload| found(engine, &decoded(corpus, payload))).sum::<usize>(),
            false => batches.iter().map(|batch| found(engine, batch)).sum(),
        };
        let mut rates: Vec<f64> = (0..rounds).map(|_| lines.len() as f64 / timed(&mut once).0).collect();
        rates.sort_by(f64::total_cmp);
        let [slowest, middle, fastest] = [0, rates.len() / 2, rates.len() - 1].map(|at| rates[at]);
        println!("{corpus}: {slowest:.0} to {fastest:.0} events/CPU-s, median {middle:.0}");
    }
}

/// One thread and two, in turns.
fn profile_two(data: &Path, rules: &[PathBuf], one: &mut Engine, wanted: &str, rounds: usize) {
    let mut two = Engine::new(load_paths(rules), EngineConfig { threads: 2, ..EngineConfig::default() });
    for corpus in CORPORA.iter().filter(|corpus| corpus.contains(wanted)) {
        let lines = corpus_lines(data, corpus, EVENTS_MAX);
        let batches: Vec<EventBatch> =
            lines.chunks(BATCH).map(|chunk| decoded(corpus, &Bytes::from(chunk.join("\n")))).collect();
        let mut ratios: Vec<f64> = (0..rounds)
            .map(|_| {
                let [one, two] = [&mut *one, &mut two].map(|engine| {
                    batches.iter().map(|batch| found(engine, batch)).sum::<usize>();
                    timed(|| batches.iter().map(|batch| found(engine, batch)).sum::<usize>()).1
                });
                one / two
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        println!("{corpus}: {:.2} to {:.2} times, median {:.2}", ratios[0], ratios[rounds - 1], ratios[rounds / 2]);
    }
}

fn corpus_lines(data: &Path, corpus: &str, count: usize) -> Vec<String> {
    match corpus {
        SYSLOG => short::syslog(count),
        FLOWS => short::flows(count),
        file => lines(&data.join("corpus").join(file)).take(count).collect(),
    }
}

fn decoded(corpus: &str, payload: &Bytes) -> EventBatch {
    let (door, framing) = match corpus {
        SYSLOG => (Door::SyslogTcp, Framing::Lines),
        _ => (Door::Import, Framing::NdJson),
    };
    let envelope = Envelope::new(door, Timestamp::from_secs(1_700_000_000), framing, payload.clone());
    decode(&envelope, Position::new(1), 1, &DecodeSettings::default())
}

fn found(engine: &mut Engine, batch: &EventBatch) -> usize {
    let mut out = Vec::new();
    engine.evaluate(batch, &mut out);
    out.len()
}

/// The rules and as many more as [`MORE_RULES`] says: copies with texts and numbers that no event has.
fn with_more(set: &RuleSet) -> RuleSet {
    use canh_detection::{Detection, Literal, RuleKind};
    fn change(detection: &mut Detection, number: usize) {
        match detection {
            Detection::All(parts) | Detection::Any(parts) => parts.iter_mut().for_each(|part| change(part, number)),
            Detection::Item(item) => {
                for value in &mut item.values {
                    match value {
                        Literal::Text(text) => text.push_str(&format!("zq{number}")),
                        Literal::Integer(value) => *value += 1_000_000 + number as i64,
                        _ => (),
                    }
                }
            }
        }
    }
    let mut more = set.clone();
    let originals: Vec<_> = set.rules.iter().filter(|rule| matches!(rule.kind, RuleKind::Event(_))).collect();
    for number in 0..MORE_RULES {
        let mut rule = originals[number % originals.len()].clone();
        std::sync::Arc::make_mut(&mut rule.info).id = RuleId::new(format!("copy-{number}"));
        if let RuleKind::Event(event_rule) = &mut rule.kind {
            event_rule.selections.iter_mut().for_each(|selection| change(&mut selection.detection, number));
        }
        more.rules.push(rule);
    }
    more
}

/// The other engine, with its routing by log source.
struct Oracle(rsigma_eval::Engine);

impl Oracle {
    fn new(dirs: &[PathBuf]) -> Self {
        let mut rules = Vec::new();
        let mut waiting = dirs.to_vec();
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            } else if let Ok(text) = fs::read_to_string(&path)
                && let Ok(collection) = rsigma_parser::parse_sigma_yaml(&text)
            {
                rules.extend(collection.rules);
            }
        }
        let mut engine = rsigma_eval::Engine::new();
        // All at once, because its index is made anew after each call. What it refuses is left out.
        let _ = engine.add_rules(&rules);
        Self(engine)
    }

    fn found(&self, line: &str) -> usize {
        let json: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let category = json["_category"].get(0).and_then(|name| name.as_str()).map(str::to_owned);
        let source = rsigma_parser::LogSource {
            product: text("_product"),
            service: text("_service"),
            category,
            ..rsigma_parser::LogSource::default()
        };
        self.0.evaluate_with_logsource(&rsigma_eval::event::JsonEvent::borrow(&json), &source).len()
    }
}

/// CPU-seconds of the process and seconds on the wall.
fn timed(work: impl FnOnce() -> usize) -> (f64, f64) {
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    std::hint::black_box(work());
    (cpu_seconds() - cpu, wall.elapsed().as_secs_f64())
}

/// The second of two runs in a row. In a server nobody else takes an engine's place in the caches between two batches, as
/// the five others do here.
fn settled(mut work: impl FnMut() -> usize) -> (f64, f64) {
    std::hint::black_box(work());
    timed(work)
}

/// CPU time of the main thread, to the nanosecond.
fn cpu_seconds() -> f64 {
    let schedstat = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    schedstat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0) / 1e9
}

fn resident_mib() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4 / 1024
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn lines(path: &Path) -> Box<dyn Iterator<Item = String>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("cannot open `{}`: {error}", path.display()));
    let plain: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(zstd::stream::read::Decoder::new(file).expect("the file is zstd"))
    };
    Box::new(BufReader::new(plain).lines().map(|line| line.expect("the file is UTF-8 lines")))
}

/// The four directories of active public rules, unpacked with the system's tar.
fn unpacked(data: &Path) -> Vec<PathBuf> {
    let out = std::env::temp_dir().join("canh-bench-sigmahq");
    if !out.is_dir() {
        fs::create_dir_all(&out).expect("the temporary directory is writable");
        let archive = data.join("sigma/sigmahq-8eaafff1.tar.zst");
        let done = std::process::Command::new("tar").arg("--zstd").arg("-xf").arg(archive).arg("-C").arg(&out).status();
        assert!(done.is_ok_and(|status| status.success()), "tar with zstd unpacks the rules");
    }
    let folders = ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-compliance"];
    folders.iter().map(|folder| out.join(folder)).collect()
}
