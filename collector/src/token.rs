//! Who may send: bearer tokens, kept as hashes and compared in constant time.

use std::sync::Arc;

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

/// Checks the value of an `authorization` header (RFC 6750, section 2.1).
pub(crate) fn check_bearer(tokens: &dyn TokenCheck, header: Option<&[u8]>) -> Result<CompactString, AuthError> {
    let header = header.ok_or(AuthError::Missing)?;
    let text = str::from_utf8(header).map_err(|_| AuthError::Malformed)?;
    let (scheme, token) = text.trim().split_once(' ').ok_or(AuthError::Malformed)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(AuthError::Malformed);
    }
    tokens.check(token.trim()).ok_or(AuthError::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: Option<&str>, expected: Result<&str, AuthError>) {
        let tokens = TokenSet::new([("a".into(), TokenHash::of("one")), ("b".into(), TokenHash::of("two"))]);
        let answer = check_bearer(&tokens, header.map(str::as_bytes));
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
    fn an_empty_list_refuses_everybody() {
        assert_eq!(check_bearer(&TokenSet::default(), Some(b"Bearer x")), Err(AuthError::Unknown));
    }
}
