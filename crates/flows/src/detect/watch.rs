//! A flow's detectors over a stretch of the log, in memory: what they would have told. For looking back; a hub that
//! watches live keeps each memory in its store instead.

use std::collections::{BTreeMap, BTreeSet};

use nexus_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Hit, Match, Memory, Signal};
use crate::plan::Definition;

/// Keys of all detectors together that are remembered at one time.
pub const KEYS: usize = 200_000;

/// More keys are active at one time than can be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {KEYS} keys are active at one time; look at a shorter stretch, or choose a coarser key")]
pub struct TooManyKeys;

/// Detectors at work.
#[derive(Debug)]
pub struct Watch<'d> {
    definition: &'d Definition,
    memories: BTreeMap<(usize, String), Memory>,
    timers: BTreeSet<(Timestamp, usize, String)>,
}

impl<'d> Watch<'d> {
    /// Nothing is remembered yet.
    pub fn new(definition: &'d Definition) -> Self {
        Self { definition, memories: BTreeMap::new(), timers: BTreeSet::new() }
    }

    /// Takes the next event of the log: the matches up to it, and with it, in order, each with the event it publishes.
    pub fn event(&mut self, at: Timestamp, event: &Value) -> Result<Vec<(Match, Value)>, TooManyKeys> {
        let mut found = self.until(at);
        let definition = self.definition;
        for hit in definition.detected(event) {
            found.extend(self.take(&hit, at, Some(event)));
            if self.memories.len() > KEYS {
                self.forget(at);
            }
            if self.memories.len() > KEYS {
                return Err(TooManyKeys);
            }
        }
        Ok(found)
    }

    /// What is remembered, to go on with later.
    pub fn kept(&self) -> Value {
        let memories: Vec<_> = self.memories.iter().map(|((n, key), memory)| (n, key, memory)).collect();
        json!({"memories": memories, "timers": self.timers})
    }

    /// Goes on with what [`Self::kept`] gave.
    pub fn go_on(definition: &'d Definition, kept: &Value) -> Result<Self, String> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Kept {
            memories: Vec<(usize, String, Memory)>,
            timers: BTreeSet<(Timestamp, usize, String)>,
        }
        let kept: Kept = serde_json::from_value(kept.clone()).map_err(|error| error.to_string())?;
        let memories = kept.memories.into_iter().map(|(n, key, memory)| ((n, key), memory)).collect();
        Ok(Self { definition, memories, timers: kept.timers })
    }

    /// Lets time pass: the matches that were due by then.
    pub fn until(&mut self, now: Timestamp) -> Vec<(Match, Value)> {
        let mut found = Vec::new();
        while let Some((due, detector, key)) = self.timers.first().filter(|(due, ..)| *due <= now).cloned() {
            self.timers.remove(&(due, detector, key.clone()));
            found.extend(self.take(&Hit { detector, key, signal: Signal::Due }, due, None));
        }
        found
    }

    fn take(&mut self, hit: &Hit, at: Timestamp, event: Option<&Value>) -> Option<(Match, Value)> {
        let plan = self.definition.settings.detect.get(hit.detector)?;
        let memory = self.memories.entry((hit.detector, hit.key.clone())).or_default();
        let verdict = plan.observe(memory, hit.signal, at);
        if let Some(due) = verdict.timer {
            self.timers.insert((due, hit.detector, hit.key.clone()));
        }
        let found = Match::of(hit, &verdict, at)?;
        let published = plan.matched(&self.definition.id, &found, event);
        Some((found, published))
    }

    /// Keys that lead to nothing any more.
    fn forget(&mut self, now: Timestamp) {
        let detectors = &self.definition.settings.detect;
        self.memories
            .retain(|(n, _), memory| detectors.get(*n).is_some_and(|plan| !plan.detector.is_idle(memory, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "
document:
  dsl: '1.0.3'
  namespace: shop
  name: behaviour
  version: '1.0.0'
  metadata:
    nexus.dev/detect:
      - { name: busy, detect: count, first: { type: view }, count: 3, window: PT1M, key: .data.user }
      - { name: left, detect: absence, first: { type: cart }, second: { type: order }, after: PT1H, key: .data.user }
      - name: straight
        detect: sequence
        first: { type: cart }
        second: { type: order }
        breaking: { type: help }
        within: { minutes: 30 }
        key: .data.user
        emit: shop.straight.v1
      - { name: large, detect: threshold, first: { type: order }, number: .data.amount, limit: 100 }
do:
- note: { set: { told: '${ .[0].data.detector }' } }
";

    /// Feeds `second type user amount`; gives `second detector key`.
    fn told(log: &[(i64, &str, &str, i64)], until: i64) -> Vec<(i64, String, String)> {
        let definition = crate::publish(FLOW).unwrap();
        let mut watch = Watch::new(&definition);
        let mut found = Vec::new();
        for (second, kind, user, amount) in log {
            let event = json!({"id": "e", "type": kind, "data": {"user": user, "amount": amount}});
            found.extend(watch.event(Timestamp::from_secs(*second), &event).unwrap());
        }
        found.extend(watch.until(Timestamp::from_secs(until)));
        let name = |n: usize| definition.settings.detect[n].name.clone();
        found.into_iter().map(|(found, _)| (found.at.secs(), name(found.detector), found.key)).collect()
    }

    #[test]
    fn a_flow_is_told_what_its_detectors_find_each_match_once() {
        let log = [
            (0, "view", "ada", 0),
            (1, "view", "bob", 0),
            (2, "view", "ada", 0),
            (3, "view", "ada", 0),
            (10, "cart", "ada", 0),
            (11, "cart", "bob", 0),
            (12, "help", "bob", 0),
            (20, "order", "ada", 120),
            (30, "order", "eve", 130),
        ];
        let expected = [(3, "busy", "ada"), (20, "straight", "ada"), (20, "large", ""), (3_611, "left", "bob")];
        let expected: Vec<_> = expected.iter().map(|(at, name, key)| (*at, (*name).into(), (*key).into())).collect();
        assert_eq!(told(&log, 10_000), expected);
    }

    #[test]
    fn an_event_without_the_key_counts_for_nobody() {
        let definition = crate::publish(FLOW).unwrap();
        let event = json!({"type": "view", "data": {}});
        assert_eq!(definition.detected(&event), []);
        let long = json!({"type": "view", "data": {"user": "x".repeat(1_000)}});
        assert!(definition.detected(&long)[0].key.starts_with("sha256:"));
    }

    #[test]
    fn a_match_publishes_one_event_that_names_the_last_and_not_its_data() {
        let definition = crate::publish(FLOW).unwrap();
        let mut watch = Watch::new(&definition);
        let cart = json!({"id": "1", "type": "cart", "data": {"user": "ada"}});
        let order = json!({"id": "2", "type": "order", "source": "/shop", "data": {"user": "ada", "amount": 5}});
        assert_eq!(watch.event(Timestamp::from_secs(5), &cart).unwrap(), []);
        let found = watch.event(Timestamp::from_secs(9), &order).unwrap();
        let [(_, event)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((&event["type"], &event["subject"]), (&json!("shop.straight.v1"), &json!("ada")));
        let expected = json!({
            "flow": {"namespace": "shop", "name": "behaviour", "version": "1.0.0"},
            "detector": "straight", "detected": "sequence", "key": "ada",
            "since": "1970-01-01T00:00:05.000Z", "at": "1970-01-01T00:00:09.000Z",
            "event": {"id": "2", "type": "order", "source": "/shop"},
        });
        assert_eq!(event["data"], expected);
        let mut again = Watch::new(&definition);
        again.event(Timestamp::from_secs(5), &cart).unwrap();
        assert_eq!(again.event(Timestamp::from_secs(9), &order).unwrap()[0].1["id"], event["id"]);
    }
}
