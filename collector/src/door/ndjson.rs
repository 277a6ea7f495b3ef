//! Newline-delimited JSON and JSON arrays over HTTP: `POST /ingest/ndjson?format=…&host=…` with a bearer token.
//!
//! The body is journaled while it comes in, so it may be long. The answer says how many records are durable; if it is
//! an error, those are kept all the same, and the sender can go on behind them.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use canh_schema::Timestamp;
use compact_str::CompactString;
use futures_util::StreamExt;
use http::{Request, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};

use super::connection::Peer;
use super::http::{App, Refusal};
use super::json_array::ArraySplitter;
use super::lines::{LineSplitter, Ready};
use crate::drops::DropReason;
use crate::envelope::{Door, Envelope, Framing};

pub(super) const PATH: &str = "/ingest/ndjson";
const DOOR: Door = Door::Ndjson;
/// Records are handed to the journal in pieces of about this size.
const PIECE_LEN: usize = 256 * 1024;
/// Bytes that are looked at between two looks whether a piece is large enough.
const STEP_LEN: usize = 64 * 1024;

/// What may follow the question mark.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Query {
    /// Name of the format of the records.
    format: Option<String>,
    /// Host of records that do not name one.
    host: Option<String>,
}

/// The answer.
#[derive(Debug, Default, Serialize)]
struct Receipt {
    /// Records that are durable.
    accepted: u64,
    /// Records of these that were longer than the limit and are cut.
    truncated: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn ingest(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let mut receipt = Receipt::default();
    match receive(&app, peer, request, &mut receipt).await {
        Ok(()) => answer(StatusCode::OK, &receipt),
        Err(refusal) => {
            app.count(DOOR, &refusal);
            receipt.error = Some(refusal.message.clone());
            let mut response = answer(refusal.status, &receipt);
            refusal.add_headers(response.headers_mut());
            response
        }
    }
}

fn answer(status: StatusCode, receipt: &Receipt) -> Response {
    let body = serde_json::to_string(receipt).unwrap_or_default() + "\n";
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn receive(app: &App, peer: Peer, request: Request<Body>, receipt: &mut Receipt) -> Result<(), Refusal> {
    let (parts, body) = request.into_parts();
    let _place = app.admit(&parts.headers)?;
    let query = read_query(&parts.uri)?;
    let work = read_body(app, peer, &query, body, receipt);
    tokio::time::timeout(app.config.request_timeout, work).await.unwrap_or_else(|_| Err(Refusal::timeout()))
}

fn read_query(uri: &Uri) -> Result<Query, Refusal> {
    let query = axum::extract::Query::<Query>::try_from_uri(uri).map_err(|error| {
        let message = format!("{}; known parameters: format, host", error.body_text());
        Refusal::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    Ok(query.0)
}

enum Splitter {
    Lines(LineSplitter),
    Array(ArraySplitter),
}

impl Splitter {
    /// The first byte that is not white space tells an array from lines.
    fn for_start(first: u8, line_max: usize) -> Self {
        match first {
            b'[' => Self::Array(ArraySplitter::new(line_max)),
            _ => Self::Lines(LineSplitter::new(Framing::NdJson, line_max)),
        }
    }

    fn push(&mut self, data: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Lines(lines) => lines.push(data),
            Self::Array(array) => array.push(data).map_err(|error| malformed(&error))?,
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        match self {
            Self::Lines(lines) => lines.finish(),
            Self::Array(array) => array.finish().map_err(|error| malformed(&error))?,
        }
        Ok(())
    }

    fn ready_len(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.ready_len(),
            Self::Array(array) => array.ready_len(),
        }
    }

    fn cut_total(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.cut_total(),
            Self::Array(array) => array.cut_total(),
        }
    }

    fn take(&mut self) -> Vec<Ready> {
        match self {
            Self::Lines(lines) => lines.take().collect(),
            Self::Array(array) => array.take().collect(),
        }
    }
}

fn malformed(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "malformed", error.to_string())
}

async fn read_body(app: &App, peer: Peer, query: &Query, body: Body, receipt: &mut Receipt) -> Result<(), Refusal> {
    let line_max = app.config.line_max.as_len();
    let body_max = app.config.body_max.bytes();
    let mut splitter = None;
    let mut received = 0;
    let mut body = body.into_data_stream();
    // What was whole before an error is journaled too, and the answer says how much that is.
    let mut outcome = Ok(());
    while outcome.is_ok()
        && let Some(piece) = body.next().await
    {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                let message = format!("the body cannot be read: {error}");
                outcome = Err(Refusal::new(StatusCode::BAD_REQUEST, "body", message));
                break;
            }
        };
        received += piece.len() as u64;
        if received > body_max {
            let message = format!("the body is longer than {body_max} bytes; send it in several requests");
            outcome = Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message));
            break;
        }
        // In small steps: a body may come in large pieces.
        for step in piece.chunks(STEP_LEN) {
            if splitter.is_none() {
                let first = step.iter().find(|byte| !byte.is_ascii_whitespace());
                splitter = first.map(|first| Splitter::for_start(*first, line_max));
            }
            let Some(splitter) = &mut splitter else { continue };
            outcome = splitter.push(step);
            if outcome.is_err() {
                break;
            }
            if splitter.ready_len() >= PIECE_LEN {
                flush(app, peer, query, splitter, receipt).await?;
            }
        }
    }
    if let Some(splitter) = &mut splitter {
        if outcome.is_ok() {
            outcome = splitter.finish();
        }
        flush(app, peer, query, splitter, receipt).await?;
    }
    outcome
}

async fn flush(
    app: &App,
    peer: Peer,
    query: &Query,
    splitter: &mut Splitter,
    receipt: &mut Receipt,
) -> Result<(), Refusal> {
    for ready in splitter.take() {
        let mut envelope = Envelope::new(DOOR, Timestamp::now(), ready.framing, ready.payload);
        envelope.peer = Some(peer.ip());
        envelope.format = query.format.as_deref().map(CompactString::from);
        envelope.host = query.host.as_deref().map(CompactString::from);
        app.intake.append(envelope, ready.records).await.map_err(|error| Refusal::journal(&error))?;
        receipt.accepted += ready.records;
    }
    let cut = splitter.cut_total() - receipt.truncated;
    app.intake.dropped(DOOR, Some(peer.ip()), DropReason::Truncated, cut);
    receipt.truncated += cut;
    Ok(())
}
