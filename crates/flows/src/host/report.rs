//! How the runs of a flow went: outcomes, and the times of runs and of each task.

use std::collections::BTreeMap;

use nexus_core::{problem::Problem, time::Timestamp};
use serde::Serialize;

use super::{Flows, queries::RunFilter, record::Run};
use crate::{
    effect::{Step, StepPhase},
    run::state::Status,
};

/// How long something took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// How often it was done.
    pub count: usize,
    /// Half of them took at most this.
    pub p50_ms: Option<u64>,
    /// 95 of 100 took at most this.
    pub p95_ms: Option<u64>,
}

/// How the runs of a flow went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `namespace/name`.
    pub flow: String,
    /// How many runs were looked at.
    pub runs: usize,
    /// How many there are of each status.
    pub by_status: BTreeMap<&'static str, usize>,
    /// Completed ones among those that ended, cancelled ones apart; absent while none ended.
    pub success_rate: Option<f64>,
    /// The times of runs that ended.
    pub run: Times,
    /// The times of each task, from its beginning to its end, by its place.
    pub tasks: BTreeMap<String, Times>,
}

fn times(mut lengths: Vec<u64>) -> Times {
    lengths.sort_unstable();
    let at = |percent: usize| lengths.get((lengths.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Times { count: lengths.len(), p50_ms: at(50), p95_ms: at(95) }
}

fn millis(from: Timestamp, until: Timestamp) -> u64 {
    u64::try_from(until.since(from).as_millis()).unwrap_or(u64::MAX)
}

/// How long the tasks of one run took: a task begins and ends as often as loops and retries have it.
fn lengths(steps: &[Step], found: &mut BTreeMap<String, Vec<u64>>) {
    let mut begun: BTreeMap<(&str, &str), Timestamp> = BTreeMap::new();
    for step in steps {
        let key = (step.task.as_str(), step.iteration.as_str());
        match step.phase {
            StepPhase::Started => drop(begun.insert(key, step.at)),
            StepPhase::Completed | StepPhase::Faulted => {
                if let Some(from) = begun.remove(&key) {
                    found.entry(step.task.clone()).or_default().push(millis(from, step.at));
                }
            }
            StepPhase::Skipped | StepPhase::Retried | StepPhase::Cancelled => {}
        }
    }
}

impl Flows {
    /// How the newest runs of a flow went.
    pub async fn report(&self, flow: &str, limit: usize) -> Result<Report, Problem> {
        self.held(flow)?;
        let filter = RunFilter { flow: Some(flow.to_owned()), ..RunFilter::default() };
        let mut runs: Vec<Run> = Vec::new();
        let mut after = None;
        while runs.len() < limit {
            let page = self.select(&filter, after, limit - runs.len()).await?;
            runs.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let mut by_status: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut ended = Vec::new();
        let mut tasks = BTreeMap::new();
        for run in &runs {
            *by_status.entry(run.status()).or_default() += 1;
            if let Some(at) = run.ended_at {
                ended.push(millis(run.created_at, at));
            }
            lengths(&self.steps(&run.state.id).await?, &mut tasks);
        }
        let of = |status: Status| by_status.get(status.as_str()).copied().unwrap_or_default();
        let (good, bad) = (of(Status::Completed), of(Status::Faulted));
        #[expect(clippy::cast_precision_loss, reason = "at most a thousand runs are looked at")]
        let success_rate = (good + bad > 0).then(|| good as f64 / (good + bad) as f64);
        Ok(Report {
            flow: flow.to_owned(),
            runs: runs.len(),
            by_status,
            success_rate,
            run: times(ended),
            tasks: tasks.into_iter().map(|(task, lengths)| (task, times(lengths))).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        assert_eq!(times(Vec::new()), Times::default());
        assert_eq!(times((1..=100).collect()), Times { count: 100, p50_ms: Some(50), p95_ms: Some(95) });
        assert_eq!(times(vec![7]), Times { count: 1, p50_ms: Some(7), p95_ms: Some(7) });
    }

    #[test]
    fn a_task_is_measured_from_its_beginning_to_its_end_each_time() {
        let step = |task: &str, iteration: &str, phase, at| Step {
            task: task.into(),
            name: task.into(),
            iteration: iteration.into(),
            phase,
            at: Timestamp::from_millis(at),
            data: serde_json::Value::Null,
        };
        let mut found = BTreeMap::new();
        lengths(
            &[
                step("a", "0", StepPhase::Started, 0),
                step("a", "1", StepPhase::Started, 5),
                step("a", "0", StepPhase::Completed, 10),
                step("a", "1", StepPhase::Faulted, 25),
            ],
            &mut found,
        );
        assert_eq!(found["a"], [10, 20]);
    }
}
