//! What users get wrong and what senders send: each has a clear word about what, where and what to do, and nothing
//! else stops.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, program, wait_until};

fn canh(arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    let output = Command::new(program("canh")?).args(arguments).env_remove("CANH_DATA").output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned()))
}

/// The output has all of the words, in this order.
#[track_caller]
fn check_says(output: &str, words: &[&str]) {
    let mut rest = output;
    for word in words {
        let Some(at) = rest.find(word) else { panic!("`{word}` is not in this place of:\n{output}") };
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn an_unknown_key_is_shown_where_it_stands() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("canh.toml");
    fs::write(&file, "[collector.syslog_udp]\nlistenn = \"127.0.0.1:5514\"\n")?;
    let path = file.display().to_string();
    let (code, output) = canh(&["config", "check", &path])?;
    assert_eq!(code, 2, "{output}");
    check_says(&output, &["canh.toml:2:1", "listenn", "did you mean `listen`?"]);
    let (code, output) = canh(&["serve", "--config", &path])?;
    assert_eq!(code, 2, "{output}");
    check_says(&output, &["canh.toml:2:1", "listenn"]);
    Ok(())
}

#[test]
fn a_broken_rule_is_listed_and_the_others_work() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("rules");
    fs::create_dir(&rules)?;
    let rule = |detection: &str| {
        format!(
            "title: T\nid: 0c9fbb3e-4a9b-4f0a-9c39-6a4d3c8a1d01\nlogsource:\n  product: linux\n  service: sshd\ndetection:\n{detection}level: high\n"
        )
    };
    fs::write(rules.join("good.yml"), rule("  selection:\n    message|contains: canhgood\n  condition: selection\n"))?;
    fs::write(rules.join("bad.yml"), rule("  selection:\n    message|contians: x\n  condition: selection\n"))?;
    fs::write(rules.join("worse.yml"), "title: [unclosed\n")?;
    let path = rules.display().to_string();
    let (code, output) = canh(&["rules", "check", &path])?;
    assert_eq!(code, 1, "{output}");
    check_says(&output, &["bad.yml:8:", "contians"]);
    check_says(&output, &["worse.yml:"]);

    let server = Server::start(dir.path(), &ServerOptions { rules: vec![rules], ..ServerOptions::default() })?;
    let api = server.api()?;
    let line = "{\"raw\":1}\n<38>Jan  1 00:00:00 h sshd[1]: canhgood\n";
    api.post(&server.ndjson_url(), &server.ingest_token()?, "application/x-ndjson", b"{\"message\":\"other\"}\n")?;
    TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?
        .write_all(line.split_once('\n').map_or("", |parts| parts.1).as_bytes())?;
    wait_until("the good rule to fire", Duration::from_secs(20), || Ok(api.alerts()?.len() == 1))?;
    assert_eq!(api.get("/api/v1/rules", &[])?["errors"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[test]
fn a_port_in_use_names_port_and_key() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let file = dir.path().join("canh.toml");
    fs::write(
        &file,
        format!(
            "data = {:?}\n[collector.syslog_tcp]\nlisten = {address:?}\n[console]\nlisten = \"127.0.0.1:0\"\n[collector.otlp_grpc]\nlisten = \"127.0.0.1:0\"\n[collector.http]\nlisten = \"127.0.0.1:0\"\n[collector.syslog_udp]\nlisten = \"127.0.0.1:0\"\n[collector.flow]\nlisten = \"127.0.0.1:0\"\n",
            dir.path().join("data").display().to_string()
        ),
    )?;
    let (code, output) = canh(&["serve", "--config", &file.display().to_string()])?;
    assert_eq!(code, 1, "{output}");
    check_says(&output, &[&address]);
    check_says(&output, &["syslog_tcp"]);
    Ok(())
}

#[test]
fn hostile_lines_are_kept_cut_and_counted_and_the_rest_goes_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let (api, token) = (server.api()?, server.ingest_token()?);
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?;
    let mut long = b"<13>canhlong ".to_vec();
    long.resize(2 << 20, b'x');
    for line in [&b"<13>canhbytes \xff\xfe\x00\xc3\x28 end"[..], &long, b"<999>canhpriority", b"<13>canhlast"] {
        stream.write_all(line)?;
        stream.write_all(b"\n")?;
    }
    let (status, _) = api.post(
        &server.ndjson_url(),
        &token,
        "application/x-ndjson",
        b"{\"message\":\"canhbroken\n{\"message\":\"canhwhole\"}\n\xff\xff\n",
    )?;
    assert_eq!(status, 200);
    for word in ["canhbytes", "canhlong", "canhpriority", "canhlast", "canhbroken", "canhwhole"] {
        wait_until(word, Duration::from_secs(20), || Ok(api.count(word)? == 1))?;
    }
    assert_eq!(api.count("canhbytes AND issue:invalid_utf8")?, 1);
    assert_eq!(api.count("canhlong AND issue:truncated")?, 1);
    assert!(
        api.metric("canh_dropped_total{reason=\"truncated\",stage=\"syslog_tcp\"}")? >= 1.0,
        "{}",
        api.request("/metrics", &[])?.1
    );
    Ok(())
}

#[test]
fn a_wrong_token_is_refused_with_a_word_about_it() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let api = server.api()?;
    let (status, body) = api.post(&server.ndjson_url(), "wrong", "application/x-ndjson", b"{}\n")?;
    assert_eq!(status, 401, "{body}");
    check_says(&body, &["token"]);
    let console = format!("http://127.0.0.1:{}/api/v1/setup", server.ports.console);
    let setup = br#"{"token":"wrong","username":"quantri","password":"mot mat khau du dai 1"}"#;
    let (status, body) = api.post(&console, "", "application/json", setup)?;
    assert!((400..500).contains(&status), "{status} {body}");
    check_says(&body, &["token"]);
    // The agent says what to do, and keeps what it has read.
    fs::write(dir.path().join("in.log"), "canhkept\n")?;
    let config = server.agent_config(
        "lost",
        &format!(
            "[[input.file]]\npath = [{:?}]\nstart = \"beginning\"\n",
            dir.path().join("in.log").display().to_string()
        ),
    )?;
    let text = fs::read_to_string(&config)?;
    fs::write(dir.path().join("wrong.token"), "wrong\n")?;
    let token_path = server.data().join("agent.token").display().to_string();
    let wrong_path = dir.path().join("wrong.token").display().to_string();
    fs::write(&config, text.replace(&token_path, &wrong_path))?;
    let agent = server.agent(&config, &[])?;
    wait_until("the agent to say that its token is wrong", Duration::from_secs(20), || {
        Ok(agent.output().contains("token"))
    })?;
    drop(agent);
    fs::write(&config, text)?;
    let _agent = server.agent(&config, &[])?;
    wait_until("what was read before to arrive", Duration::from_secs(30), || Ok(api.count("canhkept")? == 1))
}

#[test]
fn a_torn_journal_and_a_missing_directory_do_not_stop_the_start() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &ServerOptions::default())?;
    let (api, token) = (server.api()?, server.ingest_token()?);
    api.post(&server.ndjson_url(), &token, "application/x-ndjson", b"{\"message\":\"canhbefore\"}\n")?;
    server.process.kill()?;
    // A write that a power cut broke off: bytes at the end of the last file that are no record.
    let journal = server.data().join("journal");
    let mut files: Vec<_> = fs::read_dir(&journal)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "log"))
        .collect();
    files.sort();
    let last = files.last().expect("the journal has a file");
    fs::File::options().append(true).open(last)?.write_all(&[0xAB; 77])?;
    server.restart()?;
    api.post(&server.ndjson_url(), &token, "application/x-ndjson", b"{\"message\":\"canhafter\"}\n")?;
    for word in ["canhbefore", "canhafter"] {
        wait_until(word, Duration::from_secs(20), || Ok(api.count(word)? == 1))?;
    }
    Ok(())
}
