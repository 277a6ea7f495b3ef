//! Points of metrics: each is an event with a name and a value.

use bytes::Bytes;
use canh_schema::{IssueKind, Timestamp, field};
use compact_str::format_compact;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Metric, NumberDataPoint, metric, number_data_point};
use prost::Message;

use super::attributes::{Attrs, flatten};
use super::{Shared, is_transport, unreadable, unsplit};
use crate::decode::Decoder;
use crate::source::{self, project};

pub(crate) fn decode_metrics(decoder: &mut Decoder<'_>, payload: &Bytes) {
    let request = match ExportMetricsServiceRequest::decode(payload.clone()) {
        Ok(request) => request,
        Err(error) => return unreadable(decoder, payload, "metrics", &error),
    };
    for resource in request.resource_metrics {
        let shared = Shared::new(decoder, resource.resource);
        for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            if decoder.is_full() {
                return unsplit(decoder, payload);
            }
            points(decoder, metric, &shared);
        }
    }
}

fn points(decoder: &mut Decoder<'_>, metric: Metric, shared: &Shared) {
    let Metric { name, unit, data, .. } = metric;
    let mut emit = |attributes: Vec<KeyValue>, time: u64, suffix: &str, value: f64| {
        let sample = Sample { name: &name, suffix, unit: &unit, value, time };
        sample.emit(decoder, attributes, shared);
    };
    match data {
        Some(metric::Data::Gauge(gauge)) => number_points(gauge.data_points, &mut emit),
        Some(metric::Data::Sum(sum)) => number_points(sum.data_points, &mut emit),
        Some(metric::Data::Histogram(histogram)) => {
            for point in histogram.data_points {
                if let Some(sum) = point.sum {
                    emit(point.attributes.clone(), point.time_unix_nano, ".sum", sum);
                }
                emit(point.attributes, point.time_unix_nano, ".count", point.count as f64);
            }
        }
        Some(metric::Data::ExponentialHistogram(histogram)) => {
            for point in histogram.data_points {
                if let Some(sum) = point.sum {
                    emit(point.attributes.clone(), point.time_unix_nano, ".sum", sum);
                }
                emit(point.attributes, point.time_unix_nano, ".count", point.count as f64);
            }
        }
        Some(metric::Data::Summary(summary)) => {
            for point in summary.data_points {
                emit(point.attributes.clone(), point.time_unix_nano, ".sum", point.sum);
                emit(point.attributes, point.time_unix_nano, ".count", point.count as f64);
            }
        }
        None => (),
    }
}

fn number_points(points: Vec<NumberDataPoint>, emit: &mut dyn FnMut(Vec<KeyValue>, u64, &str, f64)) {
    for point in points {
        let value = match point.value {
            Some(number_data_point::Value::AsDouble(value)) => value,
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            None => continue, // "no recorded value": there is nothing to keep
        };
        emit(point.attributes, point.time_unix_nano, "", value);
    }
}

/// One value of one series at one time.
struct Sample<'a> {
    name: &'a str,
    suffix: &'a str,
    unit: &'a str,
    value: f64,
    time: u64,
}

impl Sample<'_> {
    fn emit(self, decoder: &mut Decoder<'_>, attributes: Vec<KeyValue>, shared: &Shared) {
        let settings = decoder.settings();
        let mut attrs = Attrs::with_capacity(attributes.len());
        let mut complete = shared.complete;
        let shared = &shared.attrs;
        for KeyValue { key, value, .. } in attributes {
            complete &= flatten(&key, value, settings.depth_max, settings.fields_max, &mut attrs);
        }
        let mut text = format_compact!("{}{} {}", self.name, self.suffix, self.value);
        if !self.unit.is_empty() {
            text.push(' ');
            text.push_str(self.unit);
        }
        for (key, value) in &attrs {
            if let Some(value) = value.as_text() {
                text.push_str(&format_compact!(" {key}={value}"));
            }
        }
        let mut event = decoder.event(Bytes::from(text.as_bytes().to_vec()));
        source::metric::apply(&mut event);
        if self.time > 0 {
            event.time = Timestamp::from_nanos(i64::try_from(self.time).unwrap_or(i64::MAX));
        }
        if !complete {
            event.push_issue(IssueKind::TooManyFields, "attributes were left out");
        }
        event.set(field::METRIC_NAME, format_compact!("{}{}", self.name, self.suffix));
        event.set(field::METRIC_VALUE, self.value);
        if !self.unit.is_empty() {
            event.set(field::METRIC_UNIT, self.unit);
        }
        event.set(field::MESSAGE, text);
        for (key, value) in shared.iter().cloned().chain(attrs) {
            if is_transport(&key, &value) {
                continue;
            }
            match canh_schema::field_by_name(&key) {
                Some(id) if project::set_value(&mut event, id, &value) => (),
                _ => event.attrs.push((key, value)),
            }
        }
        decoder.finish(event, None);
    }
}
