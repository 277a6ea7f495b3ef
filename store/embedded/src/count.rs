//! Counts: events per slice of time, and values of a field. From columns where the query is exact and the field has
//! one, else by reading events, newest first.

use std::sync::Arc;

use canh_schema::{FieldKind, Timestamp};
use canh_store::hunt::Hunt;
use canh_store::tally::{self, ValueTally};
use canh_store::{BucketLayout, FieldRef, Filter, Outcome, StoreError, TopValues, TopValuesRequest};
use compact_str::{CompactString, ToCompactString};
use rustc_hash::FxHashMap;
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocId, SegmentReader};

use crate::control::{Control, Stop};
use crate::newest::{newest, read};
use crate::partition::View;
use crate::scan::{Part, Plan, ScanError};
use crate::schema::ColumnKind;

/// Events that are read for the values of a field without a column.
const SAMPLE_MAX: usize = 20_000;

pub(crate) fn histogram(plan: &Plan<'_>, hunt: &Hunt, layout: BucketLayout) -> Result<(Vec<u64>, Outcome), ScanError> {
    let mut counts = vec![0_u64; layout.count];
    let mut add = |at: i64| {
        if let Some(count) = layout.index(at).and_then(|index| counts.get_mut(index)) {
            *count += 1;
        }
    };
    for part in &plan.parts {
        let prepared = &plan.prepared[part.partition];
        let walked = plan.walk(*part, |doc, at| {
            if !prepared.lowered.exact {
                plan.control.check()?;
                if !hunt.matches(&read(prepared.view, part.segment, doc)?) {
                    return Ok(());
                }
            }
            add(at);
            Ok(())
        });
        match walked {
            Err(ScanError::Stop(Stop::Deadline)) => return Ok((counts, Outcome::Deadline)),
            walked => walked?,
        }
    }
    Ok((counts, Outcome::Complete))
}

pub(crate) fn top_values(
    views: &[Arc<View>],
    request: &TopValuesRequest,
    control: &Control,
) -> Result<TopValues, StoreError> {
    let plan = Plan::new(views, &request.filter, control)?;
    let limit = request.limit.get();
    // A partition without the column (made before the field was in the catalogue) makes everything be read.
    let columns: Option<Vec<ColumnKind>> = plan
        .prepared
        .iter()
        .map(|prepared| prepared.view.fields.column_of(&request.field).map(|(_, kind)| kind))
        .collect();
    match columns {
        Some(_) if plan.is_exact() => from_columns(&plan, &request.field, limit).map_err(StoreError::from),
        _ => from_events(&plan, &request.filter, &request.field, limit).map_err(StoreError::from),
    }
}

fn from_events(plan: &Plan<'_>, filter: &Filter, field: &FieldRef, limit: usize) -> Result<TopValues, ScanError> {
    let sample = newest(plan, &filter.hunt, None, SAMPLE_MAX)?;
    let mut tally = ValueTally::new(field.clone());
    sample.events.iter().for_each(|event| tally.add(event));
    let outcome = match sample.outcome {
        Outcome::Complete if sample.more => Outcome::Sampled { events: tally.total() },
        outcome => outcome,
    };
    Ok(tally.finish(limit, outcome))
}

#[derive(Default)]
struct Counts {
    values: FxHashMap<CompactString, u64>,
    with_field: u64,
    total: u64,
}

fn from_columns(plan: &Plan<'_>, field: &FieldRef, limit: usize) -> Result<TopValues, ScanError> {
    let mut counts = Counts::default();
    let mut outcome = Outcome::Complete;
    for part in &plan.parts {
        let prepared = &plan.prepared[part.partition];
        let Some((column, kind)) = prepared.view.fields.column_of(field) else { continue };
        let schema = prepared.view.searcher.schema();
        let name = schema.get_field_name(column);
        let reader = plan.reader(*part)?;
        let counted = match kind {
            ColumnKind::Text => count_texts(plan, *part, reader, name, &mut counts),
            ColumnKind::Integer => {
                let time = field.kind() == Some(FieldKind::Time);
                let show = |number: i64| match time {
                    true => Timestamp::from_nanos(number).to_compact_string(),
                    false => number.to_compact_string(),
                };
                let column: Option<Column<i64>> = reader.fast_fields().column_opt(name)?;
                count_numbers(plan, *part, column, |number| number, show, &mut counts)
            }
            ColumnKind::Float => {
                let column: Option<Column<f64>> = reader.fast_fields().column_opt(name)?;
                let show = |bits: u64| f64::from_bits(bits).to_compact_string();
                count_numbers(plan, *part, column, f64::to_bits, show, &mut counts)
            }
        };
        match counted {
            Err(ScanError::Stop(Stop::Deadline)) => {
                outcome = Outcome::Deadline;
                break;
            }
            counted => counted?,
        }
    }
    let Counts { values, with_field, total } = counts;
    Ok(TopValues { values: tally::top(values, limit), with_field, total, outcome })
}

fn count_texts(
    plan: &Plan<'_>,
    part: Part,
    reader: &SegmentReader,
    name: &str,
    counts: &mut Counts,
) -> Result<(), ScanError> {
    let column: Option<StrColumn> = reader.fast_fields().str(name)?;
    let Some(column) = column else {
        return plan.walk(part, |_, _| {
            counts.total += 1;
            Ok(())
        });
    };
    let mut ords: FxHashMap<u64, u64> = FxHashMap::default();
    let mut seen: Vec<u64> = Vec::new();
    let walked = plan.walk(part, |doc, _| {
        counts.total += 1;
        seen.clear();
        for ord in column.term_ords(doc) {
            // Values that were cut to the same text are one value.
            if !seen.contains(&ord) {
                seen.push(ord);
                *ords.entry(ord).or_default() += 1;
            }
        }
        counts.with_field += u64::from(!seen.is_empty());
        Ok(())
    });
    // In the order of the dictionary, which is read once from its beginning.
    let mut ords: Vec<(u64, u64)> = ords.into_iter().collect();
    ords.sort_unstable();
    let (places, numbers): (Vec<u64>, Vec<u64>) = ords.into_iter().unzip();
    let mut numbers = numbers.into_iter();
    column.dictionary().sorted_ords_to_term_cb(&places, |text| {
        let text = CompactString::from_utf8_lossy(text);
        *counts.values.entry(text).or_default() += numbers.next().unwrap_or(0);
    })?;
    walked
}

fn count_numbers<T, K>(
    plan: &Plan<'_>,
    part: Part,
    column: Option<Column<T>>,
    key: impl Fn(T) -> K,
    show: impl Fn(K) -> CompactString,
    counts: &mut Counts,
) -> Result<(), ScanError>
where
    T: PartialOrd + Copy + Send + Sync + std::fmt::Debug + 'static,
    K: std::hash::Hash + Eq + Copy,
{
    let mut numbers: FxHashMap<K, u64> = FxHashMap::default();
    let mut seen: Vec<K> = Vec::new();
    let walked = plan.walk(part, |doc: DocId, _| {
        counts.total += 1;
        seen.clear();
        for number in column.iter().flat_map(|column| column.values_for_doc(doc)).map(&key) {
            if !seen.contains(&number) {
                seen.push(number);
                *numbers.entry(number).or_default() += 1;
            }
        }
        counts.with_field += u64::from(!seen.is_empty());
        Ok(())
    });
    for (number, count) in numbers {
        *counts.values.entry(show(number)).or_default() += count;
    }
    walked
}
