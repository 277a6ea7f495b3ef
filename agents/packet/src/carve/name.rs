//! What a transferred file is called. All of it is hostile: directories and control characters are left out.

/// Longest name, in characters.
const NAME_MAX: usize = 255;

/// The file name of a `Content-Disposition`. Source: RFC 6266, section 4.
pub(crate) fn declared_name(value: &[u8]) -> Option<String> {
    let mut plain = None;
    for parameter in parameters(value) {
        let Some((key, text)) = split_once(parameter, b'=') else { continue };
        let key = key.trim_ascii();
        let text = text.trim_ascii();
        if key.eq_ignore_ascii_case(b"filename*") {
            // charset'language'percent-encoded
            let encoded = text.splitn(3, |byte| *byte == b'\'').nth(2).unwrap_or(text);
            if let Some(name) = clean(&percent_decoded(encoded)) {
                return Some(name);
            }
        } else if key.eq_ignore_ascii_case(b"filename") && plain.is_none() {
            plain = clean(&unquoted(text));
        }
    }
    plain
}

/// The last part of a request's target.
pub(crate) fn name_of_target(target: &str) -> Option<String> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let last = path.rsplit('/').next().unwrap_or_default();
    // `;jsessionid=…` is not part of the name.
    clean(&percent_decoded(last.split(';').next().unwrap_or_default().as_bytes()))
}

/// A name for what has none.
pub(crate) fn name_of_type(content_type: &str) -> Option<String> {
    let extension = match content_type.to_ascii_lowercase().as_str() {
        "application/json" | "text/json" => "json",
        "application/xml" | "text/xml" | "application/soap+xml" => "xml",
        "application/octet-stream" => "bin",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/gzip" => "gz",
        "application/javascript" | "text/javascript" => "js",
        "text/html" => "html",
        "text/plain" => "txt",
        "message/rfc822" => "eml",
        _ => return None,
    };
    Some(format!("body.{extension}"))
}

/// What stands between semicolons that are not in quotes.
fn parameters(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value.split(move |byte| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !was_escaped => escaped = true,
            b'"' if !was_escaped => quoted = !quoted,
            b';' => return !quoted,
            _ => {}
        }
        false
    })
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"") else { return text.to_vec() };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    let mut escaped = false;
    // A backslash before a letter is a path of Windows, not an escape.
    let mut out = Vec::with_capacity(inner.len());
    for byte in inner {
        match byte {
            b'\\' if !escaped => escaped = true,
            byte => {
                if std::mem::take(&mut escaped) && byte.is_ascii_alphanumeric() {
                    out.push(b'\\');
                }
                out.push(*byte);
            }
        }
    }
    out
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => out.push(*first),
        }
    }
    out
}

fn clean(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name: String = last.chars().filter(|letter| !letter.is_control()).take(NAME_MAX).collect();
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_declared(value: &str, expected: Option<&str>) {
        assert_eq!(declared_name(value.as_bytes()).as_deref(), expected, "value: {value}");
    }

    #[test]
    fn names_of_content_disposition() {
        check_declared("attachment; filename=\"a b.exe\"", Some("a b.exe"));
        check_declared("attachment; FileName = a.exe ; x=y", Some("a.exe"));
        check_declared("attachment; filename=\"a;b.exe\"", Some("a;b.exe"));
        check_declared("attachment; filename=\"a\\\"b.exe\"", Some("a\"b.exe"));
        check_declared("attachment; filename=\"C:\\temp\\b.exe\"", Some("b.exe"));
        check_declared("attachment; filename=\"../../etc/passwd\"", Some("passwd"));
        check_declared("attachment; filename=x; filename*=UTF-8''b%C3%A1o%20c%C3%A1o.doc", Some("báo cáo.doc"));
        check_declared("attachment; filename=\"a\nb\"", Some("ab"));
        check_declared("inline", None);
        check_declared("attachment; filename=\"..\"", None);
        check_declared("attachment; filename=\"", None);
    }

    #[test]
    fn names_of_targets() {
        for (target, expected) in [
            ("/a/b.zip?c=/d", Some("b.zip")),
            ("/b%C3%A1o.pdf;jsessionid=1", Some("báo.pdf")),
            ("/a%2f..%2fb", Some("b")),
            ("/", None),
            ("http://x.vn", None),
            ("http://x.vn/c", Some("c")),
            ("*", Some("*")),
        ] {
            assert_eq!(name_of_target(target).as_deref(), expected, "target: {target}");
        }
    }
}
