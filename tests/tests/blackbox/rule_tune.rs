//! A shipped rule that is noisy here: people close its alerts, `canh rules tune` finds what the noise has in common, and
//! with the filter in force the noise is silent and the true positive is not.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use canh_schema::Timestamp;
use canh_tests::{Api, Server, ServerOptions, wait_until, workspace};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(60);
/// Root Logged In by Password.
const RULE: &str = "ea8bf8e4-113e-4a5b-a5f8-3c9b2ec826b8";
const FOLDER: &str = "linux/ssh-root-password";
/// What backs the servers up, as root.
const BACKUP: &str = "10.20.9.44";
const ATTACKER: &str = "203.0.113.99";
const SERVERS: u64 = 8;

fn login(server: &Server, host: &str, from: &str) -> anyhow::Result<()> {
    let line = format!(
        "<38>1 {} {host} sshd 812 - - Accepted password for root from {from} port 50122 ssh2\n",
        Timestamp::now()
    );
    Ok(TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?.write_all(line.as_bytes())?)
}

fn close(server: &Server, api: &Api, alert: &Value, reason: &str) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{}/api/v1/alerts/{}/status", server.ports.console, alert["id"]);
    let token = fs::read_to_string(server.data().join("cli.token"))?;
    let body = json!({"status": "closed", "reason": reason}).to_string();
    let (status, answer) = api.post(&url, token.trim(), "application/json", body.as_bytes())?;
    anyhow::ensure!(status == 200, "{status}: {answer}");
    Ok(())
}

fn of_rule(api: &Api) -> anyhow::Result<Vec<Value>> {
    Ok(api.alerts()?.into_iter().filter(|alert| alert["rule_id"] == RULE).collect())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

#[test]
fn a_noisy_rule_is_tuned_and_still_finds_what_it_must() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("rules");
    copy(&workspace().join("rules").join(FOLDER), &rules.join(FOLDER))?;
    let server = Server::start(dir.path(), &ServerOptions { rules: vec![rules.clone()], ..ServerOptions::default() })?;
    let api = server.api()?;
    let (rules_path, filter) = (rules.display().to_string(), rules.join("noise.yml"));
    let filter_path = filter.display().to_string();
    let tune = |more: &[&str]| server.command(&[&["rules", "tune", RULE, "--since", "1d"][..], more].concat());

    for number in 0..SERVERS {
        login(&server, &format!("srv{number}"), BACKUP)?;
    }
    login(&server, "gate", ATTACKER)?;
    wait_until("an alert for each server", WAIT, || Ok(of_rule(&api)?.len() as u64 == SERVERS + 1))?;

    // Nobody has decided about anything: there is nothing to learn from.
    let (code, output) = tune(&["--write", &filter_path])?;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("nothing says what must be kept"), "{output}");

    for alert in of_rule(&api)? {
        let is_noise = alert["source_ip"] == BACKUP;
        // One of them is left open: the proposal has to say that it takes it too.
        if alert["host"] != "srv0" {
            close(&server, &api, &alert, if is_noise { "false_positive" } else { "true_positive" })?;
        }
    }
    wait_until("the events to be stored", WAIT, || Ok(api.count("service:sshd")? == SERVERS + 1))?;

    let (code, output) = tune(&["--rules", &rules_path, "--write", &filter_path])?;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("judged again: 7 alerts of noise, 1 true positives"), "{output}");
    assert!(output.contains("takes 7 of 7 alerts of noise"), "{output}");
    assert!(output.contains("# proof: with this filter all 1 true positives and all"), "{output}");
    assert!(output.contains("also takes 1 alerts that nobody has decided about"), "{output}");
    let written = fs::read_to_string(&filter)?;
    assert!(written.contains(&format!("source.ip: '{BACKUP}'")), "{written}");
    assert!(!written.contains(ATTACKER), "{written}");
    // The samples of the shipped rule hold with the filter beside it.
    let (code, output) = server.command(&["rules", "check", &rules_path])?;
    assert_eq!(code, 0, "{output}");
    let (code, output) = server.command(&["rules", "test", &rules_path])?;
    assert_eq!(code, 0, "{output}");

    let loaded = || anyhow::Ok(api.get("/api/v1/rules", &[])?["loaded_at"].clone());
    let before = loaded()?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the rules to be loaded again", WAIT, || Ok(loaded()? != before))?;
    let text = api.get(&format!("/api/v1/rules/{RULE}"), &[])?["text"].as_str().context("a text")?.to_owned();
    assert!(text.contains(BACKUP), "the filter is in force: {text}");

    // The engine changes between two batches, so what is sent first may still meet the one before.
    let count = |host: &str| {
        let alerts = of_rule(&api)?;
        anyhow::Ok(
            alerts
                .iter()
                .filter(|alert| alert["host"] == host)
                .map(|alert| alert["count"].as_u64().unwrap_or(0))
                .sum::<u64>(),
        )
    };
    wait_until("a log-in of the backup to be silent", WAIT, || {
        let (before, events) = (count("srv1")?, api.count("service:sshd")?);
        login(&server, "srv1", BACKUP)?;
        login(&server, "probe", ATTACKER)?;
        let probes = count("probe")?;
        wait_until("both to be judged", WAIT, || {
            Ok(count("probe")? > probes && api.count("service:sshd")? >= events + 2)
        })?;
        Ok(count("srv1")? == before)
    })?;
    let gate = count("gate")?;
    login(&server, "gate", ATTACKER)?;
    wait_until("the true positive to fire again", WAIT, || Ok(count("gate")? > gate))?;
    Ok(())
}
