//! What rules with a memory remember, as bytes, so that a restart does not make them forget.
//!
//! A memory belongs to a rule of one id and one hash: when the rule was changed, it begins anew.

use canh_schema::RuleHash;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::windows::Windows;
use super::{Engine, behaviour, correlation};

/// Changes when the form of the bytes does.
const VERSION: u32 = 2;

/// Why bytes are not a snapshot. The rules begin with an empty memory then.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the memory of the rules was written in version {found} of its form, this program knows version {VERSION}")]
    Version { found: u32 },
    #[error("the memory of the rules is damaged: {reason}")]
    Damaged { reason: String },
}

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    rule: &'a str,
    hash: [u8; RuleHash::LEN],
    #[serde(borrow)]
    memory: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct Snapshot<'a> {
    #[serde(borrow)]
    rules: Vec<Saved<'a>>,
}

impl Engine {
    /// What correlations and behaviour rules remember.
    pub fn save(&self) -> Vec<u8> {
        // Writing into memory cannot fail, and no type here refuses to be written.
        let bytes = |result: Result<Vec<u8>, postcard::Error>| result.unwrap_or_default();
        let correlations = self.correlations.memories();
        let correlations =
            correlations.map(|(rule, memory)| (rule, bytes(postcard::to_allocvec(&(memory, Windows::of(memory))))));
        let behaviours = self.behaviours.memories().map(|(rule, memory)| (rule, bytes(postcard::to_allocvec(memory))));
        let memories: Vec<(u32, Vec<u8>)> = correlations.chain(behaviours).collect();
        let rules = memories.iter().filter_map(|(rule, memory)| {
            let info = &self.rules.get(*rule as usize)?.info;
            Some(Saved { rule: info.id.as_str(), hash: *info.hash.as_bytes(), memory })
        });
        let mut out = VERSION.to_le_bytes().to_vec();
        out.extend(bytes(postcard::to_allocvec(&Snapshot { rules: rules.collect() })));
        out
    }

    /// Takes over what an engine remembered, for the rules that are the same here; says for how many.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; nothing was taken over then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<usize, SnapshotError> {
        let damaged = |reason: &dyn std::fmt::Display| SnapshotError::Damaged { reason: reason.to_string() };
        let (version, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| damaged(&"it is too short"))?;
        let found = u32::from_le_bytes(*version);
        if found != VERSION {
            return Err(SnapshotError::Version { found });
        }
        let snapshot: Snapshot<'_> = postcard::from_bytes(rest).map_err(|error| damaged(&error))?;
        let places: FxHashMap<(&str, &[u8]), u32> = (0..)
            .zip(&self.rules)
            .map(|(place, rule)| ((rule.info.id.as_str(), rule.info.hash.as_bytes().as_slice()), place))
            .collect();
        let mut correlations: Vec<(u32, correlation::Memory)> = Vec::new();
        let mut behaviours: Vec<(u32, behaviour::Memory)> = Vec::new();
        for saved in &snapshot.rules {
            let Some(place) = places.get(&(saved.rule, saved.hash.as_slice())).copied() else { continue };
            if self.correlations.memories().any(|(rule, _)| rule == place) {
                let (mut memory, windows): (correlation::Memory, Windows) =
                    postcard::from_bytes(saved.memory).map_err(|error| damaged(&error))?;
                windows.give_back(&mut memory);
                correlations.push((place, memory));
            } else if self.behaviours.memories().any(|(rule, _)| rule == place) {
                behaviours.push((place, postcard::from_bytes(saved.memory).map_err(|error| damaged(&error))?));
            }
        }
        drop(places);
        let restored = correlations.len() + behaviours.len();
        correlations.into_iter().for_each(|(rule, memory)| self.correlations.remember(rule, memory));
        behaviours.into_iter().for_each(|(rule, memory)| self.behaviours.remember(rule, memory));
        Ok(restored)
    }
}
