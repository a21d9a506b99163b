//! Looking back: what a flow would have been begun by, over a stretch of the log. Nothing is stored, nothing is published.

use std::collections::BTreeSet;

use nexus_core::{
    access::Principal,
    event::{Seq, StoredEvent},
    problem::{Code, Problem},
    time::Timestamp,
    topic::Topic,
};
use nexus_engine::desk::unreadable;
pub use nexus_engine::replays::At;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Flows, behaviour::pattern_id, event::Seen, trigger::taking};
use crate::{
    detect::{Match, Watch},
    plan::Definition,
};

/// Events looked at in one go; then it says where to go on.
const LOOKED_AT: usize = 100_000;
/// Findings told in one go.
const FOUND: usize = 1_000;
/// Bytes of what is remembered that can be carried over to the next go.
const KEPT_BYTES: usize = 2 << 20;

/// Which stretch of the log.
#[derive(Clone, Debug, Default)]
pub struct LookBack {
    /// From here on; from the beginning without.
    pub from: Option<At>,
    /// Up to here, not included; up to now without.
    pub to: Option<At>,
    /// What an earlier answer said under `next`.
    pub next: Option<Value>,
}

/// Something that would have begun a run.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// `match` of a detector, or `event` that the flow begins with.
    pub by: &'static str,
    /// When.
    pub at: String,
    /// The place of the event in the log; a match that time completed has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// The id of the event that the run would begin with: of a match, that of the event it would publish.
    pub id: String,
    /// The type of that event.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which detector.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// Which key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the match would publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Backtest {
    /// `namespace/name@version`.
    pub flow: String,
    /// How many events were looked at.
    pub looked_at: usize,
    /// What would have begun a run, in order. What `nexus.dev/concurrency` would have skipped is among it.
    pub found: Vec<Finding>,
    /// There is more: give this back to go on where it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Value>,
}

/// Where it goes on.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    flow: String,
    after: Seq,
    until: Seq,
    end: Timestamp,
    kept: Value,
}

/// The types as the log has them; `None`: any type.
fn topics(definition: &Definition) -> Option<BTreeSet<String>> {
    let kinds = definition.trigger_kinds().into_iter().chain(definition.detector_kinds());
    let canonical = |topic: Topic| topic.alias_of().unwrap_or(topic).as_str().to_owned();
    kinds.map(|kind| kind.and_then(|kind| Topic::parse(kind).ok()).map(canonical)).collect()
}

/// What is read must be readable for who asks.
pub(super) fn may_read(topics: Option<&BTreeSet<String>>, by: &Principal) -> Result<(), Problem> {
    let lacks =
        |what: &str| Err(Problem::new(Code::Forbidden, format!("{} lacks the scope events:read{what}", by.name)));
    match topics {
        None if !by.may("events:read") => lacks(": the flow looks at events of any type"),
        None => Ok(()),
        Some(topics) => match topics.iter().find(|topic| !by.may_for("events:read", topic)) {
            Some(topic) => lacks(&format!(":{topic}")),
            None => Ok(()),
        },
    }
}

fn matched(definition: &Definition, seq: Option<Seq>, found: &Match, published: &Value) -> Finding {
    let plan = definition.settings.detect.get(found.detector);
    // Without an event it was time that completed it.
    let by_time = published.pointer("/data/event").is_none();
    Finding {
        by: "match",
        at: found.at.to_string(),
        seq: seq.filter(|_| !by_time),
        id: pattern_id(found, published).map(|id| id.to_string()).unwrap_or_default(),
        kind: plan.map(|plan| plan.emit.clone()).unwrap_or_default(),
        detector: plan.map(|plan| plan.name.clone()),
        key: Some(found.key.clone()),
        data: published.get("data").cloned(),
    }
}

fn begun(event: &StoredEvent) -> Finding {
    Finding {
        by: "event",
        at: event.time.to_string(),
        seq: Some(event.seq),
        id: event.id.to_string(),
        kind: event.topic.as_str().to_owned(),
        detector: None,
        key: None,
        data: None,
    }
}

impl Flows {
    /// Looks back with the present version of a flow.
    pub async fn backtest_flow(&self, flow: &str, back: LookBack, by: &Principal) -> Result<Backtest, Problem> {
        let held = self.held(flow)?;
        self.backtest(&held.current.definition, back, by).await
    }

    /// Looks back with a flow that need not be published.
    pub async fn backtest_text(&self, text: &str, back: LookBack, by: &Principal) -> Result<Backtest, Problem> {
        let definition = self.check(text)?;
        self.backtest(&definition, back, by).await
    }

    async fn stretch(&self, back: &LookBack) -> Result<(Seq, Seq, Timestamp), Problem> {
        let (store, now) = (&self.desk().store, self.desk().now());
        let from = match back.from {
            None => 1,
            Some(At::Seq(seq)) => seq,
            Some(At::Time(time)) => store.seq_at(time).await.map_err(unreadable)?,
        };
        let head = store.head().seq;
        let (until, end) = match back.to {
            None => (head, now),
            Some(At::Time(time)) => {
                let before = store.seq_at(time).await.map_err(unreadable)?.saturating_sub(1);
                (before.min(head), Timestamp::from_micros(time.micros().saturating_sub(1)).min(now))
            }
            // Up to the moment of the event that is not looked at any more.
            Some(At::Seq(seq)) => {
                let (until, _) = (seq.saturating_sub(1).min(head), ());
                let next = self.past(None, until, until + 1).await?.0;
                (until, next.first().map_or(now, |event| event.time))
            }
        };
        Ok((from.saturating_sub(1), until, end))
    }

    async fn backtest(&self, definition: &Definition, back: LookBack, by: &Principal) -> Result<Backtest, Problem> {
        let topics = topics(definition);
        if topics.as_ref().is_some_and(BTreeSet::is_empty) {
            return Err(Problem::new(
                Code::Invalid,
                format!(
                    "{} has neither schedule.on nor nexus.dev/detect: no event of the log begins it",
                    definition.id
                ),
            ));
        }
        may_read(topics.as_ref(), by)?;
        let topics: Option<Vec<String>> = topics.map(|topics| topics.into_iter().collect());
        let flow = definition.id.to_string();
        let wrong = |what: String| Problem::field("next", format!("is not what an answer for this flow said: {what}"));
        let (mut watch, mut after, until, end) = match back.next {
            None => {
                let (after, until, end) = self.stretch(&back).await?;
                (Watch::new(definition), after, until, end)
            }
            Some(next) => {
                let next: Next = serde_json::from_value(next).map_err(|error| wrong(error.to_string()))?;
                if next.flow != flow {
                    return Err(wrong(format!("it was for {}, not for {flow}", next.flow)));
                }
                (Watch::go_on(definition, &next.kept).map_err(wrong)?, next.after, next.until, next.end)
            }
        };
        let mut done = Backtest { flow: flow.clone(), looked_at: 0, found: Vec::new(), next: None };
        while after < until {
            if done.looked_at >= LOOKED_AT || done.found.len() >= FOUND {
                let kept = watch.kept();
                if kept.to_string().len() > KEPT_BYTES {
                    return Err(Problem::new(
                        Code::Invalid,
                        format!(
                            "at event {after} more is remembered than can be carried over; look at a shorter stretch, or choose a coarser key"
                        ),
                    ));
                }
                done.next = Some(json!(Next { flow, after, until, end, kept }));
                return Ok(done);
            }
            let (events, next) = self.past(topics.as_deref(), after, until).await?;
            for event in &events {
                done.looked_at += 1;
                let found = watch
                    .event(event.time, Seen::new(event).plain())
                    .map_err(|error| Problem::new(Code::Invalid, error.to_string()))?;
                done.found.extend(
                    found.iter().map(|(found, event_of)| matched(definition, Some(event.seq), found, event_of)),
                );
                if taking(definition, event).is_some() {
                    done.found.push(begun(event));
                }
            }
            after = next.max(events.last().map_or(after, |event| event.seq));
            tokio::task::yield_now().await;
        }
        let rest = watch.until(end);
        done.found.extend(rest.iter().map(|(found, published)| matched(definition, None, found, published)));
        Ok(done)
    }
}
