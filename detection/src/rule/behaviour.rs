//! Rules over what is usual: kinds beyond the Sigma specification, written in its correlation format.

use std::time::Duration;

use compact_str::CompactString;

use crate::indicator::IndicatorTypes;

/// A rule that remembers what its events were like and speaks up when they are not, or when there are none.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub kind: BehaviourKind,
    /// Ids or names of the rules that feed it.
    pub rules: Vec<CompactString>,
    pub group_by: Vec<CompactString>,
    /// The fields whose values are looked at. For indicators, empty is every field that may hold one.
    pub fields: Vec<CompactString>,
    /// Names of indicator lists, with wildcards; empty is every list. Of no meaning for other kinds.
    pub lists: Vec<CompactString>,
    /// How long something is remembered; for an absence, how long nothing may come; for a baseline, what is counted
    /// together; for an indicator, how long it is not said again of its group.
    pub timespan: Duration,
    /// Whether the rules that feed it also raise findings of their own.
    pub generate: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum BehaviourKind {
    /// A value that its group has not had within the timespan.
    NewTerms {
        /// A group says nothing during this time after its first event.
        learning: Duration,
    },
    /// A group of which nothing has come for the timespan.
    Absence,
    /// A count (or a sum, if a field is named) that is far from what is usual at this hour of the week.
    Baseline {
        /// Standard deviations from the mean.
        deviations: f64,
        /// Counts below this are never unusual.
        minimum: f64,
        /// Weeks that must be known of an hour.
        weeks: u32,
        side: Side,
    },
    /// A value that makes up very little of what its group has.
    RareValue {
        /// Percent of the events of the group within the timespan, at the most.
        percent: f64,
        /// Events that a group must have first.
        minimum: u64,
    },
    /// Two places that nobody can have been at in the time between.
    ImpossibleTravel {
        /// Kilometres per hour that can be travelled.
        speed: f64,
        /// Shorter distances do not count: places of addresses are not exact.
        distance: f64,
    },
    /// A value that a list of indicators names.
    Indicator {
        types: IndicatorTypes,
        /// The least confidence of the list, 0 to 100.
        confidence: u8,
    },
}

/// Which deviations count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Above,
    Below,
    Both,
}

/// Every kind by the name that rules use, with one line for the manual.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("new_terms", "a value that was not there before"),
    ("absence", "events that stop coming"),
    ("baseline", "far more or fewer events than usual at this hour of the week"),
    ("rare_value", "a value that hardly ever comes"),
    ("impossible_travel", "two places too far apart for the time between"),
    ("indicator", "a value that a list of indicators of compromise names"),
];

impl BehaviourKind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewTerms { .. } => "new_terms",
            Self::Absence => "absence",
            Self::Baseline { .. } => "baseline",
            Self::RareValue { .. } => "rare_value",
            Self::ImpossibleTravel { .. } => "impossible_travel",
            Self::Indicator { .. } => "indicator",
        }
    }
}
