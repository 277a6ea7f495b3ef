//! The demo scenario through the real doors, judged by its ground truth.

use std::collections::BTreeSet;
use std::fs;

use canh_tests::{Server, ServerOptions, program, workspace};
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
    Ok(())
}
