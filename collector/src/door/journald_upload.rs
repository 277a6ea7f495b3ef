//! What `systemd-journal-upload` sends: `POST /upload` with entries of the journal in the export format. Entries are
//! journaled while they come in; the answer says that all of them are durable.
//!
//! The sender remembers the last entry of a body that was answered. When a body breaks off, it sends all of it again, so
//! what was journaled of it comes twice: at least once, not exactly once.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use canh_schema::{ByteSize, Timestamp};
use futures_util::StreamExt;
use http::{Request, StatusCode, header};
use serde::Deserialize;

use super::connection::Peer;
use super::http::{Admitted, App, Refusal};
use super::journal_entries::EntrySplitter;
use crate::drops::DropReason;
use crate::envelope::{Door, Envelope, Framing};
use crate::token::Scheme;

pub(super) const PATH: &str = "/upload";
const DOOR: Door = Door::JournaldUpload;
const KIND: &str = "application/vnd.fdo.journal";
/// Entries are handed to the journal in pieces of about this size.
const PIECE_LEN: usize = 256 * 1024;
/// Bytes that are looked at between two looks whether a piece is large enough.
const STEP_LEN: usize = 64 * 1024;

/// `[collector.journald_upload]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournaldUploadConfig {
    /// Whether `systemd-journal-upload` may send to the door `http`; its limits hold here too, but for that of the body.
    pub enabled: bool,
    /// Longest entry. Fields that would make one longer are left out and counted.
    #[serde(with = "canh_config::byte_size")]
    pub entry_max: ByteSize,
}

impl Default for JournaldUploadConfig {
    fn default() -> Self {
        Self { enabled: true, entry_max: ByteSize::mib(1) }
    }
}

impl JournaldUploadConfig {
    /// Longest payload that the journal is given, in bytes. A step of short entries may grow by what is written beside each.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.entry_max.bytes().saturating_add((PIECE_LEN + 4 * STEP_LEN) as u64)
    }
}

#[derive(Clone, Copy)]
struct EntryMax(ByteSize);

pub(super) fn routes(config: &JournaldUploadConfig) -> Router<App> {
    Router::new().route(PATH, post(receive)).layer(Extension(EntryMax(config.entry_max)))
}

async fn receive(
    State(app): State<App>,
    Extension(EntryMax(entry_max)): Extension<EntryMax>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    match take(&app, entry_max, peer, request).await {
        Ok(entries) => (StatusCode::ACCEPTED, format!("{entries} entries are durable\n")).into_response(),
        Err(refusal) => app.refuse_plainly(DOOR, &refusal),
    }
}

/// Answers how many entries are durable.
async fn take(app: &App, entry_max: ByteSize, peer: Peer, request: Request<Body>) -> Result<u64, Refusal> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let admitted = app.admit_as(&parts.headers, &[Scheme::Bearer, Scheme::Basic], ByteSize::new(u64::MAX))?;
    if kind != KIND {
        let message = format!("`{kind}` is not taken; send `{KIND}`, as `systemd-journal-upload` does");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message));
    }
    let malformed = |_| {
        let message = "the body is not of the journal's export format; what came before the mistake is kept";
        Refusal::new(StatusCode::BAD_REQUEST, "malformed", message)
    };
    let mut work = Work { app, admitted, peer, splitter: EntrySplitter::new(entry_max.as_len()), entries: 0, cut: 0 };
    let mut body = body.into_data_stream();
    loop {
        // A body may be as long as the journal that is sent; it has to go on, and that is all.
        let piece = tokio::time::timeout(app.config.request_timeout, body.next()).await;
        let Some(piece) = piece.map_err(|_| Refusal::timeout())? else { break };
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                work.flush().await?;
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "body", format!("the body cannot be read: {error}")));
            }
        };
        for step in piece.chunks(STEP_LEN) {
            let pushed = work.splitter.push(step);
            if pushed.is_err() || work.splitter.ready_len() >= PIECE_LEN {
                work.flush().await?;
            }
            pushed.map_err(malformed)?;
        }
    }
    let finished = work.splitter.finish();
    work.flush().await?;
    finished.map_err(malformed)?;
    Ok(work.entries)
}

/// One body under way.
struct Work<'a> {
    app: &'a App,
    admitted: Admitted,
    peer: Peer,
    splitter: EntrySplitter,
    entries: u64,
    cut: u64,
}

impl Work<'_> {
    async fn flush(&mut self) -> Result<(), Refusal> {
        let (payload, entries) = self.splitter.take();
        if entries > 0 {
            let mut envelope = Envelope::new(DOOR, Timestamp::now(), Framing::JournalExport, payload);
            self.peer.mark(&mut envelope);
            self.admitted.mark(&mut envelope);
            let appended = self.app.intake.append(envelope, entries).await;
            appended.map_err(|error| Refusal::journal(&error))?;
            self.entries += entries;
        }
        let cut = self.splitter.cut_total() - self.cut;
        self.cut += cut;
        self.app.intake.dropped_of(DOOR, Some(self.peer.ip()), self.peer.name(), DropReason::Truncated, cut);
        Ok(())
    }
}
