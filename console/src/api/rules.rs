//! Which rules are loaded, and what they say of an event.

use axum::extract::State;
use canh_messages::Key;
use canh_schema::{EventId, RuleId, Timestamp};
use canh_store::state::{RuleDecision, RuleReview, RuleText};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{Analyst, Viewer};
use crate::desk::SampleOutcome;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::{Json, Path, Query};
use crate::query;
use crate::view::rule::{
    RuleDetail, RuleErrorView, RuleExplainQuery, RuleExplanation, RuleList, RuleReviewRequest, RuleSampleView,
    RuleSamples, RuleView,
};

const NOTE_LEN_MAX: usize = 4_000;

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
    let items = overview.rules.into_iter().map(RuleView::new);
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

/// Runs the samples that came with a rule.
#[utoipa::path(
    get,
    path = "/api/v1/rules/{id}/samples",
    operation_id = "ruleSamples",
    tag = "rules",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = String, Path, description = "id of the rule")),
    responses((status = 200, body = RuleSamples), (status = "4XX", body = ApiErrorBody)),
)]
async fn rule_samples(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Json<RuleSamples>, ApiError> {
    let (_, text) = loaded(&app, &id).await?;
    let (desk, rule) = (app.desk(), RuleId::new(id.as_str()));
    let done = tokio::task::spawn_blocking(move || desk.samples(&text.text, &rule)).await;
    let outcomes = done
        .map_err(|_| rule_not_found(&id))?
        .map_err(|problem| ApiError::new(StatusCode::CONFLICT, Key::RuleSamplesUnreadable).with("problem", problem))?;
    let view = |one: SampleOutcome| RuleSampleView { about: one.about, fires: one.fires, holds: one.holds };
    Ok(Json(RuleSamples { items: outcomes.into_iter().map(view).collect() }))
}

/// Enables or disables a rule. The decision is written into the audit log and holds over restarts.
///
/// Enabling needs a backtest of the same text within the last 24 hours, and samples that do what they should.
#[utoipa::path(
    post,
    path = "/api/v1/rules/{id}/review",
    operation_id = "ruleReview",
    tag = "rules",
    security(("session" = ["analyst"]), ("token" = ["analyst"])),
    params(("id" = String, Path, description = "id of the rule")),
    request_body = RuleReviewRequest,
    responses(
        (status = 200, body = RuleView),
        (status = 409, body = ApiErrorBody, description = "the rule has changed, or a proof is missing"),
        (status = "4XX", body = ApiErrorBody),
    ),
)]
async fn rule_review(
    State(app): State<App>,
    analyst: Analyst,
    Path(id): Path<String>,
    Json(request): Json<RuleReviewRequest>,
) -> Result<Json<RuleView>, ApiError> {
    let (view, text) = loaded(&app, &id).await?;
    let conflict = |key| ApiError::new(StatusCode::CONFLICT, key);
    if view.quiet {
        return Err(conflict(Key::RuleOnlyFeeds));
    }
    if request.hash != text.hash.to_string() {
        return Err(conflict(Key::RuleChangedMeanwhile));
    }
    let note = request.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty());
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_LEN_MAX) {
        return Err(query::parameter("note"));
    }
    let (now, rule) = (Timestamp::now(), RuleId::new(id.as_str()));
    let decision = RuleDecision::from(request.decision);
    let hash = text.hash;
    let backtest = match decision {
        RuleDecision::Disabled => None,
        RuleDecision::Enabled => {
            let shown = app.shown().of(hash, now).ok_or_else(|| conflict(Key::RuleBacktestMissing))?;
            let (desk, asked) = (app.desk(), rule.clone());
            let done = tokio::task::spawn_blocking(move || desk.samples(&text.text, &asked)).await;
            let outcomes = done.map_err(|_| rule_not_found(&id))?;
            let outcomes = outcomes.map_err(|problem| conflict(Key::RuleSamplesUnreadable).with("problem", problem))?;
            let failed = outcomes.iter().filter(|outcome| !outcome.holds).count();
            if failed > 0 {
                return Err(conflict(Key::RuleSamplesFail).with("count", failed));
            }
            Some(shown)
        }
    };
    let review = RuleReview { decision, hash, who: analyst.name.clone(), at: now, note, backtest };
    app.state().put_rule_review(&rule, review).await?;
    app.desk().reviewed();
    let (view, _) = loaded(&app, &id).await?;
    Ok(Json(view))
}

/// A rule that is loaded, and its text.
async fn loaded(app: &App, id: &str) -> Result<(RuleView, RuleText), ApiError> {
    let overview = app.state().rules_status().await?;
    let rules = overview.map(|overview| overview.rules).unwrap_or_default();
    let found = rules.into_iter().find(|record| record.rule.id.as_str() == id);
    let record = found.ok_or_else(|| rule_not_found(id))?;
    let text = app.state().rule_text(record.rule.hash).await?.ok_or_else(|| rule_not_found(id))?;
    Ok((RuleView::new(record), text))
}

fn rule_not_found(id: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, Key::RuleNotFound).with("id", id.chars().take(80).collect::<String>())
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rule_list))
        .routes(routes!(rule_get))
        .routes(routes!(rule_explain))
        .routes(routes!(rule_samples))
        .routes(routes!(rule_review))
}
