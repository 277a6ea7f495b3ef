//! `canh import`: files of many kinds, once each, however often and through whatever interruption.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use canh_datasets::{Door, Options, generate};
use canh_schema::Timestamp;
use canh_tests::{Server, ServerOptions, program, wait_until};
use flate2::Compression;
use flate2::write::GzEncoder;

const WAIT: Duration = Duration::from_secs(60);
const LINES: u64 = 60_000;

fn gzip(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut packer = GzEncoder::new(File::create(path)?, Compression::fast());
    packer.write_all(bytes)?;
    packer.finish()?;
    Ok(())
}

#[test]
fn files_of_every_kind_are_stored_once() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let api = server.api()?;
    let files = dir.path().join("files");
    fs::create_dir(&files)?;
    fs::write(
        files.join("auth.log"),
        "<38>1 2026-01-15T08:00:00+07:00 esb sshd 7 - - Failed password for root from 203.0.113.9 port 4022 ssh2\n",
    )?;
    fs::write(files.join("firewall.csv"), "time;source.ip;what\n2026-01-15T08:00:00Z;203.0.113.10;canhimport\n")?;
    let trail = r#"{"Records":[{"eventVersion":"1.08","eventTime":"2026-01-15T01:00:00Z","eventSource":"iam.amazonaws.com","eventName":"CreateUser","awsRegion":"x","sourceIPAddress":"203.0.113.11","userAgent":"canhimport"}]}"#;
    gzip(&files.join("trail.json.gz"), trail.as_bytes())?;
    // The captures of the demo, through the agent.
    let scenario = dir.path().join("scenario");
    let options = Options { hours: 3, scale: 0.05, ..Options::new(7, Timestamp::now()) };
    let manifest = generate(&options, &scenario)?;
    for file in manifest.files.iter().filter(|file| file.door == Door::AgentCapture) {
        fs::copy(scenario.join(&file.path), files.join("capture.pcap"))?;
    }

    let agent = program("canh-agent")?.display().to_string();
    let named = files.display().to_string();
    let (code, output) = server.command(&["import", &named, "--agent", &agent, "--host", "may-cu"])?;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("3 records of 4 files, 0 problems"), "{output}");
    let queries = [
        "event.action:ssh_login source.ip:203.0.113.9",
        "source.ip:203.0.113.10 host.name:may-cu",
        "source.ip:203.0.113.11 event.action:CreateUser",
    ];
    for query in queries {
        wait_until(query, WAIT, || Ok(api.count(query)? == 1))?;
    }
    wait_until("flows", WAIT, || Ok(api.count("event.dataset:flow")? > 100))?;
    let flows = api.count("event.dataset:flow")?;

    // The same files again, under other names, and after what was noted about them is gone.
    fs::rename(&files, dir.path().join("moved"))?;
    let named = dir.path().join("moved").display().to_string();
    let again = ["import", named.as_str(), "--agent", &agent, "--host", "may-cu"];
    let (code, output) = server.command(&again)?;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("0 records of 4 files, 0 problems, 4 files were imported before"), "{output}");
    for file in fs::read_dir(server.data().join("import"))? {
        let file = file?.path();
        if file.is_file() {
            fs::remove_file(file)?;
        }
    }
    let (code, output) = server.command(&again)?;
    assert_eq!(code, 0, "{output}");
    // What came after is stored, so all that was sent before it is as well.
    api.post(&server.ndjson_url(), &server.ingest_token()?, "application/x-ndjson", b"{\"message\":\"canhlast\"}\n")?;
    wait_until("what came last", WAIT, || Ok(api.count("canhlast")? == 1))?;
    for query in queries {
        assert_eq!(api.count(query)?, 1, "{query}");
    }
    assert_eq!(api.count("event.dataset:flow")?, flows);

    // What cannot be read is named, and the rest is imported.
    fs::write(dir.path().join("broken.evtx"), b"ElfFile\0broken")?;
    let broken = dir.path().join("broken.evtx").display().to_string();
    let (code, output) = server.command(&["import", &broken, "--format", "json"])?;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("broken.evtx`: not an event log of Windows"), "{output}");
    Ok(())
}

#[test]
fn an_import_that_was_killed_goes_on() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let api = server.api()?;
    let path = dir.path().join("old.log.gz");
    let lines: String = (0..LINES)
        .map(|n| format!("<38>1 2026-01-15T08:00:00Z may01 ungdung {n} - - canhimport số {n} đã xử lý xong\n"))
        .collect();
    gzip(&path, lines.as_bytes())?;
    let taken = || api.metric("canh_door_records_total{door=\"ndjson\"}");
    for part in 1..4 {
        let before = taken()?;
        let mut import = Command::new(program("canh")?)
            .arg("import")
            .arg(&path)
            .env("CANH_DATA", server.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        wait_until("some of it to be taken", WAIT, || Ok(taken()? > before || import.try_wait()?.is_some()))?;
        import.kill()?;
        import.wait()?;
        assert!(part > 1 || taken()? < LINES as f64, "killed too late to prove anything");
    }
    let (code, output) = server.command(&["import", &path.display().to_string()])?;
    assert_eq!(code, 0, "{output}");
    wait_until("everything to be stored", WAIT, || Ok(api.count("canhimport")? >= LINES))?;
    assert_eq!(api.count("canhimport")?, LINES);
    Ok(())
}
