//! Well-known peers with the same input: syslog over TCP to a file. None of them journals with fsync, indexes or detects,
//! so only the first rows compare, and they compare in the peers' favour.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use canh_tests::{Process, cpu_seconds, free_port, wait_until};

use crate::load::Load;
use crate::table::Row;

/// A program that takes syslog and writes lines to a file.
pub(crate) struct Peer {
    name: &'static str,
    wall: &'static str,
    cpu: &'static str,
    /// What starts it, listening on a port and writing to a file, with a folder of its own; `None` if it is not there.
    command: fn(&Path, u16, &Path) -> anyhow::Result<Option<Command>>,
}

pub(crate) const PEERS: [Peer; 3] = [
    Peer {
        name: "rsyslog",
        wall: "peer: rsyslog imptcp to omfile, no fsync",
        cpu: "peer: rsyslog, per CPU-second",
        command: rsyslog,
    },
    Peer {
        name: "syslog-ng",
        wall: "peer: syslog-ng network to file, no fsync",
        cpu: "peer: syslog-ng, per CPU-second",
        command: syslog_ng,
    },
    Peer {
        name: "tenzir",
        wall: "peer: Tenzir accept_tcp, read_syslog, write_ndjson to file, no fsync",
        cpu: "peer: Tenzir, per CPU-second",
        command: tenzir,
    },
];

/// Where `./dev bench` puts the peers that are not installed in the system.
fn peers() -> PathBuf {
    match std::env::var_os("CANH_BENCH_PEERS") {
        Some(path) => path.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/canh/peers"),
    }
}

fn rsyslog(dir: &Path, port: u16, file: &Path) -> anyhow::Result<Option<Command>> {
    let program = Path::new("/usr/sbin/rsyslogd");
    if !program.is_file() {
        return Ok(None);
    }
    let config = format!(
        r#"
global(workDirectory="{work}")
module(load="imptcp" threads="2")
input(type="imptcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{file}" asyncWriting="off" ioBufferSize="64k")
"#,
        work = dir.display(),
        file = file.display()
    );
    let path = dir.join("rsyslog.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.args(["-n", "-f"]).arg(&path).arg("-i").arg(dir.join("pid"));
    Ok(Some(command))
}

/// Debian's package does not go beside rsyslog's, so it is unpacked and not installed.
fn syslog_ng(dir: &Path, port: u16, file: &Path) -> anyhow::Result<Option<Command>> {
    syslog_ng_with("", "", dir, port, file)
}

/// `framed` replaces octet counting by other options of the source; `option` is one of the file.
pub(crate) fn syslog_ng_with(
    framed: &str,
    option: &str,
    dir: &Path,
    port: u16,
    file: &Path,
) -> anyhow::Result<Option<Command>> {
    let driver = if framed.is_empty() { "syslog" } else { "network" };
    let root = peers().join("syslog-ng");
    let program = root.join("usr/sbin/syslog-ng");
    if !program.is_file() {
        return Ok(None);
    }
    let config = format!(
        r#"@version: 3.38
options {{ keep-hostname(yes); stats-freq(0); threaded(yes); }};
source s {{ {driver}(transport("tcp") ip("127.0.0.1") port({port}) max-connections(10) log-iw-size(100000) {framed}); }};
destination d {{ file("{}" log-fifo-size(200000) {option}); }};
log {{ source(s); destination(d); flags(flow-control); }};
"#,
        file.display()
    );
    let path = dir.join("syslog-ng.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.args(["-F", "--no-caps", "-f"]).arg(&path);
    for (flag, name) in [("-R", "persist"), ("-p", "pid"), ("-c", "ctl")] {
        command.arg(flag).arg(dir.join(name));
    }
    let lib = root.join("usr/lib");
    let modules = lib.join("syslog-ng/3.38");
    command.arg("--module-path").arg(&modules);
    let paths = [lib.join("syslog-ng"), lib.join("x86_64-linux-gnu")];
    command.env("LD_LIBRARY_PATH", std::env::join_paths(paths)?);
    Ok(Some(command))
}

fn tenzir(dir: &Path, port: u16, file: &Path) -> anyhow::Result<Option<Command>> {
    let Some(program) = tenzir_program() else { return Ok(None) };
    let pipeline = format!(
        "accept_tcp \"127.0.0.1:{port}\" {{ read_syslog octet_counting=true }}\nto_file \"{}\" {{ write_ndjson }}",
        file.display()
    );
    let mut command = Command::new(program);
    command.arg(pipeline).current_dir(dir);
    Ok(Some(command))
}

fn tenzir_program() -> Option<PathBuf> {
    let python = fs::read_dir(peers().join("tenzir/lib")).ok()?.filter_map(Result::ok).map(|entry| entry.path());
    python.map(|path| path.join("site-packages/tenzir/bundled/bin/tenzir")).find(|path| path.is_file())
}

/// One round.
pub(crate) fn run(peer: &Peer, load: &Load) -> anyhow::Result<Option<Vec<Row>>> {
    let dir = tempfile::tempdir()?;
    let port = free_port()?;
    let file = dir.path().join("out.log");
    let Some(mut command) = (peer.command)(dir.path(), port, &file)? else {
        eprintln!("SKIPPED: {} is not there to be compared with", peer.name);
        return Ok(None);
    };
    let process = Process::start(&mut command, &dir.path().join("log"))?;
    wait_until("the peer to listen", Duration::from_secs(30), || {
        Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
    })?;
    let cpu_before = cpu_seconds(process.id())?;
    let begin = Instant::now();
    load.send(port)?;
    let mut size = 0;
    // Its lines are counted only when the file has stopped growing near the expected size, so that counting does not disturb it.
    let written = wait_until("the peer to have written everything", Duration::from_secs(120), || {
        let now = fs::metadata(&file).map(|metadata| metadata.len()).unwrap_or_default();
        let still = now == size && now > 0;
        size = now;
        Ok(still && fs::read(&file)?.iter().filter(|byte| **byte == b'\n').count() >= load.count)
    });
    if let Err(error) = written {
        let lines = fs::read(&file).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
        eprintln!("{}: {error}; it has {lines} of {} lines. {}", peer.name, load.count, process.output());
        return Ok(None);
    }
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), cpu_seconds(process.id())? - cpu_before);
    let count = load.count as f64;
    Ok(Some(vec![Row::new(peer.wall, "events/s", count / wall), Row::new(peer.cpu, "events/s", count / cpu)]))
}
