//! Programs that receive, started with nothing but a folder and a port, and what they hold in the end.

use std::collections::HashMap;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use canh_tests::{Process, Server, ServerOptions, free_port, wait_until};

use super::sender::Protocol;
use crate::peer;

pub(super) struct Receiver {
    pub(super) name: &'static str,
    pub(super) protocol: Protocol,
    kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Canh,
    Rsyslog { durable: bool },
    SyslogNg { fsync: bool },
}

pub(super) const RECEIVERS: [Receiver; 7] = [
    Receiver { name: "Canh, RELP", protocol: Protocol::Relp, kind: Kind::Canh },
    Receiver { name: "rsyslog imrelp, as it comes", protocol: Protocol::Relp, kind: Kind::Rsyslog { durable: false } },
    Receiver {
        name: "rsyslog imrelp, main queue on disk and synced, file synced",
        protocol: Protocol::Relp,
        kind: Kind::Rsyslog { durable: true },
    },
    Receiver { name: "Canh, syslog TCP", protocol: Protocol::Tcp, kind: Kind::Canh },
    Receiver { name: "rsyslog imptcp, as it comes", protocol: Protocol::Tcp, kind: Kind::Rsyslog { durable: false } },
    Receiver {
        name: "syslog-ng network(), as it comes",
        protocol: Protocol::Tcp,
        kind: Kind::SyslogNg { fsync: false },
    },
    Receiver { name: "syslog-ng network(), fsync(yes)", protocol: Protocol::Tcp, kind: Kind::SyslogNg { fsync: true } },
];

pub(super) enum Running<'a> {
    Canh { server: Box<Server>, port: u16, dir: &'a Path },
    Peer { process: Process, port: u16, dir: &'a Path, kind: Kind, protocol: Protocol },
}

impl<'a> Running<'a> {
    pub(super) fn start(receiver: &Receiver, dir: &'a Path) -> anyhow::Result<Option<Self>> {
        let port = free_port()?;
        if let Kind::Canh = receiver.kind {
            let config = match receiver.protocol {
                Protocol::Relp => format!("[collector.relp]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n"),
                Protocol::Tcp => String::new(),
            };
            let server = Server::start(dir, &ServerOptions { config, ..ServerOptions::default() })?;
            let port = if receiver.protocol == Protocol::Tcp { server.ports.syslog_tcp } else { port };
            return Ok(Some(Self::Canh { server: Box::new(server), port, dir }));
        }
        let Some(process) = spawn(receiver.kind, receiver.protocol, dir, port)? else { return Ok(None) };
        let running = Self::Peer { process, port, dir, kind: receiver.kind, protocol: receiver.protocol };
        running.wait_listening()?;
        Ok(Some(running))
    }

    pub(super) fn port(&self) -> u16 {
        match self {
            Self::Canh { port, .. } | Self::Peer { port, .. } => *port,
        }
    }

    pub(super) fn dir(&self) -> &Path {
        match self {
            Self::Canh { dir, .. } | Self::Peer { dir, .. } => dir,
        }
    }

    fn wait_listening(&self) -> anyhow::Result<()> {
        let port = self.port();
        wait_until("the receiver to listen", Duration::from_secs(30), || {
            Ok(TcpStream::connect(("127.0.0.1", port)).is_ok())
        })
    }

    pub(super) fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Canh { server, .. } => {
                server.process.kill()?;
                server.restart()?;
            }
            Self::Peer { process, port, dir, kind, protocol } => {
                process.kill()?;
                // A killed daemon leaves its file behind, and would take itself for running.
                let _ = fs::remove_file(dir.join("pid"));
                if let Some(again) = spawn(*kind, *protocol, dir, *port)? {
                    *process = again;
                }
            }
        }
        self.wait_listening()
    }

    /// How often each number is there, once nothing more comes.
    pub(super) fn finish(&mut self) -> anyhow::Result<HashMap<u64, u32>> {
        match self {
            Self::Canh { server, .. } => {
                let api = server.api()?;
                let mut count = None;
                settled(|| {
                    let now = api.count("canhcrash")?;
                    let waiting = api.metric("canh_ledger_waiting_events{stage=\"store\"}")?;
                    Ok(count.replace(now) == Some(now) && waiting == 0.0)
                })?;
                let events = api.events("canhcrash")?;
                Ok(numbers(events.iter().map(|event| event["raw"].as_str().unwrap_or_default())))
            }
            Self::Peer { process, dir, .. } => {
                let file = dir.join("out.log");
                let mut size = None;
                settled(|| {
                    let now = fs::metadata(&file).map(|metadata| metadata.len()).unwrap_or_default();
                    Ok(size.replace(now) == Some(now))
                })?;
                process.stop(Duration::from_secs(60))?;
                let text = fs::read(&file).unwrap_or_default();
                Ok(numbers(String::from_utf8_lossy(&text).lines()))
            }
        }
    }
}

/// Waits until the answer is yes for two seconds on end.
fn settled(mut ask: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let mut quiet = 0;
    wait_until("the receiver to have finished", Duration::from_secs(120), || {
        thread::sleep(Duration::from_millis(480));
        quiet = if ask()? { quiet + 1 } else { 0 };
        Ok(quiet >= 4)
    })
}

fn numbers<'t>(lines: impl Iterator<Item = &'t str>) -> HashMap<u64, u32> {
    let mut found = HashMap::new();
    for line in lines {
        let number = line.split_once("canhcrash n").and_then(|(_, rest)| rest.get(..8)?.parse().ok());
        // A line whose end is missing was cut, and is not there.
        if let (Some(number), true) = (number, line.contains(" end")) {
            *found.entry(number).or_default() += 1;
        }
    }
    found
}

fn spawn(kind: Kind, protocol: Protocol, dir: &Path, port: u16) -> anyhow::Result<Option<Process>> {
    let file = dir.join("out.log");
    let command = match kind {
        Kind::Canh => None,
        Kind::Rsyslog { durable } => rsyslog(durable, protocol, dir, port, &file)?,
        Kind::SyslogNg { fsync } => {
            let option = if fsync { "fsync(yes)" } else { "" };
            peer::syslog_ng_with("flags(syslog-protocol)", option, dir, port, &file)?
        }
    };
    command.map(|mut command| Process::start(&mut command, &log(dir))).transpose()
}

/// Outside of the folder, whose disk may be full.
fn log(dir: &Path) -> PathBuf {
    dir.with_extension("log")
}

fn rsyslog(durable: bool, protocol: Protocol, dir: &Path, port: u16, file: &Path) -> anyhow::Result<Option<Command>> {
    let program = Path::new("/usr/sbin/rsyslogd");
    if !program.is_file() {
        return Ok(None);
    }
    let input = match protocol {
        Protocol::Relp => {
            format!("module(load=\"imrelp\")\ninput(type=\"imrelp\" port=\"{port}\" address=\"127.0.0.1\")")
        }
        Protocol::Tcp => {
            format!("module(load=\"imptcp\")\ninput(type=\"imptcp\" port=\"{port}\" address=\"127.0.0.1\")")
        }
    };
    let (queue, sync) = match durable {
        true => (
            "main_queue(queue.type=\"disk\" queue.filename=\"main\" queue.syncQueueFiles=\"on\" queue.checkpointInterval=\"1\" queue.saveOnShutdown=\"on\")",
            "sync=\"on\"",
        ),
        false => ("", ""),
    };
    let config = format!(
        "global(workDirectory=\"{}\" maxMessageSize=\"64k\")\n{queue}\n{input}\naction(type=\"omfile\" file=\"{}\" {sync})\n",
        dir.display(),
        file.display()
    );
    let path = dir.join("rsyslog.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command.args(["-n", "-f"]).arg(&path).arg("-i").arg(dir.join("pid"));
    Ok(Some(command))
}
