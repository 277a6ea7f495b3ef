//! A console on stores in memory, and short ways to ask it.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use axum::{Router, http};
use canh_console::desk::{BacktestRun, RuleDesk, SampleOutcome};
use canh_console::{App, AppParts, Readiness, Settings};
use canh_schema::{BatchId, Event, EventBatch, EventId, Explanation, Position, RuleId, Timestamp, Value, field};
use canh_store::state::{ApiToken, MemoryState, Role, SecretHash, StateStore};
use canh_store::{EventStore, MemoryStore};
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::Value as Json;
use tokio::sync::broadcast;
use tower::ServiceExt;

pub(crate) const PASSWORD: &str = "một câu dễ nhớ";
pub(crate) const SETUP_TOKEN: &str = "the set-up token";

pub(crate) struct Console {
    pub(crate) router: Router,
    pub(crate) state: Arc<MemoryState>,
    pub(crate) events: Arc<MemoryStore>,
    pub(crate) live: broadcast::Sender<Arc<EventBatch>>,
    pub(crate) readiness: Readiness,
    pub(crate) registry: prometheus::Registry,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Json,
}

impl Answer {
    pub(crate) fn cookie(&self) -> String {
        let set = self.headers[header::SET_COOKIE].to_str().expect("text");
        set.split(';').next().expect("not empty").to_owned()
    }
}

/// Knows no rule.
struct NoRules;

impl RuleDesk for NoRules {
    fn explain(&self, _: &str, _: &RuleId, _: &Event) -> Option<Explanation> {
        None
    }

    fn backtest(&self, _: &str) -> Result<Box<dyn BacktestRun>, Vec<String>> {
        Err(vec!["rule.yml:1:1: there is no rule".to_owned()])
    }

    fn samples(&self, _: &str, _: &RuleId) -> Result<Vec<SampleOutcome>, String> {
        Ok(Vec::new())
    }

    fn reviewed(&self) {}
}

impl Console {
    pub(crate) fn new() -> Self {
        Self::with_settings(Settings::default())
    }

    pub(crate) fn with_settings(settings: Settings) -> Self {
        let state = Arc::new(MemoryState::new());
        let events = Arc::new(MemoryStore::new());
        let (live, _) = broadcast::channel(64);
        let registry = prometheus::Registry::new();
        let readiness = Readiness::default();
        let parts = AppParts {
            events: events.clone(),
            state: state.clone(),
            live: live.clone(),
            registry: registry.clone(),
            readiness: readiness.clone(),
            desk: Arc::new(NoRules),
            version: "1.2.3",
        };
        let router = canh_console::router(App::with_settings(parts, settings));
        Self { router, state, events, live, readiness, registry }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("the router does not fail")
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let response = self.send(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 16 << 20).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Json::String(text)) }
    }

    /// Asks with an API token of this role.
    pub(crate) async fn ask_as(&self, role: Role, method: Method, path: &str, body: Option<Json>) -> Answer {
        let secret = self.token(role).await;
        let request = request(method, path).header(header::AUTHORIZATION, format!("Bearer {secret}"));
        self.ask(with_body(request, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask_as(Role::Viewer, Method::GET, path, None).await
    }

    async fn token(&self, role: Role) -> String {
        let secret = format!("token of {}", role.name());
        let token = ApiToken {
            token: SecretHash::of(&secret),
            name: role.name().into(),
            role,
            created: Timestamp::from_secs(1),
            expires: None,
        };
        self.state.put_api_token(token).await.expect("put");
        secret
    }

    /// Makes the first user, `an`, and gives the cookie of the session.
    pub(crate) async fn set_up(&self) -> String {
        self.state.offer_setup_token(SecretHash::of(SETUP_TOKEN)).await.expect("offer");
        let answer = self.ask(post("/api/v1/setup", set_up_as("an", SETUP_TOKEN))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.cookie()
    }

    pub(crate) async fn store(&self, position: u64, events: Vec<Event>) {
        let batch = Arc::new(EventBatch::new(Position::new(position), events));
        self.events.append(batch).await.expect("append");
        self.events.commit().await.expect("commit");
    }
}

pub(crate) fn set_up_as(username: &str, token: &str) -> Json {
    serde_json::json!({ "token": token, "username": username, "password": PASSWORD })
}

pub(crate) fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, "canh.example")
}

pub(crate) fn with_body(request: http::request::Builder, body: Option<Json>) -> Request<Body> {
    match body {
        Some(body) => request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    }
    .expect("a valid request")
}

pub(crate) fn post(path: &str, body: Json) -> Request<Body> {
    with_body(request(Method::POST, path), Some(body))
}

pub(crate) fn get_with(path: &str, cookie: &str) -> Request<Body> {
    with_body(request(Method::GET, path).header(header::COOKIE, cookie), None)
}

/// Event `n`, at `n` seconds after 2026-01-31T01:00:00Z.
pub(crate) fn event(n: u32, message: &str) -> Event {
    let at = Timestamp::from_secs(1_769_821_200 + i64::from(n));
    let mut event = Event::new(EventId::new(BatchId::from_journal(1, 1), n), at, message.to_owned().into());
    event.set(field::MESSAGE, message);
    event.set(field::HOST_NAME, "ESB-Svr");
    event.set(field::SOURCE_PORT, i64::from(n));
    event.attrs.push(("EventID".into(), Value::Integer(i64::MAX)));
    event
}

/// The range that has the first hour of events.
pub(crate) const HOUR: &str = "from=2026-01-31T01:00:00Z&to=2026-01-31T02:00:00Z";
