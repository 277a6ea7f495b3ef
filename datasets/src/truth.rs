//! What really happened, so that tests can judge what was found.

use serde::Serialize;

/// One step of the attack.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    pub id: &'static str,
    pub name: &'static str,
    /// ATT&CK technique.
    pub technique: &'static str,
    pub host: &'static str,
    pub start: String,
    pub end: String,
    /// Ids of the shipped rules that must fire for this step.
    pub rules: &'static [&'static str],
}

/// The attack, step by step. What is not in it is ordinary, and must not raise an alert of level high or critical.
#[derive(Clone, Debug, Serialize)]
pub struct GroundTruth {
    pub attacker: &'static str,
    pub steps: Vec<Step>,
}
