//! What a run keeps so that a task can be done again after others came: what it was given, and what `$context` was then.
//!
//! Tasks are counted as they begin. A list that is being done remembers what each of its tasks was given the last time; a
//! change of the context leaves the one before with the number of the last task that could see it. Both are bounded by
//! [`KEPT_BYTES`], the oldest goes first, and nothing of it outlives the list it belongs to.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    size_of,
    state::{Branch, Doing, Frame, Scope, Stage, TryPhase, is_zero},
};

/// Bytes that one run keeps for tasks that may be done again; the oldest goes first.
pub const KEPT_BYTES: usize = 64 << 10;

/// A task that was done, in a list that is still being done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// Which task of the list.
    pub(crate) index: usize,
    /// How often a `then` had led backwards.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) lap: u64,
    /// Its number among the tasks that the run has begun.
    pub(crate) n: u64,
    /// What it was given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) raw: Value,
    pub(crate) bytes: usize,
    /// That is no longer kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gone: bool,
}

impl Past {
    fn forget(&mut self) {
        (self.raw, self.bytes, self.gone) = (Value::Null, 0, true);
    }
}

impl Scope {
    /// Remembers what the task that is over was given; of the same task, the last time counts.
    pub(super) fn remember(&mut self, frame: Frame) {
        // Skipped: it was not done.
        if frame.stage == Stage::Begin {
            return;
        }
        if self.lap > 0 {
            self.past.retain(|past| past.index != self.index);
        }
        let bytes = size_of(&frame.raw);
        let mut past = Past { index: self.index, lap: self.lap, n: frame.n, raw: frame.raw, bytes, gone: false };
        if bytes > KEPT_BYTES / 2 {
            past.forget();
        }
        self.past.push(past);
        let mut total: usize = self.past.iter().map(|past| past.bytes).sum();
        for past in &mut self.past {
            if total <= KEPT_BYTES {
                break;
            }
            total -= past.bytes;
            past.forget();
        }
    }

    /// Every list that is being done in this one, itself first.
    fn each_list(&mut self, visit: &mut dyn FnMut(&mut Scope)) {
        visit(self);
        if let Some(frame) = &mut self.task {
            frame.each_list(visit);
        }
    }

    /// The numbers of the tasks that are being done in this list.
    fn each_open_task(&self, visit: &mut dyn FnMut(u64)) {
        if let Some(frame) = &self.task {
            frame.each_open_task(visit);
        }
        for past in self.past.iter().filter(|past| !past.gone) {
            visit(past.n);
        }
    }
}

impl Frame {
    fn each_list(&mut self, visit: &mut dyn FnMut(&mut Scope)) {
        match &mut self.stage {
            Stage::Begin => {}
            Stage::Before { scope, .. } | Stage::After { scope, .. } => scope.each_list(visit),
            Stage::Work(doing) => match &mut **doing {
                Doing::List(scope) | Doing::Loop { scope, .. } => scope.each_list(visit),
                Doing::Inline(frame) => frame.each_list(visit),
                Doing::Fork(branches) => branches.iter_mut().for_each(|branch| {
                    if let Branch::Running(frame) = branch {
                        frame.each_list(visit);
                    }
                }),
                Doing::Listen(listening) => listening.each.iter_mut().for_each(|each| each.scope.each_list(visit)),
                Doing::Try(trying) => match &mut trying.phase {
                    TryPhase::Attempt { scope, .. } | TryPhase::Handle { scope, .. } => scope.each_list(visit),
                    TryPhase::Pause { .. } => {}
                },
                Doing::Fresh | Doing::Call { .. } | Doing::Child(_) | Doing::Wait(_) => {}
            },
        }
    }

    fn each_open_task(&self, visit: &mut dyn FnMut(u64)) {
        visit(self.n);
        match &self.stage {
            Stage::Begin => {}
            Stage::Before { scope, .. } | Stage::After { scope, .. } => scope.each_open_task(visit),
            Stage::Work(doing) => match &**doing {
                Doing::List(scope) | Doing::Loop { scope, .. } => scope.each_open_task(visit),
                Doing::Inline(frame) => frame.each_open_task(visit),
                Doing::Fork(branches) => branches.iter().for_each(|branch| {
                    if let Branch::Running(frame) = branch {
                        frame.each_open_task(visit);
                    }
                }),
                Doing::Listen(listening) => listening.each.iter().for_each(|each| each.scope.each_open_task(visit)),
                Doing::Try(trying) => match &trying.phase {
                    TryPhase::Attempt { scope, .. } | TryPhase::Handle { scope, .. } => scope.each_open_task(visit),
                    TryPhase::Pause { .. } => {}
                },
                Doing::Fresh | Doing::Call { .. } | Doing::Child(_) | Doing::Wait(_) => {}
            },
        }
    }
}

/// Contexts that were, as far as a task may be done again that saw one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contexts {
    /// Tasks up to this number saw one that is no longer kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    floor: u64,
    /// The oldest first: the number of the last task that had begun when another took its place, and its bytes.
    kept: Vec<(u64, usize, Value)>,
}

impl Contexts {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Another takes the place of `old`, after `n` tasks have begun.
    pub(super) fn replaced(&mut self, n: u64, old: Value) {
        // Nobody began under what came and went in between.
        if self.kept.last().is_some_and(|(last, ..)| *last == n) {
            return;
        }
        let bytes = size_of(&old);
        self.kept.push((n, bytes, old));
        let mut total: usize = self.kept.iter().map(|(_, bytes, _)| bytes).sum();
        while total > KEPT_BYTES && !self.kept.is_empty() {
            let (n, bytes, _) = self.kept.remove(0);
            total -= bytes;
            self.floor = n;
        }
    }

    /// What the task of this number saw: `None` where it is no longer known, `Some(None)` where it is still the present one.
    pub(super) fn of(&self, n: u64) -> Option<Option<&Value>> {
        if n <= self.floor && self.floor > 0 {
            return None;
        }
        Some(self.kept.iter().find(|(last, ..)| *last >= n).map(|(.., context)| context))
    }

    /// The task of this number begins again, with what it saw; what came later never was.
    pub(super) fn back_to(&mut self, n: u64) -> Option<Value> {
        let at = self.kept.iter().position(|(last, ..)| *last >= n)?;
        self.kept.drain(at..).next().map(|(.., context)| context)
    }

    /// Leaves those that a task in `seen` may ask for.
    fn tidy(&mut self, mut seen: Vec<u64>) {
        seen.sort_unstable();
        let mut seen = seen.into_iter().peekable();
        self.kept.retain(|(last, ..)| {
            let mut wanted = false;
            while seen.next_if(|n| n <= last).is_some() {
                wanted = true;
            }
            wanted
        });
    }
}

/// Forgets contexts that nothing can ask for any more.
pub(super) fn tidy(root: &Scope, contexts: &mut Contexts) {
    if contexts.kept.is_empty() {
        return;
    }
    let mut seen = Vec::new();
    root.each_open_task(&mut |n| seen.push(n));
    contexts.tidy(seen);
}

/// Keeps to the bound, over all of a run: the oldest goes first. False: it was kept to.
pub(super) fn bound(root: &mut Scope, contexts: &mut Contexts, most: usize) -> bool {
    let mut all: Vec<(u64, usize)> = contexts.kept.iter().map(|(n, bytes, _)| (*n, *bytes)).collect();
    root.each_list(&mut |scope| all.extend(scope.past.iter().map(|past| (past.n, past.bytes))));
    all.sort_unstable();
    let mut total = 0;
    let Some((floor, _)) = all.iter().rev().find(|(_, bytes)| {
        total += bytes;
        total > most
    }) else {
        return false;
    };
    let lost = contexts.kept.iter().rposition(|(n, ..)| n <= floor);
    if let Some(lost) = lost {
        contexts.floor = contexts.kept.drain(..=lost).next_back().map_or(contexts.floor, |(n, ..)| n);
    }
    root.each_list(&mut |scope| scope.past.iter_mut().filter(|past| past.n <= *floor).for_each(Past::forget));
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_finds_the_context_that_it_saw() {
        let mut contexts = Contexts::default();
        contexts.replaced(2, json!("a"));
        contexts.replaced(2, json!("never seen"));
        contexts.replaced(5, json!("b"));
        for (n, seen) in [(1, Some(json!("a"))), (2, Some(json!("a"))), (3, Some(json!("b"))), (6, None)] {
            assert_eq!(contexts.of(n), Some(seen.as_ref()), "{n}");
        }
        contexts.tidy(vec![4, 9]);
        assert_eq!(contexts.kept.len(), 1, "nobody asks for the first: {contexts:?}");
        assert_eq!(contexts.of(4), Some(Some(&json!("b"))));
        assert_eq!(contexts.back_to(4), Some(json!("b")));
        assert_eq!(contexts.of(4), Some(None), "it is the present one again");
    }

    #[test]
    fn what_is_kept_has_a_bound_and_the_oldest_goes_first() {
        let mut contexts = Contexts::default();
        let mut root = Scope::new(Value::Null);
        for n in 1..=20_u64 {
            let mut frame = Frame::new(json!("x".repeat(4_000)), nexus_core::time::Timestamp::from_secs(1), n);
            frame.stage = Stage::Work(Box::new(Doing::Fresh));
            root.index = n as usize;
            root.remember(frame);
            contexts.replaced(n, json!("y".repeat(4_000)));
        }
        let bytes = |root: &Scope| root.past.iter().map(|past| past.bytes).sum::<usize>();
        assert!(bytes(&root) <= KEPT_BYTES && bytes(&root) > KEPT_BYTES / 2, "{}", bytes(&root));
        bound(&mut root, &mut contexts, KEPT_BYTES);
        let contexts_bytes: usize = contexts.kept.iter().map(|(_, bytes, _)| bytes).sum();
        assert!(bytes(&root) + contexts_bytes <= KEPT_BYTES);
        assert!(root.past.first().is_some_and(|past| past.gone) && root.past.last().is_some_and(|past| !past.gone));
        assert_eq!((contexts.of(3), contexts.of(21)), (None, Some(None)));
        bound(&mut root, &mut contexts, 0);
        assert!(root.past.iter().all(|past| past.gone) && contexts.of(20).is_none());
    }
}
