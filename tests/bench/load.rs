//! The load: syslog messages of several programs, made in memory before the clock starts.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(crate) struct Load {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: usize,
}

impl Load {
    /// Messages of sshd, sudo, cron, a database and an application, octet-counted (RFC 6587, section 3.4.1).
    pub(crate) fn syslog(count: usize) -> Self {
        let mut random = StdRng::seed_from_u64(1);
        let mut bytes = Vec::with_capacity(count * 180);
        for number in 0..count {
            let pid: u16 = random.random();
            let (program, text) = match number % 5 {
                0 => (
                    "sshd",
                    format!(
                        "Accepted publickey for vanhanh0{} from 10.20.0.{} port {} ssh2: ED25519 SHA256:canhbench",
                        number % 4,
                        number % 250,
                        1_024 + u32::from(pid)
                    ),
                ),
                1 => (
                    "sudo",
                    format!(
                        "vanhanh0{} : TTY=pts/0 ; PWD=/home ; USER=root ; COMMAND=/usr/bin/systemctl status canhbench svc{}",
                        number % 4,
                        number % 90
                    ),
                ),
                2 => ("CRON", format!("(root) CMD (/usr/local/bin/canhbench --job {number})")),
                3 => (
                    "mysqld",
                    format!("{pid} Query SELECT ma, ten FROM danhmuc_donvi WHERE cap = {} /* canhbench */", number % 9),
                ),
                _ => (
                    "ungdung",
                    format!("hồ sơ H{number:07} đã tiếp nhận, thời gian xử lý {} ms, canhbench", number % 900),
                ),
            };
            let (second, micro) = (number / 5_000 % 60, number % 1_000_000);
            let message = format!(
                "<38>1 2026-11-22T08:{:02}:{second:02}.{micro:06}+07:00 may{:02} {program} {pid} - - {text}",
                number / 300_000 % 60,
                number % 40
            );
            // Writing to memory does not fail.
            let _ = write!(bytes, "{} {message}", message.len());
        }
        Self { bytes, count }
    }

    /// Sends everything over two connections, as two relays would.
    pub(crate) fn send(&self, port: u16) -> anyhow::Result<()> {
        let middle = self.middle();
        let (first, second) = self.bytes.split_at(middle);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| send(port, first));
            send(port, second)?;
            other.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?
        })
    }

    /// Sends messages at an even pace over one connection, a hundredth of a second's worth at a time, and after each of
    /// these one that [`MARKER_RULE`] finds. Answers how many of those there were.
    pub(crate) fn send_paced(&self, port: u16, per_second: f64, seconds: u32) -> anyhow::Result<u32> {
        let mut stream = connect(port)?;
        let (begin, rounds) = (Instant::now(), seconds * 100);
        let mut at = 0;
        for round in 0..rounds {
            let from = at;
            let wanted = (per_second / 100.0) as usize;
            for _ in 0..wanted {
                at = if at < self.bytes.len() { self.next(at) } else { break };
            }
            stream.write_all(&self.bytes[from..at]).context("cannot send")?;
            at = if at < self.bytes.len() { at } else { 0 };
            let marker = format!("<38>1 2026-11-22T09:02:00+07:00 may02 ungdung 79 - - canhmarker {round}");
            write!(stream, "{} {marker}", marker.len()).context("cannot send")?;
            let next = begin + Duration::from_millis(10) * (round + 1);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(rounds)
    }

    /// A frame boundary near the middle.
    fn middle(&self) -> usize {
        let mut at = 0;
        while at < self.bytes.len() / 2 {
            at = self.next(at);
        }
        at
    }

    /// Where the frame that begins here ends.
    fn next(&self, at: usize) -> usize {
        let digits = self.bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let length = std::str::from_utf8(&self.bytes[at..at + digits]).ok().and_then(|text| text.parse::<usize>().ok());
        at + digits + 1 + length.unwrap_or_default()
    }
}

fn send(port: u16, bytes: &[u8]) -> anyhow::Result<()> {
    connect(port)?.write_all(bytes).context("cannot send")
}

fn connect(port: u16) -> anyhow::Result<TcpStream> {
    TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("cannot connect to port {port}"))
}

/// Finds the messages that are there to be found.
pub(crate) const MARKER_RULE: &str = "title: Marker of the benchmark\nid: canh-bench-marker\nlogsource: {}\ndetection: {words: [canhmarker], condition: words}\n";

/// Twenty refused log-ins from one address: enough for the brute-force rule.
pub(crate) fn plant(port: u16) -> anyhow::Result<()> {
    let mut text = String::new();
    for second in 0..20 {
        text.push_str(&format!("<38>1 2026-11-22T09:00:{second:02}+07:00 may01 sshd 77 - - Failed password for root from 198.51.100.9 port 4{second:03} ssh2\n"));
    }
    send(port, text.as_bytes())
}

/// One message with this word.
pub(crate) fn one(port: u16, word: &str) -> anyhow::Result<()> {
    send(port, format!("<38>1 2026-11-22T09:01:00+07:00 may01 ungdung 78 - - {word}\n").as_bytes())
}
