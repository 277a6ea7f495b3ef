//! `apim_metrics.log`: one line for each call of an API, as JSON behind a word.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::CompactString;

use super::{Context, Fit, Format, Json, Text};
use crate::source::{generic, project};

/// The analytics log of WSO2 API Manager.
pub(super) struct Wso2Metrics;

impl Format for Wso2Metrics {
    fn name(&self) -> &'static str {
        "wso2_metrics"
    }

    fn about(&self) -> &'static str {
        "apim_metrics.log of WSO2 API Manager: each call of an API with its answer or its fault"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"15:56:07,928 [-] [PassThroughMessageProcessor-18]  INFO ELKCounterMetric apimMetrics: apim:response, properties :{"apiName":"HoTich","proxyResponseCode":200,"destination":"http://10.20.2.15:8080/hotich","apiCreator":"quantri","apiMethod":"GET","apiVersion":"1.0.0","backendLatency":33,"correlationId":"2f8daa81","keyType":"PRODUCTION","applicationName":"MotCua","targetResponseCode":200,"requestTimestamp":"2026-11-22T08:56:07.888Z","applicationOwner":"so-tu-phap","userAgent":"Chrome","userName":"motcua@carbon.super","apiResourceTemplate":"/khaisinh/{so}","responseLatency":39,"userIp":"10.20.1.7","apiContext":"/hotich/1.0.0","properties":{"apiContext":"/hotich/1.0.0"}}"#,
            r#"15:56:09,101 [-] [PassThroughMessageProcessor-19]  INFO ELKCounterMetric apimMetrics: apim:faulty, properties :{"apiName":"HoTich","proxyResponseCode":429,"errorCode":900803,"errorMessage":"APPLICATION_LEVEL_LIMIT_EXCEEDED","errorType":"THROTTLED","targetResponseCode":-1,"applicationName":"MotCua","requestTimestamp":"2026-11-22T08:56:09.100Z"}"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        if !line.starts_with(|first: char| first.is_ascii_digit() || first == '[') {
            return Fit::No;
        }
        let head = &line[..line.floor_char_boundary(256)];
        let Some(at) = head.find("apimMetrics: apim:") else { return Fit::No };
        let Some((kind, body)) = line[at..].trim_start_matches("apimMetrics: apim:").split_once(',') else {
            return Fit::No;
        };
        let body = body.find('{').map(|open| &body[open..]);
        let settings = context.settings;
        let Some(json) = body.and_then(|body| Json::read(body, settings.depth_max, settings.fields_max)) else {
            return Fit::No;
        };
        json.into_event(event);
        event.attrs.push((CompactString::const_new("wso2.event"), Value::from(kind)));
        generic::time(event, &["requestTimestamp"], context);
        fields(event, kind);
        event.set(field::MESSAGE, line);
        event.set(field::EVENT_DATASET, "wso2.gateway");
        event.logsource = LogSource::product("wso2").with_service("gateway");
        Fit::Yes
    }
}

fn fields(event: &mut Event, kind: &str) {
    const FIELDS: &[(canh_schema::FieldId, &str)] = &[
        (field::HTTP_METHOD, "apiMethod"),
        (field::HTTP_STATUS, "proxyResponseCode"),
        (field::SOURCE_IP, "userIp"),
        (field::USER_NAME, "userName"),
        (field::USER_AGENT, "userAgent"),
        (field::EVENT_CODE, "errorCode"),
        (field::EVENT_REASON, "errorMessage"),
    ];
    for (id, name) in FIELDS {
        if let Some(value) = event.attr(name).cloned() {
            project::set_value(event, *id, &value);
        }
    }
    if let Some(millis) = event.attr("responseLatency").and_then(Value::as_f64).filter(|ms| (0.0..1e12).contains(ms)) {
        event.set(field::EVENT_DURATION, (millis * 1e6) as i64);
    }
    let failed =
        kind == "faulty" || event.get(field::HTTP_STATUS).and_then(Value::as_f64).is_some_and(|status| status >= 400.0);
    event.set(field::EVENT_ACTION, "api_call");
    event.set(field::EVENT_CATEGORY, "web");
    event.set(field::EVENT_OUTCOME, if failed { "failure" } else { "success" });
}
