//! Walking the chain of a running hub's log: whole, or part by part so that whoever asks can show how far it is.

use nexus_core::{
    chain::{Checkpoint, Hash, genesis, link},
    event::{Data, Seq, StoredEvent},
    sign::hex,
    store::Head,
};
use serde::{Deserialize, Serialize};

/// What to verify.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifyRequest {
    /// A checkpoint that was kept elsewhere.
    pub against: Option<Checkpoint>,
    /// Go on after this place, as an earlier part's `next` named it; absent: from the beginning.
    pub after: Option<Place>,
    /// Walk at most so many events, and name the place to go on from; absent: to the end.
    pub limit: Option<u64>,
}

/// A place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Seq.
    pub seq: Seq,
    /// Chain hash at it, lower-case hex.
    pub hash: String,
}

/// The cut that a trimmed log begins behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutReport {
    /// Last seq that was dropped.
    pub seq: Seq,
    /// When, ISO 8601.
    pub time: String,
    /// Who signed.
    pub public_key: String,
}

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
    /// Last seq of the log.
    pub head: Seq,
    /// How many have their data erased.
    pub erased: u64,
    /// Epoch of the log.
    pub epoch: u32,
    /// With a checkpoint: whether this part reached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<bool>,
    /// The signed cut that the log begins behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<CutReport>,
    /// Where to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Place>,
    /// The first seq that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_seq: Option<Seq>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A walk along the chain.
pub(super) struct Walk<'a> {
    pub(super) report: VerifyReport,
    hash: Hash,
    against: Option<&'a Checkpoint>,
}

impl<'a> Walk<'a> {
    /// From the log's beginning. `signers` are the keys that may have cut it.
    pub(super) fn new(
        head: Head,
        cut: Option<&Checkpoint>,
        signers: &[String],
        against: Option<&'a Checkpoint>,
    ) -> Self {
        let report = VerifyReport {
            ok: true,
            events: 0,
            first: 1,
            last: 0,
            head: head.seq,
            erased: 0,
            epoch: head.epoch,
            compared: against.map(|_| false),
            cut: None,
            next: None,
            bad_seq: None,
            problem: None,
        };
        let mut walk = Self { report, hash: genesis(1), against };
        if let Some(checkpoint) = against.filter(|c| !c.verifies()) {
            walk.fail(checkpoint.seq, "the checkpoint's signature does not hold".into());
        }
        if let Some(cut) = cut {
            walk.begin_behind(cut, signers);
        }
        walk
    }

    /// The log begins behind this cut, if it is one.
    pub(super) fn begin_behind(&mut self, cut: &Checkpoint, signers: &[String]) {
        let hash = place_hash(&cut.hash);
        match hash {
            Some(hash) if cut.verifies() && signers.contains(&cut.public_key) => {
                self.report.cut =
                    Some(CutReport { seq: cut.seq, time: cut.time.to_string(), public_key: cut.public_key.clone() });
                self.stand_at(cut.seq, hash);
            }
            Some(_) if cut.verifies() => {
                let message = format!("the cut there is signed by {}, which is no key of this hub", cut.public_key);
                self.fail(cut.seq, message);
            }
            _ => self.fail(cut.seq, "the signed checkpoint of the cut there does not hold".into()),
        }
    }

    /// Goes on after a place that an earlier part reached; one before the log's beginning is passed over.
    pub(super) fn go_on(&mut self, place: &Place) {
        match place_hash(&place.hash) {
            _ if place.seq <= self.report.last => {}
            Some(hash) => self.stand_at(place.seq, hash),
            None => self.fail(place.seq, "the place to go on from has no hash".into()),
        }
    }

    fn stand_at(&mut self, seq: Seq, hash: Hash) {
        (self.hash, self.report.last, self.report.first) = (hash, seq, seq + 1);
        self.compare();
    }

    /// Whether there is something left to walk.
    pub(super) fn goes_on(&self) -> bool {
        self.report.ok && self.report.last < self.report.head
    }

    pub(super) fn fail(&mut self, seq: Seq, problem: String) {
        if self.report.ok {
            self.report.ok = false;
            self.report.bad_seq = Some(seq);
            self.report.problem = Some(problem);
        }
    }

    pub(super) fn step(&mut self, event: &StoredEvent) {
        let expected = self.report.last + 1;
        if event.seq != expected {
            return self.fail(expected, format!("it is missing: event {} follows", event.seq));
        }
        if link(&self.hash, event) != event.hash {
            return self.fail(event.seq, "its header, data or hash was changed".into());
        }
        self.hash = event.hash;
        self.report.last = event.seq;
        self.report.events += 1;
        self.report.erased += u64::from(matches!(event.data, Data::Erased { .. }));
        self.compare();
    }

    fn compare(&mut self) {
        let Some(checkpoint) = self.against.filter(|c| c.seq == self.report.last) else { return };
        self.report.compared = Some(true);
        if hex(&self.hash) != checkpoint.hash {
            self.fail(checkpoint.seq, "its hash is not the checkpoint's: the log was rewritten".into());
        }
    }

    /// The walk ends here, or this part of it.
    pub(super) fn end(mut self) -> VerifyReport {
        if self.goes_on() {
            self.report.next = Some(Place { seq: self.report.last, hash: hex(&self.hash) });
        } else if let Some(checkpoint) = self.against.filter(|c| c.seq > self.report.head) {
            let message = format!(
                "the log ends at {}, but the checkpoint knew event {}: its tail was cut",
                self.report.head, checkpoint.seq
            );
            self.fail(self.report.head + 1, message);
        }
        self.report
    }
}

fn place_hash(text: &str) -> Option<Hash> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
