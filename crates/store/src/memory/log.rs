//! The log in memory: repeats, appending, queries.

use std::{collections::HashSet, sync::Arc};

use nexus_core::{
    chain,
    event::{Data, NewEvent, Seq, StoredEvent},
    id::{EventId, IdGenerator},
    limits::DICTIONARY_ENTRIES,
    store::{Appended, CommitError, EventPage, EventQuery, Limit, SeqRange},
    time::Timestamp,
    topic::Topic,
};

use super::state::{State, Used};

/// Rows looked at per page of a query.
const EXAMINED: usize = 10_000;

/// Where a repeat was first seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repeat {
    /// In the log.
    Stored(Seq, EventId),
    /// As this event of the same commit.
    Same(usize),
}

impl Repeat {
    pub(super) fn appended(self, earlier: &[Appended]) -> Appended {
        match self {
            Self::Stored(seq, id) => Appended { seq, id, repeat: true },
            Self::Same(n) => Appended { repeat: true, ..earlier[n] },
        }
    }
}

impl State {
    /// Which events are repeats; refuses what can't be stored.
    pub(super) fn plan(&self, events: &[NewEvent], now: Timestamp) -> Result<Vec<Option<Repeat>>, CommitError> {
        let planned =
            events.iter().enumerate().map(|(n, e)| self.plan_one(&events[..n], e, now)).collect::<Result<_, _>>()?;
        room(&self.types, events.iter().map(|e| e.topic.as_str()))?;
        room(&self.sources, events.iter().map(|e| e.source.as_ref()))?;
        Ok(planned)
    }

    fn plan_one(&self, before: &[NewEvent], event: &NewEvent, now: Timestamp) -> Result<Option<Repeat>, CommitError> {
        if let Some(id) = event.id {
            if let Some(n) = before.iter().position(|e| e.id == Some(id)) {
                return Ok(Some(Repeat::Same(n)));
            }
            if let Some(seq) = self.ids.get(&id) {
                return Ok(Some(Repeat::Stored(*seq, id)));
            }
        }
        let Some(once) = &event.once else { return Ok(None) };
        for (n, earlier) in before.iter().enumerate() {
            let Some(earlier) = earlier.once.as_ref().filter(|o| o.scope == once.scope && o.key == once.key) else {
                continue;
            };
            if once.strict && earlier.digest != once.digest {
                return Err(CommitError::KeyReused { id: EventId::from_bytes([0; 16]), seq: 0 });
            }
            return Ok(Some(Repeat::Same(n)));
        }
        match self.once.get(&(once.scope.to_string(), once.key.clone())).filter(|used| used.until > now) {
            None => Ok(None),
            Some(used) if once.strict && self.is_there(used.seq) && used.digest != once.digest => {
                Err(CommitError::KeyReused { id: used.id, seq: used.seq })
            }
            Some(used) => Ok(Some(Repeat::Stored(used.seq, used.id))),
        }
    }

    /// Its data is still there: what is gone can't be compared any more.
    fn is_there(&self, seq: Seq) -> bool {
        self.events.get(&seq).is_some_and(|e| matches!(e.data, Data::Present { .. }))
    }

    /// Adds one event at the end.
    pub(super) fn append(
        &mut self,
        ids: &mut IdGenerator,
        event: &NewEvent,
        time: Timestamp,
    ) -> Result<Arc<StoredEvent>, CommitError> {
        let generated = ids.next(time, self.random.bytes());
        let attributes = if event.attributes.is_empty() {
            None
        } else {
            let text = serde_json::to_string(&event.attributes).map_err(|e| CommitError::Broken(e.to_string()))?;
            Some(text.into_boxed_str())
        };
        let mut stored = StoredEvent {
            seq: self.head.seq + 1,
            id: event.id.unwrap_or(generated),
            topic: Topic::from_canonical(name(&mut self.types, &event.topic.shared())),
            source: name(&mut self.sources, &event.source),
            subject: event.subject.as_deref().map(Arc::from),
            time,
            received: event.received,
            priority: event.priority,
            correlation: event.correlation.as_deref().map(Arc::from),
            causation: event.causation,
            depth: event.depth,
            attributes,
            data: Data::Present { salt: self.random.bytes(), json: event.data.clone() },
            hash: [0; 32],
        };
        stored.hash = chain::link(&self.head.hash, &stored);
        if let Some(once) = &event.once {
            let used = Used { seq: stored.seq, id: stored.id, digest: once.digest, until: time.plus(once.window) };
            self.once.insert((once.scope.to_string(), once.key.clone()), used);
        }
        (self.head.seq, self.head.hash, self.head.time) = (stored.seq, stored.hash, time);
        self.ids.insert(stored.id, stored.seq);
        let stored = Arc::new(stored);
        self.events.insert(stored.seq, Arc::clone(&stored));
        Ok(stored)
    }

    /// A run of the log.
    pub(super) fn read(&self, range: SeqRange, limit: Limit) -> Vec<Arc<StoredEvent>> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let run = self.events.range(range.after.saturating_add(1)..);
        for (_, event) in run.take_while(|(seq, _)| range.until.is_none_or(|until| **seq <= until)) {
            if range.priority.is_some_and(|p| event.priority != p) {
                continue;
            }
            if found.len() >= limit.items || bytes > limit.bytes {
                break;
            }
            bytes += event.weight();
            found.push(Arc::clone(event));
        }
        found
    }

    /// First seq committed at or after `time`.
    pub(super) fn seq_at(&self, time: Timestamp) -> Seq {
        self.events.values().find(|e| e.time >= time).map_or(self.head.seq + 1, |e| e.seq)
    }

    /// One page of a query.
    pub(super) fn query(&self, query: &EventQuery, limit: usize) -> EventPage {
        let (after, before) = (query.after.unwrap_or(0), query.before.unwrap_or(Seq::MAX));
        let Some(low) = after.checked_add(1).filter(|low| *low <= before) else { return EventPage::default() };
        let mut page = EventPage::default();
        let mut last = None;
        let range = self.events.range(low..before);
        let rows: Box<dyn Iterator<Item = &Arc<StoredEvent>>> =
            if query.newest_first { Box::new(range.rev().map(|(_, e)| e)) } else { Box::new(range.map(|(_, e)| e)) };
        for (examined, event) in rows.enumerate() {
            if page.events.len() >= limit.max(1) || examined >= EXAMINED {
                page.next = last;
                break;
            }
            last = Some(event.seq);
            if matches(query, event) {
                page.events.push(Arc::clone(event));
            }
        }
        page
    }
}

fn matches(query: &EventQuery, e: &StoredEvent) -> bool {
    (query.types.is_empty() || query.types.iter().any(|t| t == e.topic.as_str()))
        && query.source.as_deref().is_none_or(|s| *s == *e.source)
        && query.subject.as_deref().is_none_or(|s| e.subject.as_deref() == Some(s))
        && query
            .correlation
            .as_deref()
            .is_none_or(|c| e.correlation.as_deref() == Some(c) || c.parse().is_ok_and(|id: EventId| id == e.id))
        && query.from.is_none_or(|t| e.time >= t)
        && query.until.is_none_or(|t| e.time < t)
}

/// The one shared copy of a name.
fn name(known: &mut HashSet<Arc<str>>, name: &Arc<str>) -> Arc<str> {
    if let Some(found) = known.get(name) {
        return Arc::clone(found);
    }
    known.insert(Arc::clone(name));
    Arc::clone(name)
}

fn room<'a>(known: &HashSet<Arc<str>>, names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), CommitError> {
    if known.len() + names.len() <= DICTIONARY_ENTRIES {
        return Ok(());
    }
    let fresh: HashSet<&str> = names.filter(|name| !known.contains(*name)).collect();
    if !fresh.is_empty() && known.len() + fresh.len() > DICTIONARY_ENTRIES {
        return Err(CommitError::Names(known.len()));
    }
    Ok(())
}
