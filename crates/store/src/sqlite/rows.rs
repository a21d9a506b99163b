//! Rows of the log, decoded.

use std::sync::Arc;

use bytes::Bytes;
use nexus_core::{
    event::{Data, Priority, StoredEvent},
    id::EventId,
    time::Timestamp,
    topic::Topic,
};
use rusqlite::{
    Row,
    types::{FromSqlError, FromSqlResult, ValueRef},
};

/// The columns [`decode`] expects.
pub(crate) const COLUMNS: &str = "seq, id, type, source, subject, time, lag, priority, correlation, causation, depth, \
     attributes, salt, digest, hash, data";

/// Numbers of the header columns that queries look at before they decode a row.
pub(super) mod at {
    pub(in crate::sqlite) const SEQ: usize = 0;
    pub(in crate::sqlite) const TYPE: usize = 2;
    pub(in crate::sqlite) const SOURCE: usize = 3;
    pub(in crate::sqlite) const SUBJECT: usize = 4;
    pub(in crate::sqlite) const CORRELATION: usize = 8;
}

/// An event id out of a column.
pub(crate) fn event_id(value: ValueRef<'_>) -> FromSqlResult<EventId> {
    Ok(EventId::from_bytes(fixed(value)?))
}

fn fixed<const N: usize>(value: ValueRef<'_>) -> FromSqlResult<[u8; N]> {
    let blob = value.as_blob()?;
    blob.try_into().map_err(|_| FromSqlError::InvalidBlobSize { expected_size: N, blob_size: blob.len() })
}

fn text(value: ValueRef<'_>) -> FromSqlResult<Option<&str>> {
    value.as_str_or_null()
}

/// One row, with its names looked up.
pub(crate) fn decode(row: &Row<'_>, types: &[Topic], sources: &[Arc<str>]) -> rusqlite::Result<StoredEvent> {
    let digest = row.get_ref(13)?;
    let data = if digest == ValueRef::Null {
        Data::Present { salt: fixed(row.get_ref(12)?)?, json: Bytes::copy_from_slice(row.get_ref(15)?.as_blob()?) }
    } else {
        Data::Erased { digest: fixed(digest)? }
    };
    let time: i64 = row.get_ref(5)?.as_i64()?;
    let lag: i64 = row.get_ref(6)?.as_i64()?;
    let number = u64::try_from(row.get_ref(7)?.as_i64()?).unwrap_or(u64::MAX);
    Ok(StoredEvent {
        seq: row.get(0)?,
        id: event_id(row.get_ref(1)?)?,
        topic: name(types, row, 2)?.clone(),
        source: Arc::clone(name(sources, row, 3)?),
        subject: text(row.get_ref(4)?)?.map(Arc::from),
        time: Timestamp::from_micros(time),
        received: Timestamp::from_micros(time.wrapping_sub(lag)),
        priority: Priority::from_number(number).ok_or(FromSqlError::OutOfRange(time))?,
        correlation: text(row.get_ref(8)?)?.map(Arc::from),
        causation: match row.get_ref(9)? {
            ValueRef::Null => None,
            id => Some(event_id(id)?),
        },
        depth: row.get(10)?,
        attributes: text(row.get_ref(11)?)?.map(Box::from),
        data,
        hash: fixed(row.get_ref(14)?)?,
    })
}

/// Numbers start at 1.
fn name<'a, T>(names: &'a [T], row: &Row<'_>, column: usize) -> rusqlite::Result<&'a T> {
    let id = row.get_ref(column)?.as_i64()?;
    let found = usize::try_from(id).ok().and_then(|n| n.checked_sub(1)).and_then(|n| names.get(n));
    Ok(found.ok_or(FromSqlError::OutOfRange(id))?)
}
