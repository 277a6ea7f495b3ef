//! Takes the precautions off that people write into indicators so that nobody clicks on them.

use std::borrow::Cow;

/// What is written, in lower case, and what it stands for. Longer ones first where one begins another.
const WRITTEN: &[(&str, &str)] = &[
    ("[://]", "://"),
    ("[:]//", "://"),
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("{dot}", "."),
    ("\\.", "."),
    ("[:]", ":"),
    ("[@]", "@"),
    ("(@)", "@"),
    ("[at]", "@"),
    ("(at)", "@"),
    ("[/]", "/"),
];

/// Schemes that are misspelt on purpose.
const SCHEMES: &[(&str, &str)] = &[
    ("hxxps", "https"),
    ("hxxp", "http"),
    ("hxtp", "http"),
    ("htxp", "http"),
    ("h**p", "http"),
    ("meows", "https"),
    ("meow", "http"),
    ("fxp", "ftp"),
];

/// The value as it is used. Text in angle brackets or quotes loses them.
pub(crate) fn refang(text: &str) -> Cow<'_, str> {
    let text = strip_quotes(text.trim());
    let suspicious = |byte: &u8| matches!(byte, b'[' | b'(' | b'{' | b'\\');
    let scheme = SCHEMES.iter().find(|(written, _)| {
        starts_with(text, written) && text.get(written.len()..).is_some_and(|rest| rest.starts_with([':', '[']))
    });
    if scheme.is_none() && !text.as_bytes().iter().any(suspicious) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    if let Some((written, meant)) = scheme {
        out.push_str(meant);
        rest = text.get(written.len()..).unwrap_or_default();
    }
    while let Some(sign) = rest.chars().next() {
        if let Some((written, meant)) = WRITTEN.iter().find(|(written, _)| starts_with(rest, written)) {
            out.push_str(meant);
            rest = rest.get(written.len()..).unwrap_or_default();
        } else {
            out.push(sign);
            rest = rest.get(sign.len_utf8()..).unwrap_or_default();
        }
    }
    Cow::Owned(out)
}

fn strip_quotes(text: &str) -> &str {
    for (open, close) in [('"', '"'), ('\'', '\''), ('<', '>'), ('`', '`')] {
        if let Some(inside) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close)) {
            return inside.trim();
        }
    }
    text
}

fn starts_with(text: &str, start: &str) -> bool {
    text.as_bytes().get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, expected: &str) {
        assert_eq!(refang(written), expected, "input: {written:?}");
    }

    #[test]
    fn written_forms() {
        check("hxxp://evil[.]com/a", "http://evil.com/a");
        check("hXXps[:]//evil(dot)com", "https://evil.com");
        check("hxxps[://]evil[.]com", "https://evil.com");
        check("1.2.3[.]4", "1.2.3.4");
        check("1[.]2[.]3[.]4", "1.2.3.4");
        check("evil[.]com", "evil.com");
        check("evil\\.com", "evil.com");
        check("evil {.} com", "evil . com"); // blanks are not guessed at
        check("evil dot com", "evil dot com");
        check("user[at]evil[.]com", "user@evil.com");
        check("user[@]evil.com", "user@evil.com");
        check("2001[:]db8[:][:]1", "2001:db8::1");
        check("  \"evil.com\" ", "evil.com");
        check("<http://evil.com/>", "http://evil.com/");
        check("hxxp.com", "hxxp.com"); // a name, not a scheme
        check("http://[2001:db8::1]/", "http://[2001:db8::1]/");
        check("", "");
        check("[", "[");
    }
}
