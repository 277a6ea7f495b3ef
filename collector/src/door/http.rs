//! One HTTP listener for everything that is sent by HTTP: OTLP ([`super::otlp_http`]), newline-delimited JSON
//! ([`super::ndjson`]) and files to be scanned ([`super::samples`]). Bodies may be compressed with gzip or zstd.

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
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
use super::{BindError, BoundDoor, listen_tcp, ndjson, otlp_http, samples};
use crate::envelope::Door;
use crate::journal::JournalError;
use crate::token::check_bearer;

const NAME: &str = "http";
/// Name of the counter of bodies that are packed in an unknown way.
const CONTENT_ENCODING: &str = "content_encoding";

/// `[collector.http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Longest OTLP message after decompression. A longer one is refused.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    /// Longest body of newline-delimited JSON after decompression. It is journaled while it comes in.
    #[serde(with = "canh_config::byte_size")]
    pub body_max: ByteSize,
    /// Most lines or array elements of one body of newline-delimited JSON.
    pub lines_max: NonZeroU64,
    /// Longest line or array element; the rest of a longer one is cut off and counted.
    #[serde(with = "canh_config::byte_size")]
    pub line_max: ByteSize,
    /// Connections at the same time. More are closed at once and counted.
    pub connections_max: NonZeroUsize,
    /// Connections of one address at the same time; an IPv6 network of /64 counts as one address. More are closed at
    /// once and counted. Raise it if senders come through a proxy.
    pub connections_per_address_max: NonZeroUsize,
    /// Bodies received at the same time; with `message_max` this bounds memory. More are told to come again.
    pub requests_max: NonZeroUsize,
    /// Longest file that is taken to be scanned with YARA rules. A longer one is refused.
    #[serde(with = "canh_config::byte_size")]
    pub sample_max: ByteSize,
    /// Files received and scanned at the same time; with `sample_max` this bounds memory. More are told to come again.
    pub samples_max: NonZeroUsize,
    /// A connection that has sent nothing at all is closed after so long. When the door is full, the oldest of these
    /// makes room for a new connection.
    #[serde(with = "canh_config::duration")]
    pub first_byte_timeout: Duration,
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
            lines_max: const { NonZeroU64::new(1_000_000).unwrap() },
            line_max: limit::LINE_MAX,
            connections_max: const { NonZeroUsize::new(512).unwrap() },
            connections_per_address_max: const { NonZeroUsize::new(64).unwrap() },
            requests_max: const { NonZeroUsize::new(32).unwrap() },
            sample_max: ByteSize::mib(32),
            samples_max: const { NonZeroUsize::new(4).unwrap() },
            first_byte_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(300),
        }
    }
}

impl HttpConfig {
    /// Longest payload of an OTLP message that the journal is given, in bytes.
    pub(crate) fn message_len_max(&self) -> u64 {
        self.message_max.bytes()
    }

    /// Longest payload of lines that the journal is given, in bytes.
    pub(crate) fn lines_len_max(&self) -> u64 {
        ndjson::payload_len_max(self.line_max)
    }
}

pub(super) fn bind(config: &HttpConfig, intake: &Intake) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let limits = Limits {
        connections_max: config.connections_max,
        connections_per_address_max: config.connections_per_address_max,
        first_byte_timeout: config.first_byte_timeout,
        idle_timeout: config.idle_timeout,
    };
    let router = router(config, intake.clone());
    let intake = intake.clone();
    Ok(Some(BoundDoor::new(NAME, address, move |stop| {
        connection::serve_http(NAME, listener, Protocol::Http, limits, router, intake, stop)
    })))
}

fn router(config: &HttpConfig, intake: Intake) -> Router {
    let places = Arc::new(Semaphore::new(config.requests_max.get()));
    let sample_places = Arc::new(Semaphore::new(config.samples_max.get()));
    let app = App { intake, config: Arc::new(config.clone()), places, sample_places };
    Router::new()
        .route(Logs::HTTP_PATH, post(otlp_http::export::<Logs>))
        .route(Metrics::HTTP_PATH, post(otlp_http::export::<Metrics>))
        .route(ndjson::PATH, post(ndjson::ingest))
        .route(samples::PATH, post(samples::receive))
        .fallback(unknown)
        // Bodies are read piece by piece under limits of their own.
        .layer(DefaultBodyLimit::disable())
        // What cannot be unpacked is refused by `App::admit`, in the words of each protocol.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .with_state(app)
}

async fn unknown() -> Response {
    let known = [Logs::HTTP_PATH, Metrics::HTTP_PATH, ndjson::PATH, samples::PATH].join(", ");
    (StatusCode::NOT_FOUND, format!("nothing is received here; send to one of {known}\n")).into_response()
}

#[derive(Clone)]
pub(super) struct App {
    pub(super) intake: Intake,
    pub(super) config: Arc<HttpConfig>,
    places: Arc<Semaphore>,
    /// A scan takes long; it must not take the places of those who send logs.
    sample_places: Arc<Semaphore>,
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

    pub(super) fn too_large(len_max: ByteSize) -> Self {
        let message =
            format!("the body is longer than {} bytes; send smaller batches in several requests", len_max.bytes());
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
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
        if self.reason == CONTENT_ENCODING {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, identity"));
        }
    }
}

impl App {
    /// Checks who asks, what the headers say of the body, and whether there is room, before the body is read. The
    /// permit stands for the room.
    pub(super) fn admit(&self, headers: &HeaderMap, len_max: ByteSize) -> Result<OwnedSemaphorePermit, Refusal> {
        self.check_head(headers, len_max, Refusal::too_large)?;
        self.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too many requests at the same time; try again")
        })
    }

    /// The same for a file that is to be scanned.
    pub(super) fn admit_sample(&self, headers: &HeaderMap) -> Result<OwnedSemaphorePermit, Refusal> {
        self.check_head(headers, self.config.sample_max, samples::too_large)?;
        self.sample_places.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many files are being scanned; try again")
        })
    }

    fn check_head(
        &self,
        headers: &HeaderMap,
        len_max: ByteSize,
        too_large: fn(ByteSize) -> Refusal,
    ) -> Result<(), Refusal> {
        let authorization = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        check_bearer(&*self.intake.tokens, authorization)
            .map_err(|error| Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string()))?;
        // Of a body that is unpacked on the way, both headers are gone.
        if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
            let encoding = String::from_utf8_lossy(encoding.as_bytes());
            let message =
                format!("a body packed with `{encoding}` cannot be read; send it with gzip or zstd, or as it is");
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, CONTENT_ENCODING, message));
        }
        let len = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
        if len.is_some_and(|len| len > len_max.bytes()) { Err(too_large(len_max)) } else { Ok(()) }
    }

    pub(super) fn count(&self, door: Door, refusal: &Refusal) {
        self.intake.refused(door, refusal.reason);
    }
}
