//! Sessions of browsers: a random secret in a cookie, its hash in the state.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canh_schema::Timestamp;
use canh_store::state::{SecretHash, Session, UserId};
use http::{HeaderMap, HeaderValue, header};

use super::{Identity, Principal};
use crate::App;
use crate::app::Transport;
use crate::error::ApiError;

/// A session's time of use is written at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
const USER_AGENT_LEN_MAX: usize = 256;

const fn cookie_name(transport: Transport) -> &'static str {
    match transport {
        // With this prefix a browser takes the cookie only over TLS and from this very host.
        Transport::Tls => "__Host-canh_session",
        Transport::Plain => "canh_session",
    }
}

/// The cookie that holds a session. It ends with the browser; the server ends it sooner if it is not used.
pub(crate) fn cookie(transport: Transport, secret: &str) -> HeaderValue {
    header_value(transport, secret, "")
}

/// The cookie that takes a session away.
pub(crate) fn cookie_end(transport: Transport) -> HeaderValue {
    header_value(transport, "", "; Max-Age=0")
}

fn header_value(transport: Transport, value: &str, more: &str) -> HeaderValue {
    let secure = if transport == Transport::Tls { "; Secure" } else { "" };
    let name = cookie_name(transport);
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}");
    // Names and secrets are letters, digits, `-` and `_`.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Starts a session and gives its secret.
pub(crate) async fn start(app: &App, user: UserId, user_agent: &str, now: Timestamp) -> Result<String, ApiError> {
    let settings = app.settings();
    let (idle, age) = (now.saturating_sub(settings.session_idle), now.saturating_sub(settings.session_age));
    // Here and not on a timer: nobody can make more sessions than they sign in for.
    app.state().expire_sessions(idle, age).await?;
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let session = Session {
        token: SecretHash::of(&secret),
        user,
        created: now,
        last_seen: now,
        user_agent: user_agent.chars().take(USER_AGENT_LEN_MAX).collect(),
    };
    app.state().put_session(session).await?;
    Ok(secret)
}

/// The user whose session the cookie holds.
pub(crate) async fn find(app: &App, headers: &HeaderMap, now: Timestamp) -> Result<Option<Principal>, ApiError> {
    let Some(secret) = secret(headers, app.transport()) else { return Ok(None) };
    let Some((session, user)) = app.state().session(SecretHash::of(secret)).await? else { return Ok(None) };
    let settings = app.settings();
    if now - session.last_seen > settings.session_idle || now - session.created > settings.session_age {
        return Ok(None);
    }
    if now - session.last_seen > TOUCH_EVERY {
        app.state().touch_session(session.token, now).await?;
    }
    Ok(Some(Principal {
        name: user.name,
        role: user.role,
        identity: Identity::Person { user: user.id, session: session.token },
    }))
}

fn secret(headers: &HeaderMap, transport: Transport) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(transport)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(cookies: &[&'static str], transport: Transport, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for line in cookies {
            headers.append(header::COOKIE, HeaderValue::from_static(line));
        }
        assert_eq!(secret(&headers, transport), expected, "cookies: {cookies:?}");
    }

    #[test]
    fn cookies() {
        check(&["canh_session=abc"], Transport::Plain, Some("abc"));
        check(&["a=b; canh_session=abc;c=d"], Transport::Plain, Some("abc"));
        check(&["a=b", "canh_session=abc"], Transport::Plain, Some("abc"));
        check(&["xcanh_session=abc"], Transport::Plain, None);
        check(&["canh_session"], Transport::Plain, None);
        check(&["__Host-canh_session=abc"], Transport::Tls, Some("abc"));
        // A cookie without the prefix may come from a neighbour host over plain HTTP.
        check(&["canh_session=abc"], Transport::Tls, None);
        check(&[], Transport::Tls, None);
    }

    #[test]
    fn the_cookie_is_for_this_site_alone() {
        let tls = cookie(Transport::Tls, "abc");
        assert_eq!(tls, "__Host-canh_session=abc; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(cookie_end(Transport::Plain), "canh_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    }
}
