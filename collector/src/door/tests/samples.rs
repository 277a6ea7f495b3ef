//! Files to be scanned, with a sink that only says what it was given.

use std::sync::Arc;

use bytes::Bytes;
use canh_schema::Timestamp;
use tokio::sync::oneshot;

use super::http::{check_answer, post, post_as};
use super::*;
use crate::envelope::{Door, Framing};
use crate::sources::SourceKey;
use crate::{Sample, SampleOrigin, SampleRefused, SampleSink, Scanned};

const SAMPLES: &str = "/v1/samples";

/// Takes everything but files that say what they want.
struct Echo;

impl SampleSink for Echo {
    fn offer(&self, sample: Sample) -> Result<oneshot::Receiver<Scanned>, SampleRefused> {
        let (answer, waiting) = oneshot::channel();
        match sample.bytes.as_ref() {
            b"full" => return Err(SampleRefused::Full),
            b"lost" => (), // the sink went away with the file
            bytes => {
                let SampleOrigin { name, path, host, owner, .. } = &sample.origin;
                let line = format!("{{\"_product\":\"canh\",\"n\":\"{name}|{path}|{host}|{owner}\"}}\n");
                let receipt = format!("{{\"size\":{}}}", bytes.len());
                let _ = answer.send(Scanned { lines: Bytes::from(line.repeat(2)), records: 2, receipt });
            }
        }
        Ok(waiting)
    }

    fn known(&self, sha256: &str, origin: &SampleOrigin, _received: Timestamp) -> Option<Scanned> {
        let SampleOrigin { path, host, owner, mode, .. } = origin;
        let line = format!("{{\"_product\":\"canh\",\"n\":\"{path}|{host}|{owner}|{mode}\"}}\n");
        let seen = sha256.starts_with('a');
        seen.then(|| Scanned { lines: Bytes::from(line), records: 1, receipt: String::new() })
    }

    fn rules(&self) -> String {
        "r1".to_owned()
    }
}

fn echo(change: impl FnOnce(&mut CollectorConfig)) -> Bench {
    let mut config = CollectorConfig::default();
    change(&mut config);
    bench_for_samples(config, JournalConfig::default(), Some(Arc::new(Echo)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_when_the_records_are_durable() {
    let bench = echo(|_| ());
    let query = format!("{SAMPLES}?name=a%20b.jsp&path=/var/www/a%20b.jsp&host=web01&owner=www-data");
    check_answer(&post(&bench, &query, "", b"MZ\x00").await, 200, &[r#"{"size":3}"#]);
    check_answer(&post(&bench, SAMPLES, "", b"x").await, 200, &[r#"{"size":1}"#]);
    let seen = "source_ip=10.0.0.1&source_port=4000&destination_ip=%3A%3A1&destination_port=80&community_id=1%3Aa%3D&\
                protocol=http&direction=to_originator&url=http%3A%2F%2Fx%2Fa&method=GET&status=200&content_type=a%2Fb&\
                encoding=br&part=bytes%201-2%2F3&observed=2026-11-27T08%3A00%3A00Z";
    check_answer(&post(&bench, &format!("{SAMPLES}?{seen}"), "", b"x").await, 200, &[r#"{"size":1}"#]);
    let envelopes = bench.finish().await;
    let first = &envelopes[0];
    assert_eq!((first.door, first.framing, first.peer), (Door::Samples, Framing::NdJson, localhost()));
    assert_eq!((first.format.as_deref(), first.host.as_deref()), (Some("json"), Some("web01")));
    let records = shown(first);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0], r#"{"_product":"canh","n":"a b.jsp|/var/www/a b.jsp|web01|www-data"}"#);
    assert_eq!(envelopes[1].host, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_nothing_in_the_journal() {
    let bench = echo(|config| config.http.sample_max = ByteSize::new(10));
    check_answer(&post_as(&bench, SAMPLES, "", b"x").await, 401, &["www-authenticate", "error"]);
    check_answer(&post(&bench, SAMPLES, "", b"full").await, 503, &["retry-after", "try again"]);
    check_answer(&post(&bench, SAMPLES, "", b"lost").await, 503, &["retry-after", "try again"]);
    check_answer(&post(&bench, SAMPLES, "", b"more than ten bytes").await, 413, &["`sample_max`", "canh yara scan"]);
    check_answer(&post(&bench, SAMPLES, "", b"").await, 400, &["the body is empty"]);
    check_answer(&post(&bench, &format!("{SAMPLES}?nam=x"), "", b"x").await, 400, &["`nam`", "known parameters"]);
    let long = format!("{SAMPLES}?path={}", "x".repeat(5_000));
    check_answer(&post(&bench, &long, "", b"x").await, 400, &["`path` is longer"]);
    check_answer(&post(&bench, &format!("{SAMPLES}?source_port=70000"), "", b"x").await, 400, &["known parameters"]);
    assert!(bench.finish().await.is_empty());
    let bare = super::bench();
    check_answer(&post(&bare, SAMPLES, "", b"x").await, 404, &["`yara`", "`[detection]`"]);
}

const OFFERS: &str = "/v1/samples/offers";

fn offer(first: char, origin: &str) -> String {
    format!("{{\"sha256\":\"{}\",\"origin\":{{{origin}}}}}", String::from(first).repeat(64))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_is_journaled_and_the_rest_is_wanted() {
    let bench = echo(|_| ());
    let files = [
        offer('a', r#""path":"/a.php","owner":"www-data","mode":"0644","modified":"2026-11-27T08:00:00Z""#),
        offer('b', r#""path":"/b.php""#),
        offer('a', r#""path":"/c.php","host":"web02","uid":33,"gid":33"#),
    ];
    let body = format!(r#"{{"host":"web01","files":[{}]}}"#, files.join(","));
    let agent = "000102030405060708090a0b0c0d0e0f";
    let answer = post(&bench, OFFERS, &format!("canh-agent-id: {agent}\r\n"), body.as_bytes()).await;
    check_answer(&answer, 200, &[r#"{"rules":"r1","known":[0,2],"wanted":[1]}"#]);
    let line = bench.sources.get(&SourceKey::Agent(agent.parse().unwrap())).unwrap();
    assert_eq!((line.records, line.batches), (2, 1));
    let nothing = post(&bench, OFFERS, "", br#"{"files":[]}"#).await;
    check_answer(&nothing, 200, &[r#"{"rules":"r1","known":[],"wanted":[]}"#]);
    let envelopes = bench.finish().await;
    assert_eq!(envelopes.len(), 1);
    let first = &envelopes[0];
    assert_eq!((first.door, first.host.as_deref(), first.peer), (Door::Samples, Some("web01"), localhost()));
    let lines = ["/a.php|web01|www-data|0644", "/c.php|web02||"];
    assert_eq!(shown(first), lines.map(|line| format!("{{\"_product\":\"canh\",\"n\":\"{line}\"}}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn offers_that_are_wrong_are_refused_whole() {
    let bench = echo(|_| ());
    check_answer(&post_as(&bench, OFFERS, "", b"{}").await, 401, &["www-authenticate"]);
    let many = vec![offer('a', ""); 501].join(",");
    for (files, words) in [
        (offer('g', ""), "`files[0].sha256`"),
        (offer('A', ""), "lower-case hex"),
        (offer('a', r#""mode":"rwx""#), "`files[0].origin`: `mode`"),
        (offer('a', r#""modified":"yesterday""#), "`modified` is no time"),
        (offer('a', r#""uid":-1"#), "cannot be read"),
        (offer('a', r#""observed":"now""#), "`observed` is no time"),
        (offer('a', r#""direction":"up""#), "`direction` is one of `to_responder`, `to_originator`"),
        (offer('a', r#""source_ip":"10.0.0""#), "cannot be read"),
        (offer('a', &format!(r#""url":"{}""#, "x".repeat(5_000))), "`url` is longer"),
        (offer('a', &format!(r#""part":"{}""#, "x".repeat(300))), "`part` is longer"),
        (offer('a', r#""pth":"x""#), "unknown field `pth`"),
        (offer('a', &format!(r#""path":"{}""#, "x".repeat(5_000))), "`path` is longer"),
        (many, "at most 500"),
    ] {
        let body = format!(r#"{{"files":[{files}]}}"#);
        check_answer(&post(&bench, OFFERS, "", body.as_bytes()).await, 400, &[words]);
    }
    let long = vec![b' '; (4 << 20) + 1];
    check_answer(&post(&bench, OFFERS, "", &long).await, 413, &["longer than"]);
    assert!(bench.finish().await.is_empty());
    let bare = super::bench();
    check_answer(&post(&bare, OFFERS, "", br#"{"files":[]}"#).await, 404, &["`[detection]`"]);
}
