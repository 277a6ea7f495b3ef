//! Syslog over TLS and RELP with the programs that people send with: rsyslog and openssl, as Debian has them.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use canh_tests::{Process, Server, ServerOptions, free_port, wait_until};
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Whether all of these are installed; a loud word if not.
fn installed(tools: &[&str], modules: &[&str]) -> bool {
    let is_there = |folders: &[&str], name: &str| folders.iter().any(|folder| Path::new(folder).join(name).is_file());
    let programs = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let plugins = ["/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib/rsyslog"];
    let rows = tools.iter().map(|name| (name, is_there(&programs, name)));
    let missing: Vec<_> = rows
        .chain(modules.iter().map(|name| (name, is_there(&plugins, name))))
        .filter_map(|(name, there)| (!there).then_some(*name))
        .collect();
    if !missing.is_empty() {
        eprintln!("SKIPPED: not installed: {}", missing.join(", "));
    }
    missing.is_empty()
}

/// An authority, a server and clients, made by openssl.
pub(crate) struct Certificates(PathBuf);

impl Certificates {
    pub(crate) fn make(dir: &Path) -> anyhow::Result<Self> {
        let certificates = Self(dir.join("tls"));
        fs::create_dir_all(&certificates.0)?;
        for name in ["ca", "other"] {
            certificates.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 30 -subj /CN=authority-{name}"
            ))?;
        }
        certificates.issue("server", "ca", "DNS:localhost,IP:127.0.0.1", 10)?;
        certificates.issue("client", "ca", "DNS:gw-1.example.vn", 10)?;
        certificates.issue("alien", "other", "DNS:gw-1.example.vn", 10)?;
        Ok(certificates)
    }

    pub(crate) fn issue(&self, name: &str, authority: &str, names: &str, days: u32) -> anyhow::Result<()> {
        self.openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"))?;
        fs::write(self.0.join("names"), format!("subjectAltName={names}\n"))?;
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -days {days} -extfile names -out {name}.pem"
        ))
    }

    fn openssl(&self, arguments: &str) -> anyhow::Result<()> {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.0).output()?;
        ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// `[collector.tls]`
    pub(crate) fn settings(&self, clients: &str) -> String {
        format!(
            "[collector.tls]\ncertificate = {:?}\nkey = {:?}\nclient_authorities = {:?}\nclient_certificates = {clients:?}\n",
            self.path("server.pem"),
            self.path("server.key"),
            self.path("ca.pem")
        )
    }

    /// What one `openssl s_client` that sends a line has to say.
    pub(crate) fn send(&self, port: u16, arguments: &[&str], line: &str) -> anyhow::Result<()> {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-no_ign_eof", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", "ca.pem"])
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            let _ = input.write_all(line.as_bytes()); // a refused one may be gone already
            thread::sleep(Duration::from_millis(300));
        }
        child.wait()?;
        Ok(())
    }
}

/// rsyslogd that follows `input.log` in `dir` and does this with each line.
fn rsyslog(dir: &Path, globals: &str, action: &str) -> anyhow::Result<Process> {
    let config = format!(
        r#"global(workDirectory="{work}" {globals})
module(load="imfile" mode="inotify")
input(type="imfile" file="{work}/input.log" tag="rsyslogtest:" facility="local0" severity="info")
{action}
"#,
        work = dir.display()
    );
    fs::write(dir.join("rsyslog.conf"), config)?;
    let mut command = Command::new("rsyslogd");
    command.args(["-n", "-f"]).arg(dir.join("rsyslog.conf")).arg("-i").arg(dir.join("rsyslog.pid"));
    Process::start(&mut command, &dir.join("rsyslog.log"))
}

fn numbered(kind: &str, range: std::ops::Range<u32>) -> String {
    range.map(|number| format!("{kind} n{number:05} end\n")).collect()
}

/// How often each number is stored.
fn stored(server: &Server, kind: &str) -> anyhow::Result<HashMap<u32, u32>> {
    let mut found = HashMap::new();
    for event in server.api()?.events(kind)? {
        let text = event["raw"].as_str().unwrap_or_default();
        let number = text.split(" n").nth(1).and_then(|rest| rest.get(..5)).and_then(|digits| digits.parse().ok());
        *found.entry(number.unwrap_or(u32::MAX)).or_default() += 1;
    }
    Ok(found)
}

pub(crate) fn metrics(server: &Server) -> anyhow::Result<String> {
    Ok(server.api()?.request("/metrics", &[])?.1)
}

#[test]
fn rsyslog_sends_over_tls_with_a_certificate_that_names_it() -> anyhow::Result<()> {
    if !installed(&["rsyslogd", "openssl"], &["lmnsd_gtls.so"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (certificates, port) = (Certificates::make(dir.path())?, free_port()?);
    let config = format!(
        "{}[collector.syslog_tls]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n",
        certificates.settings("required")
    );
    let server = Server::start(&dir.path().join("server"), &ServerOptions { config, ..ServerOptions::default() })?;
    fs::write(dir.path().join("input.log"), numbered("canhtls", 0..5_000))?;
    let globals = format!(
        r#"defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{}" defaultNetstreamDriverCertFile="{}" defaultNetstreamDriverKeyFile="{}""#,
        certificates.path("ca.pem"),
        certificates.path("client.pem"),
        certificates.path("client.key")
    );
    let action = format!(
        r#"action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
       StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"
       template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1")"#
    );
    let _rsyslog = rsyslog(dir.path(), &globals, &action)?;
    let api = server.api()?;
    wait_until("all lines over TLS", Duration::from_secs(60), || Ok(api.count("canhtls")? >= 5_000))?;
    let found = stored(&server, "canhtls")?;
    assert!((0..5_000).all(|number| found.get(&number) == Some(&1)), "{} numbers of 5000", found.len());
    assert_eq!(api.count("canh.source:\"syslog_tls:gw-1.example.vn\"")?, 5_000);
    Ok(())
}

#[test]
fn openssl_is_let_in_or_refused_and_a_new_certificate_needs_no_restart() -> anyhow::Result<()> {
    if !installed(&["openssl"], &[]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (certificates, port) = (Certificates::make(dir.path())?, free_port()?);
    let config = format!(
        "{}[collector.syslog_tls]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n",
        certificates.settings("required")
    );
    let server = Server::start(&dir.path().join("server"), &ServerOptions { config, ..ServerOptions::default() })?;
    let api = server.api()?;
    let own = ["-cert", "client.pem", "-key", "client.key"];
    for version in ["-tls1_2", "-tls1_3"] {
        let line = format!("<13>Jan  1 00:00:00 host canhssl: good {version}\n");
        certificates.send(port, &[&own[..], &[version]].concat(), &line)?;
    }
    wait_until("both versions", Duration::from_secs(30), || Ok(api.count("canhssl")? >= 2))?;

    let line = "<13>Jan  1 00:00:00 host canhssl: bad\n";
    certificates.send(port, &[], line)?;
    certificates.send(port, &["-cert", "alien.pem", "-key", "alien.key"], line)?;
    certificates.send(port, &[&own[..], &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]].concat(), line)?;
    let refused = |reason: &str| {
        let line = format!("canh_door_connections_refused_total{{door=\"syslog_tls\",reason=\"{reason}\"}} 1");
        wait_until(&line, Duration::from_secs(30), || Ok(metrics(&server)?.contains(&line)))
    };
    refused("no_client_certificate")?;
    refused("client_certificate_unknown_authority")?;
    refused("tls_version")?;
    assert!(server.process.output().contains("client_certificate_unknown_authority"), "the log names the reason");

    // The certificate has ten days left, which is worth a warning; the next one has more.
    let (code, text) = server.command(&["doctor"])?;
    assert!(code == 0 && text.contains(" 9 "), "{text}");
    certificates.issue("server", "ca", "DNS:localhost,IP:127.0.0.1", 400)?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the new certificate", Duration::from_secs(30), || {
        Ok(metrics(&server)?.contains("canh_tls_certificate_days_left 399"))
    })?;
    certificates.send(port, &own, "<13>Jan  1 00:00:00 host canhssl: after\n")?;
    wait_until("a line after the change", Duration::from_secs(30), || Ok(api.count("canhssl")? >= 3))?;
    assert_eq!(api.count("canhssl AND bad")?, 0);
    Ok(())
}

/// Lines are written without a pause while the server is killed again and again. rsyslog keeps what was not answered.
fn relp_through_kills(dir: &Path, door: &str, settings: &str, action: &str) -> anyhow::Result<()> {
    const LINES: u32 = 20_000;
    const KILLS: u32 = 8;
    /// Messages that librelp sends before it waits for answers.
    const WINDOW: u32 = 128;
    let port = free_port()?;
    let config = format!("{settings}[collector.{door}]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n");
    let mut server = Server::start(&dir.join("server"), &ServerOptions { config, ..ServerOptions::default() })?;
    let path = dir.join("input.log");
    File::create(&path)?;
    let action = format!(
        r#"module(load="omrelp" {tls})
action(type="omrelp" target="127.0.0.1" port="{port}" template="RSYSLOG_SyslogProtocol23Format" {action}
       action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="LinkedList" queue.size="50000")"#,
        tls = if action.is_empty() { "" } else { r#"tls.tlslib="gnutls""# }
    );
    let _rsyslog = rsyslog(dir, "", &action)?;
    let writer = thread::spawn(move || -> std::io::Result<()> {
        let mut input = File::options().append(true).open(&path)?;
        for first in (0..LINES).step_by(20) {
            input.write_all(numbered("canhrelp", first..first + 20).as_bytes())?;
            thread::sleep(Duration::from_millis(15));
        }
        Ok(())
    });
    let taken = format!("canh_door_records_total{{door=\"{door}\"}} ");
    let mut random = StdRng::seed_from_u64(11);
    let mut cut_short = 0;
    for _ in 0..KILLS {
        wait_until("lines to come again", Duration::from_secs(60), || {
            let metrics = metrics(&server)?;
            Ok(metrics.lines().any(|line| line.strip_prefix(&taken).is_some_and(|count| count != "0")))
        })?;
        thread::sleep(Duration::from_millis(random.random_range(0..400)));
        cut_short += u32::from(!writer.is_finished());
        server.process.kill()?;
        server.restart()?;
    }
    writer.join().expect("the writer does not panic")?;
    wait_until("every line", Duration::from_secs(120), || Ok(stored(&server, "canhrelp")?.len() as u32 >= LINES))?;
    let found = stored(&server, "canhrelp")?;
    let missing = (0..LINES).filter(|number| !found.contains_key(number)).count();
    let again: u32 = found.values().map(|count| count - 1).sum();
    println!(
        "{door}: {LINES} lines, {KILLS} kills, {cut_short} while lines were written: {missing} missing, {again} came again"
    );
    assert_eq!((missing, found.len() as u32), (0, LINES), "missing; and lines that nobody wrote");
    assert!(cut_short >= 3, "only {cut_short} kills met lines on their way, which shows too little");
    // What comes again was journaled, and its answer was lost: at most a window for each kill.
    assert!(again <= WINDOW * KILLS, "{again} came again, more than {KILLS} windows");
    Ok(())
}

#[test]
fn rsyslog_loses_no_line_over_relp_while_the_server_is_killed() -> anyhow::Result<()> {
    if !installed(&["rsyslogd"], &["omrelp.so"]) {
        return Ok(());
    }
    relp_through_kills(tempfile::tempdir()?.path(), "relp", "", "")
}

#[test]
fn rsyslog_loses_no_line_over_relp_with_tls_while_the_server_is_killed() -> anyhow::Result<()> {
    if !installed(&["rsyslogd", "openssl"], &["omrelp.so"]) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let certificates = Certificates::make(dir.path())?;
    let action = format!(
        r#"tls="on" tls.caCert="{}" tls.myCert="{}" tls.myPrivKey="{}" tls.authMode="name" tls.permittedPeer=["localhost"]"#,
        certificates.path("ca.pem"),
        certificates.path("client.pem"),
        certificates.path("client.key")
    );
    relp_through_kills(dir.path(), "relp_tls", &certificates.settings("required"), &action)
}
