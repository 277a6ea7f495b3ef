//! Log records to an `ExportLogsServiceRequest`.

use std::sync::Arc;

use canh_schema::{Timestamp, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use crate::attribute;
use crate::origin::{Origin, key_value};

/// One line or record, as an input read it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LogEntry {
    /// When it happened, if the input knows; a line's own time is found by the collector.
    pub time: Option<Timestamp>,
    /// When it was read.
    pub observed: Timestamp,
    /// The line as it was, without its line end. Empty for a record that is only attributes.
    pub body: Vec<u8>,
    pub attributes: Vec<(&'static str, Value)>,
    /// Attributes whose names come from the source.
    pub named: Vec<(String, Value)>,
    /// First lines of the file, which say what the values of this one are called.
    pub header: Option<Arc<str>>,
}

/// Gathers log records of one host into one message.
#[derive(Debug)]
pub struct LogBatchBuilder {
    origin: Origin,
    records: Vec<LogRecord>,
    records_size: usize,
    /// From which record on which header counts, for records that have one.
    headers: Vec<(usize, Option<Arc<str>>)>,
}

impl LogBatchBuilder {
    pub fn new(origin: Origin) -> Self {
        Self { origin, records: Vec::new(), records_size: 0, headers: Vec::new() }
    }

    pub fn push(&mut self, entry: LogEntry) {
        let header = self.headers.last().and_then(|(_, header)| header.as_deref());
        if header != entry.header.as_deref() {
            // It is said once for the records that follow one another.
            self.records_size += entry.header.as_deref().map_or(0, str::len) + SCOPE_LEN_MAX;
            self.headers.push((self.records.len(), entry.header.clone()));
        }
        let names = entry.attributes.iter().map(|(name, value)| (*name, value));
        let named = entry.named.iter().map(|(name, value)| (name.as_str(), value));
        let record = LogRecord {
            time_unix_nano: entry.time.map_or(0, nanos),
            observed_time_unix_nano: nanos(entry.observed),
            attributes: names.chain(named).map(|(name, value)| key_value(name, value)).collect(),
            body: body(entry.body),
            ..LogRecord::default()
        };
        // Five bytes of tag and length stand before each record.
        self.records_size += record.encoded_len() + 5;
        self.records.push(record);
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Size of the message so far, in bytes, at most a few hundred too small.
    pub fn size(&self) -> usize {
        self.records_size
    }

    /// The encoded message. The builder is empty after that and can be used again.
    pub fn finish(&mut self) -> Vec<u8> {
        self.records_size = 0;
        let mut left = std::mem::take(&mut self.records);
        let mut scopes = Vec::new();
        for (from, header) in std::mem::take(&mut self.headers).into_iter().rev() {
            let records = left.split_off(from.min(left.len()));
            scopes.push(self.scope(records, header.as_deref()));
        }
        if !left.is_empty() || scopes.is_empty() {
            scopes.push(self.scope(left, None));
        }
        scopes.reverse();
        let resource =
            ResourceLogs { resource: Some(self.origin.resource()), scope_logs: scopes, ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec()
    }

    fn scope(&self, log_records: Vec<LogRecord>, header: Option<&str>) -> ScopeLogs {
        let mut scope = self.origin.scope();
        scope.attributes.extend(header.map(|header| key_value(attribute::HEADER, &Value::from(header))));
        ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }
    }
}

/// What a scope needs besides its header, in bytes, at most.
const SCOPE_LEN_MAX: usize = 128;

/// A line that is not UTF-8 travels as bytes, so that nothing of it is replaced.
fn body(line: Vec<u8>) -> Option<AnyValue> {
    if line.is_empty() {
        return None;
    }
    let value = match String::from_utf8(line) {
        Ok(text) => any_value::Value::StringValue(text),
        Err(error) => any_value::Value::BytesValue(error.into_bytes()),
    };
    Some(AnyValue { value: Some(value) })
}

/// OTLP counts nanoseconds from 1970 and has no time before that.
pub(crate) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.nanos()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use canh_schema::AgentId;
    use proptest::prelude::*;

    use super::*;
    use crate::from_any;

    fn origin() -> Origin {
        Origin { agent: AgentId::from_bytes([7; 16]), agent_version: "1.2.3".to_owned(), host_name: "db-1".to_owned() }
    }

    fn body_bytes(record: &LogRecord) -> Vec<u8> {
        match record.body.as_ref().and_then(|body| body.value.as_ref()) {
            None => Vec::new(),
            Some(any_value::Value::StringValue(text)) => text.clone().into_bytes(),
            Some(any_value::Value::BytesValue(bytes)) => bytes.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_header_is_said_once_for_the_records_that_follow_one_another() {
        let origin =
            Origin { host_name: "h".to_owned(), agent: AgentId::from_bytes([7; 16]), agent_version: "1".to_owned() };
        let mut builder = LogBatchBuilder::new(origin);
        for (body, header) in [("a", None), ("b", Some("x")), ("c", Some("x")), ("d", Some("y")), ("e", None)] {
            let header = header.map(Arc::from);
            builder.push(LogEntry { body: body.as_bytes().to_vec(), header, ..LogEntry::default() });
        }
        let message = ExportLogsServiceRequest::decode(builder.finish().as_slice()).unwrap();
        let scopes = &message.resource_logs[0].scope_logs;
        let shape: Vec<_> = scopes
            .iter()
            .map(|scope| (scope.log_records.len(), scope.scope.as_ref().unwrap().attributes.len()))
            .collect();
        assert_eq!(shape, [(1, 0), (2, 1), (1, 1), (1, 0)]);
        builder.push(LogEntry { body: b"f".to_vec(), ..LogEntry::default() });
        let message = ExportLogsServiceRequest::decode(builder.finish().as_slice()).unwrap();
        assert_eq!(message.resource_logs[0].scope_logs.len(), 1);
    }

    proptest! {
        #[test]
        fn every_line_comes_back_byte_for_byte(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20)) {
            let mut builder = LogBatchBuilder::new(origin());
            for (at, line) in lines.iter().enumerate() {
                builder.push(LogEntry {
                    time: at.is_multiple_of(2).then(|| Timestamp::from_secs(at as i64)),
                    observed: Timestamp::from_secs(1_700_000_000),
                    body: line.clone(),
                    attributes: vec![(attribute::LOG_FILE_OFFSET, Value::Integer(at as i64))],
                    named: vec![("source.port".to_owned(), Value::Integer(22))],
                    header: None,
                });
            }
            let size = builder.size();
            prop_assert_eq!(builder.len(), lines.len());
            let bytes = builder.finish();
            prop_assert!(builder.is_empty() && builder.size() == 0);
            prop_assert!(bytes.len() <= size + 300, "{} and {}", bytes.len(), size);

            let request = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
            let resource = &request.resource_logs[0];
            let names: Vec<_> = resource.resource.as_ref().unwrap().attributes.iter().map(|pair| pair.key.as_str()).collect();
            prop_assert_eq!(names, ["service.name", "host.name", "os.type", "agent.id", "agent.version"]);
            let records = &resource.scope_logs[0].log_records;
            prop_assert_eq!(records.iter().map(body_bytes).collect::<Vec<_>>(), lines);
            for (at, record) in records.iter().enumerate() {
                let value = record.attributes[0].value.as_ref().and_then(from_any);
                prop_assert_eq!(value, Some(Value::Integer(at as i64)));
                prop_assert_eq!(&record.attributes[1].key, "source.port");
            }
        }
    }
}
