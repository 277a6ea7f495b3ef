//! `canh demo`: writes the demo scenario and sends it through the doors that real devices would use, then waits until
//! the server has stored it and says what was found.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use canh_datasets::{Door, File, Manifest, Options, generate};
use canh_messages::Key;
use canh_schema::{Level, Timestamp};
use canh_store::state::DemoRun;
use serde_json::Value;

use crate::cli::DemoArgs;
use crate::client::Client;
use crate::doors::Doors;
use crate::terminal::{colours, safe, say};

/// File that says that everything has been sent and stored, and when: two times, each on a line.
const PLAYED: &str = "played";
/// Datagrams sent without a pause. A UDP sender is not slowed down by a receiver, so it must not outrun its buffer.
const UDP_BURST: usize = 100;
/// How long the server may take to store everything.
const STORED_WITHIN: Duration = Duration::from_secs(120);

pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let data = &args.data.data;
    let client = Client::of(data)?;
    let doors = Doors::load(data)?;
    let dir = data.join("demo");
    let played = dir.join(PLAYED);
    if played.exists() {
        // A second time would double the counts, which is what nobody wants to explain.
        eprintln!(
            "the demo has been played into this data directory before; `./dev clean` or another --data begins anew"
        );
        return summary(&client);
    }
    if dir.exists() {
        eprintln!("{}", say(Key::DemoBroken, &[]));
        fs::remove_dir_all(&dir).with_context(|| format!("cannot remove `{}`", dir.display()))?;
    }
    let (begin, from) = (Instant::now(), Timestamp::now());
    let manifest = generate(&Options::new(args.seed, Timestamp::now()), &dir)?;
    let lines: u64 =
        manifest.files.iter().filter(|file| file.door != Door::AgentCapture).map(|file| file.records).sum();
    let (lines_text, packets) = (lines.to_string(), manifest.records(Door::AgentCapture).to_string());
    eprintln!("{}", say(Key::DemoBegin, &[("lines", &lines_text), ("packets", &packets)]));

    let agents = start_agents(data, &dir, &manifest, &doors, &args.agent)?;
    for file in &manifest.files {
        send(&client, data, &dir, file, &doors)?;
    }
    for (host, mut agent) in agents {
        let status = agent.wait().with_context(|| format!("cannot wait for the agent of {host}"))?;
        ensure!(status.success(), "the agent of {host} ended with {status}; read {}", log_path(&dir, &host).display());
    }
    wait_stored(&client, lines)?;
    fs::write(&played, format!("{from}\n{}\n", Timestamp::now()))
        .with_context(|| format!("cannot write `{}`", played.display()))?;
    eprintln!("{}", say(Key::DemoStored, &[("seconds", &format!("{:.1}", begin.elapsed().as_secs_f64()))]));
    summary(&client)
}

/// When the demo was played into this data directory; `None` before that. The server asks, because whoever sent the demo
/// does not send again and is not missed.
pub(crate) fn played(data: &Path) -> Option<DemoRun> {
    let text = fs::read_to_string(data.join("demo").join(PLAYED)).ok()?;
    let mut times = text.lines().map(Timestamp::parse_rfc3339);
    Some(DemoRun { from: times.next()??, to: times.next()?? })
}

/// One agent for each server that has one, with the files of that server.
fn start_agents(
    data: &Path,
    dir: &Path,
    manifest: &Manifest,
    doors: &Doors,
    program: &Path,
) -> anyhow::Result<Vec<(String, Child)>> {
    let delivered = |file: &&File| matches!(file.door, Door::AgentFile | Door::AgentCapture);
    let mut hosts: Vec<&str> = manifest.files.iter().filter(delivered).map(|file| file.host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    let mut agents = Vec::new();
    for host in hosts {
        let files = manifest.files.iter().filter(delivered).filter(|file| file.host == host);
        let config = dir.join("agents").join(format!("{host}.toml"));
        fs::create_dir_all(dir.join("agents"))?;
        fs::write(&config, agent_config(data, dir, host, files, doors)?)
            .with_context(|| format!("cannot write `{}`", config.display()))?;
        let log = fs::File::create(log_path(dir, host))?;
        let agent = Command::new(program)
            .args(["run", "--once", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start `{}`; give the agent program with --agent", program.display()))?;
        agents.push((host.to_owned(), agent));
    }
    Ok(agents)
}

fn log_path(dir: &Path, host: &str) -> PathBuf {
    dir.join("agents").join(format!("{host}.log"))
}

fn agent_config<'a>(
    data: &Path,
    dir: &Path,
    host: &str,
    files: impl Iterator<Item = &'a File>,
    doors: &Doors,
) -> anyhow::Result<String> {
    let state = dir.join("agents").join(format!("{host}.state"));
    let mut text = doors.agent_head(data, host, &state)?;
    for file in files {
        let path = dir.join(&file.path).canonicalize()?;
        let path = path.display().to_string();
        text.push_str(&match file.door {
            Door::AgentCapture => format!("\n[[input.capture]]\nfile = {path:?}\n"),
            _ => format!("\n[[input.file]]\nstart = \"beginning\"\npath = [{path:?}]\n"),
        });
    }
    Ok(text)
}

fn send(client: &Client, data: &Path, dir: &Path, file: &File, doors: &Doors) -> anyhow::Result<()> {
    let read = || fs::read(dir.join(&file.path)).with_context(|| format!("cannot read `{}`", file.path));
    match file.door {
        Door::AgentFile | Door::AgentCapture => Ok(()),
        Door::SyslogTcp => syslog_tcp(doors.plain("syslog_tcp", doors.syslog_tcp)?, &read()?),
        Door::SyslogUdp => syslog_udp(doors.plain("syslog_udp", doors.syslog_udp)?, &read()?),
        Door::HttpNdjson => {
            let url = format!("http://{}/ingest/ndjson?host={}", doors.plain("http", doors.http)?, file.host);
            client.post(&url, &doors.token(data)?, "application/x-ndjson", &read()?)
        }
    }
}

fn syslog_tcp(to: SocketAddr, lines: &[u8]) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(to).with_context(|| format!("cannot connect to the syslog door at {to}"))?;
    stream.write_all(lines).with_context(|| format!("cannot send to the syslog door at {to}"))
}

fn syslog_udp(to: SocketAddr, lines: &[u8]) -> anyhow::Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for (n, line) in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        socket.send_to(line, to).with_context(|| format!("cannot send to the syslog door at {to}"))?;
        if n % UDP_BURST == UDP_BURST - 1 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    Ok(())
}

/// Waits until as many log events are stored as lines were sent. Flows and metrics are not counted.
fn wait_stored(client: &Client, lines: u64) -> anyhow::Result<()> {
    let begin = Instant::now();
    let query = [
        ("q", "class:log AND NOT product:canh"),
        ("from", "1900-01-01T00:00:00Z"),
        ("to", "2100-01-01T00:00:00Z"),
        ("buckets", "1"),
    ];
    loop {
        let stored = client.get("/api/v1/events/histogram", &query)?["total"].as_u64().unwrap_or_default();
        if stored >= lines {
            return Ok(());
        }
        if begin.elapsed() > STORED_WITHIN {
            bail!(
                "only {stored} of {lines} lines are stored after {} s; look at `canh doctor`",
                STORED_WITHIN.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn summary(client: &Client) -> anyhow::Result<()> {
    let page = client.get("/api/v1/alerts", &[("limit", "100")])?;
    let mut alerts: Vec<&Value> = page["items"].as_array().map(|items| items.iter().collect()).unwrap_or_default();
    let level = |alert: &Value| alert["level"].as_str().and_then(|text| text.parse::<Level>().ok());
    alerts
        .sort_by(|a, b| level(b).cmp(&level(a)).then_with(|| a["first_time"].as_str().cmp(&b["first_time"].as_str())));
    println!("{}", say(Key::DemoAlerts, &[("count", &alerts.len().to_string())]));
    for alert in alerts {
        let text = |name: &str| alert[name].as_str().unwrap_or_default();
        let shown = level(alert).map_or_else(String::new, |level| colours().level(level));
        println!(
            "  {shown} {}  {} ({})",
            text("first_time"),
            safe(text("title")),
            safe(alert["entity"]["value"].as_str().unwrap_or_default())
        );
    }
    Ok(())
}
