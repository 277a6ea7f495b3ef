//! Set-up, sign-in, sign-out, preferences.

use axum::http::{Method, StatusCode, header};
use canh_console::{Settings, Transport};
use canh_store::state::{SecretHash, StateStore};
use serde_json::json;

use crate::support::{Console, PASSWORD, SETUP_TOKEN, get_with, post, request, set_up_as, with_body};

#[tokio::test]
async fn set_up_works_once() {
    let console = Console::new();
    let session = console.ask(get_with("/api/v1/session", "")).await;
    assert_eq!(
        (session.body["state"].as_str(), session.body["version"].as_str()),
        (Some("setup_required"), Some("1.2.3"))
    );

    console.state.offer_setup_token(SecretHash::of(SETUP_TOKEN)).await.expect("offer");
    let wrong = console.ask(post("/api/v1/setup", set_up_as("an", "another"))).await;
    assert_eq!((wrong.status, &wrong.body["code"]), (StatusCode::FORBIDDEN, &json!("setup_token_wrong")));
    let weak = json!({"token": SETUP_TOKEN, "username": "an", "password": "short"});
    let weak = console.ask(post("/api/v1/setup", weak)).await;
    assert_eq!((weak.status, &weak.body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("password_weak")));
    let odd = console.ask(post("/api/v1/setup", set_up_as("<b>", SETUP_TOKEN))).await;
    assert_eq!((odd.status, &odd.body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("name_invalid")));

    let done = console.ask(post("/api/v1/setup", set_up_as("an", SETUP_TOKEN))).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.body);
    assert_eq!(done.body["user"], json!({"name": "an", "role": "admin"}));
    let session = console.ask(get_with("/api/v1/session", &done.cookie())).await;
    assert_eq!(session.body["state"], "signed_in");

    for token in [SETUP_TOKEN, "another"] {
        let again = console.ask(post("/api/v1/setup", set_up_as("binh", token))).await;
        assert_eq!((again.status, &again.body["code"]), (StatusCode::CONFLICT, &json!("setup_done")));
    }
    assert_eq!(console.state.users().await.expect("users").len(), 1);
}

#[tokio::test]
async fn a_session_lasts_from_sign_in_to_sign_out() {
    let console = Console::new();
    console.set_up().await;
    let login = json!({"username": "AN", "password": PASSWORD});
    let cookie = console.ask(post("/api/v1/login", login)).await.cookie();
    assert_eq!(console.ask(get_with("/api/v1/alerts", &cookie)).await.status, StatusCode::OK);
    let logout = with_body(request(Method::POST, "/api/v1/logout").header(header::COOKIE, &cookie), None);
    let logout = console.ask(logout).await;
    assert_eq!(logout.status, StatusCode::NO_CONTENT);
    assert!(logout.headers[header::SET_COOKIE].to_str().expect("text").contains("Max-Age=0"));
    let after = console.ask(get_with("/api/v1/alerts", &cookie)).await;
    assert_eq!(after.status, StatusCode::UNAUTHORIZED, "the session ended on the server, not only in the browser");
    let audit = console.state.audit_log(10).await.expect("audit");
    let actions: Vec<&str> = audit.iter().rev().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["session.setup", "session.login", "session.logout"]);
}

#[tokio::test]
async fn a_wrong_name_is_like_a_wrong_password_and_guessing_becomes_slow() {
    let console = Console::new();
    console.set_up().await;
    for name in ["an", "nobody"] {
        let attempt = json!({"username": name, "password": "wrong wrong wrong"});
        for _ in 0..4 {
            let answer = console.ask(post("/api/v1/login", attempt.clone())).await;
            assert_eq!((answer.status, &answer.body["code"]), (StatusCode::UNAUTHORIZED, &json!("login_failed")));
        }
        let answer = console.ask(post("/api/v1/login", attempt)).await;
        assert_eq!((answer.status, &answer.body["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("login_delayed")));
        assert!(answer.body["details"]["retry_after_s"].as_u64().is_some_and(|seconds| seconds >= 1));
        assert!(answer.headers.contains_key(header::RETRY_AFTER));
    }
    let right = json!({"username": "an", "password": PASSWORD});
    let delayed = console.ask(post("/api/v1/login", right)).await;
    assert_eq!(delayed.status, StatusCode::TOO_MANY_REQUESTS, "the right password waits, too");
}

#[tokio::test]
async fn the_cookie_is_marked_for_its_transport() {
    let console = Console::with_settings(Settings { transport: Transport::Tls, ..Settings::default() });
    let cookie = console.set_up().await;
    assert!(cookie.starts_with("__Host-canh_session="), "{cookie}");
    assert_eq!(console.ask(get_with("/api/v1/alerts", &cookie)).await.status, StatusCode::OK);
    let plain = cookie.trim_start_matches("__Host-");
    assert_eq!(console.ask(get_with("/api/v1/alerts", plain)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn preferences_choose_the_language_of_errors() {
    let console = Console::new();
    let cookie = console.set_up().await;
    let set = async |language: &str, time_zone: &str| {
        let wanted = json!({"language": language, "theme": "light", "time_zone": time_zone});
        let request = request(Method::PUT, "/api/v1/preferences").header(header::COOKIE, &cookie);
        console.ask(with_body(request, Some(wanted))).await
    };
    let message = async |cookie: &str, asked: &str| {
        let request = request(Method::GET, "/api/v1/alerts/7").header(header::COOKIE, cookie);
        let answer = console.ask(with_body(request.header(header::ACCEPT_LANGUAGE, asked), None)).await;
        (answer.body["message"].as_str().expect("a message").to_owned(), answer.body["code"].clone())
    };
    assert_eq!(message(&cookie, "en-US,en").await, ("there is no alert 7".to_owned(), json!("alert_not_found")));
    assert_eq!(set("vi", "Asia/Ho_Chi_Minh").await.status, StatusCode::OK);
    assert_eq!(message(&cookie, "en-US,en").await.0, "không có cảnh báo 7");
    assert_eq!(message("", "en").await.0, "sign in first");
    assert_eq!(message("", "fr").await.0, "hãy đăng nhập trước");

    let nowhere = set("vi", "Asia/Nowhere").await;
    assert_eq!(
        (nowhere.status, &nowhere.body["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("time_zone_unknown"))
    );
    let kept = console.ask(get_with("/api/v1/preferences", &cookie)).await;
    assert_eq!(kept.body, json!({"language": "vi", "theme": "light", "time_zone": "Asia/Ho_Chi_Minh"}));
}
