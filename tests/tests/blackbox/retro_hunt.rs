//! Rules of the kind `indicator`, and the look back when lists change: one match is one alert, its verdict can be had again
//! without the list, and what was hunted for is not hunted again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use canh_tests::{Api, Server, ServerOptions, wait_until};
use nix::sys::signal::Signal;
use serde_json::Value;

const WAIT: Duration = Duration::from_secs(40);

const RULE: &str = "title: Question\nname: asked\nlogsource: {category: dns}\n\
    detection: {s: {dns.question.name|contains: .}, condition: s}\n---\n\
    title: Listed name asked for\nid: listed-name\nlevel: critical\ncorrelation:\n  type: indicator\n  rules: [asked]\n\
  \x20 condition: {indicator: domain, confidence: 60}\n";

/// A question at a time of its own, in a category that the rule wants or in another one.
fn question(server: &Server, api: &Api, category: &str, minutes: i64, name: &str) -> anyhow::Result<String> {
    let time = canh_schema::Timestamp::now().saturating_sub(Duration::from_secs(60 * minutes.unsigned_abs()));
    let time = time.floor_to(1_000_000_000).to_string();
    let line = format!(
        "{{\"_category\":\"{category}\",\"@timestamp\":\"{time}\",\"host.name\":\"h-{category}\",\"dns.question.name\":\"{name}\",\"message\":\"canhretro\"}}\n"
    );
    api.post(&server.ndjson_url(), &server.ingest_token()?, "application/x-ndjson", line.as_bytes())?;
    Ok(time)
}

fn ids(api: &Api) -> anyhow::Result<Vec<String>> {
    let mut ids: Vec<String> =
        api.alerts()?.iter().map(|alert| alert["rule_id"].as_str().unwrap_or_default().to_owned()).collect();
    ids.sort();
    Ok(ids)
}

fn alert(api: &Api, rule: &str) -> anyhow::Result<Value> {
    Ok(api.alerts()?.into_iter().find(|alert| alert["rule_id"] == rule).unwrap_or_default())
}

fn verify(server: &Server, dir: &Path, alert: &Value) -> anyhow::Result<()> {
    let (id, data) = (alert["id"].to_string(), server.data().display().to_string());
    let evidence = dir.join("evidence.json").display().to_string();
    let (code, output) = server.command(&["alerts", "verify", &id, "--data", &data, "--save", &evidence])?;
    assert_eq!(code, 0, "{alert}\n{output}");
    // Another program, without server and lists.
    let (code, output) = server.command(&["alerts", "verify", "--evidence", &evidence])?;
    assert_eq!(code, 0, "{alert}\n{output}");
    let text = fs::read_to_string(&evidence)?;
    fs::write(&evidence, text.replace("evil.example", "good.example"))?;
    let (code, output) = server.command(&["alerts", "verify", "--evidence", &evidence])?;
    assert_eq!(code, 1, "a changed proof does not hold: {output}");
    Ok(())
}

#[test]
fn new_indicators_are_hunted_once_and_rules_say_what_a_match_is() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (lists, rule) = (dir.path().join("lists"), dir.path().join("rule.yml"));
    fs::create_dir(&lists)?;
    fs::write(&rule, RULE)?;
    let options = ServerOptions { rules: vec![rule], indicators: vec![lists.clone()], ..ServerOptions::default() };
    let mut server = Server::start(dir.path(), &options)?;
    let api = server.api()?;

    // Before anybody knew.
    let long_ago = question(&server, &api, "dns", 300, "a.evil.example")?;
    let also = question(&server, &api, "proxy", 200, "b.evil.example")?;
    question(&server, &api, "dns", 60 * 24 * 40, "a.evil.example")?;
    question(&server, &api, "dns", 100, "good.example")?;
    wait_until("the events to be stored", WAIT, || Ok(api.count("canhretro")? == 4))?;
    assert!(api.alerts()?.is_empty());

    fs::write(lists.join("names.txt"), "#! confidence: 60\nevil.example # campaign X\n")?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the hunt", WAIT, || Ok(api.metric("canh_retro_hunts_total")? == 1.0))?;
    assert_eq!(ids(&api)?, ["retro:ioc:names:domain", "retro:listed-name"]);
    for (rule, time, level) in
        [("retro:listed-name", &long_ago, "critical"), ("retro:ioc:names:domain", &also, "medium")]
    {
        let found = alert(&api, rule)?;
        assert_eq!((&found["level"], &found["count"]), (&level.into(), &1.into()), "{found}");
        assert_eq!(found["last_time"].as_str(), Some(time.as_str()), "{found}");
        assert!(found["title"].as_str().is_some_and(|title| title.starts_with("Retro-hunt: ")), "{found}");
        assert!(found["tags"].to_string().contains("canh.retro-hunt"), "{found}");
        verify(&server, dir.path(), &found)?;
    }
    assert_eq!(api.metric("canh_retro_hunt_findings_total")?, 2.0);

    // In the stream: the rule takes its match, the rest is the general alert.
    question(&server, &api, "dns", 0, "c.evil.example")?;
    question(&server, &api, "proxy", 0, "d.evil.example")?;
    wait_until("two more alerts", WAIT, || Ok(api.alerts()?.len() >= 4))?;
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(ids(&api)?, ["ioc:names:domain", "listed-name", "retro:ioc:names:domain", "retro:listed-name"]);
    verify(&server, dir.path(), &alert(&api, "listed-name")?)?;
    verify(&server, dir.path(), &alert(&api, "ioc:names:domain")?)?;
    assert_eq!(api.metric("canh_indicator_matches_total")?, 2.0);

    // After a restart nothing is done again; another indicator is hunted for alone.
    server.process.stop(WAIT)?;
    server.restart()?;
    let api = server.api()?;
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!((api.metric("canh_retro_hunts_total")?, api.metric("canh_retro_hunt_events_total")?), (0.0, 0.0));
    fs::write(lists.join("more.txt"), "good.example\n")?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the second hunt", WAIT, || Ok(api.metric("canh_retro_hunts_total")? == 1.0))?;
    assert_eq!(api.metric("canh_retro_hunt_events_total")?, 1.0, "only what holds the new value is read");
    wait_until("its alert", WAIT, || Ok(ids(&api)?.contains(&"retro:ioc:more:domain".to_owned())))?;
    assert_eq!(api.alerts()?.len(), 5);
    Ok(())
}

#[test]
fn places_come_from_the_table_of_own_networks() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let table = dir.path().join("networks.toml");
    let network = |name: &str| {
        format!(
            "[[network]]\ncidr = \"203.0.113.0/24\"\nname = \"{name}\"\ncountry = \"VN\"\nlocation = [21.03, 105.85]\n"
        )
    };
    fs::write(&table, network("first"))?;
    let config = format!("[collector.geo]\nnetworks = [{:?}]\n", table.display().to_string());
    let server = Server::start(dir.path(), &ServerOptions { config, ..ServerOptions::default() })?;
    let (api, token) = (server.api()?, server.ingest_token()?);
    let send = || {
        let line = b"{\"source.ip\":\"203.0.113.9\",\"destination.ip\":\"10.0.0.1\",\"message\":\"canhgeo\"}\n";
        api.post(&server.ndjson_url(), &token, "application/x-ndjson", line)
    };
    send()?;
    wait_until("the event", WAIT, || Ok(api.count("source.geo.name:first AND source.geo.country_iso_code:VN")? == 1))?;
    assert_eq!(api.count("destination.geo.name:*")?, 0);
    fs::write(&table, network("second"))?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the new table", WAIT, || {
        send()?;
        Ok(api.count("source.geo.name:second AND source.geo.location:\"21.03,105.85\"")? > 0)
    })
}
