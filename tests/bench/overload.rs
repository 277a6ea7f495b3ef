//! `--overload`: ten times what the store takes, from every kind of sender at once, and what becomes of each of them.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use canh_tests::{Api, Server, ServerOptions, memory, wait_until, workspace};

use crate::load::{self, Load};
use crate::table::{Row, Table};

/// How long everybody sends.
const SECONDS: u64 = 30;
/// What the journal may hold: a fraction of what comes, so that it fills up and senders have to wait.
const JOURNAL: &str = "256 MiB";
/// Events of one request over HTTP.
const PER_REQUEST: u64 = 500;
/// Datagrams a second: together with the others ten times what the store takes, and more than fits into the buffer.
const DATAGRAMS_PER_SECOND: u64 = 200_000;

/// What the senders counted.
#[derive(Default)]
struct Sent {
    stream: AtomicU64,
    datagrams: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let marker = dir.path().join("marker.yml");
    std::fs::write(&marker, load::MARKER_RULE)?;
    let config = format!("[journal]\nbytes_max = \"{JOURNAL}\"\n");
    let rules = vec![workspace().join("rules"), marker];
    let server = Server::start(dir.path(), &ServerOptions { rules, config, ..ServerOptions::default() })?;
    let (api, id) = (server.api()?, server.process.id());
    let agent_log = dir.path().join("agent-lines.log");
    std::fs::write(&agent_log, "")?;
    let inputs = format!("[[input.file]]\npath = [{:?}]\nstart = \"beginning\"\n", agent_log.display().to_string());
    let agent_config = server.agent_config("overload", &inputs)?;
    let agent = server.agent(&agent_config, &[])?;

    let sent = Sent::default();
    let (mut peak, mut slowest) = (0, Duration::ZERO);
    let mut written = 0_u64;
    std::thread::scope(|scope| -> anyhow::Result<()> {
        for _ in 0..2 {
            scope.spawn(|| stream(server.ports.syslog_tcp, &sent));
        }
        scope.spawn(|| datagrams(server.ports.syslog_udp, &sent));
        scope.spawn(|| requests(&server, &sent));
        let begin = Instant::now();
        let mut log = std::fs::OpenOptions::new().append(true).open(&agent_log)?;
        let outcome = (|| {
            while begin.elapsed() < Duration::from_secs(SECONDS) {
                // A host's log, and in it each second something that a rule finds.
                let mut lines = String::new();
                for _ in 0..2_000 {
                    lines.push_str(&format!("canhagent {written} ordinary work of an ordinary program\n"));
                    written += 1;
                }
                log.write_all(lines.as_bytes())?;
                peak = peak.max(memory(id)?.anonymous);
                let asked = Instant::now();
                anyhow::ensure!(api.request("/healthz", &[])?.0 == 200, "the server is not healthy under load");
                slowest = slowest.max(asked.elapsed());
                std::thread::sleep(Duration::from_millis(500));
            }
            Ok(())
        })();
        sent.stop.store(true, Ordering::Relaxed);
        outcome
    })?;
    let stopped = Instant::now();
    let findings = api.metric("canh_detection_findings_total")?;
    let journaled = |door: &str| api.metric(&format!("canh_door_records_total{{door=\"{door}\"}}"));
    let everything = || -> anyhow::Result<f64> { total(&api, "canh_door_records_total{") };
    wait_until("everything to be stored", Duration::from_secs(900), || {
        Ok(api.metric("canh_ledger_waiting_events{stage=\"store\"}")? == 0.0 && api.count("canhagent")? == written)
    })?;
    let recovered = stopped.elapsed();
    load::plant(server.ports.syslog_tcp)?;
    let planted = Instant::now();
    wait_until("an attack after the flood to be an alert", Duration::from_secs(60), || {
        let alerts = api.alerts()?;
        Ok(alerts.iter().any(|alert| alert["title"].as_str().is_some_and(|title| title.contains("SSH Brute Force"))))
    })?;
    let alert = planted.elapsed();
    drop(agent);

    let whole = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
    let acknowledged = whole(&sent.acknowledged);
    let datagrams = whole(&sent.datagrams);
    let stored = api.count("canhacked")? as f64;
    let dropped = dropped_of(&api, "syslog_udp")?;
    let mut table = Table::default();
    table.add(&[
        Row::new("offered over HTTP and acknowledged", "events", acknowledged),
        Row::new("of these not stored, or stored twice", "events", (acknowledged - stored).abs()),
        Row::new("refused over HTTP with 429 or 503, to be sent again", "events", whole(&sent.refused)),
        Row::new("taken from two syslog TCP senders that never wait", "events", journaled("syslog_tcp")?),
        Row::new("sent as UDP datagrams", "events", datagrams),
        Row::new("of these taken", "events", journaled("syslog_udp")?),
        Row::new("of these dropped and counted, whatever the reason", "events", dropped),
        Row::new("written to a log that an agent reads", "events", written as f64),
        Row::new("taken altogether, per second", "events/s", everything()? / SECONDS as f64),
        Row::new("findings raised meanwhile", "findings", findings),
        Row::new("slowest answer of the API's health check", "ms", slowest.as_secs_f64() * 1_000.0),
        Row::new("anonymous memory, peak", "MiB", peak as f64 / f64::from(1 << 20)),
        Row::new("from the last sender's end until all is stored", "s", recovered.as_secs_f64()),
        Row::new("planted attack to alert afterwards", "ms", alert.as_secs_f64() * 1_000.0),
    ]);
    print!("{}", table.markdown());
    Ok(())
}

/// The sum of a metric over its labels.
fn total(api: &Api, prefix: &str) -> anyhow::Result<f64> {
    let (_, text) = api.request("/metrics", &[])?;
    let lines = text.lines().filter(|line| line.starts_with(prefix));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// What a door dropped, by the kernel's count and its own.
fn dropped_of(api: &Api, door: &str) -> anyhow::Result<f64> {
    let (_, text) = api.request("/metrics", &[])?;
    let stage = format!("stage=\"{door}\"");
    let lines = text.lines().filter(|line| line.starts_with("canh_dropped_total{") && line.contains(&stage));
    let counts: Vec<(&str, f64)> = lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, count)| Some((name, count.parse().ok()?)))
        .collect();
    eprintln!("dropped: {counts:?}");
    Ok(counts.iter().map(|(_, count)| count).sum())
}

/// Syslog over TCP: the sender is slowed by what the socket takes.
fn stream(port: u16, sent: &Sent) -> anyhow::Result<()> {
    let load = Load::syslog(20_000);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("cannot connect")?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    while !sent.stop.load(Ordering::Relaxed) {
        let mut rest = load.bytes.as_slice();
        while !rest.is_empty() && !sent.stop.load(Ordering::Relaxed) {
            match stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                // It is slowed, as it should be.
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                }
                Err(error) => return Err(error).context("the connection was closed"),
            }
        }
        if rest.is_empty() {
            sent.stream.fetch_add(load.count as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn datagrams(port: u16, sent: &Sent) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port))?;
    let begin = Instant::now();
    let mut count = 0_u64;
    while !sent.stop.load(Ordering::Relaxed) {
        let due = (begin.elapsed().as_secs_f64() * DATAGRAMS_PER_SECOND as f64) as u64;
        while count < due {
            let line = format!("<38>1 2026-11-22T09:02:00+07:00 may03 ungdung 80 - - canhdatagram {count}");
            if socket.send(line.as_bytes()).is_ok() {
                count += 1;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    sent.datagrams.store(count, Ordering::Relaxed);
    Ok(())
}

/// JSON lines over HTTP: what is answered with 200 is acknowledged; what is refused is sent again.
fn requests(server: &Server, sent: &Sent) -> anyhow::Result<()> {
    let (api, token) = (server.api()?, server.ingest_token()?);
    let mut number = 0_u64;
    while !sent.stop.load(Ordering::Relaxed) {
        let mut body = String::new();
        for place in 0..PER_REQUEST {
            let word = if place == 0 { "canhmarker" } else { "ordinary" };
            body.push_str(&format!("{{\"message\":\"canhacked n{} {word}\"}}\n", number + place));
        }
        let (status, _) = api.post(&server.ndjson_url(), &token, "application/x-ndjson", body.as_bytes())?;
        if status == 200 {
            number += PER_REQUEST;
            sent.acknowledged.fetch_add(PER_REQUEST, Ordering::Relaxed);
        } else {
            sent.refused.fetch_add(PER_REQUEST, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}
