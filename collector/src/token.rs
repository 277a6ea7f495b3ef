//! Who may send: bearer tokens, kept as hashes and compared in constant time.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use compact_str::CompactString;
use subtle::ConstantTimeEq;

/// Answers whether a token may send. The server implements this over its stored tokens; [`TokenSet`] is a fixed list.
pub trait TokenCheck: Send + Sync + 'static {
    /// The name under which the token was issued, or `None` if it is not known.
    fn check(&self, token: &str) -> Option<CompactString>;
}

/// BLAKE3 hash of a token. Tokens are long and random, so a fast hash without salt is enough.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub fn of(token: &str) -> Self {
        Self(*blake3::hash(token.as_bytes()).as_bytes())
    }

    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A fixed list of tokens. An empty one refuses everybody.
#[derive(Clone, Debug, Default)]
pub struct TokenSet {
    tokens: Arc<[(CompactString, TokenHash)]>,
}

impl TokenSet {
    pub fn new(tokens: impl IntoIterator<Item = (CompactString, TokenHash)>) -> Self {
        Self { tokens: tokens.into_iter().collect() }
    }

    /// One token in clear, for tests and the demo.
    pub fn single(name: &str, token: &str) -> Self {
        Self::new([(name.into(), TokenHash::of(token))])
    }
}

impl TokenCheck for TokenSet {
    fn check(&self, token: &str) -> Option<CompactString> {
        let hash = TokenHash::of(token);
        // Every token is compared, whatever was found before, so that time says nothing about the list.
        let mut found = None;
        for (name, known) in self.tokens.iter() {
            if bool::from(known.0.ct_eq(&hash.0)) {
                found = Some(name.clone());
            }
        }
        found
    }
}

/// Why a request may not send. The text is for the person who set the sender up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("no token; send the header `authorization: Bearer <token>` with a token made under Agents in the console")]
    Missing,
    #[error("the `authorization` header is not of the form `Bearer <token>`")]
    Malformed,
    #[error("unknown or revoked token; make a new one under Agents in the console and set it on the sender")]
    Unknown,
}

/// How a token may stand in an `authorization` header (RFC 9110, section 11.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    /// RFC 6750: the token itself.
    Bearer,
    /// Splunk's: the token itself.
    Splunk,
    /// Elasticsearch's: the token as it is, or as the second half of what base64 hides.
    ApiKey,
    /// RFC 7617: the token is the password, the user's name says nothing.
    Basic,
}

impl Scheme {
    const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Splunk => "splunk",
            Self::ApiKey => "apikey",
            Self::Basic => "basic",
        }
    }

    /// The tokens that the rest of the header may mean.
    fn tokens(self, text: &str) -> Vec<String> {
        let hidden = || {
            let bytes = STANDARD.decode(text).ok()?;
            String::from_utf8(bytes).ok()?.split_once(':').map(|(_, secret)| secret.to_owned())
        };
        match self {
            Self::Bearer | Self::Splunk => vec![text.to_owned()],
            Self::ApiKey => [Some(text.to_owned()), hidden()].into_iter().flatten().collect(),
            Self::Basic => hidden().into_iter().collect(),
        }
    }
}

/// The tokens that the value of an `authorization` header may mean, if it is of one of these forms.
pub(crate) fn tokens_in(schemes: &[Scheme], header: Option<&[u8]>) -> Result<Vec<String>, AuthError> {
    let header = header.ok_or(AuthError::Missing)?;
    let text = str::from_utf8(header).map_err(|_| AuthError::Malformed)?;
    let (name, rest) = text.trim().split_once(' ').ok_or(AuthError::Malformed)?;
    let scheme = schemes.iter().find(|scheme| name.eq_ignore_ascii_case(scheme.name())).ok_or(AuthError::Malformed)?;
    let tokens = scheme.tokens(rest.trim());
    if tokens.is_empty() { Err(AuthError::Malformed) } else { Ok(tokens) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: Option<&str>, expected: Result<&str, AuthError>) {
        let tokens = TokenSet::new([("a".into(), TokenHash::of("one")), ("b".into(), TokenHash::of("two"))]);
        let said = tokens_in(&[Scheme::Bearer], header.map(str::as_bytes));
        let answer = said.and_then(|said| tokens.check(&said[0]).ok_or(AuthError::Unknown));
        assert_eq!(answer.as_deref().map_err(|error| *error), expected, "header: {header:?}");
    }

    #[test]
    fn bearer() {
        check(Some("Bearer one"), Ok("a"));
        check(Some("bearer  two "), Ok("b"));
        check(Some("Bearer three"), Err(AuthError::Unknown));
        check(Some("Bearer "), Err(AuthError::Malformed));
        check(Some("Basic one"), Err(AuthError::Malformed));
        check(Some("one"), Err(AuthError::Malformed));
        check(None, Err(AuthError::Missing));
    }

    #[test]
    fn tokens_in_the_forms_of_other_protocols() {
        let check = |schemes: &[Scheme], header: &str, expected: Result<&[&str], AuthError>| {
            let tokens = tokens_in(schemes, Some(header.as_bytes()));
            let expected = expected.map(|tokens| tokens.iter().map(|token| (*token).to_owned()).collect());
            assert_eq!(tokens, expected, "header: {header}");
        };
        let splunk = [Scheme::Splunk, Scheme::Basic];
        let elastic = [Scheme::Bearer, Scheme::ApiKey, Scheme::Basic];
        check(&splunk, "Splunk one", Ok(&["one"]));
        check(&splunk, "Basic eDpvbmU=", Ok(&["one"]));
        check(&splunk, "Bearer one", Err(AuthError::Malformed));
        check(&elastic, "bearer one", Ok(&["one"]));
        check(&elastic, "ApiKey eDpvbmU=", Ok(&["eDpvbmU=", "one"]));
        check(&elastic, "ApiKey one", Ok(&["one"]));
        check(&elastic, "Basic one", Err(AuthError::Malformed));
        check(&elastic, "Basic eDpvbmU6dHdv", Ok(&["one:two"]));
        check(&elastic, "one", Err(AuthError::Malformed));
    }

    #[test]
    fn an_empty_list_refuses_everybody() {
        assert_eq!(TokenSet::default().check("x"), None);
    }
}
