//! Collects the rows of several rounds and prints their medians with the spread.

use std::fmt::Write;

#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: &'static str,
    unit: &'static str,
    value: f64,
}

impl Row {
    pub(crate) fn new(what: &'static str, unit: &'static str, value: f64) -> Self {
        Self { what, unit, value }
    }
}

/// Values of all rounds by row, rows in the order in which they came first.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(&'static str, &'static str, Vec<f64>)>,
}

impl Table {
    pub(crate) fn add(&mut self, rows: &[Row]) {
        for row in rows {
            match self.rows.iter_mut().find(|(what, ..)| *what == row.what) {
                Some((.., values)) => values.push(row.value),
                None => self.rows.push((row.what, row.unit, vec![row.value])),
            }
        }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from("| figure | median | lowest to highest |\n|---|---:|---|\n");
        for (what, unit, values) in &self.rows {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let median = sorted[sorted.len() / 2];
            let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
            // Writing to memory does not fail.
            let _ = writeln!(text, "| {what} | {} {unit} | {} to {} |", shown(median), shown(low), shown(high));
        }
        text
    }
}

/// Three digits are as many as such a measurement is good for.
fn shown(value: f64) -> String {
    match value.abs() {
        1_000.0.. => {
            let rounded = 10_f64.powf(value.abs().log10().floor() - 2.0);
            let whole = ((value / rounded).round() * rounded) as i64;
            let digits = whole.to_string();
            let parts: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().filter_map(|part| std::str::from_utf8(part).ok()).collect();
            parts.join(" ")
        }
        100.0.. => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}
