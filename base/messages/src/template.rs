//! Puts values into the places of a text.

use crate::{Key, Language};

/// The text of `key` in `language`, with each `{name}` replaced by the value of that name.
///
/// A place without a value stays as it is written, so that a forgotten value is seen and never hides the message.
/// Values are put in as they are: escaping belongs to whoever shows the text.
pub fn render(key: Key, language: Language, values: &[(&str, &str)]) -> String {
    let mut rest = key.text(language);
    let mut out = String::with_capacity(rest.len() + 32);
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => out.push_str(value),
            None => out.extend(["{", name, "}"]),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Whether every `{name}` of the text is one of `names` and every one of `names` is used. Runs when the catalogue is
/// compiled, hence without the comforts of iterators.
pub(crate) const fn places_match(text: &str, names: &[&str]) -> bool {
    let text = text.as_bytes();
    let mut used = 0;
    let mut seen: u32 = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'{' {
            at += 1;
            continue;
        }
        let start = at + 1;
        while at < text.len() && text[at] != b'}' {
            at += 1;
        }
        if at == text.len() {
            return false;
        }
        let Some(row) = position(text, start, at, names) else { return false };
        if seen & (1 << row) == 0 {
            seen |= 1 << row;
            used += 1;
        }
    }
    used == names.len()
}

const fn position(text: &[u8], start: usize, end: usize, names: &[&str]) -> Option<usize> {
    let mut row = 0;
    while row < names.len() {
        let name = names[row].as_bytes();
        let mut same = name.len() == end - start;
        let mut at = 0;
        while same && at < name.len() {
            same = name[at] == text[start + at];
            at += 1;
        }
        if same {
            return Some(row);
        }
        row += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_places(text: &str, names: &[&str], expected: bool) {
        assert_eq!(places_match(text, names), expected, "text: {text:?}, names: {names:?}");
    }

    #[test]
    fn places() {
        check_places("no place", &[], true);
        check_places("one {a} and {b}, {a} again", &["a", "b"], true);
        check_places("{a}", &[], false);
        check_places("text", &["a"], false);
        check_places("{a", &["a"], false);
        check_places("{ab}", &["a", "b"], false);
    }

    #[test]
    fn every_text_is_filled_in_in_every_language() {
        for key in Key::ALL {
            let values: Vec<(&str, &str)> = key.names().iter().map(|name| (*name, "VALUE")).collect();
            for language in Language::ALL {
                let text = render(*key, language, &values);
                assert!(!text.is_empty() && !text.contains('{') && !text.contains('}'), "{}: {text}", key.name());
                assert!(!text.ends_with('.'), "{}: a message has no final full stop: {text}", key.name());
            }
            assert_eq!(Key::from_name(key.name()), Some(*key));
        }
    }

    #[test]
    fn values_are_not_read_as_places() {
        let text = render(Key::QueryInvalid, Language::En, &[("problem", "{column}"), ("column", "7")]);
        assert!(text.contains("{column}") && text.contains('7'), "{text}");
    }

    #[test]
    fn a_forgotten_value_is_seen() {
        assert!(render(Key::QueryInvalid, Language::En, &[]).contains("{problem}"));
    }
}
