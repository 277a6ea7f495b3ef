//! A sample of a metric as a JSON line, for scripts that measure something. Over OTLP samples come as messages of their
//! own; both end in `source::metric`.

use canh_schema::{Event, Value, field};
use compact_str::format_compact;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source;

/// One value at one time.
pub(super) struct Metric;

impl Format for Metric {
    fn name(&self) -> &'static str {
        "metric"
    }

    fn about(&self) -> &'static str {
        "one sample of a metric as JSON; `event.dataset` is `metric`, `canh.metric.name` and `canh.metric.value` say what"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"event.dataset":"metric","@timestamp":"2026-11-22T08:31:48.25Z","host.name":"Oracle","canh.metric.name":"system.filesystem.utilization","canh.metric.value":0.97,"canh.metric.unit":"1","system.filesystem.mountpoint":"/u01"}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some(json) = text.json(context) else { return Fit::No };
        let is_sample = json.has(mark::DATASET)
            && json.get("event.dataset").and_then(Value::as_str) == Some(source::metric::DATASET)
            && json.get("canh.metric.name").and_then(Value::as_str).is_some()
            && json.get("canh.metric.value").and_then(Value::as_f64).is_some();
        if !is_sample {
            return Fit::No;
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        source::generic::apply(event, context);
        source::metric::apply(event);
        if event.get(field::MESSAGE).is_none() {
            let shown = |id| event.get(id).and_then(Value::as_text).unwrap_or_default();
            let text = format_compact!("{} {}", shown(field::METRIC_NAME), shown(field::METRIC_VALUE));
            event.set(field::MESSAGE, text);
        }
        Fit::Yes
    }
}
