//! Sends numbered lines in bursts until told to stop, through whatever happens to the receiver.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Lines of one burst.
const BURST: u64 = 32;
/// Between two bursts, so that the receiver's start and not its speed is measured.
const PAUSE: Duration = Duration::from_millis(8);
/// How long an answer is waited for before the connection is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// A long line fills a disk sooner.
const FILL: usize = 2_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    /// Answered message by message.
    Relp,
    /// Plain TCP, one line after the other; the sender never hears anything.
    Tcp,
}

impl Protocol {
    pub(super) const fn acknowledges(self) -> bool {
        matches!(self, Self::Relp)
    }
}

#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Given to the kernel without an error, at least once.
    pub(super) handed_over: Vec<u64>,
    pub(super) acknowledged: Vec<u64>,
}

fn line(number: u64, long: bool) -> String {
    let fill = if long { "x".repeat(FILL) } else { String::new() };
    format!("<38>1 2026-11-22T08:00:00+07:00 may01 ungdung 78 - - canhcrash n{number:08} end {fill}")
}

pub(super) fn run(protocol: Protocol, port: u16, long: bool, stop: &AtomicBool) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
            thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        // Broken connections are what this is about: the next one goes on.
        let _ = match protocol {
            Protocol::Tcp => plain(stream, &mut next, long, &mut sent, stop),
            Protocol::Relp => relp(stream, &mut next, long, &mut sent, stop),
        };
    }
    Ok(sent)
}

fn plain(mut stream: TcpStream, next: &mut u64, long: bool, sent: &mut Sent, stop: &AtomicBool) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let burst = *next..*next + BURST;
        let text: String = burst.clone().map(|number| line(number, long) + "\n").collect();
        // What was begun is not sent again: the sender cannot know how far it came.
        *next = burst.end;
        stream.write_all(text.as_bytes())?;
        sent.handed_over.extend(burst);
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// RELP, <https://github.com/rsyslog/librelp/blob/master/doc/relp.html>: what was not answered is sent again.
fn relp(stream: TcpStream, next: &mut u64, long: bool, sent: &mut Sent, stop: &AtomicBool) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut transaction = 1_u64;
    let offer = "relp_version=0\nrelp_software=canh-bench\ncommands=syslog";
    writeln!(writer, "{transaction} open {} {offer}", offer.len())?;
    answer(&mut reader)?;
    while !stop.load(Ordering::Relaxed) {
        let burst = *next..*next + BURST;
        let mut frames = String::new();
        for number in burst.clone() {
            let text = line(number, long);
            transaction += 1;
            frames.push_str(&format!("{transaction} syslog {} {text}\n", text.len()));
        }
        writer.write_all(frames.as_bytes())?;
        let known = sent.handed_over.last().map_or(0, |last| last + 1);
        sent.handed_over.extend(known.max(burst.start)..burst.end);
        for number in burst {
            answer(&mut reader)?; // in order
            sent.acknowledged.push(number);
            *next = number + 1;
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Reads one `TXNR rsp LENGTH 200 …`.
fn answer(reader: &mut impl BufRead) -> anyhow::Result<()> {
    let mut word = || -> anyhow::Result<String> {
        let mut word = Vec::new();
        loop {
            let mut byte = [0];
            reader.read_exact(&mut byte)?;
            match byte[0] {
                b' ' | b'\n' => return Ok(String::from_utf8(word)?),
                byte => word.push(byte),
            }
        }
    };
    let (_transaction, _rsp, length) = (word()?, word()?, word()?);
    let length: u64 = length.parse()?;
    let mut data = Vec::new();
    reader.take(length).read_to_end(&mut data)?;
    let mut end = [0];
    reader.read_exact(&mut end)?;
    anyhow::ensure!(data.starts_with(b"200"), "answered {}", String::from_utf8_lossy(&data));
    Ok(())
}
