//! Set-up, sign-in and sign-out.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use canh_messages::Key;
use canh_schema::Timestamp;
use canh_store::state::{AuditEntry, NewUser, Role, SecretHash, StateError, User, UserState};
use compact_str::CompactString;
use http::{HeaderMap, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::auth::{self, Identity, MaybeSignedIn, Visitor, password, session};
use crate::error::{ApiError, ApiErrorBody};
use crate::extract::Json;
use crate::view::session::{LoginRequest, SessionState, SessionView, SetupRequest, UserView};

/// Says who is signed in, and what to show first.
#[utoipa::path(
    get,
    path = "/api/v1/session",
    operation_id = "sessionGet",
    tag = "session",
    security(()),
    responses((status = 200, body = SessionView), (status = "5XX", body = ApiErrorBody)),
)]
async fn session_get(State(app): State<App>, who: MaybeSignedIn) -> Result<Json<SessionView>, ApiError> {
    let mut view =
        SessionView { state: SessionState::SignedOut, user: None, preferences: None, version: app.version() };
    if let Some(principal) = who.0 {
        view.state = SessionState::SignedIn;
        view.user = Some(UserView { name: principal.name.to_string(), role: principal.role.into() });
        if let Identity::Person { user, .. } = principal.identity {
            view.preferences = Some(super::preferences::of(&app, user).await?);
        }
    } else if app.state().user_state().await? == UserState::None {
        view.state = SessionState::SetupRequired;
    }
    Ok(Json(view))
}

/// Makes the first user with the one-time token that the server prints, and signs them in.
#[utoipa::path(
    post,
    path = "/api/v1/setup",
    operation_id = "sessionSetup",
    tag = "session",
    security(()),
    request_body = SetupRequest,
    responses((status = 200, body = SessionView), (status = "4XX", body = ApiErrorBody)),
)]
async fn session_setup(
    State(app): State<App>,
    _visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<SetupRequest>,
) -> Result<Response, ApiError> {
    let name = auth::valid_name(&request.username)?;
    // The token is looked at again when the user is made; asking now spares the hash for whoever has none.
    if app.state().user_state().await? == UserState::Some {
        return Err(ApiError::new(StatusCode::CONFLICT, Key::SetupDone));
    }
    let password_hash = password::hash(&app, request.password).await?;
    let now = Timestamp::now();
    let user = NewUser { name: name.clone(), password_hash, role: Role::Admin, created: now };
    let token = SecretHash::of(request.token.trim());
    let id = app.state().create_first_user(token, user).await.map_err(|error| match error {
        StateError::SetupDone => ApiError::new(StatusCode::CONFLICT, Key::SetupDone),
        StateError::SetupTokenWrong => ApiError::new(StatusCode::FORBIDDEN, Key::SetupTokenWrong),
        other => other.into(),
    })?;
    audit(&app, now, &name, "session.setup").await?;
    let user = User { id, name, password_hash: String::new(), role: Role::Admin, created: now, disabled: false };
    sign_in(&app, user, &headers, now).await
}

/// Signs in. Each failure makes the account wait longer before the next try.
#[utoipa::path(
    post,
    path = "/api/v1/login",
    operation_id = "sessionLogin",
    tag = "session",
    security(()),
    request_body = LoginRequest,
    responses((status = 200, body = SessionView), (status = "4XX", body = ApiErrorBody)),
)]
async fn session_login(
    State(app): State<App>,
    _visitor: Visitor,
    headers: HeaderMap,
    Json(request): Json<LoginRequest>,
) -> Result<Response, ApiError> {
    let now = Timestamp::now();
    let attempt = app.delays().begin(&request.username, now).map_err(|wait| {
        let seconds = wait.as_secs().max(1);
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, Key::LoginDelayed)
            .with("seconds", seconds)
            .with_details(|details| details.retry_after_s = Some(seconds))
    })?;
    let user = app.state().user_by_name(&request.username).await?.filter(|user| !user.disabled);
    let right = password::verify(&app, request.password, user.as_ref().map(|user| user.password_hash.clone())).await?;
    if !right {
        app.metrics().logins_failed.inc();
        // A name that no user has may be a password typed into the wrong box, and there is no end of such names: only
        // known accounts go into the audit log.
        if let Some(user) = &user {
            audit(&app, now, &user.name, "session.login_failed").await?;
        }
    }
    let Some(user) = user.filter(|_| right) else {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, Key::LoginFailed));
    };
    attempt.succeeded();
    audit(&app, now, &user.name, "session.login").await?;
    sign_in(&app, user, &headers, now).await
}

/// Signs out; the session ends on the server.
#[utoipa::path(
    post,
    path = "/api/v1/logout",
    operation_id = "sessionLogout",
    tag = "session",
    security(()),
    responses((status = 204, description = "signed out"), (status = "5XX", body = ApiErrorBody)),
)]
async fn session_logout(State(app): State<App>, who: MaybeSignedIn) -> Result<Response, ApiError> {
    if let Some(principal) = who.0
        && let Identity::Person { session, .. } = principal.identity
    {
        app.state().delete_session(session).await?;
        audit(&app, Timestamp::now(), &principal.name, "session.logout").await?;
    }
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, session::cookie_end(app.transport()))]).into_response())
}

async fn sign_in(app: &App, user: User, headers: &HeaderMap, now: Timestamp) -> Result<Response, ApiError> {
    let user_agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let secret = session::start(app, user.id, user_agent.as_deref().unwrap_or_default(), now).await?;
    let view = SessionView {
        state: SessionState::SignedIn,
        user: Some(UserView { name: user.name.to_string(), role: user.role.into() }),
        preferences: Some(super::preferences::of(app, user.id).await?),
        version: app.version(),
    };
    Ok(([(header::SET_COOKIE, session::cookie(app.transport(), &secret))], Json(view)).into_response())
}

async fn audit(app: &App, at: Timestamp, who: &str, action: &'static str) -> Result<(), ApiError> {
    let entry = AuditEntry {
        at,
        who: who.into(),
        action: CompactString::const_new(action),
        target: CompactString::const_new(""),
        detail: Vec::new(),
    };
    Ok(app.state().record(entry).await?)
}

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(session_get))
        .routes(routes!(session_setup))
        .routes(routes!(session_login))
        .routes(routes!(session_logout))
}
