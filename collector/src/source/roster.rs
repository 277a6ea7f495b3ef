//! Finds which of a fixed list of names an event has, in one pass over its attributes. Asking the event for each name
//! compares it with all others; with fifty names and thirty attributes that is most of the time of a source.

use canh_schema::Value;
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::project;

/// A fixed list of names, each with a number.
#[derive(Debug)]
pub(crate) struct Roster {
    numbers: FxHashMap<&'static str, usize>,
}

impl Roster {
    /// A name that comes twice has one number.
    pub(crate) fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        let mut numbers = FxHashMap::default();
        for name in names {
            let next = numbers.len();
            numbers.entry(name).or_insert(next);
        }
        Self { numbers }
    }

    /// The number of a name; one that no name has if the list lacks it.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.numbers.get(name).copied().unwrap_or(self.numbers.len())
    }

    /// Where the names are among the attributes.
    pub(crate) fn find<'a>(&self, attrs: &'a [(CompactString, Value)]) -> Found<'a> {
        let mut values: SmallVec<[Option<&'a Value>; 96]> = smallvec::smallvec![None; self.numbers.len()];
        for (name, value) in attrs {
            if let Some(place) = self.numbers.get(name.as_str()).and_then(|number| values.get_mut(*number))
                && place.is_none()
                && !project::is_absent(value)
            {
                *place = Some(value);
            }
        }
        Found { values }
    }
}

/// The values of an event by the numbers of a [`Roster`]: for each name the first that says something.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    values: SmallVec<[Option<&'a Value>; 96]>,
}

impl<'a> Found<'a> {
    pub(crate) fn get(&self, number: usize) -> Option<&'a Value> {
        self.values.get(number).copied().flatten()
    }

    pub(crate) fn text(&self, number: usize) -> Option<&'a str> {
        self.get(number).and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_of_a_name_that_says_something_is_found() {
        let roster = Roster::new(["a", "b", "a", "c"]);
        let attrs: Vec<(CompactString, Value)> = [("b", ""), ("x", "1"), ("b", "2"), ("b", "3"), ("a", "4")]
            .map(|(name, value)| (name.into(), value.into()))
            .into();
        let found = roster.find(&attrs);
        let shown = ["a", "b", "c", "x"].map(|name| found.text(roster.number(name)));
        assert_eq!(shown, [Some("4"), Some("2"), None, None]);
    }
}
