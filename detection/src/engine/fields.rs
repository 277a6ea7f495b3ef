//! Where in an event each field of the rules is. One pass over the event fills a table; rules then ask by number.

use std::fmt::Write;
use std::sync::LazyLock;

use canh_schema::{CATALOGUE, Event, FieldId, LogSource, Value, field, field_by_name};
use compact_str::CompactString;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::mapping::MAPPINGS;
use crate::matching::{lower_into, scalars};

/// The number of a field name that some rule uses.
pub(crate) type Slot = u32;

/// All text of the event, for keywords.
pub(crate) const KEYWORDS: Slot = 0;

/// Every field name that the rules use.
#[derive(Debug, Default)]
pub(crate) struct FieldNames {
    names: Vec<CompactString>,
    by_name: FxHashMap<CompactString, Slot>,
}

impl FieldNames {
    pub(crate) fn new() -> Self {
        Self { names: vec![CompactString::default()], by_name: FxHashMap::default() }
    }

    pub(crate) fn slot(&mut self, name: &str) -> Slot {
        if let Some(slot) = self.by_name.get(name) {
            return *slot;
        }
        let slot = Slot::try_from(self.names.len()).unwrap_or(Slot::MAX);
        self.names.push(name.into());
        self.by_name.insert(name.into(), slot);
        slot
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// A field and how far down its list of names this name is; the lowest that is present counts.
type Targets = SmallVec<[(Slot, u8); 1]>;

/// The names of one kind of event, each with the fields that it stands for.
#[derive(Debug)]
pub(crate) struct Profile {
    attrs: FxHashMap<CompactString, Targets>,
    /// By row of the catalogue.
    catalogue: Vec<Targets>,
}

impl Profile {
    pub(crate) fn new(names: &FieldNames, source: &LogSource) -> Self {
        let mut profile = Self { attrs: FxHashMap::default(), catalogue: vec![Targets::new(); CATALOGUE.len()] };
        let mappings: Vec<_> = MAPPINGS.iter().filter(|mapping| mapping.fits_event(source)).collect();
        for (slot, name) in (0..).zip(&names.names).skip(1) {
            let mapped = mappings
                .iter()
                .flat_map(|mapping| mapping.fields)
                .filter(|(field, _)| field == name)
                .flat_map(|(_, candidates)| *candidates);
            for (rank, candidate) in (0_u8..).step_by(2).zip([name.as_str()].into_iter().chain(mapped.copied())) {
                profile.attrs.entry(candidate.into()).or_default().push((slot, rank));
                if let Some(field) = field_by_name(candidate) {
                    profile.catalogue[field.row()].push((slot, rank + 1));
                }
            }
        }
        profile
    }
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Attr(u32),
    Field(u32),
    /// The source sent an object under this name; its members have names of their own.
    Object,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The event that this entry belongs to; another number is an empty entry.
    event: u32,
    rank: u8,
    place: Place,
}

/// The texts of one slot in lower case.
#[derive(Clone, Copy, Debug, Default)]
struct Lowered {
    event: u32,
    begin: u32,
    end: u32,
}

/// The table of one event. It is kept between events so that nothing is allocated for each.
#[derive(Debug, Default)]
pub(crate) struct Table {
    event: u32,
    entries: Vec<Entry>,
    present: Vec<Slot>,
    lowered: Vec<Lowered>,
    /// Ranges of `text`, one for each single value.
    members: Vec<(u32, u32)>,
    text: String,
    /// One text at a time, for those that are not looked at as they are.
    scratch: String,
}

impl Table {
    pub(crate) fn new(slots: usize) -> Self {
        let empty = Entry { event: 0, rank: 0, place: Place::Object };
        Self { entries: vec![empty; slots], lowered: vec![Lowered::default(); slots], ..Self::default() }
    }

    /// Finds the fields of an event.
    pub(crate) fn load(&mut self, event: &Event, profile: &Profile) {
        self.begin();
        for (index, (name, _)) in (0..).zip(&event.attrs) {
            match profile.attrs.get(name) {
                Some(targets) => self.put_all(targets, Place::Attr(index)),
                None if name.contains('.') => self.mark_objects(name, profile),
                None => (),
            }
        }
        for (index, (field, _)) in (0..).zip(&event.fields) {
            if let Some(targets) = profile.catalogue.get(field.row()) {
                self.put_all(targets, Place::Field(index));
            }
        }
    }

    fn begin(&mut self) {
        self.event = self.event.wrapping_add(1);
        if self.event == 0 {
            // Once in four billion events the numbers start again, and old entries must not look new.
            self.entries.iter_mut().for_each(|entry| entry.event = 0);
            self.lowered.iter_mut().for_each(|lowered| lowered.event = 0);
            self.event = 1;
        }
        self.present.clear();
        self.members.clear();
        self.text.clear();
        // One huge event must not keep its memory for ever.
        self.text.shrink_to(1 << 20);
    }

    fn put_all(&mut self, targets: &[(Slot, u8)], place: Place) {
        for (slot, rank) in targets {
            self.put(*slot, *rank, place);
        }
    }

    fn put(&mut self, slot: Slot, rank: u8, place: Place) {
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        if entry.event != self.event {
            self.present.push(slot);
        } else if entry.rank <= rank {
            return;
        }
        *entry = Entry { event: self.event, rank, place };
    }

    /// `a.b.c` says that `a` and `a.b` are there, as objects.
    fn mark_objects(&mut self, name: &str, profile: &Profile) {
        for (dot, _) in name.match_indices('.') {
            if let Some(targets) = profile.attrs.get(&name[..dot]) {
                for (slot, _) in targets {
                    self.put(*slot, u8::MAX, Place::Object);
                }
            }
        }
    }

    pub(crate) fn present(&self) -> &[Slot] {
        &self.present
    }

    fn place(&self, slot: Slot) -> Option<Place> {
        self.entries.get(slot as usize).filter(|entry| entry.event == self.event).map(|entry| entry.place)
    }

    pub(crate) fn exists(&self, slot: Slot) -> bool {
        self.place(slot).is_some()
    }

    /// Whether the field is absent or null.
    pub(crate) fn is_null(&self, slot: Slot, event: &Event) -> bool {
        match self.place(slot) {
            None => true,
            Some(Place::Object) => false,
            Some(_) => matches!(self.value(slot, event), None | Some(Value::Null)),
        }
    }

    pub(crate) fn value<'e>(&self, slot: Slot, event: &'e Event) -> Option<&'e Value> {
        match self.place(slot)? {
            Place::Attr(index) => event.attrs.get(index as usize).map(|(_, value)| value),
            Place::Field(index) => event.fields.get(index as usize).map(|(_, value)| value),
            Place::Object => None,
        }
    }

    /// The single values of a slot; for [`KEYWORDS`] those of the whole event.
    pub(crate) fn values<'e>(&self, slot: Slot, event: &'e Event) -> SmallVec<[&'e Value; 1]> {
        let mut values = if slot == KEYWORDS {
            with_words(event).flat_map(scalars).filter(|value| matches!(value, Value::Text(_))).collect()
        } else {
            self.value(slot, event).map(scalars).unwrap_or_default()
        };
        values.retain(|value| !matches!(value, Value::Null));
        values
    }

    /// Calls `each` with every text of a slot as [`Literals`](super::literals::Literals) want it: letters of ASCII as the
    /// source wrote them, all others in lower case.
    pub(crate) fn each_text(&mut self, slot: Slot, event: &Event, mut each: impl FnMut(&str)) {
        if slot == KEYWORDS {
            for value in with_words(event) {
                self.each_word_of(value, &mut each);
            }
            if event.attrs.is_empty() {
                let raw = String::from_utf8_lossy(&event.raw);
                self.text_of(&raw, &mut each);
            }
        } else if let Some(value) = self.value(slot, event) {
            self.each_text_of(value, &mut each);
        }
    }

    fn each_text_of(&mut self, value: &Value, each: &mut impl FnMut(&str)) {
        match value {
            Value::Text(text) => self.text_of(text, each),
            Value::Null => (),
            Value::List(_) => scalars(value).into_iter().for_each(|member| self.each_text_of(member, each)),
            other => {
                self.scratch.clear();
                if let Value::Integer(number) = other {
                    // Writing to a text cannot fail.
                    let _ = write!(self.scratch, "{number}");
                } else {
                    self.scratch.push_str(&other.as_text().unwrap_or_default());
                }
                each(&self.scratch);
            }
        }
    }

    /// Numbers are no words.
    fn each_word_of(&mut self, value: &Value, each: &mut impl FnMut(&str)) {
        match value {
            Value::Text(text) => self.text_of(text, each),
            Value::List(_) => scalars(value).into_iter().for_each(|member| self.each_word_of(member, each)),
            _ => (),
        }
    }

    fn text_of(&mut self, text: &str, each: &mut impl FnMut(&str)) {
        if text.is_ascii() {
            each(text);
        } else {
            self.scratch.clear();
            self.scratch.shrink_to(1 << 20);
            lower_into(text, &mut self.scratch);
            each(&self.scratch);
        }
    }

    /// Lowers the texts of a slot once per event; their places in the order of [`Table::values`].
    pub(crate) fn lower(&mut self, slot: Slot, event: &Event) -> std::ops::Range<usize> {
        if let Some(done) = self.lowered.get(slot as usize).filter(|lowered| lowered.event == self.event) {
            return done.begin as usize..done.end as usize;
        }
        let begin = self.members.len();
        match self.value(slot, event) {
            // The usual case, without a list of values in between.
            Some(Value::Text(text)) if slot != KEYWORDS => self.push_lower(text),
            Some(Value::Integer(number)) if slot != KEYWORDS => self.push_number(*number),
            _ => {
                for value in self.values(slot, event) {
                    self.push_lower(&value.as_text().unwrap_or_default());
                }
                if slot == KEYWORDS && event.attrs.is_empty() {
                    self.push_lower(&String::from_utf8_lossy(&event.raw));
                }
            }
        }
        let range = begin..self.members.len();
        if let Some(lowered) = self.lowered.get_mut(slot as usize) {
            let place = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
            *lowered = Lowered { event: self.event, begin: place(range.start), end: place(range.end) };
        }
        range
    }

    fn push_number(&mut self, number: i64) {
        let begin = self.text.len();
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{number}");
        self.push_member(begin);
    }

    fn push_lower(&mut self, text: &str) {
        let begin = self.text.len();
        lower_into(text, &mut self.text);
        self.push_member(begin);
    }

    fn push_member(&mut self, begin: usize) {
        let place = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        self.members.push((place(begin), place(self.text.len())));
    }

    pub(crate) fn member(&self, index: usize) -> &str {
        let range = self.members.get(index).map(|(begin, end)| *begin as usize..*end as usize);
        range.and_then(|range| self.text.get(range)).unwrap_or("")
    }
}

/// Values with texts that a keyword may be in: what the source sent, except under names that begin with `_`, and the
/// catalogue fields that hold words of the source. An event without attributes has its raw text besides.
fn with_words(event: &Event) -> impl Iterator<Item = &Value> {
    let attrs = event.attrs.iter().filter(|(name, _)| !name.starts_with('_')).map(|(_, value)| value);
    let fields = event.fields.iter().filter(|(field, _)| holds_words_of_the_source(*field)).map(|(_, value)| value);
    attrs.chain(fields)
}

/// The others are chosen by the normaliser, for example `failure`; a keyword must not find what nobody sent.
fn holds_words_of_the_source(id: FieldId) -> bool {
    static HOLDS: LazyLock<Vec<bool>> = LazyLock::new(|| {
        let groups = ["organization.", "canh.", "host.", "agent.", "log.", "event.", "network.", "observer."];
        let ours = |name: &str| groups.iter().any(|group| name.starts_with(group));
        CATALOGUE.iter().map(|spec| spec.name == field::EVENT_REASON.name() || !ours(spec.name)).collect()
    });
    HOLDS.get(id.row()).copied().unwrap_or(false)
}
