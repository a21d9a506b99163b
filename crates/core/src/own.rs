//! Which events are the hub's own word: facts about itself that nobody else may state.
//!
//! Whoever reads `token.revoked` or `audit.*` believes the hub. So these names are refused at every door by which others
//! publish; the hub writes them with the change that they tell of, and an import takes them over with their place in a
//! chain. Names that anybody may use (`system.alert`, `order.created`) are not here.

use crate::{
    problem::{Code, Problem},
    topic::Topic,
};

/// Everything below these.
const BELOW: [&str; 4] = ["audit.", "dev.nexus.", "io.serverlessworkflow.task.", "io.serverlessworkflow.workflow."];

/// These, in order.
const NAMES: [&str; 36] = [
    "approval.decided",
    "approval.escalated",
    "approval.expired",
    "approval.requested",
    "approval.unannounced",
    "approval.withdrawn",
    "connection.connected",
    "connection.created",
    "connection.reconnect_needed",
    "connection.removed",
    "connection.updated",
    "delivery.breaker_closed",
    "delivery.breaker_opened",
    "delivery.dead",
    "error.escalation",
    "error.resolved",
    "flow.budget_spent",
    "flow.circle_stopped",
    "flow.detector_full",
    "flow.run_skipped",
    "flow.run_unreadable",
    "flow.schedule_missed",
    "log.redacted",
    "notification.requested",
    "service.deregistered",
    "service.registered",
    "service.status_changed",
    "state.changed",
    "state.conflict",
    "state.conflict_resolved",
    "stream.gap",
    "subscription.gap",
    "system.health",
    "token.created",
    "token.revoked",
    "token.rotated",
];

/// Every name and pattern, for documents.
pub fn names() -> impl Iterator<Item = String> {
    BELOW.iter().map(|prefix| format!("{prefix}>")).chain(NAMES.iter().map(|name| (*name).to_owned()))
}

/// Whether events of this topic are only ever said by the hub.
pub fn is_own(topic: &str) -> bool {
    NAMES.binary_search(&topic).is_ok() || BELOW.iter().any(|prefix| topic.starts_with(prefix))
}

/// 403 for an event of somebody else under a name of the hub's own.
pub fn refuse(topic: &Topic) -> Result<(), Problem> {
    if is_own(topic.as_str()) { Err(Problem::new(Code::Forbidden, reason(topic.as_str()))) } else { Ok(()) }
}

/// Why it is refused.
pub fn reason(topic: &str) -> String {
    let instead = if topic.starts_with("state.") {
        "write to PUT /state/{key}, and it says so"
    } else {
        "publish under a name of your own"
    };
    format!("{topic} is said by the hub alone, as who reads it takes it for what the hub did; {instead}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_own_names_are_in_order_and_canonical() {
        assert!(NAMES.is_sorted());
        for name in NAMES {
            assert_eq!(Topic::parse(name).map(|t| t.to_string()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn what_anybody_may_say_is_not_the_hubs() {
        for own in ["audit.token.revoked", "token.revoked", "system.health", "dev.nexus.pattern.matched.v1"] {
            assert!(is_own(own), "{own}");
        }
        for free in ["system.alert", "system.started", "auditing.done", "token.minted", "error.seen", "lead.created"] {
            assert!(!is_own(free), "{free}");
        }
        let refused = refuse(&Topic::parse("TOKEN_REVOKED").expect("a topic")).expect_err("the hub's");
        assert_eq!(refused.code, Code::Forbidden);
        assert!(refused.message.starts_with("token.revoked is said by the hub alone"), "{}", refused.message);
    }
}
