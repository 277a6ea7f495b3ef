//! The seam to the state of the product: who may sign in, what was found and decided, who sends events.
//!
//! Plain types and one trait. Events themselves are in [`EventStore`](crate::EventStore); there are no time series
//! here. Every backend passes [`conformance::run`].

mod account;
mod alert;
pub mod conformance;
mod ledger;
mod memory;
mod rule;
mod source;

use std::error::Error;

use async_trait::async_trait;
use canh_schema::{Finding, Position, RuleHash, RuleId, Timestamp};

pub use account::{
    ApiToken, ApiTokenId, AuditEntry, NewUser, Preferences, Role, SecretHash, Session, Theme, User, UserId, UserState,
};
pub use alert::{
    Alert, AlertChange, AlertCounts, AlertCursor, AlertEntity, AlertFilter, AlertFinding, AlertId, AlertList,
    AlertRecord, AlertStatus, AlertStatusKind, CloseReason, EntityKind, FindingsPut, HistoryEntry,
};
pub use ledger::{
    GAPS_MAX, GapKind, LedgerCounter, LedgerCounts, LedgerGap, LedgerLine, LedgerMarks, LedgerPage, LedgerQuery,
    LedgerSpool, LedgerStart, LedgerUpdate, OPEN_GAPS_MAX, StoreMark, hour_of,
};
pub use memory::MemoryState;
pub use rule::{
    CanaryHop, ReviewedBacktest, RuleCount, RuleDecision, RuleHealth, RuleLoadError, RuleRecord, RuleReview, RuleState,
    RuleStatus, RuleText, RulesOverview, RulesStatus,
};
pub use source::{DemoRun, SourceKind, SourceRecord, SourceReport};

/// Findings per alert whose time and events are kept; of older ones only the count remains.
pub const FINDINGS_PER_ALERT_MAX: usize = 100;

/// Finding ids per alert that are remembered, so that a finding that comes again is known. Older ones cannot come
/// again: the detection cursor is written together with the findings.
pub const FINDING_IDS_PER_ALERT_MAX: usize = 10_000;

/// Senders that are not our agents (syslog addresses, for example) which are remembered. Addresses can be forged; when
/// there are more, those heard of longest ago are forgotten.
pub const OTHER_SOURCES_MAX: usize = 10_000;

/// Why the state could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("there already is a user `{name}`; choose another name")]
    NameTaken { name: String },

    #[error("set-up has already been done; sign in as its user")]
    SetupDone,

    #[error("the set-up token does not match the newest one; restart the server to get a new one")]
    SetupTokenWrong,

    /// The file is not a state database, or is damaged.
    #[error(
        "state database `{path}` is damaged or is something else; restore it from a copy, or move it away to begin anew"
    )]
    Corrupt { path: String, source: Box<dyn Error + Send + Sync> },

    #[error(
        "state database `{path}` was written by a newer version (schema {found}, known is {known}); use that version"
    )]
    TooNew { path: String, found: u32, known: u32 },

    #[error("cannot {doing} the state database")]
    Backend { doing: &'static str, source: Box<dyn Error + Send + Sync> },

    #[error("the state database has been closed")]
    Closed,
}

/// Where the state is kept.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    // Accounts.

    /// Keeps the hash of a new set-up token, in place of an older one, if there is no user yet.
    async fn offer_setup_token(&self, token: SecretHash) -> Result<UserState, StateError>;

    /// Whether anybody can sign in yet.
    async fn user_state(&self) -> Result<UserState, StateError>;

    /// Makes the first user and spends the token, both or neither.
    ///
    /// # Errors
    ///
    /// [`StateError::SetupDone`] if there is a user; [`StateError::SetupTokenWrong`] if it is not the newest token.
    async fn create_first_user(&self, token: SecretHash, user: NewUser) -> Result<UserId, StateError>;

    /// # Errors
    ///
    /// [`StateError::NameTaken`]; names differ by more than the case of ASCII letters.
    async fn create_user(&self, user: NewUser) -> Result<UserId, StateError>;

    /// The user of this name, without regard to the case of ASCII letters.
    async fn user_by_name(&self, name: &str) -> Result<Option<User>, StateError>;

    /// Every user, by name.
    async fn users(&self) -> Result<Vec<User>, StateError>;

    /// Locks a user out and ends all their sessions, or lets them in again. `false` if there is no such user.
    async fn set_user_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StateError>;

    /// The user's preferences, if they ever set them.
    async fn preferences(&self, user: UserId) -> Result<Option<Preferences>, StateError>;

    async fn put_preferences(&self, user: UserId, preferences: Preferences) -> Result<(), StateError>;

    // Sessions and tokens. Only hashes are kept.

    async fn put_session(&self, session: Session) -> Result<(), StateError>;

    /// The session and its user; `None` if it ended or the user is disabled.
    async fn session(&self, token: SecretHash) -> Result<Option<(Session, User)>, StateError>;

    async fn touch_session(&self, token: SecretHash, seen: Timestamp) -> Result<(), StateError>;

    async fn delete_session(&self, token: SecretHash) -> Result<(), StateError>;

    /// Removes the sessions that were last seen before `idle` or made before `made`; says how many.
    async fn expire_sessions(&self, idle: Timestamp, made: Timestamp) -> Result<u64, StateError>;

    /// Keeps a token. One of the same name is replaced.
    async fn put_api_token(&self, token: ApiToken) -> Result<ApiTokenId, StateError>;

    /// The token, whether expired or not.
    async fn api_token(&self, token: SecretHash) -> Result<Option<ApiToken>, StateError>;

    async fn delete_api_token(&self, id: ApiTokenId) -> Result<bool, StateError>;

    // Findings and alerts.

    /// Keeps findings and the place in the journal that detection has finished, all or nothing and on disk when this
    /// returns.
    ///
    /// A finding joins the unclosed alert of the same rule and entity, or opens one. A finding that is known changes
    /// nothing. The cursor never goes back.
    async fn put_findings(
        &self,
        findings: &[Finding],
        cursor: Position,
        now: Timestamp,
    ) -> Result<FindingsPut, StateError>;

    /// Where detection goes on; [`Position::START`] at first.
    async fn detection_cursor(&self) -> Result<Position, StateError>;

    /// Alerts with the newest finding first, at most `limit`, after `before` in this order.
    async fn alerts(
        &self,
        filter: &AlertFilter,
        limit: usize,
        before: Option<AlertCursor>,
    ) -> Result<AlertList, StateError>;

    async fn alert(&self, id: AlertId) -> Result<Option<AlertRecord>, StateError>;

    /// Unclosed alerts, whatever their age.
    async fn alert_counts(&self) -> Result<AlertCounts, StateError>;

    /// Changes an alert and writes that into its history and into the audit log, all or nothing. Setting the status
    /// that it has, without a note, changes nothing. `None` if there is no such alert.
    async fn change_alert(
        &self,
        id: AlertId,
        change: AlertChange,
        who: &str,
        at: Timestamp,
    ) -> Result<Option<Alert>, StateError>;

    // Senders and rules.

    /// Adds what senders delivered since the last report. A sender that is not known yet becomes known.
    async fn put_sources(&self, reports: &[SourceReport]) -> Result<(), StateError>;

    /// Every sender, the one heard of most recently first.
    async fn sources(&self) -> Result<Vec<SourceRecord>, StateError>;

    /// Remembers when the demo was played, in place of an earlier time.
    async fn put_demo_run(&self, run: DemoRun) -> Result<(), StateError>;

    /// `None` if it never was.
    async fn demo_run(&self) -> Result<Option<DemoRun>, StateError>;

    // The delivery ledger.

    /// Keeps what the ledger counted, and up to where, all or nothing.
    async fn put_ledger(&self, update: LedgerUpdate) -> Result<(), StateError>;

    /// Where the ledger goes on.
    async fn ledger_start(&self) -> Result<LedgerStart, StateError>;

    async fn ledger(&self, query: &LedgerQuery) -> Result<LedgerPage, StateError>;

    /// Replaces the list of loaded rules.
    async fn put_rules_status(&self, status: RulesStatus) -> Result<(), StateError>;

    /// Keeps the texts of rules by their hashes, for good: an old finding is judged again with the text of its day.
    async fn put_rule_texts(&self, texts: &[RuleText]) -> Result<(), StateError>;

    async fn rule_text(&self, hash: RuleHash) -> Result<Option<RuleText>, StateError>;

    /// Replaces what is known of how these rules do.
    async fn put_rule_health(&self, health: &[(RuleId, RuleHealth)]) -> Result<(), StateError>;

    /// Keeps a decision about a rule in place of an older one, and writes it into the audit log, both or neither. The rule
    /// need not be loaded.
    async fn put_rule_review(&self, rule: &RuleId, review: RuleReview) -> Result<(), StateError>;

    /// The newest decision about each rule that somebody decided about, in no order.
    async fn rule_reviews(&self) -> Result<Vec<(RuleId, RuleReview)>, StateError>;

    /// Loaded rules with their findings so far.
    async fn rules_status(&self) -> Result<Option<RulesOverview>, StateError>;

    // Who did what.

    async fn record(&self, entry: AuditEntry) -> Result<(), StateError>;

    /// The newest entries, newest first.
    async fn audit_log(&self, limit: usize) -> Result<Vec<AuditEntry>, StateError>;
}
