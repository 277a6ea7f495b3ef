//! Newline-delimited JSON and JSON arrays over HTTP: `POST /ingest/ndjson?format=…&host=…` with a bearer token.
//!
//! The body is journaled while it comes in, so it may be long. The answer says how many records are durable; if it is
//! an error, those are kept all the same, and the answer says behind which line the sender has to go on.
//!
//! A short body may have the number of a batch in its headers, as our agents' batches have ([`canh_wire::BatchNumber`]): it is kept
//! once, however often it is sent. That is how `canh import` sends files.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use canh_schema::{ByteSize, Timestamp};
use compact_str::CompactString;
use futures_util::StreamExt;
use http::{Request, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};

use super::connection::Peer;
use super::http::{Admitted, App, Refusal};
use super::json_array::ArraySplitter;
use super::lines::{LineSplitter, Ready};
use super::numbered;
use crate::drops::DropReason;
use crate::envelope::{Door, Envelope, Framing};
use crate::format;

pub(super) const PATH: &str = "/ingest/ndjson";
pub(super) const DOOR: Door = Door::Ndjson;
/// Records are handed to the journal in pieces of about this size.
pub(super) const PIECE_LEN: usize = 256 * 1024;
/// Bytes that are looked at between two looks whether a piece is large enough.
const STEP_LEN: usize = 64 * 1024;

/// Longest payload of a batch in bytes. A step of short records may grow by what is written beside each of them.
pub(super) fn payload_len_max(line_max: ByteSize) -> u64 {
    line_max.bytes().saturating_add((PIECE_LEN + 8 * STEP_LEN) as u64)
}

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
pub(super) struct Receipt {
    /// Records that are durable.
    pub(super) accepted: u64,
    /// Records of these that were longer than the limit and are cut.
    pub(super) truncated: u64,
    /// With an error: the line of the body, or the element of the array, behind which the sender has to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip)]
    progress: Progress,
}

/// How far into the body everything is durable.
#[derive(Debug, Default)]
struct Progress {
    unit: Unit,
    /// Lines with the empty ones, so that a text editor counts the same; or elements.
    through: u64,
    /// Something behind it may be durable too: the journal was still writing, or has taken a part.
    in_doubt: bool,
}

#[derive(Clone, Copy, Default, Debug)]
enum Unit {
    #[default]
    Line,
    Element,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Element => "element",
        }
    }
}

impl Receipt {
    /// Adds to the reason of a refusal what is kept and where to go on.
    fn refuse(&mut self, reason: &str) {
        let (unit, through) = (self.progress.unit.name(), self.progress.through);
        let doubt = if self.progress.in_doubt { "; some of what follows may be kept too" } else { "" };
        let kept = match (self.accepted, through) {
            (0, 0) if doubt.is_empty() => "nothing of this request is kept".to_owned(),
            (accepted, 0) => format!("{accepted} records of this request are kept{doubt}: send all of it again"),
            (accepted, _) => format!(
                "{accepted} records are kept, up to {unit} {through}{doubt}: go on after {unit} {through}, do not begin again"
            ),
        };
        self.error = Some(format!("{reason}; {kept}"));
        self.resume_after = Some(through);
    }
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
            receipt.refuse(&refusal.message);
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
    let admitted = app.admit(&parts.headers, app.config.body_max)?;
    let query = read_query(&parts.uri)?;
    let number = canh_wire::number_of(&parts.headers).map_err(|error| malformed(&error))?;
    let sender = Sender { peer, query, admitted };
    let work = async {
        match number {
            Some(number) => numbered::receive(app, &sender, number, body, receipt).await,
            None => read_body(app, &sender, body, receipt).await,
        }
    };
    tokio::time::timeout(app.config.request_timeout, work).await.unwrap_or_else(|_| Err(Refusal::timeout()))
}

fn read_query(uri: &Uri) -> Result<Query, Refusal> {
    let query = axum::extract::Query::<Query>::try_from_uri(uri).map_err(|error| {
        let message = format!("{}; known parameters: format, host", error.body_text());
        Refusal::new(StatusCode::BAD_REQUEST, "bad_query", message)
    })?;
    if let Some(name) = query.format.as_deref().filter(|name| !format::is_known(name)) {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "bad_format", format::unknown(name)));
    }
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

    /// Takes no more than `records_max` records in all.
    fn push(&mut self, data: &[u8], records_max: u64) -> Result<(), Refusal> {
        match self {
            Self::Lines(lines) => {
                for line in data.split_inclusive(|byte| *byte == b'\n') {
                    let full = lines.records_total() >= records_max && !lines.is_skipping();
                    if full && line.iter().any(|byte| !matches!(byte, b'\r' | b'\n')) {
                        return Err(too_many(Unit::Line, records_max));
                    }
                    lines.push(line);
                }
            }
            Self::Array(array) => {
                for piece in data.split_inclusive(|byte| *byte == b',') {
                    array.push(piece).map_err(|error| malformed(&error))?;
                    if array.elements_total() >= records_max && array.expects_more() {
                        return Err(too_many(Unit::Element, records_max));
                    }
                }
            }
        }
        Ok(())
    }

    const fn unit(&self) -> Unit {
        match self {
            Self::Lines(_) => Unit::Line,
            Self::Array(_) => Unit::Element,
        }
    }

    /// Lines or elements that [`Splitter::take`] has given or would give.
    fn units_total(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.lines_total(),
            Self::Array(array) => array.elements_total(),
        }
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

fn too_many(unit: Unit, records_max: u64) -> Refusal {
    let message = format!("the body has more than {records_max} {}s; send it in several requests", unit.name());
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_lines", message)
}

fn malformed(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "malformed", error.to_string())
}

/// Who sends a body, and what it says of it.
pub(super) struct Sender {
    peer: Peer,
    query: Query,
    admitted: Admitted,
}

impl Sender {
    /// What it names for records that name none.
    pub(super) fn host(&self) -> Option<&str> {
        self.query.host.as_deref()
    }

    pub(super) fn envelope(&self, ready: Ready) -> Envelope {
        let mut envelope = Envelope::new(DOOR, Timestamp::now(), ready.framing, ready.payload);
        self.peer.mark(&mut envelope);
        envelope.format = self.query.format.as_deref().map(CompactString::from);
        envelope.host = self.query.host.as_deref().map(CompactString::from);
        self.admitted.mark(&mut envelope);
        envelope
    }

    pub(super) fn count_cut(&self, app: &App, lines: u64) {
        app.intake.dropped_of(DOOR, Some(self.peer.ip()), self.peer.name(), DropReason::Truncated, lines);
    }
}

async fn read_body(app: &App, sender: &Sender, body: Body, receipt: &mut Receipt) -> Result<(), Refusal> {
    let line_max = app.config.line_max.as_len();
    let body_max = app.config.body_max;
    let mut splitter = None;
    let mut received = 0;
    let mut lines_before = 0; // empty ones, before it is known that there are lines
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
        if received > body_max.bytes() {
            outcome = Err(Refusal::too_large(body_max));
            break;
        }
        // In small steps: a body may come in large pieces.
        for step in piece.chunks(STEP_LEN) {
            if splitter.is_none() {
                let first = step.iter().find(|byte| !byte.is_ascii_whitespace());
                splitter = first.map(|first| Splitter::for_start(*first, line_max));
            }
            let Some(splitter) = &mut splitter else {
                lines_before += step.iter().filter(|byte| **byte == b'\n').count() as u64;
                continue;
            };
            outcome = splitter.push(step, app.config.lines_max.get());
            if outcome.is_err() {
                break;
            }
            if splitter.ready_len() >= PIECE_LEN {
                flush(app, sender, splitter, lines_before, receipt).await?;
            }
        }
    }
    if let Some(splitter) = &mut splitter {
        if outcome.is_ok() {
            outcome = splitter.finish();
        }
        flush(app, sender, splitter, lines_before, receipt).await?;
    }
    outcome
}

async fn flush(
    app: &App,
    sender: &Sender,
    splitter: &mut Splitter,
    lines_before: u64,
    receipt: &mut Receipt,
) -> Result<(), Refusal> {
    receipt.progress.unit = splitter.unit();
    for (at, ready) in splitter.take().into_iter().enumerate() {
        receipt.progress.in_doubt = true; // whoever stops waiting does not know what the journal did
        let records = ready.records;
        let appended = app.intake.append(sender.envelope(ready), records).await;
        // Of two batches, the second holds lines from between those of the first.
        receipt.progress.in_doubt = appended.is_err() && at > 0;
        appended.map_err(|error| Refusal::journal(&error))?;
        receipt.accepted += records;
    }
    receipt.progress.in_doubt = false;
    receipt.progress.through = match splitter.unit() {
        Unit::Line => lines_before + splitter.units_total(),
        Unit::Element => splitter.units_total(),
    };
    let cut = splitter.cut_total() - receipt.truncated;
    sender.count_cut(app, cut);
    receipt.truncated += cut;
    Ok(())
}
