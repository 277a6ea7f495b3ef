//! A small collector for tests: takes OTLP over gRPC, recognises batches by their number, and fails when told to.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use canh_wire::{bearer_of, number_of};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// What the collector does with a request instead of taking it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Refuse(Code),
    /// Takes the batch, but the sender gets an error, as if the connection broke before the answer.
    TakeAndFail,
    /// Takes the batch but leaves this many records out.
    Partly(i64),
}

#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) lines: Vec<Vec<u8>>,
    pub(crate) metric_names: BTreeSet<String>,
    pub(crate) batches: BTreeSet<(u64, u64)>,
    pub(crate) duplicates: u64,
    pub(crate) requests: u64,
    pub(crate) faults: VecDeque<Fault>,
    pub(crate) token: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    pub(crate) taken: Arc<Mutex<Taken>>,
    /// Rings once for each request.
    pub(crate) asked: Arc<Notify>,
}

impl Collector {
    pub(crate) async fn start(faults: &[Fault], token: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken =
            Taken { faults: faults.iter().copied().collect(), token: token.map(str::to_owned), ..Taken::default() };
        let collector = Self {
            address: listener.local_addr().unwrap(),
            taken: Arc::new(Mutex::new(taken)),
            asked: Arc::new(Notify::new()),
        };
        let logs = LogsServiceServer::new(collector.clone())
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(16 << 20);
        let metrics = MetricsServiceServer::new(collector.clone()).accept_compressed(CompressionEncoding::Zstd);
        let server = Server::builder().add_service(logs).add_service(metrics);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        collector
    }

    pub(crate) fn text_lines(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken.lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// The common part of both services. Answers how many records are left out, or `None` for a known batch.
    fn take(&self, headers: &http::HeaderMap, records: impl FnOnce(&mut Taken)) -> Result<i64, Status> {
        let mut taken = self.taken.lock().unwrap();
        taken.requests += 1;
        self.asked.notify_one();
        if taken.token.is_some() && bearer_of(headers) != taken.token.as_deref() {
            return Err(Status::unauthenticated("unknown token"));
        }
        let fault = taken.faults.pop_front();
        if let Some(Fault::Refuse(code)) = fault {
            return Err(Status::new(code, "on purpose"));
        }
        let number = number_of(headers).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let number = number.ok_or_else(|| Status::invalid_argument("no number"))?;
        if taken.batches.insert((number.spool, number.sequence)) {
            records(&mut taken);
        } else {
            taken.duplicates += 1;
        }
        match fault {
            Some(Fault::TakeAndFail) => Err(Status::unavailable("the answer is lost")),
            Some(Fault::Partly(left_out)) => Ok(left_out),
            _ => Ok(0),
        }
    }
}

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let left_out = self.take(metadata.as_ref(), |taken| {
            for resource in message.resource_logs {
                for record in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                    taken.lines.push(match record.body.and_then(|body| body.value) {
                        Some(any_value::Value::StringValue(text)) => text.into_bytes(),
                        Some(any_value::Value::BytesValue(bytes)) => bytes,
                        other => panic!("{other:?}"),
                    });
                }
            }
        })?;
        let partial_success = (left_out > 0)
            .then(|| ExportLogsPartialSuccess { rejected_log_records: left_out, error_message: String::new() });
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.take(metadata.as_ref(), |taken| {
            let scopes = message.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
            taken.metric_names.extend(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
        })?;
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
