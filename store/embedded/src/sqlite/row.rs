//! Values of columns: what SQLite holds, and what it means.

use canh_schema::Timestamp;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};

/// Counters and row ids. SQLite has no unsigned numbers; ours do not come near its limit.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn uint(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or(0))
}

pub(super) fn uint_option(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(column).map(|value| value.map(|value| u64::try_from(value).unwrap_or(0)))
}

pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_nanos)
}

/// A text that names one of ours.
pub(super) fn named<T>(row: &Row<'_>, column: &str, read: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    read(&text).ok_or_else(|| unreadable(row, column, format!("`{text}` is not known")))
}

/// Anything that strings are made into, such as `CompactString`.
pub(super) fn text<T: From<String>>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    row.get::<_, String>(column).map(T::from)
}

pub(super) fn text_option<T: From<String>>(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<T>> {
    row.get::<_, Option<String>>(column).map(|text| text.map(T::from))
}

/// A column that holds JSON of ours.
pub(super) fn json<T>(
    row: &Row<'_>,
    column: &str,
    read: impl FnOnce(&serde_json::Value) -> Option<T>,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    let value = serde_json::from_str(&text).map_err(|error| unreadable(row, column, error.to_string()))?;
    read(&value).ok_or_else(|| unreadable(row, column, "the value has another shape".to_owned()))
}

/// The same for a column that may be empty.
pub(super) fn json_option<T>(
    row: &Row<'_>,
    column: &str,
    read: impl FnOnce(&serde_json::Value) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => json(row, column, read).map(Some),
    }
}

pub(super) fn unreadable(row: &Row<'_>, column: &str, why: String) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or(0);
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(FromSqlError::Other(why.into())))
}
