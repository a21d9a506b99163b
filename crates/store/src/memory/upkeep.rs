//! Erasing, dropping and sweeping in memory.

use std::{collections::BTreeSet, sync::Arc};

use nexus_core::{
    chain::{Checkpoint, digest_of},
    event::{Data, Seq, StoredEvent},
    store::{ExceptionState, HEADS, Head, Redact, Redacted, Trim, Trimmed, WEIGHED_EVENTS, Weight},
    time::Timestamp,
};

use super::state::State;

/// A log of attempts without what was kept of requests and answers.
fn without_heads(log: &str) -> String {
    let mut attempts: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(log).unwrap_or_default();
    for attempt in &mut attempts {
        for head in HEADS {
            attempt.remove(head);
        }
    }
    serde_json::to_string(&attempts).unwrap_or_else(|_| "[]".to_owned())
}

fn is_erased(event: &StoredEvent) -> bool {
    matches!(event.data, Data::Erased { .. })
}

impl State {
    /// Erases one event's data; false when it was erased already.
    fn erase(&mut self, seq: Seq) -> bool {
        let Some(event) = self.events.get_mut(&seq).filter(|e| !is_erased(e)) else { return false };
        let digest = digest_of(&event.data);
        *event = Arc::new(StoredEvent { data: Data::Erased { digest }, ..StoredEvent::clone(event) });
        true
    }

    pub(super) fn redact(&mut self, what: &Redact) -> Redacted {
        let seqs: Vec<Seq> = match what {
            Redact::Event(id) => self.ids.get(id).copied().into_iter().collect(),
            Redact::Events(ids) => ids.iter().filter_map(|id| self.ids.get(id).copied()).collect(),
            Redact::Subject(subject) => {
                let of = |e: &&Arc<StoredEvent>| e.subject.as_deref() == Some(subject);
                self.events.values().filter(of).map(|e| e.seq).collect()
            }
        };
        let mut cleared = BTreeSet::new();
        for e in self.exceptions.values_mut().filter(|e| e.log != "[]" && seqs.contains(&e.seq)) {
            e.log = "[]".to_owned();
            cleared.insert(e.seq);
        }
        let erased = seqs.into_iter().filter(|seq| self.erase(*seq)).collect();
        Redacted { erased, cleared: cleared.into_iter().collect() }
    }

    pub(super) fn trim(&mut self, trim: &Trim, now: Timestamp) -> Trimmed {
        let mut done = Trimmed::default();
        let mut left = trim.limit.max(1);
        let of_types = |e: &StoredEvent| trim.types.is_empty() || trim.types.iter().any(|t| t == e.topic.as_str());
        let erasable = self.events.range(..trim.erase_before).filter(|(_, e)| !is_erased(e) && of_types(e));
        for seq in erasable.map(|(seq, _)| *seq).take(left).collect::<Vec<_>>() {
            done.erased += u64::from(self.erase(seq));
            for e in self.exceptions.values_mut().filter(|e| e.seq == seq) {
                e.log = without_heads(&e.log);
            }
            left -= 1;
        }
        while left > 0
            && let Some(first) = self.events.first_entry().filter(|e| *e.key() < trim.drop_before && is_erased(e.get()))
        {
            let event = first.remove();
            self.ids.remove(&event.id);
            self.head.first = event.seq + 1;
            self.cut = Some(trim.signer.checkpoint(self.head.epoch, event.seq, &event.hash, now));
            done.dropped += 1;
            left -= 1;
        }
        done.more = left == 0;
        done
    }

    pub(super) fn weights(&self, first: Seq, last: Seq) -> Vec<Weight> {
        let last = last.min(first.saturating_add(WEIGHED_EVENTS - 1));
        let weight = |e: &Arc<StoredEvent>| match &e.data {
            Data::Present { json, .. } => Some(Weight { seq: e.seq, topic: e.topic.clone(), bytes: json.len() as u64 }),
            Data::Erased { .. } => None,
        };
        let run = self.events.range(first..).take_while(|(seq, _)| **seq <= last);
        run.filter_map(|(_, event)| weight(event)).collect()
    }

    /// See [`nexus_core::store::Store::resign_cut`]; false when the log was not cut there.
    pub(super) fn resign_cut(&mut self, cut: Checkpoint) -> bool {
        let same = self.cut.as_ref().is_some_and(|now| now.seq == cut.seq && now.hash == cut.hash);
        if same {
            self.cut = Some(cut);
        }
        same
    }

    pub(super) fn begin_epoch(&mut self, after: u32) -> Head {
        self.head.epoch = self.head.epoch.max(after).saturating_add(1);
        self.head
    }

    pub(super) fn sweep(&mut self, before: Timestamp, now: Timestamp) {
        self.receipts.retain(|block| block.at >= before);
        self.exceptions.retain(|_, e| e.state != ExceptionState::Delivered || e.updated_at >= before);
        self.once.retain(|_, used| used.until > now);
    }
}
