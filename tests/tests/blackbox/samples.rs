//! Files of a host by way of the real agent: offered by hash, sent if the server asks, and found again as alerts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use canh_tests::{Api, Process, Server, ServerOptions, wait_until, workspace};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);
/// The shipped Sigma rule about matches of YARA rules.
const YARA_MATCH: &str = "7d0c5a1e-93b4-4f6d-8a27-5e1f4b9c6d10";
const RULE: &str = r#"rule test_mark : test {
    meta: description = "harmless" severity = "high"
    strings: $mark = "CANH-HARMLESS-TEST-MARK"
    condition: $mark
}
"#;
/// Matches the rule at byte 9.
const MARKED: &str = "<?php /* CANH-HARMLESS-TEST-MARK */ ?>\n";
const MARKED_SHA256: &str = "c0f975ac68bde7abb689b7ba7d6c3e82586020c3a1544b85e4c85da660f4f8a7";
/// The harmless test file of anti-malware programs, in parts so that this file is not taken for it.
const EICAR: &[&str] = &["X5O!P%@AP[4\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*"];

/// A server with YARA rules, and a folder to watch.
struct Bench {
    dir: tempfile::TempDir,
    server: Server,
    api: Api,
}

impl Bench {
    fn new(yara: Option<&Path>) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let own = dir.path().join("yara");
        fs::create_dir(&own)?;
        fs::write(own.join("test.yar"), RULE)?;
        for name in ["web", "bin", "secret"] {
            fs::create_dir(dir.path().join(name))?;
        }
        let options = ServerOptions {
            rules: vec![workspace().join("rules")],
            yara: vec![yara.unwrap_or(&own).to_owned()],
            ..ServerOptions::default()
        };
        let server = Server::start(&dir.path().join("server"), &options)?;
        let api = server.api()?;
        Ok(Self { dir, server, api })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<PathBuf> {
        let path = self.at(name);
        // As a whole at once, so that no half-written file is offered.
        let beside = self.at("secret/being-written");
        fs::write(&beside, bytes)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o640))?;
        fs::rename(beside, &path)?;
        Ok(path)
    }

    /// Starts an agent that watches `web` and `bin`, and waits until it has looked at them once.
    fn agent(&self, name: &str, more: &str) -> anyhow::Result<Process> {
        let inputs = format!(
            r#"retry_max = "1s"
[input.samples]
url = "http://127.0.0.1:{port}"
interval = "1s"
size_max = "1MiB"
{more}
[[input.samples.tree]]
path = [{web:?}]
kinds = ["all"]
exclude = ["*.log"]
[[input.samples.tree]]
path = [{bin:?}]
"#,
            port = self.server.ports.http,
            web = self.at("web").display().to_string(),
            bin = self.at("bin").display().to_string(),
        );
        let config = self.server.agent_config(name, &inputs)?;
        let process = self.server.agent(&config, &[])?;
        let known = self.server.dir.join(format!("{name}.state/samples.known"));
        wait_until("the first look at the files", PATIENCE, || {
            let bytes = fs::read(&known).unwrap_or_default();
            let head =
                String::from_utf8_lossy(bytes.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
            Ok(head.contains("/web\"") && head.contains("/bin\""))
        })?;
        Ok(process)
    }

    fn wait_count(&self, query: &str, count: u64) -> anyhow::Result<()> {
        wait_until(query, PATIENCE, || Ok(self.api.count(query)? >= count))?;
        assert_eq!(self.api.count(query)?, count, "query: {query}");
        Ok(())
    }

    fn status(&self, name: &str) -> Value {
        let bytes = fs::read(self.server.dir.join(format!("{name}.state/status.json"))).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn dropped(&self, name: &str, reason: &str) -> u64 {
        let status = self.status(name);
        let rows = status["dropped"].as_array().cloned().unwrap_or_default();
        rows.iter().filter(|row| row[0] == "samples" && row[1] == reason).filter_map(|row| row[2].as_u64()).sum()
    }
}

fn query_of(action: &str, path: &Path) -> String {
    format!("event.action:{action} AND file.path:\"{}\"", path.display())
}

#[test]
fn what_is_dropped_into_a_web_root_ends_as_an_alert() -> anyhow::Result<()> {
    let bench = Bench::new(None)?;
    bench.write("web/was-there-before.php", MARKED.as_bytes())?;
    let mut agent = bench.agent("web01", "")?;
    let secret = bench.write("secret/key", format!("{MARKED}secret").as_bytes())?;
    symlink(&secret, bench.at("web/link.php"))?;
    symlink(bench.at("secret"), bench.at("web/folder"))?;
    nix::unistd::mkfifo(&bench.at("web/pipe.php"), Mode::S_IRWXU)?;
    bench.write("web/access.log", MARKED.as_bytes())?;
    bench.write("web/large.php", &vec![b'a'; (1 << 20) + 1])?;
    bench.write("bin/notes.txt", MARKED.as_bytes())?;
    let program = bench.write("bin/program", b"\x7fELF\x02\x01\x01 nothing of interest")?;
    let script = bench.write("bin/script", b"#!/bin/sh\necho\n")?;
    let bad = bench.write("web/anh.php", MARKED.as_bytes())?;

    bench.wait_count(&query_of("yara_match", &bad), 1)?;
    let owner = nix::unistd::User::from_uid(nix::unistd::getuid())?.map(|user| user.name).unwrap_or_default();
    let event = bench.api.events(&query_of("yara_match", &bad))?.remove(0);
    let text = event.to_string();
    for expected in ["web01", MARKED_SHA256, "test_mark", "$mark at 9 length 23", "0640", "anh.php", &owner] {
        assert!(text.contains(expected), "expected `{expected}`: {text}");
    }
    wait_until("an alert about the file", PATIENCE, || {
        Ok(bench.api.alerts()?.iter().any(|alert| alert["rule_id"] == YARA_MATCH))
    })?;
    for path in [&program, &script] {
        bench.wait_count(&query_of("yara_scan", path), 1)?;
    }
    wait_until("the large file to be counted", PATIENCE, || Ok(bench.dropped("web01", "too_large") == 1))?;

    // The same content under another name is known, and raises its own event.
    let second = bench.write("web/hai.php", MARKED.as_bytes())?;
    bench.wait_count(&query_of("yara_match", &second), 1)?;
    assert!(bench.api.events(&query_of("yara_match", &second))?[0].to_string().contains("yara.known"));
    assert_eq!(bench.api.metric("canh_yara_samples_total{outcome=\"match\"}")?, 1.0);
    assert_eq!(bench.api.metric("canh_yara_offers_total{outcome=\"known_match\"}")?, 1.0);

    // A kill, and a touch, offer nothing again; what is new afterwards is found.
    agent.kill()?;
    let touched = fs::File::options().append(true).open(&program)?;
    touched.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000))?;
    let agent = bench.agent("web01", "")?;
    let third = bench.write("web/ba.php", MARKED.as_bytes())?;
    bench.wait_count(&query_of("yara_match", &third), 1)?;
    bench.wait_count("event.action:yara_scan", 5)?;
    bench.wait_count("event.action:yara_match", 3)?;

    // What was gone and is back is a new file, though its content was there before.
    fs::remove_file(&third)?;
    // The look that finds the second of these began after the one that found the first, and so without the file.
    for name in ["web/4.txt", "web/5.txt"] {
        let path = bench.write(name, name.as_bytes())?;
        bench.wait_count(&query_of("yara_scan", &path), 1)?;
    }
    bench.write("web/ba.php", MARKED.as_bytes())?;
    bench.wait_count(&query_of("yara_match", &third), 2)?;
    drop(agent);
    Ok(())
}

#[test]
fn files_wait_for_a_server_that_is_away_and_are_offered_again_to_other_rules() -> anyhow::Result<()> {
    let mut bench = Bench::new(None)?;
    let _agent = bench.agent("web01", "")?;
    bench.server.process.kill()?;
    let bad = bench.write("web/anh.php", MARKED.as_bytes())?;
    wait_until("the file to wait", PATIENCE, || {
        let status = bench.status("web01");
        Ok(status["samples_waiting"] == 1 && status["samples_failure"].is_string())
    })?;
    bench.server.restart()?;
    bench.wait_count(&query_of("yara_match", &bad), 1)?;
    wait_until("nothing to wait", PATIENCE, || {
        let status = bench.status("web01");
        Ok(status["samples_waiting"] == 0 && status["samples_failure"].is_null())
    })?;

    // Other rules: what was offered is asked for again, once the agent hears of them.
    fs::write(bench.at("yara/more.yar"), "rule other { strings: $a = \"HARMLESS\" condition: $a }")?;
    bench.server.process.signal(Signal::SIGHUP)?;
    wait_until("two rules", PATIENCE, || Ok(bench.api.metric("canh_yara_rules{state=\"loaded\"}")? == 2.0))?;
    bench.write("web/clean.html", b"clean")?;
    bench.wait_count(&format!("{} AND rule.name:other", query_of("yara_match", &bad)), 1)?;
    bench.wait_count("event.action:yara_scan", 3)?;
    Ok(())
}

#[test]
fn a_file_that_is_on_two_machines_is_sent_once_and_alerts_twice() -> anyhow::Result<()> {
    // These rules ask for names and paths, so that only the same path counts as the same.
    let bench = Bench::new(Some(&workspace().join("rules/yara")))?;
    let bad = bench.write("web/virus.com", EICAR.concat().as_bytes())?;
    for (at, host) in ["may01", "may02"].into_iter().enumerate() {
        let _agent = bench.agent(host, "baseline = \"offer\"")?;
        let query = format!("{} AND host.name:{host} AND rule.name:eicar_test_file", query_of("yara_match", &bad));
        bench.wait_count(&query, 1)?;
        assert_eq!(bench.api.metric("canh_yara_samples_total{outcome=\"match\"}")?, 1.0);
        assert_eq!(bench.api.metric("canh_yara_offers_total{outcome=\"known_match\"}")?, at as f64);
    }
    Ok(())
}
