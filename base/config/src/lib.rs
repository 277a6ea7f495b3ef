//! Reads a TOML configuration and says where it is wrong: file, line, column, the line itself and the nearest key.
//!
//! The types that are read belong to each program; they use `#[serde(deny_unknown_fields)]`. The modules [`byte_size`],
//! [`duration`], [`socket_addr`] and [`socket_addrs`] are for `#[serde(with = "...")]`.

pub mod byte_size;
pub mod duration;
mod error;
mod nearest;
pub mod socket_addr;
pub mod socket_addrs;

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

pub use error::ConfigError;
pub use nearest::nearest;

/// Reads `text`, which came from `path`.
///
/// # Errors
///
/// [`ConfigError::Wrong`] with the place of the first mistake.
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::at(path, text, error.span(), error.message()))
}

/// Reads the file `path`.
///
/// # Errors
///
/// [`ConfigError::Read`] if there is no such file or it is not text, and those of [`parse`].
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}
