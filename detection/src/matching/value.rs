//! Values of events as matchers see them.

use canh_schema::Value;
use smallvec::SmallVec;

/// Lists inside lists deeper than this are not looked into.
const DEPTH_MAX: usize = 16;

/// Every single value under a name: itself, or the members of a list at any depth.
pub(crate) fn scalars(value: &Value) -> SmallVec<[&Value; 1]> {
    let mut out = SmallVec::new();
    collect(value, 0, &mut out);
    out
}

fn collect<'a>(value: &'a Value, depth: usize, out: &mut SmallVec<[&'a Value; 1]>) {
    match value {
        Value::List(values) if depth < DEPTH_MAX => values.iter().for_each(|value| collect(value, depth + 1, out)),
        Value::List(_) => (),
        single => out.push(single),
    }
}

/// Appends the text in lower case, character by character. Unlike `str::to_lowercase`, a Greek sigma does not
/// depend on its neighbours, so that a part of a text is lowered as the whole is.
pub(crate) fn lower_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let begin = out.len();
        out.push_str(text);
        out[begin..].make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}
