//! Around every request: a request id, the words of an error in the reader's language, the log and the metrics.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use canh_messages::{Key, Language, render};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::App;
use crate::auth::{self, Identity};
use crate::error::{ApiError, ApiErrorBody};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Middleware around all routes. The request id is always ours: one from the caller could be anything.
pub(crate) async fn around(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = format!("{:016x}", rand::random::<u64>());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "other".to_owned());
    let reader = reader_headers(request.headers());

    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        log(&error, &id, &route);
        let language = language(&app, &reader).await;
        response = written(response, error, language, &id);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    app.metrics().count(&route, &method, response.status().as_u16(), began.elapsed());
    response
}

/// What is needed of a request to know its reader, for requests that fail.
fn reader_headers(headers: &HeaderMap) -> HeaderMap {
    let wanted = [header::ACCEPT_LANGUAGE, header::COOKIE];
    let kept = wanted.iter().flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A user's preference, else what the browser asks for, else the product's own.
async fn language(app: &App, headers: &HeaderMap) -> Language {
    if let Ok(Some(principal)) = auth::identify(app, headers).await
        && let Identity::Person { user, .. } = principal.identity
        && let Ok(Some(preferences)) = app.state().preferences(user).await
        && let Some(language) = Language::from_tag(&preferences.language)
    {
        return language;
    }
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    asked.and_then(Language::from_accept_language).unwrap_or_default()
}

fn log(error: &ApiError, request_id: &str, route: &str) {
    let status = error.status.as_u16();
    let code = error.key.name();
    let cause = error.cause.as_deref().unwrap_or_default();
    if error.status.is_server_error() {
        tracing::error!(request_id, route, status, code, cause, "a request failed");
    } else {
        tracing::debug!(request_id, route, status, code, cause, "a request was refused");
    }
}

fn written(was: Response, error: ApiError, language: Language, id: &str) -> Response {
    let values: Vec<(&str, &str)> = error.values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let retry_after = error.details.as_ref().and_then(|details| details.retry_after_s);
    let body = ApiErrorBody {
        code: error.key.name().to_owned(),
        message: render(error.key, language, &values),
        request_id: id.to_owned(),
        details: error.details.map(|details| *details),
    };
    let mut response = (error.status, axum::Json(body)).into_response();
    // What the handler or a layer has set beside the body stays, `Allow` for example.
    for (name, value) in was.headers() {
        if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    if error.status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What a handler that panics answers. The panic itself is in the log already.
pub(crate) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, Key::Internal).into_response()
}
