//! Topics of a cluster that is none of ours: librdkafka's mock cluster, and its producer.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use canh_tests::{Server, ServerOptions, wait_until, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::doors::count_reaches;
use super::foreign_doors::python_with;

const WAIT: Duration = Duration::from_secs(90);

/// Produces what it is told to: topic, partition or `-`, packing, first number, how many, length of what fills them up.
const SCRIPT: &str = r#"
import sys
from confluent_kafka import Producer
cluster = Producer({"test.mock.num.brokers": 2})
brokers = ",".join("%s:%d" % (b.host, b.port) for b in cluster.list_topics(timeout=30).brokers.values())
print("BROKERS " + brokers, flush=True)
producers = {}
for line in sys.stdin:
    topic, partition, packing, first, count, filler = line.split()
    if packing not in producers:
        producers[packing] = Producer({"bootstrap.servers": brokers, "compression.type": packing, "linger.ms": 5,
                                       "queue.buffering.max.messages": 1000000})
    producer = producers[packing]
    for n in range(int(first), int(first) + int(count)):
        where = {} if partition == "-" else {"partition": int(partition)}
        producer.produce(topic, key=b"key%d" % (n % 7), value=b"canhkafka " + packing.encode() + b" n%08d " % n + b"x" * int(filler),
                         headers=[("trace", b"t%d" % n)], timestamp=1795336308000, **where)
        producer.poll(0)
    print("DONE %d" % producer.flush(60), flush=True)
"#;

struct Mock {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
    brokers: String,
}

impl Mock {
    /// Nothing if the client is not installed.
    fn start() -> anyhow::Result<Option<Self>> {
        let Some(python) = python_with("confluent_kafka") else { return Ok(None) };
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().context("no input")?;
        let mut says = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        says.read_line(&mut line)?;
        let brokers = line.trim().strip_prefix("BROKERS ").context("the mock cluster did not start")?.to_owned();
        Ok(Some(Self { child, orders, says, brokers }))
    }

    fn begin(&mut self, order: &str) -> anyhow::Result<()> {
        Ok(writeln!(self.orders, "{order}")?)
    }

    fn end(&mut self) -> anyhow::Result<()> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        anyhow::ensure!(line.trim() == "DONE 0", "the producer says {line:?}");
        Ok(())
    }

    fn produce(&mut self, order: &str) -> anyhow::Result<()> {
        self.begin(order)?;
        self.end()
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(Pid::from_raw(i32::try_from(self.child.id())?), signal)?)
    }

    fn config(&self, topics: &str, more: &str) -> ServerOptions {
        let brokers: Vec<String> = self.brokers.split(',').map(|broker| format!("{broker:?}")).collect();
        let config = format!(
            "[collector.kafka]\nenabled = true\nmetadata_every = \"1s\"\nrequest_timeout = \"2s\"\n\
             [[collector.kafka.cluster]]\nname = \"mock\"\nbrokers = [{}]\ntopics = [{topics}]\n{more}\n",
            brokers.join(", ")
        );
        ServerOptions { config, rules: vec![workspace().join("rules/canh")], ..ServerOptions::default() }
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often each number is stored.
fn stored(server: &Server, query: &str) -> anyhow::Result<HashMap<u64, u32>> {
    let mut found = HashMap::new();
    for event in server.api()?.events(query)? {
        let text = event["raw"].as_str().unwrap_or_default();
        // From behind: `none` begins with the same letter.
        let number = text.rsplit(" n").next().and_then(|rest| rest.get(..8)).and_then(|digits| digits.parse().ok());
        *found.entry(number.unwrap_or(u64::MAX)).or_default() += 1;
    }
    Ok(found)
}

fn ledger(server: &Server, part: &str) -> anyhow::Result<Vec<Value>> {
    Ok(server.api()?.get("/api/v1/ledger", &[])?[part].as_array().cloned().unwrap_or_default())
}

#[test]
fn records_in_all_packings_and_a_topic_that_comes_later() -> anyhow::Result<()> {
    let Some(mut mock) = Mock::start()? else { return Ok(()) };
    mock.produce("logs - none 0 500 10")?;
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &mock.config("\"logs\", \"later\"", ""))?;
    for packing in ["gzip", "snappy", "lz4", "zstd"] {
        mock.produce(&format!("logs - {packing} 0 500 200"))?;
    }
    for packing in ["none", "gzip", "snappy", "lz4", "zstd"] {
        count_reaches(&server, &format!("canhkafka AND {packing} AND kafka.topic:logs"), 500)?;
    }
    count_reaches(&server, "kafka.key:key3 AND kafka.headers.trace:t3", 5)?;
    // A topic that was not there is read from its beginning.
    mock.produce("later 2 zstd 0 100 0")?;
    count_reaches(&server, "kafka.topic:later AND kafka.partition:2 AND canh.source:\"kafka:mock/later\"", 100)?;
    count_reaches(&server, "kafka.topic:later AND kafka.offset:99", 1)?;
    let event = server.api()?.events("kafka.topic:later AND kafka.offset:0")?.pop().context("no event")?;
    assert!(event.to_string().contains("2026-11-22T08:31:48Z"), "the record's time is not kept: {event}");
    wait_until("the ledger to hold what was read", WAIT, || {
        let lines = ledger(&server, "lines")?;
        let line = lines.into_iter().find(|line| line["source"] == "kafka:mock/logs").unwrap_or_default();
        Ok(line["state"] == "complete" && line["stored"] == 2_500)
    })?;
    let lag = "canh_collector_kafka_lag{cluster=\"mock\",partition=\"2\",topic=\"later\"}";
    assert_eq!(server.api()?.metric(lag)?, 0.0);
    assert_eq!(server.api()?.metric("canh_door_records_total{door=\"kafka\"}")?, 2_600.0);
    assert!(ledger(&server, "gaps")?.is_empty());
    Ok(())
}

#[test]
fn each_record_is_stored_once_though_the_server_is_killed_while_they_come() -> anyhow::Result<()> {
    let Some(mut mock) = Mock::start()? else { return Ok(()) };
    mock.produce("logs - none 0 1 0")?;
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &mock.config("\"logs\"", ""))?;
    for round in 0..10 {
        let packing = ["none", "gzip", "snappy", "lz4", "zstd"][round % 5];
        mock.begin(&format!("logs - {packing} {} 2000 40", 1 + round * 2_000))?;
        std::thread::sleep(Duration::from_millis(u64::try_from(round)? * 40));
        server.process.kill()?;
        if round % 2 == 0 {
            mock.end()?;
            server.restart()?;
        } else {
            server.restart()?;
            mock.end()?;
        }
    }
    let api = server.api()?;
    wait_until("all records", WAIT, || Ok(api.count("canhkafka AND kafka.topic:logs")? >= 20_001))?;
    let found = stored(&server, "canhkafka AND kafka.topic:logs")?;
    let twice: Vec<_> = found.iter().filter(|(_, times)| **times != 1).collect();
    assert_eq!((found.len(), twice.len()), (20_001, 0), "{twice:?}");
    assert!((0..20_001).all(|number| found.contains_key(&number)));
    assert!(ledger(&server, "gaps")?.is_empty());
    Ok(())
}

#[test]
fn a_cluster_that_does_not_answer_is_read_when_it_does() -> anyhow::Result<()> {
    let Some(mut mock) = Mock::start()? else { return Ok(()) };
    mock.produce("logs - none 0 100 0")?;
    let dir = tempfile::tempdir()?;
    let server = Server::start(dir.path(), &mock.config("\"logs\"", ""))?;
    count_reaches(&server, "canhkafka", 100)?;
    mock.signal(Signal::SIGSTOP)?;
    let errors = "canh_collector_kafka_errors_total{cluster=\"mock\",reason=\"timeout\"}";
    wait_until("the silence to be noticed", WAIT, || Ok(server.api()?.metric(errors)? >= 1.0))?;
    mock.signal(Signal::SIGCONT)?;
    mock.produce("logs - lz4 100 100 0")?;
    count_reaches(&server, "canhkafka", 200)
}

#[test]
fn offsets_that_the_cluster_deleted_are_an_exact_gap_with_an_alert() -> anyhow::Result<()> {
    let Some(mut mock) = Mock::start()? else { return Ok(()) };
    mock.produce("logs 0 none 0 10 0")?;
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &mock.config("\"logs\"", ""))?;
    count_reaches(&server, "canhkafka", 10)?;
    server.process.kill()?;
    // The mock cluster keeps 5 MiB of a partition.
    mock.produce("logs 0 none 10 9000 1000")?;
    server.restart()?;
    let total = 9_010;
    let api = server.api()?;
    let title = "Kafka Records Gone Before They Were Read";
    wait_until("the alert", WAIT, || Ok(api.alerts()?.iter().any(|alert| alert["title"] == title)))?;
    let gaps = ledger(&server, "gaps")?;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let gap = &gaps[0];
    assert_eq!(
        (&gap["kind"], &gap["source"], &gap["spool"]),
        (&"offsets".into(), &"kafka:mock/logs".into(), &"logs/0".into())
    );
    assert_eq!((&gap["first"], &gap["reason"]), (&"10".into(), &"deleted".into()));
    let last: u64 = gap["last"].as_str().context("no last")?.parse()?;
    assert_eq!(gap["missing"], last - 9);
    wait_until("the rest", WAIT, || Ok(api.count("canhkafka")? >= total - (last - 9)))?;
    let found = stored(&server, "canhkafka")?;
    assert!(found.values().all(|times| *times == 1));
    let expected = (0..10).chain(last + 1..total).all(|number| found.contains_key(&number));
    assert!(expected && found.len() as u64 == total - (last - 9), "{} stored, gap {gap}", found.len());
    // It is told once, however often the server begins anew.
    server.process.kill()?;
    server.restart()?;
    mock.produce("logs 0 none 9010 1 0")?;
    wait_until("the next record", WAIT, || Ok(server.api()?.count("canhkafka")? > total - (last - 9)))?;
    assert_eq!(ledger(&server, "gaps")?.len(), 1);
    Ok(())
}

#[test]
fn what_comes_after_latest_is_not_missed_though_nothing_was_read_yet() -> anyhow::Result<()> {
    let Some(mut mock) = Mock::start()? else { return Ok(()) };
    mock.produce("logs - none 0 400 0")?;
    let dir = tempfile::tempdir()?;
    let mut server = Server::start(dir.path(), &mock.config("\"logs\"", "begin = \"latest\""))?;
    let fetches = "canh_collector_kafka_fetches_total{cluster=\"mock\"}";
    wait_until("reading to begin", WAIT, || Ok(server.api()?.metric(fetches)? >= 4.0))?;
    server.process.kill()?;
    mock.produce("logs - snappy 400 100 0")?;
    server.restart()?;
    count_reaches(&server, "canhkafka AND snappy", 100)?;
    assert_eq!(server.api()?.count("canhkafka")?, 100, "what was before is read");
    Ok(())
}
