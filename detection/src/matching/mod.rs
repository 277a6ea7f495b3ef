//! Comparison of one value with one pattern. No rules, no conditions: those are in `engine`.

mod compile;
mod encode;
mod glob;
mod required;
mod value;

pub(crate) use compile::{CompiledItem, Matcher, TextKind, compile_item};
pub(crate) use glob::{Glob, Part, parse as parse_glob};
pub(crate) use value::{lower_into, scalars};

#[cfg(test)]
mod tests;
