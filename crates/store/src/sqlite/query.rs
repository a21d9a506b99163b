//! Finding events by their headers: the index that narrows most gives candidate seqs, the rest is compared row by row,
//! and both are bounded per page.

use std::sync::Arc;

use nexus_core::{
    event::{Seq, StoredEvent},
    id::EventId,
    store::{EventPage, EventQuery},
};
use rusqlite::{Connection, OptionalExtension, Row, types::ValueRef};

use super::{
    dictionary::Names,
    log_reads::seq_at,
    rows::{COLUMNS, at, decode},
};

/// Rows looked at per page.
const EXAMINED: usize = 10_000;
/// Bytes of data per page.
const PAGE_BYTES: usize = 4 << 20;
/// With more types than this, walking the log is cheaper than a cursor for each.
const TYPE_CURSORS: usize = 64;

/// The query with names turned into numbers and times into seqs.
struct Search<'a> {
    types: Vec<i64>,
    source: Option<i64>,
    subject: Option<&'a str>,
    correlation: Option<&'a str>,
    own: Option<Seq>,
    /// Exclusive.
    after: Seq,
    /// Exclusive.
    before: Seq,
    newest_first: bool,
}

/// Runs one page of a query.
pub(super) fn events(
    conn: &Connection,
    names: &Names,
    query: &EventQuery,
    limit: usize,
) -> rusqlite::Result<EventPage> {
    let Some(search) = prepare(conn, names, query)? else { return Ok(EventPage::default()) };
    let limit = limit.max(1);
    match candidates(conn, &search)? {
        Some(list) => by_seq(conn, names, &search, &list, limit),
        None => by_scan(conn, names, &search, limit),
    }
}

/// `None` when nothing can match.
fn prepare<'a>(conn: &Connection, names: &Names, query: &'a EventQuery) -> rusqlite::Result<Option<Search<'a>>> {
    let number = |n: usize| i64::try_from(n + 1).unwrap_or(i64::MAX);
    let (types, source) = names.with(|types, sources| {
        let known = types.iter().enumerate().filter(|(_, t)| query.types.iter().any(|q| q == t.as_str()));
        (
            known.map(|(n, _)| number(n)).collect::<Vec<_>>(),
            query.source.as_ref().map(|s| sources.iter().position(|known| **known == **s).map(number)),
        )
    });
    if (types.is_empty() && !query.types.is_empty()) || source == Some(None) {
        return Ok(None);
    }
    let mut after = query.after.unwrap_or(0);
    let mut before = query.before.unwrap_or(Seq::MAX).min(i64::MAX.unsigned_abs());
    if let Some(from) = query.from {
        match seq_at(conn, from)? {
            Some(first) => after = after.max(first.saturating_sub(1)),
            None => return Ok(None),
        }
    }
    if let Some(until) = query.until
        && let Some(first) = seq_at(conn, until)?
    {
        before = before.min(first);
    }
    let own = match query.correlation.as_deref().and_then(|c| c.parse::<EventId>().ok()) {
        Some(id) => conn
            .prepare_cached("SELECT seq FROM events WHERE id = ?1")?
            .query_row([id.as_bytes()], |row| row.get(0))
            .optional()?,
        None => None,
    };
    Ok(Some(Search {
        types,
        source: source.flatten(),
        subject: query.subject.as_deref(),
        correlation: query.correlation.as_deref(),
        own,
        after: after.min(i64::MAX.unsigned_abs()),
        before,
        newest_first: query.newest_first,
    }))
}

impl Search<'_> {
    fn direction(&self) -> &'static str {
        if self.newest_first { " DESC" } else { "" }
    }

    /// Compares the header of a row.
    fn matches(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let seq: Seq = row.get(at::SEQ)?;
        let text = |column, wanted: &str| -> rusqlite::Result<bool> {
            Ok(matches!(row.get_ref(column)?, ValueRef::Text(found) if found == wanted.as_bytes()))
        };
        Ok((self.types.is_empty() || self.types.contains(&row.get(at::TYPE)?))
            && self.source.is_none_or(|s| row.get(at::SOURCE).is_ok_and(|found: i64| found == s))
            && self.subject.map_or(Ok(true), |s| text(at::SUBJECT, s))?
            && (self.own == Some(seq) || self.correlation.map_or(Ok(true), |c| text(at::CORRELATION, c))?))
    }

    /// Seqs in order out of one index, at most so many.
    fn seqs(
        &self,
        conn: &Connection,
        index: &str,
        column: &str,
        value: &dyn rusqlite::ToSql,
        most: usize,
    ) -> rusqlite::Result<Vec<Seq>> {
        conn.prepare_cached(&format!(
            "SELECT seq FROM events INDEXED BY {index} WHERE {column} = ?1 AND seq > ?2 AND seq < ?3 ORDER BY seq{} LIMIT ?4",
            self.direction()
        ))?
        .query_map((value, self.after, self.before, most), |row| row.get(0))?
        .collect()
    }
}

/// Seqs that may match, in order, and whether there may be more behind them.
struct Candidates {
    seqs: Vec<Seq>,
    more: bool,
}

fn candidates(conn: &Connection, search: &Search<'_>) -> rusqlite::Result<Option<Candidates>> {
    if let Some(correlation) = search.correlation {
        let mut seqs = search.seqs(conn, "events_correlation", "correlation", &correlation, EXAMINED)?;
        let more = seqs.len() == EXAMINED;
        let edge = seqs.last().copied();
        let beyond = |own: Seq| more && edge.is_some_and(|e| if search.newest_first { own < e } else { own > e });
        if let Some(own) = search.own
            && own > search.after
            && own < search.before
            && !seqs.contains(&own)
            && !beyond(own)
        {
            seqs.push(own);
            sort(&mut seqs, search.newest_first);
        }
        return Ok(Some(Candidates { seqs, more }));
    }
    if let Some(subject) = search.subject {
        let seqs = search.seqs(conn, "events_subject", "subject", &subject, EXAMINED)?;
        let more = seqs.len() == EXAMINED;
        return Ok(Some(Candidates { seqs, more }));
    }
    if search.types.is_empty() || search.types.len() > TYPE_CURSORS {
        return Ok(None);
    }
    by_types(conn, search).map(Some)
}

/// One cursor per type, merged; what lies beyond the shortest full cursor is left for the next page.
fn by_types(conn: &Connection, search: &Search<'_>) -> rusqlite::Result<Candidates> {
    let each = EXAMINED / search.types.len();
    let mut seqs = Vec::new();
    let mut edge: Option<Seq> = None;
    for id in &search.types {
        let found = search.seqs(conn, "events_type", "type", id, each)?;
        if found.len() == each
            && let Some(last) = found.last().copied()
        {
            edge = Some(edge.map_or(last, |e| if search.newest_first { e.max(last) } else { e.min(last) }));
        }
        seqs.extend(found);
    }
    sort(&mut seqs, search.newest_first);
    if let Some(edge) = edge {
        seqs.retain(|seq| if search.newest_first { *seq >= edge } else { *seq <= edge });
    }
    Ok(Candidates { seqs, more: edge.is_some() })
}

fn sort(seqs: &mut [Seq], newest_first: bool) {
    seqs.sort_unstable();
    if newest_first {
        seqs.reverse();
    }
}

fn by_seq(
    conn: &Connection,
    names: &Names,
    search: &Search<'_>,
    list: &Candidates,
    limit: usize,
) -> rusqlite::Result<EventPage> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE seq = ?1"))?;
    names.with(|types, sources| {
        let mut page = Page::new(limit);
        for (n, seq) in list.seqs.iter().enumerate() {
            let mut rows = statement.query([seq])?;
            if let Some(row) = rows.next()?
                && search.matches(row)?
            {
                page.push(decode(row, types, sources)?);
            }
            if page.full() {
                let more = list.more || n + 1 < list.seqs.len();
                return Ok(page.end(more.then_some(*seq)));
            }
        }
        let last = list.seqs.last().copied();
        Ok(page.end(if list.more { last } else { None }))
    })
}

fn by_scan(conn: &Connection, names: &Names, search: &Search<'_>, limit: usize) -> rusqlite::Result<EventPage> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM events NOT INDEXED WHERE seq > ?1 AND seq < ?2 ORDER BY seq{}",
        search.direction()
    ))?;
    names.with(|types, sources| {
        let mut rows = statement.query((search.after, search.before))?;
        let mut page = Page::new(limit);
        let mut last: Option<Seq> = None;
        let mut examined = 0;
        while let Some(row) = rows.next()? {
            if page.full() || examined == EXAMINED {
                return Ok(page.end(last));
            }
            examined += 1;
            last = Some(row.get(at::SEQ)?);
            if search.matches(row)? {
                page.push(decode(row, types, sources)?);
            }
        }
        Ok(page.end(None))
    })
}

struct Page {
    events: Vec<Arc<StoredEvent>>,
    bytes: usize,
    limit: usize,
}

impl Page {
    fn new(limit: usize) -> Self {
        Self { events: Vec::new(), bytes: 0, limit }
    }

    fn push(&mut self, event: StoredEvent) {
        self.bytes += event.weight();
        self.events.push(Arc::new(event));
    }

    fn full(&self) -> bool {
        self.events.len() >= self.limit || self.bytes > PAGE_BYTES
    }

    fn end(self, next: Option<Seq>) -> EventPage {
        EventPage { events: self.events, next }
    }
}
