//! Values with a mark between them, as in CSV: one in quotation marks may hold the mark, and `""` is a quotation mark.

use std::borrow::Cow;

/// The values, and whether all of them fitted.
pub(crate) fn columns_of(text: &str, mark: u8, room: usize) -> (Vec<Cow<'_, str>>, bool) {
    let mut parts = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        if parts.len() >= room {
            return (parts, false);
        }
        let (part, after) = match text.strip_prefix('"') {
            Some(inside) => quoted(inside, mark),
            None => match memchr::memchr(mark, text.as_bytes()) {
                Some(at) => (Cow::Borrowed(&text[..at]), Some(&text[at + 1..])),
                None => (Cow::Borrowed(text), None),
            },
        };
        parts.push(part);
        rest = after;
    }
    (parts, true)
}

/// The value up to its closing mark, which may be missing where a line was cut, and what follows the mark behind it.
fn quoted(text: &str, mark: u8) -> (Cow<'_, str>, Option<&str>) {
    let mut value: Cow<'_, str> = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let Some(at) = memchr::memchr(b'"', rest.as_bytes()) else {
            add(&mut value, rest);
            return (value, None);
        };
        add(&mut value, &rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('"') {
            add(&mut value, "\"");
            rest = after;
            continue;
        }
        // What stands between the closing mark and the next one belongs to the value all the same.
        return match memchr::memchr(mark, rest.as_bytes()) {
            Some(at) => {
                add(&mut value, &rest[..at]);
                (value, Some(&rest[at + 1..]))
            }
            None => {
                add(&mut value, rest);
                (value, None)
            }
        };
    }
}

fn add<'t>(value: &mut Cow<'t, str>, text: &'t str) {
    if value.is_empty() {
        *value = Cow::Borrowed(text);
    } else if !text.is_empty() {
        value.to_mut().push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        assert_eq!(columns_of(text, b',', 8).0, expected, "input: {text:?}");
    }

    #[test]
    fn columns() {
        check("a,b,,c", &["a", "b", "", "c"]);
        check(r#"a,"b,""c""",d"#, &["a", r#"b,"c""#, "d"]);
        check(r#""a"x,b"#, &["ax", "b"]);
        check(r#"a,"cut, b"#, &["a", "cut, b"]);
        check(r#""",x"#, &["", "x"]);
        check("é,", &["é", ""]);
        check("", &[""]);
        assert_eq!(
            columns_of("1,2,3,4,5,6,7,8,9", b',', 8),
            (vec!["1", "2", "3", "4", "5", "6", "7", "8"].into_iter().map(Cow::Borrowed).collect(), false)
        );
    }
}
