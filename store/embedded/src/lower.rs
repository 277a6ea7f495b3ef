//! A hunt as a query of Tantivy, for one partition.
//!
//! The query always finds at least what the hunt finds. `exact` says that it finds nothing else; otherwise each event
//! is read and judged by [`Hunt::matches`](canh_store::hunt::Hunt::matches), which is the meaning of a hunt.

use std::ops::Bound;
use std::sync::Arc;

use canh_schema::{EventId, FieldId, FieldKind, Value};
use canh_store::hunt::{Expr, Phrase, Piece, Test, address_number};
use canh_store::{FieldRef, Pseudo};
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{TantivyError, Term};

use crate::control::Control;
use crate::not_query::NotQuery;
use crate::partition::View;
use crate::schema::ColumnKind;
use crate::terms::{self, BATCH_LEN, Key, LONG_MARK, after_prefix};
use crate::terms_query::{TermTest, TermsQuery};

pub(crate) struct Lowered {
    pub(crate) query: Box<dyn Query>,
    pub(crate) exact: bool,
}

impl Lowered {
    fn exact(query: impl Query) -> Self {
        Self { query: Box::new(query), exact: true }
    }

    fn candidates(query: impl Query) -> Self {
        Self { query: Box::new(query), exact: false }
    }

    fn unexact(mut self) -> Self {
        self.exact = false;
        self
    }

    fn constant(found: bool) -> Self {
        if found { Self::exact(AllQuery) } else { Self::exact(EmptyQuery) }
    }
}

pub(crate) struct Lowering<'v> {
    view: &'v View,
    control: &'v Control,
}

type Result<T> = std::result::Result<T, TantivyError>;

impl<'v> Lowering<'v> {
    pub(crate) fn new(view: &'v View, control: &'v Control) -> Self {
        Self { view, control }
    }

    pub(crate) fn lower(&self, expr: &Expr) -> Result<Lowered> {
        match expr {
            Expr::All => Ok(Lowered::exact(AllQuery)),
            Expr::Words(phrase) => Ok(self.words(phrase)),
            Expr::Text(_) => Ok(Lowered::candidates(AllQuery)),
            Expr::Field(FieldRef::Pseudo(pseudo), test) => self.pseudo(*pseudo, test),
            Expr::Field(FieldRef::Catalogue(field), test) => self.catalogue(*field, test),
            Expr::Field(FieldRef::Attr(name), test) => self.keyword(&Key::attr(name), test),
            Expr::Not(inner) => {
                let inner = self.lower(inner)?;
                if !inner.exact {
                    return Ok(Lowered::candidates(AllQuery));
                }
                Ok(Lowered::exact(NotQuery(inner.query)))
            }
            Expr::And(parts) => self.joined(parts, Occur::Must),
            Expr::Or(parts) => self.joined(parts, Occur::Should),
        }
    }

    fn joined(&self, parts: &[Expr], occur: Occur) -> Result<Lowered> {
        let parts = parts.iter().map(|part| self.lower(part)).collect::<Result<Vec<_>>>()?;
        let exact = parts.iter().all(|part| part.exact);
        let query = BooleanQuery::new(parts.into_iter().map(|part| (occur, part.query)).collect());
        Ok(Lowered { query: Box::new(query), exact })
    }

    fn term(&self, term: &[u8]) -> TermQuery {
        TermQuery::new(Term::from_field_bytes(self.view.fields.keys, term), IndexRecordOption::Basic)
    }

    /// Terms that begin with `start` and then, after `skip` bytes in all, pass the test.
    fn terms(&self, field: Field, start: Vec<u8>, test: TermTest) -> TermsQuery {
        let upper = after_prefix(&start).map_or(Bound::Unbounded, Bound::Excluded);
        TermsQuery { field, lower: start, upper, test, control: self.control.clone() }
    }

    fn words(&self, phrase: &Phrase) -> Lowered {
        let text = self.view.fields.text;
        let plain: Option<Vec<&str>> = phrase
            .pieces()
            .iter()
            .map(|piece| match piece {
                Piece::Word(word) => Some(word.as_str()),
                Piece::Like(_) => None,
            })
            .collect();
        match plain.as_deref() {
            Some([]) => return Lowered::exact(AllQuery),
            Some([word]) => {
                return Lowered::exact(TermQuery::new(Term::from_field_text(text, word), IndexRecordOption::Basic));
            }
            Some(words) => {
                let terms = words.iter().map(|word| Term::from_field_text(text, word)).collect();
                return Lowered::exact(PhraseQuery::new(terms));
            }
            None => (),
        }
        let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for piece in phrase.pieces() {
            match piece {
                Piece::Word(word) => {
                    parts.push((
                        Occur::Must,
                        Box::new(TermQuery::new(Term::from_field_text(text, word), IndexRecordOption::Basic)),
                    ));
                }
                Piece::Like(wildcard) if wildcard.is_any() => (),
                Piece::Like(wildcard) => {
                    let pattern = wildcard.clone();
                    let test: TermTest =
                        Arc::new(move |term| str::from_utf8(term).is_ok_and(|word| pattern.matches(word)));
                    parts.push((Occur::Must, Box::new(self.terms(text, wildcard.prefix().into_bytes(), test))));
                }
            }
        }
        // A single pattern is exact; of several it is only known that each word is there, not where.
        Lowered { exact: phrase.pieces().len() == 1, query: Box::new(BooleanQuery::new(parts)) }
    }

    fn pseudo(&self, pseudo: Pseudo, test: &Test) -> Result<Lowered> {
        match (pseudo, test) {
            (Pseudo::Class, test) => Ok(Lowered::constant(test.matches(&Value::text(self.view.class.name())))),
            (Pseudo::Time | Pseudo::Received | Pseudo::Id, Test::Exists) => Ok(Lowered::exact(AllQuery)),
            (Pseudo::Time, Test::Time { first, last }) => {
                Ok(Lowered::exact(integers(self.view.fields.time, *first, *last)))
            }
            (Pseudo::Id, Test::Is(literal)) => match literal.folded().parse::<EventId>() {
                Ok(id) => Ok(Lowered::candidates(self.term(&terms::batch(&id.as_bytes()[..BATCH_LEN])))),
                Err(_) => Ok(Lowered::exact(EmptyQuery)),
            },
            (Pseudo::Time | Pseudo::Received | Pseudo::Id, _) => Ok(Lowered::candidates(AllQuery)),
            (Pseudo::Product | Pseudo::Service | Pseudo::Category | Pseudo::Issue, test) => {
                // A partition made before the pseudo field had a column has no terms for it either.
                if self.view.fields.pseudo(pseudo).is_none() {
                    return Ok(Lowered::candidates(AllQuery));
                }
                self.keyword(&Key::pseudo(pseudo.name()), test)
            }
        }
    }

    fn catalogue(&self, field: FieldId, test: &Test) -> Result<Lowered> {
        let key = Key::catalogue(field.name());
        let exists = || Lowered::exact(self.term(&key.exists()));
        match (field.kind(), test) {
            (_, Test::Exists) => Ok(exists()),
            (FieldKind::Keyword | FieldKind::Bool, test) => self.keyword(&key, test),
            (FieldKind::Ip, Test::Net(net)) => {
                Ok(Lowered::exact(self.addresses(&key, address_number(net.network()), address_number(net.broadcast()))))
            }
            (FieldKind::Ip, Test::Addresses { first, last }) if first > last => Ok(Lowered::exact(EmptyQuery)),
            (FieldKind::Ip, Test::Addresses { first, last }) => Ok(Lowered::exact(self.addresses(&key, *first, *last))),
            (FieldKind::Integer, Test::Integer { first, last }) | (FieldKind::Time, Test::Time { first, last }) => {
                Ok(match self.view.fields.column(field) {
                    Some((column, ColumnKind::Integer)) => Lowered::exact(integers(column, *first, *last)),
                    _ => exists().unexact(),
                })
            }
            (FieldKind::Float, Test::Float { lower, upper }) => Ok(match self.view.fields.column(field) {
                Some((column, ColumnKind::Float)) => {
                    let term = |bound: &Bound<f64>| bound.map(|number| Term::from_field_f64(column, number));
                    Lowered::exact(RangeQuery::new(term(lower), term(upper)))
                }
                _ => exists().unexact(),
            }),
            (FieldKind::Text, Test::Words(phrase)) => {
                // The words of all texts are in one field; that they stand in this one is seen from the event.
                let words = self.words(phrase).query;
                let exists: Box<dyn Query> = Box::new(self.term(&key.exists()));
                Ok(Lowered::candidates(BooleanQuery::new(vec![(Occur::Must, words), (Occur::Must, exists)])))
            }
            _ => Ok(exists().unexact()),
        }
    }

    fn addresses(&self, key: &Key, first: u128, last: u128) -> Box<dyn Query> {
        if first == last {
            return Box::new(self.term(&key.address(first)));
        }
        Box::new(TermsQuery {
            field: self.view.fields.keys,
            lower: key.address(first),
            upper: Bound::Included(key.address(last)),
            test: Arc::new(|_| true),
            control: self.control.clone(),
        })
    }

    /// Values that are kept as text, in lower case.
    fn keyword(&self, key: &Key, test: &Test) -> Result<Lowered> {
        let prefix = match test {
            Test::Exists => return Ok(Lowered::exact(self.term(&key.exists()))),
            Test::Is(literal) => return Ok(Lowered::exact(self.term(&key.value(literal.folded()).0))),
            Test::Like(wildcard) => wildcard.prefix(),
            Test::Found(_) | Test::Between { .. } | Test::Net(_) => String::new(),
            _ => return Ok(Lowered::candidates(self.term(&key.exists()))),
        };
        let values = key.values();
        let skip = values.len();
        // The tests take values as text too, so that a term is judged as the value itself would be, but for one thing:
        // the text of a number is judged as a number as well, and that is how it should be.
        let own = test.clone();
        let judge: TermTest = Arc::new(move |term| match term.get(skip..) {
            Some(value) if value.contains(&LONG_MARK) => true,
            Some(value) => str::from_utf8(value).is_ok_and(|text| own.matches(&Value::text(text))),
            None => false,
        });
        let mut start = values;
        // A long value is cut; a prefix beyond the cut would miss it.
        start.extend_from_slice(prefix.as_bytes().get(..64).unwrap_or(prefix.as_bytes()));
        let query = self.terms(self.view.fields.keys, start, judge);
        Ok(Lowered { query: Box::new(query), exact: !self.has_term(&key.long())? })
    }

    fn has_term(&self, term: &[u8]) -> Result<bool> {
        self.view.searcher.doc_freq(&Term::from_field_bytes(self.view.fields.keys, term)).map(|count| count > 0)
    }
}

fn integers(column: Field, first: i64, last: i64) -> Box<dyn Query> {
    if first > last {
        return Box::new(EmptyQuery);
    }
    let term = |number| Term::from_field_i64(column, number);
    Box::new(RangeQuery::new(Bound::Included(term(first)), Bound::Included(term(last))))
}
