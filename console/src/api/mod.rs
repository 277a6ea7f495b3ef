//! The routes. Each file has its handlers and a `routes` that the list below joins.

mod agents;
mod alerts;
mod backtest;
mod events;
mod ledger;
mod overview;
mod preferences;
mod rules;
mod session;
mod tail;

use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::error::ApiErrorBody;
use crate::view::event::TailDropped;
use crate::view::rule::{BacktestProgress, BacktestResult};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Canh",
        description = "Events, alerts and agents of one Canh server. The roles that may call a route are the scopes \
                       of its `security`; a route without `security` is open.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "this server")),
    components(schemas(ApiErrorBody, TailDropped, BacktestProgress, BacktestResult)),
    modifiers(&Security),
)]
struct Description;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let components = description.components.get_or_insert_default();
        // The name of the cookie is the one over TLS; over plain HTTP the prefix is left out.
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("__Host-canh_session")));
        components.add_security_scheme("session", cookie);
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        components.add_security_scheme("token", bearer);
    }
}

/// Every route of the API, with its description. Adding a route is one line in its file; adding a file one line here.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(session::routes())
        .merge(preferences::routes())
        .merge(overview::routes())
        .merge(events::routes())
        .merge(tail::routes())
        .merge(alerts::routes())
        .merge(agents::routes())
        .merge(ledger::routes())
        .merge(rules::routes())
        .merge(backtest::routes())
}

/// The description of the API, as it is kept in `console/openapi.json`.
pub fn openapi_json() -> String {
    let description = routes().into_openapi();
    // The description is made of strings, lists and maps with string keys only.
    let mut text = description.to_pretty_json().expect("an API description is always JSON");
    text.push('\n');
    text
}
