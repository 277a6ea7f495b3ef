//! Which rules are loaded, and what they say of an event.

use axum::extract::State;
use canh_messages::Key;
use canh_schema::{EventId, RuleId};
use canh_store::state::RuleText;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::{Json, Path, Query};
use crate::query;
use crate::view::rule::{RuleDetail, RuleErrorView, RuleExplainQuery, RuleExplanation, RuleList, RuleView};

/// Lists the loaded rules, and those that do not load with the reason.
#[utoipa::path(
    get,
    path = "/api/v1/rules",
    operation_id = "ruleList",
    tag = "rules",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = 200, body = RuleList), (status = "4XX", body = ApiErrorBody)),
)]
async fn rule_list(State(app): State<App>, _viewer: Viewer) -> Result<Json<RuleList>, ApiError> {
    let Some(overview) = app.state().rules_status().await? else {
        return Ok(Json(RuleList { loaded_at: None, items: Vec::new(), errors: Vec::new() }));
    };
    let items = overview.rules.into_iter().map(|(rule, count, health)| RuleView::new(rule, count, health));
    let errors = overview.errors.into_iter().map(|error| RuleErrorView {
        file: error.file,
        line: error.line,
        column: error.column,
        message: error.message,
    });
    Ok(Json(RuleList { loaded_at: Some(overview.loaded_at.into()), items: items.collect(), errors: errors.collect() }))
}

/// Gives one rule with its text.
#[utoipa::path(
    get,
    path = "/api/v1/rules/{id}",
    operation_id = "ruleGet",
    tag = "rules",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = String, Path, description = "id of the rule")),
    responses((status = 200, body = RuleDetail), (status = "4XX", body = ApiErrorBody)),
)]
async fn rule_get(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Json<RuleDetail>, ApiError> {
    let (rule, text) = loaded(&app, &id).await?;
    Ok(Json(RuleDetail { hash: text.hash.to_string(), text: text.text, rule }))
}

/// Says why a rule holds for an event or does not, part by part.
#[utoipa::path(
    get,
    path = "/api/v1/rules/{id}/explain",
    operation_id = "ruleExplain",
    tag = "rules",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = String, Path, description = "id of the rule"), RuleExplainQuery),
    responses((status = 200, body = RuleExplanation), (status = "4XX", body = ApiErrorBody)),
)]
async fn rule_explain(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<String>,
    Query(query): Query<RuleExplainQuery>,
) -> Result<Json<RuleExplanation>, ApiError> {
    let event: EventId = query.event.parse().map_err(|_| query::parameter("event"))?;
    let (_, text) = loaded(&app, &id).await?;
    let found = query::within(app.query_deadline(), app.events().get(event)).await?;
    let found = found.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, Key::EventNotFound).with("id", event))?;
    let rule = RuleId::new(id.as_str());
    let desk = app.desk();
    let explained = tokio::task::spawn_blocking({
        let rule = rule.clone();
        move || desk.explain(&text.text, &rule, &found)
    });
    let explained = explained.await.ok().flatten().ok_or_else(|| rule_not_found(&id))?;
    Ok(Json(RuleExplanation::new(&rule, explained)))
}

/// A rule that is loaded, and its text.
async fn loaded(app: &App, id: &str) -> Result<(RuleView, RuleText), ApiError> {
    let overview = app.state().rules_status().await?;
    let rules = overview.map(|overview| overview.rules).unwrap_or_default();
    let found = rules.into_iter().find(|(rule, ..)| rule.id.as_str() == id);
    let (rule, count, health) = found.ok_or_else(|| rule_not_found(id))?;
    let text = app.state().rule_text(rule.hash).await?.ok_or_else(|| rule_not_found(id))?;
    Ok((RuleView::new(rule, count, health), text))
}

fn rule_not_found(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, Key::RuleNotFound).with("id", id.chars().take(80).collect::<String>())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(rule_list)).routes(routes!(rule_get)).routes(routes!(rule_explain))
}
