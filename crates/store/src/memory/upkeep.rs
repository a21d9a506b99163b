//! Erasing, dropping and sweeping in memory.

use std::sync::Arc;

use nexus_core::{
    chain::digest_of,
    event::{Data, Seq, StoredEvent},
    store::{ExceptionState, Redact, Trim, Trimmed},
    time::Timestamp,
};

use super::state::State;

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

    pub(super) fn redact(&mut self, what: &Redact) -> Vec<Seq> {
        let seqs: Vec<Seq> = match what {
            Redact::Event(id) => self.ids.get(id).copied().into_iter().collect(),
            Redact::Subject(subject) => {
                let of = |e: &&Arc<StoredEvent>| e.subject.as_deref() == Some(subject);
                self.events.values().filter(of).map(|e| e.seq).collect()
            }
        };
        for e in self.exceptions.values_mut().filter(|e| seqs.contains(&e.seq)) {
            e.log = "[]".to_owned();
        }
        seqs.into_iter().filter(|seq| self.erase(*seq)).collect()
    }

    pub(super) fn trim(&mut self, trim: &Trim) -> Trimmed {
        let mut done = Trimmed::default();
        let mut left = trim.limit.max(1);
        let of_types = |e: &StoredEvent| trim.types.is_empty() || trim.types.iter().any(|t| t == e.topic.as_str());
        let erasable = self.events.range(..trim.erase_before).filter(|(_, e)| !is_erased(e) && of_types(e));
        for seq in erasable.map(|(seq, _)| *seq).take(left).collect::<Vec<_>>() {
            done.erased += u64::from(self.erase(seq));
            left -= 1;
        }
        while left > 0
            && let Some(first) = self.events.first_entry().filter(|e| *e.key() < trim.drop_before && is_erased(e.get()))
        {
            let event = first.remove();
            self.ids.remove(&event.id);
            self.head.first = event.seq + 1;
            done.dropped += 1;
            left -= 1;
        }
        done.more = left == 0;
        done
    }

    pub(super) fn sweep(&mut self, before: Timestamp, now: Timestamp) {
        self.receipts.retain(|block| block.at >= before);
        self.exceptions.retain(|_, e| e.state != ExceptionState::Delivered || e.updated_at >= before);
        self.once.retain(|_, used| used.until > now);
    }
}
