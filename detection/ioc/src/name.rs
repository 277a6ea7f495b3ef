//! Domain names in the one form in which they are compared: ASCII (punycode), lower case, no dot at the end.

use std::borrow::Cow;

/// Longest name in that form. Source: RFC 1035, section 2.3.4.
const NAME_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// Endings under which anybody can register a name and that are not a single label. The commonest only: a list that
/// names such an ending is mistaken, and the others are seen when the first alert comes.
const PUBLIC_SUFFIXES: &[&str] = &[
    "ac.vn",
    "biz.vn",
    "com.vn",
    "edu.vn",
    "gov.vn",
    "health.vn",
    "id.vn",
    "info.vn",
    "int.vn",
    "io.vn",
    "name.vn",
    "net.vn",
    "org.vn",
    "pro.vn",
    "ac.jp",
    "co.jp",
    "go.jp",
    "ne.jp",
    "or.jp",
    "ac.uk",
    "co.uk",
    "gov.uk",
    "me.uk",
    "org.uk",
    "com.au",
    "net.au",
    "org.au",
    "com.br",
    "net.br",
    "org.br",
    "com.cn",
    "gov.cn",
    "net.cn",
    "org.cn",
    "co.in",
    "net.in",
    "org.in",
    "co.kr",
    "or.kr",
    "com.hk",
    "com.my",
    "com.ph",
    "com.ru",
    "com.sg",
    "com.tr",
    "com.tw",
    "com.ua",
    "co.id",
    "co.nz",
    "co.th",
    "co.za",
    "com.mx",
    "com.ar",
    "com.kh",
    "in.th",
];

/// The name in the form in which it is compared. `None` if it is no name. Underscores are taken: names of services
/// and of malware have them.
pub(crate) fn normal(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > 4 * NAME_LEN_MAX {
        return None;
    }
    if text.is_ascii() {
        let plain = if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
        return well_formed(&plain).then_some(plain);
    }
    let ascii = idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY).ok()?;
    let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
    well_formed(ascii).then(|| Cow::Owned(ascii.to_owned()))
}

/// Letters, digits, hyphens and underscores in labels of the right length.
fn well_formed(name: &str) -> bool {
    if name.len() > NAME_LEN_MAX {
        return false;
    }
    let mut label = 0;
    for byte in name.bytes() {
        match byte {
            b'.' if label == 0 => return false,
            b'.' => label = 0,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label += 1,
            _ => return false,
        }
        if label > LABEL_LEN_MAX {
            return false;
        }
    }
    label > 0
}

pub(crate) fn is_public_suffix(name: &str) -> bool {
    PUBLIC_SUFFIXES.contains(&name)
}

/// The name itself and each name above it that has a dot, the longest first.
pub(crate) fn with_parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, above)| above))
        .take_while(|name| name.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(normal(text).as_deref(), expected, "input: {text:?}");
    }

    #[test]
    fn names() {
        check("evil.com", Some("evil.com"));
        check("EVIL.com.", Some("evil.com"));
        check("_dmarc.evil.com", Some("_dmarc.evil.com"));
        check("bücher.example", Some("xn--bcher-kva.example"));
        check("BÜCHER.example", Some("xn--bcher-kva.example"));
        check("bu\u{308}cher.example", Some("xn--bcher-kva.example")); // accent apart from its letter
        check("evil。com", Some("evil.com")); // ideographic full stop
        check("xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("a..b", None);
        check(".evil.com", None);
        check("evil .com", None);
        check("evil.com/a", None);
        check("", None);
        check(".", None);
        check(&"a".repeat(64), None);
        check(&"a.".repeat(200), None);
        check(&"é".repeat(5_000), None);
    }

    #[test]
    fn parents() {
        assert_eq!(with_parents("a.b.evil.com").collect::<Vec<_>>(), ["a.b.evil.com", "b.evil.com", "evil.com"]);
        assert_eq!(with_parents("com").count(), 0);
    }
}
