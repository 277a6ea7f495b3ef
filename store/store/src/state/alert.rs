//! Alerts: findings of one rule about one entity, and what people decided about them.

use std::fmt;
use std::str::FromStr;

use canh_schema::{EventId, FieldMatch, Finding, FindingId, Level, Proof, RuleId, RuleInfo, Timestamp};
use compact_str::CompactString;

use super::AuditEntry;

/// Number of an alert, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AlertId(u64);

impl AlertId {
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an alert is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AlertEntity {
    pub kind: EntityKind,
    pub value: CompactString,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EntityKind {
    Host,
    User,
    SourceIp,
    /// The finding names nothing.
    None,
}

impl EntityKind {
    pub const ALL: [Self; 4] = [Self::Host, Self::User, Self::SourceIp, Self::None];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User => "user",
            Self::SourceIp => "source_ip",
            Self::None => "none",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl AlertEntity {
    /// The host if the finding names one, else the user, else the source address. The host comes first because its
    /// owner is who must act, and because an attacker can make up users and addresses more easily than hosts.
    pub fn of(finding: &Finding) -> Self {
        let named = [
            (EntityKind::Host, &finding.host),
            (EntityKind::User, &finding.user),
            (EntityKind::SourceIp, &finding.source_ip),
        ];
        named
            .into_iter()
            .find_map(|(kind, value)| value.clone().map(|value| Self { kind, value }))
            .unwrap_or(Self { kind: EntityKind::None, value: CompactString::const_new("") })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AlertStatus {
    /// Nobody has looked at it.
    Open,
    /// Somebody is on it. New findings still join it.
    Acknowledged,
    Closed(CloseReason),
}

impl AlertStatus {
    pub const fn kind(self) -> AlertStatusKind {
        match self {
            Self::Open => AlertStatusKind::Open,
            Self::Acknowledged => AlertStatusKind::Acknowledged,
            Self::Closed(_) => AlertStatusKind::Closed,
        }
    }
}

/// [`AlertStatus`] without the reason, for filters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AlertStatusKind {
    Open,
    Acknowledged,
    Closed,
}

impl AlertStatusKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Closed].into_iter().find(|kind| kind.name() == name)
    }
}

/// Why an alert was closed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CloseReason {
    TruePositive,
    FalsePositive,
    Benign,
    Duplicate,
}

impl CloseReason {
    pub const ALL: [Self; 4] = [Self::TruePositive, Self::FalsePositive, Self::Benign, Self::Duplicate];

    pub const fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::FalsePositive => "false_positive",
            Self::Benign => "benign",
            Self::Duplicate => "duplicate",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// One alert as a list shows it. Title, level, tags, host, user and address are those of the finding that came last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    pub id: AlertId,
    pub rule: RuleId,
    pub title: CompactString,
    pub level: Level,
    pub tags: Vec<CompactString>,
    pub status: AlertStatus,
    pub entity: AlertEntity,
    pub host: Option<CompactString>,
    pub user: Option<CompactString>,
    pub source_ip: Option<CompactString>,
    /// Findings so far.
    pub count: u64,
    /// Earliest and latest time of its findings.
    pub first_time: Timestamp,
    pub last_time: Timestamp,
    /// By the clock of the server.
    pub opened_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Alert {
    /// The alert that a finding opens. Every backend uses this and [`join`](Self::join), so that they count alike.
    pub fn opened(id: AlertId, finding: &Finding, now: Timestamp) -> Self {
        let mut alert = Self {
            id,
            rule: finding.rule.id.clone(),
            title: CompactString::default(),
            level: finding.rule.level,
            tags: Vec::new(),
            status: AlertStatus::Open,
            entity: AlertEntity::of(finding),
            host: None,
            user: None,
            source_ip: None,
            count: 0,
            first_time: finding.time,
            last_time: finding.time,
            opened_at: now,
            updated_at: now,
        };
        alert.join(finding, now);
        alert
    }

    /// Adds a finding that was not known.
    pub fn join(&mut self, finding: &Finding, now: Timestamp) {
        self.title.clone_from(&finding.rule.title);
        self.level = finding.rule.level;
        self.tags.clone_from(&finding.rule.tags);
        self.host.clone_from(&finding.host);
        self.user.clone_from(&finding.user);
        self.source_ip.clone_from(&finding.source_ip);
        self.count += 1;
        self.first_time = self.first_time.min(finding.time);
        self.last_time = self.last_time.max(finding.time);
        self.updated_at = now;
    }

    /// Its place in a list.
    pub const fn cursor(&self) -> AlertCursor {
        AlertCursor { last_time: self.last_time, id: self.id }
    }
}

/// One alert with everything that is kept of it.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertRecord {
    pub alert: Alert,
    /// The rule as it was for the finding that came last.
    pub rule: RuleInfo,
    /// Proof of the finding that came last, in short and whole. Alerts of older versions have only the short one.
    pub matches: Vec<FieldMatch>,
    pub proof: Option<Proof>,
    /// Those that came last first, at most [`FINDINGS_PER_ALERT_MAX`](super::FINDINGS_PER_ALERT_MAX).
    pub findings: Vec<AlertFinding>,
    /// Oldest first.
    pub history: Vec<HistoryEntry>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertFinding {
    pub id: FindingId,
    pub time: Timestamp,
    pub events: Vec<EventId>,
}

/// A decision about an alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AlertChange {
    pub status: AlertStatus,
    pub note: Option<String>,
}

impl AlertChange {
    /// The line of the audit log that goes with the change.
    pub fn audit(&self, id: AlertId, was: AlertStatus, who: &str, at: Timestamp) -> AuditEntry {
        let mut detail = vec![
            (CompactString::const_new("from"), was.kind().name().to_owned()),
            (CompactString::const_new("to"), self.status.kind().name().to_owned()),
        ];
        if let AlertStatus::Closed(reason) = self.status {
            detail.push((CompactString::const_new("reason"), reason.name().to_owned()));
        }
        if let Some(note) = &self.note {
            detail.push((CompactString::const_new("note"), note.clone()));
        }
        AuditEntry {
            at,
            who: who.into(),
            action: CompactString::const_new("alert.status"),
            target: compact_str::format_compact!("alert:{id}"),
            detail,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryEntry {
    pub at: Timestamp,
    /// `None` is the server itself, which opened the alert.
    pub who: Option<CompactString>,
    pub change: AlertChange,
}

/// Which alerts. `None` means any.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AlertFilter {
    pub status: Option<AlertStatusKind>,
    pub level: Option<Level>,
    /// Part of rule title, rule id, host, user or address, without regard to the case of ASCII letters.
    pub text: Option<String>,
    /// The newest finding is at this time or later.
    pub from: Option<Timestamp>,
    /// The newest finding is before this time.
    pub to: Option<Timestamp>,
}

/// A place in a list of alerts: everything after this alert.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AlertCursor {
    pub last_time: Timestamp,
    pub id: AlertId,
}

impl fmt::Display for AlertCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.last_time.nanos(), self.id)
    }
}

impl FromStr for AlertCursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, id) = text.split_once('.').ok_or(())?;
        let nanos = time.parse().map_err(|_| ())?;
        Ok(Self { last_time: Timestamp::from_nanos(nanos), id: AlertId::new(id.parse().map_err(|_| ())?) })
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AlertList {
    pub items: Vec<Alert>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<AlertCursor>,
    /// Alerts that match, on all pages.
    pub total: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AlertCounts {
    /// In the order of [`Level::ALL`].
    pub open_by_level: [u64; Level::ALL.len()],
    pub acknowledged: u64,
}

impl AlertCounts {
    pub fn open(&self, level: Level) -> u64 {
        self.open_by_level[level_row(level)]
    }

    pub fn add_open(&mut self, level: Level, count: u64) {
        self.open_by_level[level_row(level)] += count;
    }

    pub fn open_total(&self) -> u64 {
        self.open_by_level.iter().sum()
    }
}

/// Place of a level in [`AlertCounts::open_by_level`].
fn level_row(level: Level) -> usize {
    Level::ALL.iter().position(|known| *known == level).unwrap_or_default()
}

/// What became of findings that were put.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FindingsPut {
    /// Alerts that were opened.
    pub opened: Vec<AlertId>,
    /// Findings that joined an alert that was there.
    pub joined: u64,
    /// Findings that were known.
    pub known: u64,
}
