//! The queue of alerts, and decisions about them.

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canh_messages::Key;
use canh_schema::{EventId, Timestamp};
use canh_store::codec;
use canh_store::state::{AlertChange, AlertFilter, AlertId, AlertRecord, AlertStatus, AlertStatusKind};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Analyst, Viewer};
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::{Json, Path, Query};
use crate::query;
use crate::view::alert::{
    AlertDetail, AlertEvents, AlertEvidence, AlertListQuery, AlertPage, AlertStatusName, AlertStatusRequest, AlertView,
    EvidenceEvent,
};
use crate::view::event::EventView;

const EVENTS_MAX: usize = 100;
const NOTE_LEN_MAX: usize = 4_000;

/// Lists alerts, the one with the newest finding first.
#[utoipa::path(
    get,
    path = "/api/v1/alerts",
    operation_id = "alertList",
    tag = "alerts",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(AlertListQuery),
    responses((status = 200, body = AlertPage), (status = "4XX", body = ApiErrorBody)),
)]
async fn alert_list(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<AlertListQuery>,
) -> Result<Json<AlertPage>, ApiError> {
    let limit = query::limit(query.limit, 100, 1_000)?;
    let before =
        query.before.as_deref().map(|text| text.parse().map_err(|()| query::parameter("before"))).transpose()?;
    let filter = AlertFilter {
        status: query.status.map(|status| match status {
            AlertStatusName::Open => AlertStatusKind::Open,
            AlertStatusName::Acknowledged => AlertStatusKind::Acknowledged,
            AlertStatusName::Closed => AlertStatusKind::Closed,
        }),
        level: query.level.map(Into::into),
        text: query.q.filter(|text| !text.trim().is_empty()),
        from: query.from.map(|at| at.0),
        to: query.to.map(|at| at.0),
    };
    let list = app.state().alerts(&filter, limit as usize, before).await?;
    Ok(Json(AlertPage {
        items: list.items.into_iter().map(Into::into).collect(),
        next: list.next.map(|cursor| cursor.to_string()),
        total: list.total,
    }))
}

/// Gives one alert with its proof.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/{id}",
    operation_id = "alertGet",
    tag = "alerts",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = u64, Path, description = "number of the alert")),
    responses((status = 200, body = AlertDetail), (status = "4XX", body = ApiErrorBody)),
)]
async fn alert_get(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<u64>,
) -> Result<Json<AlertDetail>, ApiError> {
    Ok(Json(record(&app, id).await?.into()))
}

/// Gives the raw events of an alert.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/{id}/events",
    operation_id = "alertEvents",
    tag = "alerts",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = u64, Path, description = "number of the alert")),
    responses((status = 200, body = AlertEvents), (status = "4XX", body = ApiErrorBody)),
)]
async fn alert_events(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<u64>,
) -> Result<Json<AlertEvents>, ApiError> {
    let record = record(&app, id).await?;
    let mut wanted: Vec<EventId> = Vec::new();
    for event in record.findings.iter().flat_map(|finding| &finding.events) {
        if wanted.len() < EVENTS_MAX && !wanted.contains(event) {
            wanted.push(*event);
        }
    }
    let mut found = Vec::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for id in wanted {
        match query::within(app.query_deadline(), app.events().get(id)).await? {
            Some(event) => found.push(event),
            None => missing.push(id.to_string()),
        }
    }
    found.sort_by_key(|event| std::cmp::Reverse((event.time, event.id)));
    Ok(Json(AlertEvents { items: found.iter().map(EventView::row).collect(), missing }))
}

/// Gives what is needed to judge the newest finding again, without this server.
#[utoipa::path(
    get,
    path = "/api/v1/alerts/{id}/evidence",
    operation_id = "alertEvidence",
    tag = "alerts",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = u64, Path, description = "number of the alert")),
    responses((status = 200, body = AlertEvidence), (status = "4XX", body = ApiErrorBody)),
)]
async fn alert_evidence(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<u64>,
) -> Result<Json<AlertEvidence>, ApiError> {
    let record = record(&app, id).await?;
    let missing = || ApiError::new(StatusCode::CONFLICT, Key::ProofMissing).with("id", id);
    let (Some(proof), Some(finding)) = (record.proof, record.findings.first()) else { return Err(missing()) };
    let mut events = Vec::with_capacity(finding.events.len());
    for (event, hash) in finding.events.iter().zip(&proof.event_hashes) {
        let stored = query::within(app.query_deadline(), app.events().get(*event)).await?;
        let encoded = stored.map(|event| {
            let mut bytes = Vec::new();
            codec::encode(&event, &mut bytes);
            STANDARD.encode(bytes)
        });
        events.push(EvidenceEvent { id: event.to_string(), hash: hash.to_string(), encoded });
    }
    Ok(Json(AlertEvidence {
        rule_id: record.rule.id.to_string(),
        rule_hash: record.rule.hash.to_string(),
        rule_text: app.state().rule_text(record.rule.hash).await?.map(|text| text.text),
        mapping_version: proof.mapping_version,
        finding_id: finding.id.to_string(),
        condition: proof.condition.into(),
        remembered: proof.remembered.map(|bytes| STANDARD.encode(bytes)),
        events,
    }))
}

/// Decides about an alert. The decision goes into its history and into the audit log.
#[utoipa::path(
    post,
    path = "/api/v1/alerts/{id}/status",
    operation_id = "alertSetStatus",
    tag = "alerts",
    security(("session" = ["analyst"]), ("token" = ["analyst"])),
    params(("id" = u64, Path, description = "number of the alert")),
    request_body = AlertStatusRequest,
    responses((status = 200, body = AlertView), (status = "4XX", body = ApiErrorBody)),
)]
async fn alert_set_status(
    State(app): State<App>,
    analyst: Analyst,
    Path(id): Path<u64>,
    Json(request): Json<AlertStatusRequest>,
) -> Result<Json<AlertView>, ApiError> {
    let status = match (request.status, request.reason) {
        (AlertStatusName::Closed, Some(reason)) => AlertStatus::Closed(reason.into()),
        (AlertStatusName::Closed, None) => {
            return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Key::ReasonMissing));
        }
        (_, Some(_)) => return Err(query::parameter("reason")),
        (AlertStatusName::Open, None) => AlertStatus::Open,
        (AlertStatusName::Acknowledged, None) => AlertStatus::Acknowledged,
    };
    let note = request.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_LEN_MAX) {
        return Err(query::parameter("note"));
    }
    let change = AlertChange { status, note };
    let changed = app.state().change_alert(AlertId::new(id), change, &analyst.name, Timestamp::now()).await?;
    changed.map(|alert| Json(alert.into())).ok_or_else(|| not_found(id))
}

async fn record(app: &App, id: u64) -> Result<AlertRecord, ApiError> {
    app.state().alert(AlertId::new(id)).await?.ok_or_else(|| not_found(id))
}

fn not_found(id: u64) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, Key::AlertNotFound).with("id", id)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(alert_list))
        .routes(routes!(alert_get))
        .routes(routes!(alert_events))
        .routes(routes!(alert_evidence))
        .routes(routes!(alert_set_status))
}
