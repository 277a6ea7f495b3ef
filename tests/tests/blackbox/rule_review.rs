//! Rules of others raise nothing until somebody enabled them; what was decided holds over reloads and restarts, and a
//! rule that changed since says so.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use canh_schema::Timestamp;
use canh_tests::{Api, Server, ServerOptions, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const WAIT: Duration = Duration::from_secs(30);
const ID: &str = "3f0d2c1e-7a44-4f0b-9a55-0d5f0a9b7c01";

fn rule(value: &str) -> String {
    format!(
        "title: A Rule of Others\nid: {ID}\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n  \
         selection:\n    message|contains: 'canhreview {value}'\n  condition: selection\nlevel: high\n"
    )
}

/// A line of sshd, written now.
fn send(server: &Server, host: &str) -> anyhow::Result<()> {
    let line = format!("<38>1 {} {host} sshd 7 - - canhreview bad\n", Timestamp::now());
    Ok(TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?.write_all(line.as_bytes())?)
}

fn seen(api: &Api) -> anyhow::Result<Value> {
    Ok(api.get(&format!("/api/v1/rules/{ID}"), &[])?["rule"].clone())
}

/// Once detection has looked at everything that was sent.
fn alerts(api: &Api, events: u64) -> anyhow::Result<usize> {
    wait_until("the events to be judged and stored", WAIT, || {
        Ok(api.count("canhreview")? == events && api.metric("canh_detection_position")? > 0.0)
    })?;
    std::thread::sleep(Duration::from_millis(300));
    Ok(api.alerts()?.len())
}

/// Has the rules loaded again, and waits until they are.
fn reload(server: &Server, api: &Api) -> anyhow::Result<()> {
    let loaded = || anyhow::Ok(api.get("/api/v1/rules", &[])?["loaded_at"].clone());
    let before = loaded()?;
    kill(Pid::from_raw(i32::try_from(server.process.id())?), Signal::SIGHUP)?;
    wait_until("the rules to be loaded again", WAIT, || Ok(loaded()? != before))
}

fn enabled_by(server: &Server, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    server.command(&[&["rules"], arguments].concat())
}

#[test]
fn rules_of_others_wait_for_a_review() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (from, into) = (dir.path().join("from"), dir.path().join("imported"));
    fs::create_dir(&from)?;
    fs::create_dir(&into)?;
    fs::write(from.join("a.yml"), rule("bad"))?;
    let options = ServerOptions { rules: vec![into.clone()], ..ServerOptions::default() };
    let mut server = Server::start(dir.path(), &options)?;
    let api = server.api()?;
    let text = |path: &Path| path.display().to_string();
    let (code, output) = server.command(&["rules", "import", &text(&from), "--into", &text(&into)])?;
    assert_eq!(code, 0, "{output}");
    reload(&server, &api)?;

    assert_eq!(seen(&api)?["state"], "needs_review");
    send(&server, "one")?;
    assert_eq!(alerts(&api, 1)?, 0, "a rule that waits raises nothing");

    // Without a backtest nobody enables it, over the API either.
    let cli = fs::read_to_string(server.data().join("cli.token"))?;
    let hash = api.get(&format!("/api/v1/rules/{ID}"), &[])?["hash"].clone();
    let decide = |hash: &Value| {
        let url = format!("http://127.0.0.1:{}/api/v1/rules/{ID}/review", server.ports.console);
        let body = serde_json::json!({"decision": "enabled", "hash": hash}).to_string();
        api.post(&url, cli.trim(), "application/json", body.as_bytes())
    };
    let (status, body) = decide(&hash)?;
    assert!(status == 409 && body.contains("rule_backtest_missing"), "{status}: {body}");
    let (status, body) = decide(&"00".into())?;
    assert!(status == 409 && body.contains("rule_changed_meanwhile"), "{status}: {body}");

    let (code, output) = enabled_by(&server, &["enable", ID])?;
    assert!(code == 1 && output.contains("say --yes"), "{code}: {output}");
    let (code, output) = enabled_by(&server, &["enable", ID, "--since", "1d", "--yes", "--note", "agreed"])?;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("1 events read, 1 matter, 1 findings, 1 alerts"), "{output}");
    let rule_now = seen(&api)?;
    let review = &rule_now["review"];
    assert_eq!(
        (&rule_now["state"], &review["who"], &review["note"]),
        (&"enabled".into(), &"canh-cli".into(), &"agreed".into())
    );
    assert_eq!((&review["changed"], &review["backtest"]["alerts"]), (&false.into(), &1.into()));
    wait_until("the rule to find something", WAIT, || {
        send(&server, "two")?;
        Ok(!api.alerts()?.is_empty())
    })?;

    // It changes: it goes on, and says that nobody has looked at it since.
    fs::write(into.join("a.yml"), rule("b?d"))?;
    reload(&server, &api)?;
    let changed = seen(&api)?;
    assert_eq!((&changed["state"], &changed["review"]["changed"]), (&"enabled".into(), &true.into()));

    let (code, output) = enabled_by(&server, &["disable", ID, "--note", "noise"])?;
    assert_eq!(code, 0, "{output}");
    reload(&server, &api)?;
    server.process.stop(WAIT)?;
    server.restart()?;
    let api = server.api()?;
    assert_eq!((&seen(&api)?["state"], &seen(&api)?["review"]["note"]), (&"disabled".into(), &"noise".into()));
    let (events, before) = (api.count("canhreview")?, api.alerts()?.len());
    send(&server, "three")?;
    assert_eq!(alerts(&api, events + 1)?, before, "a disabled rule raises nothing, after a restart too");
    Ok(())
}
