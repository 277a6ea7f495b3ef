//! `./dev bench`: what this machine does, and what a well-known peer does with the same input in the same run.
//!
//! Prints one Markdown table. With `--crash KILLS` it measures what is lost instead of how fast it goes, with `--overload` what
//! becomes of ten times as much as the store takes.
//! Figures are medians of the rounds; nothing is asserted, because machines differ.

mod crash;
mod load;
mod overload;
mod peer;
mod table;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use canh_tests::{Api, Server, ServerOptions, cpu_seconds, memory, thread_seconds, wait_until, workspace};

use crate::load::Load;
use crate::table::{Row, Table};

/// Events of one round, unless `--events N` says otherwise.
const EVENTS: usize = 300_000;
const ROUNDS: usize = 3;
/// Threads of the server that receive and journal: those of the runtime, and the journal's.
const RECEIVING: [&str; 2] = ["canh", "canh-journal"];

fn main() -> anyhow::Result<()> {
    let mut events = EVENTS;
    let mut rounds = ROUNDS;
    let (mut kills, mut only) = (None, String::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> anyhow::Result<usize> { Ok(arguments.next().context("a number is missing")?.parse()?) };
        match argument.as_str() {
            "--events" => events = number()?,
            "--rounds" => rounds = number()?,
            "--crash" => kills = Some(u32::try_from(number()?)?),
            "--overload" => return overload::run(),
            "--only" => only = arguments.next().context("a part of a name is missing")?,
            other => anyhow::bail!(
                "unknown argument `{other}`; known are --events N, --rounds N, --overload, --crash KILLS and, with that, --only RECEIVER"
            ),
        }
    }
    if let Some(kills) = kills {
        return crash::run(kills, &only);
    }
    let load = Load::syslog(events);
    eprintln!(
        "{events} syslog messages (RFC 5424 over TCP, octet-counted), {} B on average, {rounds} rounds",
        load.bytes.len() / events
    );

    let mut table = Table::default();
    for round in 1..=rounds {
        eprintln!("round {round}");
        let ours = canh(&load)?;
        table.add(&ours);
        for peer in &peer::PEERS {
            if let Some(rows) = peer::run(peer, &load)? {
                table.add(&rows);
            }
        }
    }
    print!("{}", table.markdown());
    Ok(())
}

/// One round on a fresh server with the shipped rules.
fn canh(load: &Load) -> anyhow::Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let marker = dir.path().join("marker.yml");
    std::fs::write(&marker, load::MARKER_RULE)?;
    let rules: Vec<PathBuf> = vec![workspace().join("rules"), marker];
    let server = Server::start(dir.path(), &ServerOptions { rules, ..ServerOptions::default() })?;
    let (api, id) = (server.api()?, server.process.id());
    let idle = memory(id)?;
    let cpu_before = cpu_seconds(id)?;
    let receiving_before = thread_seconds(id, &RECEIVING)?;
    let count = load.count as f64;

    let begin = Instant::now();
    load.send(server.ports.syslog_tcp)?;
    let mut peak = idle;
    let mut until = |what: &str, metric: &str, least: f64| -> anyhow::Result<Duration> {
        wait_until(what, Duration::from_secs(120), || {
            let now = memory(id)?;
            if now.anonymous > peak.anonymous {
                peak = now;
            }
            Ok(api.metric(metric)? >= least)
        })?;
        Ok(begin.elapsed())
    };
    let acked = until("everything to be journaled", "canh_door_records_total{door=\"syslog_tcp\"}", count)?;
    let cpu_acked = cpu_seconds(id)? - cpu_before;
    let receiving = thread_seconds(id, &RECEIVING)? - receiving_before;
    let detected = until("everything to be looked at", "canh_detection_events_total", count)?;
    let mut searchable = Duration::ZERO;
    wait_until("everything to be searchable", Duration::from_secs(120), || {
        searchable = begin.elapsed();
        Ok(api.count("canhbench")? >= load.count as u64)
    })?;
    let cpu_all = cpu_seconds(id)? - cpu_before;

    let planted = Instant::now();
    load::plant(server.ports.syslog_tcp)?;
    wait_until("the planted attack to be an alert", Duration::from_secs(60), || Ok(!api.alerts()?.is_empty()))?;
    let finding = planted.elapsed();

    let one = Instant::now();
    load::one(server.ports.syslog_tcp, "canhone")?;
    wait_until("one message to be searchable", Duration::from_secs(60), || Ok(api.count("canhone")? == 1))?;
    let searchable_one = one.elapsed();

    let paced = Paced::measure(&server, load, count / searchable.as_secs_f64() / 2.0)?;

    let stats = api.get("/api/v1/overview", &[])?;
    // Those of the pace are stored as well.
    let stored =
        stats["store"]["bytes"].as_f64().unwrap_or_default() / stats["store"]["events"].as_f64().unwrap_or(1.0);
    let taken = api.metric("canh_door_records_total{door=\"syslog_tcp\"}")?;
    let journal = api.metric("canh_journal_bytes")? / taken;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Row::new("syslog TCP to fsynced journal", "events/s", count / acked.as_secs_f64()),
        Row::new(
            "the same, per CPU-second of the server (everything else running beside it)",
            "events/s",
            count / cpu_acked,
        ),
        Row::new("the same, per CPU-second of the threads that receive and journal", "events/s", count / receiving),
        Row::new("syslog TCP to looked at by the rules", "events/s", count / detected.as_secs_f64()),
        Row::new("syslog TCP to searchable", "events/s", count / searchable.as_secs_f64()),
        Row::new("the same, per CPU-second of the server", "events/s", count / cpu_all),
        Row::new("planted attack to alert in the API, idle server", "ms", finding.as_secs_f64() * 1_000.0),
        Row::new("one message to searchable, idle server", "ms", searchable_one.as_secs_f64() * 1_000.0),
        Row::new("JSON line over HTTP to its ack, half load, median", "ms", paced.ack_median * 1_000.0),
        Row::new("JSON line over HTTP to its ack, half load, p99", "ms", paced.ack_p99 * 1_000.0),
        Row::new("receipt to stored finding, half load, median", "ms", paced.median * 1_000.0),
        Row::new("receipt to stored finding, half load, p99", "ms", paced.p99 * 1_000.0),
        Row::new("anonymous memory, idle", "MiB", mib(idle.anonymous)),
        Row::new("anonymous memory, peak under load", "MiB", mib(peak.anonymous)),
        Row::new("event store on disk", "B/event", stored),
        Row::new("journal on disk", "B/event", journal),
        Row::new("the messages themselves", "B/event", load.bytes.len() as f64 / count),
    ])
}

/// From receipt to the finding on disk, while messages come at half the rate at which all of them become searchable.
struct Paced {
    /// Seconds.
    median: f64,
    p99: f64,
    /// From the sending of one JSON line over HTTP to the answer that it is on disk.
    ack_median: f64,
    ack_p99: f64,
}

impl Paced {
    const SECONDS: u32 = 10;

    fn measure(server: &Server, load: &Load, per_second: f64) -> anyhow::Result<Self> {
        let api = server.api()?;
        let (before, findings) = (buckets(&api)?, api.metric("canh_detection_findings_total")?);
        let stop = AtomicBool::new(false);
        let (markers, mut acks) = std::thread::scope(|scope| {
            let asking = scope.spawn(|| acks(server, &stop));
            let markers = load.send_paced(server.ports.syslog_tcp, per_second, Self::SECONDS);
            stop.store(true, Ordering::Relaxed);
            let acks = asking.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
            anyhow::Ok((markers?, acks?))
        })?;
        acks.sort_by(f64::total_cmp);
        let at = |share: f64| acks.get((acks.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
        wait_until("the markers to be found", Duration::from_secs(60), || {
            Ok(api.metric("canh_detection_findings_total")? >= findings + f64::from(markers))
        })?;
        let counts: Vec<(f64, f64)> = buckets(&api)?
            .into_iter()
            .zip(before)
            .map(|((limit, after), (_, before))| (limit, after - before))
            .collect();
        Ok(Self {
            median: quantile(&counts, 0.5),
            p99: quantile(&counts, 0.99),
            ack_median: at(0.5),
            ack_p99: at(0.99),
        })
    }
}

/// One JSON line after the other over one connection, a hundred a second at most; how long each waited for its answer, in
/// seconds.
fn acks(server: &Server, stop: &AtomicBool) -> anyhow::Result<Vec<f64>> {
    let (api, url, token) = (server.api()?, server.ndjson_url(), server.ingest_token()?);
    let mut waited = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let (status, answer) = api.post(&url, &token, "application/x-ndjson", b"{\"message\":\"canhack\"}\n")?;
        anyhow::ensure!((200..300).contains(&status), "the line was answered {status}: {answer}");
        waited.push(begin.elapsed().as_secs_f64());
        std::thread::sleep(Duration::from_millis(10).saturating_sub(begin.elapsed()));
    }
    Ok(waited)
}

/// Upper limits of the histogram of findings, in seconds, and how many were at most that late.
fn buckets(api: &Api) -> anyhow::Result<Vec<(f64, f64)>> {
    let (_, body) = api.request("/metrics", &[])?;
    let bucket = |line: &str| {
        let (limit, count) = line.strip_prefix("canh_finding_latency_seconds_bucket{le=\"")?.split_once("\"} ")?;
        Some((limit.parse().ok()?, count.parse().ok()?))
    };
    Ok(body.lines().filter_map(bucket).collect())
}

/// Between the limits of a bucket in proportion, as Prometheus does it.
fn quantile(buckets: &[(f64, f64)], wanted: f64) -> f64 {
    let total = buckets.last().map_or(0.0, |(_, count)| *count);
    let rank = wanted * total;
    let (mut low, mut below) = (0.0, 0.0);
    for (limit, count) in buckets {
        if *count >= rank {
            let share = if *count > below { (rank - below) / (count - below) } else { 1.0 };
            return if limit.is_finite() { low + (limit - low) * share } else { low };
        }
        (low, below) = (*limit, *count);
    }
    low
}
