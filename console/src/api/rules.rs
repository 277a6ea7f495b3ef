//! Which rules are loaded.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::Json;
use crate::view::rule::{RuleErrorView, RuleList, RuleView};

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
    let items = overview.rules.into_iter().map(|(rule, count, health)| RuleView {
        id: rule.id.as_str().to_owned(),
        title: rule.title.into(),
        level: rule.level.into(),
        tags: rule.tags.into_iter().map(Into::into).collect(),
        file: rule.file,
        findings: count.findings,
        last_found: count.last_found.map(Into::into),
        kind: rule.kind.into(),
        quiet: rule.quiet,
        samples: rule.samples,
        canary_at: health.canary.map(|(at, _)| at.into()),
        canary: health.canary.map(|(_, hop)| hop.into()),
        suppressed: health.suppressed,
        suppressed_last: health.suppressed_last.map(Into::into),
    });
    let errors = overview.errors.into_iter().map(|error| RuleErrorView {
        file: error.file,
        line: error.line,
        column: error.column,
        message: error.message,
    });
    Ok(Json(RuleList { loaded_at: Some(overview.loaded_at.into()), items: items.collect(), errors: errors.collect() }))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(rule_list))
}
