//! Prometheus remote write 1.0 (facts: Prometheus' specification "Remote-Write 1.0"): samples in a protobuf message that is
//! packed with snappy, answered once they are durable.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use canh_schema::Timestamp;
use http::{HeaderMap, Request, StatusCode, header};
use serde::Deserialize;

use super::connection::Peer;
use super::http::{App, Refusal, read_all};
use crate::envelope::{Door, Envelope, Framing};
use crate::format::prometheus::{WriteError, count};
use crate::token::Scheme;

pub(super) const PATH: &str = "/api/v1/write";
const DOOR: Door = Door::PrometheusWrite;

/// `[collector.prometheus_write]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrometheusWriteConfig {
    /// Whether Prometheus' remote write is taken at the door `http`; its limits hold here too.
    pub enabled: bool,
    /// Most samples of one message.
    pub samples_max: u64,
}

impl Default for PrometheusWriteConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            // As many as one batch may have when it is decoded.
            samples_max: 100_000,
        }
    }
}

#[derive(Clone, Copy)]
struct SamplesMax(u64);

pub(super) fn routes(config: &PrometheusWriteConfig) -> Router<App> {
    Router::new().route(PATH, post(receive)).layer(Extension(SamplesMax(config.samples_max)))
}

async fn receive(
    State(app): State<App>,
    Extension(SamplesMax(samples_max)): Extension<SamplesMax>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let work = take(&app, samples_max, peer, request);
    let outcome = tokio::time::timeout(app.config.request_timeout, work).await;
    match outcome.unwrap_or_else(|_| Err(Refusal::timeout())) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(mut refusal) => {
            // The sender keeps its samples only after a 5xx.
            if matches!(refusal.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
                refusal.status = StatusCode::SERVICE_UNAVAILABLE;
            }
            app.refuse_plainly(DOOR, &refusal)
        }
    }
}

async fn take(app: &App, samples_max: u64, peer: Peer, request: Request<Body>) -> Result<(), Refusal> {
    let (mut parts, body) = request.into_parts();
    check_kind(&parts.headers)?;
    // Unpacked here, and not by the layer that knows gzip and zstd.
    parts.headers.remove(header::CONTENT_ENCODING);
    let len_max = app.config.message_max;
    let admitted = app.admit_as(&parts.headers, &[Scheme::Bearer, Scheme::Basic], len_max)?;
    let packed = read_all(body.into_data_stream(), len_max).await?;
    let bad = |message: &str| Refusal::new(StatusCode::BAD_REQUEST, "malformed", message);
    let len =
        snap::raw::decompress_len(&packed).map_err(|_| bad("the body is not packed with snappy's block format"))?;
    if len > len_max.as_len() {
        return Err(Refusal::too_large(len_max));
    }
    let message = snap::raw::Decoder::new().decompress_vec(&packed).map_err(|_| bad("the body is damaged"))?;
    drop(packed);
    let samples = count(&message, samples_max).map_err(|error| match error {
        WriteError::TooMany(_) | WriteError::TooWide => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_samples", error.to_string())
        }
        _ => bad(&error.to_string()),
    })?;
    // From time to time senders only say what their metrics are about.
    if samples == 0 {
        return Ok(());
    }
    let mut envelope = Envelope::new(DOOR, Timestamp::now(), Framing::PrometheusWrite, message.into());
    peer.mark(&mut envelope);
    admitted.mark(&mut envelope);
    app.append_once(envelope, samples, &admitted).await.map(drop)
}

/// Refuses version 2, after which senders go back to version 1.
fn check_kind(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let unsupported = |message: String| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type", message);
    let mut parts = text(header::CONTENT_TYPE).split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let proto = parts.find_map(|part| part.strip_prefix("proto=")).unwrap_or("prometheus.WriteRequest");
    if kind != "application/x-protobuf" || proto != "prometheus.WriteRequest" {
        return Err(unsupported(format!(
            "`{kind}` with `{proto}` is not taken; send remote write 1.0: `application/x-protobuf` with \
             `prometheus.WriteRequest`"
        )));
    }
    let encoding = text(header::CONTENT_ENCODING);
    match encoding {
        "snappy" => Ok(()),
        _ => Err(unsupported(format!(
            "a body packed with `{encoding}` cannot be read; remote write is packed with `snappy`"
        ))),
    }
}
