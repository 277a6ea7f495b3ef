//! Azure's logs by the category of their diagnostic setting: log source, catalogue fields, one line of text. Native names
//! stay; the names of Sigma's rules are in the mapping of each log source.
//!
//! Source: the common schema of resource logs, and the schemas of the activity, sign-in, audit and risk logs, in the
//! documentation of Azure Monitor and Microsoft Entra.

use canh_schema::{Event, FieldId, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::{generic, project};
use crate::format::Context;

/// Category of the diagnostic setting, in lower case, and Sigma's service.
const SERVICES: &[(&str, &str)] = &[
    ("administrative", "activitylogs"),
    ("security", "activitylogs"),
    ("servicehealth", "activitylogs"),
    ("alert", "activitylogs"),
    ("recommendation", "activitylogs"),
    ("policy", "activitylogs"),
    ("autoscale", "activitylogs"),
    ("resourcehealth", "activitylogs"),
    ("signinlogs", "signinlogs"),
    ("noninteractiveusersigninlogs", "signinlogs"),
    ("serviceprincipalsigninlogs", "signinlogs"),
    ("managedidentitysigninlogs", "signinlogs"),
    ("auditlogs", "auditlogs"),
    ("userriskevents", "riskdetection"),
    ("riskyusers", "riskdetection"),
    ("serviceprincipalriskevents", "riskdetection"),
    ("riskyserviceprincipals", "riskdetection"),
];

/// Names of one field are together; the first that has a value of its type fills it.
const FIELDS: &[(&str, FieldId)] = &[
    ("operationName", field::EVENT_ACTION),
    ("callerIpAddress", field::SOURCE_IP),
    ("properties.ipAddress", field::SOURCE_IP),
    ("properties.initiatedBy.user.ipAddress", field::SOURCE_IP),
    ("properties.userPrincipalName", field::USER_NAME),
    ("properties.initiatedBy.user.userPrincipalName", field::USER_NAME),
    ("properties.initiatedBy.app.displayName", field::USER_NAME),
    ("identity.claims.name", field::USER_NAME),
    ("identity", field::USER_NAME),
    ("properties.userId", field::USER_ID),
    ("properties.initiatedBy.user.id", field::USER_ID),
    ("properties.targetResources.userPrincipalName", field::USER_TARGET_NAME),
    ("properties.userAgent", field::USER_AGENT),
    ("resultDescription", field::EVENT_REASON),
    ("properties.status.failureReason", field::EVENT_REASON),
    ("properties.resultReason", field::EVENT_REASON),
];

pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    generic::time(event, &["time", "properties.createdDateTime", "properties.activityDateTime"], context);
    let mut attrs = std::mem::take(&mut event.attrs);
    let find = |name: &str| attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = |name: &str| find(name).and_then(Value::as_str);
    for (name, id) in FIELDS {
        if event.get(*id).is_none()
            && let Some(value) = find(name)
        {
            project::set_value(event, *id, value);
        }
    }
    let category = text("category").unwrap_or_default().to_ascii_lowercase();
    let service = SERVICES.iter().find(|(name, _)| *name == category).map(|(_, service)| *service);
    if let Some(outcome) = outcome(&find) {
        event.set(field::EVENT_OUTCOME, CompactString::const_new(outcome));
    }
    event.set(
        field::EVENT_CATEGORY,
        CompactString::const_new(if service == Some("signinlogs") { "authentication" } else { "configuration" }),
    );
    event.set(field::EVENT_DATASET, format_compact!("azure.{}", service.unwrap_or("resource")));
    let user = event.get(field::USER_NAME).and_then(Value::as_str).unwrap_or_default();
    let line = format_compact!("{} {user}", text("operationName").unwrap_or_default());
    event.set(field::MESSAGE, CompactString::from(line.trim()));
    // Two things are called `category`: that of the setting and that of the audited activity. Rules mean either.
    let activity = if service == Some("auditlogs") { find("properties.category").cloned() } else { None };
    if let Some(activity) = activity
        && let Some((_, both)) = attrs.iter_mut().find(|(key, _)| key == "category")
    {
        *both = Value::List(vec![std::mem::replace(both, Value::Null), activity]);
    }
    event.attrs = attrs;
    event.logsource = LogSource { product: Some(CompactString::const_new("azure")), ..LogSource::default() };
    event.logsource.service = service.map(CompactString::const_new);
}

/// How it ended: by the number of the error, or by words.
fn outcome<'a>(find: &impl Fn(&str) -> Option<&'a Value>) -> Option<&'static str> {
    if let Some(code) = find("properties.status.errorCode").and_then(Value::as_i64) {
        return Some(if code == 0 { "success" } else { "failure" });
    }
    let said = ["properties.result", "resultType"].iter().find_map(|name| find(name)?.as_text())?;
    match said.to_ascii_lowercase().as_str() {
        "success" | "succeeded" | "0" => Some("success"),
        "failure" | "failed" => Some("failure"),
        // The start of an operation has no outcome yet; other numbers are those of errors.
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => Some("failure"),
        _ => None,
    }
}
