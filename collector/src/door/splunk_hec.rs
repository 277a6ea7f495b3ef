//! Splunk's HTTP Event Collector (facts: Splunk's manual, "HTTP Event Collector REST API endpoints"): events, raw lines,
//! health, and acknowledgements. An event is durable before its request is answered, so whatever has an acknowledgement
//! id is acknowledged.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use canh_schema::Timestamp;
use compact_str::CompactString;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Peer;
use super::http::{Admitted, App, Refusal, read_all};
use super::samples::TEXT_MAX;
use crate::envelope::{Door, Envelope, Framing};
use crate::format::splunk_hec::{HecError, SOURCE, SOURCETYPE, count, format_of};
use crate::token::{AuthError, Scheme};

pub(super) const PATH: &str = "/services/collector/event";
const DOOR: Door = Door::SplunkHec;
const SCHEMES: &[Scheme] = &[Scheme::Splunk, Scheme::Basic, Scheme::Bearer];
const CHANNEL: &str = "x-splunk-request-channel";
/// The most ids that one question may name.
const ACKS_MAX: usize = 10_000;

/// `[collector.splunk_hec]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplunkHecConfig {
    /// Whether Splunk's HTTP Event Collector is spoken at the door `http`; its limits hold here too.
    pub enabled: bool,
    /// Most events or lines of one body.
    pub events_max: u64,
    /// Channels for acknowledgements that are remembered; beyond it the one that was quiet for longest is forgotten.
    pub channels_max: NonZeroUsize,
}

impl Default for SplunkHecConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            // As many as one batch may have when it is decoded.
            events_max: 100_000,
            channels_max: const { NonZeroUsize::new(1_000).unwrap() },
        }
    }
}

/// What only this door knows.
#[derive(Clone)]
struct Settings {
    events_max: u64,
    channels: Arc<Channels>,
}

pub(super) fn routes(config: &SplunkHecConfig) -> Router<App> {
    let channels = Arc::new(Channels { max: config.channels_max.get(), known: Mutex::default() });
    let settings = Settings { events_max: config.events_max, channels };
    let mut router = Router::new().route("/services/collector", post(events));
    for version in ["", "/1.0"] {
        router = router
            .route(&format!("{PATH}{version}"), post(events))
            .route(&format!("/services/collector/raw{version}"), post(raw))
            .route(&format!("/services/collector/health{version}"), get(health))
            .route(&format!("/services/collector/ack{version}"), post(acks));
    }
    router.layer(Extension(settings))
}

/// The numbers of acknowledgements of each channel. Every number below the next one is durable, so one number is enough.
#[derive(Debug)]
struct Channels {
    max: usize,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Counts the uses, to find the channel that was quiet for longest.
    clock: u64,
    /// Per token and channel: the next number, and when it was used.
    channels: BTreeMap<(CompactString, CompactString), (u64, u64)>,
}

impl Channels {
    fn next(&self, token: &str, channel: &str) -> u64 {
        let known = &mut *self.known.lock();
        known.clock += 1;
        let key = (token.into(), channel.into());
        if !known.channels.contains_key(&key) && known.channels.len() >= self.max {
            let quiet = known.channels.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            quiet.and_then(|key| known.channels.remove(&key));
        }
        let (next, used) = known.channels.entry(key).or_default();
        *used = known.clock;
        *next += 1;
        *next - 1
    }

    fn is_durable(&self, token: &str, channel: &str, number: u64) -> bool {
        let key = (token.into(), channel.into());
        self.known.lock().channels.get(&key).is_some_and(|(next, _)| number < *next)
    }
}

/// What may be said of the events in the query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct About {
    channel: Option<CompactString>,
    host: Option<String>,
    source: Option<String>,
    sourcetype: Option<String>,
    index: Option<String>,
    token: Option<String>,
}

/// A refusal with the number that the protocol has for it.
#[derive(Debug)]
struct Wrong {
    code: u16,
    refusal: Refusal,
    /// The event that is meant, from 0.
    event: Option<u64>,
}

impl Wrong {
    fn new(status: StatusCode, code: u16, reason: &'static str, text: &str) -> Self {
        Self { code, refusal: Refusal::new(status, reason, text), event: None }
    }

    fn event(at: u64, error: HecError) -> Self {
        let bad = StatusCode::BAD_REQUEST;
        let wrong = match error {
            HecError::Format => Self::new(bad, 6, "malformed", "Invalid data format"),
            HecError::NoEvent => Self::new(bad, 12, "no_event", "Event field is required"),
            HecError::BlankEvent => Self::new(bad, 13, "blank_event", "Event field cannot be blank"),
            HecError::Fields => Self::new(bad, 15, "fields", "Error in handling indexed fields"),
            HecError::TooMany => Self::too_many(),
        };
        Self { event: Some(at), ..wrong }
    }

    fn too_many() -> Self {
        let text = "Request entity too large: too many events in one request";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, 27, "too_many_events", text)
    }
}

impl From<Refusal> for Wrong {
    fn from(mut refusal: Refusal) -> Self {
        let code = match refusal.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT => {
                refusal.status = StatusCode::SERVICE_UNAVAILABLE;
                refusal.message = format!("Server is busy: {}", refusal.message);
                9
            }
            StatusCode::PAYLOAD_TOO_LARGE => 27,
            _ => 6,
        };
        Self { code, refusal, event: None }
    }
}

impl From<AuthError> for Wrong {
    fn from(error: AuthError) -> Self {
        let (status, code, text) = match error {
            AuthError::Missing => (StatusCode::UNAUTHORIZED, 2, "Token is required"),
            AuthError::Malformed => (StatusCode::UNAUTHORIZED, 3, "Invalid authorization"),
            AuthError::Unknown => (StatusCode::FORBIDDEN, 4, "Invalid token"),
        };
        Self::new(status, code, "unauthenticated", text)
    }
}

async fn events(
    State(app): State<App>,
    Extension(settings): Extension<Settings>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    receive(&app, &settings, peer, request, Framing::HecEvents).await
}

async fn raw(
    State(app): State<App>,
    Extension(settings): Extension<Settings>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    receive(&app, &settings, peer, request, Framing::Lines).await
}

async fn receive(app: &App, settings: &Settings, peer: Peer, request: Request<Body>, framing: Framing) -> Response {
    let work = take(app, settings, peer, request, framing);
    let outcome = tokio::time::timeout(app.config.request_timeout, work).await;
    match outcome.unwrap_or_else(|_| Err(Refusal::timeout().into())) {
        Ok(None) => answer(StatusCode::OK, &json!({ "text": "Success", "code": 0 })),
        Ok(Some(ack)) => answer(StatusCode::OK, &json!({ "text": "Success", "code": 0, "ackId": ack })),
        Err(wrong) => refuse(app, &wrong),
    }
}

/// Who asks, and what the query says.
fn who(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(Option<CompactString>, About), Wrong> {
    let bad = |text: &str| Wrong::new(StatusCode::BAD_REQUEST, 6, "bad_query", text);
    let Query(about) =
        Query::<About>::try_from_uri(uri).map_err(|_| bad("Invalid data format: the query cannot be read"))?;
    if about.token.is_some() && !headers.contains_key(header::AUTHORIZATION) {
        let text = "Query string authorization is not enabled";
        return Err(Wrong::new(StatusCode::BAD_REQUEST, 16, "unauthenticated", text));
    }
    let token = app.who(headers, SCHEMES)?;
    let texts = [&about.host, &about.source, &about.sourcetype, &about.index];
    if texts.into_iter().flatten().any(|text| text.len() > TEXT_MAX) {
        return Err(bad("Invalid data format: a parameter of the query is too long"));
    }
    Ok((token, about))
}

/// The channel that the request names. It has to be a GUID.
fn channel(headers: &HeaderMap, about: &About) -> Result<Option<CompactString>, Wrong> {
    let named = match headers.get(CHANNEL) {
        Some(value) => Some(CompactString::from_utf8_lossy(value.as_bytes())),
        None => about.channel.clone(),
    };
    let is_guid = |text: &str| {
        let dashes = [8, 13, 18, 23];
        let fits = |(at, byte): (usize, u8)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
        text.len() == 36 && text.bytes().enumerate().all(fits)
    };
    match named {
        Some(text) if !is_guid(&text) => {
            Err(Wrong::new(StatusCode::BAD_REQUEST, 11, "channel", "Invalid data channel"))
        }
        named => Ok(named.map(|text| text.to_ascii_lowercase())),
    }
}

async fn take(
    app: &App,
    settings: &Settings,
    peer: Peer,
    request: Request<Body>,
    framing: Framing,
) -> Result<Option<u64>, Wrong> {
    let (parts, body) = request.into_parts();
    let (token, about) = who(app, &parts.headers, &parts.uri)?;
    let channel = channel(&parts.headers, &about)?;
    let admitted = app.make_room(&parts.headers, app.config.message_max, token)?;
    let body = read_all(body.into_data_stream(), app.config.message_max).await?;
    let mut envelope = Envelope::new(DOOR, Timestamp::now(), framing, body);
    peer.mark(&mut envelope);
    let events = match framing {
        Framing::HecEvents => {
            count(&envelope.payload, settings.events_max).map_err(|(at, error)| Wrong::event(at, error))?
        }
        _ => envelope.records().count() as u64,
    };
    if events == 0 {
        return Err(Wrong::new(StatusCode::BAD_REQUEST, 5, "empty", "No data"));
    }
    if events > settings.events_max {
        return Err(Wrong::too_many());
    }
    describe(&mut envelope, &about, &admitted);
    app.append_once(envelope, events, &admitted).await?;
    let name = admitted.token.as_deref().unwrap_or_default();
    Ok(channel.map(|channel| settings.channels.next(name, &channel)))
}

/// Writes on the batch what the query says of its events.
fn describe(envelope: &mut Envelope, about: &About, admitted: &Admitted) {
    envelope.host = about.host.as_deref().filter(|host| !host.is_empty()).map(CompactString::from);
    let sourcetype = about.sourcetype.as_deref().unwrap_or_default();
    envelope.format = format_of(sourcetype).map(|format| CompactString::const_new(format.name()));
    envelope.label(SOURCE, about.source.as_deref().unwrap_or_default());
    envelope.label(SOURCETYPE, sourcetype);
    envelope.label("canh.index", about.index.as_deref().unwrap_or_default());
    admitted.mark(envelope);
}

/// Load balancers ask without a token.
async fn health(State(app): State<App>) -> Response {
    match app.has_room() {
        true => answer(StatusCode::OK, &json!({ "text": "HEC is healthy", "code": 17 })),
        false => {
            let text = "HEC is unhealthy, queues are full";
            refuse(&app, &Wrong::new(StatusCode::SERVICE_UNAVAILABLE, 18, "busy", text))
        }
    }
}

async fn acks(State(app): State<App>, Extension(settings): Extension<Settings>, request: Request<Body>) -> Response {
    let work = read_acks(&app, &settings, request);
    let outcome = tokio::time::timeout(app.config.request_timeout, work).await;
    match outcome.unwrap_or_else(|_| Err(Refusal::timeout().into())) {
        Ok(acks) => answer(StatusCode::OK, &acks),
        Err(wrong) => refuse(&app, &wrong),
    }
}

#[derive(Deserialize)]
struct Asked {
    acks: Vec<u64>,
}

async fn read_acks(app: &App, settings: &Settings, request: Request<Body>) -> Result<Value, Wrong> {
    let (parts, body) = request.into_parts();
    let (token, about) = who(app, &parts.headers, &parts.uri)?;
    let missing = || Wrong::new(StatusCode::BAD_REQUEST, 10, "channel", "Data channel is missing");
    let channel = channel(&parts.headers, &about)?.ok_or_else(missing)?;
    let len_max = canh_schema::ByteSize::kib(256);
    let admitted = app.make_room(&parts.headers, len_max, token)?;
    let body = read_all(body.into_data_stream(), len_max).await?;
    let asked = serde_json::from_slice::<Asked>(&body).ok().filter(|asked| asked.acks.len() <= ACKS_MAX);
    let asked = asked.ok_or_else(|| Wrong::event(0, HecError::Format))?;
    let name = admitted.token.as_deref().unwrap_or_default();
    let answers: BTreeMap<String, bool> =
        asked.acks.iter().map(|id| (id.to_string(), settings.channels.is_durable(name, &channel, *id))).collect();
    Ok(json!({ "acks": answers }))
}

fn refuse(app: &App, wrong: &Wrong) -> Response {
    app.count(DOOR, &wrong.refusal);
    let mut body = json!({ "text": wrong.refusal.message, "code": wrong.code });
    if let Some(event) = wrong.event {
        body["invalid-event-number"] = event.into();
    }
    let mut response = answer(wrong.refusal.status, &body);
    wrong.refusal.add_headers(response.headers_mut());
    response
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string() + "\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_bounded_and_count_for_themselves() {
        let channels = Channels { max: 2, known: Mutex::default() };
        assert_eq!([channels.next("", "a"), channels.next("", "a"), channels.next("", "b")], [0, 1, 0]);
        assert!(channels.is_durable("", "a", 1) && !channels.is_durable("", "a", 2));
        assert!(!channels.is_durable("other", "a", 0), "a channel of another token was shown");
        channels.next("", "a");
        channels.next("", "c");
        assert_eq!(channels.known.lock().channels.len(), 2);
        assert!(!channels.is_durable("", "b", 0) && channels.is_durable("", "a", 2));
    }
}
