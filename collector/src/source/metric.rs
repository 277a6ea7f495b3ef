//! Samples of metrics: one event each. They bring catalogue fields already; here they get their class and log source.

use canh_schema::{Event, EventClass, LogSource, field};

pub(crate) const DATASET: &str = "metric";

pub(crate) fn apply(event: &mut Event) {
    event.class = EventClass::Metric;
    event.set(field::EVENT_DATASET, DATASET);
    event.logsource = LogSource::product("canh").with_service(DATASET);
}
