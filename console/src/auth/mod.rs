//! Who asks, and what they may do.
//!
//! A handler names the least role that it wants as an argument; without it the body does not run. The same role stands
//! in the route's `security`, and a test calls every route with every role to hold the two together.

pub(crate) mod delay;
pub(crate) mod password;
pub(crate) mod session;

use std::ops::Deref;

use axum::extract::FromRequestParts;
use canh_messages::Key;
use canh_schema::Timestamp;
use canh_store::state::{Role, SecretHash, UserId};
use compact_str::CompactString;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use crate::App;
use crate::error::ApiError;

/// Somebody who has proven who they are.
#[derive(Clone)]
pub(crate) struct Principal {
    /// As the audit log writes it.
    pub(crate) name: CompactString,
    pub(crate) role: Role,
    pub(crate) identity: Identity,
}

#[derive(Clone, Copy)]
pub(crate) enum Identity {
    Person {
        user: UserId,
        session: SecretHash,
    },
    /// A holder of an API token.
    Program,
}

/// Finds out who asks. What does not prove anything is as good as nothing.
pub(crate) async fn identify(app: &App, headers: &HeaderMap) -> Result<Option<Principal>, ApiError> {
    let now = Timestamp::now();
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let Some(secret) = given.to_str().ok().and_then(|given| given.strip_prefix("Bearer ")) else { return Ok(None) };
        let token = app.state().api_token(SecretHash::of(secret.trim())).await?;
        let valid = token.filter(|token| token.expires.is_none_or(|expires| now < expires));
        return Ok(valid.map(|token| Principal { name: token.name, role: token.role, identity: Identity::Program }));
    }
    session::find(app, headers, now).await
}

/// A name that a new user may have.
pub(crate) fn valid_name(name: &str) -> Result<CompactString, ApiError> {
    let known = |sign: char| sign.is_alphanumeric() || matches!(sign, '.' | '_' | '-' | '@');
    if (1..=64).contains(&name.chars().count()) && name.chars().all(known) {
        Ok(name.into())
    } else {
        Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, Key::NameInvalid))
    }
}

/// Whoever asks, signed in or not.
pub(crate) struct MaybeSignedIn(pub(crate) Option<Principal>);

impl FromRequestParts<App> for MaybeSignedIn {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        identify(app, &parts.headers).await.map(Self)
    }
}

/// Anybody. In a signature it says that the route is open on purpose.
pub(crate) struct Visitor;

impl FromRequestParts<App> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(_: &mut Parts, _: &App) -> Result<Self, Self::Rejection> {
        Ok(Self)
    }
}

async fn one_of(parts: &Parts, app: &App, roles: &[Role]) -> Result<Principal, ApiError> {
    let principal = identify(app, &parts.headers).await?;
    let principal = principal.ok_or_else(|| ApiError::new(StatusCode::UNAUTHORIZED, Key::NotSignedIn))?;
    if roles.contains(&principal.role) {
        return Ok(principal);
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, Key::NotAllowed).with("role", principal.role.name()))
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident, $roles:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name(Principal);

        impl $name {
            /// Those who have it.
            pub(crate) const ROLES: &[Role] = $roles;
        }

        impl Deref for $name {
            type Target = Principal;

            fn deref(&self) -> &Principal {
                &self.0
            }
        }

        impl FromRequestParts<App> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
                one_of(parts, app, Self::ROLES).await.map(Self)
            }
        }
    )*};
}

permissions! {
    /// May read.
    Viewer, &Role::ALL;
    /// May decide about alerts.
    Analyst, &[Role::Analyst, Role::Lead, Role::Noc, Role::Oncall, Role::Admin];
}

/// A signed-in user, not a program: what is a person's own is asked for with this.
pub(crate) struct Person {
    pub(crate) user: UserId,
}

impl FromRequestParts<App> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let principal = one_of(parts, app, Viewer::ROLES).await?;
        match principal.identity {
            Identity::Person { user, .. } => Ok(Self { user }),
            Identity::Program => {
                Err(ApiError::new(StatusCode::FORBIDDEN, Key::NotAllowed).with("role", principal.role.name()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(name: &str, expected: bool) {
        assert_eq!(valid_name(name).is_ok(), expected, "name: {name:?}");
    }

    #[test]
    fn names() {
        check_name("an", true);
        check_name("nguyễn.văn-a_1@soc", true);
        check_name(&"x".repeat(64), true);
        check_name(&"x".repeat(65), false);
        check_name("", false);
        check_name("a b", false);
        check_name("a\n", false);
        check_name("<b>", false);
        check_name("\u{202e}a", false);
    }
}
