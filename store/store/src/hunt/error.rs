//! Why a hunt was not understood.

/// What is wrong, where, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}{}", .suggestion.as_ref().map(|text| format!("; {text}")).unwrap_or_default())]
pub struct HuntError {
    /// The first sign that is wrong, counted from 1 in letters, not bytes.
    pub column: usize,
    /// How many signs are wrong; at least 1.
    pub len: usize,
    pub message: String,
    /// What to do about it.
    pub suggestion: Option<String>,
}

impl HuntError {
    /// An error over the bytes `start..end` of `text`.
    pub(super) fn at(text: &str, start: usize, end: usize, message: impl Into<String>) -> Self {
        let count = |end: usize| text.get(..end).map_or(0, |before| before.chars().count());
        let column = count(start);
        Self {
            column: column + 1,
            len: count(end).saturating_sub(column).max(1),
            message: message.into(),
            suggestion: None,
        }
    }

    #[must_use]
    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// The hunt with a mark below the place, for terminals. The hunt is shown as it is: escape it first if it comes
    /// from elsewhere.
    pub fn marked(&self, text: &str) -> String {
        format!("{text}\n{}{}", " ".repeat(self.column - 1), "^".repeat(self.len))
    }
}
