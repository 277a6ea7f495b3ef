//! How bad it is.

use std::fmt;
use std::str::FromStr;

/// Severity of a rule and of what it finds. Names and order are those of the Sigma specification (`level`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    /// From harmless to worst.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, UnknownLevel> {
        Self::ALL.into_iter().find(|level| level.name() == text).ok_or_else(|| UnknownLevel { text: text.to_owned() })
    }
}

/// A text that names no level.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a level; use informational, low, medium, high or critical")]
pub struct UnknownLevel {
    pub text: String,
}
