//! The events of windows that held, as a snapshot keeps them: each window once, however many entries name it.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::correlation::Memory;
use super::crossing::{EventRef, GroupKey};

/// Stands for the group's own window where the others have the number of an entry.
const OWN: u32 = u32::MAX;

/// Which windows the groups and entries of one correlation name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Windows {
    windows: Vec<Vec<EventRef>>,
    /// For each group: an entry and the number of its window.
    named: Vec<(GroupKey, Vec<(u32, u32)>)>,
}

impl Windows {
    pub(super) fn of(memory: &Memory) -> Self {
        let mut this = Self::default();
        let mut numbers: FxHashMap<*const EventRef, u32> = FxHashMap::default();
        for (key, group) in &memory.groups {
            let own = group.window.as_ref().map(|window| (OWN, window));
            let entries = (0..).zip(&group.entries);
            let windows = entries.filter_map(|(number, entry)| Some((number, entry.window.as_ref()?))).chain(own);
            let named: Vec<(u32, u32)> = windows
                .map(|(entry, window)| {
                    // Windows are shared, so the same place in memory is the same window.
                    let number = *numbers.entry(window.as_ptr()).or_insert_with(|| {
                        this.windows.push(window.to_vec());
                        u32::try_from(this.windows.len() - 1).unwrap_or(u32::MAX)
                    });
                    (entry, number)
                })
                .collect();
            if !named.is_empty() {
                this.named.push((key.clone(), named));
            }
        }
        this
    }

    /// Gives the groups and entries their windows again. Numbers of what is not there are passed over.
    pub(super) fn give_back(self, memory: &mut Memory) {
        let windows: Vec<Arc<[EventRef]>> = self.windows.into_iter().map(Arc::from).collect();
        for (key, named) in self.named {
            let Some(group) = memory.groups.get_mut(&key) else { continue };
            for (entry, window) in named {
                let window = windows.get(window as usize).cloned();
                if entry == OWN {
                    group.window = window;
                } else if let Some(entry) = group.entries.get_mut(entry as usize) {
                    entry.window = window;
                }
            }
        }
    }
}
