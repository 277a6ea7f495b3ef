//! The console's server side: the API, who may call it, the live tail, and the embedded web client.
//!
//! Everything that it shows comes from the two seams of `canh-store` and from the live channel; it keeps nothing of its
//! own but who recently failed to sign in.

mod api;
mod app;
mod auth;
pub mod desk;
mod error;
mod error_page;
mod extract;
mod metrics;
mod ops;
mod query;
mod rate;
mod review;
mod router;
mod view;
mod web;

pub use api::openapi_json;
pub use app::{App, AppParts, Readiness, Settings, Transport};
pub use router::router;
pub use view::{condition_json, explanation_json};
