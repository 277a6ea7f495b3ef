//! Files that were read and that the server has not taken yet: a bounded number, what is new before what was there. They
//! are in memory only: until the server has them they are not remembered, so that a restart finds them again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::item::{Item, Rank};
use super::known::PathKey;
use super::sender::{Job, Offered};

/// Files of each rank that wait. More are not read; the next look at the trees finds them again.
const FRESH_MAX: usize = 1_000;
const BACKLOG_MAX: usize = 200;
/// Files that are offered at once.
const BATCH_LEN: usize = 100;
/// How long an offer waits for others.
const BATCH_AGE: Duration = Duration::from_secs(1);

/// What may be sent.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) files: Budget,
    pub(super) bytes: Budget,
}

/// One for each rank.
#[derive(Debug, Default)]
struct Lane {
    offers: VecDeque<Arc<Item>>,
    uploads: VecDeque<Arc<Item>>,
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    fresh: Lane,
    backlog: Lane,
    /// Wanted files with the same content as another that is on its way: when that one is there they are offered again.
    twins: Vec<Arc<Item>>,
    keys: HashMap<PathKey, Rank>,
    oldest_offer: Option<Instant>,
    /// Offers to be made one by one, because the server refused them together.
    singly: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn contains(&self, key: PathKey) -> bool {
        self.keys.contains_key(&key)
    }

    pub(super) fn has_room(&self, rank: Rank) -> bool {
        let max = if rank == Rank::Fresh { FRESH_MAX } else { BACKLOG_MAX };
        self.keys.values().filter(|of| **of == rank).take(max).count() < max
    }

    pub(super) fn push(&mut self, item: Item, now: Instant) {
        self.keys.insert(item.key, item.rank);
        self.oldest_offer.get_or_insert(now);
        self.lane(item.rank).offers.push_back(Arc::new(item));
    }

    /// What to ask the server now. `idle` if nothing is being looked at, so that nobody else joins an offer.
    pub(super) fn next(&mut self, limits: &mut Limits, idle: bool, now: Instant) -> Option<Job> {
        let offers = self.fresh.offers.len() + self.backlog.offers.len();
        let old = self.oldest_offer.is_some_and(|at| now.saturating_duration_since(at) >= BATCH_AGE);
        if offers > 0 && (idle || old || offers >= BATCH_LEN) {
            return Some(Job::Offer(self.take_offers()));
        }
        let lane = if self.fresh.uploads.is_empty() { &mut self.backlog } else { &mut self.fresh };
        let size = lane.uploads.front()?.state.size;
        let wait = limits.files.wait(1, now).max(limits.bytes.wait(size, now));
        if !wait.is_zero() {
            return None;
        }
        limits.files.spend(1);
        limits.bytes.spend(size);
        lane.uploads.pop_front().map(Job::Upload)
    }

    fn take_offers(&mut self) -> Vec<Arc<Item>> {
        let len_max = if self.singly > 0 { 1 } else { BATCH_LEN };
        self.singly = self.singly.saturating_sub(1);
        let mut items = Vec::new();
        for lane in [&mut self.fresh, &mut self.backlog] {
            let len = lane.offers.len().min(len_max - items.len());
            items.extend(lane.offers.drain(..len));
        }
        if self.fresh.offers.is_empty() && self.backlog.offers.is_empty() {
            self.oldest_offer = None;
        }
        items
    }

    /// Sorts an offer by the answer. What the server knows is answered; it is done.
    pub(super) fn answered(&mut self, items: &[Arc<Item>], offered: &Offered) -> Vec<Arc<Item>> {
        let at = |places: &[usize]| places.iter().filter_map(|&at| items.get(at).cloned()).collect::<Vec<_>>();
        for item in at(&offered.wanted) {
            let lanes = [&self.fresh, &self.backlog];
            let twin = lanes.iter().any(|lane| lane.uploads.iter().any(|other| other.sha256 == item.sha256));
            if twin {
                self.twins.push(item);
            } else {
                self.lane(item.rank).uploads.push_back(item);
            }
        }
        // The server could not say anything of these now.
        let said = |place: &usize| offered.known.contains(place) || offered.wanted.contains(place);
        let unsaid: Vec<_> = (0..items.len()).filter(|place| !said(place)).collect();
        self.offer_again(&at(&unsaid));
        let known = at(&offered.known);
        known.iter().for_each(|item| self.done(item));
        known
    }

    /// Puts an offer back that was not answered.
    pub(super) fn offer_again(&mut self, items: &[Arc<Item>]) {
        for item in items.iter().rev() {
            self.lane(item.rank).offers.push_front(item.clone());
            self.oldest_offer.get_or_insert_with(Instant::now);
        }
    }

    /// The same for an offer that was refused as a whole: which file it was for is found out.
    pub(super) fn offer_singly(&mut self, items: &[Arc<Item>]) {
        self.singly = items.len();
        self.offer_again(items);
    }

    pub(super) fn upload_again(&mut self, item: Arc<Item>, limits: &mut Limits) {
        limits.files.give_back(1);
        limits.bytes.give_back(item.state.size);
        self.lane(item.rank).uploads.push_front(item);
    }

    /// Forgets a file, whatever became of it.
    pub(super) fn done(&mut self, item: &Item) {
        self.keys.remove(&item.key);
        let twins = self.twins.extract_if(.., |twin| twin.sha256 == item.sha256).collect::<Vec<_>>();
        self.offer_again(&twins);
    }

    fn lane(&mut self, rank: Rank) -> &mut Lane {
        if rank == Rank::Fresh { &mut self.fresh } else { &mut self.backlog }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::config::RootAt;
    use super::super::item::FileState;
    use super::*;

    fn item(number: u64, content: u8, rank: Rank, size: u64) -> Item {
        let state = FileState { inode: number, size, modified: (0, 0), changed: (0, 0), mode: 0o644, uid: 0, gid: 0 };
        Item {
            root: RootAt { base: "/".into(), below: PathBuf::new() },
            path: format!("/{number}").into(),
            state,
            owner: String::new(),
            sha256: [content; 32],
            key: PathKey::of_number(number),
            print: number,
            rank,
        }
    }

    fn limits(files: u64, bytes: u64, now: Instant) -> Limits {
        let minute = Duration::from_secs(60);
        Limits { files: Budget::new(files, minute, now), bytes: Budget::new(bytes, minute, now) }
    }

    /// The job as numbers of inodes.
    fn shown(job: Option<Job>) -> (&'static str, Vec<u64>) {
        match job {
            None => ("nothing", vec![]),
            Some(Job::Offer(items)) => ("offer", items.iter().map(|item| item.state.inode).collect()),
            Some(Job::Upload(item)) => ("upload", vec![item.state.inode]),
        }
    }

    fn offered(known: &[usize], wanted: &[usize]) -> Offered {
        Offered { rules: "r".to_owned(), known: known.to_vec(), wanted: wanted.to_vec() }
    }

    #[test]
    fn what_is_new_goes_first_and_an_offer_waits_for_others() {
        let now = Instant::now();
        let (mut waiting, mut limits) = (Waiting::default(), limits(1, 100, now));
        waiting.push(item(1, 1, Rank::Backlog, 10), now);
        waiting.push(item(2, 2, Rank::Fresh, 10), now);
        assert_eq!(shown(waiting.next(&mut limits, false, now)), ("nothing", vec![]));
        let job = waiting.next(&mut limits, false, now + BATCH_AGE);
        let Some(Job::Offer(items)) = job else { panic!("{job:?}") };
        assert_eq!(waiting.answered(&items, &offered(&[], &[0, 1])).len(), 0);
        let job = waiting.next(&mut limits, true, now);
        let Some(Job::Upload(sent)) = job else { panic!("{job:?}") };
        assert_eq!(sent.state.inode, 2);
        // Its one file of the minute is used up; then the upload failed.
        assert_eq!(shown(waiting.next(&mut limits, true, now)), ("nothing", vec![]));
        waiting.upload_again(sent.clone(), &mut limits);
        assert_eq!(shown(waiting.next(&mut limits, true, now)), ("upload", vec![2]));
        waiting.done(&sent);
        let later = now + Duration::from_secs(60);
        assert_eq!((shown(waiting.next(&mut limits, true, later)), waiting.len()), (("upload", vec![1]), 1));
    }

    #[test]
    fn the_same_content_is_sent_once() {
        let now = Instant::now();
        let (mut waiting, mut limits) = (Waiting::default(), limits(10, 100, now));
        for number in 1..=3 {
            waiting.push(item(number, 7, Rank::Fresh, 10), now);
        }
        let Some(Job::Offer(items)) = waiting.next(&mut limits, true, now) else { panic!() };
        // The third could not be answered now.
        assert!(waiting.answered(&items, &offered(&[], &[0, 1, 9])).is_empty());
        assert_eq!(shown(waiting.next(&mut limits, true, now)), ("offer", vec![3]));
        let Some(Job::Upload(sent)) = waiting.next(&mut limits, true, now) else { panic!() };
        assert_eq!(shown(waiting.next(&mut limits, true, now)), ("nothing", vec![]));
        waiting.done(&sent);
        let Some(Job::Offer(twin)) = waiting.next(&mut limits, true, now) else { panic!() };
        assert_eq!(twin[0].state.inode, 2);
        assert_eq!(waiting.answered(&twin, &offered(&[0], &[])).len(), 1);
    }

    #[test]
    fn a_refused_offer_is_made_again_one_by_one() {
        let now = Instant::now();
        let (mut waiting, mut limits) = (Waiting::default(), limits(10, 100, now));
        for number in 1..=2 {
            waiting.push(item(number, number as u8, Rank::Fresh, 10), now);
        }
        let Some(Job::Offer(items)) = waiting.next(&mut limits, true, now) else { panic!() };
        waiting.offer_singly(&items);
        for number in 1..=2 {
            assert_eq!(shown(waiting.next(&mut limits, true, now)), ("offer", vec![number]));
        }
    }

    #[test]
    fn there_is_an_end_to_what_waits() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        for number in 0..BACKLOG_MAX as u64 {
            assert!(waiting.has_room(Rank::Backlog));
            waiting.push(item(number, 1, Rank::Backlog, 1), now);
        }
        assert!(!waiting.has_room(Rank::Backlog) && waiting.has_room(Rank::Fresh));
        assert!(waiting.contains(PathKey::of_number(5)));
    }
}
