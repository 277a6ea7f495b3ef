//! The live tail.

use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use canh_console::Settings;
use canh_schema::{EventBatch, Position};
use canh_store::state::{ApiToken, Role, SecretHash, StateStore};
use serde_json::Value as Json;
use tokio_stream::StreamExt;

use crate::support::{Console, event, request, with_body};

struct Tail {
    stream: BodyDataStream,
    text: String,
}

impl Tail {
    /// The next message: its name and its data.
    async fn next(&mut self) -> (String, Json) {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
                let found = (line("event: ").to_owned(), serde_json::from_str(line("data: ")).unwrap_or_default());
                self.text = rest.to_owned();
                return found;
            }
            let bytes = self.stream.next().await.expect("the tail goes on").expect("bytes");
            self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
        }
    }
}

async fn tail_request(console: &Console, query: &str) -> Request<Body> {
    let token = ApiToken {
        token: SecretHash::of("tail"),
        name: "tail".into(),
        role: Role::Viewer,
        created: canh_schema::Timestamp::from_secs(1),
        expires: None,
    };
    console.state.put_api_token(token).await.expect("put");
    let request = request(Method::GET, &format!("/api/v1/events/tail?q={query}"));
    with_body(request.header(header::AUTHORIZATION, "Bearer tail"), None)
}

async fn tail(console: &Console, query: &str) -> Tail {
    let mut request = tail_request(console, query).await;
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let response = console.send(request).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert!(!response.headers().contains_key(header::CONTENT_ENCODING), "a compressed stream would be held back");
    Tail { stream: response.into_body().into_data_stream(), text: String::new() }
}

fn batch(events: impl Iterator<Item = (u32, &'static str)>) -> Arc<EventBatch> {
    let events = events.map(|(n, message)| event(n, message)).collect();
    Arc::new(EventBatch::new(Position::new(1), events))
}

#[tokio::test]
async fn a_tail_gets_what_matches_as_it_arrives() {
    let console = Console::new();
    let mut failed = tail(&console, "failed").await;
    let mut all = tail(&console, "").await;
    let messages = [(1, "failed one"), (2, "opened\ntwo lines"), (3, "failed three")];
    console.live.send(batch(messages.into_iter())).expect("somebody listens");
    for expected in ["failed one", "failed three"] {
        let (name, data) = failed.next().await;
        assert_eq!((name.as_str(), data["message"].as_str()), ("event", Some(expected)));
    }
    for (_, expected) in messages {
        assert_eq!(all.next().await.1["message"].as_str(), Some(expected));
    }
}

#[tokio::test]
async fn a_slow_client_is_told_how_much_it_lost() {
    let console = Console::new();
    let mut slow = tail(&console, "").await;
    let sent: u64 = 3_000;
    console.live.send(batch((0..3_000).map(|n| (n, "x")))).expect("somebody listens");

    let (mut got, mut lost) = (0, 0);
    while got + lost < sent {
        let (name, data) = slow.next().await;
        match name.as_str() {
            "event" => got += 1,
            "dropped" => {
                lost += data["count"].as_u64().expect("a count");
                assert_eq!(data["total"], lost);
            }
            other => panic!("an unknown message `{other}`"),
        }
    }
    assert!(got > 0 && lost > 0, "got {got}, lost {lost}");
    assert_eq!(got + lost, sent, "every event came or was counted");
    let metrics = console.ask(with_body(request(Method::GET, "/metrics"), None)).await;
    assert!(metrics.body.as_str().is_some_and(|text| text.contains("canh_console_tail_dropped_total")));
}

#[tokio::test]
async fn there_is_an_end_to_the_number_of_tails() {
    let console = Console::with_settings(Settings { tails_max: 1, ..Settings::default() });
    let first = tail(&console, "").await;
    let second = console.ask(tail_request(&console, "").await).await;
    assert_eq!((second.status, second.body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("too_busy")));
    drop(first);
    // The place is free as soon as the task has seen that its client is gone.
    while console.send(tail_request(&console, "").await).await.status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}
