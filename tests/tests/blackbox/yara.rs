//! Files through the door, the scanner, the journal and the rules, to an alert; and the same rules on the command line.

use std::fs;
use std::path::Path;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, wait_until, workspace};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// The harmless test file of anti-malware programs, in parts so that this file is not taken for it.
const EICAR: &[&str] = &["X5O!P%@AP[4\\PZX54(P^)7CC)7}", "$EICAR-STANDARD-ANTIVIRUS", "-TEST-FILE!$H+H*"];

/// The shipped Sigma rule about matches of YARA rules.
const YARA_MATCH: &str = "7d0c5a1e-93b4-4f6d-8a27-5e1f4b9c6d10";

fn send(server: &Server, query: &str, bytes: &[u8]) -> anyhow::Result<(u16, Value)> {
    let token = server.ingest_token()?;
    let (status, body) = server.api()?.post(&server.samples_url(query), &token, "application/octet-stream", bytes)?;
    Ok((status, serde_json::from_str(&body)?))
}

fn start(dir: &Path, yara: &Path) -> anyhow::Result<Server> {
    let options = ServerOptions {
        rules: vec![workspace().join("rules")],
        yara: vec![yara.to_owned()],
        ..ServerOptions::default()
    };
    Server::start(dir, &options)
}

#[test]
fn a_file_that_matches_ends_as_an_alert() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = start(dir.path(), &workspace().join("rules/yara"))?;
    let query = "name=virus.com&path=/srv/upload/virus.com&host=API-Svr&owner=www-data";
    let (status, receipt) = send(&server, query, EICAR.concat().as_bytes())?;
    assert_eq!(status, 200, "{receipt}");
    assert_eq!(receipt["matches"][0]["rule"], "eicar_test_file");
    assert_eq!((&receipt["size"], &receipt["gaps"]), (&json!(68), &json!([])));
    let (status, receipt) = send(&server, "name=clean.txt", b"nothing of interest")?;
    assert_eq!((status, &receipt["matches"]), (200, &json!([])));

    let api = server.api()?;
    wait_until("an alert about the file", Duration::from_secs(30), || {
        Ok(api.alerts()?.iter().any(|alert| alert["rule_id"] == YARA_MATCH && alert["level"] == "high"))
    })?;
    // Searched by catalogue fields, and by names of our own.
    for (query, count) in [
        ("event.action:yara_match", 1),
        ("event.action:yara_scan", 2),
        ("product:canh AND service:yara", 3),
        ("rule.name:eicar_test_file AND host.name:API-Svr AND file.size:68 AND file.owner:www-data", 1),
        ("file.path:/srv/upload/virus.com AND file.hash.md5:44d88612fea8a8f36de82e1278abb02f", 2),
        ("yara.tags:test AND event.category:malware", 1),
        ("file.name:clean.txt AND yara.matches:0", 1),
    ] {
        wait_until(query, Duration::from_secs(30), || Ok(api.count(query)? >= count))?;
        assert_eq!(api.count(query)?, count, "query: {query}");
    }
    assert_eq!(api.metric("canh_yara_samples_total{outcome=\"match\"}")?, 1.0);
    assert_eq!(api.metric("canh_yara_rules{state=\"broken\"}")?, 0.0);
    assert!(api.metric("canh_yara_rules{state=\"loaded\"}")? > 5.0);
    Ok(())
}

#[test]
fn rules_change_while_the_server_runs() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("yara");
    fs::create_dir(&rules)?;
    fs::write(rules.join("a.yar"), "rule first { strings: $a = \"canary\" condition: $a }")?;
    let server = start(dir.path(), &rules)?;
    let (_, receipt) = send(&server, "name=a", b"a canary")?;
    assert_eq!(receipt["matches"].as_array().map(Vec::len), Some(1), "{receipt}");

    fs::write(rules.join("b.yar"), "rule second { condition: filesize == 8 }\nrule third { condition: nonsense }")?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the second rule to match", Duration::from_secs(30), || {
        Ok(send(&server, "name=a", b"a canary")?.1["matches"].as_array().is_some_and(|matches| matches.len() == 2))
    })?;
    let api = server.api()?;
    assert_eq!(api.metric("canh_yara_rules{state=\"loaded\"}")?, 2.0);
    assert_eq!(api.metric("canh_yara_rules{state=\"broken\"}")?, 1.0);

    // A slip in an edit leaves the version before in force.
    fs::write(rules.join("a.yar"), "rule renamed { strings: $a = \"canary\" condition: $b }")?;
    server.process.signal(Signal::SIGHUP)?;
    wait_until("the slip to be counted", Duration::from_secs(30), || {
        Ok(api.metric("canh_yara_rules{state=\"broken\"}")? == 2.0)
    })?;
    assert_eq!(api.metric("canh_yara_rules{state=\"loaded\"}")?, 2.0);
    let (_, receipt) = send(&server, "name=a", b"a canary")?;
    assert_eq!(receipt["matches"][0]["rule"], "first", "{receipt}");
    assert!(server.process.output().contains("the version loaded before stays in force"));
    Ok(())
}

#[test]
fn what_is_wrong_with_a_file_is_said() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = start(dir.path(), &workspace().join("rules/yara"))?;
    let error = |(status, body): (u16, Value)| (status, body["error"].as_str().unwrap_or_default().to_owned());
    let (status, words) = error(send(&server, "file=a", b"x")?);
    assert!(status == 400 && words.contains("known parameters"), "{status} {words}");
    let bare = tempfile::tempdir()?;
    let bare = Server::start(bare.path(), &ServerOptions::default())?;
    let (status, words) = error(send(&bare, "name=a", b"x")?);
    assert!(status == 404 && words.contains("`[detection]`"), "{status} {words}");
    Ok(())
}

#[test]
fn the_command_line_ends_as_grep_does() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server_less = |arguments: &[&str]| -> anyhow::Result<(i32, String, String)> {
        let output = std::process::Command::new(canh_tests::program("canh")?).args(arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
    };
    let rules = workspace().join("rules/yara").display().to_string();
    let (code, out, _) = server_less(&["yara", "check", &rules])?;
    assert!(code == 0 && out.contains("0 problems"), "{code} {out}");

    let broken = dir.path().join("broken.yar");
    fs::write(&broken, "rule a { condition: true }\nrule b { condition: c }\n")?;
    let (code, out, _) = server_less(&["yara", "check", &broken.display().to_string()])?;
    assert!(code == 1 && out.contains("broken.yar:2:21: ") && out.contains("1 rules of 1 files"), "{code} {out}");

    let files = dir.path().join("files");
    fs::create_dir_all(files.join("inside"))?;
    fs::write(files.join("inside/\u{1b}[2Jvirus.com"), EICAR.concat())?;
    fs::write(files.join("clean.txt"), "nothing")?;
    let shown = files.display().to_string();
    let (code, out, _) = server_less(&["yara", "scan", "--rules", &rules, &shown])?;
    assert_eq!(code, 0, "{out}");
    assert!(out.starts_with("eicar_test_file ") && out.contains("$head"), "{out}");
    assert!(!out.contains('\u{1b}'), "a terminal would obey this: {out:?}");

    let (code, out, _) = server_less(&["yara", "scan", "--json", "--rules", &rules, &shown])?;
    let lines: Vec<Value> = out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!((code, lines.len()), (0, 2), "{out}");
    assert_eq!(lines[1]["matches"][0]["rule"], "eicar_test_file");

    let clean = files.join("clean.txt").display().to_string();
    assert_eq!(server_less(&["yara", "scan", "--rules", &rules, &clean])?.0, 1);
    let (code, _, err) = server_less(&["yara", "scan", "--rules", &rules, &clean, "/nonexistent"])?;
    assert!(code == 2 && err.contains("/nonexistent"), "{code} {err}");
    let (code, _, err) = server_less(&["yara", "scan", "--rules", "/nonexistent", &clean])?;
    assert!(code == 2 && err.contains("no rules"), "{code} {err}");
    Ok(())
}
