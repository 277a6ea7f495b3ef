//! Formats: how the bytes of one record are read. One list, one file each. What the values mean is the business of
//! `source`; a format hands over to it.

mod apache_error;
mod azure;
mod cef;
mod clock;
mod cloudtrail;
mod columns;
mod evtx;
mod flow;
mod gelf;
mod identity;
mod journald_json;
mod json;
mod key_value;
mod kubernetes_audit;
mod layout;
mod leef;
mod metric;
mod mysql;
mod nginx_error;
mod oracle;
mod pairs;
mod plain;
mod postgresql;
mod suricata;
mod syslog_3164;
mod syslog_5424;
mod text;
mod vendor;
mod web_access;
mod windows_flat;
mod winlogbeat;
mod wso2_access;
mod wso2_carbon;
mod wso2_correlation;
mod wso2_metrics;
mod zeek_json;

pub(crate) mod auditd;
pub(crate) mod elastic_bulk;
pub(crate) mod flow_datagrams;
pub(crate) mod fluent;
pub(crate) mod journal_export;
pub(crate) mod kafka;
pub(crate) mod msgpack;
pub(crate) mod otlp;
pub(crate) mod prometheus;
pub(crate) mod snmp;
pub(crate) mod splunk_hec;
pub(crate) mod windows_xml;

use canh_schema::{Event, Timestamp};

pub(crate) use cef::parse as cef_record;
pub(crate) use clock::{Civil, epoch_seconds, fraction, leading, month, number as digits, rfc3339, time_of_day};
pub use clock::{Zone, ZoneError};
pub use columns::Header;
pub(crate) use json::Json;
pub(crate) use layout::Layout;
pub(crate) use leef::parse as leef_record;
pub(crate) use mysql::syslog as mysql_line;
pub(crate) use pairs::{Marks, Pairs, detect as pairs_in};
pub(crate) use postgresql::leading_time as postgresql_time;
pub(crate) use suricata::is_eve;
pub use text::Text;
pub(crate) use web_access::parse as web_request;

use crate::DecodeSettings;

/// Every format of a single record, in the order in which they are tried when none was named.
pub static FORMATS: &[&dyn Format] = &[
    // Before syslog, for which the number of a thread behind an ISO time is a host.
    &mysql::Mysql,
    &syslog_5424::Syslog5424,
    &syslog_3164::Syslog3164,
    &auditd::Auditd,
    &postgresql::Postgresql,
    &oracle::Oracle,
    &nginx_error::NginxError,
    &apache_error::ApacheError,
    &wso2_carbon::Wso2Carbon,
    &wso2_access::Wso2Access,
    &wso2_metrics::Wso2Metrics,
    &wso2_correlation::Wso2Correlation,
    &identity::Keycloak,
    &identity::Cas,
    &windows_xml::WindowsXml,
    &cef::Cef,
    &leef::Leef,
    &winlogbeat::Winlogbeat,
    &evtx::Evtx,
    &windows_flat::WindowsFlat,
    &journald_json::JournaldJson,
    &gelf::Gelf,
    &flow::Flow,
    &metric::Metric,
    &zeek_json::ZeekJson,
    &suricata::Suricata,
    &kubernetes_audit::KubernetesAudit,
    &azure::Azure,
    &cloudtrail::CloudTrail,
    &json::JsonObject,
    &web_access::WebAccess,
    &vendor::Vendor,
    &key_value::KeyValue,
    &plain::Plain,
];

/// One way in which a record may be written.
pub trait Format: Sync {
    /// The name in configuration.
    fn name(&self) -> &'static str;

    /// One line for the reference manual.
    fn about(&self) -> &'static str;

    /// Records of this format. The golden tests and the fuzz seeds are made of them.
    fn samples(&self) -> &'static [&'static str];

    /// Fills the event if the record is of this format, and leaves it untouched if not.
    fn decode(&self, text: &mut Text<'_>, context: &Context<'_>, event: &mut Event) -> Fit;
}

/// Whether a record is of a format.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    Yes,
    No,
}

/// What a format knows besides the text.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub(crate) received: Timestamp,
    pub(crate) settings: &'a DecodeSettings,
    /// Path of the file that the record was read from.
    pub(crate) file: Option<&'a str>,
    pub(crate) envelope_keys: EnvelopeKeys,
    /// How many records this one is inside of.
    pub(crate) depth: u8,
    /// What the values of the line are called, if it came with the first lines of its file.
    pub(crate) header: Option<&'a Header>,
}

/// Whether `_product`, `_service` and `_category` of a JSON object name its log source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EnvelopeKeys {
    Read,
    Plain,
}

/// The format of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// Whether something can be named as the format of a source: a format, or a source that is described in a folder of the
/// program.
pub fn is_known(name: &str) -> bool {
    by_name(name).is_some() || crate::Vendors::shipped().is_known(name)
}

/// What to tell somebody who names a format that is not in [`FORMATS`].
pub fn unknown(name: &str) -> String {
    let known = || FORMATS.iter().map(|format| format.name());
    let meant = canh_config::nearest(name, known()).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!("`{name}` is not a known format; {meant}known formats: {}", known().collect::<Vec<_>>().join(", "))
}

/// Fills the event with the first format that fits; the name says which. The last one fits everything.
pub(crate) fn decode(
    text: &mut Text<'_>,
    context: &Context<'_>,
    hint: Option<&'static dyn Format>,
    event: &mut Event,
) -> &'static str {
    let named = hint.into_iter();
    for format in named.chain(FORMATS.iter().copied()) {
        if format.decode(text, context, event) == Fit::Yes {
            return format.name();
        }
        if hint.is_some_and(|named| named.name() == format.name()) && event.issues.is_empty() {
            event.push_issue(canh_schema::IssueKind::Malformed, format!("not {}", format.name()));
        }
    }
    plain::Plain.name()
}

/// Every decoder that reads bytes from outside, for the fuzzer and the property tests.
pub fn fuzz_targets() -> Vec<(&'static str, fn(&[u8]))> {
    macro_rules! targets {
        ($($name:literal: $format:expr),* $(,)?) => {
            vec![$(($name, |bytes| fuzz_format(&$format, bytes))),*]
        };
    }
    let mut targets: Vec<(&'static str, fn(&[u8]))> = targets! {
        "syslog_5424": syslog_5424::Syslog5424,
        "syslog_3164": syslog_3164::Syslog3164,
        "auditd": auditd::Auditd,
        "winlogbeat": winlogbeat::Winlogbeat,
        "evtx": evtx::Evtx,
        "windows_flat": windows_flat::WindowsFlat,
        "journald_json": journald_json::JournaldJson,
        "gelf": gelf::Gelf,
        "flow": flow::Flow,
        "metric": metric::Metric,
        "zeek_json": zeek_json::ZeekJson,
        "kubernetes_audit": kubernetes_audit::KubernetesAudit,
        "azure": azure::Azure,
        "cloudtrail": cloudtrail::CloudTrail,
        "json": json::JsonObject,
        "web_access": web_access::WebAccess,
        "plain": plain::Plain,
        "mysql": mysql::Mysql,
        "postgresql": postgresql::Postgresql,
        "oracle": oracle::Oracle,
        "nginx_error": nginx_error::NginxError,
        "apache_error": apache_error::ApacheError,
        "wso2_carbon": wso2_carbon::Wso2Carbon,
        "wso2_access": wso2_access::Wso2Access,
        "wso2_metrics": wso2_metrics::Wso2Metrics,
        "wso2_correlation": wso2_correlation::Wso2Correlation,
        "keycloak": identity::Keycloak,
        "cas": identity::Cas,
        "cef": cef::Cef,
        "vendor": vendor::Vendor,
        "leef": leef::Leef,
        "key_value": key_value::KeyValue,
        "suricata": suricata::Suricata,
        "windows_xml": windows_xml::WindowsXml,
    };
    targets.push(("batch", fuzz_batch));
    targets.push(("flow_datagrams", flow_datagrams::fuzz));
    targets.push(("evtx_file", crate::evtx_file::fuzz));
    targets.push(("elastic_bulk", elastic_bulk::fuzz));
    targets.push(("splunk_hec", splunk_hec::fuzz));
    targets.push(("prometheus_write", prometheus::fuzz));
    targets.push(("otlp_spans", otlp::fuzz_spans));
    targets.push(("vendor_sources", crate::vendor::fuzz));
    targets.extend(crate::door::FUZZ_TARGETS);
    targets
}

fn fuzz_format(format: &dyn Format, bytes: &[u8]) {
    let settings = DecodeSettings::default();
    let received = Timestamp::from_secs(1_793_000_000);
    let context = Context {
        received,
        settings: &settings,
        file: None,
        envelope_keys: EnvelopeKeys::Read,
        depth: 0,
        header: None,
    };
    let text = String::from_utf8_lossy(bytes);
    let id = canh_schema::EventId::from_bytes([0; 16]);
    let mut event = Event::new(id, received, bytes::Bytes::new());
    format.decode(&mut Text::new(&text), &context, &mut event);
}

fn fuzz_batch(bytes: &[u8]) {
    let received = Timestamp::from_secs(1_793_000_000);
    for framing in crate::Framing::ALL {
        let payload = bytes::Bytes::copy_from_slice(bytes);
        let envelope = crate::Envelope::new(crate::Door::Import, received, framing, payload);
        crate::decode(&envelope, canh_schema::Position::new(1), 1, &DecodeSettings::default());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_format_has_its_own_name_samples_and_a_fuzz_target() {
        let mut names = BTreeSet::new();
        let fuzzed: BTreeSet<_> = fuzz_targets().into_iter().map(|(name, _)| name).collect();
        for format in FORMATS {
            assert!(names.insert(format.name()), "two formats are named `{}`", format.name());
            assert!(!format.samples().is_empty(), "`{}` has no sample", format.name());
            assert!(!format.about().is_empty(), "`{}` says nothing about itself", format.name());
            assert!(fuzzed.contains(format.name()), "`{}` is not fuzzed", format.name());
        }
    }

    #[test]
    fn a_sample_is_found_to_be_of_its_own_format() {
        let settings = DecodeSettings::default();
        let received = Timestamp::parse_rfc3339("2026-11-22T09:00:00Z").unwrap();
        let context = Context {
            received,
            settings: &settings,
            file: None,
            envelope_keys: EnvelopeKeys::Plain,
            depth: 0,
            header: None,
        };
        for format in FORMATS {
            for sample in format.samples() {
                let mut event = Event::new(canh_schema::EventId::from_bytes([0; 16]), received, bytes::Bytes::new());
                let name = decode(&mut Text::new(sample), &context, None, &mut event);
                assert_eq!(name, format.name(), "sample: {sample}");
                assert_eq!(event.issues, [], "sample: {sample}");
            }
        }
    }
}
