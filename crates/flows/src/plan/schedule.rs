//! What starts a flow, compiled.

use std::time::Duration;

use super::StrategyPlan;

/// What starts a flow besides a person or a call.
#[derive(Debug, Default)]
pub struct SchedulePlan {
    /// Again and again.
    pub every: Option<Duration>,
    /// At given times.
    pub cron: Option<crate::schedule::Cron>,
    /// Some time after it ended.
    pub after: Option<Duration>,
    /// Events.
    pub on: Option<StrategyPlan>,
}
