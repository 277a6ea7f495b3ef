//! Walks over the documents that a query finds, segment by segment, the newest segments first.

use std::sync::Arc;
use std::time::Duration;

use canh_schema::TimeRange;
use canh_store::{Filter, StoreError};
use tantivy::columnar::Column;
use tantivy::query::EnableScoring;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, SegmentReader, TERMINATED, TantivyError};

use crate::control::{Control, Stop};
use crate::lower::{Lowered, Lowering};
use crate::partition::View;
use crate::schema;

/// What ends a walk before its end.
#[derive(Debug)]
pub(crate) enum ScanError {
    Stop(Stop),
    Engine(TantivyError),
    Damaged(canh_store::codec::CodecError),
}

impl From<TantivyError> for ScanError {
    fn from(error: TantivyError) -> Self {
        Self::Engine(error)
    }
}

impl From<std::io::Error> for ScanError {
    fn from(error: std::io::Error) -> Self {
        Self::Engine(error.into())
    }
}

impl From<Stop> for ScanError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<ScanError> for StoreError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Stop(Stop::Cancelled) => Self::Closed,
            ScanError::Stop(Stop::Deadline) => Self::Deadline { limit: Duration::ZERO },
            ScanError::Engine(error) => Self::failed("search the events", error),
            ScanError::Damaged(error) => Self::failed("read a stored event", error),
        }
    }
}

/// A partition with the query that belongs to it.
pub(crate) struct Prepared<'v> {
    pub(crate) view: &'v View,
    pub(crate) lowered: Lowered,
}

/// One segment of a partition.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    /// Place among the prepared partitions.
    pub(crate) partition: usize,
    pub(crate) segment: u32,
    /// Times of the oldest and newest event in it.
    pub(crate) span: (i64, i64),
}

pub(crate) struct Plan<'v> {
    pub(crate) prepared: Vec<Prepared<'v>>,
    /// The segments that reach into the range, by their newest event, newest first.
    pub(crate) parts: Vec<Part>,
    pub(crate) range: TimeRange,
    pub(crate) control: &'v Control,
}

impl<'v> Plan<'v> {
    pub(crate) fn new(views: &'v [Arc<View>], filter: &Filter, control: &'v Control) -> Result<Self, ScanError> {
        let range = filter.range;
        let overlaps = |span: (i64, i64)| span.1 >= range.start.nanos() && span.0 < range.end.nanos();
        let mut prepared = Vec::new();
        let mut parts = Vec::new();
        for view in views.iter().filter(|view| view.span.is_some_and(overlaps)) {
            control.check()?;
            let lowered = Lowering::new(view, control).lower(filter.hunt.expr())?;
            for (segment, span) in (0..).zip(&view.segments) {
                if overlaps(*span) {
                    parts.push(Part { partition: prepared.len(), segment, span: *span });
                }
            }
            prepared.push(Prepared { view, lowered });
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.span.1));
        Ok(Self { prepared, parts, range, control })
    }

    /// Whether nothing that the queries find needs to be judged by reading it.
    pub(crate) fn is_exact(&self) -> bool {
        self.prepared.iter().all(|prepared| prepared.lowered.exact)
    }

    pub(crate) fn reader(&self, part: Part) -> Result<&SegmentReader, ScanError> {
        let prepared = self.prepared.get(part.partition).ok_or_else(lost)?;
        Ok(prepared.view.searcher.segment_reader(part.segment))
    }

    /// Calls `each` with documents of a segment in the range, and their times.
    pub(crate) fn walk(
        &self,
        part: Part,
        mut each: impl FnMut(DocId, i64) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let prepared = self.prepared.get(part.partition).ok_or_else(lost)?;
        let reader = prepared.view.searcher.segment_reader(part.segment);
        let times: Column<i64> = reader.fast_fields().i64(schema::TIME)?;
        let inside = self.range.start.nanos() <= part.span.0 && part.span.1 < self.range.end.nanos();
        let weight = prepared.lowered.query.weight(EnableScoring::disabled_from_searcher(&prepared.view.searcher))?;
        let mut scorer = weight.scorer(reader, 1.0)?;
        self.control.check()?;
        let mut docs = [0; COLLECT_BLOCK_BUFFER_LEN];
        let mut found = [None; COLLECT_BLOCK_BUFFER_LEN];
        let mut blocks = 0_u32;
        while scorer.doc() != TERMINATED {
            let count = scorer.fill_buffer(&mut docs);
            let (docs, found) = (&docs[..count], &mut found[..count]);
            times.first_vals(docs, found);
            for (doc, at) in docs.iter().zip(found.iter()) {
                let at = at.unwrap_or_default();
                if inside || (self.range.start.nanos() <= at && at < self.range.end.nanos()) {
                    each(*doc, at)?;
                }
            }
            blocks += 1;
            if blocks.is_multiple_of(128) {
                self.control.check()?;
            }
            if count < COLLECT_BLOCK_BUFFER_LEN {
                break;
            }
        }
        Ok(())
    }
}

fn lost() -> ScanError {
    ScanError::Engine(TantivyError::InvalidArgument("a partition is not part of the plan".to_owned()))
}
