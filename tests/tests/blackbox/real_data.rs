//! Input that nobody here wrote: captures through the agent, Windows and Zeek events over HTTP.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use canh_tests::{Server, ServerOptions, shared_data, wait_until};

/// A compressed file, unpacked by the tool of the machine.
fn unpacked(path: &Path) -> anyhow::Result<Vec<u8>> {
    let tool = if path.extension().is_some_and(|end| end == "zst") { "zstdcat" } else { "zcat" };
    let output = Command::new(tool)
        .arg(path)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{tool}`"))?;
    ensure!(output.status.success(), "{tool} {}", path.display());
    Ok(output.stdout)
}

/// Posts lines in parts that the door takes.
fn post(server: &Server, lines: &[u8]) -> anyhow::Result<u64> {
    let (api, token) = (server.api()?, server.ingest_token()?);
    let mut count = 0;
    let mut part: Vec<u8> = Vec::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        part.extend_from_slice(line);
        count += 1;
        if part.len() > 4 << 20 {
            let (status, body) = api.post(&server.ndjson_url(), &token, "application/x-ndjson", &part)?;
            ensure!(status == 200, "{status} {body}");
            part.clear();
        }
    }
    if !part.is_empty() {
        let (status, body) = api.post(&server.ndjson_url(), &token, "application/x-ndjson", &part)?;
        ensure!(status == 200, "{status} {body}");
    }
    Ok(count)
}

#[test]
fn windows_and_zeek_events_arrive_whole_and_sigma_rules_fire_on_them() -> anyhow::Result<()> {
    let Some(shared) = shared_data() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let rules = dir.path().join("sigma");
    fs::create_dir(&rules)?;
    let archive = shared.join("detection/sigma/sigmahq-8eaafff1.tar.zst");
    let status = Command::new("tar").arg("--zstd").arg("-xf").arg(&archive).arg("-C").arg(&rules).status()?;
    ensure!(status.success(), "tar {}", archive.display());
    let server = Server::start(dir.path(), &ServerOptions { rules: vec![rules], ..ServerOptions::default() })?;
    let api = server.api()?;

    let windows = post(&server, &unpacked(&shared.join("detection/regression/regression.jsonl.gz"))?)?;
    let attack = post(&server, &unpacked(&shared.join("detection/corpus/evtx-flat.jsonl.gz"))?)?;
    let zeek = post(&server, &unpacked(&shared.join("detection/corpus/zeek.jsonl.gz"))?)?;
    wait_until("everything to be stored", Duration::from_secs(120), || {
        Ok(api.count("product:windows OR product:zeek")? >= windows + attack + zeek)
    })?;
    assert_eq!(api.count("product:windows")?, windows + attack);
    assert_eq!(api.count("product:zeek")?, zeek);
    wait_until("detection to have seen everything", Duration::from_secs(120), || {
        Ok(api.get("/api/v1/rules", &[])?["items"]
            .as_array()
            .is_some_and(|items| items.iter().filter(|rule| rule["findings"].as_u64() > Some(0)).count() > 350))
    })?;
    println!("{windows} + {attack} Windows events and {zeek} Zeek records in, the same out");
    Ok(())
}

#[test]
fn captures_go_through_the_agent() -> anyhow::Result<()> {
    let Some(shared) = shared_data() else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &ServerOptions::default())?;
    let mut captures: Vec<_> = fs::read_dir(shared.join("pcap/zeek"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "pcap"))
        .collect();
    captures.sort();
    captures.truncate(60);
    ensure!(captures.len() == 60, "too few captures");
    let mut inputs = String::new();
    for path in &captures {
        inputs.push_str(&format!("[[input.capture]]\nfile = {:?}\n", path.display().to_string()));
    }
    let broken = dir.path().join("broken.pcap");
    fs::File::create(&broken)?.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 9, 9])?;
    inputs.push_str(&format!("[[input.capture]]\nfile = {:?}\n", broken.display().to_string()));
    let config = server.agent_config("sensor", &inputs)?;
    let mut agent = server.agent(&config, &["--once"])?;
    agent.wait(Duration::from_secs(120)).with_context(|| agent.output())?;
    let api = server.api()?;
    wait_until("flows to be stored", Duration::from_secs(30), || Ok(api.count("class:flow")? > 100))?;
    assert!(agent.output().contains("broken.pcap"), "the broken capture is named: {}", agent.output());
    println!(
        "60 captures in, {} flows, {} DNS, {} TLS and {} HTTP records out",
        api.count("class:flow")?,
        api.count("event.dataset:dns")?,
        api.count("event.dataset:tls")?,
        api.count("event.dataset:http")?
    );
    Ok(())
}
