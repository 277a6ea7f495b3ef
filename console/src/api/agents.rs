//! Who sends events.

use axum::extract::State;
use canh_schema::Timestamp;
use canh_store::state::{DemoRun, SourceRecord};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::Json;
use crate::view::agent::{AgentList, AgentStatus, AgentView};

/// Lists agents and other senders, the one heard of most recently first.
#[utoipa::path(
    get,
    path = "/api/v1/agents",
    operation_id = "agentList",
    tag = "agents",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = 200, body = AgentList), (status = "4XX", body = ApiErrorBody)),
)]
async fn agent_list(State(app): State<App>, _viewer: Viewer) -> Result<Json<AgentList>, ApiError> {
    let now = Timestamp::now();
    let records = app.state().sources().await?;
    let demo = app.state().demo_run().await?;
    Ok(Json(AgentList {
        items: records.into_iter().map(|record| (status(&app, &record, demo, now), record)).map(view).collect(),
        silent_after_s: app.silent_after().as_secs(),
    }))
}

fn view((status, record): (AgentStatus, SourceRecord)) -> AgentView {
    AgentView::new(record, status)
}

/// Whether a sender has been heard of recently enough.
pub(super) fn status(app: &App, record: &SourceRecord, demo: Option<DemoRun>, now: Timestamp) -> AgentStatus {
    if demo.is_some_and(|run| run.has(record)) {
        AgentStatus::Demo
    } else if now - record.last_seen > app.silent_after() {
        AgentStatus::Silent
    } else {
        AgentStatus::Online
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(agent_list))
}
