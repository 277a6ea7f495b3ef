//! The door `kafka` against a cluster that is none of ours, librdkafka's mock cluster, and a reader that is killed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use canh_schema::Value;

use super::*;
use crate::envelope::Door;

/// Produces what it is told to: topic, partition or `-`, packing, first number, how many, length of what fills them up.
const SCRIPT: &str = r#"
import sys
from confluent_kafka import Producer
cluster = Producer({"test.mock.num.brokers": 2})
brokers = ",".join("'%s:%d'" % (b.host, b.port) for b in cluster.list_topics(timeout=30).brokers.values())
print("BROKERS " + brokers, flush=True)
producers = {}
for line in sys.stdin:
    topic, partition, packing, first, count, filler = line.split()
    if packing not in producers:
        producers[packing] = Producer({"bootstrap.servers": brokers.replace("'", ""), "compression.type": packing,
                                       "linger.ms": 5, "queue.buffering.max.messages": 1000000})
    producer = producers[packing]
    for n in range(int(first), int(first) + int(count)):
        where = {} if partition == "-" else {"partition": int(partition)}
        producer.produce(topic, key=b"key%d" % (n % 7), value=b"n%08d " % n + b"x" * int(filler), headers=[("trace", b"t")], **where)
        producer.poll(0)
    print("DONE %d" % producer.flush(60), flush=True)
"#;

struct Mock {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
    /// As a list of TOML.
    brokers: String,
}

impl Mock {
    fn start() -> Option<Self> {
        let python = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/canh/clients/bin/python"))?;
        let import = Command::new(&python).args(["-c", "import confluent_kafka"]).output();
        if !import.is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: `{}` has no module `confluent_kafka`; `.ci/run` installs it", python.display());
            return None;
        }
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        let brokers = line.trim().strip_prefix("BROKERS ").expect("the mock cluster did not start").to_owned();
        Some(Self { child, orders, says, brokers })
    }

    fn begin(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    fn end(&mut self) {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "DONE 0");
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A collector that only reads from Kafka, with its journal in `dir`.
struct Reading {
    journal: Arc<Journal>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

fn read(dir: &Path, brokers: &str) -> Reading {
    let closed = ["otlp_grpc", "http", "syslog_udp", "syslog_tcp", "flow"];
    let closed: String = closed.iter().map(|door| format!("[{door}]\nenabled = false\n")).collect();
    let config = format!(
        "{closed}[kafka]\nenabled = true\nmetadata_every = '1s'\n[[kafka.cluster]]\nname = 'mock'\nbrokers = [{brokers}]\n\
         topics = ['logs']\n"
    );
    let registry = Registry::new();
    let journal_config = JournalConfig { dir: dir.to_owned(), ..JournalConfig::default() };
    let journal = Journal::open(&journal_config, &registry).unwrap();
    let parts = CollectorParts {
        journal: journal.clone(),
        tokens: Arc::new(TokenSet::default()),
        drops: Drops::new(&registry).unwrap(),
        sources: Arc::new(Sources::new(100, &registry).unwrap()),
        samples: None,
    };
    let collector = Collector::bind(&toml::from_str(&config).unwrap(), parts, &registry).unwrap();
    let stop = CancellationToken::new();
    Reading { journal, running: tokio::spawn(collector.run(stop.clone())), stop }
}

/// What a journal holds: how often each number, and the offsets that are missing.
#[derive(Default)]
struct Held {
    numbers: HashMap<u64, u32>,
    missing: Vec<(i64, i64)>,
}

impl Reading {
    /// Waits until so many events are in the journal, or there is no hope.
    async fn until(&self, count: usize) -> Held {
        let deadline = Instant::now() + 3 * PATIENCE;
        let mut reader = self.journal.reader(Position::START);
        let mut held = Held::default();
        let mut all = 0;
        while all < count {
            let Some((position, envelope)) = reader.next_batch().unwrap() else {
                assert!(Instant::now() < deadline, "{all} of {count}");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            assert_eq!(envelope.door, Door::Kafka);
            held.missing.extend(envelope.missing().map(|missing| (missing.first, missing.last)));
            let batch = crate::decode(&envelope, position, 1, &crate::DecodeSettings::default());
            for event in &batch.events {
                let number = event.raw.get(1..9).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
                *held.numbers.entry(number.unwrap_or(u64::MAX)).or_default() += 1;
                assert_eq!(event.lookup("kafka.headers.trace"), Some(&Value::Text("t".into())), "{event:?}");
            }
            all += batch.events.len();
        }
        held
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("it does not stop").unwrap();
        self.journal.close().await;
    }
}

/// Not a test: what the test below starts, and kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it is started by another test"]
async fn a_reader_to_be_killed() {
    let Some((dir, brokers)) = std::env::var_os("CANH_TEST_DIR").zip(std::env::var("CANH_TEST_BROKERS").ok()) else {
        return;
    };
    let reading = read(Path::new(&dir), &brokers);
    reading.running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_is_journaled_once_though_the_reader_is_killed_while_they_come() {
    let Some(mut mock) = Mock::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    for round in 0_u64..10 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "door::tests::kafka_mock::a_reader_to_be_killed", "--ignored"]);
        command.env("CANH_TEST_DIR", dir.path()).env("CANH_TEST_BROKERS", &mock.brokers);
        let mut reader = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let packing = ["none", "gzip", "snappy", "lz4", "zstd"][usize::try_from(round % 5).unwrap()];
        mock.begin(&format!("logs - {packing} {} 2000 40", round * 2_000));
        std::thread::sleep(Duration::from_millis(300 + round * 150));
        reader.kill().unwrap();
        reader.wait().unwrap();
        mock.end();
    }
    let reading = read(dir.path(), &mock.brokers);
    mock.begin("logs - none 20000 1 0");
    mock.end();
    let held = reading.until(20_001).await;
    reading.end().await;
    let twice: Vec<_> = held.numbers.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty() && held.missing.is_empty(), "{twice:?} {:?}", held.missing);
    assert!((0..20_001).all(|number| held.numbers.contains_key(&number)));
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_the_cluster_deleted_are_an_exact_gap() {
    let Some(mut mock) = Mock::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    mock.begin("logs 0 none 0 10 0");
    mock.end();
    let reading = read(dir.path(), &mock.brokers);
    assert_eq!(reading.until(10).await.numbers.len(), 10);
    reading.end().await;
    // The mock cluster keeps 5 MiB of a partition.
    mock.begin("logs 0 none 10 9000 1000");
    mock.end();
    for _ in 0..2 {
        let reading = read(dir.path(), &mock.brokers);
        let last = loop {
            if let Some(gap) = reading.until(11).await.missing.first().copied() {
                break gap.1;
            }
        };
        assert!((10..9_009).contains(&last), "{last}");
        let left = usize::try_from(9_010 - (last - 9)).unwrap();
        let held = reading.until(left).await;
        assert_eq!((held.missing, held.numbers.len()), (vec![(10, last)], left));
        let expected = (0..10).chain(u64::try_from(last).unwrap() + 1..9_010);
        assert!(expected.into_iter().all(|number| held.numbers.get(&number) == Some(&1)));
        reading.end().await;
    }
}
