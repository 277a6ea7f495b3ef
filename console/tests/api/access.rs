//! Who may call what: every route with every role, taken from the description of the API.

use axum::http::{Method, StatusCode, header};
use canh_store::state::{ApiToken, Role, SecretHash, StateStore};
use serde_json::{Value as Json, json};

use crate::description::operations;
use crate::support::{Console, request, with_body};

/// Routes that are open. A route that joins them is added here on purpose.
const OPEN: [&str; 4] = ["sessionGet", "sessionSetup", "sessionLogin", "sessionLogout"];

/// Roles that have what a scope of the description stands for.
fn roles(scope: &str) -> &'static [Role] {
    match scope {
        "viewer" => &Role::ALL,
        "analyst" => &[Role::Analyst, Role::Lead, Role::Noc, Role::Oncall, Role::Admin],
        "admin" => &[Role::Admin],
        _ => panic!("`{scope}` is not a scope that this test knows"),
    }
}

fn path_of(path: &str) -> String {
    path.replace("{id}", "1")
}

/// Scopes of a kind of proof: `session` or `token`. `None` if that kind is not taken.
fn scope(operation: &Json, kind: &str) -> Option<String> {
    let security = operation["security"].as_array().expect("a list");
    security.iter().find_map(|one| one[kind][0].as_str().map(str::to_owned))
}

#[tokio::test]
async fn without_a_session_only_the_open_routes_answer() {
    let console = Console::new();
    for (method, path, operation) in operations() {
        let open = OPEN.contains(&operation["operationId"].as_str().expect("a name"));
        assert_eq!(scope(&operation, "session").is_none(), open, "{method} {path}: {}", operation["security"]);
        let bodies = [None, Some(json!({})), Some(json!({"status": "open"}))];
        for (proof, body) in ["", "Bearer wrong", "Basic YTpi"].into_iter().zip(bodies) {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let mut request = request(method.clone(), &path_of(&path)).header(header::COOKIE, "canh_session=wrong");
            if !proof.is_empty() {
                request = request.header(header::AUTHORIZATION, proof);
            }
            let answer = console.ask(with_body(request, body)).await;
            if !open {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} with {proof:?}");
                assert_eq!(answer.body["code"], "not_signed_in", "{method} {path} with {proof:?}");
            }
        }
    }
}

#[tokio::test]
async fn each_role_may_do_what_the_description_says() {
    let console = Console::new();
    for (method, path, operation) in operations() {
        if OPEN.contains(&operation["operationId"].as_str().expect("a name")) || path.ends_with("/tail") {
            continue;
        }
        let allowed = scope(&operation, "token").map(|scope| roles(&scope)).unwrap_or_default();
        for role in Role::ALL {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let body = operation.get("requestBody").map(|_| json!({}));
            let answer = console.ask_as(role, method.clone(), &path_of(&path), body).await;
            let refused = answer.status == StatusCode::FORBIDDEN;
            assert_eq!(refused, !allowed.contains(&role), "{method} {path} as {}: {}", role.name(), answer.body);
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path} as {}", role.name());
        }
    }
}

#[tokio::test]
async fn an_expired_token_is_no_token() {
    let console = Console::new();
    let token = ApiToken {
        token: SecretHash::of("old"),
        name: "old".into(),
        role: Role::Admin,
        created: canh_schema::Timestamp::from_secs(1),
        expires: Some(canh_schema::Timestamp::from_secs(2)),
    };
    console.state.put_api_token(token).await.expect("put");
    let request = request(Method::GET, "/api/v1/agents").header(header::AUTHORIZATION, "Bearer old");
    assert_eq!(console.ask(with_body(request, None)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_site_cannot_change_anything() {
    let console = Console::new();
    let cookie = console.set_up().await;
    let wanted = json!({"language": "en", "theme": "dark", "time_zone": "UTC"});
    let check = async |headers: &[(&str, &str)], expected: StatusCode| {
        let mut request = request(Method::PUT, "/api/v1/preferences").header(header::COOKIE, &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = console.ask(with_body(request, Some(wanted.clone()))).await;
        assert_eq!(answer.status, expected, "headers: {headers:?}: {}", answer.body);
        if expected == StatusCode::FORBIDDEN {
            assert_eq!(answer.body["code"], "cross_origin");
        }
    };
    check(&[("sec-fetch-site", "same-origin")], StatusCode::OK).await;
    check(&[("origin", "http://canh.example")], StatusCode::OK).await;
    check(&[], StatusCode::OK).await; // not a browser
    check(&[("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN).await;
    check(&[("sec-fetch-site", "same-site")], StatusCode::FORBIDDEN).await;
    check(&[("origin", "http://evil.example")], StatusCode::FORBIDDEN).await;
    check(&[("origin", "null")], StatusCode::FORBIDDEN).await;
    check(&[("origin", "http://canh.example.evil.example")], StatusCode::FORBIDDEN).await;
}
