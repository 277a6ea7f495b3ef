//! What the gRPC and the HTTP form of OTLP share: the kinds of message, and the way of one into the journal.

use bytes::Bytes;
use canh_schema::Timestamp;
use canh_wire::{BatchNumber, attribute};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::Peer;
use super::intake::{Intake, source_key};
use crate::envelope::{Door, Envelope, Framing};
use crate::journal::{Appended, JournalError};
use crate::sources::SourceAbout;

/// Metrics with this start describe the agent itself.
const AGENT_METRICS: &str = "canh_agent_";

/// One of the kinds of OTLP message.
pub(super) trait Signal: Send + Sync + 'static {
    type Request: Message + Default + DeserializeOwned + 'static;
    type Response: Message + Default + Serialize + 'static;
    const FRAMING: Framing;
    /// Path of the gRPC method.
    const GRPC_PATH: &'static str;
    /// Path of the HTTP form (OTLP specification, "OTLP/HTTP Request").
    const HTTP_PATH: &'static str;

    /// How many records or samples a message holds.
    fn count(request: &Self::Request) -> u64;

    /// What the sender says about itself.
    fn about(request: &Self::Request) -> SourceAbout;
}

pub(super) struct Logs;

impl Signal for Logs {
    type Request = ExportLogsServiceRequest;
    type Response = ExportLogsServiceResponse;
    const FRAMING: Framing = Framing::OtlpLogs;
    const GRPC_PATH: &'static str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
    const HTTP_PATH: &'static str = "/v1/logs";

    fn count(request: &Self::Request) -> u64 {
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.map(|scope| scope.log_records.len() as u64).sum()
    }

    fn about(request: &Self::Request) -> SourceAbout {
        let mut about = SourceAbout::default();
        request.resource_logs.iter().for_each(|logs| describe(&mut about, logs.resource.as_ref()));
        about
    }
}

pub(super) struct Metrics;

impl Signal for Metrics {
    type Request = ExportMetricsServiceRequest;
    type Response = ExportMetricsServiceResponse;
    const FRAMING: Framing = Framing::OtlpMetrics;
    const GRPC_PATH: &'static str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    const HTTP_PATH: &'static str = "/v1/metrics";

    fn count(request: &Self::Request) -> u64 {
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).map(count_points).sum()
    }

    fn about(request: &Self::Request) -> SourceAbout {
        let mut about = SourceAbout::default();
        for resource in &request.resource_metrics {
            describe(&mut about, resource.resource.as_ref());
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                if metric.name.starts_with(AGENT_METRICS) {
                    describe_metric(&mut about, metric);
                }
            }
        }
        about
    }
}

pub(super) struct Traces;

impl Signal for Traces {
    type Request = ExportTraceServiceRequest;
    type Response = ExportTraceServiceResponse;
    const FRAMING: Framing = Framing::OtlpTraces;
    const GRPC_PATH: &'static str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    const HTTP_PATH: &'static str = "/v1/traces";

    fn count(request: &Self::Request) -> u64 {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        scopes.map(|scope| scope.spans.len() as u64).sum()
    }

    fn about(request: &Self::Request) -> SourceAbout {
        let mut about = SourceAbout::default();
        request.resource_spans.iter().for_each(|spans| describe(&mut about, spans.resource.as_ref()));
        about
    }
}

fn count_points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        None => 0,
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::Summary(summary)) => summary.data_points.len(),
    };
    points as u64
}

fn describe(about: &mut SourceAbout, resource: Option<&Resource>) {
    for attribute in resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default() {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        let Some(any_value::Value::StringValue(text)) = value else { continue };
        match attribute.key.as_str() {
            attribute::HOST_NAME => about.set_host(text),
            attribute::AGENT_VERSION => about.set_version(text),
            _ => (),
        }
    }
}

/// Keeps the newest value of each series; the labels become part of the name, as Prometheus writes them.
fn describe_metric(about: &mut SourceAbout, metric: &Metric) {
    let points = match &metric.data {
        Some(metric::Data::Gauge(gauge)) => &gauge.data_points,
        Some(metric::Data::Sum(sum)) => &sum.data_points,
        _ => return,
    };
    for point in points {
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            // Counters of an agent stay far below 2^53.
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => continue,
        };
        about.set_metric(&series_name(&metric.name, point), value);
    }
}

fn series_name(name: &str, point: &NumberDataPoint) -> String {
    let labels: Vec<String> = point
        .attributes
        .iter()
        .filter_map(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
            any_value::Value::StringValue(text) => Some(format!("{}=\"{text}\"", attribute.key)),
            _ => None,
        })
        .collect();
    if labels.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", labels.join(",")) }
}

/// The batch of one message, which `bytes` is as it came.
pub(super) fn envelope<S: Signal>(door: Door, peer: &Peer, agent: Option<BatchNumber>, bytes: Bytes) -> Envelope {
    let mut envelope = Envelope::new(door, Timestamp::now(), S::FRAMING, bytes);
    peer.mark(&mut envelope);
    envelope.agent = agent;
    envelope
}

/// Journals one message; `request` is what is in the envelope.
pub(super) async fn append<S: Signal>(
    intake: &Intake,
    envelope: Envelope,
    request: &S::Request,
) -> Result<Appended, JournalError> {
    let key = source_key(&envelope);
    let appended = intake.append(envelope, S::count(request)).await?;
    if let Some(key) = key {
        intake.sources.describe(&key, S::about(request));
    }
    Ok(appended)
}
