//! What was asked of AWS, by whom and from where. Native names stay: the public rules for this log use them.
//!
//! Source: "CloudTrail record contents" in the documentation of AWS CloudTrail.

use canh_schema::{Event, FieldId, LogSource, Value, field};
use compact_str::{CompactString, format_compact};

use super::{generic, project};
use crate::format::Context;

/// Names of one field are together; the first that has a value of its type fills it.
const FIELDS: &[(&str, FieldId)] = &[
    ("eventName", field::EVENT_ACTION),
    // A service of AWS itself stands here by its name, which is no address.
    ("sourceIPAddress", field::SOURCE_IP),
    ("userIdentity.userName", field::USER_NAME),
    ("userIdentity.sessionContext.sessionIssuer.userName", field::USER_NAME),
    ("userIdentity.arn", field::USER_NAME),
    ("userIdentity.invokedBy", field::USER_NAME),
    ("userIdentity.principalId", field::USER_ID),
    ("requestParameters.userName", field::USER_TARGET_NAME),
    ("userAgent", field::USER_AGENT),
    ("errorMessage", field::EVENT_REASON),
    ("errorCode", field::EVENT_REASON),
];

/// Its events are log-ins to the console and federated ones.
const SIGN_IN: &str = "signin.amazonaws.com";

pub(crate) fn apply(event: &mut Event, context: &Context<'_>) {
    generic::time(event, &["eventTime"], context);
    let attrs = std::mem::take(&mut event.attrs);
    let find = |name: &str| attrs.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = |name: &str| find(name).and_then(Value::as_str);
    for (name, id) in FIELDS {
        if event.get(*id).is_none()
            && let Some(value) = find(name)
        {
            project::set_value(event, *id, value);
        }
    }
    let login = text("responseElements.ConsoleLogin");
    let failed =
        text("errorCode").is_some() || login == Some("Failure") || login.is_none() && text("errorMessage").is_some();
    event.set(field::EVENT_OUTCOME, CompactString::const_new(if failed { "failure" } else { "success" }));
    let category = if text("eventSource") == Some(SIGN_IN) { "authentication" } else { "configuration" };
    event.set(field::EVENT_CATEGORY, CompactString::const_new(category));
    event.set(field::EVENT_DATASET, CompactString::const_new("aws.cloudtrail"));
    let user = event.get(field::USER_NAME).and_then(Value::as_str).unwrap_or_default();
    let part = |name: &str| text(name).unwrap_or_default();
    let mut line = format_compact!("{user} {} {} {}", part("eventName"), part("eventSource"), part("awsRegion"));
    if let Some(code) = text("errorCode") {
        line.push(' ');
        line.push_str(code);
    }
    event.set(field::MESSAGE, CompactString::from(line.trim()));
    event.attrs = attrs;
    event.logsource = LogSource::product("aws").with_service("cloudtrail");
}
