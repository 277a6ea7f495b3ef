//! Which names of an event a field of a Sigma rule may be found under, for each log source. One list.
//!
//! A rule's own name for a field comes first, as an attribute of the event and as a catalogue field; then the
//! names listed here, in order. An `open` source brings native names that nobody can list (every Windows provider
//! has its own), so a rule may name any field. In a closed source a name that is neither listed here nor in the
//! catalogue can never arrive, and the rule is refused.

use canh_schema::{CATALOGUE, LogSource, field_by_name};

use crate::diagnostic::{Diagnostic, nearest};
use crate::rule::{Detection, RuleSource, Selection};

/// Goes into every finding's proof, so that an old one can be checked with the table of its day.
pub const MAPPING_VERSION: u32 = 2;

/// The field names of one log source. A dimension that is `None` is free.
#[derive(Debug)]
pub struct Mapping {
    pub product: Option<&'static str>,
    pub service: Option<&'static str>,
    pub category: Option<&'static str>,
    pub open: bool,
    /// Name in rules, and the names to try in the event.
    pub fields: &'static [(&'static str, &'static [&'static str])],
}

const fn open(fields: &'static [(&'static str, &'static [&'static str])]) -> Mapping {
    Mapping { product: None, service: None, category: None, open: true, fields }
}

const fn closed(fields: &'static [(&'static str, &'static [&'static str])]) -> Mapping {
    Mapping { open: false, ..open(fields) }
}

impl Mapping {
    const fn product(self, product: &'static str) -> Self {
        Self { product: Some(product), ..self }
    }

    const fn service(self, service: &'static str) -> Self {
        Self { service: Some(service), ..self }
    }

    const fn category(self, category: &'static str) -> Self {
        Self { category: Some(category), ..self }
    }

    fn fits_rule(&self, source: &RuleSource) -> bool {
        let fits = |wanted: Option<&str>, named: Option<&str>| wanted.is_none() || wanted == named;
        fits(self.product, source.product.as_deref())
            && fits(self.service, source.service.as_deref())
            && fits(self.category, source.category.as_deref())
    }

    pub(crate) fn fits_event(&self, source: &LogSource) -> bool {
        let same = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(found));
        self.product.is_none_or(|_| source.product.as_deref().is_some_and(|product| same(self.product, product)))
            && self.service.is_none_or(|_| source.services().any(|service| same(self.service, service)))
            && self.category.is_none_or(|_| source.categories.iter().any(|category| same(self.category, category)))
    }
}

const PROCESS: &[(&str, &[&str])] = &[
    ("Image", &["exe", "process.executable"]),
    ("CommandLine", &["process.command_line"]),
    ("CurrentDirectory", &["cwd", "process.working_directory"]),
    ("User", &["user.name"]),
    ("ProcessId", &["process.pid"]),
    ("ParentImage", &["process.parent.executable"]),
    ("ParentCommandLine", &["process.parent.command_line"]),
    ("ParentProcessId", &["process.parent.pid"]),
    ("LogonId", &["ses"]),
];

const WEB: &[(&str, &[&str])] = &[
    ("c-ip", &["source.ip"]),
    ("c-dns", &["source.domain"]),
    ("r-dns", &["url.domain"]),
    ("s-ip", &["destination.ip"]),
    ("s-port", &["destination.port"]),
    ("cs-host", &["url.domain"]),
    ("cs-method", &["http.request.method"]),
    ("cs-username", &["user.name"]),
    ("cs-version", &["http.version"]),
    ("cs-cookie", &["http.request.cookie"]),
    ("cs-content-type", &["http.request.mime_type"]),
    ("cs-referer", &["http.request.referrer"]),
    ("cs-referrer", &["http.request.referrer"]),
    ("cs-user-agent", &["user_agent.original"]),
    ("cs-bytes", &["http.request.bytes"]),
    ("sc-bytes", &["http.response.body.bytes"]),
    ("sc-status", &["http.response.status_code"]),
    ("time-taken", &["event.duration"]),
    ("c-uri", &["url.original", "url.path"]),
    ("c-uri-extension", &["url.extension"]),
    ("c-uri-query", &["url.query"]),
    ("c-uri-stem", &["url.path"]),
    ("c-useragent", &["user_agent.original"]),
    ("cs-uri", &["url.original", "url.path"]),
    ("cs-uri-stem", &["url.path", "url.original"]),
    // Most public rules look for pieces of the path in what the specification calls the query, because that is
    // where proxies put the whole address; the whole address holds both.
    ("cs-uri-query", &["url.original", "url.query"]),
    ("dst_ip", &["destination.ip"]),
    ("src_ip", &["source.ip"]),
    ("dst_port", &["destination.port"]),
    ("src_port", &["source.port"]),
];

const CONNECTION: &[(&str, &[&str])] = &[
    ("SourceIp", &["source.ip"]),
    ("SourcePort", &["source.port"]),
    ("SourceHostname", &["source.domain"]),
    ("DestinationIp", &["destination.ip"]),
    ("DestinationPort", &["destination.port"]),
    ("DestinationHostname", &["destination.domain", "tls.client.server_name"]),
    ("Protocol", &["network.transport"]),
    ("Image", &["exe", "process.executable"]),
    ("User", &["user.name"]),
];

const FIREWALL: &[(&str, &[&str])] = &[
    ("src_ip", &["source.ip", "srcip"]),
    ("src_port", &["source.port", "srcport"]),
    ("dst_ip", &["destination.ip", "dstip"]),
    ("dst_port", &["destination.port", "dstport"]),
    ("action", &["event.action"]),
    ("protocol", &["network.transport"]),
];

/// Values of sshd's lines that have no field of the catalogue.
const SSHD: &[(&str, &[&str])] = &[
    ("ssh.method", &[]),
    ("ssh.key", &[]),
    ("ssh.version", &[]),
    ("ssh.session", &[]),
    ("ssh.subsystem", &[]),
    ("ssh.target", &[]),
    ("ssh.target_port", &[]),
    ("syslog.repeated", &[]),
];

/// The same for programs that deal with accounts, and for PAM's modules.
const AUTH: &[(&str, &[&str])] = &[
    ("account.uid", &[]),
    ("account.gid", &[]),
    ("account.home", &[]),
    ("account.shell", &[]),
    ("account.what", &[]),
    ("account.from", &[]),
    ("account.to", &[]),
    ("su.tty", &[]),
    ("login.tty", &[]),
    ("pam.module", &[]),
    ("pam.service", &[]),
    ("pam.type", &[]),
    ("pam.rhost", &[]),
    ("pam.ruser", &[]),
    ("pam.tty", &[]),
    ("ssh.method", &[]),
    ("COMMAND", &["process.command_line"]),
    ("USER", &["user.target.name"]),
];

/// The API server writes what was asked for below `requestObject`; public rules name the last part alone.
const KUBERNETES: &[(&str, &[&str])] = &[
    ("apiGroup", &["objectRef.apiGroup"]),
    (
        "hostPath",
        &["requestObject.spec.volumes.hostPath.path", "requestObject.spec.template.spec.volumes.hostPath.path"],
    ),
    (
        "capabilities",
        &[
            "requestObject.spec.containers.securityContext.capabilities.add",
            "requestObject.spec.template.spec.containers.securityContext.capabilities.add",
        ],
    ),
];

/// Public rules for Azure use the names of the portal and of its tables; diagnostic settings write those at the right.
const AZURE_ACTIVITY: &[(&str, &[&str])] =
    &[("OperationNameValue", &["operationName"]), ("CategoryValue", &["category"]), ("ResourceId", &["resourceId"])];

const AZURE_SIGN_IN: &[(&str, &[&str])] = &[
    ("ResultType", &["resultType", "properties.status.errorCode"]),
    ("ResultDescription", &["resultDescription", "properties.status.failureReason"]),
    ("Resultdescription", &["resultDescription", "properties.status.failureReason"]),
    ("Status", &["event.outcome"]),
    ("AuthenticationRequirement", &["properties.authenticationRequirement"]),
    ("RiskState", &["properties.riskState"]),
    ("DeviceDetail.trusttype", &["properties.deviceDetail.trustType"]),
    ("DeviceDetail.deviceId", &["properties.deviceDetail.deviceId"]),
    ("DeviceDetail.isCompliant", &["properties.deviceDetail.isCompliant"]),
    ("NetworkLocationDetails", &["properties.networkLocationDetails"]),
    ("ResourceDisplayName", &["properties.resourceDisplayName"]),
    ("conditionalAccessStatus", &["properties.conditionalAccessStatus"]),
    ("ClientApp", &["properties.clientAppUsed"]),
    ("Username", &["properties.userPrincipalName"]),
    ("userAgent", &["properties.userAgent"]),
    ("homeTenantId", &["properties.homeTenantId"]),
    ("resourceTenantId", &["properties.resourceTenantId"]),
    ("properties.message", &["properties.authenticationProtocol"]),
];

const AZURE_AUDIT: &[(&str, &[&str])] = &[
    ("Category", &["properties.category"]),
    ("OperationName", &["operationName", "properties.activityDisplayName"]),
    ("ActivityDisplayName", &["properties.activityDisplayName", "operationName"]),
    ("ActivityType", &["properties.activityDisplayName", "operationName"]),
    ("activityType", &["properties.activityDisplayName", "operationName"]),
    ("properties.message", &["operationName", "properties.activityDisplayName"]),
    ("LoggedByService", &["properties.loggedByService"]),
    ("Status", &["properties.result", "event.outcome"]),
    ("failure_status_reason", &["properties.resultReason"]),
    ("properties.initiatedBy", &["properties.initiatedBy.user.userPrincipalName"]),
    ("Initiatedby", &["properties.initiatedBy.user.userPrincipalName"]),
    ("Initiatied.By", &["properties.initiatedBy.user.userPrincipalName"]),
    ("Target", &["properties.targetResources.userPrincipalName"]),
    ("targetResources.type", &["properties.targetResources.type"]),
    ("TargetResources", &["properties.targetResources.modifiedProperties.newValue"]),
    ("properties.targetResources", &["properties.targetResources.modifiedProperties.newValue"]),
    ("TargetResources.modifiedProperties", &["properties.targetResources.modifiedProperties.displayName"]),
    ("TargetResources.modifiedProperties.newValue", &["properties.targetResources.modifiedProperties.newValue"]),
    ("TargetResources.ModifiedProperties.DisplayName", &["properties.targetResources.modifiedProperties.displayName"]),
    ("TargetResources.ModifiedProperties.NewValue", &["properties.targetResources.modifiedProperties.newValue"]),
    ("additionalDetails.additionalInfo", &["properties.additionalDetails.value"]),
];

const AZURE_RISK: &[(&str, &[&str])] = &[("riskEventType", &["properties.riskEventType"])];

/// Every log source with field names of its own. An event takes the names of all mappings that fit it.
pub static MAPPINGS: &[Mapping] = &[
    // Security 4688 says the same as Sysmon 1 in other words (SigmaHQ, tests/thor.yml).
    open(&[("Image", &["NewProcessName"]), ("ParentImage", &["ParentProcessName"])])
        .product("windows")
        .service("security"),
    open(&[("Signature", &["ThreatName"]), ("Filename", &["Path"])]).product("windows").service("windefend"),
    open(PROCESS).product("linux").category("process_creation"),
    open(&[("TargetFilename", &["name", "file.path"]), ("Image", &["exe", "process.executable"])])
        .product("linux")
        .category("file_event"),
    open(CONNECTION).product("linux").category("network_connection"),
    open(&[]).product("linux").service("auditd"),
    closed(SSHD).product("linux").service("sshd"),
    closed(AUTH).product("linux").service("auth"),
    closed(&[
        ("USER", &["user.target.name"]),
        ("COMMAND", &["process.command_line"]),
        ("PWD", &["process.working_directory"]),
        ("TTY", &[]),
        ("GROUP", &["group.name"]),
        ("ENV", &[]),
    ])
    .product("linux")
    .service("sudo"),
    closed(WEB).category("webserver"),
    closed(WEB).category("proxy"),
    closed(&[
        ("query", &["QueryName", "dns.question.name"]),
        ("record_type", &["qtype_name", "dns.question.type"]),
        ("answer", &["answers", "QueryResults", "dns.answers.data"]),
        ("response", &["rcode_name", "dns.response_code"]),
        ("src_ip", &["id.orig_h", "source.ip"]),
        ("dst_ip", &["id.resp_h", "destination.ip"]),
        ("parent_domain", &[]),
    ])
    .category("dns"),
    open(&[
        ("c-uri", &["uri", "url.original"]),
        ("c-useragent", &["user_agent", "user_agent.original"]),
        ("cs-method", &["method", "http.request.method"]),
        ("cs-host", &["host", "url.domain"]),
        ("sc-status", &["status_code", "http.response.status_code"]),
    ])
    .product("zeek")
    .service("http"),
    open(KUBERNETES).product("kubernetes").service("audit"),
    open(AZURE_ACTIVITY).product("azure").service("activitylogs"),
    open(AZURE_SIGN_IN).product("azure").service("signinlogs"),
    open(AZURE_AUDIT).product("azure").service("auditlogs"),
    open(AZURE_RISK).product("azure").service("riskdetection"),
    open(FIREWALL).category("firewall"),
    open(FIREWALL).service("netflow"),
    // What Canh itself sees (flows, DNS, TLS, HTTP, metrics) has catalogue names and those listed here.
    closed(&[]).product("canh"),
    closed(&[
        ("flow.history", &[]),
        ("flow.end_reason", &[]),
        ("flow.final", &[]),
        ("flow.source.payload_bytes", &[]),
        ("flow.destination.payload_bytes", &[]),
        ("flow.source.tcp_flags", &[]),
        ("flow.destination.tcp_flags", &[]),
    ])
    .product("canh")
    .service("flow"),
    closed(&[("dns.answers.type", &[])]).product("canh").service("dns"),
    closed(&[
        ("tls.cipher", &[]),
        ("tls.next_protocol", &[]),
        ("tls.client.supported_protocols", &[]),
        ("tls.server.ja3s", &[]),
    ])
    .product("canh")
    .service("tls"),
    closed(&[
        ("cpu.mode", &[]),
        ("system.memory.state", &[]),
        ("system.paging.state", &[]),
        ("system.device", &[]),
        ("system.filesystem.mountpoint", &[]),
        ("system.filesystem.state", &[]),
        ("system.filesystem.type", &[]),
        ("network.interface.name", &[]),
        ("network.io.direction", &[]),
        ("disk.io.direction", &[]),
        ("input", &[]),
        ("stage", &[]),
        ("reason", &[]),
    ])
    .product("canh")
    .service("metric"),
];

/// Refuses fields that can never arrive.
pub(crate) fn check_fields(source: &RuleSource, selections: &[Selection]) -> Result<(), Diagnostic> {
    let fitting: Vec<&Mapping> = MAPPINGS.iter().filter(|mapping| mapping.fits_rule(source)).collect();
    if !fitting.iter().any(|mapping| !mapping.open) {
        return Ok(());
    }
    let listed = || fitting.iter().flat_map(|mapping| mapping.fields).map(|(name, _)| *name);
    selections.iter().try_for_each(|selection| check_detection(&selection.detection, &listed))
}

fn check_detection<'a, I>(detection: &Detection, listed: &impl Fn() -> I) -> Result<(), Diagnostic>
where
    I: Iterator<Item = &'a str>,
{
    match detection {
        Detection::All(parts) | Detection::Any(parts) => {
            parts.iter().try_for_each(|part| check_detection(part, listed))
        }
        Detection::Item(item) => {
            let Some(name) = item.field.as_deref() else { return Ok(()) };
            if field_by_name(name).is_some() || listed().any(|known| known == name) {
                return Ok(());
            }
            let known = listed().chain(CATALOGUE.iter().map(|field| field.name));
            let text = format!("field `{name}` can never arrive from this log source");
            Err(Diagnostic::error(item.at, text).suggest(nearest(name, known)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_mapping_is_listed_twice_and_none_repeats_a_field() {
        let mut seen = BTreeSet::new();
        for mapping in MAPPINGS {
            let name = (mapping.product, mapping.service, mapping.category);
            assert!(seen.insert(name), "{name:?} is listed twice");
            let mut fields = BTreeSet::new();
            for (field, _) in mapping.fields {
                assert!(fields.insert(field), "{name:?} lists `{field}` twice");
            }
        }
    }
}
