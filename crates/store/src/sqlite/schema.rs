//! Tables of the store itself and how a file moves forward from format to format. A format is never changed once
//! released: the next one is a further entry of [`MIGRATIONS`].

use rusqlite::{Connection, TransactionBehavior};

/// `NXS1`: tells our files from other SQLite databases.
pub(crate) const APPLICATION_ID: i32 = 0x4E58_5331;

/// Newest format known.
pub(crate) const FORMAT: u32 = 1;

const MIGRATIONS: &[(u32, &str)] = &[(1, FORMAT_1)];

/// `lag` is commit time minus the door's time, which is shorter than a second timestamp. Wide columns stand last, so
/// that reading the narrow ones never follows an overflow page.
const FORMAT_1: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE types(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE sources(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE events(
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  type INTEGER NOT NULL,
  source INTEGER NOT NULL,
  subject TEXT,
  time INTEGER NOT NULL,
  lag INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  correlation TEXT,
  causation BLOB,
  depth INTEGER NOT NULL,
  attributes TEXT,
  salt BLOB,
  digest BLOB,
  hash BLOB NOT NULL,
  data BLOB);
CREATE INDEX events_type ON events(type);
CREATE INDEX events_subject ON events(subject) WHERE subject IS NOT NULL;
CREATE INDEX events_correlation ON events(correlation) WHERE correlation IS NOT NULL;
CREATE INDEX events_priority ON events(priority) WHERE priority <> 1;
CREATE TABLE once(
  source TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, id BLOB NOT NULL, digest BLOB NOT NULL,
  until INTEGER NOT NULL, PRIMARY KEY(source, key)) WITHOUT ROWID;
CREATE INDEX once_until ON once(until);
CREATE TABLE timers(
  version INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, due INTEGER NOT NULL, kind TEXT NOT NULL,
  body TEXT NOT NULL);
CREATE INDEX timers_due ON timers(due, id);
CREATE TABLE shards(shard INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
CREATE TABLE positions(sub INTEGER NOT NULL, lane INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY(sub, lane))
  WITHOUT ROWID;
CREATE TABLE receipts(
  id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, class INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, at INTEGER NOT NULL, block BLOB NOT NULL);
CREATE INDEX receipts_span ON receipts(scope, class, first, last);
CREATE INDEX receipts_scope ON receipts(scope);
CREATE TABLE exceptions(
  sub INTEGER NOT NULL, seq INTEGER NOT NULL, generation INTEGER NOT NULL, lane INTEGER NOT NULL,
  state INTEGER NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL, key TEXT, waiting TEXT,
  updated_at INTEGER NOT NULL, log TEXT NOT NULL);
CREATE UNIQUE INDEX exceptions_key ON exceptions(sub, seq, generation);
CREATE INDEX exceptions_due ON exceptions(next_at, sub, seq, generation) WHERE state = 0;
CREATE INDEX exceptions_seq ON exceptions(seq, sub, generation);
CREATE INDEX exceptions_state ON exceptions(state, sub, seq, generation);
CREATE INDEX exceptions_old ON exceptions(updated_at) WHERE state = 2;
INSERT INTO meta(key, value) VALUES('epoch', 1), ('origin', 1);
";

/// Views for people, documented in `docs/sql-views.md`: the log, its ends, the deliveries out of the ordinary, how far
/// subscriptions are, how many receipts there are; each collection has one too, made with its table. They are made anew
/// at each open, so they may change freely between versions.
pub(super) const VIEWS: &[(&str, &str)] = &[
    (
        "events_v",
        "SELECT e.seq, lower(substr(hex(e.id),1,8)||'-'||substr(hex(e.id),9,4)||'-'||substr(hex(e.id),13,4)||'-'||\
         substr(hex(e.id),17,4)||'-'||substr(hex(e.id),21)) AS id, t.name AS type, s.name AS source, e.subject, \
         strftime('%Y-%m-%dT%H:%M:%fZ', e.time / 1000000.0, 'unixepoch') AS time, \
         strftime('%Y-%m-%dT%H:%M:%fZ', (e.time - e.lag) / 1000000.0, 'unixepoch') AS received, \
         CASE e.priority WHEN 0 THEN 'LOW' WHEN 1 THEN 'NORMAL' WHEN 2 THEN 'HIGH' ELSE 'CRITICAL' END AS priority, \
         e.correlation, e.depth, e.attributes, e.digest IS NOT NULL AS erased, CAST(e.data AS TEXT) AS data \
         FROM events e JOIN types t ON t.id = e.type JOIN sources s ON s.id = e.source",
    ),
    (
        "log_v",
        "SELECT (SELECT value FROM meta WHERE key = 'epoch') AS epoch, (SELECT min(seq) FROM events) AS first, \
         (SELECT max(seq) FROM events) AS last, cut ->> 'seq' AS cut_seq, \
         strftime('%Y-%m-%dT%H:%M:%fZ', (cut ->> 'time') / 1000000.0, 'unixepoch') AS cut_at, \
         cut ->> 'public_key' AS cut_by FROM (SELECT (SELECT value FROM meta WHERE key = 'cut') AS cut)",
    ),
    (
        "deliveries_v",
        "SELECT sub AS subscription, seq, generation, lane, \
         CASE state WHEN 0 THEN 'retrying' WHEN 1 THEN 'dead' ELSE 'delivered' END AS state, attempts, \
         strftime('%Y-%m-%dT%H:%M:%fZ', next_at / 1000000.0, 'unixepoch') AS next_at, key, waiting, \
         strftime('%Y-%m-%dT%H:%M:%fZ', updated_at / 1000000.0, 'unixepoch') AS updated_at, log FROM exceptions",
    ),
    (
        "positions_v",
        "SELECT sub AS subscription, CASE lane WHEN 0 THEN 'low' WHEN 1 THEN 'normal' WHEN 2 THEN 'high' \
         WHEN 3 THEN 'critical' WHEN 4 THEN 'ordered' WHEN 5 THEN 'replay' ELSE lane END AS lane, next, \
         (SELECT coalesce(max(seq), 0) FROM events) + 1 - next AS behind FROM positions",
    ),
    (
        "receipts_v",
        "SELECT scope AS subscription, count(*) AS blocks, min(first) AS first, max(last) AS last, \
         strftime('%Y-%m-%dT%H:%M:%fZ', max(at) / 1000000.0, 'unixepoch') AS newest, sum(length(block)) AS bytes \
         FROM receipts GROUP BY scope",
    ),
];

/// Brings the file to [`FORMAT`]; each step is one transaction, so a kill leaves one format or the next.
pub(super) fn migrate(conn: &mut Connection, found: u32) -> rusqlite::Result<()> {
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// Makes a view say what this version says.
pub(super) fn set_view(conn: &Connection, name: &str, select: &str) -> rusqlite::Result<()> {
    let wanted = format!("CREATE VIEW \"{name}\" AS {select}");
    let mut found = conn.prepare("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?1")?;
    let now: Option<String> = found.query_map([name], |row| row.get(0))?.next().transpose()?;
    if now.as_deref() != Some(wanted.as_str()) {
        conn.execute_batch(&format!("DROP VIEW IF EXISTS \"{name}\"; {wanted};"))?;
    }
    Ok(())
}
