//! Circles of tasks that nothing ends: they would go round until the run has begun too many tasks.

use crate::plan::{Node, Then, Work};

/// The tasks of a list whose `then` closes a circle that can't be left. Only what is sure is named: a task that may do
/// something else the next time, or take its time, makes the circle a loop like any other.
pub(super) fn endless(nodes: &[Node]) -> Vec<usize> {
    let mut looked_at = vec![false; nodes.len()];
    let mut found = Vec::new();
    for start in 0..nodes.len() {
        let mut way: Vec<usize> = Vec::new();
        let mut at = Some(start);
        while let Some(here) = at.filter(|here| *here < nodes.len()) {
            if let Some(begin) = way.iter().position(|been| *been == here) {
                found.extend(
                    way[begin..]
                        .iter()
                        .copied()
                        .filter(|n| matches!(nodes[*n].then, Then::Task(next) if next <= *n))
                        .max(),
                );
                break;
            }
            if std::mem::replace(&mut looked_at[here], true) {
                break;
            }
            way.push(here);
            at = next(nodes, here);
        }
    }
    found
}

/// The one task that comes after this, where there is no other way.
fn next(nodes: &[Node], at: usize) -> Option<usize> {
    let node = &nodes[at];
    match node.then {
        _ if may_differ(node) => None,
        Then::Continue => Some(at + 1),
        Then::Task(next) => Some(next),
        Then::Exit | Then::End => None,
    }
}

/// Whether a task may do something else the next time, fail on purpose, end the flow, or take time.
fn may_differ(node: &Node) -> bool {
    let checks = [&node.input_schema, &node.output_schema, &node.export_schema];
    if node.if_.is_some() || checks.iter().any(|schema| schema.is_some()) {
        return true;
    }
    match &node.work {
        Work::Set(_) | Work::Emit(_) => false,
        Work::Do(nodes) | Work::Fork { branches: nodes, .. } => {
            nodes.iter().any(|inner| inner.then == Then::End || may_differ(inner))
        }
        Work::Http(_)
        | Work::OpenApi(_)
        | Work::Function { .. }
        | Work::Inline { .. }
        | Work::For(_)
        | Work::Listen(_)
        | Work::Raise(_)
        | Work::Run(_)
        | Work::Switch(_)
        | Work::Try(_)
        | Work::Wait(_) => true,
    }
}
