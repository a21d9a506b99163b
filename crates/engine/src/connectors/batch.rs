//! Calls that wait to go out as one request: who goes first, and how many fit. State and decisions only;
//! [`super::call`] waits and sends.

use std::{cmp::Reverse, collections::HashSet, time::Duration};

use nexus_core::event::Priority;

/// A call that waits to go with others.
#[derive(Debug)]
pub(super) struct Member<T> {
    /// Names its place.
    pub(super) ticket: u64,
    /// Its idempotency key.
    pub(super) key: String,
    pub(super) priority: Priority,
    /// Of its input.
    pub(super) bytes: usize,
    /// Until when it waits (monotonic).
    pub(super) deadline: Duration,
    pub(super) what: T,
}

/// Those that wait.
#[derive(Debug)]
pub(super) struct Gathering<T> {
    /// In the order of their coming.
    waiting: Vec<Member<T>>,
    next: u64,
}

impl<T> Default for Gathering<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), next: 0 }
    }
}

impl<T> Gathering<T> {
    /// Comes in; gives the name of its place.
    pub(super) fn join(&mut self, key: String, priority: Priority, bytes: usize, deadline: Duration, what: T) -> u64 {
        self.next += 1;
        self.waiting.push(Member { ticket: self.next, key, priority, bytes, deadline, what });
        self.next
    }

    /// Goes away; `None` when it was taken already.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Member<T>> {
        let place = self.waiting.iter().position(|member| member.ticket == ticket)?;
        Some(self.waiting.remove(place))
    }

    /// Whether more could not go at once.
    pub(super) fn is_full(&self, calls: usize, bytes: usize) -> bool {
        self.waiting.len() >= calls || self.waiting.iter().map(|member| member.bytes).sum::<usize>() >= bytes
    }

    /// The highest priority and the latest deadline among those who wait.
    pub(super) fn outlook(&self) -> Option<(Priority, Duration)> {
        let priority = self.waiting.iter().map(|member| member.priority).max()?;
        let deadline = self.waiting.iter().map(|member| member.deadline).max()?;
        Some((priority, deadline))
    }

    /// Those who go now: a higher priority first, then in order, as many as fit; one key once. They are ordered by their
    /// keys, so that the same calls make the same request.
    pub(super) fn take(&mut self, calls: usize, bytes: usize) -> Vec<Member<T>> {
        let mut order: Vec<(Reverse<Priority>, u64)> =
            self.waiting.iter().map(|member| (Reverse(member.priority), member.ticket)).collect();
        order.sort_unstable();
        let (mut taken, mut keys, mut left) = (Vec::new(), HashSet::new(), bytes);
        for (_, ticket) in order {
            if taken.len() >= calls {
                break;
            }
            let Some(member) = self.waiting.iter().find(|member| member.ticket == ticket) else { continue };
            let fits = member.bytes <= left || taken.is_empty();
            if !fits {
                break;
            }
            if !keys.insert(member.key.clone()) {
                continue;
            }
            left = left.saturating_sub(member.bytes);
            taken.extend(self.leave(ticket));
        }
        taken.sort_by(|one, other| one.key.cmp(&other.key));
        taken
    }

    /// Those who wait no longer than until `deadline`.
    pub(super) fn take_until(&mut self, deadline: Duration) -> Vec<Member<T>> {
        self.waiting.extract_if(.., |member| member.deadline <= deadline).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn keys<T>(members: &[Member<T>]) -> Vec<&str> {
        members.iter().map(|member| member.key.as_str()).collect()
    }

    fn gathering(members: &[(&str, Priority, usize)]) -> Gathering<()> {
        let mut gathering = Gathering::default();
        for (key, priority, bytes) in members {
            gathering.join((*key).into(), *priority, *bytes, s(10), ());
        }
        gathering
    }

    #[test]
    fn a_higher_priority_goes_first_and_the_rest_stays_in_order() {
        let mut all = gathering(&[
            ("d", Priority::Low, 1),
            ("c", Priority::Normal, 1),
            ("b", Priority::High, 1),
            ("a", Priority::Normal, 1),
        ]);
        assert_eq!(all.outlook(), Some((Priority::High, s(10))));
        assert_eq!(keys(&all.take(2, 100)), ["b", "c"]);
        assert_eq!(keys(&all.take(2, 100)), ["a", "d"]);
        assert!(all.take(2, 100).is_empty() && all.outlook().is_none());
    }

    #[test]
    fn a_batch_is_bounded_in_calls_and_bytes_and_one_that_is_too_large_goes_alone() {
        let normal = Priority::Normal;
        let mut all = gathering(&[("a", normal, 40), ("b", normal, 50), ("c", normal, 20), ("d", normal, 500)]);
        assert!(all.is_full(4, 1_000) && all.is_full(9, 610) && !all.is_full(5, 1_000));
        assert_eq!(keys(&all.take(9, 100)), ["a", "b"]);
        assert_eq!(keys(&all.take(9, 100)), ["c"]);
        assert_eq!(keys(&all.take(9, 100)), ["d"]);
    }

    #[test]
    fn one_key_is_in_a_batch_once_and_the_same_calls_are_in_the_same_order() {
        let normal = Priority::Normal;
        let mut one = gathering(&[("b", normal, 1), ("a", normal, 1), ("b", normal, 1)]);
        let mut other = gathering(&[("a", normal, 1), ("b", normal, 1)]);
        assert_eq!(keys(&one.take(9, 100)), keys(&other.take(9, 100)));
        assert_eq!(keys(&one.take(9, 100)), ["b"]);
    }

    #[test]
    fn who_goes_away_is_not_taken_and_who_was_taken_can_not_go_away() {
        let mut all = Gathering::default();
        let first = all.join("a".into(), Priority::Low, 1, s(1), ());
        let second = all.join("b".into(), Priority::Low, 1, s(5), ());
        assert!(all.leave(first).is_some() && all.leave(first).is_none());
        assert_eq!(all.take(9, 100).len(), 1);
        assert!(all.leave(second).is_none());
        all.join("c".into(), Priority::Low, 1, s(1), ());
        all.join("d".into(), Priority::Low, 1, s(5), ());
        assert_eq!(keys(&all.take_until(s(2))), ["c"]);
    }
}
