//! A query for all documents that another one does not find.
//!
//! Tantivy's own way to leave documents out asks the other query for documents that it has passed already, which a
//! phrase does not allow (its debug build panics), so the documents are crossed off a list here.

use tantivy::query::{BitSetDocSet, ConstScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{BitSet, DocId, Score, SegmentReader, TERMINATED, TantivyError};

#[derive(Debug)]
pub(crate) struct NotQuery(pub(crate) Box<dyn Query>);

struct NotWeight(Box<dyn Weight>);

impl Clone for NotQuery {
    fn clone(&self) -> Self {
        Self(self.0.box_clone())
    }
}

impl Query for NotQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(NotWeight(self.0.weight(scoring)?)))
    }
}

impl Weight for NotWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut docs = BitSet::with_max_value_and_full(reader.max_doc());
        let mut found = self.0.scorer(reader, boost)?;
        let mut doc = found.doc();
        while doc != TERMINATED {
            docs.remove(doc);
            doc = found.advance();
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(docs), boost)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("scores are not used here".to_owned()))
    }
}
