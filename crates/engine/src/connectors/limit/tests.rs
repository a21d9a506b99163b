//! Quotas, resets and the queue.

use super::*;
use crate::connectors::manifest::Span;

const fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn quota(requests: u32, secs: u64) -> Vec<Quota> {
    vec![Quota { requests, per: Span(s(secs)) }]
}

fn wanted(account: &str, priority: Priority) -> Wanted {
    Wanted { account: account.into(), operation: "post".into(), priority, quotas: Vec::new() }
}

fn go(gate: &mut Gate, account: &str, now: Duration) -> Turn {
    let ticket = gate.enter(wanted(account, Priority::Normal)).unwrap();
    let turn = gate.ask(ticket, now);
    gate.leave(ticket);
    turn
}

#[test]
fn no_span_ever_sees_more_than_its_quota() {
    let mut gate = Gate::new(quota(5, 10), quota(3, 10));
    assert!((0..3).all(|n| go(&mut gate, "a", s(n)) == Turn::Go));
    assert_eq!(go(&mut gate, "a", s(3)), Turn::At(s(10)), "the account is full");
    assert!((0..2).all(|n| go(&mut gate, "b", s(4 + n)) == Turn::Go));
    assert_eq!(go(&mut gate, "c", s(6)), Turn::At(s(10)), "the app is full");
    assert_eq!(go(&mut gate, "a", s(10)), Turn::Go);
    assert_eq!(go(&mut gate, "a", s(10)), Turn::At(s(11)));
}

#[test]
fn a_higher_priority_goes_first_and_nobody_waits_for_one_who_can_not_go() {
    let mut gate = Gate::new(quota(1, 10), Vec::new());
    assert_eq!(go(&mut gate, "a", s(0)), Turn::Go);
    let low = gate.enter(wanted("a", Priority::Low)).unwrap();
    let normal = gate.enter(wanted("b", Priority::Normal)).unwrap();
    let high = gate.enter(wanted("c", Priority::High)).unwrap();
    assert_eq!(gate.ask(low, s(1)), Turn::At(s(10)));
    assert_eq!((gate.ask(low, s(10)), gate.ask(normal, s(10))), (Turn::Behind, Turn::Behind));
    gate.block(LimitOf::Account, "c", "post", s(25));
    assert_eq!(gate.ask(low, s(10)), Turn::Behind);
    assert_eq!(gate.ask(normal, s(10)), Turn::Go, "the one before it may not go");
    assert_eq!(gate.ask(high, s(20)), Turn::At(s(25)));
    assert_eq!(gate.ask(low, s(20)), Turn::Go);
    assert_eq!(gate.ask(high, s(30)), Turn::Go);
}

#[test]
fn a_reset_blocks_what_it_counts_and_nothing_else() {
    let mut gate = Gate::new(Vec::new(), Vec::new());
    gate.block(LimitOf::Operation, "a", "post", s(60));
    assert_eq!(go(&mut gate, "a", s(1)), Turn::At(s(60)));
    assert_eq!(go(&mut gate, "b", s(1)), Turn::Go);
    gate.block(LimitOf::App, "", "", s(30));
    assert_eq!(go(&mut gate, "b", s(1)), Turn::At(s(30)));
    gate.tidy(s(61));
    assert!(gate.operations.is_empty());
    assert_eq!(go(&mut gate, "a", s(61)), Turn::Go);
}

#[test]
fn the_queue_has_an_end() {
    let mut gate = Gate::new(Vec::new(), Vec::new());
    assert!((0..WAITERS).all(|_| gate.enter(wanted("a", Priority::Low)).is_some()));
    assert!(gate.enter(wanted("a", Priority::Critical)).is_none());
}

#[test]
fn of_a_short_quota_nothing_is_written_and_of_a_long_one_now_and_then() {
    let mut short = Gate::new(quota(100, 10), Vec::new());
    assert_eq!(go(&mut short, "a", s(0)), Turn::Go);
    assert!(!short.owes(&wanted("a", Priority::Normal)));
    let mut gate = Gate::new(Vec::new(), quota(100, 3_600));
    let who = wanted("a", Priority::Normal);
    let mut writes = 0;
    for n in 0..100 {
        assert_eq!(go(&mut gate, "a", s(n)), Turn::Go);
        if gate.owes(&who) {
            for used in gate.used(&who, s(n)) {
                gate.written(&used);
            }
            writes += 1;
        }
        assert!(!gate.owes(&who), "what began is covered");
    }
    assert!((15..=20).contains(&writes), "about one write for each twentieth of the quota: {writes}");
}

#[test]
fn what_was_written_counts_again_and_never_less_than_what_began() {
    let who = wanted("a", Priority::Normal);
    let mut gate = Gate::new(Vec::new(), quota(100, 3_600));
    let mut kept: Vec<Used> = Vec::new();
    for n in 0..37 {
        assert_eq!(go(&mut gate, "a", s(1_000 + n)), Turn::Go);
        if gate.owes(&who) {
            kept = gate.used(&who, s(1_000 + n));
            kept.iter().for_each(|used| gate.written(used));
        }
    }
    // Killed here, back 100 s later.
    let mut again = Gate::new(Vec::new(), quota(100, 3_600));
    kept.iter().for_each(|used| again.restore(used, s(1_137)));
    let left = (0..200).take_while(|_| go(&mut again, "a", s(1_137)) == Turn::Go).count();
    assert!((58..=63).contains(&left), "at most what is left, and little less: {left}");
    assert!(matches!(go(&mut again, "a", s(1_137)), Turn::At(at) if at >= s(4_600)));
}

#[test]
fn requests_that_began_while_it_was_written_are_owed_or_allowed() {
    let who = wanted("a", Priority::Normal);
    let mut gate = Gate::new(Vec::new(), quota(40, 3_600));
    assert_eq!(go(&mut gate, "a", s(0)), Turn::Go);
    let first = gate.used(&who, s(0));
    assert_eq!((first.len(), first[0].ahead), (1, 2), "a twentieth");
    // Three more before the disk has it: two of them are covered by what was allowed ahead.
    assert!((0..3).all(|_| go(&mut gate, "a", s(1)) == Turn::Go));
    gate.written(&first[0]);
    assert!(gate.owes(&who));
    let next = gate.used(&who, s(1));
    gate.written(&next[0]);
    assert!(!gate.owes(&who));
    // A clean end leaves nothing to guess.
    let last = gate.all_used(s(2));
    assert_eq!((last[0].ahead, last[0].begun.iter().map(|(_, n)| n).sum::<u32>()), (0, 4));
}
