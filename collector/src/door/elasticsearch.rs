//! Elasticsearch's `_bulk`, with what its senders ask before they send (facts: Elasticsearch's REST API). Documents are
//! journaled as they came, and answered once they are durable. Nothing can be searched, changed or deleted here.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use canh_schema::{Position, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::connection::Peer;
use super::http::{App, Refusal, read_all};
use crate::config::SettingError;
use crate::envelope::{Door, Envelope, Framing};
use crate::format::elastic_bulk::{Bulk, BulkError, INDEX_LEN_MAX, Item};
use crate::token::{AuthError, Scheme};

pub(super) const PATH: &str = "/_bulk";
const DOOR: Door = Door::Elasticsearch;
const SCHEMES: &[Scheme] = &[Scheme::Bearer, Scheme::ApiKey, Scheme::Basic];
/// Clients look for it before they send.
const PRODUCT: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));

/// `[collector.elasticsearch]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElasticsearchConfig {
    /// Whether Elasticsearch's `_bulk` is taken at the door `http`; its limits hold here too.
    pub enabled: bool,
    /// The version that senders are told; some refuse to work with one that is older or newer than they expect.
    pub version: String,
    /// Most documents of one body.
    pub documents_max: usize,
}

impl Default for ElasticsearchConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            // Old and new senders alike work with it.
            version: "8.17.0".to_owned(),
            documents_max: 20_000,
        }
    }
}

impl ElasticsearchConfig {
    pub(crate) fn check(&self) -> Result<(), SettingError> {
        let parts: Vec<_> = self.version.split('.').collect();
        let is_number = |part: &&str| part.len() <= 4 && part.parse::<u16>().is_ok();
        if parts.len() == 3 && parts.iter().all(is_number) {
            return Ok(());
        }
        Err(SettingError::Version { key: "collector.elasticsearch.version", value: self.version.clone() })
    }
}

/// What only this door knows of its configuration.
#[derive(Clone)]
struct Settings(std::sync::Arc<ElasticsearchConfig>);

pub(super) fn routes(config: &ElasticsearchConfig) -> Router<App> {
    let settings = Settings(std::sync::Arc::new(config.clone()));
    let mut router = Router::new()
        .route("/", get(probe))
        .route(PATH, post(bulk).put(bulk))
        .route("/{index}/_bulk", post(bulk).put(bulk))
        .route("/{index}", axum::routing::head(probe).put(probe));
    for path in PROBES {
        router = router.route(path, get(probe));
    }
    for kind in SET_UP {
        router = router.route(&format!("/{kind}/{{name}}"), any(probe));
    }
    router.layer(Extension(settings))
}

/// What senders ask about the server.
const PROBES: &[&str] =
    &["/_license", "/_xpack", "/_cluster/health", "/_cat/health", "/_nodes", "/_nodes/http", "/_nodes/_all/http"];
/// What senders set up before they send: it is there already, as far as they can see, and nothing is kept of it.
const SET_UP: &[&str] = &[
    "_index_template",
    "_component_template",
    "_template",
    "_ilm/policy",
    "_ingest/pipeline",
    "_data_stream",
    "_alias",
];

async fn probe(
    State(app): State<App>,
    Extension(Settings(config)): Extension<Settings>,
    request: Request<Body>,
) -> Response {
    if let Err(error) = app.who(request.headers(), SCHEMES) {
        return refuse(&app, &unauthenticated(error));
    }
    let path = request.uri().path().trim_end_matches('/');
    if path == "/_cat/health" {
        let text = "0 00:00:00 canh green 1 1 0 0 0 0 0 0 - 100.0%\n";
        return with_product((StatusCode::OK, text).into_response());
    }
    let written = matches!(*request.method(), Method::PUT | Method::POST | Method::DELETE);
    let body = if written { json!({ "acknowledged": true }) } else { about(path, &config.version) };
    answer(StatusCode::OK, &body)
}

/// The answer to a question about the server.
fn about(path: &str, version: &str) -> Value {
    const ID: &str = "canh";
    let license = json!({ "status": "active", "uid": ID, "type": "basic", "mode": "basic" });
    let (kind, name) = path.trim_start_matches('/').rsplit_once('/').unwrap_or_default();
    match path {
        "" => json!({
            "name": ID, "cluster_name": ID, "cluster_uuid": ID, "tagline": "You Know, for Search",
            "version": {
                "number": version, "build_flavor": "default", "build_type": "deb", "build_hash": ID,
                "build_date": "2026-01-01T00:00:00.000Z", "build_snapshot": false, "lucene_version": "9.12.0",
                "minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
            },
        }),
        "/_license" => json!({ "license": license }),
        "/_xpack" => {
            let off = json!({ "available": false, "enabled": false });
            json!({ "license": license, "features": { "ilm": off, "security": { "available": true, "enabled": true } } })
        }
        "/_cluster/health" => json!({
            "cluster_name": ID, "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
        }),
        "/_nodes" | "/_nodes/http" | "/_nodes/_all/http" => json!({ "cluster_name": ID, "nodes": {} }),
        _ if kind == "_index_template" || kind == "_component_template" => {
            let item = kind.trim_start_matches('_');
            json!({ format!("{item}s"): [{ "name": name, item: { "version": 0 } }] })
        }
        _ if kind == "_data_stream" => json!({ "data_streams": [{ "name": name, "status": "GREEN" }] }),
        _ if kind == "_ilm/policy" => json!({ name: { "version": 1, "policy": { "phases": {} } } }),
        _ => json!({ name: {} }),
    }
}

async fn bulk(
    State(app): State<App>,
    Extension(Settings(config)): Extension<Settings>,
    Extension(peer): Extension<Peer>,
    index: Option<Path<String>>,
    request: Request<Body>,
) -> Response {
    let index = index.map(|Path(index)| index).unwrap_or_default();
    let work = take(&app, &config, peer, &index, request);
    let outcome = tokio::time::timeout(app.config.request_timeout, work).await;
    match outcome.unwrap_or_else(|_| Err(Refusal::timeout())) {
        Ok(body) => answer(StatusCode::OK, &body),
        Err(refusal) => refuse(&app, &refusal),
    }
}

async fn take(
    app: &App,
    config: &ElasticsearchConfig,
    peer: Peer,
    index: &str,
    request: Request<Body>,
) -> Result<Value, Refusal> {
    let (parts, body) = request.into_parts();
    let started = std::time::Instant::now();
    let token = app.who(&parts.headers, SCHEMES).map_err(unauthenticated)?;
    // The answer names it once for each document.
    if index.len() > INDEX_LEN_MAX {
        let message = format!("the index in the path has {} bytes, and may have {INDEX_LEN_MAX}", index.len());
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "malformed", message));
    }
    let admitted = app.make_room(&parts.headers, app.config.message_max, token)?;
    let body = read_all(body.into_data_stream(), app.config.message_max).await?;
    let bulk = Bulk::read(&body, config.documents_max).map_err(|error| {
        let (status, reason) = match error {
            BulkError::TooMany(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_documents"),
            _ => (StatusCode::BAD_REQUEST, "malformed"),
        };
        Refusal::new(status, reason, error.to_string())
    })?;
    let mut position = Position::START;
    if bulk.taken > 0 {
        let mut envelope = Envelope::new(DOOR, Timestamp::now(), Framing::ElasticBulk, bulk.payload);
        peer.mark(&mut envelope);
        envelope.label("canh.index", index);
        admitted.mark(&mut envelope);
        position = app.append_once(envelope, bulk.taken, &admitted).await?;
    }
    let refused = bulk.items.len() as u64 - bulk.taken;
    app.intake.refused_items(DOOR, "operation", refused);
    let items: Vec<Value> =
        bulk.items.iter().enumerate().map(|(at, item)| item_answer(item, index, position, at)).collect();
    Ok(json!({ "took": started.elapsed().as_millis() as u64, "errors": refused > 0, "items": items }))
}

fn item_answer(item: &Item, index: &str, position: Position, at: usize) -> Value {
    let action = &item.action;
    let index = action.index.as_deref().unwrap_or(index);
    let id = action.id.as_ref().map_or_else(|| format!("{}-{at}", position.get()), ToString::to_string);
    let mut answer = match &item.refused {
        None => json!({
            "_version": 1, "result": "created", "_shards": { "total": 1, "successful": 1, "failed": 0 },
            "_seq_no": position.get(), "_primary_term": 1, "status": 201,
        }),
        Some(reason) => json!({ "status": 400, "error": { "type": "illegal_argument_exception", "reason": reason } }),
    };
    answer["_index"] = index.into();
    answer["_id"] = id.into();
    json!({ action.operation.name(): answer })
}

fn unauthenticated(error: AuthError) -> Refusal {
    let message = match error {
        AuthError::Malformed => {
            "the `authorization` header is not of the form `Bearer <token>`, `ApiKey <token>` or `Basic …` with the token \
             as password"
                .to_owned()
        }
        other => other.to_string(),
    };
    Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
}

fn refuse(app: &App, refusal: &Refusal) -> Response {
    app.count(DOOR, refusal);
    // What Elasticsearch says when it has no room; senders wait and send again.
    let busy = matches!(refusal.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::REQUEST_TIMEOUT);
    let status = if busy { StatusCode::TOO_MANY_REQUESTS } else { refusal.status };
    let refusal = Refusal { status, ..refusal.clone() };
    let kind = match status {
        StatusCode::UNAUTHORIZED => "security_exception",
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        StatusCode::PAYLOAD_TOO_LARGE => "content_too_large_exception",
        _ => "illegal_argument_exception",
    };
    let cause = json!({ "type": kind, "reason": refusal.message });
    let mut error = cause.clone();
    error["root_cause"] = json!([cause]);
    let mut response = answer(status, &json!({ "error": error, "status": status.as_u16() }));
    add_headers(&refusal, response.headers_mut());
    response
}

fn add_headers(refusal: &Refusal, headers: &mut HeaderMap) {
    refusal.add_headers(headers);
    if refusal.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"canh\", Bearer, ApiKey"));
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    with_product((status, headers, body.to_string() + "\n").into_response())
}

fn with_product(mut response: Response) -> Response {
    let (name, value) = PRODUCT;
    response.headers_mut().insert(name, value);
    response
}
