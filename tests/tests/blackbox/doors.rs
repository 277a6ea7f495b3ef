//! Real clients at the doors: logger and rsyslog from Debian.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use canh_tests::{Process, Server, ServerOptions, wait_until};

/// A program of the machine, or a loud word that it is not there.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let found = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: `{name}` is not installed");
    }
    found
}

pub(crate) fn count_reaches(server: &Server, query: &str, expected: u64) -> anyhow::Result<()> {
    let api = server.api()?;
    wait_until(query, Duration::from_secs(30), || Ok(api.count(query)? >= expected))?;
    assert_eq!(api.count(query)?, expected, "query: {query}");
    Ok(())
}

#[test]
fn logger_speaks_both_forms_over_both_transports() -> anyhow::Result<()> {
    let Some(logger) = tool("logger") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    for (transport, port) in [("--udp", server.ports.syslog_udp), ("--tcp", server.ports.syslog_tcp)] {
        for form in ["--rfc3164", "--rfc5424"] {
            let status = Command::new(&logger)
                .args([
                    "--server",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                    transport,
                    form,
                    "--tag",
                    "canhtest",
                    "--priority",
                    "auth.warning",
                ])
                .arg(format!("xin chào từ logger {transport} {form}"))
                .status()?;
            assert!(status.success(), "logger {transport} {form}");
        }
    }
    count_reaches(&server, "process.name:canhtest", 4)?;
    // The name of the program, the severity and the text come out of all four forms alike.
    count_reaches(&server, "process.name:canhtest AND log.syslog.severity.name:warning AND \"xin chào từ logger\"", 4)
}

#[test]
fn rsyslog_forwards_ten_thousand_lines_and_each_arrives_once() -> anyhow::Result<()> {
    let Some(rsyslogd) = tool("rsyslogd") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let input = dir.path().join("input.log");
    let lines: String = (0..10_000).map(|number| format!("canhrsyslog n{number:05}\n")).collect();
    fs::write(&input, lines)?;
    let config = format!(
        r#"
global(workDirectory="{work}")
module(load="imfile" mode="polling" pollingInterval="1")
input(type="imfile" file="{input}" tag="rsyslogtest:" facility="local0" severity="info")
action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"
       TCP_Framing="octet-counted" action.resumeRetryCount="-1")
"#,
        work = dir.path().display(),
        input = input.display(),
        port = server.ports.syslog_tcp
    );
    let path = dir.path().join("rsyslog.conf");
    fs::write(&path, config)?;
    let mut command = Command::new(rsyslogd);
    command.args(["-n", "-f"]).arg(&path).arg("-i").arg(dir.path().join("rsyslog.pid"));
    let _rsyslog = Process::start(&mut command, &dir.path().join("rsyslog.log"))?;
    count_reaches(&server, "canhrsyslog AND process.name:rsyslogtest", 10_000)?;
    let mut numbers: Vec<String> = server
        .api()?
        .events("canhrsyslog")?
        .iter()
        .filter_map(|event| Some(event["message"].as_str()?.to_owned()))
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 10_000);
    Ok(())
}
