//! Appending events: what is a repeat, and the rows and hashes of the rest.

use std::{collections::HashSet, sync::Arc};

use nexus_core::{
    chain,
    event::{Data, NewEvent, Once, StoredEvent},
    id::{EventId, IdGenerator},
    limits::DICTIONARY_ENTRIES,
    store::{Appended, CommitError, Head},
    time::Timestamp,
    topic::Topic,
};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension};

use super::{
    dictionary::{Dictionaries, Dictionary},
    group::Fault,
    rows::event_id,
};

/// Random bytes per event: ten for its id, sixteen for its salt.
const RANDOM_BYTES: usize = 26;

/// The end of the log as the writer has it, within a group.
pub(super) struct Log {
    /// After the events appended so far, durable or not.
    pub(super) head: Head,
    /// As of the last durable group.
    pub(super) durable: Head,
    /// Appended in this group.
    pub(super) fresh: Vec<Arc<StoredEvent>>,
    pub(super) dictionaries: Dictionaries,
    ids: IdGenerator,
    random: SystemRandom,
    pool: Vec<u8>,
}

/// What will become of one event of a commit.
#[derive(Clone, Copy, Debug)]
pub(super) enum Planned {
    /// A new row.
    Append,
    /// It is in the log already.
    Repeat(Appended),
    /// A repeat of an earlier event of the same commit.
    Same(usize),
}

impl Log {
    /// Of a log that ends at `head`.
    pub(super) fn load(conn: &Connection, head: Head, dictionaries: Dictionaries) -> rusqlite::Result<Self> {
        let newest: Option<[u8; 16]> = conn.query_row(
            "SELECT max(id) FROM events WHERE id < ?1",
            [IdGenerator::bound(head.time).as_bytes()],
            |row| row.get(0),
        )?;
        Ok(Self {
            head,
            durable: head,
            fresh: Vec::new(),
            dictionaries,
            ids: IdGenerator::after(head.time, newest.map(EventId::from_bytes)),
            random: SystemRandom::new(),
            pool: Vec::new(),
        })
    }

    /// Gets randomness for a group of so many events in one go.
    pub(super) fn begin(&mut self, events: usize) -> Result<(), Fault> {
        self.pool.resize(events * RANDOM_BYTES, 0);
        self.random.fill(&mut self.pool).map_err(|_| Fault::broken("the system gave no randomness"))
    }

    /// The group was undone.
    pub(super) fn undo(&mut self) {
        self.head = self.durable;
        self.fresh.clear();
        self.dictionaries.undo();
    }

    /// The group is durable: gives its events.
    pub(super) fn keep(&mut self) -> Vec<Arc<StoredEvent>> {
        self.durable = self.head;
        self.dictionaries.keep();
        std::mem::take(&mut self.fresh)
    }

    /// Decides what each event will be; changes nothing, so that a refusal needs no undoing.
    pub(super) fn plan(&self, conn: &Connection, events: &[NewEvent], now: Timestamp) -> Result<Vec<Planned>, Fault> {
        let mut planned = Vec::with_capacity(events.len());
        for (n, event) in events.iter().enumerate() {
            let plain = event.id.is_none() && event.once.is_none();
            planned.push(if plain { Planned::Append } else { plan_one(conn, &events[..n], event, now)? });
        }
        check_room(&self.dictionaries.types, events.iter().map(|e| e.topic.as_str()))?;
        check_room(&self.dictionaries.sources, events.iter().map(|e| e.source.as_ref()))?;
        Ok(planned)
    }

    /// Writes one event's row.
    pub(super) fn append(&mut self, conn: &Connection, event: &NewEvent, now: Timestamp) -> Result<Appended, Fault> {
        let time = now.max(self.head.time);
        let (id_random, salt) = self.draw()?;
        let generated = self.ids.next(time, id_random);
        let (type_id, topic) = self.dictionaries.types.intern(conn, &event.topic.shared())?;
        let (source_id, source) = self.dictionaries.sources.intern(conn, &event.source)?;
        let attributes = if event.attributes.is_empty() {
            None
        } else {
            let text = serde_json::to_string(&event.attributes).map_err(|e| Fault::broken(&e.to_string()))?;
            Some(text.into_boxed_str())
        };
        let mut stored = StoredEvent {
            seq: self.head.seq + 1,
            id: event.id.unwrap_or(generated),
            topic: Topic::from_canonical(topic),
            source,
            subject: event.subject.as_deref().map(Arc::from),
            time,
            received: event.received,
            priority: event.priority,
            correlation: event.correlation.as_deref().map(Arc::from),
            causation: event.causation,
            depth: event.depth,
            attributes,
            data: Data::Present { salt, json: event.data.clone() },
            hash: [0; 32],
        };
        stored.hash = chain::link(&self.head.hash, &stored);
        insert(conn, &stored, type_id, source_id, &salt)?;
        if let Some(once) = &event.once {
            conn.prepare_cached(
                "INSERT OR REPLACE INTO once(source, key, seq, id, digest, until) VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute((
                &once.scope,
                &once.key,
                stored.seq,
                stored.id.as_bytes(),
                salted(&salt, &once.digest),
                time.plus(once.window).micros(),
            ))?;
        }
        let appended = Appended { seq: stored.seq, id: stored.id, repeat: false };
        self.head.seq = stored.seq;
        self.head.hash = stored.hash;
        self.head.time = time;
        self.fresh.push(Arc::new(stored));
        Ok(appended)
    }

    fn draw(&mut self) -> Result<([u8; 10], [u8; 16]), Fault> {
        let mut id = [0; 10];
        let mut salt = [0; 16];
        let start = self.pool.len().checked_sub(RANDOM_BYTES).ok_or_else(|| Fault::broken("randomness ran out"))?;
        let (for_id, for_salt) = self.pool[start..].split_at(10);
        id.copy_from_slice(for_id);
        salt.copy_from_slice(for_salt);
        self.pool.truncate(start);
        Ok((id, salt))
    }
}

/// Refuses names for which the dictionary has no room. Distinct new names are only counted when it is nearly full.
fn check_room<'a>(dictionary: &Dictionary, names: impl ExactSizeIterator<Item = &'a str>) -> Result<(), Fault> {
    if dictionary.len() + names.len() <= DICTIONARY_ENTRIES {
        return Ok(());
    }
    let fresh: HashSet<&str> = names.filter(|name| dictionary.find(name).is_none()).collect();
    if dictionary.len() + fresh.len() > DICTIONARY_ENTRIES && !fresh.is_empty() {
        return Err(Fault::Refused(CommitError::Names(dictionary.len())));
    }
    Ok(())
}

fn plan_one(conn: &Connection, before: &[NewEvent], event: &NewEvent, now: Timestamp) -> Result<Planned, Fault> {
    if let Some(id) = event.id {
        if let Some(n) = before.iter().position(|e| e.id == Some(id)) {
            return Ok(Planned::Same(n));
        }
        let seq: Option<u64> = conn
            .prepare_cached("SELECT seq FROM events WHERE id = ?1")?
            .query_row([id.as_bytes()], |row| row.get(0))
            .optional()?;
        if let Some(seq) = seq {
            return Ok(Planned::Repeat(Appended { seq, id, repeat: true }));
        }
    }
    let Some(once) = &event.once else { return Ok(Planned::Append) };
    let same = before
        .iter()
        .enumerate()
        .find_map(|(n, e)| e.once.as_ref().filter(|o| o.scope == once.scope && o.key == once.key).map(|o| (n, o)));
    if let Some((n, earlier)) = same {
        if once.strict && earlier.digest != once.digest {
            return Err(Fault::Refused(CommitError::KeyReused { id: EventId::from_bytes([0; 16]), seq: 0 }));
        }
        return Ok(Planned::Same(n));
    }
    let found = conn
        .prepare_cached("SELECT seq, id, digest FROM once WHERE source = ?1 AND key = ?2 AND until > ?3")?
        .query_row((&once.scope, &once.key, now.micros()), |row| {
            Ok((row.get(0)?, event_id(row.get_ref(1)?)?, row.get::<_, [u8; 16]>(2)?))
        })
        .optional()?;
    Ok(match found {
        None => Planned::Append,
        Some((seq, id, digest)) if once.strict && !is_same(conn, seq, &digest, once)? => {
            return Err(Fault::Refused(CommitError::KeyReused { id, seq }));
        }
        Some((seq, id, _)) => Planned::Repeat(Appended { seq, id, repeat: true }),
    })
}

/// What is kept of a body's digest. A bare one could be guessed from; the salt is the event's, and goes with its data.
fn salted(salt: &[u8; 16], digest: &[u8; 16]) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&chain::data_digest(salt, digest)[..16]);
    out
}

/// Whether the body under the key was this one. Where the event's data is gone nobody can tell, and the first one stays.
fn is_same(conn: &Connection, seq: u64, kept: &[u8; 16], once: &Once) -> rusqlite::Result<bool> {
    let salt: Option<Option<[u8; 16]>> =
        conn.prepare_cached("SELECT salt FROM events WHERE seq = ?1")?.query_row([seq], |row| row.get(0)).optional()?;
    // Files of before keep the bare digest until its window is over.
    Ok(salt.flatten().is_none_or(|salt| *kept == salted(&salt, &once.digest) || *kept == once.digest))
}

fn insert(conn: &Connection, e: &StoredEvent, type_id: u32, source_id: u32, salt: &[u8; 16]) -> Result<(), Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO events(seq, id, type, source, subject, time, lag, priority, correlation, causation, depth, \
         attributes, salt, hash, data) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?;
    statement.execute((
        e.seq,
        e.id.as_bytes(),
        type_id,
        source_id,
        e.subject.as_deref(),
        e.time.micros(),
        e.time.micros().wrapping_sub(e.received.micros()),
        e.priority as u8,
        e.correlation.as_deref(),
        e.causation.as_ref().map(|c| *c.as_bytes()),
        e.depth,
        e.attributes.as_deref(),
        salt,
        e.hash,
        e.json(),
    ))?;
    Ok(())
}
