//! Files that somebody wants to have looked at: `POST /v1/samples?name=…&path=…&host=…&owner=…` with a bearer token; the
//! body is the file. The collector does not know what a scan is: a [`SampleSink`] makes records of a file, and these go
//! into the journal like any others. The file itself is not kept. The answer comes when the journal has the records.

use std::net::IpAddr;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use canh_schema::{AgentId, ByteSize, Timestamp};
use canh_wire::header::AGENT_ID;
use compact_str::CompactString;
use futures_util::StreamExt;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::connection::Peer;
use super::http::{Admitted, App, Refusal};
use crate::envelope::{Door, Envelope, Framing};

pub(super) const PATH: &str = "/v1/samples";
pub(super) const DOOR: Door = Door::Samples;
/// Longest text of the query, in bytes.
pub(super) const TEXT_MAX: usize = 4_096;
const MODE_LEN_MAX: usize = 7;
/// Longest of the texts about a transfer that are no addresses of the web.
const SHORT_TEXT_MAX: usize = 256;
/// Which way a transferred file went.
const DIRECTIONS: &[&str] = &["to_responder", "to_originator"];

/// One file, whole.
#[derive(Clone, Debug)]
pub struct Sample {
    pub origin: SampleOrigin,
    pub bytes: Bytes,
    pub received: Timestamp,
    pub peer: IpAddr,
}

/// What the sender says about a file. Every text may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleOrigin {
    /// Without directories.
    pub name: String,
    /// Where the file was on the sender's machine.
    pub path: String,
    /// The machine that the file is from.
    pub host: String,
    /// The account that the file belongs to, and its numbers.
    pub owner: String,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    /// Permissions in octal, as `0755`.
    pub mode: String,
    /// When the file was last written, as `2026-11-27T08:00:00Z`.
    pub modified: String,
    // What follows is about a file that was seen in traffic.
    /// The two ends of the connection; the source is who began it.
    pub source_ip: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub destination_ip: Option<IpAddr>,
    pub destination_port: Option<u16>,
    /// Community ID of the connection, by which its flow is found.
    pub community_id: String,
    /// `http`, `smtp` or `ftp`.
    pub protocol: String,
    /// `to_responder` for an upload, `to_originator` for a download.
    pub direction: String,
    pub url: String,
    pub method: String,
    pub status: Option<u16>,
    /// As declared.
    pub content_type: String,
    /// What the bytes are still encoded with, as `br`.
    pub encoding: String,
    /// Which part of a file it is, as `bytes 0-99/1000`. Empty for a whole one.
    pub part: String,
    /// When the transfer ended, as `2026-11-27T08:00:00Z`.
    pub observed: String,
}

impl SampleOrigin {
    /// What cannot be kept of it, in words.
    pub(super) fn problem(&self) -> Option<String> {
        let texts = [
            ("name", &self.name),
            ("path", &self.path),
            ("host", &self.host),
            ("owner", &self.owner),
            ("url", &self.url),
        ];
        if let Some((name, _)) = texts.into_iter().find(|(_, text)| text.len() > TEXT_MAX) {
            return Some(format!("`{name}` is longer than {TEXT_MAX} bytes; send a shorter one"));
        }
        let short = [
            ("community_id", &self.community_id),
            ("protocol", &self.protocol),
            ("method", &self.method),
            ("content_type", &self.content_type),
            ("encoding", &self.encoding),
            ("part", &self.part),
        ];
        if let Some((name, _)) = short.into_iter().find(|(_, text)| text.len() > SHORT_TEXT_MAX) {
            return Some(format!("`{name}` is longer than {SHORT_TEXT_MAX} bytes; send a shorter one"));
        }
        for (name, text) in [("modified", &self.modified), ("observed", &self.observed)] {
            if !text.is_empty() && Timestamp::parse_rfc3339(text).is_none() {
                return Some(format!("`{name}` is no time; write it as `2026-11-27T08:00:00Z`"));
            }
        }
        if !self.direction.is_empty() && !DIRECTIONS.contains(&self.direction.as_str()) {
            return Some(format!("`direction` is one of `{}`", DIRECTIONS.join("`, `")));
        }
        let octal = self.mode.len() <= MODE_LEN_MAX && self.mode.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        (!octal).then(|| format!("`mode` is up to {MODE_LEN_MAX} octal digits, as `0755`"))
    }
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

    /// The records of a file that need not be sent, because these bytes were scanned before with the present rules and
    /// nothing that the rules ask about differs. `sha256` is in lower-case hex. Does not block.
    fn known(&self, sha256: &str, origin: &SampleOrigin, received: Timestamp) -> Option<Scanned>;

    /// A text that stands for the rules in force; another text, other rules.
    fn rules(&self) -> String;
}

pub(super) async fn receive(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let work = take(&app, peer, request);
    let outcome = tokio::time::timeout(app.config.request_timeout, work).await;
    answer(&app, outcome.unwrap_or_else(|_| Err(Refusal::timeout())))
}

/// One JSON object, of what was done or of what was wrong.
pub(super) fn answer(app: &App, outcome: Result<String, Refusal>) -> Response {
    match outcome {
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
    let sink = app.intake.samples.clone().ok_or_else(no_rules)?;
    let origin = read_query(&parts.uri)?;
    let bytes = read_body(body, app.config.sample_max).await?;
    let received = Timestamp::now();
    let address = peer.ip();
    let sender = SampleSender::new(peer, admitted, &origin.host, &parts.headers);
    let sample = Sample { origin, bytes, received, peer: address };
    let unavailable = |error: SampleRefused| {
        let reason = if error == SampleRefused::Full { "busy" } else { "stopped" };
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason, error.to_string())
    };
    let scanned = sink.offer(sample).map_err(unavailable)?;
    let scanned = scanned.await.map_err(|_| unavailable(SampleRefused::Stopped))?;
    sender.journal(app, received, scanned.lines, scanned.records).await?;
    Ok(scanned.receipt)
}

/// Who sends files, and from which host.
#[derive(Debug)]
pub(super) struct SampleSender {
    pub(super) peer: Peer,
    pub(super) admitted: Admitted,
    pub(super) host: String,
    /// One of our agents, which says so in a header.
    pub(super) agent: Option<AgentId>,
}

impl SampleSender {
    pub(super) fn new(peer: Peer, admitted: Admitted, host: &str, headers: &HeaderMap) -> Self {
        let agent = headers.get(AGENT_ID).and_then(|text| text.to_str().ok()?.parse().ok());
        Self { peer, admitted, host: host.to_owned(), agent }
    }

    /// Journals lines about files.
    pub(super) async fn journal(
        &self,
        app: &App,
        received: Timestamp,
        lines: Bytes,
        records: u64,
    ) -> Result<(), Refusal> {
        let mut envelope = Envelope::new(DOOR, received, Framing::NdJson, lines);
        self.peer.mark(&mut envelope);
        envelope.format = Some(CompactString::const_new("json"));
        envelope.host = (!self.host.is_empty()).then(|| CompactString::from(&self.host));
        self.admitted.mark(&mut envelope);
        let appended = match self.agent {
            Some(agent) => app.intake.append_of_agent(envelope, records, agent).await,
            None => app.intake.append(envelope, records).await.map(drop),
        };
        appended.map_err(|error| Refusal::journal(&error))
    }
}

pub(super) fn no_rules() -> Refusal {
    let message = "no YARA rules are loaded here; name a directory in `yara` under `[detection]`";
    Refusal::new(StatusCode::NOT_FOUND, "no_rules", message)
}

fn read_query(uri: &Uri) -> Result<SampleOrigin, Refusal> {
    let bad = |message| Refusal::new(StatusCode::BAD_REQUEST, "bad_query", message);
    let known = "known parameters: name, path, host, owner, uid, gid, mode, modified, source_ip, source_port, \
                 destination_ip, destination_port, community_id, protocol, direction, url, method, status, content_type, \
                 encoding, part, observed";
    let origin = axum::extract::Query::<SampleOrigin>::try_from_uri(uri)
        .map_err(|error| bad(format!("{}; {known}", error.body_text())))?
        .0;
    origin.problem().map_or(Ok(origin), |problem| Err(bad(problem)))
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
