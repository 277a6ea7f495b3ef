//! Flows in the order in which their time runs out: one queue per class, since all flows of a class have the same time.
//!
//! The links of the doubly linked queues stand beside the flows, not in them, so that moving a flow to the end of its
//! queue does not touch its neighbours' flows.

use crate::flow::Class;
use crate::time::Timestamp;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    since: Timestamp,
    class: Option<Class>,
}

#[derive(Debug)]
pub(crate) struct Queues {
    links: Vec<Link>,
    /// First and last of each class.
    ends: [(u32, u32); Class::COUNT],
}

impl Queues {
    pub(crate) const fn new() -> Self {
        Self { links: Vec::new(), ends: [(NONE, NONE); Class::COUNT] }
    }

    /// Puts a flow at the end of its class's queue, unless it is there already and its class counts from its entry.
    pub(crate) fn place(&mut self, index: u32, class: Class, now: Timestamp) {
        let position = index as usize;
        if self.links.len() <= position {
            self.links.resize(position + 1, Link { before: NONE, after: NONE, since: now, class: None });
        }
        let current = self.links[position].class;
        if current == Some(class) {
            if !class.is_idle_time() {
                return;
            }
            if self.ends[class as usize].1 == index {
                self.links[position].since = now;
                return;
            }
        }
        self.remove(index);
        let last = self.ends[class as usize].1;
        self.links[position] = Link { before: last, after: NONE, since: now, class: Some(class) };
        match self.links.get_mut(last as usize) {
            Some(link) => link.after = index,
            None => self.ends[class as usize].0 = index,
        }
        self.ends[class as usize].1 = index;
    }

    pub(crate) fn remove(&mut self, index: u32) {
        let Some(link) = self.links.get_mut(index as usize) else { return };
        let Some(class) = link.class.take() else { return };
        let Link { before, after, .. } = *link;
        match self.links.get_mut(before as usize) {
            Some(link) => link.after = after,
            None => self.ends[class as usize].0 = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.before = before,
            None => self.ends[class as usize].1 = before,
        }
    }

    /// The flow of a class that is there longest, and since when.
    pub(crate) fn first(&self, class: Class) -> Option<(u32, Timestamp)> {
        let index = self.ends[class as usize].0;
        self.links.get(index as usize).map(|link| (index, link.since))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a plain list: the same flow is first in every class after any steps.
        #[test]
        fn queues_are_what_a_list_would_be(steps in prop::collection::vec((0_u32..8, 0_usize..4), 0..200)) {
            let classes = [Class::Attempt, Class::Tcp, Class::Udp];
            let mut queues = Queues::new();
            let mut model: Vec<(u32, Class, Timestamp)> = Vec::new();
            for (step, (index, choice)) in steps.into_iter().enumerate() {
                let now = Timestamp::from_nanos(step as i64);
                let Some(class) = classes.get(choice).copied() else {
                    queues.remove(index);
                    model.retain(|(other, ..)| *other != index);
                    continue;
                };
                let stays = model.iter().any(|(other, was, _)| (*other, *was) == (index, class));
                queues.place(index, class, now);
                if !(stays && class == Class::Attempt) {
                    model.retain(|(other, ..)| *other != index);
                    model.push((index, class, now));
                }
                for class in classes {
                    let expected = model.iter().find(|(_, other, _)| *other == class).map(|(it, _, at)| (*it, *at));
                    prop_assert_eq!(queues.first(class), expected);
                }
            }
        }
    }
}
