//! The demo scenario through the real doors, judged by its ground truth.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, program, wait_until, workspace};
use serde_json::Value;

#[test]
fn every_step_of_the_attack_is_found_and_nothing_ordinary_is_high() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(
        dir.path(),
        &ServerOptions { rules: vec![workspace().join("rules")], ..ServerOptions::default() },
    )?;
    let agent = program("canh-agent")?.display().to_string();
    let (code, output) = server.command(&["demo", "--agent", &agent, "--seed", "11"])?;
    assert_eq!(code, 0, "{output}");

    let truth: Value = serde_json::from_slice(&fs::read(server.data().join("demo/ground_truth.json"))?)?;
    let mut expected = BTreeSet::new();
    for step in truth["steps"].as_array().expect("the truth has steps") {
        expected.extend(step["rules"].as_array().into_iter().flatten().filter_map(Value::as_str));
    }
    let alerts = server.api()?.alerts()?;
    let fired: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert["rule_id"].as_str()).collect();
    let missed: Vec<_> = expected.difference(&fired).collect();
    assert!(missed.is_empty(), "rules that should have fired: {missed:?}\n{output}");
    let serious: BTreeSet<&str> = alerts
        .iter()
        .filter(|alert| matches!(alert["level"].as_str(), Some("high" | "critical")))
        .filter_map(|alert| alert["rule_id"].as_str())
        .collect();
    let false_alarms: Vec<_> = serious.difference(&expected).collect();
    assert!(false_alarms.is_empty(), "serious alerts about ordinary traffic: {false_alarms:?}\n{output}");

    // What went in is what is there, source by source.
    let manifest: Value = serde_json::from_slice(&fs::read(server.data().join("demo/manifest.json"))?)?;
    let api = server.api()?;
    for (file, query) in [
        ("auth.log", "log.file.path:*auth.log"),
        ("nginx-access.log", "log.file.path:*nginx-access.log"),
        ("windows.ndjson", "product:windows"),
    ] {
        let files = manifest["files"].as_array().into_iter().flatten();
        let sent: u64 = files
            .filter(|entry| entry["path"].as_str().is_some_and(|path| path.ends_with(file)))
            .filter_map(|entry| entry["records"].as_u64())
            .sum();
        assert_eq!(api.count(query)?, sent, "{file}");
    }

    every_alert_is_judged_again_alike(&server, &alerts)?;
    a_rule_that_did_not_fire_says_why(&server, &alerts)?;
    a_backtest_finds_what_the_stream_found(&server, &alerts)?;
    whoever_sent_it_is_not_missed(&server)?;
    every_sample_comes_through(&server)
}

/// With nothing but what the server hands out: text, hashes and events.
fn every_alert_is_judged_again_alike(server: &Server, alerts: &[Value]) -> anyhow::Result<()> {
    for alert in alerts {
        let saved = server.dir.join("evidence.json").display().to_string();
        let (code, output) = server.command(&["alerts", "verify", &alert["id"].to_string(), "--save", &saved])?;
        assert_eq!(code, 0, "{}: {output}", alert["title"]);
        // One byte of the rule changed, and the evidence says so, without a server.
        let text = fs::read_to_string(&saved)?.replacen("title: ", "title:  ", 1);
        fs::write(&saved, text)?;
        let (code, output) = server.command(&["alerts", "verify", "--evidence", &saved])?;
        assert!(code == 1 && output.contains("does not have the hash"), "{output}");
    }
    Ok(())
}

fn a_rule_that_did_not_fire_says_why(server: &Server, alerts: &[Value]) -> anyhow::Result<()> {
    let api = server.api()?;
    let rule = alerts[0]["rule_id"].as_str().expect("an alert has a rule");
    let event = api.events("service:sudo")?.pop().expect("the scenario has lines of sudo");
    let (code, output) = server.command(&["rules", "explain", rule, event["id"].as_str().expect("an id")])?;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("does not hold") || output.contains("never looks at it"), "{output}");
    Ok(())
}

fn a_backtest_finds_what_the_stream_found(server: &Server, alerts: &[Value]) -> anyhow::Result<()> {
    let title = "SSH Log-in from the DMZ into an Inner Zone";
    let streamed: Vec<&Value> = alerts.iter().filter(|alert| alert["title"] == title).collect();
    let count: u64 = streamed.iter().filter_map(|alert| alert["count"].as_u64()).sum();
    let rule = streamed[0]["rule_id"].as_str().expect("an alert has a rule");
    let (code, output) = server.command(&["rules", "backtest", rule, "--since", "7d", "--json"])?;
    assert_eq!(code, 0, "{output}");
    let result: Value = serde_json::from_str(output.lines().last().unwrap_or_default())?;
    assert_eq!(result["findings"].as_u64(), Some(count), "{result}");
    Ok(())
}

fn whoever_sent_it_is_not_missed(server: &Server) -> anyhow::Result<()> {
    let api = server.api()?;
    wait_until("the senders to be known as those of the demo", Duration::from_secs(30), || {
        let agents = api.get("/api/v1/agents", &[])?;
        let items = agents["items"].as_array().cloned().unwrap_or_default();
        Ok(items.len() > 5 && items.iter().all(|agent| agent["status"] == "demo"))
    })
}

fn every_sample_comes_through(server: &Server) -> anyhow::Result<()> {
    let api = server.api()?;
    let proven = || -> anyhow::Result<(usize, Vec<String>)> {
        let rules = api.get("/api/v1/rules", &[])?;
        let items = rules["items"].as_array().cloned().unwrap_or_default();
        let sent = items.iter().filter(|rule| rule["canary"].is_string()).count();
        let silent = items.iter().filter(|rule| rule["canary"].is_string() && rule["canary"] != "fired");
        Ok((sent, silent.map(|rule| rule["title"].to_string()).collect()))
    };
    let folders = walk(&workspace().join("rules"))?;
    wait_until("a sample of each rule to come through", Duration::from_secs(120), || Ok(proven()?.0 >= folders))?;
    assert_eq!(proven()?.1, Vec::<String>::new(), "rules that are silent on their own sample");
    Ok(())
}

/// Folders with a positive sample that needs no passing of time.
fn walk(dir: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            count += walk(&path)?;
        } else if path.file_name().is_some_and(|name| name == "match.ndjson") {
            count += usize::from(fs::read_to_string(&path)?.lines().any(|line| !line.contains("\"after\"")));
        }
    }
    Ok(count)
}
