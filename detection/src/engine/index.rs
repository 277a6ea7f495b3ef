//! Which rules are worth looking at for an event: the literals of all rules that events of one kind go to, field by field.
//! One pass over each value says which items hold and which rules that announces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use canh_schema::Event;
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use super::fields::{KEYWORDS, Slot, Table};
use super::literals::{Literals, LiteralsBuilder, Mark};
use super::program::{Program, Verdicts};

/// How many times the items of the program the indexes over several groups may have together. Events of a few dozen kinds need
/// less than twice; log sources that a sender makes up could combine groups without end.
const ITEMS_TIMES_MAX: usize = 4;

/// The literals of the rules of some groups.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By slot: one more than the place in `literals`, 0 if the slot has none.
    by_slot: Vec<u32>,
    literals: Vec<Literals>,
    /// The items that are announced, as [`Mark`]s number them.
    items: Vec<Announced>,
    /// Places of rules in the program.
    rules: Vec<u32>,
    /// Rules that no literal can announce.
    always: Vec<u32>,
}

/// An item, and the rules to look at when it is announced: a range of [`Index::rules`].
#[derive(Clone, Copy, Debug)]
struct Announced {
    item: u32,
    begin: u32,
    end: u32,
}

impl Index {
    pub(crate) fn new(program: &Program, groups: &[u32], slots: usize) -> Self {
        let mut index = Self::default();
        let groups = groups.iter().filter_map(|group| program.groups.get(*group as usize));
        let rules: Vec<u32> = groups.flat_map(|group| group.rules.iter().copied()).collect();
        // Every item of every rule, because one that the index does not find does not hold.
        let items = program.items_of_rules(&rules);
        let number_of = |item: &u32| items.binary_search(item).ok();

        let mut announces: Vec<Vec<u32>> = vec![Vec::new(); items.len()];
        for rule in rules {
            match &program.rules[rule as usize].announced_by {
                None => index.always.push(rule),
                Some(announced_by) => announced_by.iter().filter_map(number_of).for_each(|number| {
                    if announces[number].last() != Some(&rule) {
                        announces[number].push(rule);
                    }
                }),
            }
        }
        let mut builders: BTreeMap<Slot, LiteralsBuilder> = BTreeMap::new();
        for (number, (item, rules)) in (0..).zip(items.iter().zip(announces)) {
            let begin = place(index.rules.len());
            index.rules.extend(rules);
            index.items.push(Announced { item: *item, begin, end: place(index.rules.len()) });
            let item = &program.items[*item as usize];
            for prepared in &item.matchers {
                for (kind, literal, sure) in prepared.matcher.index_literals() {
                    builders.entry(item.slot).or_default().add(kind, literal, Mark { item: number, sure });
                }
            }
        }
        index.by_slot = vec![0; slots];
        for (slot, builder) in builders {
            index.literals.push(builder.build());
            index.by_slot[slot as usize] = place(index.literals.len());
        }
        index
    }

    /// Looks for the literals in the fields of the event in `table`. Afterwards `verdicts` knows which items hold by that
    /// alone, which may hold, and which rules are worth looking at.
    pub(super) fn announce(&self, event: &Event, table: &mut Table, verdicts: &mut Verdicts) {
        verdicts.begin_part(self.items.len());
        if self.by_slot.first().is_some_and(|number| *number > 0) {
            self.scan(KEYWORDS, event, table, verdicts);
        }
        for place in 0..table.present().len() {
            let slot = table.present()[place];
            self.scan(slot, event, table, verdicts);
        }
        self.always.iter().for_each(|rule| verdicts.add_candidate(*rule));
    }

    fn scan(&self, slot: Slot, event: &Event, table: &mut Table, verdicts: &mut Verdicts) {
        let number = self.by_slot.get(slot as usize).copied().unwrap_or(0) as usize;
        let Some(literals) = number.checked_sub(1).and_then(|number| self.literals.get(number)) else { return };
        table.each_text(slot, event, |text| {
            literals.scan(text.as_bytes(), |Mark { item: number, sure }| {
                let Announced { item, begin, end } = self.items[number as usize];
                verdicts.announce(item, sure);
                if verdicts.is_news(number) {
                    self.rules[begin as usize..end as usize].iter().for_each(|rule| verdicts.add_candidate(*rule));
                }
            });
        });
    }
}

/// Rules and their parts are counted in 32 bits; nobody has so many.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Rules of one kind of events are looked for in one index or, if no more may be made over several groups, in one for each
/// group.
pub(crate) type Parts = SmallVec<[Arc<Index>; 1]>;

/// The indexes that were needed so far. They are made when the first event of a kind comes, so that rules for systems that
/// nobody has cost neither time nor memory.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    by_groups: FxHashMap<Box<[u32]>, Arc<Index>>,
    /// Items of those over several groups.
    items: usize,
}

impl Indexes {
    /// Items in all indexes together.
    pub(crate) fn items(&self) -> usize {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.by_groups.values().map(|index| index.items.len()).sum()
    }

    /// What the rules of these groups are looked for in.
    pub(crate) fn get(&self, program: &Program, groups: &[u32], slots: usize) -> Parts {
        // Nothing that is left half done can be seen in the map, so a panic of another thread does not matter.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = made.by_groups.get(groups) {
            return smallvec![Arc::clone(index)];
        }
        // A little too many, because groups share items, and known before anything is made.
        let items: usize =
            groups.iter().filter_map(|group| program.groups.get(*group as usize)).map(|group| group.items).sum();
        let room = (program.items.len() * ITEMS_TIMES_MAX).saturating_sub(made.items);
        if groups.len() > 1 && items > room {
            return groups.iter().map(|group| made.index(program, &[*group], slots)).collect();
        }
        if groups.len() > 1 {
            made.items += items;
        }
        smallvec![made.index(program, groups, slots)]
    }
}

impl Made {
    fn index(&mut self, program: &Program, groups: &[u32], slots: usize) -> Arc<Index> {
        let make = || Arc::new(Index::new(program, groups, slots));
        Arc::clone(self.by_groups.entry(groups.into()).or_insert_with(make))
    }
}
