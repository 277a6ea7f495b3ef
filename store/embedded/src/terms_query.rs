//! A query for all documents that have a term out of a span of the dictionary, and the term passes a test. It is how
//! wildcards, expressions and ranges over values are answered without reading an event.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocId, Score, SegmentReader, TantivyError};

use crate::control::Control;

pub(crate) type TermTest = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct TermsQuery {
    pub(crate) field: Field,
    pub(crate) lower: Vec<u8>,
    pub(crate) upper: Bound<Vec<u8>>,
    pub(crate) test: TermTest,
    pub(crate) control: Control,
}

impl fmt::Debug for TermsQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TermsQuery({:?}..{:?})", self.lower, self.upper)
    }
}

impl Query for TermsQuery {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

/// Terms between two looks at the clock.
const STEPS: usize = 4_096;

impl Weight for TermsQuery {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let inverted = reader.inverted_index(self.field)?;
        let range = inverted.terms().range().ge(&self.lower);
        let mut terms = match &self.upper {
            Bound::Unbounded => range,
            Bound::Included(upper) => range.le(upper),
            Bound::Excluded(upper) => range.lt(upper),
        }
        .into_stream()?;
        let mut docs = BitSet::with_max_value(reader.max_doc());
        let mut step = 0_usize;
        while terms.advance() {
            step += 1;
            if step.is_multiple_of(STEPS) && self.control.check().is_err() {
                // The caller looks at the clock too, right after, and tells the difference.
                break;
            }
            if !(self.test)(terms.key()) {
                continue;
            }
            let mut postings = inverted.read_block_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                for doc in postings.docs() {
                    docs.insert(*doc);
                }
                postings.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("scores are not used here".to_owned()))
    }
}
