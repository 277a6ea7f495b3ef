//! Unmodified clients of GELF, of Prometheus' remote write, and of systemd's journal.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use canh_tests::{Process, Server, ServerOptions, free_port, wait_until};

use super::doors::{count_reaches, tool};
use super::foreign_doors::{curl, python_with, run};

/// A program that `.ci/run` has unpacked beside the system, or that is installed.
fn unpacked(path: &str) -> Option<PathBuf> {
    let own = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/canh/clients/root").join(path));
    let found = own.into_iter().chain([Path::new("/").join(path)]).find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: `{path}` is not there; `.ci/run` unpacks it");
    }
    found
}

#[test]
fn gelf_of_graypy_and_pygelf() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (udp, tcp) = (free_port()?, free_port()?);
    let config = format!(
        "[collector.gelf_udp]\nenabled = true\nlisten = \"127.0.0.1:{udp}\"\n\
         [collector.gelf_tcp]\nenabled = true\nlisten = \"127.0.0.1:{tcp}\"\n"
    );
    let server = Server::start(dir.path(), &ServerOptions { config, ..ServerOptions::default() })?;
    let ports = format!("UDP, TCP = {udp}, {tcp}\n");
    if let Some(python) = python_with("graypy") {
        let script = r#"
import graypy, logging, random, string
random.seed(7)
noise = "".join(random.choice(string.ascii_letters) for _ in range(30000))
for name, handler in [("udp", graypy.GELFUDPHandler("127.0.0.1", UDP)), ("tcp", graypy.GELFTCPHandler("127.0.0.1", TCP))]:
    logger = logging.getLogger("graypy." + name)
    logger.addHandler(handler)
    for n in range(50):
        logger.error("canhgraypy %d", n, extra={"order": n, "via": name})
    logger.error("canhchunks " + noise, extra={"via": name})
    handler.close()
"#;
        run(&python, &format!("{ports}{script}"), &server)?;
        for via in ["udp", "tcp"] {
            count_reaches(&server, &format!("canhgraypy AND via:{via} AND log.level:err"), 50)?;
            count_reaches(&server, &format!("canhchunks AND via:{via}"), 1)?;
        }
        count_reaches(&server, "canhgraypy AND order:7", 2)?;
    }
    if let Some(python) = python_with("pygelf") {
        let script = r#"
import logging, pygelf, random, string
random.seed(7)
noise = "".join(random.choice(string.ascii_letters) for _ in range(9000))
handlers = {
    "udp": pygelf.GelfUdpHandler(host="127.0.0.1", port=UDP, include_extra_fields=True),
    "plain": pygelf.GelfUdpHandler(host="127.0.0.1", port=UDP, compress=False, include_extra_fields=True),
    "tcp": pygelf.GelfTcpHandler(host="127.0.0.1", port=TCP, include_extra_fields=True),
}
for name, handler in handlers.items():
    logger = logging.getLogger("pygelf." + name)
    logger.addHandler(handler)
    for n in range(20):
        logger.warning("canhpygelf %d", n, extra={"via": name})
    logger.warning("canhlong " + noise, extra={"via": name})
    handler.close()
"#;
        run(&python, &format!("{ports}{script}"), &server)?;
        for via in ["udp", "plain", "tcp"] {
            count_reaches(&server, &format!("canhpygelf AND via:{via} AND log.level:warning"), 20)?;
            count_reaches(&server, &format!("canhlong AND via:{via}"), 1)?;
        }
    }
    let Some(program) = tool("curl") else { return Ok(()) };
    let url = format!("http://127.0.0.1:{}/gelf", server.ports.http);
    let message = r#"{"version":"1.1","host":"app1","short_message":"canhcurl","_user.name":"an"}"#;
    let answer = curl(&program, &server.ingest_token()?, &url, message, &[])?;
    assert!(answer.ends_with(" 202"), "{answer}");
    assert!(curl(&program, "wrong", &url, message, &[])?.ends_with(" 401"));
    assert!(curl(&program, &server.ingest_token()?, &url, "no object", &[])?.ends_with(" 400"));
    count_reaches(&server, "canhcurl AND host.name:app1 AND user.name:an", 1)
}

#[test]
fn fluent_logger_forwards() -> anyhow::Result<()> {
    let Some(python) = python_with("fluent") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let port = free_port()?;
    let config = format!("[collector.forward]\nenabled = true\nlisten = \"127.0.0.1:{port}\"\n");
    let server = Server::start(dir.path(), &ServerOptions { config, ..ServerOptions::default() })?;
    let script = format!(
        r#"
from fluent import sender
for precise in (False, True):
    logger = sender.FluentSender("app", host="127.0.0.1", port={port}, nanosecond_precision=precise)
    for n in range(500):
        assert logger.emit("order", {{"message": "canhfluent %d" % n, "host": "app1", "precise": precise, "user": {{"name": "an"}}}})
    assert logger.emit_with_time("old", 1795336308, {{"text": "canhrecord", "count": 7, "nested": {{"list": [1, 2]}}}})
    logger.close()
"#
    );
    run(&python, &script, &server)?;
    count_reaches(&server, "canhfluent AND fluent.tag:app.order AND host.name:app1 AND user.name:an", 1_000)?;
    count_reaches(&server, "canhfluent AND precise:true", 500)?;
    count_reaches(&server, "fluent.tag:app.old AND count:7", 2)?;
    let event = server.api()?.events("fluent.tag:app.old")?.into_iter().next().context("no event")?;
    assert!(event.to_string().contains("2026-11-22T08:31:48Z"), "the event's time is not kept: {event}");
    Ok(())
}

#[test]
fn prometheus_writes_what_it_scrapes() -> anyhow::Result<()> {
    let Some(program) = unpacked("usr/bin/prometheus") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(&dir.path().join("server"), &ServerOptions::default())?;
    let port = free_port()?;
    let credentials = dir.path().join("token");
    fs::write(&credentials, server.ingest_token()?)?;
    let config = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: self\n    static_configs:\n      - targets: \
         ['127.0.0.1:{port}']\nremote_write:\n  - url: http://127.0.0.1:{http}/api/v1/write\n    authorization:\n      \
         credentials_file: {credentials}\n    queue_config:\n      batch_send_deadline: 1s\n",
        http = server.ports.http,
        credentials = credentials.display(),
    );
    let path = dir.path().join("prometheus.yml");
    fs::write(&path, config)?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", path.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut prometheus = Process::start(&mut command, &dir.path().join("prometheus.log"))?;
    let api = server.api()?;
    let up = "canh.metric.name:up AND job:self AND host.name:127.0.0.1 AND canh.metric.value:1";
    let written = || Ok(api.count(up)? >= 3);
    wait_until("samples of `up`", Duration::from_secs(60), written).with_context(|| prometheus.output())?;
    assert!(api.count("canh.metric.name:prometheus_http_requests_total AND code:200")? > 0);
    // While the server is away samples wait in Prometheus, and none is written twice when it is back.
    server.process.kill()?;
    std::thread::sleep(Duration::from_secs(3));
    server.restart()?;
    let before = server.api()?.count(up)?;
    let api = server.api()?;
    wait_until("later samples", Duration::from_secs(60), || Ok(api.count(up)? >= before + 5))?;
    prometheus.stop(Duration::from_secs(20))?;
    Ok(())
}

#[test]
fn the_journal_is_uploaded() -> anyhow::Result<()> {
    let Some(program) = unpacked("lib/systemd/systemd-journal-upload") else { return Ok(()) };
    let Some(remote) = unpacked("lib/systemd/systemd-journal-remote") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("server"), &ServerOptions::default())?;
    // A journal of one's own: systemd-journal-remote makes its file from the export format.
    let mut export = Vec::new();
    for number in 0..3_000_u64 {
        let time = 1_795_336_308_000_000 + number * 1_000;
        export.extend_from_slice(
            format!(
                "__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=4bd5c3b2a1f04e6f9a1b2c3d4e5f6071\n\
                 _MACHINE_ID=0f1e2d3c4b5a69788796a5b4c3d2e1f0\n_HOSTNAME=may01\nPRIORITY=6\nSYSLOG_FACILITY=10\n\
                 SYSLOG_IDENTIFIER=sshd\n_PID=812\n_SYSTEMD_UNIT=ssh.service\n",
                number + 1
            )
            .as_bytes(),
        );
        if number % 10 == 0 {
            let text = format!("canhupload {number}\nsecond line");
            export.extend_from_slice(b"MESSAGE\n");
            export.extend_from_slice(&(text.len() as u64).to_le_bytes());
            export.extend_from_slice(text.as_bytes());
            export.extend_from_slice(b"\n\n");
        } else {
            let text = format!(
                "MESSAGE=canhupload Failed password for root from 203.0.113.9 port {} ssh2\n\n",
                10_000 + number
            );
            export.extend_from_slice(text.as_bytes());
        }
    }
    let (from, journals) = (dir.path().join("export"), dir.path().join("journals"));
    fs::write(&from, export)?;
    fs::create_dir_all(&journals)?;
    // It needs libmicrohttpd, which is unpacked beside it.
    let libraries = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/canh/clients/root/usr/lib"));
    let libraries = libraries.unwrap_or_default();
    let folders = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|folder| libraries.join(folder).display().to_string());
    let output = Command::new(remote)
        .env("LD_LIBRARY_PATH", folders.join(":"))
        .arg("-o")
        .arg(journals.join("one.journal"))
        .arg(&from)
        .output()
        .context("journal-remote")?;
    if !output.status.success() {
        eprintln!("SKIPPED: systemd-journal-remote makes no journal: {}", String::from_utf8_lossy(&output.stderr));
        return Ok(());
    }
    let url = format!("http://canh:{}@127.0.0.1:{}", server.ingest_token()?, server.ports.http);
    let upload = || {
        let mut state = std::ffi::OsString::from("--save-state=");
        state.push(dir.path().join("upload.state"));
        Command::new(&program).args(["--url", &url]).arg("-D").arg(&journals).arg(state).arg("--follow=no").output()
    };
    let output = upload()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    count_reaches(&server, "canhupload AND host.name:may01", 3_000)?;
    count_reaches(&server, "canhupload AND service.name:ssh.service AND process.pid:812", 3_000)?;
    // What was answered is not sent again, but for the last entry: version 252 begins with that one.
    let output = upload()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    count_reaches(&server, "canhupload AND host.name:may01", 3_001)
}
