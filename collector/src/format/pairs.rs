//! Pairs of names and values: `a=1 b="two words"`, with other marks between them where a source has others.

use compact_str::CompactString;

/// The marks of a line of pairs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marks {
    /// Between two pairs.
    pub(crate) between: u8,
    /// Between name and value.
    pub(crate) assign: u8,
}

impl Marks {
    /// `a=1 b=2`
    pub(crate) const BLANKS: Self = Self { between: b' ', assign: b'=' };
}

/// The pairs of a line. A value reaches to the next mark, or stands in quotation marks with `\"` inside. Words between
/// two pairs that are no pair belong to nobody.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'t> {
    rest: &'t str,
    marks: Marks,
}

impl<'t> Pairs<'t> {
    pub(crate) fn new(text: &'t str, marks: Marks) -> Self {
        Self { rest: text, marks }
    }
}

impl<'t> Iterator for Pairs<'t> {
    type Item = (&'t str, CompactString);

    fn next(&mut self) -> Option<Self::Item> {
        let between = char::from(self.marks.between);
        loop {
            let rest = self.rest.trim_start_matches([' ', between]);
            let (key, value) = rest.split_once(char::from(self.marks.assign))?;
            let key = key.rsplit([' ', between]).next().unwrap_or(key);
            let value = value.trim_start_matches(if between == ' ' { '\0' } else { ' ' });
            let read = match mark(value) {
                Some(mark) => {
                    let (read, rest) = unquoted(&value[1..], mark);
                    self.rest = rest;
                    read
                }
                None => {
                    let (read, rest) = value.split_at(value.find(between).unwrap_or(value.len()));
                    self.rest = rest;
                    read.trim_end().into()
                }
            };
            if !key.is_empty() {
                return Some((key, read));
            }
        }
    }
}

/// How far away the second `'` may stand: in ordinary text one alone is an apostrophe.
const APOSTROPHES_LEN_MAX: usize = 4_096;

/// The quotation mark that the value begins with.
fn mark(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [b'"', ..] => Some(b'"'),
        [b'\'', rest @ ..] => memchr::memchr(b'\'', &rest[..rest.len().min(APOSTROPHES_LEN_MAX)]).map(|_| b'\''),
        _ => None,
    }
}

/// The text up to the closing mark, which may be missing where a line was cut, and what follows.
fn unquoted(text: &str, mark: u8) -> (CompactString, &str) {
    let mut value = CompactString::default();
    let mut rest = text;
    while let Some(at) = memchr::memchr2(mark, b'\\', rest.as_bytes()) {
        value.push_str(&rest[..at]);
        if rest.as_bytes()[at] == mark {
            return (value, &rest[at + 1..]);
        }
        let Some(next) = rest[at + 1..].chars().next() else { return (value, "") };
        if next != char::from(mark) && next != '\\' {
            value.push('\\');
        }
        value.push(next);
        rest = &rest[at + 1 + next.len_utf8()..];
    }
    value.push_str(rest);
    (value, "")
}

/// The longest name of a pair that is taken for one, in bytes.
const NAME_LEN_MAX: usize = 64;

/// Whether the text can be the name of a pair.
pub(crate) fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b'@');
    text.len() <= NAME_LEN_MAX
        && text.as_bytes().first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && text.bytes().all(is_part)
}

/// Fewest pairs of a line that is taken for one of pairs.
const PAIRS_MIN: usize = 3;

/// The marks of a line that is mostly pairs. The first pair begins the line, and at most a fifth of it is in no pair.
pub(crate) fn detect(text: &str) -> Option<Marks> {
    // The cheap question first: ordinary text has hardly any of them.
    if memchr::memchr_iter(b'=', text.as_bytes()).take(PAIRS_MIN).count() < PAIRS_MIN {
        return None;
    }
    let (name, value) = text.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let after = mark(value).map_or(value, |mark| unquoted(&value[1..], mark).1);
    let between = after.char_indices().take(256).find_map(|(at, letter)| {
        if !matches!(letter, ' ' | ',' | ';' | '|' | '\t') {
            return None;
        }
        let ahead = after[at + 1..].trim_start_matches(' ');
        let (name, _) = ahead[..ahead.floor_char_boundary(NAME_LEN_MAX + 1)].split_once('=')?;
        is_name(name).then_some(letter as u8)
    })?;
    let marks = Marks { between, assign: b'=' };
    let mut pairs = Pairs::new(text, marks);
    let (mut count, mut stray) = (0, 0);
    loop {
        let before = pairs.rest;
        let Some((name, _)) = pairs.next() else {
            stray += before.trim().len();
            break;
        };
        if !is_name(name) {
            stray += before.len() - pairs.rest.len();
            continue;
        }
        count += 1;
        stray += (name.as_ptr() as usize).saturating_sub(before.trim_start().as_ptr() as usize).saturating_sub(2);
    }
    (count >= PAIRS_MIN && stray * 5 <= text.len()).then_some(marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_marks(text: &str, marks: Marks, expected: &[(&str, &str)]) {
        let found: Vec<_> = Pairs::new(text, marks).collect();
        let found: Vec<_> = found.iter().map(|(key, value)| (*key, value.as_str())).collect();
        assert_eq!(found, expected, "input: {text:?}");
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        check_marks(text, Marks::BLANKS, expected);
    }

    #[test]
    fn pairs() {
        check(r#"a=1 b="x y" c="""#, &[("a", "1"), ("b", "x y"), ("c", "")]);
        check(r#"a="say \"hi\" C:\\x \n" b=2"#, &[("a", r#"say "hi" C:\x \n"#), ("b", "2")]);
        check(r#"total=997 MB used="7 MB""#, &[("total", "997"), ("used", "7 MB")]);
        check("a='x y' b=1", &[("a", "x y"), ("b", "1")]);
        check(r#"a="cut"#, &[("a", "cut")]);
        check(r#"a="cut\"#, &[("a", "cut")]);
        check("=x a=1", &[("a", "1")]);
        check("no pairs", &[]);
        check("ă=é", &[("ă", "é")]);
        check("", &[]);
        let marks = Marks { between: b';', assign: b':' };
        check_marks(
            r#"action:"Accept"; src:"192.0.2.1"; port: 53 ;"#,
            marks,
            &[("action", "Accept"), ("src", "192.0.2.1"), ("port", "53")],
        );
        check_marks("a=1 2, b=3", Marks { between: b',', assign: b'=' }, &[("a", "1 2"), ("b", "3")]);
    }

    #[track_caller]
    fn check_found(text: &str, between: Option<u8>) {
        assert_eq!(detect(text).map(|marks| char::from(marks.between)), between.map(char::from), "input: {text:?}");
    }

    #[test]
    fn lines_of_pairs() {
        check_found("a=1 b=2 c=3", Some(b' '));
        check_found(r#"time="2026-11-22T09:00:00Z" level=info msg="hello = world""#, Some(b' '));
        check_found("a=1, b=2, c=x y z", Some(b','));
        check_found("a=1|b=2|c=3", Some(b'|'));
        check_found("a=x y\tb=2\tc=3", Some(b'\t'));
        check_found("a=1; b=2; c=3", Some(b';'));
        check_found("a=1 b=2", None);
        check_found("user logged in from=x a=1 b=2 c=3", None);
        check_found("a=1 and then a very long text that is no pair at all, whatever b=2 one may say of it c=3", None);
        check_found("GET /x?a=1&b=2&c=3", None);
        check_found("é=é=é=é", None);
        check_found("", None);
    }
}
