//! Errors of the API: one text for the caller, one for the log, joined by the request id.

use std::error::Error;
use std::fmt;

use axum::response::{IntoResponse, Response};
use canh_messages::Key;
use canh_store::StoreError;
use canh_store::state::StateError;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ApiErrorBody {
    /// Name of the error for programs, for example `query_invalid`.
    pub(crate) code: String,
    /// What went wrong and what to try next, in the reader's language.
    pub(crate) message: String,
    /// Finds the request in the log of the server.
    pub(crate) request_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) details: Option<ErrorDetails>,
}

/// What a program can use of an error.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct ErrorDetails {
    /// Where the query went wrong, in characters from 1; with `length` the place to mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) column: Option<u32>,
    /// How many characters are wrong, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) length: Option<u32>,
    /// What to write instead, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suggestion: Option<String>,
    /// Parameter or field of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Try again after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_s: Option<u64>,
}

/// Why a request was not done. The words are put together by [`crate::error_page`], which knows the reader.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) key: Key,
    pub(crate) values: Vec<(&'static str, String)>,
    /// In a box, because every result of a handler has room for it.
    pub(crate) details: Option<Box<ErrorDetails>>,
    /// For the log only.
    pub(crate) cause: Option<String>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, key: Key) -> Self {
        Self { status, key, values: Vec::new(), details: None, cause: None }
    }

    /// Fills a place of the text.
    pub(crate) fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.values.push((name, value.to_string()));
        self
    }

    pub(crate) fn with_details(mut self, set: impl FnOnce(&mut ErrorDetails)) -> Self {
        set(self.details.get_or_insert_default());
        self
    }

    /// Keeps the whole chain of an error for the log.
    pub(crate) fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            source = error.source();
        }
        self.cause = Some(chain);
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Key::StateUnavailable).caused_by(&error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::BadRequest { reason } => {
                Self::new(StatusCode::BAD_REQUEST, Key::QueryUnsupported).with("problem", reason)
            }
            StoreError::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, Key::TooBusy)
                .with_details(|details| details.retry_after_s = Some(1)),
            StoreError::Deadline { limit } => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, Key::QueryTimeout).with("seconds", limit.as_secs())
            }
            StoreError::Retry { .. } | StoreError::Failed { .. } | StoreError::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, Key::StoreUnavailable).caused_by(&error)
            }
        }
    }
}
