//! OTLP over HTTP, as protobuf and as JSON (OTLP specification, "OTLP/HTTP"). JSON is kept in the journal as protobuf.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use prost::Message;

use super::connection::Peer;
use super::http::{App, Refusal, read_all};
use super::otlp::{self, Signal};
use crate::envelope::Door;

const DOOR: Door = Door::OtlpHttp;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match value.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            _ => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_type",
                "send OTLP with the content type application/x-protobuf or application/json",
            )),
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// The error body that OTLP asks for: a `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message, serde::Serialize)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

pub(super) async fn export<S: Signal>(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let (encoding, result) = match Encoding::of(&parts.headers) {
        Ok(encoding) => (encoding, receive::<S>(&app, peer, &parts.headers, encoding, body).await),
        Err(refusal) => (Encoding::Json, Err(refusal)),
    };
    match result {
        Ok(()) => answer(StatusCode::OK, encoding, &S::Response::default()),
        Err(refusal) => {
            app.count(DOOR, &refusal);
            let status = RpcStatus { code: rpc_code(refusal.status), message: refusal.message.clone() };
            let mut response = answer(refusal.status, encoding, &status);
            refusal.add_headers(response.headers_mut());
            response
        }
    }
}

/// The code of `google.rpc.Code` that stands for an HTTP status.
fn rpc_code(status: StatusCode) -> i32 {
    let code = match status {
        StatusCode::UNAUTHORIZED => tonic::Code::Unauthenticated,
        StatusCode::SERVICE_UNAVAILABLE => tonic::Code::Unavailable,
        StatusCode::TOO_MANY_REQUESTS => tonic::Code::ResourceExhausted,
        StatusCode::REQUEST_TIMEOUT => tonic::Code::DeadlineExceeded,
        _ => tonic::Code::InvalidArgument,
    };
    code as i32
}

fn answer<M: Message + serde::Serialize>(status: StatusCode, encoding: Encoding, message: &M) -> Response {
    let body = match encoding {
        Encoding::Protobuf => message.encode_to_vec(),
        Encoding::Json => serde_json::to_vec(message).unwrap_or_else(|_| b"{}".to_vec()),
    };
    (status, [(header::CONTENT_TYPE, encoding.content_type())], body).into_response()
}

async fn receive<S: Signal>(
    app: &App,
    peer: Peer,
    headers: &HeaderMap,
    encoding: Encoding,
    body: Body,
) -> Result<(), Refusal> {
    let admitted = app.admit(headers, app.config.message_max)?;
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, "malformed", message);
    let agent = canh_wire::number_of(headers).map_err(|error| bad(error.to_string()))?;
    let work = async {
        let body = read_all(body.into_data_stream(), app.config.message_max).await?;
        let not_otlp = |error: &dyn std::fmt::Display| bad(format!("the body is not an OTLP message: {error}"));
        let (bytes, request) = match encoding {
            Encoding::Protobuf => {
                let request = S::Request::decode(body.clone()).map_err(|error| not_otlp(&error))?;
                (body, request)
            }
            Encoding::Json => {
                let request: S::Request = serde_json::from_slice(&body).map_err(|error| not_otlp(&error))?;
                (Bytes::from(request.encode_to_vec()), request)
            }
        };
        let mut envelope = otlp::envelope::<S>(DOOR, &peer, agent, bytes);
        admitted.mark(&mut envelope);
        let appended = otlp::append::<S>(&app.intake, envelope, &request).await;
        appended.map(drop).map_err(|error| Refusal::journal(&error))
    };
    tokio::time::timeout(app.config.request_timeout, work).await.unwrap_or_else(|_| Err(Refusal::timeout()))
}
