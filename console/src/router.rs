//! Joins the routes and puts the layers around them.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use canh_messages::Key;
use http::{HeaderValue, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::error::ApiError;
use crate::{App, api, error_page, ops, web};

/// The whole console: API, machine routes and web client.
pub fn router(app: App) -> Router {
    let (api, _) = api::routes().split_for_parts();
    let csrf = CsrfLayer::new().with_rejection_response(|_: ProtectionError| -> Response {
        ApiError::new(StatusCode::FORBIDDEN, Key::CrossOrigin).into_response()
    });
    // The last one is the outermost.
    Router::new()
        .merge(api)
        .merge(ops::routes())
        .route("/api/{*rest}", axum::routing::any(nowhere))
        .method_not_allowed_fallback(wrong_method)
        .fallback(web::serve)
        .layer(DefaultBodyLimit::max(app.settings().body_max))
        .layer(csrf)
        .layer(CatchPanicLayer::custom(error_page::panicked))
        .layer(middleware::from_fn_with_state(app.clone(), error_page::around))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(security_headers))
        .with_state(app)
}

async fn nowhere() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, Key::NotFound)
}

async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, Key::MethodNotAllowed)
}

/// What every answer says to a browser. The page itself brings a policy of its own, with the nonce of its styles.
async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (http::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (http::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (http::HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    // Answers hold log data; only what says otherwise may be kept by anybody.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
