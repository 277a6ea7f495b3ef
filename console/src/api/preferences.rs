//! How a user likes the pages.

use axum::extract::State;
use canh_messages::{Key, Language};
use canh_store::state::UserId;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::Person;
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::Json;
use crate::view::session::{Preferences, Theme};

const TIME_ZONE_DEFAULT: &str = "Asia/Ho_Chi_Minh";

/// The user's preferences; the product's if they never set any.
pub(super) async fn of(app: &App, user: UserId) -> Result<Preferences, ApiError> {
    let kept = app.state().preferences(user).await?;
    Ok(kept.map_or_else(
        || Preferences {
            language: Language::default().into(),
            theme: Theme::Auto,
            time_zone: TIME_ZONE_DEFAULT.to_owned(),
        },
        Into::into,
    ))
}

/// Gives the preferences of the user who asks.
#[utoipa::path(
    get,
    path = "/api/v1/preferences",
    operation_id = "preferencesGet",
    tag = "session",
    security(("session" = ["viewer"])),
    responses((status = 200, body = Preferences), (status = "4XX", body = ApiErrorBody)),
)]
async fn preferences_get(State(app): State<App>, person: Person) -> Result<Json<Preferences>, ApiError> {
    Ok(Json(of(&app, person.user).await?))
}

/// Replaces the preferences of the user who asks.
#[utoipa::path(
    put,
    path = "/api/v1/preferences",
    operation_id = "preferencesSet",
    tag = "session",
    security(("session" = ["viewer"])),
    request_body = Preferences,
    responses((status = 200, body = Preferences), (status = "4XX", body = ApiErrorBody)),
)]
async fn preferences_set(
    State(app): State<App>,
    person: Person,
    Json(wanted): Json<Preferences>,
) -> Result<Json<Preferences>, ApiError> {
    if jiff::tz::TimeZone::get(&wanted.time_zone).is_err() {
        let name: String = wanted.time_zone.chars().take(64).collect();
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Key::TimeZoneUnknown).with("name", name));
    }
    app.state().put_preferences(person.user, wanted.clone().into()).await?;
    Ok(Json(wanted))
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(preferences_get, preferences_set))
}
