//! What was delivered, and what is missing.

use std::time::Duration;

use axum::extract::State;
use canh_schema::Timestamp;
use canh_store::state::{LedgerQuery, hour_of};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::{Json, Query};
use crate::query;
use crate::view::ledger::{LedgerParameters, LedgerView};

const RANGE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);

/// Says what each sender sent and what became of it, and lists what is missing with its exact range.
#[utoipa::path(
    get,
    path = "/api/v1/ledger",
    operation_id = "ledgerGet",
    tag = "ledger",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(LedgerParameters),
    responses((status = 200, body = LedgerView), (status = "4XX", body = ApiErrorBody)),
)]
async fn ledger_get(
    State(app): State<App>,
    _viewer: Viewer,
    Query(parameters): Query<LedgerParameters>,
) -> Result<Json<LedgerView>, ApiError> {
    let mut range = query::range(parameters.from, parameters.to, RANGE_DEFAULT, Timestamp::now())?;
    range.start = hour_of(range.start);
    let source = parameters.source.filter(|source| !source.is_empty()).map(Into::into);
    let page = app.state().ledger(&LedgerQuery { range, source }).await?;
    let sources = app.state().sources().await?;
    let senders = sources.into_iter().map(|record| (record.id.clone(), record)).collect();
    Ok(Json(LedgerView::new(range, page, &senders)))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(ledger_get))
}
