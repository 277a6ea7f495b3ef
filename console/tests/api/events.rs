//! Hunting.

use axum::http::StatusCode;
use canh_store::state::conformance::HOSTILE;
use serde_json::{Value as Json, json};

use crate::support::{Console, HOUR, event};

async fn filled() -> Console {
    let console = Console::new();
    let events = (0..250).map(|n| event(n, if n % 5 == 0 { "failed password for root" } else { "session opened" }));
    console.store(1, events.collect()).await;
    console
}

#[tokio::test]
async fn pages_lead_through_all_events_newest_first() {
    let console = filled().await;
    let mut seen = Vec::new();
    let mut path = format!("/api/v1/events?{HOUR}&q=failed&limit=20");
    loop {
        let page = console.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let ports = page.body["items"].as_array().expect("items").iter();
        seen.extend(ports.map(|event| event["fields"]["source.port"].as_u64().expect("a port")));
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/api/v1/events?{HOUR}&q=failed&limit=20&before={next}");
    }
    assert_eq!(seen, (0..50).rev().map(|n| n * 5).collect::<Vec<_>>());
}

#[tokio::test]
async fn counts_fields_and_values_are_of_the_same_events() {
    let console = filled().await;
    let histogram = console.get(&format!("/api/v1/events/histogram?{HOUR}&q=failed&buckets=60")).await.body;
    assert_eq!((&histogram["total"], &histogram["outcome"]["kind"]), (&json!(50), &json!("complete")));
    let counts: Vec<u64> =
        histogram["counts"].as_array().expect("counts").iter().filter_map(Json::as_u64).filter(|n| *n > 0).collect();
    assert_eq!(counts.iter().sum::<u64>(), 50);
    assert_eq!(histogram["start"], "2026-01-31T01:00:00Z");

    let fields = console.get(&format!("/api/v1/events/fields?{HOUR}&q=failed")).await.body;
    let host = fields["items"].as_array().expect("items").iter().find(|one| one["name"] == "host.name");
    assert_eq!(host, Some(&json!({"name": "host.name", "kind": "keyword", "count": 50})));
    assert_eq!(fields["sampled"], 50);

    let top = console.get(&format!("/api/v1/events/top?{HOUR}&q=failed&field=host.name")).await.body;
    assert_eq!((&top["total"], &top["with_field"]), (&json!(50), &json!(50)));
    assert_eq!(top["items"][0]["count"], 50);

    let catalogue = console.get("/api/v1/fields").await.body;
    assert!(catalogue["items"].as_array().expect("items").iter().any(|field| field["name"] == "source.ip"));
}

#[tokio::test]
async fn a_query_that_is_not_understood_says_where() {
    let console = Console::new();
    for path in ["/api/v1/events", "/api/v1/events/histogram", "/api/v1/events/fields", "/api/v1/events/tail"] {
        let answer = console.get(&format!("{path}?q=failed%20AND%20(")).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::BAD_REQUEST, &json!("query_invalid")), "{path}");
        let details = &answer.body["details"];
        assert!(details["column"].as_u64().is_some_and(|column| column >= 1), "{path}: {details}");
        assert!(details["length"].as_u64().is_some_and(|length| length >= 1), "{path}: {details}");
    }
}

#[tokio::test]
async fn parameters_out_of_range_are_refused() {
    let console = Console::new();
    let check = async |path: &str, code: &str| {
        let answer = console.get(path).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (StatusCode::BAD_REQUEST, Some(code)), "{path}");
        let id = answer.headers["x-request-id"].to_str().expect("text");
        assert_eq!(answer.body["request_id"], id, "{path}");
    };
    check("/api/v1/events?limit=0", "parameter_invalid").await;
    check("/api/v1/events?limit=1001", "parameter_invalid").await;
    check("/api/v1/events?limit=-1", "request_invalid").await;
    check("/api/v1/events?from=yesterday", "request_invalid").await;
    check("/api/v1/events?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "range_empty").await;
    check("/api/v1/events?before=x", "parameter_invalid").await;
    check("/api/v1/events?limitt=1", "request_invalid").await;
    check("/api/v1/events/top?field=", "parameter_invalid").await;
    check("/api/v1/events/histogram?buckets=501", "parameter_invalid").await;
    check("/api/v1/events/not-an-id", "parameter_invalid").await;
    check("/api/v1/alerts?before=x", "parameter_invalid").await;
    check("/api/v1/alerts/x", "parameter_invalid").await;
    check("/api/v1/alerts/-1", "parameter_invalid").await;
}

#[tokio::test]
async fn hostile_and_long_texts_come_through_as_they_are() {
    let console = Console::new();
    let mut hostile = event(1, HOSTILE);
    hostile.attrs.push((HOSTILE.into(), HOSTILE.into()));
    let mut long = event(2, &"é".repeat(1 << 20));
    long.raw = vec![0xff; 3_000].into();
    let id = long.id;
    console.store(1, vec![hostile, long]).await;

    let page = console.get(&format!("/api/v1/events?{HOUR}")).await;
    let [long, hostile] = page.body["items"].as_array().expect("items").as_slice() else { panic!("{}", page.body) };
    assert_eq!((hostile["message"].as_str(), hostile["raw"].as_str()), (Some(HOSTILE), Some(HOSTILE)));
    assert_eq!(hostile["attrs"][HOSTILE].as_str(), Some(HOSTILE));
    assert_eq!(hostile["attrs"]["EventID"], i64::MAX.to_string(), "too long for a number of a browser");
    assert_eq!((&hostile["cut"], &long["cut"]), (&json!(false), &json!(true)));
    assert!(long["message"].as_str().is_some_and(|text| text.len() <= 4_096));

    let whole = console.get(&format!("/api/v1/events/{id}")).await.body;
    assert_eq!(whole["message"].as_str().map(str::len), Some(2 << 20));
    assert_eq!((&whole["cut"], &whole["raw_len"]), (&json!(false), &json!(3_000)));
    assert_eq!(whole["raw_base64"].as_str().map(str::len), Some(4_000));

    let gone = console.get("/api/v1/events/00000000000000000000000000000000").await;
    assert_eq!((gone.status, &gone.body["code"]), (StatusCode::NOT_FOUND, &json!("event_not_found")));
}
