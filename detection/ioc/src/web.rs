//! URLs in the one form in which they are compared: scheme and host in lower case, the default port and the fragment
//! off. What WHATWG's URL standard makes equal is equal.

use std::borrow::Cow;

use url::Url;

use crate::value::VALUE_LEN_MAX;

/// Brings a URL into form. One without a scheme is taken as `http`. `None` if it has no host.
pub(crate) fn normal(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > VALUE_LEN_MAX {
        return None;
    }
    let with_scheme: Cow<'_, str> =
        if text.contains("://") { Cow::Borrowed(text) } else { Cow::Owned(format!("http://{text}")) };
    let mut url = Url::parse(&with_scheme).ok()?;
    if !url.has_host() || url.host_str().is_none_or(str::is_empty) {
        return None;
    }
    if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')).map(str::to_owned) {
        // A host without the dot that means "from the root" is the same host.
        url.set_host(Some(&host)).ok()?;
    }
    url.set_fragment(None);
    Some(url.into())
}

/// The address without what follows the question mark, if there is any.
pub(crate) fn without_query(url: &str) -> Option<&str> {
    url.split_once('?').map(|(address, _)| address)
}

/// Host of a URL in form, and whether the URL is the whole site.
pub(crate) fn host(url: &str) -> Option<(&str, bool)> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
        _ => host,
    };
    Some((host, matches!(path, "" | "/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(normal(text).as_deref(), expected, "input: {text:?}");
    }

    #[test]
    fn urls() {
        check("HTTP://EVIL.com:80/A", Some("http://evil.com/A"));
        check("https://evil.com:443", Some("https://evil.com/"));
        check("https://evil.com:8443/", Some("https://evil.com:8443/"));
        check("http://evil.com./a#top", Some("http://evil.com/a"));
        check("http://bücher.example/", Some("http://xn--bcher-kva.example/"));
        check("http://evil.com/a/../b", Some("http://evil.com/b"));
        check("evil.com/a", Some("http://evil.com/a"));
        check("ftp://evil.com/x", Some("ftp://evil.com/x"));
        check("http://[2001:DB8::1]:80/", Some("http://[2001:db8::1]/"));
        check("http://", None);
        check("file:///etc/passwd", None);
        check("", None);
    }

    #[test]
    fn hosts() {
        assert_eq!(host("http://evil.com/"), Some(("evil.com", true)));
        assert_eq!(host("http://u:p@evil.com:8080/a"), Some(("evil.com", false)));
        assert_eq!(host("http://[2001:db8::1]/a"), Some(("[2001:db8::1]", false)));
        assert_eq!(host("http://evil.com/?a"), Some(("evil.com", false)));
    }
}
