//! One HTTP listener for everything that is sent by HTTP: OTLP ([`super::otlp_http`]), newline-delimited JSON
//! ([`super::ndjson`]), files to be scanned ([`super::samples`], [`super::sample_offers`]), Elasticsearch's `_bulk` ([`super::elasticsearch`]),
//! Splunk's HTTP Event Collector ([`super::splunk_hec`]), GELF ([`super::gelf_http`]), Prometheus' remote write
//! ([`super::prometheus_write`]) and systemd's journal ([`super::journald_upload`]). Bodies may be compressed with gzip or
//! zstd.

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::BodyDataStream;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use canh_schema::{ByteSize, Position};
use canh_wire::limit;
use compact_str::CompactString;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::decompression::RequestDecompressionLayer;

use super::connection::{HttpServer, Protocol};
use super::intake::{Intake, TOKEN_LABEL, source_key};
use super::limits::{ConnectionsConfig, HandshakesConfig, OfHttp};
use super::otlp::{Logs, Metrics, Signal, Traces};
use super::resend::{self, Resends};
use super::tls::{Application, Handshakes, Tls};
use super::{
    BindError, BoundDoor, elasticsearch, gelf_http, journald_upload, listen_tcp, ndjson, otlp_http, prometheus_write,
    sample_offers, samples, splunk_hec,
};
use crate::config::CollectorConfig;
use crate::envelope::{Door, Envelope};
use crate::journal::JournalError;
use crate::token::{AuthError, Scheme};

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
    /// Whether TLS is spoken, with the files of `[collector.tls]`. Nothing else is taken then.
    pub tls: bool,
    /// Longest message of OTLP, Elasticsearch or Splunk after decompression. A longer one is refused.
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
    pub connections: ConnectionsConfig<OfHttp>,
    pub handshakes: HandshakesConfig,
    /// Bodies received at the same time; with `message_max` this bounds memory. More are told to come again.
    pub requests_max: NonZeroUsize,
    /// Longest file that is taken to be scanned with YARA rules. A longer one is refused.
    #[serde(with = "canh_config::byte_size")]
    pub sample_max: ByteSize,
    /// Files received and scanned at the same time; with `sample_max` this bounds memory. More are told to come again.
    pub samples_max: NonZeroUsize,
    /// A body must have arrived and be durable within this time.
    #[serde(with = "canh_config::duration")]
    pub request_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 4318)),
            tls: false,
            message_max: limit::MESSAGE_MAX,
            body_max: ByteSize::mib(64),
            lines_max: const { NonZeroU64::new(1_000_000).unwrap() },
            line_max: limit::LINE_MAX,
            connections: ConnectionsConfig::default(),
            handshakes: HandshakesConfig::default(),
            requests_max: const { NonZeroUsize::new(32).unwrap() },
            sample_max: ByteSize::mib(32),
            samples_max: const { NonZeroUsize::new(4).unwrap() },
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

pub(super) fn bind(
    all: &CollectorConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    let config = &all.http;
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let handshakes = tls
        .filter(|_| config.tls)
        .map(|tls| Handshakes::new(NAME, tls.clone(), intake, &config.handshakes).speaking(Application::Http));
    let limits = config.connections.limits();
    let (router, intake) = (router(all, intake.clone()), intake.clone());
    let secured = handshakes.is_some();
    let server = HttpServer { door: NAME, protocol: Protocol::Http, limits, handshakes, router, intake };
    Ok(Some(BoundDoor::new(NAME, address, move |stop| server.serve(listener, stop)).secured(secured)))
}

fn router(all: &CollectorConfig, intake: Intake) -> Router {
    let config = &all.http;
    let app = App {
        intake,
        config: Arc::new(config.clone()),
        places: Arc::new(Semaphore::new(config.requests_max.get())),
        sample_places: Arc::new(Semaphore::new(config.samples_max.get())),
        resends: Arc::default(),
    };
    let mut router = Router::new()
        .route(Logs::HTTP_PATH, post(otlp_http::export::<Logs>))
        .route(Metrics::HTTP_PATH, post(otlp_http::export::<Metrics>))
        .route(Traces::HTTP_PATH, post(otlp_http::export::<Traces>))
        .route(ndjson::PATH, post(ndjson::ingest))
        .route(samples::PATH, post(samples::receive))
        .route(sample_offers::PATH, post(sample_offers::receive))
        .fallback(unknown(all));
    if all.elasticsearch.enabled {
        router = router.merge(elasticsearch::routes(&all.elasticsearch));
    }
    if all.splunk_hec.enabled {
        router = router.merge(splunk_hec::routes(&all.splunk_hec));
    }
    if all.gelf_http.enabled {
        router = router.merge(gelf_http::routes());
    }
    if all.prometheus_write.enabled {
        router = router.merge(prometheus_write::routes(&all.prometheus_write));
    }
    if all.journald_upload.enabled {
        router = router.merge(journald_upload::routes(&all.journald_upload));
    }
    router
        // Bodies are read piece by piece under limits of their own.
        .layer(DefaultBodyLimit::disable())
        // What cannot be unpacked is refused by `App::admit`, in the words of each protocol.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .with_state(app)
}

/// Tells whoever asks for something else what there is.
fn unknown(all: &CollectorConfig) -> impl Fn() -> std::future::Ready<Response> + Clone + use<> {
    let mut paths = vec![Logs::HTTP_PATH, Metrics::HTTP_PATH, Traces::HTTP_PATH, ndjson::PATH, samples::PATH];
    paths.extend(all.elasticsearch.enabled.then_some(elasticsearch::PATH));
    paths.extend(all.splunk_hec.enabled.then_some(splunk_hec::PATH));
    paths.extend(all.gelf_http.enabled.then_some(gelf_http::PATH));
    paths.extend(all.prometheus_write.enabled.then_some(prometheus_write::PATH));
    paths.extend(all.journald_upload.enabled.then_some(journald_upload::PATH));
    let message = format!("nothing is received here; send to one of {}\n", paths.join(", "));
    move || std::future::ready((StatusCode::NOT_FOUND, message.clone()).into_response())
}

#[derive(Clone)]
pub(super) struct App {
    pub(super) intake: Intake,
    pub(super) config: Arc<HttpConfig>,
    places: Arc<Semaphore>,
    /// A scan takes long; it must not take the places of those who send logs.
    sample_places: Arc<Semaphore>,
    /// Bodies whose senders did not wait for the answer.
    pub(super) resends: Arc<Resends>,
}

/// A request that may be read. The permit stands for its room in memory, which is taken until the last copy is gone.
#[derive(Debug)]
pub(super) struct Admitted {
    place: Arc<OwnedSemaphorePermit>,
    /// Name of the source, if it has a token of its own.
    pub(super) token: Option<CompactString>,
}

impl Admitted {
    /// Writes on the batch whose token it came with.
    pub(super) fn mark(&self, envelope: &mut Envelope) {
        if let Some(token) = &self.token {
            envelope.label(TOKEN_LABEL, token);
        }
    }
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
    /// Checks who asks, what the headers say of the body, and whether there is room, before the body is read.
    pub(super) fn admit(&self, headers: &HeaderMap, len_max: ByteSize) -> Result<Admitted, Refusal> {
        self.admit_as(headers, &[Scheme::Bearer], len_max)
    }

    /// The same for senders that have other ways to show their token.
    pub(super) fn admit_as(
        &self,
        headers: &HeaderMap,
        schemes: &[Scheme],
        len_max: ByteSize,
    ) -> Result<Admitted, Refusal> {
        let token = self.named(headers, schemes)?;
        self.make_room(headers, len_max, token)
    }

    /// The same for somebody who is known already.
    pub(super) fn make_room(
        &self,
        headers: &HeaderMap,
        len_max: ByteSize,
        token: Option<CompactString>,
    ) -> Result<Admitted, Refusal> {
        check_head(headers, len_max, Refusal::too_large)?;
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too many requests at the same time; try again")
        })?;
        Ok(Admitted { place: Arc::new(place), token })
    }

    /// The same for a file that is to be scanned.
    pub(super) fn admit_sample(&self, headers: &HeaderMap) -> Result<Admitted, Refusal> {
        let token = self.named(headers, &[Scheme::Bearer])?;
        check_head(headers, self.config.sample_max, samples::too_large)?;
        let place = self.sample_places.clone().try_acquire_owned().map_err(|_| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many files are being scanned; try again")
        })?;
        Ok(Admitted { place: Arc::new(place), token })
    }

    fn named(&self, headers: &HeaderMap, schemes: &[Scheme]) -> Result<Option<CompactString>, Refusal> {
        self.who(headers, schemes)
            .map_err(|error| Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", error.to_string()))
    }

    /// The name of the source whose token this is; no name for the token that all share.
    pub(super) fn who(&self, headers: &HeaderMap, schemes: &[Scheme]) -> Result<Option<CompactString>, AuthError> {
        self.intake.who(schemes, headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes))
    }

    pub(super) fn count(&self, door: Door, refusal: &Refusal) {
        self.intake.refused(door, refusal.reason);
    }

    /// Counts a refusal and says it in plain words.
    pub(super) fn refuse_plainly(&self, door: Door, refusal: &Refusal) -> Response {
        self.count(door, refusal);
        let mut response = (refusal.status, refusal.message.clone() + "\n").into_response();
        refusal.add_headers(response.headers_mut());
        response
    }

    /// Whether a body would be read now.
    pub(super) fn has_room(&self) -> bool {
        self.places.available_permits() > 0
    }

    /// Journals a body that its sender sends again if no answer comes. The place in the journal is answered.
    pub(super) async fn append_once(
        &self,
        envelope: Envelope,
        records: u64,
        admitted: &Admitted,
    ) -> Result<Position, Refusal> {
        let (door, peer, source) = (envelope.door, envelope.peer, source_key(&envelope));
        let key = resend::key(&envelope, admitted.token.as_deref());
        let (intake, place) = (self.intake.clone(), admitted.place.clone());
        let work = async move {
            let _place = place; // the body is in memory still when its sender has gone away
            let appended = intake.append(envelope, records).await;
            appended.map(|appended| appended.position).map_err(|error| Refusal::journal(&error))
        };
        let once = self.resends.once(key, work).await;
        if once.resent {
            self.intake.resent_of(door, peer, source);
        }
        once.outcome
    }
}

/// What the headers say of the body.
fn check_head(headers: &HeaderMap, len_max: ByteSize, too_large: fn(ByteSize) -> Refusal) -> Result<(), Refusal> {
    // Of a body that is unpacked on the way, both headers are gone.
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let message = format!("a body packed with `{encoding}` cannot be read; send it with gzip or zstd, or as it is");
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, CONTENT_ENCODING, message));
    }
    let len = headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse::<u64>().ok());
    if len.is_some_and(|len| len > len_max.bytes()) { Err(too_large(len_max)) } else { Ok(()) }
}

/// The whole body, if it is not too long.
pub(super) async fn read_all(mut body: BodyDataStream, len_max: ByteSize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| {
            Refusal::new(StatusCode::BAD_REQUEST, "body", format!("the body cannot be read: {error}"))
        })?;
        if bytes.len() + piece.len() > len_max.as_len() {
            return Err(Refusal::too_large(len_max));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}
