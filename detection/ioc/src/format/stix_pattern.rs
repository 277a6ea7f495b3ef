//! STIX patterns that name single values: comparisons of one property with `=` or `IN` (and `ISSUBSET` for networks),
//! joined by `OR`, in one or several observations joined by `OR`. Everything else is refused by name.
//!
//! Source: STIX 2.1, section 9 (STIX patterning).

use crate::kind::IndicatorKind;

/// Comparisons of one pattern that are read.
const COMPARISONS_MAX: usize = 1_000;

/// What a pattern names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) values: Vec<(IndicatorKind, String)>,
    /// Alternatives that are no indicators of ours; the others hold without them.
    pub(super) unknown: Vec<String>,
}

/// Reads a pattern, or says why it cannot be held.
pub(super) fn read(text: &str) -> Result<Pattern, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, pattern: Pattern::default() };
    reader.observations()?;
    Ok(reader.pattern)
}

#[derive(Clone, PartialEq, Debug)]
enum Token<'t> {
    /// A keyword or a path such as `file:hashes.'SHA-256'`.
    Word(&'t str),
    /// A text between quotes, escapes resolved.
    Text(String),
    Sign(char),
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if tokens.len() > 8 * COMPARISONS_MAX {
            return Err(format!("the pattern has more than {COMPARISONS_MAX} comparisons"));
        }
        let len = match first {
            '\'' => {
                let (value, len) = string(rest)?;
                tokens.push(Token::Text(value));
                len
            }
            '[' | ']' | '(' | ')' | ',' | '=' => {
                tokens.push(Token::Sign(first));
                1
            }
            '!' | '<' | '>' => return Err(format!("the comparison `{first}` cannot be held; only `=` and `IN` can")),
            sign if sign.is_alphanumeric() || matches!(sign, '_' | '-') => {
                let len = word_len(rest)?;
                tokens.push(Token::Word(rest.get(..len).unwrap_or_default()));
                len
            }
            other => return Err(format!("`{}` is not understood", other.escape_default())),
        };
        rest = rest.get(len..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// A text in quotes and how long it is with them.
fn string(text: &str) -> Result<(String, usize), String> {
    let mut value = String::new();
    let mut signs = text.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\'' => return Ok((value, at + 1)),
            '\\' => value.extend(signs.next().map(|(_, sign)| sign)),
            sign => value.push(sign),
        }
    }
    Err("a text has no closing quote".to_owned())
}

/// Length of a path or keyword; parts of a path may be in quotes or have an index.
fn word_len(text: &str) -> Result<usize, String> {
    let mut at = 0;
    while let Some(sign) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        match sign {
            '\'' => at += string(rest)?.1,
            '[' => at += rest.find(']').map_or(rest.len(), |end| end + 1),
            sign if sign.is_alphanumeric() || matches!(sign, '_' | '-' | '.' | ':') => at += sign.len_utf8(),
            _ => break,
        }
    }
    Ok(at)
}

struct Reader<'t> {
    tokens: &'t [Token<'t>],
    pattern: Pattern,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.first()
    }

    fn next(&mut self) -> Option<&'t Token<'t>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn sign(&mut self, expected: char) -> Result<(), String> {
        match self.next() {
            Some(Token::Sign(sign)) if *sign == expected => Ok(()),
            other => Err(format!("`{expected}` is expected{}", found(other))),
        }
    }

    /// Whether the next word is this keyword; takes it then.
    fn keyword(&mut self, name: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(name));
        if is {
            self.next();
        }
        is
    }

    fn observations(&mut self) -> Result<(), String> {
        loop {
            // Parentheses around observations that are joined by `OR` change nothing.
            let mut open = 0_usize;
            while self.peek() == Some(&Token::Sign('(')) {
                self.next();
                open += 1;
            }
            self.sign('[')?;
            self.alternatives()?;
            self.sign(']')?;
            while self.peek() == Some(&Token::Sign(')')) {
                self.next();
                open = open.saturating_sub(1);
            }
            match self.next() {
                None => return Ok(()),
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("OR") => (),
                Some(Token::Word(word)) => return Err(cannot(word)),
                other => return Err(format!("`OR` or the end is expected{}", found(other))),
            }
        }
    }

    /// Comparisons joined by `OR`, up to the bracket that closes them.
    fn alternatives(&mut self) -> Result<(), String> {
        let mut open = 0_usize;
        loop {
            while self.peek() == Some(&Token::Sign('(')) {
                self.next();
                open += 1;
            }
            self.comparison()?;
            while open > 0 && self.peek() == Some(&Token::Sign(')')) {
                self.next();
                open -= 1;
            }
            match self.peek() {
                Some(Token::Sign(']')) if open == 0 => return Ok(()),
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("OR") => drop(self.next()),
                Some(Token::Word(word)) => return Err(cannot(word)),
                other => return Err(format!("`OR` or `]` is expected{}", found(other))),
            }
        }
    }

    fn comparison(&mut self) -> Result<(), String> {
        let path = match self.next() {
            Some(Token::Word(word)) if word.contains(':') => *word,
            Some(Token::Word(word)) => return Err(cannot(word)),
            other => return Err(format!("the path of a property is expected{}", found(other))),
        };
        if let Some(Token::Word(word)) = self.peek()
            && word.eq_ignore_ascii_case("NOT")
        {
            return Err(cannot(word));
        }
        let mut values = Vec::new();
        if self.keyword("IN") {
            self.sign('(')?;
            loop {
                values.push(self.value()?);
                match self.next() {
                    Some(Token::Sign(',')) => (),
                    Some(Token::Sign(')')) => break,
                    other => return Err(format!("`,` or `)` is expected{}", found(other))),
                }
            }
        } else if self.keyword("ISSUBSET") {
            values.push(self.value()?);
        } else if let Some(Token::Word(word)) = self.peek() {
            return Err(cannot(word));
        } else {
            self.sign('=')?;
            values.push(self.value()?);
        }
        match kind_of(path) {
            Some(kind) => self.pattern.values.extend(values.into_iter().map(|value| (kind, value))),
            None => self.pattern.unknown.push(path.chars().take(80).collect()),
        }
        Ok(())
    }

    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text.clone()),
            // Numbers, and binaries such as `h'ff'`, are values of properties that are no indicators.
            Some(Token::Word(word)) => Ok((*word).to_owned()),
            other => Err(format!("a value is expected{}", found(other))),
        }
    }
}

fn found(token: Option<&Token<'_>>) -> String {
    match token {
        None => ", but the pattern ends".to_owned(),
        Some(Token::Sign(sign)) => format!(", not `{sign}`"),
        Some(Token::Word(word)) => format!(", not `{}`", word.chars().take(40).collect::<String>()),
        Some(Token::Text(_)) => ", not a text".to_owned(),
    }
}

/// Why this keyword cannot be held.
fn cannot(word: &str) -> String {
    let upper: String = word.chars().take(40).collect::<String>().to_ascii_uppercase();
    match upper.as_str() {
        "AND" => "`AND` joins conditions, and an indicator is one value; write it as a Sigma rule".to_owned(),
        "FOLLOWEDBY" => {
            "`FOLLOWEDBY` orders observations, and an indicator is one value; write it as a correlation".to_owned()
        }
        "WITHIN" | "REPEATS" | "START" | "STOP" => {
            format!("the qualifier `{upper}` cannot be held; write it as a correlation")
        }
        "LIKE" | "MATCHES" | "ISSUPERSET" | "EXISTS" | "NOT" => {
            format!("`{upper}` cannot be held; only `=`, `IN` and `ISSUBSET` can")
        }
        _ => format!("`{upper}` is not understood"),
    }
}

/// Which indicator a property is.
fn kind_of(path: &str) -> Option<IndicatorKind> {
    let path = path.to_ascii_lowercase().replace('\'', "");
    let (object, property) = path.split_once(':')?;
    let reference = |names: &[&str]| names.contains(&property);
    match object {
        "ipv4-addr" | "ipv6-addr" if property == "value" => Some(IndicatorKind::Ip),
        "domain-name" if property == "value" => Some(IndicatorKind::Domain),
        "url" if property == "value" => Some(IndicatorKind::Url),
        "email-addr" if property == "value" => Some(IndicatorKind::Email),
        "email-message" if reference(&["from_ref.value", "sender_ref.value"]) => Some(IndicatorKind::Email),
        "network-traffic" if reference(&["src_ref.value", "dst_ref.value"]) => Some(IndicatorKind::Domain),
        "network-traffic" if property.ends_with("request_header.user-agent") => Some(IndicatorKind::UserAgent),
        "network-traffic" if property.ends_with(".ja3") || property.ends_with("ja3_hash") => Some(IndicatorKind::Ja3),
        "network-traffic" if property.ends_with(".ja3s") || property.ends_with("ja3s_hash") => {
            Some(IndicatorKind::Ja3s)
        }
        "file" | "artifact" => IndicatorKind::from_name(property.strip_prefix("hashes.")?).filter(|kind| {
            matches!(kind, IndicatorKind::Md5 | IndicatorKind::Sha1 | IndicatorKind::Sha256 | IndicatorKind::Sha512)
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: Result<&[(&str, &str)], &str>) {
        let found = read(pattern);
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                let shown: Vec<_> = found.values.iter().map(|(kind, value)| (kind.name(), value.as_str())).collect();
                assert_eq!(shown, expected, "pattern: {pattern}");
            }
            (Err(found), Err(expected)) => assert!(found.contains(expected), "pattern: {pattern}, error: {found}"),
            (found, _) => panic!("pattern: {pattern}, got {found:?}"),
        }
    }

    #[test]
    fn patterns() {
        check("[ipv4-addr:value = '198.51.100.7']", Ok(&[("ip", "198.51.100.7")]));
        check("[ipv4-addr:value='198.51.100.7']", Ok(&[("ip", "198.51.100.7")]));
        check(
            "[ipv4-addr:value = '198.51.100.7' OR domain-name:value = 'evil.example']",
            Ok(&[("ip", "198.51.100.7"), ("domain", "evil.example")]),
        );
        check(
            "[(url:value = 'http://evil.example/') OR (url:value = 'http://b.example/')]",
            Ok(&[("url", "http://evil.example/"), ("url", "http://b.example/")]),
        );
        check("[file:hashes.'SHA-256' = 'aa'] OR [file:hashes.MD5 = 'bb']", Ok(&[("sha256", "aa"), ("md5", "bb")]));
        check("([file:hashes.\u{27}SHA-1\u{27} = 'aa'])", Ok(&[("sha1", "aa")]));
        check(
            "[domain-name:value IN ('a.example', 'b.example')]",
            Ok(&[("domain", "a.example"), ("domain", "b.example")]),
        );
        check("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", Ok(&[("ip", "198.51.100.0/24")]));
        check("[email-message:from_ref.value = 'a@evil.example']", Ok(&[("email", "a@evil.example")]));
        check(
            "[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'it\\'s']",
            Ok(&[("user_agent", "it's")]),
        );
        check("[file:name = 'a.exe' AND file:hashes.MD5 = 'bb']", Err("`AND` joins conditions"));
        check("[ipv4-addr:value = 'a'] AND [ipv4-addr:value = 'b']", Err("`AND` joins conditions"));
        check("[ipv4-addr:value = 'a'] FOLLOWEDBY [ipv4-addr:value = 'b']", Err("`FOLLOWEDBY`"));
        check("[ipv4-addr:value = 'a'] WITHIN 5 SECONDS", Err("`WITHIN`"));
        check("[domain-name:value LIKE '%.example']", Err("`LIKE`"));
        check("[domain-name:value MATCHES 'a']", Err("`MATCHES`"));
        check("[domain-name:value NOT = 'a']", Err("`NOT`"));
        check("[domain-name:value != 'a']", Err("comparison `!`"));
        check("[domain-name:value = 'a", Err("closing quote"));
        check("[domain-name:value = ]", Err("a value is expected"));
        check("domain-name:value = 'a'", Err("`[` is expected"));
        check("[(domain-name:value = 'a']", Err("`OR` or `]`"));
        check("", Err("`[` is expected"));
        assert_eq!(
            read("[file:name = 'a' OR file:hashes.MD5 = 'b']").map(|pattern| pattern.unknown),
            Ok(vec!["file:name".to_owned()])
        );
    }
}
