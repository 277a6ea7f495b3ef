//! What every [`StateStore`] promises, as tests. A backend calls [`run`] from a test of its own.

mod ledger;
mod rules;

use canh_schema::{
    AgentId, BatchId, Compared, ConditionPart, EventHash, EventId, Explained, FieldMatch, Finding, FindingId, Level,
    Position, Proof, RuleHash, RuleId, RuleInfo, Timestamp, Value,
};
use compact_str::CompactString;

use super::{
    AlertChange, AlertEntity, AlertFilter, AlertId, AlertStatus, AlertStatusKind, ApiToken, AuditEntry, CloseReason,
    DemoRun, EntityKind, FINDINGS_PER_ALERT_MAX, NewUser, OTHER_SOURCES_MAX, Preferences, Role, SecretHash, Session,
    SourceKind, SourceReport, StateError, StateStore, Theme, UserState,
};

/// Text that breaks whoever puts values into a language instead of beside it.
pub const HOSTILE: &str =
    "'; DROP TABLE users; --\"%_\\\u{202e}\u{0}<script>\u{1b}[31m=cmd|'/c calc'!A1 ${jndi:ldap://x} đỗ";

/// Runs every case on a fresh state from `open`.
///
/// # Panics
///
/// If a promise is not kept.
pub async fn run<S: StateStore>(open: impl AsyncFn() -> S) {
    set_up_happens_once(open().await).await;
    names_are_taken_without_regard_to_case(open().await).await;
    a_disabled_user_has_no_session(open().await).await;
    sessions_end(open().await).await;
    tokens_are_replaced_by_name(open().await).await;
    preferences_are_kept(open().await).await;
    findings_join_open_alerts(open().await).await;
    a_finding_counts_once(open().await).await;
    a_closed_alert_stays_closed(open().await).await;
    an_alert_keeps_its_proof(open().await).await;
    decisions_are_on_record(open().await).await;
    pages_show_every_alert_once(open().await).await;
    filters_mean_what_they_say(open().await).await;
    senders_add_up(open().await).await;
    forged_senders_are_forgotten(open().await).await;
    senders_of_the_demo_are_known(open().await).await;
    ledger::the_ledger_adds_up(open().await).await;
    ledger::the_ledger_goes_on_where_it_was(open().await).await;
    ledger::gaps_are_shown_once_told(open().await).await;
    rules::rules_are_listed_with_their_findings(open().await).await;
    rules::decisions_about_rules_are_kept(open().await).await;
    rules::texts_of_rules_are_kept_by_their_hash(open().await).await;
    hostile_texts_come_back_unchanged(open().await).await;
}

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn new_user(name: &str) -> NewUser {
    NewUser { name: name.into(), password_hash: "$argon2id$x".to_owned(), role: Role::Admin, created: NOW }
}

/// A finding of `rule` on `host`, made of the event `n`, at `n` seconds.
pub fn finding(rule: &str, host: &str, n: u32) -> Finding {
    let rule = RuleId::new(rule);
    let events = vec![EventId::new(BatchId::from_agent(AgentId::from_bytes([1; 16]), 1, 1), n)];
    Finding {
        id: FindingId::new(&rule, &events),
        rule: RuleInfo {
            hash: RuleHash::of(rule.as_str().as_bytes()),
            title: format!("title of {rule}").into(),
            description: "what it means".into(),
            level: Level::High,
            tags: vec!["attack.t1110".into()],
            false_positives: vec!["backup".into()],
            references: vec!["https://example.org/".into()],
            guide: vec![("vi".into(), "xem máy chủ".into())],
            id: rule,
        },
        time: at(n.into()),
        events,
        host: Some(host.into()),
        user: Some("root".into()),
        source_ip: Some("203.0.113.7".into()),
        matches: vec![FieldMatch {
            selection: "selection".into(),
            field: "Image".into(),
            modifiers: "endswith".into(),
            pattern: "\\cmd.exe".into(),
            value: Value::List(vec![Value::Null, Value::Integer(i64::from(n)), Value::Float(0.5), Value::from("x")]),
        }],
        proof: proof(n),
    }
}

/// A condition with every sort of part.
fn proof(n: u32) -> Proof {
    let compared = |holds: bool, value: Option<Value>| Explained {
        holds,
        part: ConditionPart::Compared(Compared {
            selection: "selection".into(),
            field: "Image".into(),
            modifiers: "endswith".into(),
            patterns: vec!["\\cmd.exe".into()],
            patterns_total: 3,
            value,
        }),
    };
    let not = Explained { holds: true, part: ConditionPart::Not(Box::new(compared(false, None))) };
    let left_out = Explained { holds: false, part: ConditionPart::LeftOut(2) };
    let any =
        Explained { holds: true, part: ConditionPart::Any(vec![compared(true, Some(Value::Float(0.5))), left_out]) };
    let some = Explained { holds: false, part: ConditionPart::AtLeast(2, vec![compared(true, Some(Value::Null))]) };
    Proof {
        mapping_version: 1,
        condition: Explained { holds: true, part: ConditionPart::All(vec![not, any, some]) },
        event_hashes: vec![EventHash::of(&n.to_le_bytes())],
        remembered: Some([0, 255, 7].into()),
    }
}

async fn put(state: &impl StateStore, findings: &[Finding]) -> super::FindingsPut {
    state.put_findings(findings, Position::START, NOW).await.expect("put findings")
}

fn change(status: AlertStatus) -> AlertChange {
    AlertChange { status, note: None }
}

async fn set_up_happens_once(state: impl StateStore) {
    let (old, new) = (SecretHash::of("old"), SecretHash::of("new"));
    assert_eq!(state.user_state().await.expect("state"), UserState::None);
    let early = state.create_first_user(old, new_user("an")).await;
    assert!(matches!(early, Err(StateError::SetupTokenWrong)), "no token was offered: {early:?}");
    assert_eq!(state.offer_setup_token(old).await.expect("offer"), UserState::None);
    assert_eq!(state.offer_setup_token(new).await.expect("offer"), UserState::None);
    let stale = state.create_first_user(old, new_user("an")).await;
    assert!(matches!(stale, Err(StateError::SetupTokenWrong)), "{stale:?}");
    state.create_first_user(new, new_user("an")).await.expect("first user");
    let again = state.create_first_user(new, new_user("binh")).await;
    assert!(matches!(again, Err(StateError::SetupDone)), "{again:?}");
    assert_eq!(state.offer_setup_token(old).await.expect("offer"), UserState::Some);
    let late = state.create_first_user(old, new_user("binh")).await;
    assert!(matches!(late, Err(StateError::SetupDone)), "{late:?}");
    assert_eq!(state.users().await.expect("users").len(), 1);
}

async fn names_are_taken_without_regard_to_case(state: impl StateStore) {
    let id = state.create_user(new_user("Lan")).await.expect("create");
    let taken = state.create_user(new_user("lAN")).await;
    assert!(matches!(taken, Err(StateError::NameTaken { .. })), "{taken:?}");
    let user = state.user_by_name("LAN").await.expect("read").expect("is there");
    assert_eq!(
        (user.id, user.name.as_str(), user.role, user.created, user.disabled),
        (id, "Lan", Role::Admin, NOW, false)
    );
    assert!(state.user_by_name("la_").await.expect("read").is_none());
}

fn session(secret: &str, user: super::UserId, seen: i64) -> Session {
    let user_agent = HOSTILE.to_owned();
    Session { token: SecretHash::of(secret), user, created: at(1), last_seen: at(seen), user_agent }
}

async fn a_disabled_user_has_no_session(state: impl StateStore) {
    let user = state.create_user(new_user("an")).await.expect("create");
    let kept = session("s", user, 2);
    state.put_session(kept.clone()).await.expect("put");
    let (found, of) = state.session(kept.token).await.expect("read").expect("is there");
    assert!(found == kept && of.id == user);
    assert!(state.set_user_disabled(user, true).await.expect("disable"));
    assert!(state.session(kept.token).await.expect("read").is_none());
    assert!(state.set_user_disabled(user, false).await.expect("enable"));
    assert!(state.session(kept.token).await.expect("read").is_none(), "the session has ended for good");
    assert!(!state.set_user_disabled(super::UserId::new(99), true).await.expect("disable"));
}

async fn sessions_end(state: impl StateStore) {
    let user = state.create_user(new_user("an")).await.expect("create");
    for (secret, seen) in [("idle", 10), ("alive", 20), ("out", 20)] {
        state.put_session(session(secret, user, seen)).await.expect("put");
    }
    state.touch_session(SecretHash::of("alive"), at(30)).await.expect("touch");
    state.touch_session(SecretHash::of("nobody"), at(30)).await.expect("touch");
    state.delete_session(SecretHash::of("out")).await.expect("delete");
    assert_eq!(state.expire_sessions(at(11), at(0)).await.expect("expire"), 1);
    assert!(state.session(SecretHash::of("idle")).await.expect("read").is_none());
    assert!(state.session(SecretHash::of("out")).await.expect("read").is_none());
    let (alive, _) = state.session(SecretHash::of("alive")).await.expect("read").expect("is there");
    assert_eq!(alive.last_seen, at(30));
    assert_eq!(state.expire_sessions(at(11), at(2)).await.expect("expire"), 1, "too old, however active");
}

async fn tokens_are_replaced_by_name(state: impl StateStore) {
    let token = |secret: &str| ApiToken {
        token: SecretHash::of(secret),
        name: "cli".into(),
        role: Role::Viewer,
        created: NOW,
        expires: Some(at(5)),
    };
    state.put_api_token(token("one")).await.expect("put");
    let id = state.put_api_token(token("two")).await.expect("put");
    assert!(state.api_token(SecretHash::of("one")).await.expect("read").is_none());
    assert!(state.api_token(SecretHash::of("two")).await.expect("read") == Some(token("two")));
    assert!(state.delete_api_token(id).await.expect("delete"));
    assert!(!state.delete_api_token(id).await.expect("delete"));
    assert!(state.api_token(SecretHash::of("two")).await.expect("read").is_none());
}

async fn preferences_are_kept(state: impl StateStore) {
    let user = state.create_user(new_user("an")).await.expect("create");
    assert_eq!(state.preferences(user).await.expect("read"), None);
    for theme in Theme::ALL {
        let wanted = Preferences { language: "vi".to_owned(), theme, time_zone: "Asia/Ho_Chi_Minh".to_owned() };
        state.put_preferences(user, wanted.clone()).await.expect("put");
        assert_eq!(state.preferences(user).await.expect("read"), Some(wanted));
    }
}

async fn findings_join_open_alerts(state: impl StateStore) {
    let first = put(&state, &[finding("r1", "web", 5), finding("r1", "web", 3), finding("r1", "db", 4)]).await;
    assert_eq!((first.opened.len(), first.joined, first.known), (2, 1, 0));
    let second = put(&state, &[finding("r2", "web", 6), finding("r1", "web", 9)]).await;
    assert_eq!((second.opened.len(), second.joined, second.known), (1, 1, 0));
    let alert = state.alert(first.opened[0]).await.expect("read").expect("is there").alert;
    assert_eq!((alert.count, alert.first_time, alert.last_time), (3, at(3), at(9)));
    assert_eq!(alert.entity, AlertEntity { kind: EntityKind::Host, value: "web".into() });
    let counts = state.alert_counts().await.expect("counts");
    assert_eq!((counts.open_total(), counts.open(Level::High), counts.acknowledged), (3, 3, 0));

    let mut nameless = finding("r3", "x", 1);
    (nameless.host, nameless.user) = (None, None);
    let mut nothing = finding("r3", "x", 2);
    (nothing.host, nothing.user, nothing.source_ip) = (None, None, None);
    let put = put(&state, &[nameless, nothing]).await;
    let mut kinds = Vec::new();
    for id in put.opened {
        kinds.push(state.alert(id).await.expect("read").expect("is there").alert.entity.kind);
    }
    assert_eq!(kinds, [EntityKind::SourceIp, EntityKind::None]);
}

async fn a_finding_counts_once(state: impl StateStore) {
    let findings = [finding("r", "web", 1), finding("r", "web", 2), finding("r", "web", 1)];
    assert_eq!(state.detection_cursor().await.expect("cursor"), Position::START);
    let first = state.put_findings(&findings, Position::new(7), NOW).await.expect("put");
    assert_eq!((first.opened.len(), first.joined, first.known), (1, 1, 1));
    let again = state.put_findings(&findings, Position::new(5), at(0)).await.expect("put");
    assert_eq!((again.opened.len(), again.joined, again.known), (0, 0, 3));
    assert_eq!(state.detection_cursor().await.expect("cursor"), Position::new(7), "the cursor does not go back");
    let record = state.alert(first.opened[0]).await.expect("read").expect("is there");
    assert_eq!((record.alert.count, record.alert.updated_at), (2, NOW));

    state
        .change_alert(first.opened[0], change(AlertStatus::Closed(CloseReason::Benign)), "an", NOW)
        .await
        .expect("close");
    let replay = put(&state, &findings).await;
    assert_eq!((replay.opened.len(), replay.known), (0, 3), "a replay does not open a closed alert anew");
}

async fn a_closed_alert_stays_closed(state: impl StateStore) {
    let closed = put(&state, &[finding("r", "web", 1)]).await.opened[0];
    state.change_alert(closed, change(AlertStatus::Acknowledged), "an", NOW).await.expect("change");
    assert_eq!(put(&state, &[finding("r", "web", 2)]).await.joined, 1, "somebody is on it");
    state
        .change_alert(closed, change(AlertStatus::Closed(CloseReason::FalsePositive)), "an", NOW)
        .await
        .expect("change");
    let opened = put(&state, &[finding("r", "web", 3)]).await.opened;
    assert_eq!(opened.len(), 1);
    assert_ne!(opened[0], closed);
    let old = state.alert(closed).await.expect("read").expect("is there").alert;
    assert_eq!((old.count, old.status), (2, AlertStatus::Closed(CloseReason::FalsePositive)));

    // Opened again by hand, it does not take findings away from the newer one.
    state.change_alert(closed, change(AlertStatus::Open), "an", NOW).await.expect("change");
    put(&state, &[finding("r", "web", 4)]).await;
    assert_eq!(state.alert(opened[0]).await.expect("read").expect("is there").alert.count, 2);
    state
        .change_alert(opened[0], change(AlertStatus::Closed(CloseReason::Duplicate)), "an", NOW)
        .await
        .expect("change");
    put(&state, &[finding("r", "web", 5)]).await;
    assert_eq!(state.alert(closed).await.expect("read").expect("is there").alert.count, 3);
}

async fn an_alert_keeps_its_proof(state: impl StateStore) {
    let many = u32::try_from(FINDINGS_PER_ALERT_MAX).expect("small") + 5;
    let findings: Vec<Finding> = (0..many).map(|n| finding("r", "web", n)).collect();
    let id = put(&state, &findings).await.opened[0];
    let record = state.alert(id).await.expect("read").expect("is there");
    let last = findings.last().expect("not empty");
    assert_eq!(record.rule, last.rule);
    assert_eq!(record.matches, last.matches);
    assert_eq!(record.proof.as_ref(), Some(&last.proof));
    assert_eq!(record.alert.count, u64::from(many));
    assert_eq!(record.findings.len(), FINDINGS_PER_ALERT_MAX);
    let kept: Vec<_> = record.findings.iter().map(|kept| (kept.id, kept.time, kept.events.clone())).collect();
    let newest = findings.iter().rev().take(FINDINGS_PER_ALERT_MAX);
    assert_eq!(kept, newest.map(|one| (one.id, one.time, one.events.clone())).collect::<Vec<_>>());
    assert_eq!(put(&state, &findings).await.known, u64::from(many), "their ids are remembered");
    assert!(state.alert(AlertId::new(99)).await.expect("read").is_none());
    assert!(state.alert(AlertId::new(0)).await.expect("read").is_none());
    assert!(state.alert(AlertId::new(u64::MAX)).await.expect("read").is_none());
}

async fn decisions_are_on_record(state: impl StateStore) {
    let id = put(&state, &[finding("r", "web", 1)]).await.opened[0];
    let closed = AlertChange { status: AlertStatus::Closed(CloseReason::Benign), note: Some(HOSTILE.to_owned()) };
    let alert = state.change_alert(id, closed.clone(), "lan", at(50)).await.expect("change").expect("is there");
    assert_eq!((alert.status, alert.updated_at), (closed.status, at(50)));
    // The same again says nothing new; with a note it does.
    state.change_alert(id, change(closed.status), "lan", at(51)).await.expect("change");
    state.change_alert(id, closed.clone(), "minh", at(52)).await.expect("change");
    let history = state.alert(id).await.expect("read").expect("is there").history;
    let who: Vec<Option<&str>> = history.iter().map(|entry| entry.who.as_deref()).collect();
    assert_eq!(who, [None, Some("lan"), Some("minh")]);
    assert_eq!((history[0].change.clone(), history[0].at), (change(AlertStatus::Open), NOW));
    assert_eq!((history[1].change.clone(), history[1].at), (closed, at(50)));
    let log = state.audit_log(10).await.expect("log");
    assert_eq!(log.len(), 2);
    assert_eq!(
        (log[1].who.as_str(), log[1].action.as_str(), log[1].target.as_str()),
        ("lan", "alert.status", "alert:1")
    );
    assert!(state.change_alert(AlertId::new(9), change(AlertStatus::Open), "an", NOW).await.expect("change").is_none());
    assert_eq!(state.alert_counts().await.expect("counts").open_total(), 0);
}

async fn pages_show_every_alert_once(state: impl StateStore) {
    // Equal times, so that the order within them matters.
    let findings: Vec<Finding> =
        (0..25).map(|n| Finding { time: at(i64::from(n / 4)), ..finding(&format!("r{n}"), "web", n) }).collect();
    put(&state, &findings).await;
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = state.alerts(&AlertFilter::default(), 7, before).await.expect("page");
        assert_eq!(page.total, 25);
        seen.extend(page.items.iter().map(|alert| (alert.last_time, alert.id)));
        let Some(next) = page.next else { break };
        assert_eq!(next.to_string().parse(), Ok(next));
        before = Some(next);
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|left, right| right.cmp(left));
    sorted.dedup();
    assert_eq!(seen, sorted);
    assert_eq!(seen.len(), 25);
}

async fn filters_mean_what_they_say(state: impl StateStore) {
    let mut low = finding("needle_rule", "Web-01", 1);
    low.rule.level = Level::Low;
    low.rule.title = "100% odd".into();
    let ids = put(&state, &[low, finding("b", "db", 2), finding("c", "app", 3)]).await.opened;
    state.change_alert(ids[1], change(AlertStatus::Acknowledged), "an", NOW).await.expect("change");
    let check = async |filter: AlertFilter, expected: &[usize]| {
        let list = state.alerts(&filter, 10, None).await.expect("list");
        let found: Vec<AlertId> = list.items.iter().map(|alert| alert.id).collect();
        let expected: Vec<AlertId> = expected.iter().map(|row| ids[*row]).collect();
        assert_eq!(found, expected, "filter: {filter:?}");
        assert_eq!(list.total, expected.len() as u64, "filter: {filter:?}");
    };
    let text = |text: &str| AlertFilter { text: Some(text.to_owned()), ..AlertFilter::default() };
    check(AlertFilter::default(), &[2, 1, 0]).await;
    check(AlertFilter { status: Some(AlertStatusKind::Open), ..AlertFilter::default() }, &[2, 0]).await;
    check(AlertFilter { status: Some(AlertStatusKind::Acknowledged), ..AlertFilter::default() }, &[1]).await;
    check(AlertFilter { status: Some(AlertStatusKind::Closed), ..AlertFilter::default() }, &[]).await;
    check(AlertFilter { level: Some(Level::Low), ..AlertFilter::default() }, &[0]).await;
    check(AlertFilter { from: Some(at(2)), ..AlertFilter::default() }, &[2, 1]).await;
    check(AlertFilter { to: Some(at(2)), ..AlertFilter::default() }, &[0]).await;
    check(text("wEb-0"), &[0]).await;
    check(text("NEEDLE_"), &[0]).await;
    check(text("0%"), &[0]).await;
    check(text("203.0.113"), &[2, 1, 0]).await;
    check(text("%"), &[0]).await; // not a wildcard
    check(text("d_b"), &[]).await;
    check(text("\\"), &[]).await;
    check(text(HOSTILE), &[]).await;
}

fn report(id: &str, kind: SourceKind, seen: i64) -> SourceReport {
    SourceReport {
        id: id.into(),
        kind,
        host: None,
        version: None,
        seen: at(seen),
        events: 2,
        bytes: 10,
        dropped: None,
        spool_bytes: None,
        clock_behind_ms: None,
    }
}

async fn senders_add_up(state: impl StateStore) {
    let named = SourceReport {
        host: Some("web".into()),
        version: Some("0.1.0".into()),
        dropped: Some(vec![("spool_full".into(), 3), ("cut".into(), 1)]),
        spool_bytes: Some(77),
        clock_behind_ms: Some(-7_200_000),
        ..report("a", SourceKind::Agent, 20)
    };
    state.put_sources(&[report("a", SourceKind::Agent, 10), report("b", SourceKind::Syslog, 15)]).await.expect("put");
    state.put_sources(&[named]).await.expect("put");
    state.put_sources(&[report("a", SourceKind::Agent, 12)]).await.expect("put");
    let sources = state.sources().await.expect("read");
    assert_eq!(sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let a = &sources[0];
    assert_eq!((a.first_seen, a.last_seen, a.events, a.bytes, a.spool_bytes), (at(10), at(20), 6, 30, Some(77)));
    assert_eq!(a.clock_behind_ms, Some(-7_200_000));
    assert_eq!((a.host.as_deref(), a.version.as_deref()), (Some("web"), Some("0.1.0")));
    assert_eq!(a.dropped, [("cut".into(), 1), ("spool_full".into(), 3)] as [(CompactString, u64); 2]);
}

async fn senders_of_the_demo_are_known(state: impl StateStore) {
    assert_eq!(state.demo_run().await.expect("read"), None);
    let run = DemoRun { from: at(10), to: at(20) };
    state.put_demo_run(DemoRun { from: at(1), to: at(2) }).await.expect("put");
    state.put_demo_run(run).await.expect("put");
    assert_eq!(state.demo_run().await.expect("read"), Some(run));
    let seen = [("demo", 12, 18), ("before", 9, 15), ("after", 15, 21)];
    for (id, first, last) in seen {
        state
            .put_sources(&[report(id, SourceKind::Agent, first), report(id, SourceKind::Agent, last)])
            .await
            .expect("put");
    }
    let sources = state.sources().await.expect("read");
    let of_demo = sources.iter().filter(|sender| run.has(sender)).map(|sender| sender.id.as_str());
    assert_eq!(of_demo.collect::<Vec<_>>(), ["demo"]);
}

async fn forged_senders_are_forgotten(state: impl StateStore) {
    let many = i64::try_from(OTHER_SOURCES_MAX).expect("small") + 10;
    let mut reports = vec![report("agent", SourceKind::Agent, 0)];
    reports.extend((1..=many).map(|n| report(&format!("udp/{n}"), SourceKind::Syslog, n)));
    state.put_sources(&reports).await.expect("put");
    let sources = state.sources().await.expect("read");
    assert_eq!(sources.len(), OTHER_SOURCES_MAX + 1);
    assert_eq!(sources[0].last_seen, at(many));
    assert!(sources.iter().any(|source| source.kind == SourceKind::Agent), "an agent is never forgotten");
}

async fn hostile_texts_come_back_unchanged(state: impl StateStore) {
    let mut odd = finding(HOSTILE, HOSTILE, 1);
    odd.user = Some(HOSTILE.into());
    odd.rule.tags = vec![HOSTILE.into()];
    odd.matches[0].value = Value::List(vec![
        Value::Float(f64::NEG_INFINITY),
        Value::Ip([10, 0, 0, 1].into()),
        Value::Bool(true),
        Value::Integer(i64::MIN),
        Value::List(Vec::new()),
        Value::from(HOSTILE),
    ]);
    let id = put(&state, std::slice::from_ref(&odd)).await.opened[0];
    let record = state.alert(id).await.expect("read").expect("is there");
    assert_eq!((&record.rule, &record.matches), (&odd.rule, &odd.matches));
    assert_eq!(record.alert.host.as_deref(), Some(HOSTILE));
    let list = state.alerts(&AlertFilter { text: Some(HOSTILE.to_owned()), ..AlertFilter::default() }, 1, None).await;
    assert_eq!(list.expect("list").total, 1);
    let entry = AuditEntry {
        at: NOW,
        who: HOSTILE.into(),
        action: "test".into(),
        target: HOSTILE.into(),
        detail: vec![(HOSTILE.into(), HOSTILE.to_owned())],
    };
    state.record(entry.clone()).await.expect("record");
    assert_eq!(state.audit_log(1).await.expect("log"), [entry]);
    state.create_user(new_user(HOSTILE)).await.expect("create");
    assert!(state.user_by_name(HOSTILE).await.expect("read").is_some());
}
