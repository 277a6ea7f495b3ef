//! Wildcard patterns. `*` stands for any characters, line breaks included, `?` for exactly one.

/// One piece of a pattern, escapes resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Text(String),
    /// `*`
    Many,
    /// `?`
    One,
}

/// Splits a pattern as the specification says ("Escaping"): `\*`, `\?` and `\\` are the second character;
/// a backslash before anything else is itself.
pub(crate) fn parse(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        let part = match c {
            '\\' => {
                let escaped = chars.next_if(|next| matches!(next, '*' | '?' | '\\'));
                text.push(escaped.unwrap_or('\\'));
                continue;
            }
            '*' => Part::Many,
            '?' => Part::One,
            other => {
                text.push(other);
                continue;
            }
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        // Two stars in a row say the same as one.
        if part != Part::Many || parts.last() != Some(&Part::Many) {
            parts.push(part);
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Atom {
    Text(String),
    One,
}

/// A pattern ready to match: runs of text and single characters, with any text between the runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Glob {
    runs: Vec<Vec<Atom>>,
    open_start: bool,
    open_end: bool,
}

impl Glob {
    pub(crate) fn new(parts: &[Part]) -> Self {
        let mut runs: Vec<Vec<Atom>> = vec![Vec::new()];
        for part in parts {
            match part {
                Part::Many => runs.push(Vec::new()),
                Part::One => runs.last_mut().into_iter().for_each(|run| run.push(Atom::One)),
                Part::Text(text) => runs.last_mut().into_iter().for_each(|run| run.push(Atom::Text(text.clone()))),
            }
        }
        let open_start = parts.first() == Some(&Part::Many);
        let open_end = parts.last() == Some(&Part::Many);
        let one_run = runs.len() == 1;
        if !one_run {
            runs.retain(|run| !run.is_empty());
        }
        Self { runs, open_start, open_end }
    }

    /// The longest text that must occur.
    pub(crate) fn literal(&self) -> Option<&str> {
        let texts = self.runs.iter().flatten().filter_map(|atom| match atom {
            Atom::Text(text) => Some(text.as_str()),
            Atom::One => None,
        });
        texts.max_by_key(|text| text.len())
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut runs = self.runs.as_slice();
        let mut rest = text;
        if !self.open_start {
            let Some((first, others)) = runs.split_first() else { return text.is_empty() || self.open_end };
            let Some(end) = match_at(first, rest) else { return false };
            if others.is_empty() && !self.open_end {
                return end == rest.len();
            }
            rest = &rest[end..];
            runs = others;
        }
        if !self.open_end {
            let Some((last, others)) = runs.split_last() else { return true };
            let Some(begin) = match_end(last, rest) else { return false };
            rest = &rest[..begin];
            runs = others;
        }
        runs.iter().all(|run| match find(run, rest) {
            Some(end) => {
                rest = &rest[end..];
                true
            }
            None => false,
        })
    }
}

/// Where the run ends if it stands at the beginning of `text`.
fn match_at(run: &[Atom], text: &str) -> Option<usize> {
    let mut rest = text;
    for atom in run {
        rest = match atom {
            Atom::Text(part) => rest.strip_prefix(part.as_str())?,
            Atom::One => {
                let mut chars = rest.chars();
                chars.next()?;
                chars.as_str()
            }
        };
    }
    Some(text.len() - rest.len())
}

/// Where the run begins if it stands at the end of `text`.
fn match_end(run: &[Atom], text: &str) -> Option<usize> {
    let mut rest = text;
    for atom in run.iter().rev() {
        rest = match atom {
            Atom::Text(part) => rest.strip_suffix(part.as_str())?,
            Atom::One => {
                let mut chars = rest.chars();
                chars.next_back()?;
                chars.as_str()
            }
        };
    }
    Some(rest.len())
}

/// Where the first occurrence of the run in `text` ends.
fn find(run: &[Atom], text: &str) -> Option<usize> {
    if let [Atom::Text(part)] = run {
        return memchr::memmem::find(text.as_bytes(), part.as_bytes()).map(|begin| begin + part.len());
    }
    text.char_indices()
        .map(|(begin, _)| begin)
        .chain([text.len()])
        .find_map(|begin| match_at(run, &text[begin..]).map(|len| begin + len))
}
