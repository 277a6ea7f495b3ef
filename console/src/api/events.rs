//! Hunting through events.

use std::time::{Duration, Instant};

use axum::extract::State;
use canh_messages::Key;
use canh_schema::{EventId, FieldId, TimeRange, Timestamp};
use canh_store::{
    FieldCountsRequest, FieldRef, Filter, HistogramRequest, Limit, PageKey, SearchRequest, TopValuesRequest,
};
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Viewer;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::{Json, Path, Query};
use crate::query;
use crate::view::Time;
use crate::view::event::{
    EventFieldCount, EventFields, EventFieldsQuery, EventHistogramQuery, EventListQuery, EventPage, EventTopQuery,
    EventTopValue, EventTopValues, EventView, FieldCatalogue, FieldView, HistogramView, QueryHint,
};

const RANGE_DEFAULT: Duration = Duration::from_secs(3_600);
const FIELD_SAMPLE: u32 = 1_000;
const FIELD_NAME_LEN_MAX: usize = 512;

/// Lists events that match, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    operation_id = "eventList",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(EventListQuery),
    responses((status = 200, body = EventPage), (status = "4XX", body = ApiErrorBody), (status = 504, body = ApiErrorBody)),
)]
async fn event_list(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<EventListQuery>,
) -> Result<Json<EventPage>, ApiError> {
    let began = Instant::now();
    let limit = query::limit(query.limit, 100, 1_000)?;
    let before = query.before.as_deref().map(|text| text.parse::<PageKey>().map_err(|_| query::parameter("before")));
    let (filter, range) = filter(&app, query.q.as_deref(), query.from, query.to)?;
    let hints = filter.hunt.hints().into_iter();
    let hints = hints.map(|hint| QueryHint { field: hint.field, suggestion: hint.suggestion.to_owned() }).collect();
    let request = SearchRequest { filter, limit: Limit::new(limit)?, before: before.transpose()? };
    let page = query::within(app.query_deadline(), app.events().search(request)).await?;
    Ok(Json(EventPage {
        items: page.events.iter().map(EventView::row).collect(),
        next: page.next.map(|key| key.to_string()),
        from: range.start.into(),
        to: range.end.into(),
        outcome: page.outcome.into(),
        hints,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Gives one event, whole.
#[utoipa::path(
    get,
    path = "/api/v1/events/{id}",
    operation_id = "eventGet",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(("id" = String, Path, description = "32 hexadecimal digits")),
    responses((status = 200, body = EventView), (status = "4XX", body = ApiErrorBody)),
)]
async fn event_get(
    State(app): State<App>,
    _viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Json<EventView>, ApiError> {
    let wanted: EventId = id.parse().map_err(|_| query::parameter("id"))?;
    let event = query::within(app.query_deadline(), app.events().get(wanted)).await?;
    let event = event.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, Key::EventNotFound).with("id", wanted))?;
    Ok(Json(EventView::whole(&event)))
}

/// Counts events that match per slice of time.
#[utoipa::path(
    get,
    path = "/api/v1/events/histogram",
    operation_id = "eventHistogram",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(EventHistogramQuery),
    responses((status = 200, body = HistogramView), (status = "4XX", body = ApiErrorBody), (status = 504, body = ApiErrorBody)),
)]
async fn event_histogram(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<EventHistogramQuery>,
) -> Result<Json<HistogramView>, ApiError> {
    let buckets = query::bounded("buckets", query.buckets, 60, 500)?;
    let (filter, range) = filter(&app, query.q.as_deref(), query.from, query.to)?;
    let request = HistogramRequest { filter, width: HistogramRequest::round_width(range, buckets) };
    let histogram = query::within(app.query_deadline(), app.events().histogram(request)).await?;
    Ok(Json(HistogramView::new(range, histogram)))
}

/// Says which fields the newest events that match have.
#[utoipa::path(
    get,
    path = "/api/v1/events/fields",
    operation_id = "eventFields",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(EventFieldsQuery),
    responses((status = 200, body = EventFields), (status = "4XX", body = ApiErrorBody), (status = 504, body = ApiErrorBody)),
)]
async fn event_fields(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<EventFieldsQuery>,
) -> Result<Json<EventFields>, ApiError> {
    let (filter, _) = filter(&app, query.q.as_deref(), query.from, query.to)?;
    let request = FieldCountsRequest { filter, sample: Limit::new(FIELD_SAMPLE)? };
    let counts = query::within(app.query_deadline(), app.events().field_counts(request)).await?;
    let items = counts.fields.into_iter().map(|count| EventFieldCount {
        kind: count.field.kind().map(Into::into),
        name: count.field.name().into_owned(),
        count: count.events,
    });
    Ok(Json(EventFields { items: items.collect(), sampled: counts.sampled }))
}

/// Gives the most frequent values of a field among the events that match.
#[utoipa::path(
    get,
    path = "/api/v1/events/top",
    operation_id = "eventTop",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    params(EventTopQuery),
    responses((status = 200, body = EventTopValues), (status = "4XX", body = ApiErrorBody), (status = 504, body = ApiErrorBody)),
)]
async fn event_top(
    State(app): State<App>,
    _viewer: Viewer,
    Query(query): Query<EventTopQuery>,
) -> Result<Json<EventTopValues>, ApiError> {
    let limit = query::limit(query.limit, 10, 100)?;
    if query.field.is_empty() || query.field.len() > FIELD_NAME_LEN_MAX {
        return Err(query::parameter("field"));
    }
    let field = FieldRef::named(&query.field);
    let (filter, _) = filter(&app, query.q.as_deref(), query.from, query.to)?;
    let request = TopValuesRequest { filter, field, limit: Limit::new(limit)? };
    let top = query::within(app.query_deadline(), app.events().top_values(request)).await?;
    let items = top.values.into_iter().map(|one| EventTopValue { value: one.value.into(), count: one.count });
    Ok(Json(EventTopValues {
        field: query.field,
        items: items.collect(),
        total: top.total,
        with_field: top.with_field,
        outcome: top.outcome.into(),
    }))
}

/// Lists every field that Canh knows by name.
#[utoipa::path(
    get,
    path = "/api/v1/fields",
    operation_id = "fieldList",
    tag = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = 200, body = FieldCatalogue), (status = "4XX", body = ApiErrorBody)),
)]
async fn field_list(_viewer: Viewer) -> Json<FieldCatalogue> {
    let items = FieldId::all().map(FieldId::spec);
    let items = items.map(|spec| FieldView { name: spec.name, kind: spec.kind.into(), about: spec.about });
    Json(FieldCatalogue { items: items.collect() })
}

fn filter(
    app: &App,
    text: Option<&str>,
    from: Option<Time>,
    to: Option<Time>,
) -> Result<(Filter, TimeRange), ApiError> {
    let hunt = query::hunt(text.unwrap_or_default())?;
    let range = query::range(from, to, RANGE_DEFAULT, Timestamp::now())?;
    Ok((Filter::new(hunt, range).within(app.query_deadline()), range))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(event_list))
        .routes(routes!(event_histogram))
        .routes(routes!(event_fields))
        .routes(routes!(event_top))
        .routes(routes!(event_get))
        .routes(routes!(field_list))
}
