//! Records of network traffic as our agent makes them (flow, DNS, TLS, HTTP) when they come as JSON lines. Over OTLP
//! they come as attributes; both end in `source::flow`.

use canh_schema::{Event, Value};

use super::json::mark;
use super::{Context, Fit, Format, Text};
use crate::source;

/// Traffic records of the agent.
pub(super) struct Flow;

impl Format for Flow {
    fn name(&self) -> &'static str {
        "flow"
    }

    fn about(&self) -> &'static str {
        "traffic record of the Canh agent as JSON; `event.dataset` is `flow`, `dns`, `tls` or `http`"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"{"event.dataset":"flow","@timestamp":"2026-11-22T08:31:48.25Z","event.duration":1500000000,"source.ip":"10.10.1.4","source.port":64842,"source.bytes":390,"source.packets":5,"destination.ip":"203.0.113.77","destination.port":443,"destination.bytes":5500,"destination.packets":7,"network.transport":"tcp","network.protocol":"tls","network.connection.state":"SF","network.community_id":"1:abc="}"#,
            r#"{"event.dataset":"dns","@timestamp":"2026-11-22T08:31:48.25Z","source.ip":"10.10.1.4","destination.ip":"10.10.0.4","destination.port":53,"network.transport":"udp","dns.question.name":"a1b2.exfil.example","dns.question.type":"TXT","dns.response_code":"NOERROR","dns.answers.data":["ok"]}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let json = text.json(context).filter(|json| json.has(mark::DATASET));
        match json.and_then(|json| json.get("event.dataset")).and_then(Value::as_str) {
            Some(dataset) if source::flow::is_dataset(dataset) => (),
            _ => return Fit::No,
        }
        let Some(json) = text.take_json(context) else { return Fit::No };
        // A plain JSON flow of somebody else must have the two ends; DNS records of resolvers often lack one.
        json.into_event(event);
        source::generic::apply(event, context);
        source::flow::apply(event);
        Fit::Yes
    }
}
