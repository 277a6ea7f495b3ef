//! The numbers of the first page.

use std::time::Duration;

use axum::extract::State;
use canh_schema::{Level, Timestamp};
use canh_store::hunt::Hunt;
use canh_store::{Filter, HistogramRequest};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::agents;
use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::{Json, Query};
use crate::view::agent::AgentStatus;
use crate::view::event::HistogramView;
use crate::view::overview::{
    AgentCounts, AlertCounts, DroppedCount, LevelCount, Overview, OverviewQuery, StoreStatsView,
};
use crate::{metrics, query};

const RANGE_DEFAULT: Duration = Duration::from_secs(24 * 3_600);
const BUCKETS: u32 = 240;

/// Gives the state of everything at a glance.
#[utoipa::path(
    get,
    path = "/api/v1/overview",
    operation_id = "overviewGet",
    tag = "overview",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(OverviewQuery),
    responses((status = 200, body = Overview), (status = "4XX", body = ApiErrorBody)),
)]
async fn overview_get(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<OverviewQuery>,
) -> Result<Json<Overview>, ApiError> {
    let now = Timestamp::now();
    let range = query::range(query.from, query.to, RANGE_DEFAULT, now)?;
    let request = HistogramRequest {
        filter: Filter::new(Hunt::all(), range).within(app.query_deadline()),
        // Never finer than a minute: the page speaks of events per minute.
        width: HistogramRequest::round_width(range, BUCKETS).max(Duration::from_secs(60)),
    };
    let histogram = query::within(app.query_deadline(), app.events().histogram(request)).await?;
    let stats = query::within(app.query_deadline(), app.events().stats()).await?;
    let counts = app.state().alert_counts().await?;
    let sources = app.state().sources().await?;
    let demo = app.state().demo_run().await?;
    let silent = sources.iter().filter(|source| agents::status(&app, source, demo, now) == AgentStatus::Silent).count();
    let dropped = metrics::dropped(app.registry());
    Ok(Json(Overview {
        events: HistogramView::new(range, histogram),
        events_per_second: app.rate().per_second(now),
        alerts: AlertCounts {
            open: counts.open_total(),
            acknowledged: counts.acknowledged,
            open_by_level: Level::ALL
                .into_iter()
                .rev()
                .map(|level| LevelCount { level: level.into(), count: counts.open(level) })
                .collect(),
        },
        agents: AgentCounts { total: sources.len() as u64, silent: silent as u64 },
        dropped: dropped.into_iter().map(|(stage, reason, count)| DroppedCount { stage, reason, count }).collect(),
        store: StoreStatsView {
            events: stats.events,
            bytes: stats.bytes,
            damaged: stats.damaged,
            oldest: stats.oldest.map(Into::into),
            newest: stats.newest.map(Into::into),
        },
    }))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(overview_get))
}
