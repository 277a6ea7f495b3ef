//! How much may be remembered of what exporters say.

/// Limits of a [`crate::Decoder`]. Beyond them what was of least use goes; see `store`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Fields of the templates of one exporter and domain; each template counts as eight more.
    pub fields_per_stream: usize,
    /// The same of all.
    pub fields: usize,
    /// Names of interfaces, rates of samplers and the like of one exporter and domain.
    pub options_per_stream: usize,
    /// The same of all.
    pub options: usize,
    /// Pairs of exporter and domain.
    pub streams: usize,
}

impl Limits {
    /// For reading one batch again: whoever made it kept to its own limits, so these only have to end somewhere.
    pub const BATCH: Self = Self {
        fields_per_stream: 1_048_576,
        fields: 1_048_576,
        options_per_stream: 131_072,
        options: 131_072,
        streams: 65_536,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self { fields_per_stream: 32_768, fields: 262_144, options_per_stream: 8_192, options: 131_072, streams: 8_192 }
    }
}
