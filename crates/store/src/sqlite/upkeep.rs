//! Work on the file that is no commit: taking shards, beginning epochs, erasing a person's data, sweeping what has expired. Each step is one
//! short transaction on the writer's thread.

use nexus_core::{
    chain::{Checkpoint, Hash, data_digest},
    event::Seq,
    id::EventId,
    store::{Fence, HEADS, Head, Redact, Redacted},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    meta,
    writer::{Writer, move_all},
};

/// Rows of one step.
pub(super) const STEP_ROWS: usize = 1_000;

/// Runs `change` as one transaction.
pub(super) fn transact<T>(
    conn: &Connection,
    w: &mut Writer,
    change: impl FnOnce(&Connection, &mut Writer) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let result = conn.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
        let done = change(conn, w)?;
        conn.execute_batch("COMMIT")?;
        Ok(done)
    });
    if let Err(error) = &result {
        w.judge(conn, error);
        w.log.undo();
    }
    result
}

/// Takes a shard.
pub(super) fn acquire(conn: &Connection, w: &mut Writer, shard: u16) -> rusqlite::Result<Fence> {
    let epoch: u64 = transact(conn, w, |conn, _| {
        conn.query_row(
            "INSERT INTO shards(shard, epoch) VALUES(?1, 1) ON CONFLICT(shard) DO UPDATE SET epoch = epoch + 1 \
             RETURNING epoch",
            [shard],
            |row| row.get(0),
        )
    })?;
    w.fences.insert(shard, epoch);
    Ok(Fence { shard, epoch })
}

/// Begins an epoch later than the present one and than `after`.
pub(super) fn begin_epoch(conn: &Connection, w: &mut Writer, after: u32) -> rusqlite::Result<Head> {
    let epoch = w.log.head.epoch.max(after).saturating_add(1);
    transact(conn, w, |conn, _| meta::set(conn, "epoch", epoch))?;
    (w.log.head.epoch, w.log.durable.epoch) = (epoch, epoch);
    w.shared.set_head(w.log.head);
    Ok(w.log.head)
}

/// Replaces the statement about the cut by one about the same place; false when it is about another.
pub(super) fn resign_cut(conn: &Connection, w: &mut Writer, cut: &Checkpoint) -> rusqlite::Result<bool> {
    transact(conn, w, |conn, _| {
        let anchor = meta::anchor(conn)?;
        let same = anchor.seq > 0 && cut.states(anchor.seq, &anchor.hash);
        if same {
            meta::set_cut(conn, cut)?;
        }
        Ok(same)
    })
}

/// Erases the data of one row; false when it was erased already.
pub(super) fn erase(conn: &Connection, seq: Seq) -> rusqlite::Result<bool> {
    let found: Option<Hash> = conn
        .prepare_cached("SELECT salt, data FROM events WHERE seq = ?1 AND digest IS NULL")?
        .query_row([seq], |row| Ok(data_digest(&row.get(0)?, row.get_ref(1)?.as_blob()?)))
        .optional()?;
    let Some(digest) = found else { return Ok(false) };
    conn.prepare_cached("UPDATE events SET digest = ?2, salt = NULL, data = NULL WHERE seq = ?1")?
        .execute((seq, digest))?;
    Ok(true)
}

/// With this on, freed pages are overwritten, so that erased data is not left in them.
pub(super) fn overwrite_freed(conn: &Connection, on: bool) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "secure_delete", i64::from(on), |_| Ok(()))
}

/// One step of a redaction: what was erased now, and whether there is more.
pub(super) fn redact(conn: &Connection, w: &mut Writer, what: &Redact) -> rusqlite::Result<(Redacted, bool)> {
    overwrite_freed(conn, true)?;
    let done = transact(conn, w, |conn, _| {
        let seqs = affected(conn, what)?;
        let mut done = Redacted::default();
        for seq in &seqs {
            if erase(conn, *seq)? {
                done.erased.push(*seq);
            }
        }
        for seq in logged(conn, what, &seqs)? {
            conn.prepare_cached("UPDATE exceptions SET log = '[]' WHERE seq = ?1 AND log <> '[]'")?.execute([seq])?;
            done.cleared.push(seq);
        }
        // A list of events is all there is to it, a subject may have more than what was looked at.
        let full = seqs.len() >= STEP_ROWS || done.cleared.len() >= STEP_ROWS;
        Ok((done, full && matches!(what, Redact::Subject(_))))
    });
    overwrite_freed(conn, false)?;
    let (done, more) = done?;
    if !more {
        // Moves the overwritten pages into the file; older copies in the WAL go when it starts anew.
        move_all(conn, w)?;
    }
    Ok((done, more))
}

/// Events of whose attempts something is kept. Those of a subject are looked for by the subject, as retention may have
/// taken their data before, and they are not among the `affected` then.
fn logged(conn: &Connection, what: &Redact, affected: &[Seq]) -> rusqlite::Result<Vec<Seq>> {
    match what {
        Redact::Event(_) | Redact::Events(_) => {
            let mut found = Vec::new();
            let mut statement =
                conn.prepare_cached("SELECT EXISTS (SELECT 1 FROM exceptions WHERE seq = ?1 AND log <> '[]')")?;
            for seq in affected {
                if statement.query_row([seq], |row| row.get(0))? {
                    found.push(*seq);
                }
            }
            Ok(found)
        }
        Redact::Subject(subject) => conn
            .prepare_cached(
                "SELECT DISTINCT e.seq FROM events e INDEXED BY events_subject CROSS JOIN exceptions x ON x.seq = e.seq \
                 WHERE e.subject = ?1 AND x.log <> '[]' ORDER BY e.seq LIMIT ?2",
            )?
            .query_map((subject, STEP_ROWS), |row| row.get(0))?
            .collect(),
    }
}

/// Takes what was kept of requests and answers out of the attempts of one event; their times and statuses stay.
pub(super) fn behead(conn: &Connection, seq: Seq) -> rusqlite::Result<()> {
    let [request, response] = HEADS;
    conn.prepare_cached(
        "UPDATE exceptions SET log = (SELECT json_group_array(json_remove(a.value, '$.' || ?2, '$.' || ?3)) \
         FROM json_each(exceptions.log) a WHERE a.type = 'object') WHERE seq = ?1 AND log <> '[]' AND json_valid(log)",
    )?
    .execute((seq, request, response))
    .map(drop)
}

fn affected(conn: &Connection, what: &Redact) -> rusqlite::Result<Vec<Seq>> {
    match what {
        Redact::Event(id) => seq_of(conn, *id).map(|seq| seq.into_iter().collect()),
        Redact::Events(ids) => ids.iter().filter_map(|id| seq_of(conn, *id).transpose()).collect(),
        Redact::Subject(subject) => conn
            .prepare_cached(
                "SELECT seq FROM events INDEXED BY events_subject WHERE subject = ?1 AND digest IS NULL ORDER BY seq LIMIT ?2",
            )?
            .query_map((subject, STEP_ROWS), |row| row.get(0))?
            .collect(),
    }
}

fn seq_of(conn: &Connection, id: EventId) -> rusqlite::Result<Option<Seq>> {
    conn.prepare_cached("SELECT seq FROM events WHERE id = ?1")?.query_row([id.as_bytes()], |row| row.get(0)).optional()
}

/// One step of a sweep; true = more to do. Receipts are saved in order of time, so the old ones are a prefix.
pub(super) fn sweep(conn: &Connection, w: &mut Writer, before: Timestamp, now: Timestamp) -> rusqlite::Result<bool> {
    transact(conn, w, |conn, _| {
        let receipts = conn
            .prepare_cached(
                "DELETE FROM receipts WHERE id IN (SELECT id FROM (SELECT id, at FROM receipts ORDER BY id LIMIT ?2) \
                 WHERE at < ?1)",
            )?
            .execute((before.micros(), STEP_ROWS))?;
        let exceptions = conn
            .prepare_cached(
                "DELETE FROM exceptions WHERE rowid IN (SELECT rowid FROM exceptions INDEXED BY exceptions_old \
                 WHERE state = 2 AND updated_at < ?1 LIMIT ?2)",
            )?
            .execute((before.micros(), STEP_ROWS))?;
        let keys = conn
            .prepare_cached(
                "DELETE FROM once WHERE (source, key) IN (SELECT source, key FROM once INDEXED BY once_until \
                 WHERE until <= ?1 LIMIT ?2)",
            )?
            .execute((now.micros(), STEP_ROWS))?;
        Ok(receipts.max(exceptions).max(keys) >= STEP_ROWS)
    })
}
