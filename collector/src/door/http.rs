//! One HTTP listener for everything that is sent by HTTP: OTLP ([`super::otlp_http`]) and newline-delimited JSON
//! ([`super::ndjson`]). Bodies may be compressed with gzip or zstd.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use canh_schema::ByteSize;
use canh_wire::limit;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::decompression::RequestDecompressionLayer;

use super::connection::{self, Limits, Protocol};
use super::intake::Intake;
use super::otlp::{Logs, Metrics, Signal};
use super::{BindError, BoundDoor, listen_tcp, ndjson, otlp_http};
use crate::envelope::Door;
use crate::journal::JournalError;
use crate::token::check_bearer;

const NAME: &str = "http";

/// `[collector.http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Longest OTLP message after decompression. A longer one is refused.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Longest body of newline-delimited JSON after decompression. It is journaled while it comes in.
    #[serde(with = "canh_config::byte_size")]
    pub body_max: ByteSize,
    /// Longest line or array element; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub line_max: ByteSize,
    /// Connections at the same time. More are closed at once and counted.
    pub connections_max: NonZeroUsize,
    /// Bodies received at the same time; with `message_max` this bounds memory. More are told to come again.
    pub requests_max: NonZeroUsize,
    /// A connection on which nothing arrives for so long is closed.
    #[serde(with = "canh_config::duration")]
    pub idle_timeout: Duration,
    /// A body must have arrived and be durable within this time.
    #[serde(with = "canh_config::duration")]
    pub request_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 4318)),
            message_max: limit::MESSAGE_MAX,
            body_max: ByteSize::mib(64),
            line_max: limit::LINE_MAX,
            connections_max: const { NonZeroUsize::new(512).unwrap() },
            requests_max: const { NonZeroUsize::new(32).unwrap() },
            idle_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(300),
        }
    }
}

pub(super) fn bind(config: &HttpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let limits = Limits { connections_max: config.connections_max, idle_timeout: config.idle_timeout };
    let router = router(config, intake.clone());
    let intake = intake.clone();
    Ok(Some(BoundDoor::new(NAME, address, move |stop| {
        connection::serve(NAME, listener, Protocol::Http, limits, router, intake, stop)
    })))
}

fn router(config: &HttpConfig, intake: Intake) -> Router {
    let places = Arc::new(Semaphore::new(config.requests_max.get()));
    let app = App { intake, config: Arc::new(config.clone()), places };
    Router::new()
        .route(Logs::HTTP_PATH, post(otlp_http::export::<Logs>))
        .route(Metrics::HTTP_PATH, post(otlp_http::export::<Metrics>))
        .route(ndjson::PATH, post(ndjson::ingest))
        .fallback(unknown)
        // Bodies are read piece by piece under limits of their own.
        .layer(DefaultBodyLimit::disable())
        .layer(RequestDecompressionLayer::new())
        .with_state(app)
}

async fn unknown() -> Response {
    let known = [Logs::HTTP_PATH, Metrics::HTTP_PATH, ndjson::PATH].join(", ");
    (StatusCode::NOT_FOUND, format!("nothing is received here; send to one of {known}\n")).into_response()
}

#[derive(Clone)]
pub(super) struct App {
    pub(super) intake: Intake,
    pub(super) config: Arc<HttpConfig>,
    places: Arc<Semaphore>,
}

/// Why a request was refused: the status, the name of the counter, and what the sender reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    pub(super) fn journal(error: &JournalError) -> Self {
        let status = if error.is_retryable() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::PAYLOAD_TOO_LARGE };
        Self::new(status, "journal", error.to_string())
    }

    pub(super) fn timeout() -> Self {
        let message = "the body did not arrive, or was not written, in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
    }

    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

impl App {
    /// Checks who asks and whether there is room, before the body is read. The permit stands for the room.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Refusal> {
        let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        check_bearer(&*self.intake.tokens, authorization)
            .map_err(|error| Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string()))?;
        self.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too many requests at the same time; try again")
        })
    }

    pub(super) fn count(&self, door: Door, refusal: &Refusal) {
        self.intake.refused(door, refusal.reason);
    }
}
