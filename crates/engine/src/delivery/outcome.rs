//! What an answer means: settled, tried again, dead, or the endpoint is unwell.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    event::StoredEvent,
    retry::{RETRY_AFTER_CAP, Verdict},
    store::{Exception, ExceptionState, SubNo},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{
    key::DeliveryKey,
    lane::REPLAY,
    machine::{Effect, Machine, Now, release, self_block},
    notice::{Death, Notice},
    state::{Failing, Flight, Mode},
};
use crate::{receipts::Receipt, subscription::OnDead};

/// Attempts kept in an exception's log; the oldest go first.
const LOGGED_ATTEMPTS: usize = 20;
/// When a dead letter that holds its key is due: never. It tells such a row from one that let its key go on.
pub(super) const HELD: Timestamp = Timestamp::from_micros(i64::MAX);

/// One attempt, as kept and shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// When it began, ISO 8601.
    pub at: String,
    /// HTTP status, if there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From sending to the answer or to giving up.
    pub latency_ms: f64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Method, URL and first bytes of the request body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_head: Option<String>,
    /// First bytes of the response body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_head: Option<String>,
    /// It was a probe ahead of its time and used up no attempt.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub probe: bool,
}

/// The answer to one attempt.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it means.
    pub verdict: Verdict,
    /// HTTP status.
    pub status: Option<u16>,
    /// What went wrong, for people.
    pub error: Option<String>,
    /// The endpoint asked to wait so long.
    pub retry_after: Option<Duration>,
    /// A consumer asked for exactly this wait, instead of the schedule's.
    pub retry_in: Option<Duration>,
    /// When the attempt began.
    pub started: Timestamp,
    /// How long it took.
    pub latency: Duration,
    /// Heads of request and response, where they are to be kept.
    pub request_head: Option<String>,
    /// See above.
    pub response_head: Option<String>,
}

/// What came of an [`Effect::Attempt`].
#[derive(Debug)]
pub enum Made {
    /// It was made; see [`Machine::outcome`].
    Answered(Answer),
    /// The event's data is gone, there was nothing to send; see [`Machine::expired`].
    Expired,
    /// It was never made, as nobody took what was offered; see [`Machine::withdrawn`].
    Withdrawn(Arc<StoredEvent>),
}

impl Answer {
    /// What was sent and answered is to be known no more; that it was, and how it ended, stays.
    fn forget(&mut self) {
        (self.request_head, self.response_head) = (None, None);
        self.error = self.error.take().map(|_| "it failed; the data of its event was erased meanwhile".into());
    }

    fn record(&self, probe: bool) -> AttemptRecord {
        AttemptRecord {
            at: self.started.to_string(),
            status: self.status,
            latency_ms: self.latency.as_secs_f64() * 1e3,
            error: self.error.clone(),
            request_head: self.request_head.clone(),
            response_head: self.response_head.clone(),
            probe,
        }
    }
}

/// Adds an attempt to a log, within its bounds.
fn append(log: &str, record: AttemptRecord) -> String {
    let mut records: Vec<AttemptRecord> = serde_json::from_str(log).unwrap_or_default();
    records.push(record);
    let excess = records.len().saturating_sub(LOGGED_ATTEMPTS);
    records.drain(..excess);
    // Only the last heads are kept: they say what the endpoint says now.
    let last = records.len() - 1;
    for old in &mut records[..last] {
        old.request_head = None;
    }
    serde_json::to_string(&records).unwrap_or_else(|_| "[]".into())
}

impl Machine {
    /// The answer to an [`Effect::Attempt`].
    pub fn outcome(&mut self, sub: SubNo, delivery: DeliveryKey, mut answer: Answer, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let Some(flight) = state.in_flight.remove(&delivery) else { return };
        if flight.erased {
            answer.forget();
        }
        self.attempts_out = self.attempts_out.saturating_sub(1);
        let was_closed = state.breaker.open_until().is_none();
        let opened = match answer.verdict {
            Verdict::RetryUnwell => state.breaker.failure(now.mono),
            // No request went out (it could not be built), so nothing was learned about the endpoint.
            Verdict::Retry if answer.status.is_none() => flight.probe && state.breaker.failure(now.mono),
            Verdict::Success | Verdict::Retry | Verdict::Refused | Verdict::Gone => {
                if state.breaker.success() {
                    self.effects.push(Effect::Tell(Notice::Breaker { sub, opened: false }));
                }
                false
            }
        };
        if answer.verdict == Verdict::Success {
            self.succeeded(sub, delivery, flight, &answer, now);
        } else {
            self.failed(sub, delivery, flight, &answer, now);
        }
        if opened {
            self.demote(sub, self.head() + 1);
        }
        if opened && was_closed {
            // A probe that fails is no news.
            self.effects.push(Effect::Tell(Notice::Breaker { sub, opened: true }));
        }
        self.pump(sub, now);
        self.catch_up(sub, now);
    }

    fn succeeded(&mut self, sub: SubNo, delivery: DeliveryKey, flight: Flight, answer: &Answer, now: Now) {
        self.works(sub);
        let Some(state) = self.subs.get_mut(&sub) else { return };
        state.last_success = Some(now.wall);
        let known = state.exceptions.remove(&delivery);
        let attempt = known.as_ref().map_or(0, |e| e.attempts) + 1;
        let receipt = Receipt {
            sub,
            seq: delivery.0,
            generation: delivery.1,
            at: now.wall,
            attempt,
            status: answer.status.unwrap_or(0),
            latency_us: u32::try_from(answer.latency.as_micros()).unwrap_or(u32::MAX),
        };
        self.receipts.push(receipt);
        if state.mode == Mode::Live && delivery.1 == 0 && state.first_open().is_some_and(|first| first < delivery.0) {
            state.ahead.push(receipt);
        }
        let keep = state.spec.subscription.keep_exchanges;
        if let Some(mut exception) = known {
            let eventful = exception.log != "[]" || keep;
            exception.state = ExceptionState::Delivered;
            exception.attempts = attempt;
            exception.log = append(&exception.log, answer.record(false));
            exception.updated_at = now.wall;
            let row = Exception { waiting: Vec::new(), ..exception.clone() };
            self.finish(row, eventful);
            self.go_on(sub, exception, now);
            return;
        }
        if keep {
            let mut row = blank(sub, delivery, flight.lane, flight.key.clone(), now);
            row.state = ExceptionState::Delivered;
            row.attempts = attempt;
            row.log = append("[]", answer.record(false));
            self.finish(row, true);
        }
        self.settle(sub, flight.lane, delivery);
        if let Some(key) = &flight.key
            && let Some(state) = self.subs.get_mut(&sub)
        {
            state.keys.release(key, delivery);
        }
    }

    /// Instead of an outcome: the event's data is gone (redacted, or past its retention), so there is nothing to send.
    pub fn expired(&mut self, sub: SubNo, delivery: DeliveryKey, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let Some(flight) = state.in_flight.remove(&delivery) else { return };
        self.attempts_out = self.attempts_out.saturating_sub(1);
        if flight.probe {
            state.breaker.probe_lost();
        }
        if let Some(exception) = state.exceptions.remove(&delivery) {
            self.dirty.insert((sub, delivery.0, delivery.1));
            self.go_on(sub, exception, now);
        } else {
            self.settle(sub, flight.lane, delivery);
            if let Some(key) = &flight.key
                && let Some(state) = self.subs.get_mut(&sub)
            {
                state.keys.release(key, delivery);
            }
        }
        self.pump(sub, now);
        self.catch_up(sub, now);
    }

    fn failed(&mut self, sub: SubNo, delivery: DeliveryKey, flight: Flight, answer: &Answer, now: Now) {
        let random = self.next_random();
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if answer.verdict != Verdict::Refused
            && let Some(since) = state.failing.get_or_insert(Failing::new(now)).note(now)
        {
            self.effects.push(Effect::Tell(Notice::Failing { sub, since: Some((since, now.wall)) }));
        }
        state.last_error.clone_from(&answer.error);
        if let Some(event) = flight.event
            && answer.verdict == Verdict::RetryUnwell
        {
            // The endpoint is not back. That is no attempt of this event, and no row: it waits on, first in its line.
            let replay = state.replay.as_ref().map(|r| r.generation);
            if flight.lane != REPLAY || replay == Some(delivery.1) {
                state.put_back(flight.lane, flight.key, event);
            }
            self.consider_stopping(sub, answer, false, now);
            return;
        }
        let fresh = !state.exceptions.contains_key(&delivery);
        let mut exception = state
            .exceptions
            .remove(&delivery)
            .unwrap_or_else(|| blank(sub, delivery, flight.lane, flight.key.clone(), now));
        exception.log = append(&exception.log, answer.record(!flight.counts));
        exception.updated_at = now.wall;
        if flight.counts {
            exception.attempts = exception.attempts.saturating_add(1);
            let wait = state.spec.subscription.retry.wait(exception.attempts, random);
            let asked = answer.retry_after.unwrap_or_default();
            let wait = answer.retry_in.unwrap_or_else(|| wait.max(asked.min(RETRY_AFTER_CAP)));
            exception.next_at = now.wall.plus(wait.min(RETRY_AFTER_CAP.max(state.spec.subscription.longest_wait())));
        }
        if fresh {
            if let Some(key) = &flight.key {
                let waiting = self_block(state, key, delivery, &mut self.live_open);
                exception.waiting.extend(waiting);
            }
            self.settle(sub, flight.lane, delivery);
        }
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let dead = match answer.verdict {
            Verdict::Gone => false,
            Verdict::Refused => true,
            _ => exception.attempts >= state.spec.subscription.max_attempts,
        };
        if answer.verdict == Verdict::Gone {
            // The event is not at fault: it goes first when a person enables the endpoint again.
            exception.next_at = now.wall;
        }
        if dead {
            self.bury(sub, exception, answer, now);
        } else {
            state.retries.insert((exception.next_at, delivery.0, delivery.1));
            state.exceptions.insert(delivery, exception);
            self.dirty.insert((sub, delivery.0, delivery.1));
        }
        self.consider_stopping(sub, answer, fresh, now);
    }

    fn bury(&mut self, sub: SubNo, mut exception: Exception, answer: &Answer, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        exception.state = ExceptionState::Dead;
        self.effects.push(Effect::Tell(Notice::Dead(Death {
            sub,
            seq: exception.seq,
            generation: exception.generation,
            lane: exception.lane,
            attempts: exception.attempts,
            error: answer.error.clone().unwrap_or_default(),
            at: exception.updated_at,
        })));
        let key = (exception.seq, exception.generation);
        let holder = exception.key.as_ref().and_then(|k| state.keys.busy_with(k));
        if holder == Some(key) && state.spec.subscription.on_dead == OnDead::Hold {
            exception.next_at = HELD;
            self.dirty.insert((sub, key.0, key.1));
            state.exceptions.insert(key, exception);
            return;
        }
        let row = Exception { waiting: Vec::new(), ..exception.clone() };
        self.finish(row, true);
        self.go_on(sub, exception, now);
    }

    /// Its endpoint answers, or a person says that it will: what failed before counts no more.
    pub(super) fn works(&mut self, sub: SubNo) {
        let Some(failing) = self.subs.get_mut(&sub).and_then(|s| s.failing.take()) else { return };
        if failing.noted.is_some() {
            self.effects.push(Effect::Tell(Notice::Failing { sub, since: None }));
        }
    }

    fn consider_stopping(&mut self, sub: SubNo, answer: &Answer, fresh: bool, now: Now) {
        let Some(state) = self.subs.get(&sub) else { return };
        let open = state.exceptions.len();
        let Some(failing) = state.failing else { return };
        if answer.verdict == Verdict::Gone {
            self.stop(sub, true, "the endpoint answered 410 Gone".into());
        } else if failing.lasted(now) >= self.policy.disable_after {
            self.stop(sub, true, format!("the endpoint has only failed since {}", failing.since));
        } else if fresh && open >= self.policy.open_exceptions {
            // Only when there is one more: whoever resumes it lets the others be tried again first.
            self.stop(sub, false, format!("{open} deliveries wait to be tried again"));
        }
    }

    /// A row whose exception is over: written once, then forgotten here.
    pub(super) fn finish(&mut self, row: Exception, keep: bool) {
        let key = (row.sub, row.seq, row.generation);
        if keep {
            self.finished.insert(key, row);
        }
        self.dirty.insert(key);
    }

    /// An exception is over: whoever waited behind its key goes on.
    pub(super) fn go_on(&mut self, sub: SubNo, exception: Exception, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        let Some(key) = exception.key else { return };
        if exception.waiting.len() <= self.policy.key_waiters / 2 {
            state.crowded.remove(&key);
        }
        let mut waiting = exception.waiting.into_iter();
        let Some(next) = waiting.next() else {
            state.keys.release(&key, (exception.seq, exception.generation));
            return;
        };
        // The position has passed it already, so it goes on as an exception of its own, with the rest behind it.
        let mut row = blank(sub, (next, 0), exception.lane, Some(key.clone()), now);
        row.waiting = waiting.collect();
        row.waiting.extend(self_block(state, &key, (next, 0), &mut self.live_open));
        state.retries.insert((row.next_at, next, 0));
        state.exceptions.insert((next, 0), row);
        self.dirty.insert((sub, next, 0));
    }

    /// An event of a lane is settled: the position may pass it.
    pub(super) fn settle(&mut self, sub: SubNo, lane: u8, (seq, generation): DeliveryKey) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        // An answer to a replay that was cancelled says nothing about the next one.
        if lane == REPLAY && state.replay.as_ref().is_none_or(|r| r.generation != generation) {
            return;
        }
        if !state.lane(lane).open.remove(&seq) {
            return;
        }
        if lane == REPLAY {
            if let Some(replay) = &mut state.replay {
                replay.done += 1;
            }
            self.moved.insert(sub);
        } else if state.mode == Mode::Live {
            release(&mut self.live_open, seq);
            let first = state.first_open();
            state.ahead.retain(|r| first.is_some_and(|first| r.seq > first));
            if first.is_none() {
                self.busy.remove(&sub);
            }
        } else {
            self.moved.insert(sub);
        }
    }

    /// After an answer: read on, rejoin those that keep up, end a replay.
    pub(super) fn catch_up(&mut self, sub: SubNo, now: Now) {
        let Some(state) = self.subs.get(&sub) else { return };
        if state.mode == Mode::Behind || state.replay.is_some() {
            self.refill(sub);
            self.promote(sub, now);
            self.finish_replay(sub);
        }
    }
}

fn blank(sub: SubNo, delivery: DeliveryKey, lane: u8, key: Option<String>, now: Now) -> Exception {
    Exception {
        sub,
        seq: delivery.0,
        generation: delivery.1,
        lane,
        state: ExceptionState::Retrying,
        attempts: 0,
        next_at: now.wall,
        key,
        waiting: Vec::new(),
        log: "[]".into(),
        updated_at: now.wall,
    }
}
