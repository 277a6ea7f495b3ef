//! Alerts: what was found, why, and what people decided.

use canh_schema::{FieldMatch, RuleInfo};
use canh_store::state::{
    Alert, AlertChange, AlertEntity, AlertFinding, AlertRecord, AlertStatus, CloseReason, EntityKind, HistoryEntry,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::explain::ExplainedView;
use super::{LevelName, Time, json_value};

/// Longest value, in bytes, that the proof of an alert shows; the event has all of it.
const PROOF_TEXT_MAX: usize = 16 * 1024;

/// Which alerts. Leaving a filter out means all of them.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertListQuery {
    pub(crate) status: Option<AlertStatusName>,
    pub(crate) level: Option<LevelName>,
    /// Text that rule title, rule id, host, user or address contains, without regard to case.
    pub(crate) q: Option<String>,
    /// Alerts whose newest finding is at this point or later.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Time>,
    /// Alerts whose newest finding is before this point.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Time>,
    /// Most alerts in the answer. Default 100.
    #[param(minimum = 1, maximum = 1000)]
    pub(crate) limit: Option<u32>,
    /// `next` of the page before: go on there, towards older alerts.
    pub(crate) before: Option<String>,
}

/// Those with the newest finding first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertPage {
    pub(crate) items: Vec<AlertView>,
    /// Give it as `before` to get the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
    /// Alerts that match, on all pages.
    pub(crate) total: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertView {
    pub(crate) id: u64,
    pub(crate) rule_id: String,
    pub(crate) title: String,
    pub(crate) level: LevelName,
    pub(crate) tags: Vec<String>,
    pub(crate) status: AlertStatusName,
    /// Set when closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<CloseReasonName>,
    /// What it is about; findings of the same rule about the same thing join one open alert.
    pub(crate) entity: EntityView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source_ip: Option<String>,
    /// Findings so far.
    pub(crate) count: u64,
    /// Time of the first and of the newest event.
    pub(crate) first_time: Time,
    pub(crate) last_time: Time,
    /// When the alert was opened, by the clock of the server.
    pub(crate) opened_at: Time,
    pub(crate) updated_at: Time,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlertStatusName {
    Open,
    Acknowledged,
    Closed,
}

/// Why an alert was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CloseReasonName {
    /// An attack, or the try of one.
    TruePositive,
    /// The rule was wrong.
    FalsePositive,
    /// The rule was right, and it was allowed.
    Benign,
    /// Dealt with in another alert.
    Duplicate,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EntityView {
    pub(crate) kind: EntityKindName,
    pub(crate) value: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntityKindName {
    Host,
    User,
    SourceIp,
    /// The events name nothing; the value is empty.
    None,
}

/// One alert with its proof.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertDetail {
    pub(crate) alert: AlertView,
    /// The rule as it was when it fired last.
    pub(crate) rule: AlertRuleView,
    /// The proof of the newest finding: each condition that held, with the value that made it hold.
    pub(crate) matches: Vec<FieldMatchView>,
    /// The branch of the rule's condition that was true, part by part; absent for alerts of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<ExplainedView>,
    /// The newest findings, newest first; at most 100.
    pub(crate) findings: Vec<AlertFindingView>,
    /// Events of these findings, newest first, each once.
    pub(crate) event_ids: Vec<String>,
    /// What happened to the alert, oldest first.
    pub(crate) history: Vec<AlertHistoryView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertRuleView {
    pub(crate) id: String,
    /// Hash of the rule's text.
    pub(crate) hash: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) level: LevelName,
    /// All tags of the rule.
    pub(crate) tags: Vec<String>,
    /// The tags that are of MITRE ATT&CK.
    pub(crate) attack: Vec<AttackTag>,
    pub(crate) false_positives: Vec<String>,
    pub(crate) references: Vec<String>,
    /// What to do, by language (`en`, `vi`).
    pub(crate) guide: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct AttackTag {
    pub(crate) kind: AttackKind,
    /// For example `T1110.001`, `credential-access`, `G0016` or `S0002`.
    pub(crate) id: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AttackKind {
    Tactic,
    Technique,
    Group,
    Software,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldMatchView {
    /// Name of the selection in the rule.
    pub(crate) selection: String,
    /// Field as the rule writes it; empty for a keyword.
    pub(crate) field: String,
    /// Modifiers as the rule writes them, for example `contains|all`.
    pub(crate) modifiers: String,
    /// The pattern that matched, as the rule writes it.
    pub(crate) pattern: String,
    /// The value of the event: null, a boolean, a number, a text or a list of these.
    pub(crate) value: serde_json::Value,
    /// Whether the value was cut.
    pub(crate) cut: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertFindingView {
    pub(crate) id: String,
    /// Time of its newest event.
    pub(crate) time: Time,
    pub(crate) event_ids: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertHistoryView {
    pub(crate) at: Time,
    /// The user; absent for the system itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) who: Option<String>,
    pub(crate) status: AlertStatusName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<CloseReasonName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// The events of an alert that are still in the store.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertEvents {
    /// Newest first; at most 100.
    pub(crate) items: Vec<super::event::EventView>,
    /// Ids that the store no longer has.
    pub(crate) missing: Vec<String>,
}

/// Everything that is needed to judge the newest finding of an alert again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertEvidence {
    pub(crate) rule_id: String,
    /// Hash of `rule_text`.
    pub(crate) rule_hash: String,
    /// The rule with everything that its verdict depends on; absent if the text was not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule_text: Option<String>,
    /// Version of the table of field mappings.
    pub(crate) mapping_version: u32,
    pub(crate) finding_id: String,
    pub(crate) condition: ExplainedView,
    /// What a rule over what is usual remembered before these events, in the engine's form, base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remembered: Option<String>,
    /// The events in the order of the finding.
    pub(crate) events: Vec<EvidenceEvent>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceEvent {
    pub(crate) id: String,
    /// Hash of the bytes that the source sent, as it was when the rule fired.
    pub(crate) hash: String,
    /// The event as it is in the store, in the store's form, base64; absent if the store no longer has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) encoded: Option<String>,
}

/// A decision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlertStatusRequest {
    pub(crate) status: AlertStatusName,
    /// Needed to close, refused otherwise.
    pub(crate) reason: Option<CloseReasonName>,
    #[schema(max_length = 4000)]
    pub(crate) note: Option<String>,
}

impl From<AlertStatus> for AlertStatusName {
    fn from(status: AlertStatus) -> Self {
        match status {
            AlertStatus::Open => Self::Open,
            AlertStatus::Acknowledged => Self::Acknowledged,
            AlertStatus::Closed(_) => Self::Closed,
        }
    }
}

impl From<CloseReason> for CloseReasonName {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TruePositive => Self::TruePositive,
            CloseReason::FalsePositive => Self::FalsePositive,
            CloseReason::Benign => Self::Benign,
            CloseReason::Duplicate => Self::Duplicate,
        }
    }
}

impl From<CloseReasonName> for CloseReason {
    fn from(reason: CloseReasonName) -> Self {
        match reason {
            CloseReasonName::TruePositive => Self::TruePositive,
            CloseReasonName::FalsePositive => Self::FalsePositive,
            CloseReasonName::Benign => Self::Benign,
            CloseReasonName::Duplicate => Self::Duplicate,
        }
    }
}

impl From<AlertEntity> for EntityView {
    fn from(entity: AlertEntity) -> Self {
        let kind = match entity.kind {
            EntityKind::Host => EntityKindName::Host,
            EntityKind::User => EntityKindName::User,
            EntityKind::SourceIp => EntityKindName::SourceIp,
            EntityKind::None => EntityKindName::None,
        };
        Self { kind, value: entity.value.into() }
    }
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id.get(),
            rule_id: alert.rule.as_str().to_owned(),
            title: alert.title.into(),
            level: alert.level.into(),
            tags: alert.tags.into_iter().map(Into::into).collect(),
            status: alert.status.into(),
            reason: match alert.status {
                AlertStatus::Closed(reason) => Some(reason.into()),
                AlertStatus::Open | AlertStatus::Acknowledged => None,
            },
            entity: alert.entity.into(),
            host: alert.host.map(Into::into),
            user: alert.user.map(Into::into),
            source_ip: alert.source_ip.map(Into::into),
            count: alert.count,
            first_time: alert.first_time.into(),
            last_time: alert.last_time.into(),
            opened_at: alert.opened_at.into(),
            updated_at: alert.updated_at.into(),
        }
    }
}

impl From<AlertRecord> for AlertDetail {
    fn from(record: AlertRecord) -> Self {
        let mut event_ids: Vec<String> = Vec::new();
        for id in record.findings.iter().flat_map(|finding| &finding.events) {
            let id = id.to_string();
            if !event_ids.contains(&id) {
                event_ids.push(id);
            }
        }
        Self {
            alert: record.alert.into(),
            rule: record.rule.into(),
            matches: record.matches.into_iter().map(Into::into).collect(),
            condition: record.proof.map(|proof| proof.condition.into()),
            findings: record.findings.into_iter().map(Into::into).collect(),
            event_ids,
            history: record.history.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<RuleInfo> for AlertRuleView {
    fn from(rule: RuleInfo) -> Self {
        let strings = |texts: Vec<_>| texts.into_iter().map(compact_str::CompactString::into_string).collect();
        Self {
            id: rule.id.as_str().to_owned(),
            hash: rule.hash.to_string(),
            title: rule.title.into(),
            description: rule.description.into(),
            level: rule.level.into(),
            attack: rule.tags.iter().filter_map(|tag| attack_tag(tag)).collect(),
            tags: strings(rule.tags),
            false_positives: strings(rule.false_positives),
            references: strings(rule.references),
            guide: rule.guide.into_iter().map(|(language, text)| (language.into(), text.into())).collect(),
        }
    }
}

impl From<FieldMatch> for FieldMatchView {
    fn from(held: FieldMatch) -> Self {
        let mut cut = false;
        Self {
            selection: held.selection.into(),
            field: held.field.into(),
            modifiers: held.modifiers.into(),
            pattern: held.pattern.into(),
            value: json_value(&held.value, PROOF_TEXT_MAX, &mut cut),
            cut,
        }
    }
}

impl From<AlertFinding> for AlertFindingView {
    fn from(finding: AlertFinding) -> Self {
        Self {
            id: finding.id.to_string(),
            time: finding.time.into(),
            event_ids: finding.events.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<HistoryEntry> for AlertHistoryView {
    fn from(entry: HistoryEntry) -> Self {
        let AlertChange { status, note } = entry.change;
        Self {
            at: entry.at.into(),
            who: entry.who.map(Into::into),
            status: status.into(),
            reason: match status {
                AlertStatus::Closed(reason) => Some(reason.into()),
                AlertStatus::Open | AlertStatus::Acknowledged => None,
            },
            note,
        }
    }
}

/// What a Sigma tag says about ATT&CK, if it is one of its tags.
///
/// Source: Sigma tags specification, namespace `attack`.
fn attack_tag(tag: &str) -> Option<AttackTag> {
    let name = tag.strip_prefix("attack.")?;
    let numbered = |prefix: char| {
        name.strip_prefix([prefix, prefix.to_ascii_uppercase()])
            .is_some_and(|digits| digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    };
    let kind = match () {
        () if numbered('t') => AttackKind::Technique,
        () if numbered('g') => AttackKind::Group,
        () if numbered('s') => AttackKind::Software,
        () if name.is_empty() => return None,
        () => AttackKind::Tactic,
    };
    let id = if kind == AttackKind::Tactic { name.replace('_', "-") } else { name.to_ascii_uppercase() };
    Some(AttackTag { kind, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, expected: Option<(AttackKind, &str)>) {
        let expected = expected.map(|(kind, id)| AttackTag { kind, id: id.to_owned() });
        assert_eq!(attack_tag(tag), expected, "tag: {tag:?}");
    }

    #[test]
    fn attack_tags() {
        check("attack.t1110.001", Some((AttackKind::Technique, "T1110.001")));
        check("attack.T1059", Some((AttackKind::Technique, "T1059")));
        check("attack.credential_access", Some((AttackKind::Tactic, "credential-access")));
        check("attack.stealth", Some((AttackKind::Tactic, "stealth"))); // begins like a software number
        check("attack.g0016", Some((AttackKind::Group, "G0016")));
        check("attack.s0002", Some((AttackKind::Software, "S0002")));
        check("cve.2021-44228", None);
        check("attack.", None);
    }
}
