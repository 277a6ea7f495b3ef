//! Newest events first, page by page, without reading more events than are asked for where the query is exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use canh_schema::{Event, EventId, Timestamp};
use canh_store::hunt::Hunt;
use canh_store::{Outcome, PageKey, codec};
use tantivy::columnar::{BytesColumn, Column};
use tantivy::schema::Value as _;
use tantivy::{DocAddress, DocId, SegmentReader, TantivyDocument, TantivyError};

use crate::control::Stop;
use crate::partition::View;
use crate::scan::{Part, Plan, ScanError};
use crate::schema;
use crate::terms::BATCH_LEN;

/// Where a document is: place of the partition in the plan, segment, document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Address {
    partition: usize,
    segment: u32,
    doc: DocId,
}

/// Candidates that are looked at in the first round; each round looks at four times as many.
const ROUND_MIN: usize = 256;
const ROUND_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Newest {
    pub(crate) events: Vec<Event>,
    /// Whether there may be older ones.
    pub(crate) more: bool,
    /// Where to go on.
    pub(crate) next: Option<PageKey>,
    pub(crate) outcome: Outcome,
}

/// The newest `limit` events that match and come after `before` in the order newest first.
pub(crate) fn newest(plan: &Plan<'_>, hunt: &Hunt, before: Option<PageKey>, limit: usize) -> Result<Newest, ScanError> {
    let mut found = Newest { events: Vec::new(), more: false, next: None, outcome: Outcome::Complete };
    let mut before = before;
    let exact = plan.is_exact();
    let mut round = if exact { limit + 1 } else { (limit * 4).clamp(ROUND_MIN, ROUND_MAX) };
    loop {
        let (candidates, stopped) = gather(plan, before, round)?;
        let last_round = candidates.len() < round;
        for (key, address) in candidates {
            match plan.control.check() {
                Err(Stop::Cancelled) => return Err(Stop::Cancelled.into()),
                // Of an exact query the candidates are the answer; the others have to be judged one by one.
                Err(Stop::Deadline) if !exact && stopped.is_none() => return Ok(deadline(found, before)),
                _ => (),
            }
            if found.events.len() == limit {
                // One more is there or may be there; finding out is left to the next page.
                let view = &plan.prepared[address.partition];
                let sure = view.lowered.exact || hunt.matches(&read(view.view, address.segment, address.doc)?);
                if sure {
                    found.more = true;
                    found.next = found.events.last().map(PageKey::of);
                    return Ok(found);
                }
                before = Some(key);
                continue;
            }
            let view = &plan.prepared[address.partition];
            let event = read(view.view, address.segment, address.doc)?;
            if view.lowered.exact || hunt.matches(&event) {
                found.events.push(event);
            }
            before = Some(key);
        }
        if stopped.is_some() {
            return Ok(deadline(found, before));
        }
        if last_round {
            return Ok(found);
        }
        round = (round * 4).min(ROUND_MAX.max(limit + 1));
    }
}

fn deadline(mut found: Newest, before: Option<PageKey>) -> Newest {
    found.outcome = Outcome::Deadline;
    found.more = true;
    found.next = before;
    found
}

/// The newest `count` candidates after `before`, newest first. When time runs out, those that are certainly the newest.
fn gather(
    plan: &Plan<'_>,
    before: Option<PageKey>,
    count: usize,
) -> Result<(Vec<(PageKey, Address)>, Option<Stop>), ScanError> {
    let mut heap: BinaryHeap<Reverse<(PageKey, Address)>> = BinaryHeap::with_capacity(count.min(ROUND_MIN) + 1);
    for (n, part) in plan.parts.iter().enumerate() {
        let full = heap.len() == count;
        let oldest = heap.peek().map(|Reverse((key, _))| key.time.nanos());
        if full && oldest.is_some_and(|oldest| part.span.1 < oldest) {
            break;
        }
        if before.is_some_and(|before| part.span.0 > before.time.nanos()) {
            continue;
        }
        match gather_part(plan, *part, before, count, &mut heap) {
            Ok(()) => (),
            Err(ScanError::Stop(Stop::Deadline)) => {
                // Older segments, and this one, may hold anything up to their newest event.
                let unseen = plan.parts[n..].iter().map(|part| part.span.1).max().unwrap_or(i64::MAX);
                let mut sure: Vec<_> = heap.into_iter().map(|Reverse(found)| found).collect();
                sure.retain(|(key, _)| key.time.nanos() > unseen);
                sure.sort_unstable_by_key(|found| Reverse(*found));
                return Ok((sure, Some(Stop::Deadline)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok((heap.into_sorted_vec().into_iter().map(|Reverse(found)| found).collect(), None))
}

fn gather_part(
    plan: &Plan<'_>,
    part: Part,
    before: Option<PageKey>,
    count: usize,
    heap: &mut BinaryHeap<Reverse<(PageKey, Address)>>,
) -> Result<(), ScanError> {
    let mut ids = Ids::open(plan.reader(part)?)?;
    plan.walk(part, |doc, at| {
        if before.is_some_and(|before| at > before.time.nanos()) {
            return Ok(());
        }
        let full = heap.len() == count;
        if full && heap.peek().is_some_and(|Reverse((key, _))| at < key.time.nanos()) {
            return Ok(());
        }
        let key = PageKey { time: Timestamp::from_nanos(at), id: ids.get(doc)? };
        if before.is_some_and(|before| key >= before) {
            return Ok(());
        }
        let found = (key, Address { partition: part.partition, segment: part.segment, doc });
        if !full {
            heap.push(Reverse(found));
        } else if heap.peek().is_some_and(|Reverse(least)| found > *least) {
            heap.pop();
            heap.push(Reverse(found));
        }
        Ok(())
    })
}

/// Ids of the events of one segment, from columns.
struct Ids {
    batches: Option<BytesColumn>,
    places: Column<u64>,
    /// The batch that was read last: neighbours mostly share it.
    last: Option<(u64, Vec<u8>)>,
}

impl Ids {
    fn open(reader: &SegmentReader) -> Result<Self, ScanError> {
        let fast = reader.fast_fields();
        Ok(Self { batches: fast.bytes(schema::BATCH)?, places: fast.u64(schema::PLACE)?, last: None })
    }

    fn get(&mut self, doc: DocId) -> Result<EventId, ScanError> {
        let mut id = [0; EventId::LEN];
        if let Some(batches) = &self.batches
            && let Some(ord) = batches.ords().first(doc)
        {
            let known = self.last.take().filter(|(last, _)| *last == ord);
            let batch = match known {
                Some((_, batch)) => batch,
                None => {
                    let mut batch = Vec::with_capacity(BATCH_LEN);
                    batches.ord_to_bytes(ord, &mut batch)?;
                    batch
                }
            };
            for (to, from) in id.iter_mut().zip(&batch) {
                *to = *from;
            }
            self.last = Some((ord, batch));
        }
        let place = self.places.first(doc).unwrap_or_default();
        for (to, from) in id.iter_mut().rev().take(EventId::LEN - BATCH_LEN).zip(place.to_le_bytes()) {
            *to = from;
        }
        Ok(EventId::from_bytes(id))
    }
}

/// One stored event.
pub(crate) fn read(view: &View, segment: u32, doc: DocId) -> Result<Event, ScanError> {
    let document: TantivyDocument = view.searcher.doc(DocAddress::new(segment, doc))?;
    let bytes = document.get_first(view.fields.event).and_then(|value| value.as_bytes());
    let bytes = bytes.ok_or_else(|| TantivyError::SystemError("an event has no stored bytes".to_owned()))?;
    codec::decode(bytes).map_err(ScanError::Damaged)
}
