//! Where secrets stand in a text: behind names of the list in addresses, forms and JSON, before the `@` of an address, in
//! `Authorization`, and tokens that are known by their look. One pass over the bytes; nothing is taken apart.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use smallvec::SmallVec;

use super::MASK;
use super::names::{NAME_LEN_MAX, Names, Reach};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Secrets, in any order; one may be inside of another.
    pub(super) places: SmallVec<[Range<usize>; 4]>,
    /// JSON has a value whose name is a secret only in some places, which its reader knows better.
    pub(super) has_doubtful: bool,
}

/// Texts that a secret may stand behind, besides `=`. The first match counts, because then many bytes are looked at at once.
static MARKS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(MARK_TEXTS.map(|(text, _)| text)).ok()
});

#[derive(Clone, Copy)]
enum Mark {
    Address,
    Authorization,
    Bearer,
    Basic,
    Jwt,
    /// `=` as it is written inside of an address or of JSON.
    Assign,
    Xml,
}

const MARK_TEXTS: [(&str, Mark); 16] = [
    ("://", Mark::Address),
    (r":\/\/", Mark::Address),
    ("uthorization", Mark::Authorization),
    ("UTHORIZATION", Mark::Authorization),
    ("earer ", Mark::Bearer),
    ("EARER ", Mark::Bearer),
    ("asic ", Mark::Basic),
    ("ASIC ", Mark::Basic),
    ("eyJ", Mark::Jwt),
    ("%3D", Mark::Assign),
    ("%3d", Mark::Assign),
    ("%253D", Mark::Assign),
    ("%253d", Mark::Assign),
    (r"\u003d", Mark::Assign),
    (r"\u003D", Mark::Assign),
    ("assword>", Mark::Xml),
];

/// The longest user, password and host of an address, and the shortest word that is a token, in bytes.
const USERINFO_LEN_MAX: usize = 512;
const TOKEN_LEN_MIN: usize = 8;
const CUT_TOKEN_LEN_MIN: usize = 4;
const JWT_LEN_MIN: usize = 20;

pub(super) fn scan(text: &[u8], names: &Names) -> Found {
    let mut found = Found::default();
    for at in memchr::memchr_iter(b'=', text) {
        assigned(text, names, at..at + 1, &mut found);
    }
    for mark in MARKS.iter().flat_map(|marks| marks.find_iter(text)) {
        let (place, end) = (mark.range(), mark.end());
        let secret = match MARK_TEXTS.get(mark.pattern().as_usize()).map(|(_, mark)| *mark) {
            Some(Mark::Assign) => {
                assigned(text, names, place, &mut found);
                None
            }
            Some(Mark::Address) => userinfo(text, end),
            Some(Mark::Authorization) => credentials(text, end),
            Some(Mark::Bearer) => bearer(text, end),
            Some(Mark::Basic) => basic(text, end),
            Some(Mark::Jwt) => jwt(text, place.start),
            Some(Mark::Xml) => Some(end..end + memchr::memchr(b'<', &text[end..]).unwrap_or(text.len() - end)),
            None => None,
        };
        found.places.extend(secret);
    }
    if memchr::memchr(b'{', text).is_some() {
        let (close, spaced) = (memchr::memmem::find_iter(text, b"\":"), memchr::memmem::find_iter(text, b"\" :"));
        for at in close.chain(spaced) {
            member(text, names, at, &mut found);
        }
    }
    found.places.retain(|place| text.get(place.clone()).is_some_and(|secret| !secret.is_empty() && secret != MASK));
    found
}

/// `name=value`, where `assign` is how the `=` is written.
fn assigned(text: &[u8], names: &Names, assign: Range<usize>, found: &mut Found) {
    let before = &text[..assign.start];
    let Some(last) = before.last() else { return };
    if !names.may_end(before) && !matches!(last, b']' | b'\\' | b'D' | b'd') {
        return;
    }
    let Some((name, lead)) = name_before(before) else { return };
    let Some(reach) = names.find(name) else { return };
    // A form begins behind a quotation mark, and so do variables of an environment: `"PWD=/home"`.
    let is_variable = lead == Lead::Quote && name.iter().all(u8::is_ascii_uppercase);
    if reach == Reach::Query && (lead == Lead::Other || is_variable) {
        return;
    }
    let from = assign.end;
    // The value of an address inside of an address ends where the outer one says so.
    let is_encoded = lead == Lead::Encoded || text.get(assign.start) == Some(&b'%');
    let place = match text.get(from) {
        Some(quote @ (b'"' | b'\'')) => {
            let inside = &text[from + 1..];
            from + 1..from + 1 + memchr::memchr(*quote, inside).unwrap_or(inside.len())
        }
        _ => from..from + value_len(&text[from..], is_encoded),
    };
    found.places.push(place);
}

/// What stands before a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lead {
    /// The beginning, or what separates the parts of a query.
    Query,
    /// The same, as it is written inside of an address.
    Encoded,
    Quote,
    /// A bracket.
    Other,
}

fn is_name(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// The name at the end of the text, if something stands before it that names stand behind.
fn name_before(text: &[u8]) -> Option<(&[u8], Lead)> {
    // CEF writes `\=`.
    let text = text.strip_suffix(b"\\").unwrap_or(text);
    // `user[password]=`
    let inner = text.strip_suffix(b"]").or_else(|| text.strip_suffix(b"%5D")).or_else(|| text.strip_suffix(b"%5d"));
    let text = inner.unwrap_or(text);
    let len = text.iter().rev().take(NAME_LEN_MAX + 1).take_while(|byte| is_name(byte)).count();
    let (before, name) = text.split_at(text.len() - len);
    let Some(lead) = before.last() else { return Some((name, Lead::Query)) };
    match lead {
        b'?' | b'&' | b';' | b'[' | b'\n' | b'\r' => Some((name, Lead::Query)),
        b'"' | b'\'' => Some((name, Lead::Quote)),
        b'{' | b'(' | b'|' | b'>' => Some((name, Lead::Other)),
        // What is written as a number begins with letters of the name.
        b'%' => {
            let name = name.strip_prefix(b"25").unwrap_or(name);
            let (code, name) = name.split_at_checked(2)?;
            let is_lead =
                [b"3F", b"26", b"3B", b"5B", b"22", b"7B"].iter().any(|lead| code.eq_ignore_ascii_case(*lead));
            is_lead.then_some((name, Lead::Encoded))
        }
        b'\\' => {
            const CODES: [&[u8]; 9] = [b"u0026", b"u003f", b"u003F", b"u003b", b"u003B", b"x26", b"n", b"r", b"t"];
            let name = CODES.iter().find_map(|code| name.strip_prefix(*code))?;
            Some((name, Lead::Query))
        }
        _ => None,
    }
}

/// How far a value of a query or a form reaches. What could be a part of a secret is taken as one.
fn value_len(text: &[u8], is_encoded: bool) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let next = text.get(at + 1);
        let ends_word =
            next.is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b'"' | b'\'' | b',' | b'}' | b']'));
        match byte {
            b'&' | b'"' | b'<' | b'>' | b'#' | b'|' | b'`' => break,
            _ if byte.is_ascii_whitespace() || *byte < b' ' => break,
            b',' | b')' | b']' | b'}' if ends_word => break,
            b'\'' if next.is_none_or(|next| !next.is_ascii_alphanumeric()) => break,
            // Between the parts of a query, or a part of the value?
            b';' => {
                let rest = &text[at + 1..];
                let name_len = rest.iter().take(NAME_LEN_MAX).take_while(|byte| is_name(byte)).count();
                let has_name = name_len > 0 && matches!(rest.get(name_len), Some(b'=' | b'%'));
                if has_name || ends_word {
                    break;
                }
                at += 1;
            }
            b'%' if is_encoded => {
                let code = text.get(at + 1..at + 5).map(|code| code.strip_prefix(b"25").unwrap_or(code));
                let code = code.or(text.get(at + 1..at + 3)).and_then(|code| code.get(..2)).unwrap_or_default();
                if [b"26", b"23", b"22", b"20", b"3B"].iter().any(|end| code.eq_ignore_ascii_case(*end)) {
                    break;
                }
                at += 1;
            }
            b'\\' => match next {
                Some(b'"' | b'\'' | b'n' | b'r' | b't') => break,
                Some(b'u') => {
                    let code = text.get(at + 2..at + 6).unwrap_or_default();
                    if [b"0026", b"003b", b"0023", b"0022", b"0020", b"003c", b"003e"]
                        .iter()
                        .any(|end| code.eq_ignore_ascii_case(*end))
                    {
                        break;
                    }
                    at += 2;
                }
                _ => at += 2,
            },
            _ => at += 1,
        }
    }
    at.min(text.len())
}

/// The password in `://user:password@host`; `from` is behind the slashes.
fn userinfo(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &text[from..text.len().min(from + USERINFO_LEN_MAX)];
    let is_end =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'?' | b'#' | b'"' | b'<' | b'>' | b'\\');
    let authority = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
    let colon = memchr::memchr(b':', authority)?;
    match memchr::memrchr(b'@', authority) {
        Some(at) if at > colon => Some(from + colon + 1..from + at),
        Some(_) => None,
        // Cut off before the host. A port is digits.
        None => {
            let is_cut = from + authority.len() == text.len();
            let rest = &authority[colon + 1..];
            let is_host = rest.iter().all(u8::is_ascii_digit) || authority.starts_with(b"[");
            (is_cut && !is_host).then_some(from + colon + 1..text.len())
        }
    }
}

/// Schemes of HTTP's authentication, in small letters.
const SCHEMES: [&[u8]; 9] =
    [b"bearer", b"basic", b"digest", b"negotiate", b"ntlm", b"token", b"apikey", b"dpop", b"aws4-hmac-sha256"];

/// What follows `Authorization`.
fn credentials(text: &[u8], from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let marks =
        rest.iter().take(12).take_while(|byte| matches!(byte, b'"' | b'\\' | b':' | b'=' | b' ' | b'\'')).count();
    let between = &rest[..marks];
    if !between.iter().any(|byte| matches!(byte, b':' | b'=')) {
        return None;
    }
    let is_quoted = matches!(between.last(), Some(b'"' | b'\''));
    let value = &rest[marks..];
    let word = value.iter().take(32).take_while(|byte| is_name(byte)).count();
    let is_scheme = SCHEMES.iter().any(|scheme| value[..word].eq_ignore_ascii_case(scheme));
    let start = match (is_scheme, is_quoted) {
        (true, _) => word + value[word..].iter().take_while(|byte| matches!(byte, b' ' | b'+')).count(),
        (false, true) => 0,
        // A sentence: `authorization: refused`.
        (false, false) => return None,
    };
    let secret = &value[start..];
    let len = match is_quoted {
        // Digest has quotation marks of its own, which are written out.
        true => quoted_len(secret, between.iter().rev().skip(1).take_while(|byte| **byte == b'\\').count()),
        false if value[..word].eq_ignore_ascii_case(b"digest") => {
            secret.iter().take_while(|byte| **byte != b'\n').count()
        }
        false => word_len(secret),
    };
    Some(from + marks + start..from + marks + start + len)
}

fn word_len(text: &[u8]) -> usize {
    let is_end =
        |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'}' | b'|' | b'\\');
    text.iter().position(is_end).unwrap_or(text.len())
}

/// A token behind `Bearer `, which is more than a word of a sentence.
fn bearer(text: &[u8], from: usize) -> Option<Range<usize>> {
    let word = &text[from..from + word_len(&text[from..])];
    // At the end of the record it may be cut off.
    let is_cut = from + word.len() == text.len() && word.len() >= CUT_TOKEN_LEN_MIN;
    let is_token = word.len() >= TOKEN_LEN_MIN && (word.len() >= JWT_LEN_MIN || word.iter().any(u8::is_ascii_digit));
    let is_token = (is_token || is_cut) && word.iter().all(|byte| byte.is_ascii_graphic());
    is_token.then_some(from..from + word.len())
}

/// User and password behind `Basic `.
fn basic(text: &[u8], from: usize) -> Option<Range<usize>> {
    let word = &text[from..from + word_len(&text[from..])];
    let bare_len = word.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    // The end may be cut off, so whole groups are looked at.
    let groups = word.get(..bare_len / 4 * 4)?;
    let said = STANDARD_NO_PAD.decode(groups).ok()?;
    (word.len() >= 6 && said.contains(&b':')).then_some(from..from + word.len())
}

/// A signed token: parts of base64 with dots between them, the first one a JSON object.
fn jwt(text: &[u8], start: usize) -> Option<Range<usize>> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if text[..start].last().is_some_and(|before| is_part(before) || *before == b'.') {
        return None;
    }
    let len = text[start..].iter().take_while(|byte| is_part(byte) || **byte == b'.').count();
    let token = &text[start..start + len];
    (len >= JWT_LEN_MIN && token.contains(&b'.')).then_some(start..start + len)
}

/// The value of a JSON object's member; `at` is the quotation mark behind its name.
fn member(text: &[u8], names: &Names, at: usize, found: &mut Found) {
    let before = text[..at].strip_suffix(b"\\").unwrap_or(&text[..at]);
    if !names.may_end(before) {
        return;
    }
    let len = before.iter().rev().take(NAME_LEN_MAX + 1).take_while(|byte| is_name(byte)).count();
    let (lead, name) = before.split_at(before.len() - len);
    if lead.last() != Some(&b'"') {
        return;
    }
    match names.find(name) {
        None => return,
        Some(Reach::Query) => {
            found.has_doubtful = true;
            return;
        }
        Some(Reach::Anywhere | Reach::Alone) => (),
    }
    let colon = at + 1 + usize::from(text.get(at + 1) == Some(&b' '));
    let value = colon
        + 1
        + text.get(colon + 1..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    match text.get(value) {
        // A list, or a number: the reader of the object sees to it.
        Some(b'[' | b'0'..=b'9' | b'-') => found.has_doubtful = true,
        _ => {
            // Inside of a text the quotation marks are written out.
            let outs = text[value..].iter().take(8).take_while(|byte| **byte == b'\\').count();
            let Some(b'"') = text.get(value + outs) else { return };
            let from = value + outs + 1;
            found.places.push(from..from + quoted_len(&text[from..], outs));
        }
    }
}

/// How far a quoted text reaches; `outs` is how many backslashes stand before the mark that opened it.
fn quoted_len(text: &[u8], outs: usize) -> usize {
    for at in memchr::memchr_iter(b'"', text) {
        let before = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if outs == 0 && before % 2 == 0 {
            return at;
        }
        if outs > 0 && before <= outs {
            return at - before;
        }
    }
    text.len()
}
