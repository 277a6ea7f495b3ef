//! The door `kafka` against a broker that is made here: users, TLS, and batches that brokers of librdkafka's mock do not have.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use super::*;
use crate::door::kafka::{ClusterConfig, KafkaConfig};
use crate::envelope::{Door, Framing};

fn number(out: &mut Vec<u8>, value: usize) {
    let mut value = value * 2;
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A batch of one record for each offset, up to `last`.
fn batch(offsets: &[i64], last: i64, attributes: i16, key: &[u8]) -> Vec<u8> {
    let base = offsets[0];
    let mut records = Vec::new();
    for offset in offsets {
        let value = format!("record {offset}");
        let mut inner = vec![0, 0];
        number(&mut inner, usize::try_from(offset - base).unwrap());
        for part in [key, value.as_bytes()] {
            number(&mut inner, part.len());
            inner.extend_from_slice(part);
        }
        inner.push(0);
        number(&mut records, inner.len());
        records.extend(inner);
    }
    let mut checked = attributes.to_be_bytes().to_vec();
    checked.extend(i32::try_from(last - base).unwrap().to_be_bytes());
    checked.extend([0; 16]);
    checked.extend((-1_i64).to_be_bytes());
    checked.extend([0; 6]);
    checked.extend(i32::try_from(offsets.len()).unwrap().to_be_bytes());
    checked.extend(records);
    let mut out = base.to_be_bytes().to_vec();
    out.extend(i32::try_from(checked.len() + 9).unwrap().to_be_bytes());
    out.extend([0, 0, 0, 0, 2]);
    out.extend(canh_kafka::crc32c(&checked).to_be_bytes());
    out.extend(checked);
    out
}

/// What a broker has, and what it was asked for.
#[derive(Default)]
struct Broker {
    port: u16,
    password: Option<&'static str>,
    /// Where the log begins and ends.
    range: (i64, i64),
    log: Vec<u8>,
    fetched: Vec<i64>,
}

type Shared = Arc<Mutex<Broker>>;

/// The body of the answer to a request.
fn answer(broker: &Shared, api: i16, body: &[u8]) -> Vec<u8> {
    let broker = &mut *broker.lock();
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let mut out = Vec::new();
    match api {
        18 => {
            out.extend([0, 0, 0, 0, 0, 5]);
            for (key, last) in [(1_i16, 11_i16), (2, 2), (3, 4), (17, 1), (36, 0)] {
                out.extend([key.to_be_bytes(), 0_i16.to_be_bytes(), last.to_be_bytes()].concat());
            }
        }
        17 => {
            out.extend([0, if &body[2..] == b"PLAIN" { 0 } else { 33 }, 0, 0, 0, 1]);
            text(&mut out, "PLAIN");
        }
        36 => {
            let expected = broker.password.map(|password| format!("\0an\0{password}"));
            let is_right = expected.as_deref().map(str::as_bytes) == Some(&body[4..]);
            out.extend([0, if is_right { 0 } else { 58 }, 0xff, 0xff, 0, 0, 0, 0]);
        }
        3 => {
            out.extend([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
            text(&mut out, "localhost");
            out.extend(i32::from(broker.port).to_be_bytes());
            out.extend([0xff, 0xff]);
            text(&mut out, "made");
            out.extend([0, 0, 0, 7, 0, 0, 0, 1, 0, 0]);
            text(&mut out, "logs");
            out.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        2 => {
            let is_latest = body.ends_with(&(-1_i64).to_be_bytes());
            out.extend([0, 0, 0, 0, 0, 0, 0, 1]);
            text(&mut out, "logs");
            out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            out.extend((-1_i64).to_be_bytes());
            out.extend((if is_latest { broker.range.1 } else { broker.range.0 }).to_be_bytes());
        }
        1 => {
            let at = body.windows(6).position(|part| part == b"\0\x04logs").unwrap() + 6 + 4 + 4 + 4;
            let offset = i64::from_be_bytes(body[at..at + 8].try_into().unwrap());
            broker.fetched.push(offset);
            let is_there = (broker.range.0..=broker.range.1).contains(&offset);
            out.extend([0; 10]);
            out.extend([0, 0, 0, 1]);
            text(&mut out, "logs");
            out.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(!is_there)]);
            out.extend([broker.range.1.to_be_bytes(); 2].concat());
            out.extend([0; 8]);
            out.extend([0xff; 8]);
            let log = if is_there && offset < broker.range.1 { broker.log.as_slice() } else { &[] };
            out.extend(i32::try_from(log.len()).unwrap().to_be_bytes());
            out.extend_from_slice(log);
        }
        _ => panic!("nobody asks for {api}"),
    }
    out
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, broker: Shared) {
    while let Ok(len) = stream.read_u32().await {
        let mut request = vec![0; len as usize];
        stream.read_exact(&mut request).await.unwrap();
        let api = i16::from_be_bytes([request[0], request[1]]);
        let client = usize::from(u16::from_be_bytes([request[8], request[9]]));
        let body = [request[4..8].to_vec(), answer(&broker, api, &request[10 + client..])].concat();
        if api == 1 {
            tokio::time::sleep(Duration::from_millis(5)).await; // a broker waits for more
        }
        if stream.write_all(&[u32::try_from(body.len()).unwrap().to_be_bytes().to_vec(), body].concat()).await.is_err()
        {
            return;
        }
    }
}

async fn start(mut broker: Broker, tls: Option<TlsAcceptor>) -> Shared {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    broker.port = listener.local_addr().unwrap().port();
    let broker = Arc::new(Mutex::new(broker));
    let shared = broker.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, broker) = (tls.clone(), shared.clone());
            tokio::spawn(async move {
                match tls {
                    None => serve(stream, broker).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, broker).await;
                        }
                    }
                }
            });
        }
    });
    broker
}

fn config(broker: &Shared, more: &str) -> CollectorConfig {
    let port = broker.lock().port;
    let text = format!("name = 'made'\nbrokers = ['localhost:{port}']\ntopics = ['logs']\n{more}");
    let cluster: ClusterConfig = toml::from_str(&text).unwrap();
    let kafka = KafkaConfig { enabled: true, cluster: vec![cluster], ..KafkaConfig::default() };
    CollectorConfig { kafka, ..CollectorConfig::default() }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Number, values, and what is missing, of each batch.
fn of_kafka(envelopes: &[Envelope]) -> Vec<(u64, Vec<String>, Option<(i64, i64, String)>)> {
    let of_door = envelopes.iter().filter(|envelope| envelope.door == Door::Kafka);
    of_door
        .map(|envelope| {
            assert_eq!(envelope.framing, Framing::Kafka);
            let batch = crate::decode(envelope, Position::new(1), 1, &crate::DecodeSettings::default());
            let text = |event: &canh_schema::Event| String::from_utf8_lossy(&event.raw).into_owned();
            let missing = envelope.missing().map(|missing| (missing.first, missing.last, missing.reason.to_string()));
            (envelope.agent.unwrap().sequence, batch.events.iter().map(text).collect(), missing)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_are_no_loss_and_what_cannot_be_read_or_is_gone_is_an_exact_one() {
    let mut damaged = batch(&[4, 5], 6, 0, b"k");
    *damaged.last_mut().unwrap() ^= 1;
    // Offsets 0 and 1 were deleted before anybody read; 3 is gone by compaction, 9 and 10 are the end of a transaction.
    let log =
        [batch(&[2], 3, 0, b"k"), damaged, batch(&[7, 8], 8, 0, b"k"), batch(&[9], 10, 0x20, b"\0\0\0\x01")].concat();
    let broker = start(Broker { range: (2, 11), log, ..Broker::default() }, None).await;
    let bench = bench_with(config(&broker, ""), JournalConfig::default());
    until("the end is not read", || broker.lock().fetched.last() == Some(&11)).await;
    let lag = [("cluster", "made")];
    assert_eq!(bench.counted("canh_collector_kafka_missing_total", &lag), 3);
    // Later the cluster deletes what was not read.
    {
        let mut broker = broker.lock();
        (broker.range, broker.log) = ((20, 22), batch(&[20, 21], 21, 0, b"k"));
    }
    until("reading does not go on", || broker.lock().fetched.last() == Some(&22)).await;
    // And then its log is shorter than it was read; as it has no ids, it may be another topic.
    {
        let mut broker = broker.lock();
        (broker.range, broker.log) = ((0, 1), batch(&[0], 0, 0, b"k"));
    }
    until("the new log is not read", || broker.lock().fetched.last() == Some(&1)).await;
    assert_eq!(bench.counted("canh_collector_kafka_errors_total", &[("reason", "log_shorter")]), 1);
    let line = bench.sources.get(&crate::sources::SourceKey::Named(Door::Kafka, "made/logs".into())).unwrap();
    assert_eq!(line.records, 6);
    let texts = |offsets: &[i64]| offsets.iter().map(|offset| format!("record {offset}")).collect::<Vec<_>>();
    assert_eq!(
        of_kafka(&bench.finish().await),
        [
            (2, vec![], None),
            (3, texts(&[2]), None),
            (7, vec![], Some((4, 6, "unreadable".to_owned()))),
            (9, texts(&[7, 8]), None),
            (20, vec![], Some((11, 19, "deleted".to_owned()))),
            (22, texts(&[20, 21]), None),
            (0, vec![], None),
            (1, texts(&[0]), None),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_while_the_journal_is_full() {
    let broker = start(Broker { range: (0, 1), log: batch(&[0], 0, 0, b"k"), ..Broker::default() }, None).await;
    let mut config = config(&broker, "");
    config.kafka.record_max = ByteSize::kib(1);
    let bench = bench_with(config, small_journal());
    until("the first is not read", || broker.lock().fetched.last() == Some(&1)).await;
    bench.fill().await;
    {
        let mut broker = broker.lock();
        (broker.range.1, broker.log) = (6, batch(&[1, 2, 3, 4, 5], 5, 0, &[b'k'; 4_000]));
    }
    let errors = bench.counted("canh_journal_errors_total", &[]);
    until("nothing is tried", || bench.counted("canh_journal_errors_total", &[]) > errors + 2).await;
    let fetched = broker.lock().fetched.clone();
    assert_eq!(fetched.iter().filter(|offset| **offset == 6).count(), 0, "read on: {fetched:?}");
    bench.free();
    until("it does not go on", || broker.lock().fetched.last() == Some(&6)).await;
    let values: Vec<_> = of_kafka(&bench.finish().await).into_iter().flat_map(|(_, values, _)| values).collect();
    assert!(values.ends_with(&["record 5".to_owned()]), "{values:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_and_tls() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("ca.pem"), made.cert.pem()).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(path("other.pem"), other.cert.pem()).unwrap();
    std::fs::write(path("right"), "mat-khau\n").unwrap();
    std::fs::write(path("wrong"), "sai\n").unwrap();
    let key = tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let log = batch(&[0], 0, 0, b"k");
    let broker = Broker { range: (0, 1), log, password: Some("mat-khau"), ..Broker::default() };
    let broker = start(broker, Some(TlsAcceptor::from(Arc::new(server)))).await;
    let more = |authority: &str, sasl: &str, password: &str| {
        format!(
            "tls = true\nauthorities = {:?}\nsasl = '{sasl}'\nuser = 'an'\npassword_file = {:?}",
            path(authority),
            path(password)
        )
    };
    for (authority, sasl, password, reason) in [
        ("ca.pem", "plain", "wrong", "sasl_authentication_failed"),
        ("ca.pem", "scram-sha-256", "right", "sasl"),
        ("other.pem", "plain", "right", "tls"),
    ] {
        let bench = bench_with(config(&broker, &more(authority, sasl, password)), JournalConfig::default());
        until(reason, || bench.counted("canh_collector_kafka_errors_total", &[("reason", reason)]) > 0).await;
        assert!(of_kafka(&bench.finish().await).is_empty());
    }
    let bench = bench_with(config(&broker, &more("ca.pem", "plain", "right")), JournalConfig::default());
    assert!(bench.records(1).await.len() == 1);
    bench.finish().await;
}
