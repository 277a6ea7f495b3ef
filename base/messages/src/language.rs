//! The languages, and how a reader's wish is read.

use std::fmt;

/// A language that every text exists in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Language {
    #[default]
    Vi,
    En,
}

impl Language {
    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    /// The tag of BCP 47, without region.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// The language of a tag such as `vi`, `vi-VN` or `en_US.UTF-8`; the region does not matter.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_', '.']).next()?.trim();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// The best language for an `Accept-Language` header; `None` if it asks for none of ours.
    ///
    /// Source: RFC 9110, section 12.5.4. A weight that cannot be read counts as 0.
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        // The header is the caller's; real ones have a handful of entries.
        for entry in header.split(',').take(32) {
            let mut parts = entry.split(';');
            let Some(language) = parts.next().and_then(Self::from_tag) else { continue };
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1.0, |weight| {
                weight.trim().parse::<f32>().ok().filter(|weight| weight.is_finite()).unwrap_or(0.0)
            });
            if weight > 0.0 && best.is_none_or(|(other, _)| weight > other) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<Language>) {
        assert_eq!(Language::from_accept_language(header), expected, "header: {header:?}");
    }

    #[test]
    fn accept_language() {
        check("vi-VN,vi;q=0.9,en-US;q=0.8,en;q=0.7", Some(Language::Vi));
        check("en-US,en;q=0.9,vi;q=0.8", Some(Language::En));
        check("fr, en;q=0.5, vi;q=0.6", Some(Language::Vi));
        check("EN", Some(Language::En));
        check("en;q=0, vi;q=0.1", Some(Language::Vi));
        check("en;q=x, vi;q=NaN", None);
        check("fr;q=1, *;q=0.5", None);
        check("", None);
        check(",,;;", None);
    }

    #[test]
    fn tags() {
        assert_eq!(Language::from_tag("vi_VN.UTF-8"), Some(Language::Vi));
        assert_eq!(Language::from_tag("en"), Some(Language::En));
        assert_eq!(Language::from_tag("C.UTF-8"), None);
        assert_eq!(Language::from_tag("view"), None);
    }
}
