//! Lines of log4j as WSO2's Carbon products lay them out: `wso2carbon.log`, `audit.log` and `api.log`.
//!
//! `TID: [tenant] [application] [time] [correlation] LEVEL {class} - message {class}`, in older and newer products with
//! parts left out. Lines of a stack trace stand alone and are not read here.

use canh_schema::{Event, Timestamp, Value, field};
use compact_str::CompactString;

use super::{Context, Fit, Format, Text, rfc3339};
use crate::source::wso2;

/// `wso2carbon.log` and its relatives.
pub(super) struct Wso2Carbon;

impl Format for Wso2Carbon {
    fn name(&self) -> &'static str {
        "wso2_carbon"
    }

    fn about(&self) -> &'static str {
        "wso2carbon.log, audit.log and api.log of WSO2 products"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            "TID: [-1234] [] [2026-11-22 15:14:12,163] ERROR {org.wso2.carbon.apimgt.gateway.handlers.security.APIAuthenticationHandler} -  API authentication failed with error 900901 {org.wso2.carbon.apimgt.gateway.handlers.security.APIAuthenticationHandler}",
            "TID: [-1234] [api/am/gateway] [2026-11-22 15:14:12,163] [1a2ac914-ea61-4699-8778-ea44d2fa27c5]  INFO {AUDIT_LOG} - Initiator=canbo01 Action=resource-modification-via-impersonation Target=canbo02 Data={\"clientId\":\"motcua\",\"httpMethod\":\"POST\"} Outcome=AUTHORIZED",
            "[2026-11-22 15:10:52,558]  WARN {org.apache.synapse.endpoints.EndpointContext} - Endpoint : HoTichEP with address http://10.20.2.15:8080/hotich will be marked SUSPENDED as it failed",
            "[2026-11-22 15:26:22,506]  INFO -  'quantri@carbon.super [-1234]' logged in at [2026-11-22 15:26:22,501+0700]",
            "[2026-11-22 15:36:48,826] quantri@so.tinh.vn [1] [AM] INFO -  {\"performedBy\":\"quantri\",\"action\":\"created\",\"typ\":\"Subscription\",\"info\":\"{\\\"application_name\\\":\\\"MotCua\\\",\\\"tier\\\":\\\"Gold\\\"}\"}",
            "[2026-11-22 15:20:42,781]  INFO {AUDIT_LOG}-  Initiator : quantri@carbon.super | Action : Login | Target : ApplicationAuthenticationFramework | Data : { \"ServiceProviderName\" : \"MotCua\", \"RequestType\" : \"samlsso\" } | Result : Success",
            "[2026-11-22 15:10:57,687]  INFO {API_LOG} hotich - {\"sourceIP\":\"10.20.1.7\",\"verb\":\"GET\",\"correlationId\":\"684794db\",\"apiTo\":\"hotich/1.0.0/khaisinh/12\",\"flow\":\"REQUEST_IN\"}",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let Some(line) = parse(text.as_str(), context) else { return Fit::No };
        if line.class.is_none() && line.tenant.is_none() && !wso2::is_audit(line.message) {
            return Fit::No; // a layout that many Java programs have
        }
        event.time = line.time;
        event.set(field::LOG_LEVEL, CompactString::from(line.level.to_ascii_lowercase()));
        event.set(field::MESSAGE, line.message);
        if let Some(class) = line.class {
            event.set(field::LOG_LOGGER, class);
        }
        let mut attr = |name: &'static str, value: Option<&str>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                event.attrs.push((CompactString::const_new(name), Value::from(value)));
            }
        };
        attr("wso2.tenant", line.tenant);
        attr("wso2.app", line.app);
        attr("wso2.correlation_id", line.correlation);
        wso2::apply(event, context, line.class.unwrap_or_default(), line.name, line.message);
        Fit::Yes
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Line<'t> {
    time: Timestamp,
    tenant: Option<&'t str>,
    app: Option<&'t str>,
    correlation: Option<&'t str>,
    level: &'t str,
    class: Option<&'t str>,
    /// What stands between the class and the dash: the API in `api.log`.
    name: Option<&'t str>,
    message: &'t str,
}

const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/// Most parts in brackets before the level, and most words of the acting user between them and the level.
const PARTS_MAX: usize = 5;

fn parse<'t>(text: &'t str, context: &Context<'_>) -> Option<Line<'t>> {
    let (mut rest, has_tenant) = match text.strip_prefix("TID: ") {
        Some(rest) => (rest, true),
        None => (text.starts_with('[').then_some(text)?, false),
    };
    let (mut time, mut tenant, mut app, mut correlation) = (None, None, None, None);
    for place in 0..PARTS_MAX {
        let Some((part, after)) = rest.trim_start_matches(' ').strip_prefix('[').and_then(|rest| rest.split_once(']'))
        else {
            break;
        };
        rest = after;
        match (time, rfc3339(part, &context.settings.zone)) {
            (None, Some(at)) => time = Some(at),
            (None, None) if !has_tenant => return None,
            (None, None) if place == 0 => tenant = Some(part),
            (None, None) => app = Some(part),
            (Some(_), _) => correlation = Some(part),
        }
    }
    let (level, rest) = level(rest)?;
    let rest = rest.trim_start_matches(' ');
    let (class, rest) = match rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((class, rest)) => (Some(class), rest),
        None => (None, rest),
    };
    let (name, message) = match rest.trim_start_matches(' ').strip_prefix('-') {
        Some(message) => (None, message),
        None => class.and_then(|_| rest.split_once(" - ")).map(|(name, message)| (Some(name.trim()), message))?,
    };
    let message = message.trim();
    let again = class.and_then(|class| message.strip_suffix('}')?.strip_suffix(class)?.strip_suffix('{'));
    Some(Line {
        time: time?,
        tenant,
        app,
        correlation,
        level,
        class,
        name,
        message: again.unwrap_or(message).trim_end(),
    })
}

/// The level, and what follows. Before it the audit log may name who acts: `quantri@so.tinh.vn [1] [AM] INFO`.
fn level(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    for _ in 0..PARTS_MAX {
        rest = rest.trim_start_matches(' ');
        let (word, after) = rest.split_at(rest.find([' ', '{', '-']).unwrap_or(rest.len()));
        if LEVELS.contains(&word) {
            return Some((word, after));
        }
        rest = rest.split_once(' ')?.1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecodeSettings;
    use crate::format::EnvelopeKeys;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let settings = DecodeSettings::default();
        let received = Timestamp::from_secs(1_793_000_000);
        let context = Context {
            received,
            settings: &settings,
            file: None,
            envelope_keys: EnvelopeKeys::Plain,
            depth: 0,
            header: None,
        };
        let found = parse(text, &context);
        let found = found.as_ref().map(|line| (line.level, line.class.unwrap_or_default(), line.message));
        assert_eq!(found, expected, "input: {text:?}");
    }

    #[test]
    fn lines() {
        check("TID: [-1234] [] [2026-11-22 15:14:12,163]  INFO {a.B} -  hi {a.B}", Some(("INFO", "a.B", "hi")));
        check("TID: [-1234] [] [2026-11-22 15:14:12,163]  INFO {a.B} - hi {c.D}", Some(("INFO", "a.B", "hi {c.D}")));
        check("TID: [-1] [2026-11-22 15:14:12,163] [x-y]  WARN {AUDIT_LOG} - hi", Some(("WARN", "AUDIT_LOG", "hi")));
        check("[2026-11-22 15:14:12,163]  INFO -  hi", Some(("INFO", "", "hi")));
        check("[2026-11-22 15:14:12,163] a@b [1] [AM] INFO -  hi", Some(("INFO", "", "hi")));
        check("[2026-11-22 15:14:12,163]  INFO {AUDIT_LOG}-  hi", Some(("INFO", "AUDIT_LOG", "hi")));
        check("[2026-11-22 15:14:12,163]  INFO {API_LOG} x - {}", Some(("INFO", "API_LOG", "{}")));
        check("[2026-11-22 15:14:12,163] DEBUG - wire a >> \"b\"", Some(("DEBUG", "", "wire a >> \"b\"")));
        check("[2026-11-22 15:14:12,163] NOISE - hi", None);
        check("[2026-99-22 15:14:12,163]  INFO - hi", None);
        check("TID: [-1234] [] []  INFO {a.B} - hi", None);
        check("TID: ", None);
        check("[é", None);
        check("", None);
    }
}
