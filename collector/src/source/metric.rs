//! Samples of metrics: one event each. They bring catalogue fields already; here they get their class and log source.

use std::net::IpAddr;

use canh_schema::{Event, EventClass, LogSource, Value, field};
use compact_str::CompactString;

pub(crate) const DATASET: &str = "metric";

pub(crate) fn apply(event: &mut Event) {
    event.class = EventClass::Metric;
    event.set(field::EVENT_DATASET, DATASET);
    event.logsource = LogSource::product("canh").with_service(DATASET);
}

/// A label of Prometheus. The target that was asked, `host:port`, is the machine that the sample is about.
pub(crate) fn label(event: &mut Event, name: &str, value: CompactString) {
    if name == "instance" {
        let host = match value.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => &value,
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = host.parse::<IpAddr>() {
            event.set(field::HOST_IP, address);
        }
        event.set(field::HOST_NAME, CompactString::from(host));
    }
    event.attrs.push((name.into(), Value::Text(value)));
}
