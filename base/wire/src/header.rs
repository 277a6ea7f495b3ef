//! Headers of a request: who asks, and which batch this is. The same for gRPC and HTTP.

use canh_schema::{BatchNumber, IdError};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Id of the agent installation, 32 hexadecimal digits.
pub const AGENT_ID: HeaderName = HeaderName::from_static("canh-agent-id");
/// Random number of the agent's spool, 16 hexadecimal digits.
pub const SPOOL: HeaderName = HeaderName::from_static("canh-spool");
/// Number of the batch in that spool, decimal, from 1.
pub const SEQUENCE: HeaderName = HeaderName::from_static("canh-sequence");

/// Why the headers of a request cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeaderError {
    #[error("header `{name}` is missing; the agent's headers come together or not at all")]
    Missing { name: &'static str },

    #[error("header `{name}` is not {expected}")]
    Malformed { name: &'static str, expected: &'static str },

    #[error("header `canh-agent-id`: {0}")]
    Agent(#[from] IdError),
}

/// Adds the three headers of a batch.
pub fn put_number(number: &BatchNumber, headers: &mut HeaderMap) {
    let texts = [
        (AGENT_ID, number.agent.to_string()),
        (SPOOL, format!("{:016x}", number.spool)),
        (SEQUENCE, number.sequence.to_string()),
    ];
    for (name, text) in texts {
        headers.insert(name, HeaderValue::from_str(&text).expect("digits are valid in a header"));
    }
}

/// The batch's number, or `None` if the sender is not one of our agents.
///
/// # Errors
///
/// Some but not all of the headers are there, or one cannot be read.
pub fn number_of(headers: &HeaderMap) -> Result<Option<BatchNumber>, HeaderError> {
    let agent = text(headers, &AGENT_ID, "canh-agent-id")?;
    let spool = text(headers, &SPOOL, "canh-spool")?;
    let sequence = text(headers, &SEQUENCE, "canh-sequence")?;
    if agent.is_none() && spool.is_none() && sequence.is_none() {
        return Ok(None);
    }
    let agent = agent.ok_or(HeaderError::Missing { name: "canh-agent-id" })?.parse()?;
    let spool = spool.ok_or(HeaderError::Missing { name: "canh-spool" })?;
    let spool = Some(spool)
        .filter(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(HeaderError::Malformed { name: "canh-spool", expected: "16 hexadecimal digits" })?;
    let sequence = sequence.ok_or(HeaderError::Missing { name: "canh-sequence" })?;
    let sequence = Some(sequence)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|&sequence| sequence > 0)
        .ok_or(HeaderError::Malformed { name: "canh-sequence", expected: "a number from 1" })?;
    Ok(Some(BatchNumber { agent, spool, sequence }))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName, shown: &'static str) -> Result<Option<&'a str>, HeaderError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| HeaderError::Malformed { name: shown, expected: "plain text" })
}

/// The `authorization` value for a token, or `None` if the token has characters that a header cannot carry.
pub fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The token of a request. The scheme's case does not matter (RFC 9110, section 11.1).
pub fn bearer_of(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "000102030405060708090a0b0c0d0e0f";

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected: Result<Option<(u64, u64)>, &str>) {
        let map: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        let read = number_of(&map);
        let read = read.map(|number| number.map(|number| (number.spool, number.sequence)));
        assert_eq!(read.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{headers:?}");
    }

    #[test]
    fn batch_numbers() {
        let spool = ("canh-spool", "00000000000000ff");
        check(&[], Ok(None));
        check(&[("canh-agent-id", AGENT), spool, ("canh-sequence", "7")], Ok(Some((255, 7))));
        check(
            &[("canh-agent-id", AGENT), spool],
            Err("header `canh-sequence` is missing; the agent's headers come together or not at all"),
        );
        check(
            &[("canh-agent-id", "xyz"), spool, ("canh-sequence", "7")],
            Err("header `canh-agent-id`: `xyz` is not an agent id; expected 32 hexadecimal digits"),
        );
        for sequence in ["0", "-1", "+1", "", "18446744073709551616", "1a"] {
            check(
                &[("canh-agent-id", AGENT), spool, ("canh-sequence", sequence)],
                Err("header `canh-sequence` is not a number from 1"),
            );
        }
        for spool in ["ff", "+0000000000000ff", "00000000000000fg", "00000000000000fff"] {
            check(
                &[("canh-agent-id", AGENT), ("canh-spool", spool), ("canh-sequence", "1")],
                Err("header `canh-spool` is not 16 hexadecimal digits"),
            );
        }
    }

    #[test]
    fn a_number_comes_back_as_it_went() {
        let number = BatchNumber { agent: AGENT.parse().unwrap(), spool: u64::MAX, sequence: u64::MAX };
        let mut headers = HeaderMap::new();
        put_number(&number, &mut headers);
        assert_eq!(number_of(&headers), Ok(Some(number)));
    }

    #[test]
    fn tokens() {
        let mut headers = HeaderMap::new();
        assert_eq!(bearer_of(&headers), None);
        headers.insert(AUTHORIZATION, bearer("s3cret").unwrap());
        assert_eq!(bearer_of(&headers), Some("s3cret"));
        for (value, expected) in [("bearer x", Some("x")), ("Basic x", None), ("Bearer", None), ("Bearer ", None)] {
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer_of(&headers), expected, "{value}");
        }
        assert_eq!(bearer(""), None);
        assert_eq!(bearer("two words"), None);
        assert_eq!(bearer("line\nbreak"), None);
    }
}
