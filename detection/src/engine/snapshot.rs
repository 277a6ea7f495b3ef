//! What rules with a memory remember, as bytes, so that a restart does not make them forget.
//!
//! A memory belongs to a rule of one id and one hash: when the rule was changed, it begins anew.

use canh_schema::{EventId, RuleHash, RuleId};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::windows::Windows;
use super::{Engine, before, behaviour, correlation, id_of};

/// Changes when the form of the bytes does.
const VERSION: u32 = 3;

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
    #[serde(borrow)]
    states: Vec<before::Saved<'a>>,
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
        let states = self.states.all(|rule| id_of(&self.rules, rule));
        out.extend(bytes(postcard::to_allocvec(&Snapshot { rules: rules.collect(), states })));
        out
    }

    /// Gives a rule over what is usual what it remembered of one group, as the proof of a finding keeps it. For a correlation
    /// it is what the rules that fed it remembered before each of its events; they are given it when the event comes. Answers
    /// whether there is such a rule and the bytes are of its kind.
    pub fn recall(&mut self, rule: &RuleId, remembered: &[u8]) -> bool {
        let Some(place) = self.place_of(rule.as_str()) else { return false };
        if self.correlations.memories().all(|(correlation, _)| correlation != place) {
            return self.behaviours.recall(place, remembered);
        }
        let Ok(states) = postcard::from_bytes::<Vec<before::Saved<'_>>>(remembered) else { return false };
        for state in states {
            let Some(place) = self.place_of(state.rule) else { return false };
            self.recalled.add(place, EventId::from_bytes(state.event), state.bytes);
        }
        true
    }

    fn place_of(&self, rule: &str) -> Option<u32> {
        let place = self.rules.iter().position(|known| known.info.id.as_str() == rule)?;
        u32::try_from(place).ok()
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
        let states: Vec<_> =
            snapshot.states.iter().filter_map(|state| Some((self.place_of(state.rule)?, state))).collect();
        for (place, state) in states {
            self.states.push(place, EventId::from_bytes(state.event), state.bytes);
        }
        let restored = correlations.len() + behaviours.len();
        correlations.into_iter().for_each(|(rule, memory)| self.correlations.remember(rule, memory));
        behaviours.into_iter().for_each(|(rule, memory)| self.behaviours.remember(rule, memory));
        Ok(restored)
    }
}
