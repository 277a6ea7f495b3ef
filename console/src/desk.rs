//! The seam to whoever knows rules. The console does not: it hands over texts and events and shows what comes back.

use canh_schema::{Event, Explanation, Finding, RuleId};

/// Judges events by rules whose text is given.
pub trait RuleDesk: Send + Sync + 'static {
    /// What the rule of this id in `text` says of the event; `None` if there is no such rule in it.
    fn explain(&self, text: &str, rule: &RuleId, event: &Event) -> Option<Explanation>;

    /// Begins a run over events of the past.
    ///
    /// # Errors
    ///
    /// What is wrong with the text, one line each.
    fn backtest(&self, text: &str) -> Result<Box<dyn BacktestRun>, Vec<String>>;

    /// Runs the samples that lie beside the loaded rule of this id, with the rules of `text`. Empty if it came without.
    ///
    /// # Errors
    ///
    /// Why the samples cannot be read.
    fn samples(&self, text: &str, rule: &RuleId) -> Result<Vec<SampleOutcome>, String>;

    /// Somebody decided about a rule: has the rules loaded again soon, and does not wait for it.
    fn reviewed(&self);
}

/// What one sample of a rule did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SampleOutcome {
    /// What it shows, in a few words of its author.
    pub about: String,
    /// The rule has to find it; else it has to stay silent.
    pub fires: bool,
    /// It does what it should.
    pub holds: bool,
}

/// A run over the past.
pub trait BacktestRun: Send {
    /// The hunt whose events the rules look at.
    fn hunt(&self) -> String;

    /// Events come in any order.
    fn offer(&mut self, event: &Event);

    /// Events so far that matter.
    fn kept(&self) -> u64;

    fn finish(self: Box<Self>) -> BacktestOutcome;
}

#[derive(Debug, Default)]
pub struct BacktestOutcome {
    /// In the order in which they would have come.
    pub findings: Vec<Finding>,
    /// Events that mattered and found no room; then the result is too small.
    pub left_out: u64,
}
