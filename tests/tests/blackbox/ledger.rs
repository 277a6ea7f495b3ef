//! The delivery ledger: "this source sent N, we hold N", and an alert when that is not so.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use canh_tests::{Api, Server, ServerOptions, wait_until, workspace};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(60);
const AGENT: &str = "00000000000000000000000000c0ffee";

fn start(dir: &std::path::Path) -> anyhow::Result<Server> {
    let rules = vec![workspace().join("rules/canh")];
    Server::start(dir, &ServerOptions { rules, ..ServerOptions::default() })
}

/// One batch as an agent numbers it.
fn send(server: &Server, api: &Api, sequence: u64, lines: usize) -> anyhow::Result<()> {
    let number = sequence.to_string();
    let headers = [("canh-agent-id", AGENT), ("canh-spool", "00000000000000ff"), ("canh-sequence", number.as_str())];
    let record = json!({"body": {"stringValue": format!("canhledger {sequence}")}});
    let body = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": vec![record; lines]}]}]}).to_string();
    let token = server.ingest_token()?;
    let url = format!("http://127.0.0.1:{}/v1/logs", server.ports.http);
    let (status, text) = api.post_with(&headers, &url, &token, "application/json", body.as_bytes())?;
    anyhow::ensure!((200..300).contains(&status), "batch {sequence} was answered {status}: {text}");
    Ok(())
}

fn line(api: &Api, source: &str) -> anyhow::Result<Value> {
    let page = api.get("/api/v1/ledger", &[])?;
    let lines = page["lines"].as_array().cloned().unwrap_or_default();
    Ok(lines.into_iter().find(|line| line["source"] == source).unwrap_or_default())
}

#[test]
fn what_was_sent_is_what_we_hold() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = start(dir.path())?;
    let api = server.api()?;
    let mut device = TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?;
    for number in 0..1_234 {
        writeln!(device, "<13>1 2026-01-15T08:00:00Z esb app - - - canhledger {number}")?;
    }
    drop(device);
    let source = "syslog_tcp:127.0.0.1";
    wait_until("the ledger to hold what was sent", WAIT, || {
        let line = line(&api, source)?;
        Ok(line["state"] == "complete" && line["stored"] == 1_234)
    })?;
    let counts = line(&api, source)?;
    for name in ["received", "journaled", "detected", "stored"] {
        assert_eq!(counts[name], 1_234, "{name}: {counts}");
    }
    assert_eq!((&counts["duplicates"], &counts["dropped"]), (&0.into(), &json!([])));
    assert_eq!(api.count(&format!("canh.source:\"{source}\""))?, 1_234);

    let (code, output) = server.command(&["ledger"])?;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("complete") && output.contains(source), "{output}");
    let (code, output) = server.command(&["ledger", "--source", source, "--json"])?;
    let hours: Value = serde_json::from_str(&output)?;
    assert_eq!((code, &hours["lines"][0]["journaled"]), (0, &1_234.into()), "{output}");
    Ok(())
}

#[test]
fn batches_that_never_came_raise_an_alert_and_are_crossed_out_when_they_come() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = start(dir.path())?;
    let api = server.api()?;
    for sequence in [1, 2, 6, 7] {
        send(&server, &api, sequence, 3)?;
    }
    // What came twice is counted, and kept once.
    send(&server, &api, 7, 3)?;
    let alert = || -> anyhow::Result<Option<Value>> {
        Ok(api.alerts()?.into_iter().find(|alert| alert["title"] == "Acknowledged Data Is Missing"))
    };
    wait_until("the alert of the gap", WAIT, || Ok(alert()?.is_some()))?;
    let page = api.get("/api/v1/ledger", &[])?;
    let gap = &page["gaps"][0];
    assert_eq!(
        (&gap["source"], &gap["kind"], &gap["first"], &gap["last"], &gap["missing"]),
        (&AGENT.into(), &"batches".into(), &"3".into(), &"5".into(), &3.into()),
        "{page}"
    );
    let counts = line(&api, AGENT)?;
    let expected = (&"gap".into(), &12.into(), &3.into(), &15.into());
    assert_eq!(
        (&counts["state"], &counts["journaled"], &counts["duplicates"], &counts["received"]),
        expected,
        "{counts}"
    );
    let (code, output) = server.command(&["ledger"])?;
    assert_eq!(code, 1, "{output}");
    let told = format!("missing: 3 batches of {AGENT}, 3 to 5 of spool 00000000000000ff");
    assert!(output.contains(&told), "{output}");
    wait_until("the event of the gap", WAIT, || Ok(api.count("canh.ledger.kind:batches")? > 0))?;
    assert_eq!(api.count("canh.ledger.kind:batches")?, 1, "told once");

    // It is known after a restart too, and heals when the agent sends what it had kept.
    server.process.kill()?;
    server.restart()?;
    for sequence in [4, 3, 5] {
        send(&server, &api, sequence, 3)?;
    }
    wait_until("the gap to heal", WAIT, || {
        let page = api.get("/api/v1/ledger", &[])?;
        let gaps = page["gaps"].as_array().cloned().unwrap_or_default();
        Ok(!gaps.is_empty() && gaps.iter().all(|gap| gap["healed"].is_string()))
    })?;
    wait_until("all of it to be stored", WAIT, || Ok(line(&api, AGENT)?["stored"] == 21))?;
    assert_eq!(line(&api, AGENT)?["state"], "complete");
    Ok(())
}
