//! Measurements to an `ExportMetricsServiceRequest`.

use canh_schema::{Timestamp, Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use prost::Message;

use crate::logs::nanos;
use crate::origin::{Origin, key_value};

/// How the numbers of a metric are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    /// The state now.
    Gauge,
    /// A total since the start that only grows.
    Counter,
    /// A total since the start that also falls, such as memory in use.
    UpDown,
}

/// Gathers the measurements of one moment into one message.
#[derive(Debug)]
pub struct MetricsBuilder {
    origin: Origin,
    started: Timestamp,
    at: Timestamp,
    metrics: Vec<Metric>,
    points_len: usize,
}

impl MetricsBuilder {
    /// `started` is when counters began at zero: the start of the host, or of the agent for its own.
    pub fn new(origin: Origin, started: Timestamp, at: Timestamp) -> Self {
        Self { origin, started, at, metrics: Vec::new(), points_len: 0 }
    }

    /// Adds one measurement. Calls with the same name in a row share one metric.
    pub fn add(
        &mut self,
        counting: Counting,
        name: &'static str,
        unit: &'static str,
        value: &Value,
        attributes: &[(&'static str, &str)],
    ) {
        let value = match value {
            Value::Integer(value) => number_data_point::Value::AsInt(*value),
            Value::Float(value) if value.is_finite() => number_data_point::Value::AsDouble(*value),
            _ => return, // not a number: there is nothing to send
        };
        let point = NumberDataPoint {
            attributes: attributes.iter().map(|(key, value)| key_value(key, &Value::from(*value))).collect(),
            start_time_unix_nano: if counting == Counting::Gauge { 0 } else { nanos(self.started) },
            time_unix_nano: nanos(self.at),
            value: Some(value),
            ..NumberDataPoint::default()
        };
        self.points_len += 1;
        if let Some(last) = self.metrics.last_mut().filter(|last| last.name == name) {
            match &mut last.data {
                Some(metric::Data::Gauge(gauge)) => gauge.data_points.push(point),
                Some(metric::Data::Sum(sum)) => sum.data_points.push(point),
                _ => (),
            }
            return;
        }
        let data = match counting {
            Counting::Gauge => metric::Data::Gauge(Gauge { data_points: vec![point] }),
            Counting::Counter | Counting::UpDown => metric::Data::Sum(Sum {
                data_points: vec![point],
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: counting == Counting::Counter,
            }),
        };
        self.metrics.push(Metric {
            name: name.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        });
    }

    /// Measurements so far.
    pub fn len(&self) -> usize {
        self.points_len
    }

    pub fn is_empty(&self) -> bool {
        self.points_len == 0
    }

    /// The encoded message.
    pub fn finish(self) -> Vec<u8> {
        let scope = ScopeMetrics { scope: Some(self.origin.scope()), metrics: self.metrics, ..ScopeMetrics::default() };
        let resource = ResourceMetrics {
            resource: Some(self.origin.resource()),
            scope_metrics: vec![scope],
            ..ResourceMetrics::default()
        };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use canh_schema::AgentId;

    use super::*;

    #[test]
    fn points_of_one_name_share_a_metric() {
        let origin = Origin {
            agent: AgentId::from_bytes([7; 16]),
            agent_version: "1.2.3".to_owned(),
            host_name: "db-1".to_owned(),
        };
        let mut builder = MetricsBuilder::new(origin, Timestamp::from_secs(1), Timestamp::from_secs(9));
        for (state, value) in [("used", 5), ("free", 7)] {
            builder.add(Counting::UpDown, "system.memory.usage", "By", &Value::Integer(value), &[("state", state)]);
        }
        builder.add(Counting::Gauge, "system.cpu.utilization", "1", &Value::Float(0.5), &[]);
        builder.add(Counting::Gauge, "system.cpu.utilization", "1", &Value::Float(f64::NAN), &[]);
        builder.add(Counting::Counter, "system.network.io", "By", &Value::Integer(3), &[]);
        assert_eq!(builder.len(), 4);

        let request = ExportMetricsServiceRequest::decode(builder.finish().as_slice()).unwrap();
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let shapes: Vec<_> = metrics
            .iter()
            .map(|metric| match metric.data.as_ref().unwrap() {
                metric::Data::Gauge(gauge) => (metric.name.as_str(), gauge.data_points.len(), None),
                metric::Data::Sum(sum) => (metric.name.as_str(), sum.data_points.len(), Some(sum.is_monotonic)),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            ("system.memory.usage", 2, Some(false)),
            ("system.cpu.utilization", 1, None),
            ("system.network.io", 1, Some(true)),
        ];
        assert_eq!(shapes, expected);
    }
}
