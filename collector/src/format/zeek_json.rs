//! Zeek's logs as JSON: one object per line, `_path` (or `@stream`) names the log.

use canh_schema::Event;

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source::zeek;

/// Zeek with the JSON writer.
pub(super) struct ZeekJson;

impl Format for ZeekJson {
    fn name(&self) -> &'static str {
        "zeek_json"
    }

    fn about(&self) -> &'static str {
        "Zeek log as JSON with `_path`, or with `@stream` as its Kafka and Corelight writers name it"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"_path":"dns","ts":1795336308.25,"uid":"CAGQDqsQlWvA6qoV5","id.orig_h":"10.10.1.6","id.orig_p":54243,"id.resp_h":"10.10.0.4","id.resp_p":53,"proto":"udp","query":"newyork.dmevals.local","qtype_name":"A","rcode_name":"NOERROR","answers":["10.10.0.4"]}"#,
            r#"{"_path":"conn","_write_ts":"2026-11-22T08:31:49.000000Z","ts":"2026-11-22T08:31:48.250000Z","uid":"Cw1Hz43UWS4qXFei8f","id.orig_h":"10.10.1.4","id.orig_p":64842,"id.resp_h":"10.10.0.4","id.resp_p":443,"proto":"tcp","service":"ssl","duration":1.5,"orig_bytes":39,"resp_bytes":55,"conn_state":"SF","orig_pkts":3,"resp_pkts":4}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        match text.json(context) {
            Some(json) if json.has(mark::ZEEK_PATH) || json.has(mark::ZEEK_STREAM | mark::ZEEK_TIME) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        json.into_event(event);
        zeek::apply(event, context);
        Fit::Yes
    }
}
