//! Files that somebody wants to have looked at: `POST /v1/samples?name=…&path=…&host=…&owner=…` with a bearer token; the
//! body is the file. The collector does not know what a scan is: a [`SampleSink`] makes records of a file, and these go
//! into the journal like any others. The file itself is not kept. The answer comes when the journal has the records.

use std::net::IpAddr;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use canh_schema::{ByteSize, Timestamp};
use compact_str::CompactString;
use futures_util::StreamExt;
use http::{Request, StatusCode, Uri, header};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::connection::Peer;
use super::http::{App, Refusal};
use crate::envelope::{Door, Envelope, Framing};

pub(super) const PATH: &str = "/v1/samples";
const DOOR: Door = Door::Samples;
/// Longest text of the query, in bytes.
pub(super) const TEXT_MAX: usize = 4_096;

/// One file, whole.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Without directories; empty if the sender does not say.
    pub name: String,
    /// Where the file was on the sender's machine; may be empty.
    pub path: String,
    /// The machine that the file is from; may be empty.
    pub host: String,
    /// The account that the file belongs to; may be empty.
    pub owner: String,
    pub bytes: Bytes,
    pub received: Timestamp,
    pub peer: IpAddr,
}

/// What a sink made of a sample.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// JSON objects, one on each line. They may begin with the envelope keys `_product`, `_service`, `_category`.
    pub lines: Bytes,
    /// How many lines these are.
    pub records: u64,
    /// What the sender is told once the lines are durable: one JSON object.
    pub receipt: String,
}

/// Why a sample is not taken now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SampleRefused {
    #[error("too many files wait to be scanned; try again")]
    Full,
    #[error("the scanner has stopped; try again when the server is back")]
    Stopped,
}

/// Makes records of files. It has a bounded queue of its own, and says at once when that is full.
pub trait SampleSink: Send + Sync + 'static {
    fn offer(&self, sample: Sample) -> Result<oneshot::Receiver<Scanned>, SampleRefused>;
}

/// What may follow the question mark.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Query {
    name: String,
    path: String,
    host: String,
    owner: String,
}

pub(super) async fn receive(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let work = take(&app, peer, request);
    let outcome = tokio::time::timeout(app.config.request_timeout, work).await;
    match outcome.unwrap_or_else(|_| Err(Refusal::timeout())) {
        Ok(receipt) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], receipt + "\n").into_response(),
        Err(refusal) => {
            app.count(DOOR, &refusal);
            let body = serde_json::json!({ "error": refusal.message }).to_string() + "\n";
            let mut response = (refusal.status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
            refusal.add_headers(response.headers_mut());
            response
        }
    }
}

async fn take(app: &App, peer: Peer, request: Request<Body>) -> Result<String, Refusal> {
    let (parts, body) = request.into_parts();
    // Held until the answer: with `sample_max` it bounds what samples take of the memory.
    let admitted = app.admit_sample(&parts.headers)?;
    let Some(sink) = app.intake.samples.clone() else {
        let message = "no YARA rules are loaded here; name a directory in `yara` under `[detection]`";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no_rules", message));
    };
    let query = read_query(&parts.uri)?;
    let bytes = read_body(body, app.config.sample_max).await?;
    let host = (!query.host.is_empty()).then(|| CompactString::from(&query.host));
    let sample = Sample {
        name: query.name,
        path: query.path,
        host: query.host,
        owner: query.owner,
        bytes,
        received: Timestamp::now(),
        peer: peer.ip(),
    };
    let received = sample.received;
    let unavailable = |error: SampleRefused| {
        let reason = if error == SampleRefused::Full { "busy" } else { "stopped" };
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason, error.to_string())
    };
    let scanned = sink.offer(sample).map_err(unavailable)?;
    let scanned = scanned.await.map_err(|_| unavailable(SampleRefused::Stopped))?;
    let mut envelope = Envelope::new(DOOR, received, Framing::NdJson, scanned.lines);
    envelope.peer = Some(peer.ip());
    envelope.format = Some(CompactString::const_new("json"));
    envelope.host = host;
    admitted.mark(&mut envelope);
    app.intake.append(envelope, scanned.records).await.map_err(|error| Refusal::journal(&error))?;
    Ok(scanned.receipt)
}

fn read_query(uri: &Uri) -> Result<Query, Refusal> {
    let bad = |message| Refusal::new(StatusCode::BAD_REQUEST, "bad_query", message);
    let query = axum::extract::Query::<Query>::try_from_uri(uri)
        .map_err(|error| bad(format!("{}; known parameters: name, path, host, owner", error.body_text())))?
        .0;
    let texts = [("name", &query.name), ("path", &query.path), ("host", &query.host), ("owner", &query.owner)];
    let long = texts.into_iter().find(|(_, text)| text.len() > TEXT_MAX).map(|(name, _)| name);
    match long {
        Some(name) => Err(bad(format!("`{name}` is longer than {TEXT_MAX} bytes; send a shorter one"))),
        None => Ok(query),
    }
}

async fn read_body(body: Body, len_max: ByteSize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, "body", format!("the file cannot be read: {error}"))
        })?;
        if (bytes.len() + piece.len()) as u64 > len_max.bytes() {
            return Err(too_large(len_max));
        }
        bytes.extend_from_slice(&piece);
    }
    if bytes.is_empty() {
        let message = "the body is empty; send the file as the body of the request";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "empty", message));
    }
    Ok(bytes.freeze())
}

/// A file cannot be sent in parts, so the words differ from those for batches.
pub(super) fn too_large(len_max: ByteSize) -> Refusal {
    let message = format!(
        "the file is longer than {} bytes; scan it where it is with `canh yara scan`, or raise `sample_max` under \
         `[collector.http]`",
        len_max.bytes()
    );
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}
