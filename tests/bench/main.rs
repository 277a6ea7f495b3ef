//! `./dev bench`: what this machine does, and what a well-known peer does with the same input in the same run.
//!
//! Prints one Markdown table. Figures are medians of the rounds; nothing is asserted, because machines differ.

mod load;
mod peer;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use canh_tests::{Server, ServerOptions, cpu_seconds, memory, wait_until, workspace};

use crate::load::Load;
use crate::table::{Row, Table};

/// Events of one round, unless `--events N` says otherwise.
const EVENTS: usize = 300_000;
const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let mut events = EVENTS;
    let mut rounds = ROUNDS;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || -> anyhow::Result<usize> { Ok(arguments.next().context("a number is missing")?.parse()?) };
        match argument.as_str() {
            "--events" => events = number()?,
            "--rounds" => rounds = number()?,
            other => anyhow::bail!("unknown argument `{other}`; known are --events N and --rounds N"),
        }
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
        if let Some(rsyslog) = peer::rsyslog(&load)? {
            table.add(&rsyslog);
        }
    }
    print!("{}", table.markdown());
    Ok(())
}

/// One round on a fresh server with the shipped rules.
fn canh(load: &Load) -> anyhow::Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let rules: Vec<PathBuf> = vec![workspace().join("rules")];
    let server = Server::start(dir.path(), &ServerOptions { rules, ..ServerOptions::default() })?;
    let (api, id) = (server.api()?, server.process.id());
    let idle = memory(id)?;
    let cpu_before = cpu_seconds(id)?;
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

    let stats = api.get("/api/v1/overview", &[])?;
    let stored = stats["store"]["bytes"].as_f64().unwrap_or_default();
    let journal = api.metric("canh_journal_bytes")?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Row::new("syslog TCP to fsynced journal", "events/s", count / acked.as_secs_f64()),
        Row::new(
            "the same, per CPU-second of the server (everything else running beside it)",
            "events/s",
            count / cpu_acked,
        ),
        Row::new("syslog TCP to looked at by the rules", "events/s", count / detected.as_secs_f64()),
        Row::new("syslog TCP to searchable", "events/s", count / searchable.as_secs_f64()),
        Row::new("the same, per CPU-second of the server", "events/s", count / cpu_all),
        Row::new("planted attack to alert in the API, idle server", "ms", finding.as_secs_f64() * 1_000.0),
        Row::new("one message to searchable, idle server", "ms", searchable_one.as_secs_f64() * 1_000.0),
        Row::new("anonymous memory, idle", "MiB", mib(idle.anonymous)),
        Row::new("anonymous memory, peak under load", "MiB", mib(peak.anonymous)),
        Row::new("event store on disk", "B/event", stored / count),
        Row::new("journal on disk", "B/event", journal / count),
        Row::new("the messages themselves", "B/event", load.bytes.len() as f64 / count),
    ])
}
