//! The log as an operator sees it: verify, checkpoint, redact, export, import, back up.

use std::{collections::HashSet, path::Path, sync::Arc};

use nexus_core::{
    access::Principal,
    chain::{Checkpoint, Hash, genesis, link},
    event::{Attributes, Data, NewEvent, Priority, Seq, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    sign::hex,
    store::{Commit, Head, Lane, Limit, Redact, SeqRange},
    time::Timestamp,
    topic::Topic,
};
use ring::signature::Ed25519KeyPair;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    delivery::driver::Change,
    desk::{Desk, refused, unreadable},
    dispatch::Dispatch,
    tail::Tail,
};

/// What a verification found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// Everything holds.
    pub ok: bool,
    /// Events looked at.
    pub events: u64,
    /// First seq looked at.
    pub first: Seq,
    /// Last seq looked at.
    pub last: Seq,
    /// How many have their data erased.
    pub erased: u64,
    /// The first seq that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_seq: Option<Seq>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Whose data to erase, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactRequest {
    /// One event.
    #[serde(default)]
    pub event_id: Option<EventId>,
    /// All events of a subject.
    #[serde(default)]
    pub subject: Option<String>,
    /// Kept in the log; name no person here.
    pub reason: String,
}

/// One event of an export, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExportLine {
    /// Seq in the log it was exported from.
    pub seq: Seq,
    /// Its id, kept by an import.
    pub id: EventId,
    /// Type.
    #[serde(rename = "type")]
    pub topic: Topic,
    /// Source.
    pub source: String,
    /// Subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Commit time in microseconds; an import keeps it as `occurred`.
    pub time: Timestamp,
    /// Priority.
    pub priority: Priority,
    /// Correlation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// Causation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    /// Depth.
    #[serde(default)]
    pub depth: u8,
    /// Attributes.
    #[serde(default)]
    pub attributes: Attributes,
    /// Data as stored; absent when erased.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub data: Option<Box<RawValue>>,
}

/// A value that is there, be it `null`.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(d).map(Some)
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ImportReport {
    /// New events.
    pub stored: u64,
    /// Events whose id was there already.
    pub repeated: u64,
    /// Events without data, which can't be imported.
    pub erased: u64,
}

/// The log.
pub struct Log {
    desk: Desk,
    dispatch: Dispatch,
    tail: Arc<Tail>,
    signer: Ed25519KeyPair,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Log")
    }
}

impl Log {
    /// Over the store, signing with the key of this seed.
    pub fn new(desk: Desk, dispatch: Dispatch, tail: Arc<Tail>, seed: &[u8; 32]) -> Result<Self, Problem> {
        let signer = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Problem::new(Code::Internal, "the checkpoint key can't be made"))?;
        Ok(Self { desk, dispatch, tail, signer })
    }

    /// The end of the log.
    pub fn head(&self) -> Head {
        self.desk.store.head()
    }

    /// A signed statement of the log's present end.
    pub fn checkpoint(&self) -> Checkpoint {
        let head = self.head();
        Checkpoint::sign(&self.signer, head.epoch, head.seq, &head.hash, self.desk.now())
    }

    /// Walks the whole chain while the hub runs.
    pub async fn verify(&self, against: Option<Checkpoint>) -> Result<VerifyReport, Problem> {
        let head = self.head();
        let mut walk = Walk::new(head.first);
        let mut reached = None;
        while walk.report.last < head.seq {
            let range = SeqRange { after: walk.report.last.max(head.first - 1), until: Some(head.seq), priority: None };
            let page = self.desk.store.read(range, Limit::items(2_000)).await.map_err(unreadable)?;
            if page.is_empty() {
                walk.fail(walk.expected, "it is missing".into());
                break;
            }
            for event in &page {
                if !walk.step(event) {
                    return Ok(walk.report);
                }
                if against.as_ref().is_some_and(|c| c.seq == event.seq) {
                    reached = Some(event.hash);
                }
            }
        }
        if let Some(checkpoint) = against {
            walk.compare(&checkpoint, reached, head);
        }
        Ok(walk.report)
    }

    /// Erases data and logs who did it. How many events lost theirs.
    pub async fn redact(&self, request: RedactRequest, by: &Principal) -> Result<u64, Problem> {
        if request.reason.trim().is_empty() {
            return Err(Problem::field("reason", "say why; it is kept in the log"));
        }
        let what = match (request.event_id, request.subject.clone()) {
            (Some(id), None) => Redact::Event(id),
            (None, Some(subject)) => Redact::Subject(subject),
            _ => return Err(Problem::field("event_id", "give event_id or subject, one of the two")),
        };
        let seqs = self.desk.store.redact(what).await.map_err(unreadable)?;
        // What lies in memory, for sockets or on its way to an endpoint, is to be forgotten too.
        let erased: HashSet<Seq> = seqs.iter().copied().collect();
        self.tail.forget(&erased);
        self.dispatch.change(Change::Erased(erased)).await?;
        // The audit names the seqs, not the subject: a subject can itself be what is to be forgotten.
        let detail = serde_json::json!({"seqs": seqs.iter().take(1_000).collect::<Vec<_>>(), "count": seqs.len(), "reason": request.reason});
        let commit = Commit { events: vec![self.desk.audit(by, "log.redacted", &detail)], ..Commit::default() };
        self.desk.commit(commit).await?;
        Ok(seqs.len() as u64)
    }

    /// A page of events for an export.
    pub async fn export(&self, after: Seq, limit: usize) -> Result<Vec<ExportLine>, Problem> {
        let range = SeqRange { after, until: None, priority: None };
        let page = self.desk.store.read(range, Limit::items(limit.clamp(1, 5_000))).await.map_err(unreadable)?;
        page.iter().map(|event| export_line(event)).collect()
    }

    /// Stores exported events under their own ids; those that are there already are left alone, so it can be repeated.
    pub async fn import(&self, lines: Vec<ExportLine>, by: &Principal) -> Result<ImportReport, Problem> {
        let mut report = ImportReport::default();
        let mut events = Vec::with_capacity(lines.len());
        for line in lines {
            match import_event(line, self.desk.now()) {
                Some(event) => events.push(event),
                None => report.erased += 1,
            }
        }
        if events.is_empty() {
            return Ok(report);
        }
        let count = events.len();
        let commit = Commit { events, lane: Lane::Own, ..Commit::default() };
        let done = self.desk.store.commit(commit).await.map_err(|e| refused(&e))?;
        report.repeated = done.events.iter().filter(|e| e.repeat).count() as u64;
        report.stored = count as u64 - report.repeated;
        tracing::debug!(by = %by.name, stored = report.stored, "imported a page of events");
        Ok(report)
    }

    /// Writes a consistent copy of the store to `path`.
    pub async fn backup(&self, path: &Path, by: &Principal) -> Result<(), Problem> {
        self.desk.store.backup(path).await.map_err(unreadable)?;
        let commit =
            Commit { events: vec![self.desk.audit(by, "log.backed_up", &serde_json::json!({}))], ..Commit::default() };
        self.desk.commit(commit).await.map(|_| ())
    }
}

/// A walk along the chain.
struct Walk {
    report: VerifyReport,
    hash: Option<Hash>,
    expected: Seq,
}

impl Walk {
    fn new(first: Seq) -> Self {
        let report =
            VerifyReport { ok: true, events: 0, first, last: first - 1, erased: 0, bad_seq: None, problem: None };
        // Before a trimmed log's first event stands a hash that only its checkpoint knows.
        Self { report, hash: (first == 1).then(|| genesis(1)), expected: first }
    }

    fn fail(&mut self, seq: Seq, problem: String) {
        self.report.ok = false;
        self.report.bad_seq = Some(seq);
        self.report.problem = Some(problem);
    }

    fn step(&mut self, event: &Arc<StoredEvent>) -> bool {
        if event.seq != self.expected {
            self.fail(self.expected, format!("it is missing: event {} follows", event.seq));
            return false;
        }
        if let Some(previous) = &self.hash
            && link(previous, event) != event.hash
        {
            self.fail(event.seq, "its header, data or hash was changed".into());
            return false;
        }
        self.hash = Some(event.hash);
        self.expected += 1;
        self.report.last = event.seq;
        self.report.events += 1;
        self.report.erased += u64::from(matches!(event.data, Data::Erased { .. }));
        true
    }

    fn compare(&mut self, checkpoint: &Checkpoint, reached: Option<Hash>, head: Head) {
        if !checkpoint.verifies() {
            self.fail(checkpoint.seq, "the checkpoint's signature does not hold".into());
        } else if checkpoint.seq > head.seq {
            let message = format!(
                "the log ends at {}, but the checkpoint knew event {}: its tail was cut",
                head.seq, checkpoint.seq
            );
            self.fail(head.seq + 1, message);
        } else if reached.is_some_and(|hash| hex(&hash) != checkpoint.hash) {
            self.fail(checkpoint.seq, "its hash is not the checkpoint's: the log was rewritten".into());
        }
    }
}

fn export_line(event: &StoredEvent) -> Result<ExportLine, Problem> {
    let data = match &event.data {
        Data::Erased { .. } => None,
        Data::Present { json, .. } => {
            let text = String::from_utf8_lossy(json).into_owned();
            Some(RawValue::from_string(text).map_err(|e| {
                tracing::error!(seq = event.seq, error = %e, "stored data is no JSON");
                Problem::new(Code::Internal, format!("the data of event {} is unreadable", event.seq))
            })?)
        }
    };
    Ok(ExportLine {
        seq: event.seq,
        id: event.id,
        topic: event.topic.clone(),
        source: event.source.to_string(),
        subject: event.subject.as_deref().map(str::to_owned),
        time: event.time,
        priority: event.priority,
        correlation: event.correlation.as_deref().map(str::to_owned),
        causation: event.causation,
        depth: event.depth,
        attributes: event.attributes(),
        data,
    })
}

fn import_event(line: ExportLine, now: Timestamp) -> Option<NewEvent> {
    let data = line.data?;
    let mut event = NewEvent::new(line.topic, line.source, data.get().to_owned(), now);
    event.id = Some(line.id);
    event.subject = line.subject;
    event.priority = line.priority;
    event.correlation = line.correlation;
    event.causation = line.causation;
    event.depth = line.depth;
    event.attributes = line.attributes;
    event.attributes.occurred.get_or_insert_with(|| line.time.to_string());
    Some(event)
}
