//! GELF over HTTP: `POST /gelf` with one JSON object, answered once it is durable.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use canh_schema::Timestamp;
use compact_str::CompactString;
use http::{Request, StatusCode};
use serde::Deserialize;

use super::connection::Peer;
use super::gelf_udp::FORMAT;
use super::http::{App, Refusal, read_all};
use crate::envelope::{Cut, Door, Envelope, Framing, RecordList};
use crate::token::Scheme;

pub(super) const PATH: &str = "/gelf";
const DOOR: Door = Door::GelfHttp;

/// `[collector.gelf_http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GelfHttpConfig {
    /// Whether GELF is taken at the door `http`; its limits hold here too.
    pub enabled: bool,
}

impl Default for GelfHttpConfig {
    fn default() -> Self {
        Self { enabled: true }
    }
}

pub(super) fn routes() -> Router<App> {
    Router::new().route(PATH, post(receive))
}

async fn receive(State(app): State<App>, Extension(peer): Extension<Peer>, request: Request<Body>) -> Response {
    let outcome = tokio::time::timeout(app.config.request_timeout, take(&app, peer, request)).await;
    match outcome.unwrap_or_else(|_| Err(Refusal::timeout())) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => app.refuse_plainly(DOOR, &refusal),
    }
}

async fn take(app: &App, peer: Peer, request: Request<Body>) -> Result<(), Refusal> {
    let (parts, body) = request.into_parts();
    let admitted = app.admit_as(&parts.headers, &[Scheme::Bearer, Scheme::Basic], app.config.line_max)?;
    let body = read_all(body.into_data_stream(), app.config.line_max).await?;
    let is_object =
        serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok() && body.trim_ascii_start().starts_with(b"{");
    if !is_object {
        let message = "the body is not one JSON object; send each message of GELF in a request of its own";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", message));
    }
    let mut list = RecordList::default();
    list.push(&body, None, Cut::Whole);
    let mut envelope = Envelope::new(DOOR, Timestamp::now(), Framing::Records, list.take());
    peer.mark(&mut envelope);
    envelope.format = Some(CompactString::const_new(FORMAT));
    admitted.mark(&mut envelope);
    app.append_once(envelope, 1, &admitted).await.map(drop)
}
