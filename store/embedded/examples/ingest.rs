//! Measures the store with real events: how fast they go in, what they take on disk and in memory, how fast they are
//! found again.
//!
//! `cargo run --release -p canh-store-embedded --example ingest -- <shared data> <empty directory> <events>`
//!
//! The events of the corpora are taken in turn with new ids and times until there are enough, so values repeat more than
//! they would in life, and what is said of the size on disk is a lower bound.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use canh_schema::{
    BatchId, Event, EventBatch, EventId, FieldId, LogSource, Position, TimeRange, Timestamp, Value, field,
};
use canh_store::{EventStore, FieldRef, Filter, HistogramRequest, Hunt, Limit, SearchRequest, TopValuesRequest};
use canh_store_embedded::{EmbeddedConfig, EmbeddedStore};
use compact_str::CompactString;
use prometheus::Registry;
use serde_json::Value as Json;

/// Events of the corpora that are kept in memory.
const CORPUS: usize = 60_000;
const BATCH: usize = 500;

const FILES: [&str; 3] = ["otrf-balanced.jsonl.zst", "zeek.jsonl.gz", "evtx-flat.jsonl.gz"];

/// Native name to catalogue field, enough to have columns of each kind.
const MAPPING: [(&str, FieldId); 21] = [
    ("EventID", field::EVENT_CODE),
    ("Computer", field::HOST_NAME),
    ("Provider_Name", field::EVENT_PROVIDER),
    ("Image", field::PROCESS_EXECUTABLE),
    ("CommandLine", field::PROCESS_COMMAND_LINE),
    ("ParentImage", field::PROCESS_PARENT_EXECUTABLE),
    ("User", field::USER_NAME),
    ("TargetUserName", field::USER_TARGET_NAME),
    ("TargetFilename", field::FILE_PATH),
    ("TargetObject", field::REGISTRY_PATH),
    ("ProcessId", field::PROCESS_PID),
    ("id.orig_h", field::SOURCE_IP),
    ("id.orig_p", field::SOURCE_PORT),
    ("id.resp_h", field::DESTINATION_IP),
    ("id.resp_p", field::DESTINATION_PORT),
    ("proto", field::NETWORK_TRANSPORT),
    ("service", field::NETWORK_PROTOCOL),
    ("orig_bytes", field::SOURCE_BYTES),
    ("query", field::DNS_QUESTION_NAME),
    ("uri", field::URL_ORIGINAL),
    ("user_agent", field::USER_AGENT),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(data), Some(path), Some(count)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: ingest <shared data> <empty directory> <events>".into());
    };
    let count: usize = count.parse()?;
    let corpus = corpus(Path::new(&data))?;
    let raw: usize = corpus.iter().map(|event| event.raw.len()).sum();
    println!("corpus: {} events, {} bytes of raw JSON each", corpus.len(), raw / corpus.len().max(1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    runtime.block_on(run(corpus, PathBuf::from(path), count))
}

async fn run(corpus: Vec<Event>, path: PathBuf, count: usize) -> Result<(), Box<dyn Error>> {
    let store = EmbeddedStore::open(EmbeddedConfig::new(&path), &Registry::new())?;
    let base = Timestamp::now().saturating_sub(Duration::from_secs(3_600 * 20));
    let memory_before = anonymous_memory();
    let (begin, cpu_begin) = (Instant::now(), cpu_seconds());
    let mut committed = Instant::now();
    let mut raw_bytes = 0_u64;
    let mut memory_max = 0;
    let mut slowest = Duration::ZERO;
    for n in 0..count.div_ceil(BATCH) {
        let position = n as u64 + 1;
        let batch = BatchId::from_journal(1, position);
        let events = (0..BATCH).map(|m| {
            let mut event = corpus[(n * BATCH + m) % corpus.len()].clone();
            event.id = EventId::new(batch, m as u32);
            event.time = base + Duration::from_millis((n * BATCH + m) as u64 * 3);
            event.received = event.time + Duration::from_millis(700);
            raw_bytes += event.raw.len() as u64;
            event
        });
        let batch = EventBatch::new(Position::new(position), events.collect());
        store.append(Arc::new(batch)).await?;
        if committed.elapsed() >= Duration::from_secs(1) {
            memory_max = memory_max.max(anonymous_memory());
            let commit = Instant::now();
            store.commit().await?;
            slowest = slowest.max(commit.elapsed());
            committed = Instant::now();
        }
    }
    store.commit().await?;
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds() - cpu_begin);
    let events = store.stats().await?.events as f64;
    println!(
        "in: {events} events in {wall:.1} s: {:.0} events/s, {:.1} MB/s of raw",
        events / wall,
        raw_bytes as f64 / wall / 1e6
    );
    println!(
        "cpu: {cpu:.1} s: {:.0} events and {:.1} MB per second of one core",
        events / cpu,
        raw_bytes as f64 / cpu / 1e6
    );
    println!("slowest commit: {} ms", slowest.as_millis());
    println!("memory: {} MiB above the corpus at most", memory_max.saturating_sub(memory_before) / 1_024);
    ask(&store, TimeRange { start: base, end: Timestamp::MAX }).await?;
    drop(store);
    let opening = Instant::now();
    let store = EmbeddedStore::open(EmbeddedConfig::new(&path), &Registry::new())?;
    println!("opened again in {} ms", opening.elapsed().as_millis());
    let stats = store.stats().await?;
    println!(
        "disk: {:.0} bytes per event, {:.2} times smaller than raw",
        stats.bytes as f64 / events,
        raw_bytes as f64 / stats.bytes as f64
    );
    Ok(())
}

async fn ask(store: &EmbeddedStore, range: TimeRange) -> Result<(), Box<dyn Error>> {
    let filter = |text: &str| Ok::<_, Box<dyn Error>>(Filter::new(Hunt::parse(text)?, range));
    for text in [
        "*",
        "source.ip:10.47.8.208",
        "user.name:*admin*",
        "powershell encodedcommand",
        "\"http get\"",
        "destination.port:[20 TO 25]",
        "message:nothing",
        "/mimi(katz|drv)/",
        "process.command_line:*-enc*",
    ] {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..5 {
            let begin = Instant::now();
            let request = SearchRequest { filter: filter(text)?, limit: Limit::new(100)?, before: None };
            found = store.search(request).await?.events.len();
            times.push(begin.elapsed());
        }
        times.sort();
        println!(
            "search {text}: {found} events, {:.1} ms (first {:.1} ms)",
            times[2].as_secs_f64() * 1e3,
            times[4].as_secs_f64() * 1e3
        );
    }
    let now = TimeRange { end: range.start + Duration::from_secs(86_400), ..range };
    for text in ["*", "powershell", "event.code:4624"] {
        let begin = Instant::now();
        let width = HistogramRequest::round_width(now, 100);
        let histogram =
            store.histogram(HistogramRequest { filter: Filter { range: now, ..filter(text)? }, width }).await?;
        println!("histogram {text}: {} events, {:.1} ms", histogram.total, begin.elapsed().as_secs_f64() * 1e3);
    }
    for name in ["event.code", "process.executable", "process.command_line", "source.port"] {
        let begin = Instant::now();
        let request = TopValuesRequest { filter: filter("*")?, field: FieldRef::named(name), limit: Limit::new(10)? };
        let top = store.top_values(request).await?;
        println!(
            "top {name}: {} of {} events, {:?}, {:.1} ms",
            top.with_field,
            top.total,
            top.outcome,
            begin.elapsed().as_secs_f64() * 1e3
        );
    }
    Ok(())
}

fn corpus(data: &Path) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut lines = Vec::new();
    for name in FILES {
        let path = data.join("detection/corpus").join(name);
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let reader: Box<dyn Read> = match name.ends_with("zst") {
            true => Box::new(zstd::stream::read::Decoder::new(file)?),
            false => Box::new(flate2::read::GzDecoder::new(file)),
        };
        let every = if name.ends_with("zst") { 3 } else { 2 };
        for line in BufReader::new(reader).lines().step_by(every).take(CORPUS / FILES.len() * every) {
            lines.push(line?);
        }
    }
    lines.iter().map(|line| event(line)).collect()
}

fn event(line: &str) -> Result<Event, Box<dyn Error>> {
    let json: Json = serde_json::from_str(line)?;
    let mut event = Event::new(EventId::from_bytes([0; 16]), Timestamp::from_nanos(0), line.as_bytes().to_vec().into());
    let mut logsource = LogSource::default();
    if let Some(product) = json.get("_product").and_then(Json::as_str) {
        logsource = LogSource::product(product);
    }
    if let Some(service) = json.get("_service").and_then(Json::as_str) {
        logsource = logsource.with_service(service);
    }
    event.logsource = logsource;
    flatten(&json, &mut CompactString::default(), &mut event);
    for (native, mapped) in MAPPING {
        if let Some(value) = event.attr(native).cloned() {
            event.set(mapped, value);
        }
    }
    Ok(event)
}

fn flatten(json: &Json, name: &mut CompactString, event: &mut Event) {
    let value = match json {
        Json::Object(members) => {
            for (key, member) in members.iter().filter(|(key, _)| !key.starts_with('_')) {
                let mut inner = if name.is_empty() { key.into() } else { CompactString::from(format!("{name}.{key}")) };
                flatten(member, &mut inner, event);
            }
            return;
        }
        Json::Array(members) => Value::List(members.iter().map(|member| Value::text(member.to_string())).collect()),
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => {
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(0.0)), Value::Integer)
        }
        Json::String(text) => Value::text(text.as_str()),
    };
    event.attrs.push((name.clone(), value));
}

/// Seconds of processor time of this program so far. Source: proc(5), `/proc/pid/stat`, fields 14 and 15.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory that is not of files, in KiB. Source: proc(5), `/proc/pid/status`.
fn anonymous_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok()).unwrap_or(0)
}
