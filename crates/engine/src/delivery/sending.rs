//! What goes out, and when.

use std::{sync::Arc, time::Duration};

use nexus_core::{breaker::BreakerState, event::Seq, store::SubNo, time::Timestamp};

use super::{
    lane::REPLAY,
    machine::{Effect, Machine, Now},
    state::{Flight, Pick},
};

/// A live subscription whose answer takes longer than this gets positions of its own, so that it does not hold the
/// watermark.
pub(super) const SLOW: Duration = Duration::from_secs(1);
/// The same for one whose oldest unsettled event lies so far back.
const LAG: Seq = 4_096;
/// How often slowness is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often positions are looked after.
const POSITIONS_EVERY: Duration = Duration::from_secs(1);
/// A wall clock that lags behind the monotonic one by more was set back.
const SET_BACK: Duration = Duration::from_secs(1);

impl Machine {
    /// Sends whatever a subscription may send now.
    pub(super) fn pump(&mut self, sub: SubNo, now: Now) {
        let Some(state) = self.subs.get_mut(&sub) else { return };
        if !state.active {
            return;
        }
        let concurrency = usize::from(state.spec.subscription.concurrency);
        let mut sent = false;
        while state.in_flight.len() < concurrency && state.breaker.would_admit(now.mono) {
            let probe = state.breaker.state(now.mono) == BreakerState::HalfOpen;
            let Some(pick) = state.pick(now.wall, probe) else { break };
            let generation = state.replay.as_ref().map_or(0, |r| r.generation);
            let since = now.mono;
            let (delivery, flight, event) = match pick {
                Pick::Fresh { lane, key, waiting } => {
                    let generation = if lane == REPLAY { generation } else { 0 };
                    let kept = probe.then(|| Arc::clone(&waiting.event));
                    let flight = Flight { lane, since, counts: true, key, probe, erased: false, event: kept };
                    ((waiting.seq, generation), flight, Some(waiting.event))
                }
                Pick::Retry { delivery, counts } => {
                    let Some(exception) = state.exceptions.get(&delivery) else { continue };
                    let key = exception.key.clone();
                    let lane = exception.lane;
                    (delivery, Flight { lane, since, counts, key, probe, erased: false, event: None }, None)
                }
            };
            state.breaker.admit(now.mono);
            let attempt = state.exceptions.get(&delivery).map_or(0, |e| e.attempts) + 1;
            state.in_flight.insert(delivery, flight);
            self.effects.push(Effect::Attempt {
                sub,
                seq: delivery.0,
                generation: delivery.1,
                attempt,
                event,
                spec: Arc::clone(&state.spec),
            });
            self.attempts_out += 1;
            sent = true;
        }
        self.remember_due(sub, now);
        if sent {
            self.refill(sub);
        }
    }

    /// Keeps the machine-wide index of due times in step with one subscription. What is due already and was not sent
    /// waits for an answer or a probe, which pump; only what lies ahead needs a wake-up.
    pub(super) fn remember_due(&mut self, sub: SubNo, now: Now) {
        let Some(state) = self.subs.get(&sub) else { return };
        let due = state.retries.first().map(|(at, ..)| *at);
        if let Some(at) = due.filter(|at| *at > now.wall) {
            self.due.insert((at, sub));
        }
        if let Some(at) = state.breaker.open_until().filter(|at| *at > now.mono) {
            self.probes.insert((at, sub));
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Now) {
        self.follow_the_clock(now);
        while let Some((at, sub)) = self.due.first().copied().filter(|(at, _)| *at <= now.wall) {
            self.due.remove(&(at, sub));
            self.pump(sub, now);
        }
        while let Some((at, sub)) = self.probes.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.probes.remove(&(at, sub));
            self.pump(sub, now);
        }
        let [slow, positions] = self.looked;
        if now.mono >= slow + LOOK_EVERY {
            self.looked[0] = now.mono;
            self.look_for_slowness(now);
        }
        if now.mono >= positions + POSITIONS_EVERY {
            self.looked[1] = now.mono;
            self.look_after_positions(now);
        }
    }

    fn look_for_slowness(&mut self, now: Now) {
        let head = self.head;
        let mut slow = Vec::new();
        let mut idle = Vec::new();
        for sub in &self.busy {
            let Some(state) = self.subs.get(sub) else { continue };
            let late = |since: Duration| now.mono.saturating_sub(since) > SLOW;
            match state.first_open() {
                None => idle.push(*sub),
                Some(seq) if seq + LAG <= head => slow.push(*sub),
                Some(_) if state.in_flight.values().any(|f| f.lane != REPLAY && late(f.since)) => slow.push(*sub),
                Some(_) => {}
            }
        }
        for sub in idle {
            self.busy.remove(&sub);
        }
        for sub in slow {
            self.demote(sub, head + 1);
        }
    }

    /// Waits are kept as wall times, so that they survive a restart. When the wall clock is set back, they move with it:
    /// what had a minute to go still has a minute to go.
    fn follow_the_clock(&mut self, now: Now) {
        let told = self.told.replace(now);
        let Some(told) = told else { return };
        let expected = told.wall.plus(now.mono.saturating_sub(told.mono));
        let back = expected.since(now.wall);
        if back <= SET_BACK {
            return;
        }
        tracing::warn!(seconds = back.as_secs(), "the wall clock was set back; retries move with it");
        self.due.clear();
        for state in self.subs.values_mut() {
            let retries = std::mem::take(&mut state.retries);
            for (at, seq, generation) in retries {
                let at = at.minus(back);
                state.retries.insert((at, seq, generation));
                if let Some(exception) = state.exceptions.get_mut(&(seq, generation)) {
                    exception.next_at = at;
                }
            }
        }
        let all: Vec<SubNo> = self.subs.keys().copied().collect();
        for sub in all {
            self.pump(sub, now);
        }
    }

    /// When [`Self::tick`] is needed next: a wall time and a monotonic time.
    pub fn next_wake(&self) -> (Option<Timestamp>, Option<Duration>) {
        (self.due.first().map(|(at, _)| *at), self.probes.first().map(|(at, _)| *at))
    }
}
