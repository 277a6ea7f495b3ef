//! State that lives as long as the program: for tests, and as the plainest reading of what the seam promises.

mod ledger;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use async_trait::async_trait;
use canh_schema::{FieldMatch, Finding, FindingId, Position, Proof, RuleHash, RuleId, RuleInfo, Timestamp};
use compact_str::CompactString;
use parking_lot::Mutex;

use super::{
    Alert, AlertChange, AlertCounts, AlertCursor, AlertEntity, AlertFilter, AlertFinding, AlertId, AlertList,
    AlertRecord, AlertStatus, ApiToken, ApiTokenId, AuditEntry, DemoRun, FINDING_IDS_PER_ALERT_MAX,
    FINDINGS_PER_ALERT_MAX, FindingsPut, HistoryEntry, LedgerPage, LedgerQuery, LedgerStart, LedgerUpdate, NewUser,
    OTHER_SOURCES_MAX, Preferences, RuleCount, RuleHealth, RuleRecord, RuleReview, RuleStatus, RuleText, RulesOverview,
    RulesStatus, SecretHash, Session, SourceKind, SourceRecord, SourceReport, StateError, StateStore, User, UserId,
    UserState,
};

/// [`StateStore`] in memory.
#[derive(Default)]
pub struct MemoryState {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    setup_token: Option<SecretHash>,
    users: Vec<User>,
    preferences: HashMap<UserId, Preferences>,
    sessions: HashMap<SecretHash, Session>,
    tokens: Vec<(ApiTokenId, ApiToken)>,
    tokens_made: u64,
    cursor: Position,
    alerts: Vec<Kept>,
    /// The newest unclosed alert of each rule and entity.
    unclosed: HashMap<(RuleId, AlertEntity), usize>,
    findings: HashSet<FindingId>,
    rule_counts: HashMap<RuleId, RuleCount>,
    sources: BTreeMap<CompactString, SourceRecord>,
    demo: Option<DemoRun>,
    ledger: ledger::Ledger,
    rules: Option<RulesStatus>,
    rule_texts: HashMap<RuleHash, String>,
    rule_health: HashMap<RuleId, RuleHealth>,
    rule_reviews: HashMap<RuleId, RuleReview>,
    audit: Vec<AuditEntry>,
}

struct Kept {
    alert: Alert,
    rule: RuleInfo,
    matches: Vec<FieldMatch>,
    proof: Option<Proof>,
    /// Newest first.
    findings: VecDeque<AlertFinding>,
    /// Newest first.
    ids: VecDeque<FindingId>,
    history: Vec<HistoryEntry>,
}

impl MemoryState {
    pub fn new() -> Self {
        Self::default()
    }
}

impl Inner {
    fn user_state(&self) -> UserState {
        if self.users.is_empty() { UserState::None } else { UserState::Some }
    }

    fn add_user(&mut self, new: NewUser) -> Result<UserId, StateError> {
        if self.users.iter().any(|user| user.name.eq_ignore_ascii_case(&new.name)) {
            return Err(StateError::NameTaken { name: new.name.into() });
        }
        let id = UserId::new(self.users.len() as u64 + 1);
        let NewUser { name, password_hash, role, created } = new;
        self.users.push(User { id, name, password_hash, role, created, disabled: false });
        Ok(id)
    }

    fn put_finding(&mut self, finding: &Finding, now: Timestamp, put: &mut FindingsPut) {
        if !self.findings.insert(finding.id) {
            put.known += 1;
            return;
        }
        let count = self.rule_counts.entry(finding.rule.id.clone()).or_default();
        count.findings += 1;
        count.last_found = count.last_found.max(Some(finding.time));

        let key = (finding.rule.id.clone(), AlertEntity::of(finding));
        let next_row = self.alerts.len();
        let row = *self.unclosed.entry(key).or_insert(next_row);
        if row == next_row {
            let id = AlertId::new(row as u64 + 1);
            self.alerts.push(Kept::opened(id, finding, now));
            put.opened.push(id);
        } else if let Some(kept) = self.alerts.get_mut(row) {
            kept.alert.join(finding, now);
            put.joined += 1;
        }
        let Some(kept) = self.alerts.get_mut(row) else { return };
        kept.rule = finding.rule.clone();
        kept.matches.clone_from(&finding.matches);
        kept.proof = Some(finding.proof.clone());
        kept.findings.push_front(AlertFinding { id: finding.id, time: finding.time, events: finding.events.clone() });
        kept.findings.truncate(FINDINGS_PER_ALERT_MAX);
        kept.ids.push_front(finding.id);
        if kept.ids.len() > FINDING_IDS_PER_ALERT_MAX
            && let Some(oldest) = kept.ids.pop_back()
        {
            self.findings.remove(&oldest);
        }
    }

    fn change(&mut self, id: AlertId, change: AlertChange, who: &str, at: Timestamp) -> Option<Alert> {
        let row = usize::try_from(id.get().checked_sub(1)?).ok()?;
        let kept = self.alerts.get_mut(row)?;
        if kept.alert.status == change.status && change.note.is_none() {
            return Some(kept.alert.clone());
        }
        let was = std::mem::replace(&mut kept.alert.status, change.status);
        kept.alert.updated_at = at;
        let key = (kept.alert.rule.clone(), kept.alert.entity.clone());
        self.audit.push(change.audit(id, was, who, at));
        kept.history.push(HistoryEntry { at, who: Some(who.into()), change });
        let alert = kept.alert.clone();

        let newest = self.alerts.iter().rposition(|other| {
            !matches!(other.alert.status, AlertStatus::Closed(_))
                && (&other.alert.rule, &other.alert.entity) == (&key.0, &key.1)
        });
        match newest {
            Some(row) => self.unclosed.insert(key, row),
            None => self.unclosed.remove(&key),
        };
        Some(alert)
    }

    fn add_source(&mut self, report: &SourceReport) {
        match self.sources.get_mut(&report.id) {
            Some(record) => record.add(report),
            None => {
                self.sources.insert(report.id.clone(), SourceRecord::first(report));
            }
        }
    }

    fn forget_oldest_sources(&mut self) {
        let mut others: Vec<(Timestamp, CompactString)> = self
            .sources
            .values()
            .filter(|source| source.kind != SourceKind::Agent)
            .map(|source| (source.last_seen, source.id.clone()))
            .collect();
        others.sort();
        let extra = others.len().saturating_sub(OTHER_SOURCES_MAX);
        for (_, id) in others.into_iter().take(extra) {
            self.sources.remove(&id);
        }
    }
}

impl Kept {
    fn opened(id: AlertId, finding: &Finding, now: Timestamp) -> Self {
        let opened = AlertChange { status: AlertStatus::Open, note: None };
        Self {
            alert: Alert::opened(id, finding, now),
            rule: finding.rule.clone(),
            matches: Vec::new(),
            proof: None,
            findings: VecDeque::new(),
            ids: VecDeque::new(),
            history: vec![HistoryEntry { at: now, who: None, change: opened }],
        }
    }

    fn is_wanted(&self, filter: &AlertFilter) -> bool {
        let alert = &self.alert;
        let texts = [Some(&alert.title), alert.host.as_ref(), alert.user.as_ref(), alert.source_ip.as_ref()];
        let has_text = |wanted: &String| {
            let wanted = wanted.to_ascii_lowercase();
            let mut texts = texts.iter().flatten().map(|text| text.as_str()).chain([alert.rule.as_str()]);
            texts.any(|text| text.to_ascii_lowercase().contains(&wanted))
        };
        filter.status.is_none_or(|status| alert.status.kind() == status)
            && filter.level.is_none_or(|level| alert.level == level)
            && filter.text.as_ref().is_none_or(has_text)
            && filter.from.is_none_or(|from| from <= alert.last_time)
            && filter.to.is_none_or(|to| alert.last_time < to)
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn offer_setup_token(&self, token: SecretHash) -> Result<UserState, StateError> {
        let mut inner = self.inner.lock();
        if inner.users.is_empty() {
            inner.setup_token = Some(token);
        }
        Ok(inner.user_state())
    }

    async fn user_state(&self) -> Result<UserState, StateError> {
        Ok(self.inner.lock().user_state())
    }

    async fn create_first_user(&self, token: SecretHash, user: NewUser) -> Result<UserId, StateError> {
        let mut inner = self.inner.lock();
        if inner.user_state() == UserState::Some {
            return Err(StateError::SetupDone);
        }
        if inner.setup_token != Some(token) {
            return Err(StateError::SetupTokenWrong);
        }
        inner.setup_token = None;
        inner.add_user(user)
    }

    async fn create_user(&self, user: NewUser) -> Result<UserId, StateError> {
        self.inner.lock().add_user(user)
    }

    async fn user_by_name(&self, name: &str) -> Result<Option<User>, StateError> {
        Ok(self.inner.lock().users.iter().find(|user| user.name.eq_ignore_ascii_case(name)).cloned())
    }

    async fn users(&self) -> Result<Vec<User>, StateError> {
        let mut users = self.inner.lock().users.clone();
        users.sort_by_key(|user| user.name.to_ascii_lowercase());
        Ok(users)
    }

    async fn set_user_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StateError> {
        let mut inner = self.inner.lock();
        let Some(user) = inner.users.iter_mut().find(|user| user.id == id) else { return Ok(false) };
        user.disabled = disabled;
        if disabled {
            inner.sessions.retain(|_, session| session.user != id);
        }
        Ok(true)
    }

    async fn preferences(&self, user: UserId) -> Result<Option<Preferences>, StateError> {
        Ok(self.inner.lock().preferences.get(&user).cloned())
    }

    async fn put_preferences(&self, user: UserId, preferences: Preferences) -> Result<(), StateError> {
        self.inner.lock().preferences.insert(user, preferences);
        Ok(())
    }

    async fn put_session(&self, session: Session) -> Result<(), StateError> {
        self.inner.lock().sessions.insert(session.token, session);
        Ok(())
    }

    async fn session(&self, token: SecretHash) -> Result<Option<(Session, User)>, StateError> {
        let inner = self.inner.lock();
        let Some(session) = inner.sessions.get(&token) else { return Ok(None) };
        let user = inner.users.iter().find(|user| user.id == session.user && !user.disabled);
        Ok(user.map(|user| (session.clone(), user.clone())))
    }

    async fn touch_session(&self, token: SecretHash, seen: Timestamp) -> Result<(), StateError> {
        if let Some(session) = self.inner.lock().sessions.get_mut(&token) {
            session.last_seen = session.last_seen.max(seen);
        }
        Ok(())
    }

    async fn delete_session(&self, token: SecretHash) -> Result<(), StateError> {
        self.inner.lock().sessions.remove(&token);
        Ok(())
    }

    async fn expire_sessions(&self, idle: Timestamp, made: Timestamp) -> Result<u64, StateError> {
        let mut inner = self.inner.lock();
        let before = inner.sessions.len();
        inner.sessions.retain(|_, session| session.last_seen >= idle && session.created >= made);
        Ok((before - inner.sessions.len()) as u64)
    }

    async fn put_api_token(&self, token: ApiToken) -> Result<ApiTokenId, StateError> {
        let mut inner = self.inner.lock();
        inner.tokens.retain(|(_, other)| other.name != token.name);
        inner.tokens_made += 1;
        let id = ApiTokenId::new(inner.tokens_made);
        inner.tokens.push((id, token));
        Ok(id)
    }

    async fn api_token(&self, token: SecretHash) -> Result<Option<ApiToken>, StateError> {
        Ok(self.inner.lock().tokens.iter().find(|(_, kept)| kept.token == token).map(|(_, kept)| kept.clone()))
    }

    async fn delete_api_token(&self, id: ApiTokenId) -> Result<bool, StateError> {
        let mut inner = self.inner.lock();
        let before = inner.tokens.len();
        inner.tokens.retain(|(other, _)| *other != id);
        Ok(inner.tokens.len() < before)
    }

    async fn put_findings(
        &self,
        findings: &[Finding],
        cursor: Position,
        now: Timestamp,
    ) -> Result<FindingsPut, StateError> {
        let mut inner = self.inner.lock();
        let mut put = FindingsPut::default();
        for finding in findings {
            inner.put_finding(finding, now, &mut put);
        }
        inner.cursor = inner.cursor.max(cursor);
        Ok(put)
    }

    async fn detection_cursor(&self) -> Result<Position, StateError> {
        Ok(self.inner.lock().cursor)
    }

    async fn alerts(
        &self,
        filter: &AlertFilter,
        limit: usize,
        before: Option<AlertCursor>,
    ) -> Result<AlertList, StateError> {
        let inner = self.inner.lock();
        let mut found: Vec<&Alert> =
            inner.alerts.iter().filter(|kept| kept.is_wanted(filter)).map(|kept| &kept.alert).collect();
        let total = found.len() as u64;
        found.retain(|alert| before.is_none_or(|before| alert.cursor() < before));
        found.sort_by_key(|alert| Reverse(alert.cursor()));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|alert| alert.cursor());
        Ok(AlertList { items: found.into_iter().cloned().collect(), next, total })
    }

    async fn alert(&self, id: AlertId) -> Result<Option<AlertRecord>, StateError> {
        let inner = self.inner.lock();
        Ok(inner.alerts.iter().find(|kept| kept.alert.id == id).map(|kept| AlertRecord {
            alert: kept.alert.clone(),
            rule: kept.rule.clone(),
            matches: kept.matches.clone(),
            proof: kept.proof.clone(),
            findings: kept.findings.iter().cloned().collect(),
            history: kept.history.clone(),
        }))
    }

    async fn alert_counts(&self) -> Result<AlertCounts, StateError> {
        let mut counts = AlertCounts::default();
        for kept in &self.inner.lock().alerts {
            match kept.alert.status {
                AlertStatus::Open => counts.add_open(kept.alert.level, 1),
                AlertStatus::Acknowledged => counts.acknowledged += 1,
                AlertStatus::Closed(_) => (),
            }
        }
        Ok(counts)
    }

    async fn change_alert(
        &self,
        id: AlertId,
        change: AlertChange,
        who: &str,
        at: Timestamp,
    ) -> Result<Option<Alert>, StateError> {
        Ok(self.inner.lock().change(id, change, who, at))
    }

    async fn put_sources(&self, reports: &[SourceReport]) -> Result<(), StateError> {
        let mut inner = self.inner.lock();
        reports.iter().for_each(|report| inner.add_source(report));
        inner.forget_oldest_sources();
        Ok(())
    }

    async fn sources(&self) -> Result<Vec<SourceRecord>, StateError> {
        let mut sources: Vec<SourceRecord> = self.inner.lock().sources.values().cloned().collect();
        sources.sort_by(|left, right| (right.last_seen, &left.id).cmp(&(left.last_seen, &right.id)));
        Ok(sources)
    }

    async fn put_demo_run(&self, run: DemoRun) -> Result<(), StateError> {
        self.inner.lock().demo = Some(run);
        Ok(())
    }

    async fn demo_run(&self) -> Result<Option<DemoRun>, StateError> {
        Ok(self.inner.lock().demo)
    }

    async fn put_ledger(&self, update: LedgerUpdate) -> Result<(), StateError> {
        self.inner.lock().ledger.put(update);
        Ok(())
    }

    async fn ledger_start(&self) -> Result<LedgerStart, StateError> {
        Ok(self.inner.lock().ledger.start())
    }

    async fn ledger(&self, query: &LedgerQuery) -> Result<LedgerPage, StateError> {
        Ok(self.inner.lock().ledger.page(query))
    }

    async fn put_rules_status(&self, status: RulesStatus) -> Result<(), StateError> {
        self.inner.lock().rules = Some(status);
        Ok(())
    }

    async fn put_rule_texts(&self, texts: &[RuleText]) -> Result<(), StateError> {
        let mut inner = self.inner.lock();
        for text in texts {
            inner.rule_texts.entry(text.hash).or_insert_with(|| text.text.clone());
        }
        Ok(())
    }

    async fn rule_text(&self, hash: RuleHash) -> Result<Option<RuleText>, StateError> {
        Ok(self.inner.lock().rule_texts.get(&hash).map(|text| RuleText { hash, text: text.clone() }))
    }

    async fn put_rule_health(&self, health: &[(RuleId, RuleHealth)]) -> Result<(), StateError> {
        self.inner.lock().rule_health.extend(health.iter().cloned());
        Ok(())
    }

    async fn put_rule_review(&self, rule: &RuleId, review: RuleReview) -> Result<(), StateError> {
        let mut inner = self.inner.lock();
        inner.audit.push(review.audit(rule));
        inner.rule_reviews.insert(rule.clone(), review);
        Ok(())
    }

    async fn rule_reviews(&self) -> Result<Vec<(RuleId, RuleReview)>, StateError> {
        Ok(self.inner.lock().rule_reviews.iter().map(|(rule, review)| (rule.clone(), review.clone())).collect())
    }

    async fn rules_status(&self) -> Result<Option<RulesOverview>, StateError> {
        let inner = self.inner.lock();
        let Some(status) = inner.rules.clone() else { return Ok(None) };
        let count = |id: &RuleId| inner.rule_counts.get(id).copied().unwrap_or_default();
        let health = |id: &RuleId| inner.rule_health.get(id).cloned().unwrap_or_default();
        let mut rules: Vec<_> = status.rules;
        rules.sort_by(|left, right| (&left.title, &left.id).cmp(&(&right.title, &right.id)));
        let with = |rule: RuleStatus| RuleRecord {
            count: count(&rule.id),
            health: health(&rule.id),
            review: inner.rule_reviews.get(&rule.id).cloned(),
            rule,
        };
        let rules = rules.into_iter().map(with).collect();
        Ok(Some(RulesOverview { loaded_at: status.loaded_at, rules, errors: status.errors }))
    }

    async fn record(&self, entry: AuditEntry) -> Result<(), StateError> {
        self.inner.lock().audit.push(entry);
        Ok(())
    }

    async fn audit_log(&self, limit: usize) -> Result<Vec<AuditEntry>, StateError> {
        Ok(self.inner.lock().audit.iter().rev().take(limit).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_conforms() {
        super::super::conformance::run(async || MemoryState::new()).await;
    }
}
