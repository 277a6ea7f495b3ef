//! Counts that are far from what is usual at this hour of the week.
//!
//! For each of the 168 hours of a week a mean and a variance are kept, moved by each finished span by a twelfth once
//! twelve are known, so that what was usual a quarter ago is forgotten. What was reported moves them only by as much as
//! the limit would have, so that an attack does not become usual at once.

use canh_schema::Value;
use serde::{Deserialize, Serialize};

use super::super::crossing::{EventRef, measured};
use super::{Noticed, Seen, State, Wanted};
use crate::rule::{BehaviourKind, Side};

const HOUR: i64 = 3_600 * 1_000_000_000;
const HOURS: usize = 168;
/// Spans after which old ones count less.
const MEMORY: u32 = 12;
/// Empty spans that are filled in at once after a silence; a longer one begins anew.
const GAP_MAX: i64 = 4 * HOURS as i64;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// By hour of the week; made when the first span is finished.
    hours: Vec<Usual>,
    /// The span that is being counted, and what was counted.
    span: Option<i64>,
    sum: f64,
    said: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Usual {
    spans: u32,
    mean: f64,
    variance: f64,
}

impl Usual {
    fn learn(&mut self, sum: f64) {
        self.spans = self.spans.saturating_add(1);
        // Welford's method, with weights that stop falling.
        let weight = 1.0 / f64::from(self.spans.min(MEMORY));
        let off = sum - self.mean;
        self.mean += off * weight;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }

    /// Counts that never vary still vary by chance, as much as random arrivals do.
    fn deviation(&self) -> f64 {
        self.variance.sqrt().max(self.mean.sqrt()).max(1.0)
    }
}

struct Params {
    deviations: f64,
    minimum: f64,
    weeks: u32,
    side: Side,
}

impl Baseline {
    pub(super) fn take(&mut self, seen: &Seen<'_>, wanted: &Wanted<'_>) -> Option<Noticed> {
        let BehaviourKind::Baseline { deviations, minimum, weeks, side } = wanted.behaviour.kind else { return None };
        let params = Params { deviations, minimum, weeks, side };
        let span_len = wanted.span.max(1);
        let span = seen.time.div_euclid(span_len);
        let mut low = None;
        // Once in a span, so that the copy costs nothing.
        let mut before = self.span.is_some_and(|current| span > current).then(|| self.clone());
        match self.span {
            Some(current) if span < current => return None, // late; its span is finished
            Some(current) if span > current => low = self.finish(current, span, span_len, &params),
            Some(_) => (),
            None => self.span = Some(span),
        }
        let sum_before = self.sum;
        self.sum += match wanted.behaviour.fields.is_empty() {
            true => 1.0,
            false => seen.first.and_then(Value::as_f64).filter(|value| value.is_finite()).unwrap_or(0.0),
        };
        let usual = self.usual(span, span_len);
        let limit = usual.mean + params.deviations * usual.deviation();
        let high = params.side != Side::Below
            && !self.said
            && usual.spans >= params.weeks
            && self.sum >= params.minimum
            && self.sum > limit;
        let (what, measured_sum, usual) = match low {
            _ if high => {
                before = Some(Self { sum: sum_before, ..self.clone() });
                self.said = true;
                ("at most", self.sum, limit)
            }
            Some((sum, limit)) => ("at least", sum, limit),
            None => return None,
        };
        let field = wanted.behaviour.fields.first().cloned().unwrap_or_default();
        let pattern = compact_str::format_compact!("usually {what} {usual:.1} at this hour of the week");
        Some(Noticed {
            before: before.map(State::Baseline),
            time: seen.time,
            events: vec![EventRef::of(seen.event)],
            subject: None,
            matches: vec![measured(field, "baseline", pattern, Value::Float(measured_sum))],
        })
    }

    fn usual(&self, span: i64, span_len: i64) -> Usual {
        self.hours.get(hour_of(span, span_len)).copied().unwrap_or_default()
    }

    /// Learns the finished span and the empty ones up to `next`; answers the count of one that was too low and the limit.
    fn finish(&mut self, current: i64, next: i64, span_len: i64, params: &Params) -> Option<(f64, f64)> {
        if next - current > GAP_MAX.saturating_mul(HOUR) / span_len {
            *self = Self { span: Some(next), ..Self::default() };
            return None;
        }
        self.hours.resize(HOURS, Usual::default());
        let mut low = None;
        for span in current..next {
            let sum = if span == current { self.sum } else { 0.0 };
            let usual = &mut self.hours[hour_of(span, span_len)];
            let (above, below) = (
                usual.mean + params.deviations * usual.deviation(),
                usual.mean - params.deviations * usual.deviation(),
            );
            let known = usual.spans >= params.weeks;
            if known && params.side != Side::Above && usual.mean >= params.minimum && sum < below {
                low = low.or(Some((sum, below)));
            }
            usual.learn(if known { sum.min(above) } else { sum });
        }
        self.span = Some(next);
        self.sum = 0.0;
        self.said = false;
        low
    }
}

fn hour_of(span: i64, span_len: i64) -> usize {
    // Spans longer than an hour are filed under their first one.
    let hour = span.saturating_mul(span_len).div_euclid(HOUR).rem_euclid(HOURS as i64);
    usize::try_from(hour).unwrap_or(0)
}
