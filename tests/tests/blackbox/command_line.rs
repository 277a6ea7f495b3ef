//! How the commands end, and what they say when they find nothing: a wrong query is a wrong command line, an empty range
//! is told from an empty store, and pipelines hold for every command that reads rules from files.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use canh_tests::{Server, ServerOptions, wait_until, workspace};

#[test]
fn what_cannot_be_read_ends_with_two() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let check = |arguments: &[&str], code: i32, words: &str| -> anyhow::Result<()> {
        let (ended, output) = server.command(arguments)?;
        assert!(ended == code && output.contains(words), "{arguments:?} ended with {ended}: {output}");
        Ok(())
    };
    check(&["hunt", "source.ip:("], 2, "query")?;
    check(&["hunt", "a", "--since", "soon"], 2, "time span")?;
    check(&["hunt", "a", "--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"], 2, "")?;
    check(&["tail", "a AND", "--count", "1"], 2, "query")?;
    for command in ["check", "test"] {
        check(&["rules", command, "/nonexistent"], 2, "there is no `/nonexistent`")?;
    }
    check(&["rules", "bench", "/nonexistent", "--events", "/nonexistent"], 2, "there is no `/nonexistent`")?;
    check(&["rules", "import", "/nonexistent"], 2, "there is no directory `/nonexistent`")?;
    check(&["yara", "check", "/nonexistent"], 2, "there is no `/nonexistent`")?;
    // What is asked for well and is not there, is no wrong use.
    check(&["rules", "backtest", "no-such-rule"], 1, "no-such-rule")?;
    check(&["rules", "enable", "no-such-rule", "--yes"], 1, "no-such-rule")?;
    Ok(())
}

#[test]
fn an_empty_range_says_where_the_events_are() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let (code, output) = server.command(&["hunt", ""])?;
    assert!(code == 0 && output.contains("no events at all"), "{code}: {output}");
    let line = b"<38>1 2026-01-15T03:00:00Z gate sshd 7 - - Failed password for root from 203.0.113.9 port 4022 ssh2\n";
    TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?.write_all(line)?;
    let api = server.api()?;
    wait_until("the event to be stored", Duration::from_secs(30), || Ok(api.count("service:sshd")? == 1))?;
    let (code, output) = server.command(&["hunt", "service:sshd", "--since", "1h"])?;
    assert!(code == 0 && output.contains("the newest that does is of 2026-01-15T03:00:00Z"), "{code}: {output}");
    let (code, output) = server.command(&["hunt", "service:cron", "--since", "1h"])?;
    assert!(code == 0 && output.contains("whatever its time; the newest event of all is of 2026"), "{code}: {output}");
    Ok(())
}

#[test]
fn pipelines_hold_for_every_command() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let folder = dir.path().join("rules/named-otherwise");
    fs::create_dir_all(&folder)?;
    let shipped = workspace().join("rules/linux/ssh-root-password");
    let rule = fs::read_to_string(shipped.join("rule.yml"))?.replace("user.name: root", "account: root");
    fs::write(folder.join("rule.yml"), rule)?;
    for name in ["match.ndjson", "no_match.ndjson"] {
        fs::copy(shipped.join(name), folder.join(name))?;
    }
    let pipeline = dir.path().join("names.yml");
    let step = "name: names\ntransformations:\n  - type: field_name_mapping\n    mapping: {account: user.name}\n";
    fs::write(&pipeline, step)?;
    let records = dir.path().join("records.log");
    fs::write(
        &records,
        "Jan 15 03:00:00 API-Svr sshd[812]: Accepted password for root from 10.20.0.5 port 50122 ssh2\n",
    )?;
    let events = dir.path().join("events.ndjson");
    fs::write(&events, "{\"message\":\"x\"}\n")?;

    let line = b"<38>1 2026-01-15T03:00:00Z gate sshd 7 - - Accepted password for root from 10.20.0.5 port 4022 ssh2\n";
    TcpStream::connect(("127.0.0.1", server.ports.syslog_tcp))?.write_all(line)?;
    let api = server.api()?;
    wait_until("the event to be stored", Duration::from_secs(30), || Ok(api.count("service:sshd")? == 1))?;

    let text = |path: &std::path::Path| path.display().to_string();
    let (rules, file) = (text(&dir.path().join("rules")), text(&folder.join("rule.yml")));
    let (pipeline, broken) = (text(&pipeline), dir.path().join("broken.yml"));
    fs::write(&broken, "transformations:\n  - type: nothing\n")?;
    let broken = text(&broken);
    let (records, events, into) = (text(&records), text(&events), text(&dir.path().join("imported")));
    for (arguments, words) in [
        (vec!["rules", "check", &rules], "1 rules load, 0 do not"),
        (vec!["rules", "test", &rules, "--mutate"], "0 failures"),
        (vec!["rules", "bench", &rules, "--events", &events], "1 rules compiled"),
        (vec!["rules", "import", &rules, "--into", &into], "1 rules load, 0 do not"),
        (vec!["rules", "explain", &file, &records], "the condition holds"),
        (vec!["rules", "backtest", &file, "--since", "3650d"], "1 events read, 1 matter, 1 findings, 1 alerts"),
    ] {
        let plain = server.command(&arguments)?;
        assert!(!plain.1.contains(words), "without the pipeline: {arguments:?}: {}", plain.1);
        let with = [&arguments[..], &["--pipeline", &pipeline]].concat();
        let (code, output) = server.command(&with)?;
        assert!(code == 0 && output.contains(words), "{with:?} ended with {code}: {output}");
        let with = [&arguments[..], &["--pipeline", &broken]].concat();
        let (code, output) = server.command(&with)?;
        assert!(code == 1 && output.contains("broken.yml:2:"), "{with:?} ended with {code}: {output}");
        let gone = [&arguments[..], &["--pipeline", "/nonexistent"]].concat();
        assert_eq!(server.command(&gone)?.0, 2, "{gone:?}");
    }
    Ok(())
}
