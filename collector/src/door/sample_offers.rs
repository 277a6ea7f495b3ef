//! Files by their hashes, before anybody sends them: `POST /v1/samples/offers` with the bearer token of
//! [`super::samples`]. Of a file that was scanned before with the present rules the records of then go into the journal
//! for this host and path; of all others the answer says that they are wanted at `/v1/samples`.
//!
//! A file that is in neither list of the answer could not be journaled now, and has to be offered again.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use canh_schema::{ByteSize, Timestamp};
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};

use super::connection::Peer;
use super::http::{App, Refusal, read_all};
use super::samples::{DOOR, SampleOrigin, SampleSender, answer, no_rules};

pub(super) const PATH: &str = "/v1/samples/offers";
/// Files of one request.
const FILES_MAX: usize = 500;
const BODY_MAX: ByteSize = ByteSize::mib(4);
/// Lines about several files are journaled together up to this size. Those of one file stay together.
const BATCH_SIZE: usize = 256 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offers {
    /// The machine that the files are on; may be empty.
    #[serde(default)]
    host: String,
    files: Vec<Offer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    /// In lower-case hex.
    sha256: String,
    #[serde(default)]
    origin: SampleOrigin,
}

/// Places in `files` of the request.
#[derive(Debug, Default, Serialize)]
struct Answer {
    /// Stands for the rules in force; another text, other rules.
    rules: String,
    /// Nothing has to be sent of these.
    known: Vec<usize>,
    wanted: Vec<usize>,
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

async fn take(app: &App, peer: Peer, request: Request<Body>) -> Result<String, Refusal> {
    let (parts, body) = request.into_parts();
    let admitted = app.admit(&parts.headers, BODY_MAX)?;
    let sink = app.intake.samples.clone().ok_or_else(no_rules)?;
    let offers = read(&read_all(body.into_data_stream(), BODY_MAX).await?)?;
    let sender = SampleSender::new(peer, admitted, &offers.host, &parts.headers);
    let received = Timestamp::now();
    let mut answer = Answer { rules: sink.rules(), ..Answer::default() };
    let mut batch = Batch::default();
    for (at, offer) in offers.files.into_iter().enumerate() {
        let mut origin = offer.origin;
        if origin.host.is_empty() {
            origin.host.clone_from(&offers.host);
        }
        let Some(known) = sink.known(&offer.sha256, &origin, received) else {
            answer.wanted.push(at);
            continue;
        };
        batch.add(at, &known.lines, known.records);
        if batch.lines.len() >= BATCH_SIZE && !batch.write(app, &sender, &mut answer).await? {
            return finish(&answer);
        }
    }
    batch.write(app, &sender, &mut answer).await?;
    finish(&answer)
}

/// Lines that wait to be journaled.
#[derive(Debug, Default)]
struct Batch {
    lines: BytesMut,
    records: u64,
    files: Vec<usize>,
}

impl Batch {
    fn add(&mut self, at: usize, lines: &Bytes, records: u64) {
        self.lines.extend_from_slice(lines);
        self.records += records;
        self.files.push(at);
    }

    /// Answers whether the journal took it. If it takes nothing at all of a request, that is an error.
    async fn write(&mut self, app: &App, sender: &SampleSender, answer: &mut Answer) -> Result<bool, Refusal> {
        let batch = std::mem::take(self);
        if batch.files.is_empty() {
            return Ok(true);
        }
        match sender.journal(app, Timestamp::now(), batch.lines.freeze(), batch.records).await {
            Ok(()) => {
                answer.known.extend(batch.files);
                Ok(true)
            }
            // What went before is durable, and would come twice if the whole request came again.
            Err(refusal) if !answer.known.is_empty() => {
                app.count(DOOR, &refusal);
                Ok(false)
            }
            Err(refusal) => Err(refusal),
        }
    }
}

fn read(body: &[u8]) -> Result<Offers, Refusal> {
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, "bad_offer", message);
    let offers: Offers = serde_json::from_slice(body).map_err(|error| {
        bad(format!(
            "the offer cannot be read: {error}; send {{\"host\":…,\"files\":[{{\"sha256\":…,\"origin\":{{…}}}}]}}"
        ))
    })?;
    if offers.files.len() > FILES_MAX {
        return Err(bad(format!("{} files are offered at once; offer at most {FILES_MAX}", offers.files.len())));
    }
    let host = SampleOrigin { host: offers.host.clone(), ..SampleOrigin::default() };
    if let Some(problem) = host.problem() {
        return Err(bad(problem));
    }
    for (at, offer) in offers.files.iter().enumerate() {
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if offer.sha256.len() != 64 || !offer.sha256.bytes().all(hex) {
            return Err(bad(format!("`files[{at}].sha256` is not a SHA-256 of 64 lower-case hex digits")));
        }
        if let Some(problem) = offer.origin.problem() {
            return Err(bad(format!("`files[{at}].origin`: {problem}")));
        }
    }
    Ok(offers)
}

/// Reads a body as the door does.
pub(super) fn fuzz(bytes: &[u8]) {
    let _ = read(bytes);
}

fn finish(answer: &Answer) -> Result<String, Refusal> {
    serde_json::to_string(answer)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "answer", error.to_string()))
}
