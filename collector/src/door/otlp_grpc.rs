//! OTLP over gRPC: logs, metrics and traces. A batch is answered once it is durable in the journal.
//!
//! The journal keeps the message's own bytes; it is decoded here only to refuse what is not a message and to count.
//! A full journal is `RESOURCE_EXHAUSTED` with a `RetryInfo` (OTLP specification, "OTLP/gRPC Throttling").

use std::future::Future;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Router};
use bytes::{Buf, Bytes};
use canh_schema::ByteSize;
use canh_wire::{BatchNumber, limit};
use compact_str::CompactString;
use prost::Message;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EnabledCompressionEncodings, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Request, Response, Status};

use super::connection::{HttpServer, Peer, Protocol};
use super::intake::{Intake, TOKEN_LABEL};
use super::limits::{ConnectionsConfig, HandshakesConfig, OfGrpc};
use super::otlp::{self, Logs, Metrics, Signal, Traces};
use super::tls::{Application, Handshakes, Tls};
use super::{BindError, BoundDoor, listen_tcp};
use crate::envelope::Door;
use crate::journal::JournalError;
use crate::token::Scheme;

const NAME: &str = "otlp_grpc";
const DOOR: Door = Door::OtlpGrpc;
/// When a sender that was turned away should come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// `[collector.otlp_grpc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpGrpcConfig {
    /// Whether this door is open.
    pub enabled: bool,
    /// Address to listen on.
    #[serde(with = "canh_config::socket_addr")]
    pub listen: SocketAddr,
    /// Whether TLS is spoken, with the files of `[collector.tls]`. Nothing else is taken then.
    pub tls: bool,
    /// Longest message after decompression. A longer one is refused.
    #[serde(with = "canh_config::byte_size")]
    pub message_max: ByteSize,
    pub connections: ConnectionsConfig<OfGrpc>,
    pub handshakes: HandshakesConfig,
    /// Messages received at the same time; with `message_max` this bounds memory. More are told to come again.
    pub requests_max: NonZeroUsize,
    /// A message must have arrived and be durable within this time.
    #[serde(with = "canh_config::duration")]
    pub request_timeout: Duration,
}

impl Default for OtlpGrpcConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 4317)),
            tls: false,
            message_max: limit::MESSAGE_MAX,
            connections: ConnectionsConfig::default(),
            handshakes: HandshakesConfig::default(),
            requests_max: const { NonZeroUsize::new(32).unwrap() },
            request_timeout: Duration::from_secs(60),
        }
    }
}

impl OtlpGrpcConfig {
    /// Longest payload that the journal is given, in bytes.
    pub(crate) fn batch_len_max(&self) -> u64 {
        self.message_max.bytes()
    }
}

pub(super) fn bind(
    config: &OtlpGrpcConfig,
    tls: Option<&Arc<Tls>>,
    intake: &Intake,
) -> Result<Option<BoundDoor>, BindError> {
    if !config.enabled {
        return Ok(None);
    }
    let (listener, address) = listen_tcp(NAME, config.listen)?;
    let handshakes = tls
        .filter(|_| config.tls)
        .map(|tls| Handshakes::new(NAME, tls.clone(), intake, &config.handshakes).speaking(Application::Http2));
    let limits = config.connections.limits();
    let intake = intake.clone();
    let app = App {
        intake: intake.clone(),
        message_max: config.message_max.as_len(),
        request_timeout: config.request_timeout,
        places: Arc::new(Semaphore::new(config.requests_max.get())),
    };
    let router = Router::new()
        .route(Logs::GRPC_PATH, post(export::<Logs>))
        .route(Metrics::GRPC_PATH, post(export::<Metrics>))
        .route(Traces::GRPC_PATH, post(export::<Traces>))
        .fallback(unknown)
        .with_state(app);
    let secured = handshakes.is_some();
    let server = HttpServer { door: NAME, protocol: Protocol::Http2, limits, handshakes, router, intake };
    Ok(Some(BoundDoor::new(NAME, address, move |stop| server.serve(listener, stop)).secured(secured)))
}

#[derive(Clone)]
struct App {
    intake: Intake,
    message_max: usize,
    request_timeout: Duration,
    places: Arc<Semaphore>,
}

type Answer = http::Response<tonic::body::Body>;

async fn unknown() -> Answer {
    Status::unimplemented("this door takes OpenTelemetry logs, metrics and traces only").into_http()
}

/// Checks who asks before anything of the message is read.
async fn export<S: Signal>(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: http::Request<Body>,
) -> Answer {
    let authorization = request.headers().get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let token = match app.intake.who(&[Scheme::Bearer], authorization) {
        Ok(token) => token,
        Err(error) => {
            app.intake.refused(DOOR, "unauthenticated");
            return Status::unauthenticated(error.to_string()).into_http();
        }
    };
    let agent = match canh_wire::number_of(request.headers()) {
        Ok(agent) => agent,
        Err(error) => {
            app.intake.refused(DOOR, "bad_header");
            return Status::invalid_argument(error.to_string()).into_http();
        }
    };
    let Ok(_place) = app.places.clone().try_acquire_owned() else {
        app.intake.refused(DOOR, "busy");
        return exhausted("too many messages at the same time").into_http();
    };
    let mut accepted = EnabledCompressionEncodings::default();
    accepted.enable(CompressionEncoding::Gzip);
    accepted.enable(CompressionEncoding::Zstd);
    let mut grpc = Grpc::new(RawCodec::<S>(PhantomData))
        .apply_compression_config(accepted, EnabledCompressionEncodings::default())
        .apply_max_message_size_config(Some(app.message_max), None);
    let method = Export::<S> { app: app.clone(), peer, agent, token, signal: PhantomData };
    match tokio::time::timeout(app.request_timeout, grpc.unary(method, request)).await {
        Ok(answer) => answer,
        Err(_) => {
            app.intake.refused(DOOR, "timeout");
            Status::deadline_exceeded("the message did not arrive, or was not written, in time").into_http()
        }
    }
}

struct Export<S> {
    app: App,
    peer: Peer,
    agent: Option<BatchNumber>,
    /// Name of the source, if it has a token of its own.
    token: Option<CompactString>,
    signal: PhantomData<fn() -> S>,
}

impl<S: Signal> UnaryService<Received<S>> for Export<S> {
    type Response = S::Response;
    type Future = Pin<Box<dyn Future<Output = Result<Response<S::Response>, Status>> + Send>>;

    fn call(&mut self, request: Request<Received<S>>) -> Self::Future {
        let (app, peer, agent, token) = (self.app.clone(), self.peer.clone(), self.agent, self.token.take());
        Box::pin(async move {
            let Received { bytes, request } = request.into_inner();
            let mut envelope = otlp::envelope::<S>(DOOR, &peer, agent, bytes);
            envelope.label(TOKEN_LABEL, token.as_deref().unwrap_or_default());
            match otlp::append::<S>(&app.intake, envelope, &request).await {
                Ok(_) => Ok(Response::new(S::Response::default())),
                Err(error) => {
                    app.intake.refused(DOOR, "journal");
                    Err(status_of(&error))
                }
            }
        })
    }
}

/// OTLP's clients try again on `RESOURCE_EXHAUSTED` with retry information and on `UNAVAILABLE`, else they give up.
fn status_of(error: &JournalError) -> Status {
    match error {
        JournalError::Full { .. } => exhausted(&error.to_string()),
        JournalError::TooLarge { .. } => Status::invalid_argument(error.to_string()),
        _ => Status::unavailable(error.to_string()),
    }
}

fn exhausted(message: &str) -> Status {
    let details = RpcStatus {
        code: Code::ResourceExhausted as i32,
        message: message.to_owned(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: RetryInfo { retry_delay: Some(ProtoDuration { seconds: RETRY_AFTER.as_secs() as i64, nanos: 0 }) }
                .encode_to_vec(),
        }],
    };
    Status::with_details(Code::ResourceExhausted, message, details.encode_to_vec().into())
}

/// `google.rpc.Status` and what it holds here.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// A message and its bytes.
struct Received<S: Signal> {
    bytes: Bytes,
    request: S::Request,
}

/// Decodes a message and keeps its bytes; encodes answers as usual.
struct RawCodec<S>(PhantomData<fn() -> S>);

impl<S: Signal> Codec for RawCodec<S> {
    type Encode = S::Response;
    type Decode = Received<S>;
    type Encoder = RawEncoder<S>;
    type Decoder = RawDecoder<S>;

    fn encoder(&mut self) -> RawEncoder<S> {
        RawEncoder(PhantomData)
    }

    fn decoder(&mut self) -> RawDecoder<S> {
        RawDecoder(PhantomData)
    }
}

struct RawEncoder<S>(PhantomData<fn() -> S>);

impl<S: Signal> Encoder for RawEncoder<S> {
    type Item = S::Response;
    type Error = Status;

    fn encode(&mut self, item: S::Response, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(out).map_err(|error| Status::internal(error.to_string()))
    }
}

struct RawDecoder<S>(PhantomData<fn() -> S>);

impl<S: Signal> Decoder for RawDecoder<S> {
    type Item = Received<S>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Received<S>>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let request = S::Request::decode(bytes.clone())
            .map_err(|error| Status::invalid_argument(format!("the body is not an OTLP message: {error}")))?;
        Ok(Some(Received { bytes, request }))
    }
}
