//! What is promised about rules: the list of them, what people decided, and the texts that judged.

use canh_schema::{Level, RuleHash, RuleId};

use super::super::{
    CanaryHop, ReviewedBacktest, RuleDecision, RuleHealth, RuleLoadError, RuleReview, RuleState, RuleStatus, RuleText,
    RulesStatus, StateStore,
};
use super::{HOSTILE, at, finding, put};

pub(super) async fn rules_are_listed_with_their_findings(state: impl StateStore) {
    assert_eq!(state.rules_status().await.expect("read"), None);
    let rule = |id: &str, title: &str| RuleStatus {
        id: RuleId::new(id),
        title: title.into(),
        level: Level::Critical,
        tags: vec!["attack.t1059".into()],
        file: "linux/x.yml".to_owned(),
        hash: RuleHash::of(id.as_bytes()),
        kind: "event_count".into(),
        quiet: id == "r1",
        samples: 3,
        needs_review: id == "r2",
    };
    let error = RuleLoadError { file: HOSTILE.to_owned(), line: Some(3), column: None, message: "no title".to_owned() };
    let gone = RulesStatus { loaded_at: at(1), rules: vec![rule("gone", "gone")], errors: vec![error.clone()] };
    state.put_rules_status(gone).await.expect("put");
    let status =
        RulesStatus { loaded_at: at(2), rules: vec![rule("r2", "b"), rule("r1", "a")], errors: vec![error.clone()] };
    state.put_rules_status(status).await.expect("put");
    put(&state, &[finding("r1", "web", 4), finding("r1", "db", 3), finding("r1", "db", 3)]).await;
    let overview = state.rules_status().await.expect("read").expect("is there");
    assert_eq!((overview.loaded_at, &overview.errors), (at(2), &vec![error]));
    let rules: Vec<_> =
        overview.rules.iter().map(|one| (one.rule.clone(), one.count.findings, one.count.last_found)).collect();
    assert_eq!(rules, [(rule("r1", "a"), 2, Some(at(4))), (rule("r2", "b"), 0, None)]);

    let health = RuleHealth { canary: Some((at(9), CanaryHop::Rule)), suppressed: 7, suppressed_last: Some(at(8)) };
    state.put_rule_health(&[(RuleId::new("r1"), RuleHealth::default())]).await.expect("put");
    state.put_rule_health(&[(RuleId::new("r1"), health.clone())]).await.expect("put");
    let overview = state.rules_status().await.expect("read").expect("is there");
    let kept: Vec<RuleHealth> = overview.rules.into_iter().map(|one| one.health).collect();
    assert_eq!(kept, [health, RuleHealth::default()]);
}

pub(super) async fn decisions_about_rules_are_kept(state: impl StateStore) {
    let status = |hash: &str| RulesStatus {
        loaded_at: at(1),
        rules: vec![RuleStatus {
            id: RuleId::new(HOSTILE),
            title: "t".into(),
            level: Level::Low,
            tags: Vec::new(),
            file: "x.yml".to_owned(),
            hash: RuleHash::of(hash.as_bytes()),
            kind: "event".into(),
            quiet: false,
            samples: 0,
            needs_review: true,
        }],
        errors: Vec::new(),
    };
    let seen = async || state.rules_status().await.expect("read").expect("is there").rules.remove(0);
    state.put_rules_status(status("one")).await.expect("put");
    let record = seen().await;
    assert_eq!((record.state(), record.changed(), record.review), (RuleState::NeedsReview, false, None));

    let enabled = RuleReview {
        decision: RuleDecision::Enabled,
        hash: RuleHash::of(b"one"),
        who: "an".into(),
        at: at(5),
        note: None,
        backtest: Some(ReviewedBacktest { from: at(1), to: at(4), alerts: 3, alerts_per_day: 0.25 }),
    };
    state.put_rule_review(&RuleId::new(HOSTILE), enabled.clone()).await.expect("put");
    let record = seen().await;
    assert_eq!((record.state(), record.changed(), record.review), (RuleState::Enabled, false, Some(enabled.clone())));
    // A decision outlives the rule's text, and the list of rules.
    state.put_rules_status(status("two")).await.expect("put");
    let record = seen().await;
    assert_eq!((record.state(), record.changed()), (RuleState::Enabled, true));

    let disabled = RuleReview {
        decision: RuleDecision::Disabled,
        hash: RuleHash::of(b"two"),
        note: Some(HOSTILE.to_owned()),
        backtest: None,
        ..enabled.clone()
    };
    state.put_rule_review(&RuleId::new(HOSTILE), disabled.clone()).await.expect("put");
    assert_eq!(seen().await.state(), RuleState::Disabled);
    assert_eq!(state.rule_reviews().await.expect("read"), [(RuleId::new(HOSTILE), disabled.clone())]);
    let id = RuleId::new(HOSTILE);
    assert_eq!(state.audit_log(9).await.expect("log"), [disabled.audit(&id), enabled.audit(&id)]);
}

pub(super) async fn texts_of_rules_are_kept_by_their_hash(state: impl StateStore) {
    let text = |text: &str| RuleText { hash: RuleHash::of(text.as_bytes()), text: text.to_owned() };
    let (one, other) = (text("title: a"), text(HOSTILE));
    assert_eq!(state.rule_text(one.hash).await.expect("read"), None);
    state.put_rule_texts(std::slice::from_ref(&one)).await.expect("put");
    state.put_rule_texts(&[other.clone(), one.clone()]).await.expect("put");
    assert_eq!(state.rule_text(one.hash).await.expect("read"), Some(one));
    assert_eq!(state.rule_text(other.hash).await.expect("read"), Some(other));
}
