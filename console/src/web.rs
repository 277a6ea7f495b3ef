//! The embedded web client.
//!
//! The files are those of `console/web/dist` at the time of the build. Without them everything else works, and the page
//! says how to get it. Programs built for development read the files from the disk instead.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canh_messages::Key;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::ApiError;

#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Files;

const INDEX: &str = "index.html";

/// Files here have a hash of their content in their name.
const HASHED: &str = "assets/";

/// Serves a file of the client, or the page itself for every address that the client's own router knows.
pub(crate) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, Key::MethodNotAllowed).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if path != INDEX
        && let Some(file) = Files::get(path)
    {
        return asset(path, file, &headers);
    }
    // A file that is gone is not the page: a browser would take HTML for a script.
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    if path.starts_with(HASHED) || (is_file && path != INDEX) {
        return ApiError::new(StatusCode::NOT_FOUND, Key::NotFound).into_response();
    }
    match Files::get(INDEX) {
        Some(file) => page(&String::from_utf8_lossy(&file.data)),
        None => missing(),
    }
}

fn asset(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let caching = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = format!("\"{}\"", STANDARD.encode(&file.metadata.sha256_hash()[..16]));
    let etag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
    let fixed = [
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
        (header::ETAG, etag.clone()),
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type(path))),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == etag) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    let body = match file.data {
        Cow::Borrowed(bytes) => bytes.into_response(),
        Cow::Owned(bytes) => bytes.into_response(),
    };
    (fixed, body).into_response()
}

/// The page with its policy. The client's style library writes `<style>` elements; the nonce lets through these alone.
/// It stands in `<meta property="csp-nonce" nonce="…">`, whose value scripts of ours can read and styles cannot.
fn page(html: &str) -> Response {
    let nonce = STANDARD.encode(rand::random::<[u8; 16]>());
    let html = html.replacen("<head>", &format!("<head>\n    <meta property=\"csp-nonce\" nonce=\"{nonce}\" />"), 1);
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
         font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
         form-action 'self'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
    ];
    (fixed, html).into_response()
}

const MISSING: &str = "<!doctype html>
<html lang=\"vi\">
<head><meta charset=\"utf-8\"><title>Canh</title></head>
<body>
<h1>Canh</h1>
<p>Máy chủ đang chạy nhưng được biên dịch khi chưa có giao diện web. Hãy chạy <code>./dev web</code> rồi biên dịch lại máy chủ.</p>
<p lang=\"en\">The server is running, but it was built without the web client. Run <code>./dev web</code>, then build the server again.</p>
<p><a href=\"/api/v1/openapi.json\">API</a> · <a href=\"/metrics\">metrics</a> · <a href=\"/readyz\">ready</a></p>
</body>
</html>
";

fn missing() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], MISSING).into_response()
}

/// Browsers are told not to guess, so each kind of file that the client has is here.
fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_of_the_page_is_the_one_of_its_policy() {
        let (one, two) = (page("<html><head></head></html>"), page("<html><head></head></html>"));
        let policy = |response: &Response| response.headers()[header::CONTENT_SECURITY_POLICY].clone();
        assert_ne!(policy(&one), policy(&two));
        let policy = policy(&one).to_str().expect("text").to_owned();
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[tokio::test]
    async fn a_file_that_is_gone_is_not_the_page() {
        for path in ["/assets/index-0000.js", "/favicon.missing", "/.env", "/../Cargo.toml", "/x/y.php"] {
            let response = serve(Method::GET, Uri::from_static(path), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
        for path in ["/", "/alerts/17", "/index.html"] {
            let response = serve(Method::GET, Uri::from_static(path), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
        }
    }
}
