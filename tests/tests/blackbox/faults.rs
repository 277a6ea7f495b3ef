//! Disks that are slow or fail, and clocks that jump: what was acknowledged is stored once all the same, and the server
//! goes on by itself. Kills are in `crash.rs`, full disks in `full_disk.rs`, torn writes in the tests of `canh-spool`.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use canh_tests::{Numbered, Process, Server, ServerOptions, wait_until};
use nix::sys::signal::Signal;

/// Debian's place of the library that gives a program another clock.
const CLOCK: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// `strace` that changes what the server's calls for writing to disk do, until it is dropped.
struct Tampered(Process);

impl Tampered {
    /// `None`, said loudly, where this machine does not allow it.
    fn with(server: &Server, what: &str) -> anyhow::Result<Option<Self>> {
        let known = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !known.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: there is no strace here, so {what} of the disk was not tried");
            return Ok(None);
        }
        let log = server.dir.join("strace.log");
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=fsync,fdatasync", "-e", &format!("inject=fsync,fdatasync:{what}")]);
        command.args(["-p", &server.process.id().to_string()]);
        let mut process = Process::start(&mut command, &log)?;
        wait_until("strace to be attached", Duration::from_secs(20), || {
            anyhow::ensure!(process.exited()?.is_none(), "strace ended: {}", process.output());
            Ok(process.output().contains("attached"))
        })?;
        Ok(Some(Self(process)))
    }

    fn end(mut self) -> anyhow::Result<String> {
        self.0.signal(Signal::SIGINT)?;
        self.0.wait(Duration::from_secs(20))?;
        Ok(self.0.output())
    }
}

/// Kills the server, starts it again and looks at what is stored.
fn check_after_a_kill(server: &mut Server, lines: &Numbered) -> anyhow::Result<()> {
    server.process.kill()?;
    server.restart()?;
    let (acknowledged, _) = lines.counts();
    let api = server.api()?;
    wait_until("what was acknowledged to be stored", Duration::from_secs(60), || {
        Ok(api.count("canhfault")? >= acknowledged)
    })?;
    lines.check()
}

#[test]
fn a_slow_disk_makes_senders_wait_and_loses_nothing() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &ServerOptions::default())?;
    let lines = Numbered::new(&server, "canhfault")?;
    assert!(lines.post());
    let Some(slow) = Tampered::with(&server, "delay_enter=150000")? else { return Ok(()) };
    let stop = AtomicBool::new(false);
    thread::scope(|scope| -> anyhow::Result<()> {
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(|| lines.post_until(&stop))).collect();
        let (before, _) = lines.counts();
        let waited = wait_until("some batches to be acknowledged", Duration::from_secs(60), || {
            anyhow::ensure!(server.process.running(), "{}", server.process.output());
            Ok(lines.counts().0 >= before + 300)
        });
        stop.store(true, Ordering::Relaxed);
        senders.into_iter().for_each(|sender| drop(sender.join()));
        waited
    })?;
    slow.end()?;
    check_after_a_kill(&mut server, &lines)
}

#[test]
fn a_disk_that_fails_is_told_to_senders_and_taken_again_when_it_works() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &ServerOptions::default())?;
    let lines = Numbered::new(&server, "canhfault")?;
    assert!(lines.post());
    let Some(failing) = Tampered::with(&server, "error=EIO")? else { return Ok(()) };
    for _ in 0..20 {
        assert!(!lines.post(), "what is not on the disk must not be acknowledged");
    }
    assert!(server.process.running(), "{}", server.process.output());
    let told = failing.end()?;
    assert!(told.contains("EIO"), "{told}");
    wait_until("the server to take lines again", Duration::from_secs(60), || Ok(lines.post()))?;
    for _ in 0..20 {
        assert!(lines.post());
    }
    check_after_a_kill(&mut server, &lines)
}

/// Sends log-ins that are refused, as many as the brute-force rule wants.
fn attack(server: &Server, address: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?;
    for port in 4_000..4_020 {
        writeln!(stream, "<38>1 - may01 sshd 77 - - Failed password for root from {address} port {port} ssh2")?;
    }
    Ok(())
}

fn is_alerted(server: &Server, address: &str) -> anyhow::Result<()> {
    let api = server.api()?;
    wait_until("the attack to be an alert", Duration::from_secs(60), || {
        Ok(api.alerts()?.iter().any(|alert| alert.to_string().contains(address)))
    })
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_detection_goes_on() -> anyhow::Result<()> {
    if !Path::new(CLOCK).exists() {
        eprintln!("SKIPPED: there is no libfaketime here, so a clock that jumps was not tried");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let offset = dir.path().join("clock");
    fs::write(&offset, "+0s\n")?;
    let env = [
        ("LD_PRELOAD", CLOCK.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        // What programs measure spans of time with does not jump.
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    let options = ServerOptions {
        rules: vec![canh_tests::workspace().join("rules")],
        env: env.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        ..ServerOptions::default()
    };
    let mut server = Server::start(&dir.path().join("server"), &options)?;
    let lines = Numbered::new(&server, "canhfault")?;
    let jumps = [("+3d", "198.51.100.3"), ("-40d", "198.51.100.4"), ("+0s", "198.51.100.5"), ("+1h", "198.51.100.6")];
    for (jump, address) in jumps {
        assert!(lines.post(), "{}", server.process.output());
        fs::write(&offset, format!("{jump}\n"))?;
        for _ in 0..20 {
            assert!(lines.post(), "{}", server.process.output());
        }
        attack(&server, address)?;
        is_alerted(&server, address).with_context(|| format!("after {jump}: {}", server.process.output()))?;
    }
    fs::write(&offset, "-1d\n")?;
    check_after_a_kill(&mut server, &lines)?;
    attack(&server, "198.51.100.7")?;
    is_alerted(&server, "198.51.100.7")
}
