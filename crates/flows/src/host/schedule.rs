//! Flows that begin by time: one timer each. Firing it, beginning the run and setting the next are one commit.

use std::time::Duration;

use async_trait::async_trait;
use nexus_core::{
    problem::Problem,
    store::{Commit, CommitError, Timer, TimerWrite},
    time::Timestamp,
};
use nexus_engine::{
    desk::{refused, unreadable},
    timers::OnTimer,
};
use serde_json::json;

use super::{
    Flows,
    commit::{TIMER as RUN_TIMER, run_id, timer_of},
    record::{Flow, Lineage, Run, Trigger},
    shelf::Held,
};
use crate::{
    effect::Input,
    plan::Definition,
    schedule::{Missed, next_interval, zone},
};

/// The kind of the timers of schedules.
pub(super) const TIMER: &str = "flow.schedule";

/// How often a timer of a run that is set aside is due again.
const ASIDE: Duration = Duration::from_secs(3600);

/// The name of a flow's timer.
pub(super) fn timer_id(flow: &str) -> String {
    format!("flow-schedule/{flow}")
}

fn set(flow: &str, due: Timestamp) -> TimerWrite {
    TimerWrite::Set { id: timer_id(flow), due, kind: TIMER.to_owned(), body: "{}".to_owned() }
}

/// When a flow begins by time next, after `now`.
pub(super) fn next(flow: &Flow, definition: &Definition, now: Timestamp) -> Option<Timestamp> {
    let schedule = &definition.schedule;
    if let Some(cron) = &schedule.cron {
        let zone = zone(definition.settings.timezone.as_deref()).ok()?;
        return cron.next(now, &zone);
    }
    schedule.every.map(|every| next_interval(flow.anchor, every, now))
}

/// The timer of a flow that is published or turned on.
pub(super) fn first(flow: &Flow, definition: &Definition, now: Timestamp) -> Option<TimerWrite> {
    // What begins some time after it has ended has to begin once.
    let due = if definition.schedule.after.is_some() { Some(now) } else { next(flow, definition, now) };
    due.map(|due| set(&flow.name, due))
}

/// The timer of a flow that begins some time after its end, when a run by its schedule has ended or did not begin.
pub(super) fn again(run: &Run, definition: &Definition, now: Timestamp) -> Option<TimerWrite> {
    let after = definition.schedule.after.filter(|_| matches!(run.trigger, Trigger::Schedule { .. }))?;
    Some(set(&run.flow(), now.plus(after)))
}

impl Flows {
    /// When its schedule begins a flow's next run. `None`: it has none, the flow is off, or the time is counted from the
    /// end of a run that has not ended (`schedule.after`).
    pub async fn next_begin(&self, held: &Held) -> Result<Option<Timestamp>, Problem> {
        let schedule = &held.current.definition.schedule;
        let by_time = schedule.cron.is_some() || schedule.every.is_some() || schedule.after.is_some();
        if !held.flow.enabled || !by_time {
            return Ok(None);
        }
        let timer = self.desk().store.timer(&timer_id(&held.flow.name)).await.map_err(unreadable)?;
        Ok(timer.map(|timer| timer.due))
    }
}

/// Begins what is due.
pub(super) struct Due(pub(super) Flows);

#[async_trait]
impl OnTimer for Due {
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        let flows = &self.0;
        let name = timer.id.strip_prefix("flow-schedule/").unwrap_or_default();
        let fired = TimerWrite::Fire { id: timer.id.clone(), version: timer.version };
        let now = flows.desk().now();
        let held = flows.inner.shelf.find(name).filter(|held| held.flow.enabled);
        let Some(held) = held else {
            let commit = Commit { timers: vec![fired], ..Commit::default() };
            return flows.desk().commit(commit).await.map(|_| ());
        };
        let definition = &held.current.definition;
        let mut with = Commit { timers: vec![fired], ..Commit::default() };
        with.timers.extend(next(&held.flow, definition, now).map(|due| set(name, due)));
        if definition.settings.missed == Some(Missed::Skip) && now.since(timer.due) > super::MISSED {
            let detail = json!({"flow": name, "due": timer.due, "reason": "nothing ran when it was due, and nexus.dev/missed says skip"});
            with.events.push(flows.desk().notice("flow.schedule_missed", &detail));
            return flows.desk().commit(with).await.map(|_| ());
        }
        let (from_seq, accepted) = flows.accept();
        let new = super::trigger::NewRun {
            id: run_id(timer.due, &["schedule", name, &timer.due.micros().to_string()]),
            input: json!({"scheduledAt": timer.due.to_string(), "firedAt": now.to_string()}),
            trigger: Trigger::Schedule { due: timer.due },
            lineage: Lineage { depth: 1, ..Lineage::default() },
            from_seq,
            accepted,
            about: None,
            spent: None,
        };
        match flows.start_run(&held.current, new, with.clone(), None).await? {
            // Its run is there; only the timer was not moved on, or that is not known.
            super::begin::Begun::Already(_) => match flows.desk().try_commit(with).await {
                Ok(_) | Err(CommitError::Timer(_)) => Ok(()),
                Err(error) => Err(refused(&error)),
            },
            _ => Ok(()),
        }
    }
}

/// Tells runs that their time has come.
pub(super) struct RunTimers(pub(super) Flows);

#[async_trait]
impl OnTimer for RunTimers {
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        debug_assert_eq!(timer.kind, RUN_TIMER, "only timers of runs come here");
        let (run, wait) = timer_of(timer).map_or((timer.id.as_str(), 0), |found| found);
        match self.0.tell(run, Input::TimerFired { id: wait }, Some(timer)).await {
            // It is kept for a hub that can read the run, and looked at now and then.
            Err(problem) if self.0.is_aside(run) => {
                tracing::debug!(run, error = problem.message, "a timer waits for a run that is set aside");
                let due = self.0.desk().now().plus(ASIDE);
                let fired = TimerWrite::Fire { id: timer.id.clone(), version: timer.version };
                let (id, kind, body) = (timer.id.clone(), timer.kind.clone(), timer.body.clone());
                let timers = vec![fired, TimerWrite::Set { id, due, kind, body }];
                self.0.desk().commit(Commit { timers, ..Commit::default() }).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}
