//! GELF 1.0 and 1.1 (facts: Graylog's payload specification): a JSON object with `host` and `short_message`; fields of the
//! sender's own begin with `_`, which is taken off.

use canh_schema::{Event, IssueKind, Value, field};
use compact_str::CompactString;

use super::json::mark;
use super::{Context, Fit, Format, Text, epoch_seconds};
use crate::source::{self, project};

/// `{"version":"1.1","host":…,"short_message":…}`
pub(super) struct Gelf;

impl Format for Gelf {
    fn name(&self) -> &'static str {
        "gelf"
    }

    fn about(&self) -> &'static str {
        "Graylog's extended log format"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"version":"1.1","host":"app1","short_message":"order failed","full_message":"order failed\n  at Shop.pay","timestamp":1795336308.25,"level":3,"_logger":"shop.pay","_pid":812,"_user.name":"an","_order":17}"#,
            r#"{"version":"1.0","host":"app1","short_message":"hi","facility":"shop","file":"a.py","line":3}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let is_gelf = |json: &&super::Json| {
            json.has(mark::GELF) && json.get("host").is_some() && json.get("version").and_then(Value::as_text).is_some()
        };
        if text.json(context).filter(is_gelf).is_none() {
            return Fit::No;
        }
        let Some(mut json) = text.take_json(context) else { return Fit::No };
        for (name, _) in &mut json.entries {
            if let Some(own) = name.strip_prefix('_').filter(|own| !own.is_empty()) {
                *name = CompactString::from(own);
            }
        }
        json.into_event(event);
        let time = event.attr("timestamp").filter(|value| !project::is_absent(value)).cloned();
        if let Some(value) = time {
            let seconds = value.as_text().and_then(|text| text.trim().parse().ok());
            match seconds.and_then(epoch_seconds) {
                Some(time) => event.time = time,
                None => event.push_issue(IssueKind::BadTime, "timestamp"),
            }
        }
        source::generic::project_catalogue(event);
        for (name, id) in FIELDS {
            let value = event.attr(name).cloned();
            if let Some(value) = value.filter(|_| event.get(*id).is_none()) {
                project::set_value(event, *id, &value);
            }
        }
        let level = event.attr("level").and_then(Value::as_i64);
        source::syslog::severity(event, level);
        event.set(field::EVENT_DATASET, "gelf");
        Fit::Yes
    }
}

const FIELDS: &[(&str, canh_schema::FieldId)] = &[
    ("host", field::HOST_NAME),
    ("short_message", field::MESSAGE),
    ("logger", field::LOG_LOGGER),
    ("logger_name", field::LOG_LOGGER),
    ("facility", field::LOG_LOGGER),
    ("pid", field::PROCESS_PID),
    ("process_id", field::PROCESS_PID),
];
