//! A condition as a tree on a terminal.

use serde_json::Value;

use crate::terminal::{Colours, safe};

/// Lines of a condition as the API gives it.
pub(crate) fn condition(view: &Value, colours: Colours) -> String {
    let mut out = String::new();
    part(view, 0, colours, &mut out);
    out
}

fn part(view: &Value, depth: usize, colours: Colours, out: &mut String) {
    let indent = "  ".repeat(depth);
    let sign = if view["holds"] == true { "yes" } else { "no " };
    let parts = view["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let head = match view["kind"].as_str().unwrap_or_default() {
        "all" => "all of".to_owned(),
        "any" => "any of".to_owned(),
        "not" => "not".to_owned(),
        "at_least" => format!("at least {} of", view["count"]),
        "left_out" => {
            out.push_str(&format!("{indent}     … {} more parts, which decide nothing here\n", view["count"]));
            return;
        }
        _ => {
            out.push_str(&format!("{indent}{sign}  {}\n", compared(&view["compared"], colours)));
            return;
        }
    };
    out.push_str(&format!("{indent}{sign}  {head}\n"));
    parts.iter().for_each(|child| part(child, depth + 1, colours, out));
}

fn compared(view: &Value, colours: Colours) -> String {
    let text = |name: &str| safe(view[name].as_str().unwrap_or_default()).into_owned();
    let field = if text("field").is_empty() { "keywords".to_owned() } else { text("field") };
    let modifiers = text("modifiers");
    let bar = if modifiers.is_empty() { "" } else { "|" };
    let patterns: Vec<String> = view["patterns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|pattern| safe(pattern.as_str().unwrap_or_default()).into_owned())
        .collect();
    let more = view["patterns_total"].as_u64().unwrap_or(0).saturating_sub(patterns.len() as u64);
    let more = if more > 0 && patterns.len() > 1 { format!(" and {more} more") } else { String::new() };
    let value = match (&view["value"], view["present"] == true) {
        (_, false) => "the event has no such field".to_owned(),
        (Value::String(value), true) => format!("= {}", safe(value)),
        (value, true) => format!("= {}", safe(&value.to_string())),
    };
    let selection = colours.dim(&format!("[{}]", text("selection")));
    format!("{field}{bar}{modifiers}: {}{more}   {value} {selection}", patterns.join(" | "))
}
