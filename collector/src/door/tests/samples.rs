//! Files to be scanned, with a sink that only says what it was given.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::http::{check_answer, post, post_as};
use super::*;
use crate::envelope::{Door, Framing};
use crate::{Sample, SampleRefused, SampleSink, Scanned};

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
                let Sample { name, path, host, owner, .. } = &sample;
                let line = format!("{{\"_product\":\"canh\",\"n\":\"{name}|{path}|{host}|{owner}\"}}\n");
                let receipt = format!("{{\"size\":{}}}", bytes.len());
                let _ = answer.send(Scanned { lines: Bytes::from(line.repeat(2)), records: 2, receipt });
            }
        }
        Ok(waiting)
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
    assert!(bench.finish().await.is_empty());
    let bare = super::bench();
    check_answer(&post(&bare, SAMPLES, "", b"x").await, 404, &["`yara`", "`[detection]`"]);
}
