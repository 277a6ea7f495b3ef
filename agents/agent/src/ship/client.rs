//! One gRPC connection to the collector. Messages are sent as they are in the spool, without decoding them again.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use canh_schema::AgentId;
use canh_wire::{BatchKind, BatchNumber, bearer, limit, put_number};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::config::{Compression, ServerConfig};
use crate::tls::{Connector, TlsError};

const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

pub struct Client {
    grpc: Grpc<Channel>,
    url: String,
    timeout: Duration,
    token_file: Option<PathBuf>,
    token: Option<HeaderValue>,
    agent: AgentId,
    spool: u64,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot read the token file `{}`: {source}", .path.display())]
    TokenFile { path: PathBuf, source: io::Error },

    #[error("token file `{}` is empty or holds blanks or control characters", .path.display())]
    Token { path: PathBuf },

    #[error("no answer from {url} within {} s", .after.as_secs())]
    Timeout { url: String, after: Duration },

    #[error("{url}: {}", super::status_text(.status))]
    Server { url: String, status: Box<Status> },
}

impl ClientError {
    /// Whether the connection could not be secured.
    pub fn is_about_tls(&self) -> bool {
        let Self::Server { status, .. } = self else { return false };
        let mut source = std::error::Error::source(&**status);
        while let Some(error) = source {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let is_ours =
                inner.is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>() || inner.is::<TlsError>());
            // What the server says after the handshake, as of a certificate that is missing in version 1.3, comes through
            // HTTP/2, which keeps only the words.
            if is_ours || error.to_string().contains("received fatal alert") {
                return true;
            }
            source = error.source();
        }
        false
    }

    pub fn code(&self) -> Code {
        match self {
            Self::TokenFile { .. } | Self::Token { .. } => Code::Unauthenticated,
            Self::Timeout { .. } => Code::DeadlineExceeded,
            Self::Server { status, .. } => status.code(),
        }
    }
}

impl Client {
    /// Does not connect yet. `spool` is the spool's number, which goes with every batch.
    pub fn new(config: &ServerConfig, agent: AgentId, spool: u64) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(config.url.clone())?
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let channel = if config.url.starts_with("https://") {
            endpoint.connect_with_connector_lazy(Connector(config.tls.clone().unwrap_or_default()))
        } else {
            endpoint.connect_lazy()
        };
        let mut grpc = Grpc::new(channel)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_encoding_message_size(limit::MESSAGE_MAX.as_len());
        if config.compression == Compression::Zstd {
            grpc = grpc.send_compressed(CompressionEncoding::Zstd);
        }
        Ok(Self {
            grpc,
            url: config.url.clone(),
            timeout: config.timeout,
            token_file: config.token_file.clone(),
            token: None,
            agent,
            spool,
        })
    }

    /// Sends one batch. Answers how many of its records the server left out.
    pub async fn send(&mut self, kind: BatchKind, message: Bytes, sequence: u64) -> Result<u64, ClientError> {
        let number = BatchNumber { agent: self.agent, spool: self.spool, sequence };
        self.call(kind, message, Some(number)).await
    }

    /// Sends an empty message, to see whether the server would take a batch.
    pub async fn probe(&mut self) -> Result<(), ClientError> {
        self.call(BatchKind::Logs, Bytes::new(), None).await.map(|_| ())
    }

    async fn call(&mut self, kind: BatchKind, message: Bytes, number: Option<BatchNumber>) -> Result<u64, ClientError> {
        let mut request = Request::new(message);
        let headers = request.metadata_mut().as_mut();
        if let Some(number) = number {
            put_number(&number, headers);
        }
        if let Some(token) = self.token()? {
            headers.insert(AUTHORIZATION, token);
        }
        let path = match kind {
            BatchKind::Logs => LOGS,
            BatchKind::Metrics => METRICS,
        };
        let result = tokio::time::timeout(self.timeout, async {
            // The channel says only here that it cannot connect.
            self.grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            self.grpc.unary(request, PathAndQuery::from_static(path), Raw).await
        })
        .await;
        match result {
            Ok(Ok(response)) => Ok(refused(kind, &response.into_inner())),
            Ok(Err(status)) => {
                if status.code() == Code::Unauthenticated {
                    self.token = None; // perhaps the file has a new one by now
                }
                Err(ClientError::Server { url: self.url.clone(), status: Box::new(status) })
            }
            Err(_) => Err(ClientError::Timeout { url: self.url.clone(), after: self.timeout }),
        }
    }

    fn token(&mut self) -> Result<Option<HeaderValue>, ClientError> {
        if self.token.is_none()
            && let Some(path) = &self.token_file
        {
            let text =
                fs::read_to_string(path).map_err(|source| ClientError::TokenFile { path: path.clone(), source })?;
            let token = bearer(text.trim()).ok_or_else(|| ClientError::Token { path: path.clone() })?;
            self.token = Some(token);
        }
        Ok(self.token.clone())
    }
}

/// Records that the server left out of a batch that it took. An answer that cannot be read leaves nothing out.
fn refused(kind: BatchKind, response: &[u8]) -> u64 {
    let refused = match kind {
        BatchKind::Logs => ExportLogsServiceResponse::decode(response)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| partial.rejected_log_records),
        BatchKind::Metrics => ExportMetricsServiceResponse::decode(response)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| partial.rejected_data_points),
    };
    refused.and_then(|refused| u64::try_from(refused).ok()).unwrap_or(0)
}

/// Messages are bytes already.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}
