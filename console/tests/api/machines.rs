//! What machines and browsers get beside the API.

use axum::http::{Method, StatusCode, header};
use serde_json::json;

use crate::support::{Console, request, with_body};

#[tokio::test]
async fn readiness_follows_the_server() {
    let console = Console::new();
    let ready = async || {
        let answer = console.ask(with_body(request(Method::GET, "/readyz"), None)).await;
        (answer.status, answer.body.as_str().unwrap_or_default().trim().to_owned())
    };
    assert_eq!(ready().await, (StatusCode::SERVICE_UNAVAILABLE, "starting".to_owned()));
    console.readiness.set_ready();
    assert_eq!(ready().await, (StatusCode::OK, "ready".to_owned()));
    console.readiness.set_stopping();
    assert_eq!(ready().await, (StatusCode::SERVICE_UNAVAILABLE, "stopping".to_owned()));
    let alive = console.ask(with_body(request(Method::GET, "/healthz"), None)).await;
    assert_eq!(alive.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_name_routes_and_never_paths() {
    let console = Console::new();
    for path in ["/api/v1/alerts/17", "/api/v1/alerts/18", "/api/v1/made-up-17"] {
        console.ask(with_body(request(Method::GET, path), None)).await;
    }
    let metrics = console.ask(with_body(request(Method::GET, "/metrics"), None)).await;
    let text = metrics.body.as_str().expect("text").to_owned();
    assert!(text.contains("route=\"/api/v1/alerts/{id}\",status=\"401\"} 2"), "{text}");
    assert!(!text.contains("/17") && !text.contains("made-up"), "{text}");
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let console = Console::new();
    for path in ["/", "/api/v1/session", "/api/v1/nowhere", "/healthz", "/assets/gone.js", "/alerts/1"] {
        let answer = console.ask(with_body(request(Method::GET, path), None)).await;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("cache-control"), "no-store", "{path}");
        assert!(!header("x-request-id").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_form_of_the_api() {
    let console = Console::new();
    let nowhere = console.ask(with_body(request(Method::GET, "/api/v1/nowhere"), None)).await;
    assert_eq!((nowhere.status, &nowhere.body["code"]), (StatusCode::NOT_FOUND, &json!("not_found")));
    let wrong = console.ask(with_body(request(Method::DELETE, "/api/v1/alerts"), None)).await;
    assert_eq!((wrong.status, &wrong.body["code"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed")));
    assert!(wrong.headers.contains_key(header::ALLOW));
    let description = console.ask(with_body(request(Method::GET, "/api/v1/openapi.json"), None)).await;
    assert_eq!(description.body["info"]["title"], "Canh");
}
