//! Modifiers that turn a value into what it looks like after somebody encoded it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::glob::Part;

/// Texts that `windash` makes of one value at most; each dash multiplies them by five.
const WINDASH_MAX: usize = 5_usize.pow(5);

const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

pub(super) fn utf16(text: &[u8], big_endian: bool, mark: bool) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let units = text.encode_utf16().flat_map(|unit| if big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() });
    let mark: &[u8] = if mark { &[0xFF, 0xFE] } else { &[] };
    mark.iter().copied().chain(units).collect()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The part of the encoding that does not depend on the neighbours, for each of the three places that the bytes
/// can have in a group of three.
pub(super) fn base64_offsets(bytes: &[u8]) -> [String; 3] {
    let at = |shift: usize| {
        let mut shifted = vec![b' '; shift];
        shifted.extend_from_slice(bytes);
        let encoded = STANDARD.encode(&shifted);
        let begin = [0, 2, 3][shift];
        let end = encoded.len() - [0, 3, 2][shifted.len() % 3];
        encoded.get(begin..end).unwrap_or("").to_owned()
    };
    [at(0), at(1), at(2)]
}

/// The value with each dash of an option written in each of five ways: a dash or slash that stands at the
/// beginning of a word (in the words of regular expressions, `\B[-/]\b`).
pub(super) fn windash(parts: &[Part]) -> Option<Vec<Vec<Part>>> {
    let mut all: Vec<Vec<Part>> = vec![Vec::new()];
    for part in parts {
        let variants = match part {
            Part::Text(text) => windash_text(text, WINDASH_MAX / all.len())?,
            other => {
                all.iter_mut().for_each(|parts| parts.push(other.clone()));
                continue;
            }
        };
        all = variants
            .iter()
            .flat_map(|variant| all.iter().map(|parts| [parts.as_slice(), &[Part::Text(variant.clone())]].concat()))
            .collect();
    }
    Some(all)
}

fn windash_text(text: &str, max: usize) -> Option<Vec<String>> {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut all = vec![String::new()];
    let mut before = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if matches!(c, '-' | '/') && !is_word(before) && is_word(chars.peek().copied()) {
            if all.len() * DASHES.len() > max {
                return None;
            }
            all = DASHES.iter().flat_map(|dash| all.iter().map(move |text| format!("{text}{dash}"))).collect();
        } else {
            all.iter_mut().for_each(|text| text.push(c));
        }
        before = Some(c);
    }
    Some(all)
}
