//! Past runs once more: another version of a flow is played in memory with what they were given, what they were answered and
//! what they were told, and compared with what they did. Nothing is sent, nothing is stored.

use std::{collections::BTreeSet, time::Duration};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    time::Timestamp,
    topic::Topic,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Flows,
    backtest::may_read,
    event::Seen,
    queries::RunFilter,
    record::{Run, name_of},
};
use crate::{
    plan::Definition,
    rehearse::{Others, Rehearsal, Script, diff, diff::Difference, recorded, rehearse},
    run::state::Status,
};

/// Most runs that are played once more in one go.
const RUNS: usize = 100;
/// Runs that are looked at to find them.
const LOOKED_AT: usize = 1_000;
/// Events that one of them is told.
const TOLD: usize = 1_000;

/// Which flow, and how many of its runs.
#[derive(Clone, Debug)]
pub enum Rehearse {
    /// The present version of this flow.
    Flow(String),
    /// This document.
    Document(String),
}

/// One run, as it went and as it would go.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Its id.
    pub run: String,
    /// The version it ran.
    pub version: String,
    /// When it began.
    pub began: String,
    /// How it ended.
    pub status: &'static str,
    /// How it would end; `stopped`: it would call what it was not answered then.
    pub would: String,
    /// What would be different.
    pub differences: Vec<Difference>,
    /// Not everything of the past is known, so that the differences may be others: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsure: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Past {
    /// `namespace/name@version`: what was played.
    pub flow: String,
    /// How many of the runs would go as they went.
    pub same: usize,
    /// How many would not.
    pub different: usize,
    /// The runs, the newest first.
    pub runs: Vec<Compared>,
}

/// The types of the events that its tasks listen for, as the log has them; `None`: any.
fn heard(definitions: [&Definition; 2]) -> Option<BTreeSet<String>> {
    let kinds = definitions.into_iter().flat_map(Definition::interests).map(|(.., filter)| filter.kind());
    let canonical = |topic: Topic| topic.alias_of().unwrap_or(topic).as_str().to_owned();
    kinds.map(|kind| kind.and_then(|kind| Topic::parse(kind).ok()).map(canonical)).collect()
}

/// Why what was played of the run's own version is not what it did.
fn unsure(run: &Run, before: &Rehearsal, cut: bool) -> Option<String> {
    if cut {
        return Some(format!("more than {TOLD} events came that it could listen for; the first were told"));
    }
    if let Some(stopped) = &before.stopped {
        return Some(format!("what it was answered is not all kept: {stopped}"));
    }
    (before.outcome != run.state.outcome)
        .then(|| format!("its own version comes to another end with what is kept of it: {}", before.status))
}

impl Flows {
    /// Plays the newest ended runs of a flow once more with another version, and says what would be different.
    pub async fn rehearse(&self, what: &Rehearse, runs: usize, by: &Principal) -> Result<Past, Problem> {
        if runs == 0 || runs > RUNS {
            return Err(Problem::field("runs", format!("1 to {RUNS} can be played once more, not {runs}")));
        }
        let (held, checked);
        let definition = match what {
            Rehearse::Flow(flow) => {
                held = self.held(flow)?;
                &held.current.definition
            }
            Rehearse::Document(text) => {
                checked = self.check(text)?;
                &checked
            }
        };
        let name = name_of(&definition.id);
        let past = self.ended_runs(&name, runs).await?;
        if past.is_empty() {
            return Err(Problem::new(Code::NotFound, format!("no run of {name} has ended yet")));
        }
        let mut done = Past { flow: definition.id.to_string(), same: 0, different: 0, runs: Vec::new() };
        for run in past {
            let compared = self.compare(definition, &run, by).await?;
            match compared.differences.is_empty() {
                true => done.same += 1,
                false => done.different += 1,
            }
            done.runs.push(compared);
            tokio::task::yield_now().await;
        }
        Ok(done)
    }

    async fn ended_runs(&self, flow: &str, runs: usize) -> Result<Vec<Run>, Problem> {
        let filter = RunFilter { flow: Some(flow.to_owned()), ..RunFilter::default() };
        let (mut found, mut looked_at, mut after) = (Vec::new(), 0, None);
        while found.len() < runs && looked_at < LOOKED_AT {
            let page = self.select(&filter, after, runs).await?;
            looked_at += page.items.len();
            let ended =
                |run: &Run| run.erased.is_none() && matches!(run.state.status, Status::Completed | Status::Faulted);
            found.extend(page.items.into_iter().filter(ended));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.truncate(runs);
        Ok(found)
    }

    async fn compare(&self, definition: &Definition, run: &Run, by: &Principal) -> Result<Compared, Problem> {
        let own = self.inner.shelf.version(self.desk(), &run.state.flow).await?;
        let steps = self.steps(&run.state.id).await?;
        let (events, cut) = self.told(run, [&own.definition, definition], by).await?;
        let script = Script {
            input: run.state.input.clone(),
            stubs: recorded(&own.definition, &steps),
            events,
            begins: run.created_at,
            run: run.state.id.clone(),
            ..Script::default()
        };
        let before = rehearse(&own.definition, &Others::new(), script.clone());
        let after = rehearse(definition, &Others::new(), script);
        Ok(Compared {
            run: run.state.id.clone(),
            version: run.state.flow.version.clone(),
            began: run.created_at.to_string(),
            status: run.status(),
            would: after.status.clone(),
            differences: diff(&before, &after).differences,
            unsure: unsure(run, &before, cut),
        })
    }

    /// What came in the time of a run that one of the versions could listen for, and whether that is not all.
    async fn told(
        &self,
        run: &Run,
        versions: [&Definition; 2],
        by: &Principal,
    ) -> Result<(Vec<(Duration, Value)>, bool), Problem> {
        let topics = heard(versions);
        if topics.as_ref().is_some_and(BTreeSet::is_empty) {
            return Ok((Vec::new(), false));
        }
        may_read(topics.as_ref(), by)?;
        let topics: Option<Vec<String>> = topics.map(|topics| topics.into_iter().collect());
        let end = run.ended_at.unwrap_or_else(|| self.desk().now());
        let later = Timestamp::from_micros(end.micros().saturating_add(1));
        let until = self.desk().store.seq_at(later).await.map_err(nexus_engine::desk::unreadable)?.saturating_sub(1);
        let (mut found, mut after) = (Vec::new(), run.from_seq);
        while after < until {
            let (events, next) = self.past(topics.as_deref(), after, until).await?;
            for event in &events {
                // What it said itself it says again.
                if *event.source == *super::commit::source(run) && event.causation == run.lineage.causation {
                    continue;
                }
                if found.len() == TOLD {
                    return Ok((found, true));
                }
                found.push((event.time.since(run.created_at), Seen::new(event).plain().clone()));
            }
            after = next.max(events.last().map_or(after, |event| event.seq));
        }
        Ok((found, false))
    }
}
