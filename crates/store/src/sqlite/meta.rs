//! The file's own facts: which epoch the log is in, where it begins, what it chains to.

use std::collections::HashMap;

use nexus_core::{
    chain::{Checkpoint, Hash, genesis},
    event::Seq,
    store::Head,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

/// What the first row of the log chains to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Last seq that was dropped; 0 = none was.
    pub(crate) seq: Seq,
    /// Its hash, or the genesis of the epoch in which the log began.
    pub(crate) hash: Hash,
    /// Its commit time.
    pub(crate) time: Timestamp,
}

/// Present epoch.
pub(crate) fn epoch(conn: &Connection) -> rusqlite::Result<u32> {
    Ok(get::<u32>(conn, "epoch")?.unwrap_or(1))
}

/// Where the log begins.
pub(crate) fn anchor(conn: &Connection) -> rusqlite::Result<Anchor> {
    let origin = get::<u32>(conn, "origin")?.unwrap_or(1);
    Ok(Anchor {
        seq: get(conn, "anchor_seq")?.unwrap_or(0),
        hash: get(conn, "anchor_hash")?.unwrap_or_else(|| genesis(origin)),
        time: Timestamp::from_micros(get(conn, "anchor_time")?.unwrap_or(0)),
    })
}

/// Remembers the last dropped row.
pub(super) fn set_anchor(conn: &Connection, anchor: &Anchor) -> rusqlite::Result<()> {
    set(conn, "anchor_seq", anchor.seq)?;
    set(conn, "anchor_hash", anchor.hash)?;
    set(conn, "anchor_time", anchor.time.micros())
}

/// The signed statement about the last dropped row.
pub(crate) fn cut(conn: &Connection) -> rusqlite::Result<Option<Checkpoint>> {
    let text: Option<String> = get(conn, "cut")?;
    let read = |text: String| serde_json::from_str(&text).map_err(|error| unreadable(Box::new(error)));
    text.map(read).transpose()
}

/// Remembers that statement; it is about the anchor, and stands beside it in one transaction.
pub(super) fn set_cut(conn: &Connection, cut: &Checkpoint) -> rusqlite::Result<()> {
    let text = serde_json::to_string(cut).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    set(conn, "cut", text)
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
}

/// Sets one fact.
pub(crate) fn set(conn: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
        (key, value),
    )?;
    Ok(())
}

fn get<T: rusqlite::types::FromSql>(conn: &Connection, key: &str) -> rusqlite::Result<Option<T>> {
    conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()
}

/// The end of the log, read without walking it.
pub(crate) fn head(conn: &Connection) -> rusqlite::Result<Head> {
    let anchor = anchor(conn)?;
    let last: Option<(Seq, Hash, i64)> = conn
        .query_row("SELECT seq, hash, time FROM events ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let first: Option<Seq> = conn.query_row("SELECT min(seq) FROM events", [], |row| row.get(0))?;
    let epoch = epoch(conn)?;
    Ok(match last {
        Some((seq, hash, time)) => {
            Head { epoch, seq, first: first.unwrap_or(seq), hash, time: Timestamp::from_micros(time) }
        }
        None => Head { epoch, seq: anchor.seq, first: anchor.seq + 1, hash: anchor.hash, time: anchor.time },
    })
}

/// Present epoch of each shard.
pub(super) fn fences(conn: &Connection) -> rusqlite::Result<HashMap<u16, u64>> {
    let mut statement = conn.prepare("SELECT shard, epoch FROM shards")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
