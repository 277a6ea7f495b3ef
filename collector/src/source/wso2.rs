//! What WSO2 products say of themselves: `wso2carbon.log`, and the four dialects of `audit.log`.

use std::sync::LazyLock;

use canh_schema::{Event, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::project;
use super::template::Outcome::{Failure, Success, Unsaid};
use super::template::{Line, Table, describe, line};
use crate::format::{Context, Json};

const AUTH: &str = "authentication";
const WEB: &str = "web";

/// Messages of Carbon, Synapse and the API gateway, whatever class wrote them.
static LINES: &[Line] = &[
    line(
        "carbon_login",
        Success,
        AUTH,
        "'{user.name} [{wso2.tenant_id}]' logged in at [{wso2.at}] from IP address {source.ip}",
    ),
    line("carbon_login", Success, AUTH, "'{user.name} [{wso2.tenant_id}]' logged in at [{wso2.at}]"),
    line("carbon_logout", Success, AUTH, "'{user.name} [{wso2.tenant_id}]' logged out at [{wso2.at}]"),
    line(
        "carbon_login",
        Failure,
        AUTH,
        "Failed Administrator login attempt '{user.name*}[{wso2.tenant_id}]' at [{wso2.at}] from IP address {source.ip}",
    ),
    line(
        "carbon_login",
        Failure,
        AUTH,
        "Failed Administrator login attempt '{user.name*}[{wso2.tenant_id}]' at [{wso2.at}]",
    ),
    line(
        "service_access",
        Failure,
        AUTH,
        "Illegal access attempt at [{wso2.at}] from IP address {source.ip} while trying to authenticate access to service {service.name}",
    ),
    line("jmx_login", Success, AUTH, "User {user.name} successfully authenticated to perform JMX operations"),
    line("jmx_login", Failure, AUTH, "Unauthorized access attempt to JMX operation"),
    line("api_authentication", Failure, AUTH, "API authentication failed with error {event.code}"),
    line("api_authentication", Failure, AUTH, "API authentication failure due to {event.reason}"),
    line(
        "saml_spoofing",
        Failure,
        AUTH,
        "ALERT: Invalid Assertion Consumer URL value '{url.original}' in the AuthnRequest message from  the issuer : {wso2.issuer} in tenant domain : {wso2.tenant_domain}. Possibly",
    ),
    line(
        "csrf_refused",
        Failure,
        WEB,
        "potential cross-site request forgery (CSRF) attack thwarted (user:{user.name}, ip:{source.ip}, method:{http.request.method}, uri:{url.path}, error:{event.reason})",
    ),
    line(
        "endpoint_suspended",
        Failure,
        "network",
        "Endpoint : {wso2.endpoint} with address {url.original} will be marked SUSPENDED as it failed",
    ),
    line("endpoint_suspended", Failure, "network", "Endpoint : {wso2.endpoint} will be marked SUSPENDED as it failed"),
    line(
        "endpoint_suspension",
        Failure,
        "network",
        "Suspending endpoint : {wso2.endpoint} with address {url.original} - current suspend duration is : {wso2.suspended_for} - Next retry after : {wso2.retry_after}",
    ),
    line(
        "endpoint_active",
        Success,
        "network",
        "Endpoint : {wso2.endpoint} with address {url.original} currently {wso2.state} will now be marked active",
    ),
    line("backend_error", Failure, "network", "ERROR_CODE : {event.code} ERROR_MESSAGE : {event.reason}"),
    line(
        "backend_error",
        Failure,
        "network",
        "STATUS = Executing default 'fault' sequence, ERROR_CODE = {event.code}, ERROR_MESSAGE = {event.reason}",
    ),
    line("backend_connect", Failure, "network", "Connection refused or failed for : {wso2.backend}"),
    line("backend_timeout", Failure, "network", "{wso2.connection}: Connection time out while in state: {wso2.state}"),
    line(
        "analytics_lost",
        Failure,
        "",
        "Event queue is full, unable to process the event for endpoint group {wso2.endpoint}, dropping the event",
    ),
    line(
        "forwarding",
        Failure,
        "network",
        "BlockingMessageSender of message processor [{wso2.processor}] failed to send message to the endpoint",
    ),
    line("processor_stopped", Unsaid, "", "Successfully deactivated the message processor [{wso2.processor}]"),
    line("processor_started", Success, "", "Successfully re-activated the message processor [{wso2.processor}]"),
    line("server_start", Success, "host", "WSO2 Carbon started in {wso2.start_secs} sec"),
    line("wire_log", Unsaid, WEB, "wire {wso2.thread} >> {wso2.wire}"),
    line("wire_log", Unsaid, WEB, "wire {wso2.thread} << {wso2.wire}"),
];

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(LINES));

/// Whether a message without a class is one of the audit log, or of the log of bytes on the wire.
pub(crate) fn is_audit(message: &str) -> bool {
    const BEGINNINGS: [&str; 7] = [
        "Initiator : ",
        "Initiator=",
        "{\"performedBy\"",
        "{ \"performedBy\"",
        "Failed Administrator login",
        "Illegal access attempt at [",
        "wire ",
    ];
    BEGINNINGS.iter().any(|beginning| message.starts_with(beginning))
        || message.starts_with('\'')
            && (message.contains("]' logged in at [") || message.contains("]' logged out at ["))
        || message.contains(" to perform JMX operations")
        || message.starts_with("Unauthorized access attempt to JMX")
}

/// Fills the event from class and message; `name` is what stood between them.
pub(crate) fn apply(event: &mut Event, context: &Context<'_>, class: &str, name: Option<&str>, message: &str) {
    let service = match class {
        "AUDIT_LOG" => "audit",
        "API_LOG" => "api",
        "" if !message.starts_with("wire ") => "audit",
        _ => "carbon",
    };
    event.logsource = LogSource::product("wso2").with_service(service);
    event.set(field::EVENT_DATASET, format_compact!("wso2.{service}"));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        event.attrs.push((CompactString::const_new("wso2.api"), Value::from(name)));
    }
    if message.starts_with('{') {
        object(event, context, message);
    } else if let Some(rest) = message.strip_prefix("Initiator : ") {
        bars(event, context, rest);
    } else if message.starts_with("Initiator=") {
        words(event, context, message);
    } else {
        TABLE.apply(event, message);
    }
}

/// `api.log`, and the dialects of the audit log that are JSON: `{"performedBy":…,"action":…,"typ":…,"info":"{…}"}`.
fn object(event: &mut Event, context: &Context<'_>, message: &str) {
    let settings = context.settings;
    let Some(json) = Json::read(message, settings.depth_max, settings.fields_max) else { return };
    json.into_event(event);
    let text = |event: &Event, name: &str| event.attr(name).and_then(Value::as_str).map(CompactString::from);
    if let Some(info) = text(event, "info") {
        inside(event, context, "info", &info);
    }
    project_first(event);
    let kind = text(event, "typ").or_else(|| text(event, "type"));
    match (kind, text(event, "action")) {
        (Some(kind), Some(action)) => {
            event.set(field::EVENT_ACTION, format_compact!("{}_{}", slug(&kind), slug(&action)));
            event.set(field::EVENT_OUTCOME, "success");
            event.set(field::EVENT_CATEGORY, "configuration");
        }
        _ if event.attr("flow").is_some() => {
            describe(event, "api_flow", Unsaid, WEB);
        }
        _ => (),
    }
}

/// `quantri | Action : Add User | Target : canbo01 | Data : { … } | Result : Success`.
fn bars(event: &mut Event, context: &Context<'_>, rest: &str) {
    let mut parts = vec![("Initiator", rest)];
    // The data may hold bars, so the names are searched for, not the bars.
    for name in ["Action", "Target", "Data", "Result"] {
        let Some((_, last)) = parts.last().copied() else { return };
        let mark = format!(" | {name} : ");
        let at = if name == "Result" { last.rfind(&mark) } else { last.find(&mark) };
        let Some(at) = at else { continue };
        if let Some(part) = parts.last_mut() {
            part.1 = &last[..at];
        }
        parts.push((name, &last[at + mark.len()..]));
    }
    audited(event, context, &parts);
}

/// `Initiator=a Action=b Target=c Data={…} Outcome=AUTHORIZED`.
fn words(event: &mut Event, context: &Context<'_>, message: &str) {
    let mut parts = Vec::with_capacity(5);
    let mut rest = message;
    for (name, next) in [
        ("Initiator", Some(" Action=")),
        ("Action", Some(" Target=")),
        ("Target", Some(" Data=")),
        ("Data", Some(" Outcome=")),
        ("Outcome", None),
    ] {
        let Some(value) = rest.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) else { break };
        let end = next.and_then(|next| if name == "Data" { value.rfind(next) } else { value.find(next) });
        let end = end.unwrap_or(value.len());
        parts.push((name, &value[..end]));
        rest = value[end..].trim_start();
    }
    audited(event, context, &parts);
}

fn audited(event: &mut Event, context: &Context<'_>, parts: &[(&'static str, &str)]) {
    for (name, value) in parts {
        let value = value.trim();
        event.attrs.push((CompactString::const_new(name), Value::from(value)));
        match *name {
            "Initiator" => event.set(field::USER_NAME, value),
            "Action" => event.set(field::EVENT_ACTION, CompactString::from(slug(value))),
            "Target" if !matches!(value, "" | "null") => event.set(field::USER_TARGET_NAME, value),
            "Data" => inside(event, context, "Data", value),
            "Result" | "Outcome" => event.set(
                field::EVENT_OUTCOME,
                match value.to_ascii_lowercase().as_str() {
                    "success" | "authorized" => "success",
                    _ => "failure",
                },
            ),
            _ => (),
        }
    }
    let is_login =
        event.get(field::EVENT_ACTION).and_then(Value::as_str).is_some_and(|action| action.contains("login"));
    event.set(field::EVENT_CATEGORY, if is_login { AUTH } else { "iam" });
    if is_login {
        event.logsource = std::mem::take(&mut event.logsource).with_category(AUTH);
        // What was logged in to, not who.
        event.fields.retain(|(id, _)| *id != field::USER_TARGET_NAME);
    }
    project_first(event);
}

/// An object inside a text, its names behind the name of the text.
fn inside(event: &mut Event, context: &Context<'_>, outer: &str, text: &str) {
    let settings = context.settings;
    let Some(json) = Json::read(text, settings.depth_max, settings.fields_max) else { return };
    // Data of some actions looks like JSON and is none (`{ Roles :Internal/subscriber, }`).
    if json.issues.is_empty() {
        let room = settings.fields_max.saturating_sub(event.attrs.len());
        event.attrs.extend(
            json.entries.into_iter().take(room).map(|(name, value)| (format_compact!("{outer}.{name}"), value)),
        );
    }
}

/// Names under which the dialects carry what is common, the best first.
fn project_first(event: &mut Event) {
    const NAMES: &[(canh_schema::FieldId, &[&str])] = &[
        (field::USER_NAME, &["performedBy", "Data.AuthenticatedUser", "Data.LoggedInUser", "initiatorName"]),
        (
            field::SOURCE_IP,
            &[
                "sourceIP",
                "Data.RemoteAddress",
                "Data.remoteAddress",
                "Data.ClientIP",
                "Data.IPAddress",
                "remoteAddress",
            ],
        ),
        (field::USER_AGENT, &["Data.UserAgent", "Data.User-Agent"]),
        (field::HTTP_METHOD, &["verb", "Data.httpMethod"]),
        (field::URL_PATH, &["apiTo", "Data.ResourcePath"]),
        (field::HTTP_STATUS, &["statusCode"]),
    ];
    for (id, names) in NAMES {
        if event.get(*id).is_none()
            && let Some(value) = names.iter().find_map(|name| event.attr(name)).cloned()
        {
            project::set_value(event, *id, &value);
        }
    }
}

/// `Update Roles of User` as `update_roles_of_user`.
fn slug(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(12).collect::<Vec<_>>().join("_").to_lowercase()
}
