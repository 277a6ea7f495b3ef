//! Log-in servers written in Java: Keycloak's event lines and the audit lines of CAS. Both stand behind a time, a level
//! and the name of a class in brackets.

use canh_schema::{Event, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::{Context, Fit, Format, Json, Text, leading};
use crate::source::project;

/// Keycloak's events.
pub(super) struct Keycloak;

/// CAS's audit in JSON.
pub(super) struct Cas;

/// How far into the line the name of the class may stand.
const HEAD_MAX: usize = 128;

/// What follows this class in the line, which begins with a time.
fn behind<'t>(line: &'t str, class: &str) -> Option<&'t str> {
    if !line.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let head = &line[..line.floor_char_boundary(HEAD_MAX)];
    head.find(class).map(|at| &line[at + class.len()..])
}

impl Format for Keycloak {
    fn name(&self) -> &'static str {
        "keycloak"
    }

    fn about(&self) -> &'static str {
        "events of Keycloak in its server log"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"2026-11-22 15:31:48,123 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="51323b4d", realmName="tinh", clientId="motcua", userId="null", ipAddress="203.0.113.9", error="user_not_found", auth_method="openid-connect", username="canbo01""#,
            "2026-11-22 15:31:48,123 WARN  [org.keycloak.events] (default task-50) type=LOGIN_ERROR, realmId=tinh, clientId=motcua, userId=null, ipAddress=203.0.113.9, error=invalid_user_credentials, auth_method=openid-connect, username=canbo01",
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        let Some(rest) = behind(line, "[org.keycloak.events]") else { return Fit::No };
        let Some((_, body)) = rest.split_once(") ") else { return Fit::No };
        if !body.starts_with("type=") && !body.starts_with("operationType=") {
            return Fit::No;
        }
        if let Some(at) = leading(line, &context.settings.zone) {
            event.time = at;
        }
        for (name, value) in pairs(body, context.settings.fields_max) {
            event.attrs.push((CompactString::from(name), Value::from(value)));
        }
        let get = |event: &Event, name: &str| {
            event.attr(name).and_then(Value::as_str).filter(|value| *value != "null").map(CompactString::from)
        };
        let kind = get(event, "type");
        let admin = get(event, "operationType");
        let action = match (&kind, &admin, get(event, "resourceType")) {
            (Some(kind), ..) => kind.to_ascii_lowercase().to_string(),
            (None, Some(operation), Some(resource)) => format!("{resource}_{operation}").to_ascii_lowercase(),
            _ => "event".to_owned(),
        };
        let failed = action.ends_with("_error") || event.attr("error").is_some();
        event.set(field::EVENT_ACTION, CompactString::from(action.trim_end_matches("_error")));
        event.set(field::EVENT_OUTCOME, if failed { "failure" } else { "success" });
        event.set(field::EVENT_CATEGORY, if kind.is_some() { "authentication" } else { "iam" });
        if let Some(address) = get(event, "ipAddress") {
            project::set_text(event, field::SOURCE_IP, &address);
        }
        if let Some(user) = get(event, "username").or_else(|| get(event, "userId")) {
            event.set(field::USER_NAME, user);
        }
        if let Some(reason) = get(event, "error") {
            event.set(field::EVENT_REASON, reason);
        }
        event.set(field::MESSAGE, body);
        event.set(field::EVENT_DATASET, "keycloak.events");
        event.logsource = LogSource::product("keycloak").with_service("events").with_category("authentication");
        Fit::Yes
    }
}

/// `name="value", name=value`, at most so many.
fn pairs(body: &str, count_max: usize) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = body;
    while found.len() < count_max {
        let Some((name, after)) = rest.split_once('=') else { break };
        let (value, after) = match after.strip_prefix('"') {
            Some(inner) => inner.split_once('"').unwrap_or((inner, "")),
            None => after.find(", ").map_or((after, ""), |end| after.split_at(end)),
        };
        let name = name.trim_start_matches([',', ' ']);
        if !name.is_empty() && name.len() <= 64 {
            found.push((name, value));
        }
        rest = after;
    }
    found
}

impl Format for Cas {
    fn name(&self) -> &'static str {
        "cas"
    }

    fn about(&self) -> &'static str {
        "audit lines of Apereo CAS, written as JSON (cas.audit.slf4j.audit-format=JSON)"
    }

    fn samples(&self) -> &'static [&'static str] {
        &[
            r#"2026-11-22 15:31:48,633 INFO [org.apereo.inspektr.audit.support.Slf4jLoggingAuditTrailManager] - <{"who":"canbo01","what":"[UsernamePasswordCredential(username=canbo01)]","action":"AUTHENTICATION_FAILED","application":"CAS","when":"Sun Nov 22 15:31:48 ICT 2026","clientIpAddress":"203.0.113.9","serverIpAddress":"10.20.1.4"}>"#,
        ]
    }

    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit {
        let line = text.as_str();
        let Some(rest) = behind(line, "Slf4jLoggingAuditTrailManager]") else { return Fit::No };
        let Some(open) = rest.find('{') else { return Fit::No };
        let body = rest[open..].trim_end_matches('>');
        let settings = context.settings;
        let Some(json) = Json::read(body, settings.depth_max, settings.fields_max) else { return Fit::No };
        json.into_event(event);
        if let Some(at) = leading(line, &settings.zone) {
            event.time = at;
        }
        for (id, name) in [(field::USER_NAME, "who"), (field::SOURCE_IP, "clientIpAddress")] {
            if let Some(value) = event.attr(name).cloned() {
                project::set_value(event, id, &value);
            }
        }
        let action = event.attr("action").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let failed = ["failed", "denied", "not_validated", "invalid"].iter().any(|word| action.contains(word));
        event.set(field::EVENT_OUTCOME, if failed { "failure" } else { "success" });
        // The same word for a log-in as from every other log-in server.
        match action.strip_prefix("authentication_") {
            Some("success" | "failed") => event.set(field::EVENT_ACTION, "login"),
            _ => event.set(field::EVENT_ACTION, format_compact!("cas_{action}")),
        }
        event.set(field::EVENT_CATEGORY, "authentication");
        event.set(field::MESSAGE, body);
        event.set(field::EVENT_DATASET, "cas.audit");
        event.logsource = LogSource::product("cas").with_service("audit").with_category("authentication");
        Fit::Yes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[(&str, &str)]) {
        assert_eq!(pairs(body, 8), expected, "input: {body:?}");
    }

    #[test]
    fn pairs_with_and_without_quotes() {
        check("type=LOGIN, userId=null", &[("type", "LOGIN"), ("userId", "null")]);
        check(r#"type="LOGIN", uri="a=b, c=d", x="""#, &[("type", "LOGIN"), ("uri", "a=b, c=d"), ("x", "")]);
        check(r#"type="never closed"#, &[("type", "never closed")]);
        check("a=", &[("a", "")]);
        check("=b, c=d", &[("c", "d")]);
        check("no pairs", &[]);
        check(
            "a=1, b=2, c=3, d=4, e=5, f=6, g=7, h=8, i=9",
            &[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6"), ("g", "7"), ("h", "8")],
        );
    }
}
