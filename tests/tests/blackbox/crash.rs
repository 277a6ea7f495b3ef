//! Server and agent are killed at random points of a numbered load. Whatever was acknowledged, or read from a file by
//! the agent, must be found exactly once afterwards.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use canh_tests::{Numbered, Server, ServerOptions, stored, wait_until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How often something is killed. `CANH_CRASH_KILLS` asks for more.
const KILLS: u32 = 100;

fn kills() -> u32 {
    std::env::var("CANH_CRASH_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS)
}

/// Appends numbered lines to a file until told to stop, rotating it by rename now and then. Returns how many.
fn write_lines(path: &Path, stop: &AtomicBool) -> std::io::Result<u64> {
    let mut file = File::options().create(true).append(true).open(path)?;
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            writeln!(file, "canhcrash file n{number:08} end")?;
            number += 1;
        }
        if number % 4_000 == 0 {
            fs::rename(path, path.with_extension("log.1"))?;
            file = File::options().create(true).append(true).open(path)?;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(number)
}

#[test]
fn what_was_acknowledged_is_found_exactly_once_after_a_hundred_kills() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &ServerOptions::default())?;
    let log = dir.path().join("app.log");
    File::create(&log)?;
    let inputs = format!("[[input.file]]\npath = [\"{0}*\"]\nstart = \"beginning\"\n", log.display());
    let config = server.agent_config("crash-agent", &inputs)?;
    let mut agent = server.agent(&config, &[])?;
    let api = server.api()?;
    let lines = Arc::new(Numbered::new(&server, "canhcrashhttp")?);

    let stop = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let (stop, log) = (stop.clone(), log.clone());
        move || write_lines(&log, &stop)
    });
    let poster = thread::spawn({
        let (stop, lines) = (stop.clone(), lines.clone());
        move || lines.post_until(&stop)
    });

    // The seed is printed by the assertion messages; the moments differ anyway, as the machine does.
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..kills() {
        thread::sleep(Duration::from_millis(random.random_range(20..500)));
        if random.random_bool(0.5) {
            server.process.kill()?;
            thread::sleep(Duration::from_millis(random.random_range(0..50)));
            server.restart()?;
        } else {
            agent.kill()?;
            agent = server.agent(&config, &[])?;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().expect("the writer does not panic")?;
    poster.join().expect("the sender does not panic");
    let (acknowledged, sent) = lines.counts();
    anyhow::ensure!(
        written > 1_000 && acknowledged > 500,
        "too little load to mean anything: {written} lines, {acknowledged} acknowledged"
    );

    wait_until("every line of the file to be stored", Duration::from_secs(120), || {
        Ok(api.count("canhcrash AND file")? >= written)
    })?;
    let from_file = stored(&api, "canhcrash AND file")?;
    for number in 0..written {
        assert_eq!(from_file.get(&number), Some(&1), "line {number} of {written} from the file");
    }
    assert_eq!(from_file.len() as u64, written, "lines that nobody wrote");

    lines.check()?;
    // Its own metrics would come between the two questions.
    agent.kill()?;
    // The ledger counted it through all the kills, and says the same as the store.
    let ledger = |name: &str| -> anyhow::Result<Vec<(String, u64)>> {
        let page = api.get("/api/v1/ledger", &[])?;
        let lines = page["lines"].as_array().cloned().unwrap_or_default();
        Ok(lines
            .iter()
            .map(|line| (line["source"].as_str().unwrap_or_default().to_owned(), line[name].as_u64().unwrap_or(0)))
            .collect())
    };
    wait_until("the ledger to be complete", Duration::from_secs(30), || {
        let (journaled, stored, detected) = (ledger("journaled")?, ledger("stored")?, ledger("detected")?);
        Ok(journaled == stored && journaled == detected)
    })?;
    let counted = ledger("stored")?;
    assert!(counted.len() >= 2, "an agent and an HTTP sender: {counted:?}");
    for (source, events) in &counted {
        let held = api.count(&format!("canh.source:\"{source}\""))?;
        assert_eq!(held, *events, "what the ledger says of {source} beside what the store holds");
    }
    let page = api.get("/api/v1/ledger", &[])?;
    assert_eq!(page["gaps"], serde_json::json!([]), "nothing that was acknowledged is missing");
    println!(
        "{} kills, {written} lines from the file, {acknowledged} of {sent} acknowledged over HTTP: each exactly once",
        kills()
    );
    Ok(())
}
