//! What rules remember outlives kills: no finding is lost, and none is made of an event that was counted twice.

use std::thread;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, wait_until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const WAIT: Duration = Duration::from_secs(60);
const USERS: usize = 24;

const RULES: &str = "title: Failed Log-in
name: failed
logsource: {product: memory}
detection: {s: {outcome: failed}, condition: s}
---
title: Five Failed Log-ins
id: five
correlation:
  type: event_count
  rules: [failed]
  group-by: [user]
  timespan: 12h
  condition: {gte: 5}
level: high
---
title: Failed and Opened
id: opened
correlation:
  type: temporal_ordered
  rules: [five, opens]
  generate: true
  group-by: [user]
  timespan: 12h
level: critical
---
title: Log-in
name: opens
logsource: {product: memory}
detection: {s: {outcome: opened}, condition: s}
";

#[test]
fn correlations_go_on_after_kills() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("rules");
    std::fs::create_dir(&rules)?;
    std::fs::write(rules.join("memory.yml"), RULES)?;
    let options = ServerOptions { rules: vec![rules], ..ServerOptions::default() };
    let mut server = Server::start(dir.path(), &options)?;
    let (api, token, url) = (server.api()?, server.ingest_token()?, server.ndjson_url());
    let mut random = StdRng::seed_from_u64(11);
    for round in 0..6 {
        for user in 0..USERS {
            let outcome = if round < 5 { "failed" } else { "opened" };
            let line = format!(
                "{{\"_product\":\"memory\",\"host\":{{\"name\":\"h{user:02}\"}},\"user\":\"u{user:02}\",\"outcome\":\"{outcome}\",\"message\":\"canhmemory {round}\"}}\n"
            );
            // Whoever gets no answer sends again; the rule then sees the event twice, as the journal does.
            wait_until("the event to be taken", WAIT, || {
                Ok(api
                    .post(&url, &token, "application/x-ndjson", line.as_bytes())
                    .is_ok_and(|(status, _)| status < 300))
            })?;
            if random.random_bool(0.06) {
                thread::sleep(Duration::from_millis(random.random_range(0..400)));
                // A stop keeps what is remembered; a kill leaves what was kept before.
                match random.random_bool(0.3) {
                    true => drop(server.process.stop(WAIT)?),
                    false => server.process.kill()?,
                }
                server.restart()?;
            }
        }
    }
    let of = |rule: &str| -> anyhow::Result<Vec<serde_json::Value>> {
        Ok(api.alerts()?.into_iter().filter(|alert| alert["rule_id"] == rule).collect())
    };
    wait_until("an alert for each user", WAIT, || Ok(of("opened")?.len() >= USERS && of("five")?.len() >= USERS))?;
    wait_until("the events to be stored", WAIT, || Ok(api.count("canhmemory")? >= 6 * USERS as u64))?;
    for rule in ["five", "opened"] {
        let alerts = of(rule)?;
        assert_eq!(alerts.len(), USERS, "{rule}");
        for alert in alerts {
            assert_eq!(alert["count"], 1, "{alert}");
            let (code, output) = server.command(&["alerts", "verify", &alert["id"].to_string()])?;
            assert_eq!(code, 0, "{output}");
        }
    }
    Ok(())
}
