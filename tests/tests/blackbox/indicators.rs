//! Lists of indicators: a listed address becomes an alert, SIGHUP brings a new list, and the look back over the API
//! says the same as the stream.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const WAIT: Duration = Duration::from_secs(30);

#[test]
fn a_listed_address_becomes_an_alert_and_is_found_again() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let lists = dir.path().join("lists");
    fs::create_dir(&lists)?;
    fs::write(lists.join("feed.txt"), "#! confidence: 90\n198.51.100[.]77 # beacon\n8.8.8.8\nbroken\n")?;
    fs::write(lists.join("allow.txt"), "own.example\n")?;
    let options = ServerOptions { indicators: vec![lists.clone()], ..ServerOptions::default() };
    let server = Server::start(dir.path(), &options)?;
    let (api, token) = (server.api()?, server.ingest_token()?);
    assert_eq!(api.metric("canh_indicators{type=\"ip\"}")?, 1.0);
    assert_eq!(api.metric("canh_indicators_refused")?, 1.0);

    // The same indicator on the same host is one finding; on another host it is another alert.
    let mut lines = String::new();
    for host in ["web", "web", "mail"] {
        lines.push_str(&format!("{{\"host\":{{\"name\":\"{host}\"}},\"destination\":{{\"ip\":\"198.51.100.77\"}},\"message\":\"canhioc\"}}\n"));
    }
    lines
        .push_str("{\"host\":{\"name\":\"web\"},\"destination\":{\"ip\":\"198.51.100.78\"},\"message\":\"canhioc\"}\n");
    api.post(&server.ndjson_url(), &token, "application/x-ndjson", lines.as_bytes())?;
    TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?.write_all(
        b"<38>1 2026-01-01T00:00:00Z gate sshd 7 - - Failed password for root from 198.51.100.77 port 4022 ssh2\n",
    )?;
    wait_until("an alert for each host", WAIT, || Ok(api.alerts()?.len() == 3))?;
    for alert in api.alerts()? {
        assert_eq!(alert["rule_id"], "ioc:feed:ip", "{alert}");
        assert_eq!((&alert["level"], &alert["count"]), (&"high".into(), &1.into()), "{alert}");
    }
    assert_eq!(api.metric("canh_indicator_matches_total")?, 4.0);

    // The list changes; the server goes on.
    fs::write(lists.join("names.txt"), "evil.example\nown.example\n")?;
    kill(Pid::from_raw(i32::try_from(server.process.id())?), Signal::SIGHUP)?;
    wait_until("the new list", WAIT, || Ok(api.metric("canh_indicators{type=\"domain\"}")? == 1.0))?;
    let line = b"{\"host\":{\"name\":\"web\"},\"dns\":{\"question\":{\"name\":\"c2.evil.example\"}},\"message\":\"canhioc\"}\n";
    api.post(&server.ndjson_url(), &token, "application/x-ndjson", line)?;
    wait_until("an alert of the new list", WAIT, || {
        Ok(api.alerts()?.iter().any(|alert| alert["rule_id"] == "ioc:names:domain"))
    })?;

    // What is stored is found again, by asking for the values and by looking at everything.
    wait_until("the events to be stored", WAIT, || Ok(api.count("canhioc")? == 5 && api.count("service:sshd")? == 1))?;
    let path = lists.display().to_string();
    let data = server.data().display().to_string();
    let hunt = |more: &[&str]| {
        let command = ["ioc", "hunt", &path, "--data", &data, "--from", "2025-12-31T00:00:00Z"];
        let (code, output) = server.command(&[&command[..], more].concat())?;
        assert_eq!(code, 0, "{output}");
        let mut rows: Vec<String> = output
            .lines()
            .filter(|line| line.contains(" feed ") || line.contains(" names "))
            .map(str::to_owned)
            .collect();
        rows.sort();
        anyhow::Ok((rows, output))
    };
    let (narrow, output) = hunt(&[])?;
    assert!(output.contains("few enough"), "{output}");
    assert_eq!(narrow.len(), 5, "{output}");
    let (full, output) = hunt(&["--full"])?;
    assert_eq!(narrow, full, "{output}");

    let (code, output) = server.command(&["ioc", "check", &path])?;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("feed.txt:4: `broken`"), "{output}");
    assert!(output.contains("feed.txt:3: `8.8.8.8` is left out"), "{output}");
    let events = dir.path().join("events.ndjson");
    fs::write(&events, lines)?;
    let (code, output) = server.command(&["ioc", "match", &path, "--file", &events.display().to_string()])?;
    assert_eq!((code, output.matches("destination.ip=198.51.100.77").count()), (0, 3), "{output}");
    Ok(())
}
