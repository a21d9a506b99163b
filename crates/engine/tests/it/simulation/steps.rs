//! What can happen next.

use std::{collections::BTreeMap, time::Duration};

use nexus_core::{
    event::{NewEvent, Priority},
    retry::{RetrySchedule, Verdict},
    store::{Commit, Entry, ExceptionQuery, ExceptionState, Position, SaveError, SeqRange, Store, SubNo},
    topic::{Topic, TopicFilter},
};
use nexus_engine::{
    delivery::{lane::REPLAY, outcome::Answer},
    subscription::{Activity, OnDead, Revision, Subscription, Target},
};
use nexus_store::FaultKind;

use super::{
    model::{Fact, Kept, KeptReplay, Mood},
    world::{Notice, Out, World, ready},
};

const TOPICS: [&str; 4] = ["a.x", "a.y", "b.x", "c.c"];
const FILTERS: [&str; 4] = ["a.*", "*.x", ">", "b.x"];

impl World {
    pub(super) fn step(&mut self) {
        let now = self.now();
        match self.chance.below(100) {
            0..20 => {
                let count = 1 + self.chance.below(4);
                self.publish(count);
            }
            20..36 => {
                let limit = 1 + self.chance.index(20);
                self.dispatch(limit);
            }
            36..60 => self.answer_one(),
            60..70 => self.answer_some_page(),
            70..78 => {
                let most = [50, 1_500, 40_000, 4_000_000][self.chance.index(4)];
                let by = Duration::from_millis(self.chance.below(most));
                self.clock.forward(by);
                let now = self.now();
                self.machine.tick(now);
                self.perform();
            }
            78..86 => {
                if self.chance.one_in(4) {
                    self.store.fail_next(FaultKind::SaveFails(SaveError::Full));
                }
                self.save();
            }
            86..94 => self.change(),
            94 => {
                if let Some(at) = (!self.notices.is_empty()).then(|| self.chance.index(self.notices.len())) {
                    let notice = self.notices.remove(at);
                    self.record(notice);
                }
            }
            95 => self.clock.set_back(Duration::from_secs(self.chance.below(3_000))),
            96 => {
                self.machine.tick(now);
                self.perform();
                if self.chance.one_in(8) {
                    self.publish(300);
                }
            }
            97 => self.restart(),
            _ if self.crashes => self.crash(),
            _ => self.answer_one(),
        }
        self.check_machine();
    }

    fn publish(&mut self, count: u64) {
        for _ in 0..count {
            let topic = TOPICS[self.chance.index(TOPICS.len())];
            let key = format!("k{}", self.chance.below(3));
            let (ok, poison) = (!self.chance.one_in(4), self.chance.one_in(12));
            let mut event =
                NewEvent::new(Topic::from_canonical(topic), "sim", format!(r#"{{"ok":{ok}}}"#), self.now().wall);
            event.subject = Some(key.clone());
            event.priority = Priority::ALL[self.chance.index(4)];
            let done = ready(self.store.commit(Commit { events: vec![event], ..Commit::default() })).expect("stored");
            let seq = done.events[0].seq;
            self.model.facts.insert(seq, Fact { seq, topic: topic.into(), key, ok, poison });
        }
    }

    fn answer_some_page(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let at = self.chance.index(self.asked.len());
        let asked = self.asked.remove(at);
        let extended = self.chance.one_in(2);
        self.answer_page(&asked, extended);
    }

    fn answer(&mut self, mood: Mood, poison: bool) -> (Verdict, Option<u16>, Option<Duration>) {
        let mood = if self.resting { Mood::Well } else { mood };
        let later = self.chance.one_in(5).then(|| Duration::from_secs(90));
        match mood {
            Mood::Picky if self.chance.one_in(2) => (Verdict::Retry, Some(429), later),
            Mood::Flaky if self.chance.one_in(2) => (Verdict::RetryUnwell, None, None),
            Mood::Down => (Verdict::RetryUnwell, Some(503), later),
            Mood::Gone => (Verdict::Gone, Some(410), None),
            _ if poison && !self.resting => (Verdict::Retry, Some(400), None),
            _ => (Verdict::Success, Some(200), None),
        }
    }

    /// One of the attempts on their way is answered; in any order.
    pub(super) fn answer_one(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let at = self.chance.index(self.out.len());
        let out = self.out.remove(at);
        if !self.resting && self.chance.one_in(8) {
            return self.withdraw(&out);
        }
        let mood = self.model.subs.get(&out.sub).map_or(Mood::Well, |k| k.mood);
        let poison = self.model.facts[&out.seq].poison;
        let (verdict, status, retry_after) = self.answer(mood, poison);
        if verdict == Verdict::Success {
            self.check_taken((out.sub, out.seq, out.generation));
        }
        let answer = Answer {
            verdict,
            status,
            error: (verdict != Verdict::Success).then(|| "no".into()),
            retry_after,
            retry_in: None,
            started: out.started.wall,
            latency: self.now().mono.saturating_sub(out.started.mono),
            request_head: None,
            response_head: None,
        };
        let now = self.now();
        self.machine.outcome(out.sub, (out.seq, out.generation), answer, now);
        self.perform();
    }

    /// Nobody took what was offered: as if it had never left.
    fn withdraw(&mut self, out: &Out) {
        let delivery = (out.sub, out.seq, out.generation);
        let range = SeqRange { after: out.seq - 1, until: Some(out.seq), priority: None };
        let Some(event) = self.read(range, 1).pop() else { return };
        if let Some((since, ever)) = self.model.attempts.get_mut(&delivery) {
            *since = since.saturating_sub(1);
            *ever -= 1;
            if *ever == 0 {
                self.model.attempts.remove(&delivery);
            }
        }
        self.model.withdrawn.insert(out.generation);
        let now = self.now();
        self.machine.withdrawn(out.sub, (out.seq, out.generation), &event, now);
        self.perform();
    }

    /// The keeper gets round to it.
    pub(super) fn record(&mut self, notice: Notice) {
        match notice {
            Notice::Stop(sub) => {
                if let Some(kept) = self.model.subs.get_mut(&sub) {
                    kept.active = false;
                    let now = self.now();
                    self.machine.set_active(sub, false, now);
                }
            }
            Notice::Replayed(generation, completed) => {
                if let Some(replay) = self.model.replays.remove(&generation)
                    && completed
                {
                    self.check_replayed(generation, &replay);
                }
            }
        }
        self.perform();
    }

    fn some_sub(&mut self) -> Option<SubNo> {
        let all: Vec<SubNo> = self.model.subs.keys().copied().collect();
        (!all.is_empty()).then(|| all[self.chance.index(all.len())])
    }

    fn change(&mut self) {
        let kind = self.chance.below(12);
        if self.model.subs.len() < 3 || kind == 0 && self.model.subs.len() < 6 {
            return self.create();
        }
        let Some(sub) = self.some_sub() else { return };
        let now = self.now();
        match kind {
            1 => self.update(sub),
            3 => {
                let moods = [Mood::Well, Mood::Well, Mood::Down, Mood::Flaky, Mood::Picky, Mood::Gone];
                let mood = moods[self.chance.index(moods.len())];
                self.model.subs.get_mut(&sub).expect("there").mood = mood;
            }
            4..=6 => {
                let active = kind > 4;
                self.model.subs.get_mut(&sub).expect("there").active = active;
                if !self.died() {
                    self.machine.set_active(sub, active, now);
                }
            }
            7 if self.chance.one_in(3) => {
                self.model.subs.remove(&sub);
                self.model.removed.insert(sub);
                if !self.died() {
                    self.machine.remove(sub);
                }
            }
            2 | 8 | 9 => self.look_at_a_dead_letter(),
            10 => self.replay(sub),
            11 => self.cancel_replay(sub),
            _ => {}
        }
        self.perform();
    }

    /// The process may die between a change's commit and the dispatcher hearing of it.
    fn died(&mut self) -> bool {
        let dies = self.crashes && self.chance.one_in(8);
        if dies {
            self.crash();
        }
        dies
    }

    fn create(&mut self) {
        self.hold();
        let no = self.next_sub;
        self.next_sub += 1;
        let head = self.store.head().seq;
        let since = self.chance.one_in(3).then(|| self.chance.below(head + 1));
        let from = since.map_or(self.machine.head().max(head), |s| s.min(head)) + 1;
        let now = self.now();
        let subscription = Subscription {
            name: format!("s{no}"),
            no,
            revision: 1,
            filters: vec![TopicFilter::parse(FILTERS[self.chance.index(4)]).expect("a filter")],
            predicate: self.chance.one_in(3).then(|| ".payload.ok".into()),
            target: Target::Webhook { url: "http://sim".into(), headers: BTreeMap::new() },
            secret: None,
            private: true,
            ordered: self.chance.one_in(2),
            key: None,
            on_dead: if self.chance.one_in(2) { OnDead::Hold } else { OnDead::Continue },
            concurrency: [1, 2, 16][self.chance.index(3)],
            retry: RetrySchedule::Exponential { base_ms: 1_000, cap_ms: 600_000 },
            max_attempts: 4,
            timeout_ms: 15_000,
            keep_exchanges: self.chance.one_in(4),
            activity: Activity::Active,
            since_seq: from - 1,
            created_at: now.wall,
            updated_at: now.wall,
        };
        if from <= self.machine.head() {
            self.flush();
            let entries = subscription.lanes().map(|lane| Entry::Position(Position { sub: no, lane, next: from }));
            ready(self.store.save(self.fence, entries.collect())).expect("saved");
        }
        let revisions = vec![revision(&subscription, from)];
        let active = !self.chance.one_in(5);
        self.model.subs.insert(no, Kept { subscription, revisions, active, mood: Mood::Well });
        if !self.died() {
            let spec = self.spec(no);
            self.machine.add(spec, active, from, now);
        }
        self.perform();
    }

    fn update(&mut self, sub: SubNo) {
        self.hold();
        let last = self.model.subs[&sub].revisions.last().expect("a rule").from_seq;
        let from = last.max(self.machine.head() + 1);
        let filter = FILTERS[self.chance.index(4)];
        let on_dead = if self.chance.one_in(2) { OnDead::Hold } else { OnDead::Continue };
        let kept = self.model.subs.get_mut(&sub).expect("there");
        let s = &mut kept.subscription;
        s.filters = vec![TopicFilter::parse(filter).expect("a filter")];
        s.on_dead = on_dead;
        s.concurrency = [1, 2, 16][self.chance.index(3)];
        s.revision += 1;
        kept.revisions.push(revision(s, from));
        if on_dead == OnDead::Continue {
            self.model.held.retain(|(no, ..)| *no != sub);
        }
        for replay in self.model.replays.values_mut().filter(|r| r.sub == sub) {
            replay.whole = false;
        }
        if !self.died() {
            let (spec, now) = (self.spec(sub), self.now());
            self.machine.update(spec, now);
        }
    }

    /// A person looks at the dead letters, and acts on one of them a while later.
    fn look_at_a_dead_letter(&mut self) {
        if let Some((row, redrive)) = self.act.take() {
            let (now, delivery) = (self.now(), (row.sub, row.seq, row.generation));
            if redrive {
                self.model.attempts.entry(delivery).or_default().0 = 0;
                self.machine.redrive(row, now);
            } else {
                if self.model.subs.contains_key(&row.sub) {
                    self.model.forgotten.insert(delivery);
                    self.model.held.remove(&delivery);
                }
                self.machine.forget(row.sub, (row.seq, row.generation), now);
            }
            self.perform();
            self.flush();
            return;
        }
        self.flush();
        let state = Some(ExceptionState::Dead);
        let rows = ready(self.store.exceptions(ExceptionQuery { state, limit: 100, ..ExceptionQuery::default() }));
        let mut rows = rows.expect("readable");
        if !self.model.held.is_empty() && !self.chance.one_in(3) {
            rows.retain(|r| self.model.held.contains(&(r.sub, r.seq, r.generation)));
        }
        if !rows.is_empty() {
            let at = self.chance.index(rows.len());
            self.act = Some((rows[at].clone(), self.chance.one_in(2)));
        }
    }

    fn replay(&mut self, sub: SubNo) {
        let head = self.store.head().seq;
        if head == 0 || self.model.replays.values().any(|r| r.sub == sub) {
            return;
        }
        let from = 1 + self.chance.below(head);
        let until = from + self.chance.below(head - from + 1);
        let generation = self.next_replay;
        self.next_replay += 1;
        self.flush();
        let position = Position { sub, lane: REPLAY, next: from };
        ready(self.store.save(self.fence, vec![Entry::Position(position)])).expect("saved");
        self.model.replays.insert(generation, KeptReplay { sub, from, until, whole: true });
        if !self.died() {
            self.machine.replay(sub, generation, from, until);
        }
    }

    fn cancel_replay(&mut self, sub: SubNo) {
        let found = self.model.replays.iter().find(|(_, r)| r.sub == sub).map(|(no, _)| *no);
        if let Some(generation) = found {
            self.machine.cancel_replay(sub);
            self.model.replays.remove(&generation);
        }
    }
}

fn revision(s: &Subscription, from: u64) -> Revision {
    Revision {
        no: s.no,
        name: s.name.clone(),
        revision: s.revision,
        from_seq: from,
        filters: s.filters.clone(),
        predicate: s.predicate.clone(),
    }
}
