//! Alerts, agents, rules and the overview.

use axum::http::{Method, StatusCode};
use canh_schema::{Position, Timestamp};
use canh_store::state::conformance::{HOSTILE, finding};
use canh_store::state::{Role, RuleLoadError, RuleStatus, RulesStatus, SourceKind, SourceReport, StateStore};
use serde_json::json;

use crate::support::{Console, HOUR, event};

async fn with_alert() -> (Console, u64) {
    let console = Console::new();
    let evidence = event(3, "failed password for root");
    let mut one = finding("r1", HOSTILE, 3);
    one.events = vec![evidence.id, event(9, "gone").id];
    console.store(1, vec![evidence]).await;
    let put = console.state.put_findings(&[one], Position::new(1), Timestamp::from_secs(9)).await.expect("put");
    (console, put.opened[0].get())
}

#[tokio::test]
async fn an_alert_shows_its_proof_and_its_events() {
    let (console, id) = with_alert().await;
    let list = console.get("/api/v1/alerts?status=open&level=high&q=TITLE%20of").await.body;
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(list["items"][0]["entity"], json!({"kind": "host", "value": HOSTILE}));

    let detail = console.get(&format!("/api/v1/alerts/{id}")).await.body;
    assert_eq!(detail["rule"]["attack"], json!([{"kind": "technique", "id": "T1110"}]));
    let held = &detail["matches"][0];
    assert_eq!(
        (&held["field"], &held["modifiers"], &held["pattern"]),
        (&json!("Image"), &json!("endswith"), &json!("\\cmd.exe"))
    );
    assert_eq!(held["value"], json!([null, 3, 0.5, "x"]));
    assert_eq!(detail["event_ids"].as_array().map(Vec::len), Some(2));
    assert_eq!(detail["history"].as_array().map(Vec::len), Some(1));

    let events = console.get(&format!("/api/v1/alerts/{id}/events")).await.body;
    assert_eq!(events["items"][0]["message"], "failed password for root");
    assert_eq!(events["missing"], json!([event(9, "gone").id.to_string()]), "what is gone is told");
}

#[tokio::test]
async fn a_decision_is_kept_with_who_and_why() {
    let (console, id) = with_alert().await;
    let path = format!("/api/v1/alerts/{id}/status");
    let check = async |body: serde_json::Value, status: StatusCode, code: &str| {
        let answer = console.ask_as(Role::Analyst, Method::POST, &path, Some(body.clone())).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str().unwrap_or("")),
            (status, code),
            "{body}: {}",
            answer.body
        );
    };
    check(json!({"status": "closed"}), StatusCode::UNPROCESSABLE_ENTITY, "reason_missing").await;
    check(json!({"status": "open", "reason": "benign"}), StatusCode::BAD_REQUEST, "parameter_invalid").await;
    check(json!({"status": "gone"}), StatusCode::UNPROCESSABLE_ENTITY, "request_invalid").await;
    check(json!({"status": "open", "more": 1}), StatusCode::UNPROCESSABLE_ENTITY, "request_invalid").await;
    check(json!({"status": "acknowledged", "note": "x".repeat(4_001)}), StatusCode::BAD_REQUEST, "parameter_invalid")
        .await;
    check(
        json!({"status": "acknowledged", "note": "x".repeat(300_000)}),
        StatusCode::PAYLOAD_TOO_LARGE,
        "request_too_large",
    )
    .await;
    check(json!({"status": "acknowledged"}), StatusCode::OK, "").await;
    check(json!({"status": "closed", "reason": "false_positive", "note": HOSTILE}), StatusCode::OK, "").await;

    let detail = console.get(&format!("/api/v1/alerts/{id}")).await.body;
    assert_eq!((&detail["alert"]["status"], &detail["alert"]["reason"]), (&json!("closed"), &json!("false_positive")));
    let last = detail["history"].as_array().and_then(|history| history.last()).expect("history");
    assert_eq!((&last["who"], last["note"].as_str()), (&json!("analyst"), Some(HOSTILE)));
    let missing =
        console.ask_as(Role::Analyst, Method::POST, "/api/v1/alerts/99/status", Some(json!({"status": "open"}))).await;
    assert_eq!((missing.status, &missing.body["code"]), (StatusCode::NOT_FOUND, &json!("alert_not_found")));
}

#[tokio::test]
async fn the_overview_adds_up() {
    let (console, _) = with_alert().await;
    let drops =
        prometheus::IntCounterVec::new(prometheus::Opts::new("canh_dropped_total", "dropped"), &["stage", "reason"])
            .expect("valid metric");
    console.registry.register(Box::new(drops.clone())).expect("registered");
    drops.with_label_values(&["syslog_udp", "queue_full"]).inc_by(5);
    let report = |id: &str, seen| SourceReport {
        id: id.into(),
        kind: SourceKind::Agent,
        host: Some(HOSTILE.into()),
        version: None,
        seen,
        events: 1,
        bytes: 2,
        dropped: Some(vec![("spool_full".into(), 4)]),
        spool_bytes: Some(9),
        clock_behind_ms: None,
    };
    let reports = [report("old", Timestamp::from_secs(1)), report("new", Timestamp::now())];
    console.state.put_sources(&reports).await.expect("put");

    let overview = console.get(&format!("/api/v1/overview?{HOUR}")).await.body;
    assert_eq!(overview["events"]["total"], 1);
    assert_eq!(overview["events"]["width_ms"], 60_000);
    assert_eq!(overview["alerts"]["open"], 1);
    assert_eq!(overview["alerts"]["open_by_level"][1], json!({"level": "high", "count": 1}));
    assert_eq!(overview["agents"], json!({"total": 2, "silent": 1}));
    assert_eq!(overview["dropped"], json!([{"stage": "syslog_udp", "reason": "queue_full", "count": 5}]));
    assert_eq!(overview["store"]["events"], 1);

    let agents = console.get("/api/v1/agents").await.body;
    let status = |row: usize| (agents["items"][row]["id"].clone(), agents["items"][row]["status"].clone());
    assert_eq!(status(0), (json!("new"), json!("online")));
    assert_eq!(status(1), (json!("old"), json!("silent")));
    assert_eq!(agents["items"][0]["dropped"], json!([{"reason": "spool_full", "count": 4}]));
}

#[tokio::test]
async fn rules_that_do_not_load_are_shown() {
    let (console, _) = with_alert().await;
    assert_eq!(console.get("/api/v1/rules").await.body, json!({"items": [], "errors": []}));
    let rule = RuleStatus {
        id: canh_schema::RuleId::new("r1"),
        title: "a rule".into(),
        level: canh_schema::Level::High,
        tags: Vec::new(),
        file: "a.yml".to_owned(),
        hash: canh_schema::RuleHash::of(b"title: a rule"),
        kind: "event".into(),
        quiet: false,
        samples: 2,
        needs_review: false,
    };
    let error =
        RuleLoadError { file: "b.yml".to_owned(), line: Some(3), column: Some(1), message: "no title".to_owned() };
    let status = RulesStatus { loaded_at: Timestamp::from_secs(0), rules: vec![rule], errors: vec![error] };
    console.state.put_rules_status(status).await.expect("put");
    let rules = console.get("/api/v1/rules").await.body;
    assert_eq!((&rules["items"][0]["findings"], &rules["items"][0]["file"]), (&json!(1), &json!("a.yml")));
    assert_eq!(rules["errors"], json!([{"file": "b.yml", "line": 3, "column": 1, "message": "no title"}]));
}
