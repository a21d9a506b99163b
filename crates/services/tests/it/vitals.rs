//! How an instance is: single rules, and what holds for every history.

use std::time::Duration;

use nexus_services::registry::{
    Status,
    choice::Rank,
    vitals::{Change, Seen, Thresholds, Vitals},
};
use proptest::prelude::*;

const TTL: Duration = Duration::from_secs(30);
const THRESHOLDS: Thresholds = Thresholds { unhealthy_after: 3, healthy_after: 2, slow: Duration::from_millis(500) };

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn passed() -> Seen {
    Seen::Well { took: Duration::from_millis(3) }
}

fn failed() -> Seen {
    Seen::Failed { reason: "answered 500".into() }
}

fn fresh() -> Vitals {
    Vitals::registered(THRESHOLDS, TTL, false, s(0))
}

/// One that passed its first check.
fn proven() -> Vitals {
    let mut vitals = fresh();
    assert_eq!(vitals.checked(&passed(), s(1)), None);
    vitals
}

fn to(change: Option<Change>) -> Option<Status> {
    change.map(|c| c.to)
}

#[test]
fn one_that_just_registered_is_believed_until_its_first_check() {
    assert_eq!((fresh().status(), fresh().rank()), (Status::Healthy, Rank::First));
    let mut vitals = fresh();
    let change = vitals.checked(&failed(), s(1)).expect("a change");
    assert_eq!((change.from, change.to, change.reason.as_str()), (Status::Healthy, Status::Unhealthy, "answered 500"));
}

#[test]
fn a_proven_one_is_doubted_at_the_first_failure_and_unhealthy_at_the_third() {
    let mut vitals = proven();
    assert_eq!(vitals.checked(&failed(), s(2)), None);
    assert_eq!((vitals.status(), vitals.rank()), (Status::Healthy, Rank::Doubtful));
    assert_eq!(vitals.checked(&passed(), s(3)), None);
    assert_eq!(vitals.rank(), Rank::First);
    assert_eq!(vitals.checked(&failed(), s(4)), None);
    assert_eq!(vitals.checked(&failed(), s(5)), None);
    assert_eq!(to(vitals.checked(&failed(), s(6))), Some(Status::Unhealthy));
    assert_eq!(vitals.rank(), Rank::Never);
    assert_eq!(vitals.checked(&passed(), s(7)), None);
    assert_eq!(to(vitals.checked(&passed(), s(8))), Some(Status::Healthy));
}

#[test]
fn one_that_was_never_seen_well_is_looked_at_again_soon_and_a_proven_one_each_interval() {
    let (interval, ms) = (s(10), Duration::from_millis);
    let mut vitals = fresh();
    let mut waits = Vec::new();
    for n in 0..7 {
        vitals.checked(&failed(), s(n));
        waits.push(vitals.next_look(interval));
    }
    assert_eq!(waits, [ms(500), s(1), s(2), s(4), s(8), s(10), s(10)]);
    vitals.checked(&passed(), s(8));
    assert_eq!((vitals.status(), vitals.next_look(interval)), (Status::Unhealthy, ms(500)), "one more will do");
    vitals.checked(&failed(), s(9));
    assert_eq!(vitals.next_look(interval), s(10), "one that wavers is not looked at more and more often");
    vitals.checked(&passed(), s(10));
    assert_eq!(to(vitals.checked(&passed(), s(11))), Some(Status::Healthy));
    assert_eq!(vitals.next_look(interval), interval);
    let mut vitals = proven();
    vitals.checked(&failed(), s(2));
    assert_eq!(vitals.next_look(interval), interval);
    assert_eq!(fresh().next_look(ms(100)), ms(100), "never later than the interval");
    let mut left = Vitals::recovered(THRESHOLDS, TTL, false, (Status::Healthy, None), s(0));
    left.checked(&failed(), s(1));
    assert_eq!(left.next_look(interval), ms(500), "it may be starting, as the hub is");
}

#[test]
fn slow_or_self_declared_or_failing_calls_make_it_degraded() {
    let mut vitals = proven();
    assert_eq!(to(vitals.checked(&Seen::Well { took: s(1) }, s(2))), Some(Status::Degraded));
    assert_eq!(to(vitals.checked(&passed(), s(3))), Some(Status::Healthy));
    assert_eq!(to(vitals.checked(&Seen::Degraded { reason: "says so".into() }, s(4))), Some(Status::Degraded));
    assert_eq!((vitals.shown().1.as_deref(), vitals.rank()), (Some("says so"), Rank::Degraded));
    assert_eq!(to(vitals.checked(&passed(), s(5))), Some(Status::Healthy));
    assert!((0..9).all(|n| vitals.called(n % 2 == 0, s(6)).is_none()), "too few calls to tell");
    let change = vitals.called(true, s(6)).expect("a change");
    assert_eq!((change.to, change.reason.as_str()), (Status::Degraded, "6 of its last 10 calls failed"));
    assert_eq!(to(vitals.checked(&passed(), s(100))), Some(Status::Healthy), "old calls are forgotten");
}

#[test]
fn heartbeats_are_owed_from_the_first_one_on() {
    let mut vitals = proven();
    assert_eq!((vitals.tick(s(1_000)), vitals.expires_at()), (None, None));
    assert_eq!(vitals.beat(s(1_000)), None);
    assert_eq!(vitals.expires_at(), Some(s(1_030)));
    assert_eq!(vitals.tick(s(1_029)), None);
    let change = vitals.tick(s(1_030)).expect("a change");
    assert_eq!((change.to, change.reason.as_str()), (Status::Expired, "no heartbeat for 30 s"));
    assert_eq!(vitals.checked(&passed(), s(1_031)), None, "a check does not stand for a heartbeat");
    assert_eq!((vitals.status(), vitals.rank()), (Status::Expired, Rank::Never));
    assert_eq!(to(vitals.beat(s(1_032))), Some(Status::Healthy));
}

#[test]
fn one_that_an_earlier_process_left_is_not_called_before_it_was_seen() {
    let left = (Status::Healthy, None);
    let mut vitals = Vitals::recovered(THRESHOLDS, TTL, true, left.clone(), s(0));
    assert_eq!((vitals.rank(), vitals.shown().0), (Rank::Never, Status::Unhealthy));
    assert_eq!(vitals.beat(s(1)), None);
    assert_eq!(vitals.rank(), Rank::Never, "a heartbeat does not stand for a check");
    assert_eq!(vitals.checked(&passed(), s(2)), None, "as it was: no event");
    assert_eq!((vitals.rank(), vitals.shown().0), (Rank::First, Status::Healthy));
    let mut dead = Vitals::recovered(THRESHOLDS, TTL, true, left, s(0));
    assert_eq!(to(dead.checked(&failed(), s(1))), Some(Status::Unhealthy));
    let mut vitals = Vitals::recovered(THRESHOLDS, TTL, true, (Status::Expired, None), s(0));
    assert_eq!((vitals.shown().0, vitals.checked(&passed(), s(1))), (Status::Expired, None));
    assert_eq!(to(vitals.beat(s(2))), Some(Status::Healthy));
}

#[derive(Clone, Debug)]
enum Input {
    Pass,
    Slow,
    Fail,
    Beat,
    Tick,
    Call(bool),
}

fn inputs() -> impl Strategy<Value = Vec<(u64, Input)>> {
    let input = prop_oneof![
        Just(Input::Pass),
        Just(Input::Slow),
        Just(Input::Fail),
        Just(Input::Beat),
        Just(Input::Tick),
        any::<bool>().prop_map(Input::Call)
    ];
    proptest::collection::vec((0u64..20, input), 0..200)
}

proptest! {
    #[test]
    fn every_history_is_told_without_a_gap_and_never_trusts_the_dead(
        inputs in inputs(), recovered: bool, beats: bool,
    ) {
        let mut vitals = if recovered {
            Vitals::recovered(THRESHOLDS, TTL, beats, (Status::Healthy, None), s(0))
        } else {
            Vitals::registered(THRESHOLDS, TTL, beats, s(0))
        };
        let (mut now, mut status) = (s(0), vitals.status());
        let (mut fails, mut passes, mut seen) = (0u32, 0u32, !recovered);
        let (mut beat, mut expired) = (beats.then_some(now), false);
        for (wait, input) in inputs {
            now += s(wait);
            let change = match &input {
                Input::Pass => vitals.checked(&passed(), now),
                Input::Slow => vitals.checked(&Seen::Well { took: s(9) }, now),
                Input::Fail => vitals.checked(&failed(), now),
                Input::Beat => vitals.beat(now),
                Input::Tick => vitals.tick(now),
                Input::Call(failed) => vitals.called(*failed, now),
            };
            match input {
                Input::Pass | Input::Slow => (fails, passes, seen) = (0, passes + 1, true),
                Input::Fail => (fails, passes, seen) = (fails + 1, 0, true),
                Input::Beat => (beat, expired) = (Some(now), false),
                Input::Tick => expired |= beat.is_some_and(|beat| now - beat >= TTL),
                Input::Call(_) => {}
            }
            if let Some(change) = &change {
                prop_assert_eq!(change.from, status);
                prop_assert_ne!(change.to, status);
                prop_assert!(!change.reason.is_empty());
                status = change.to;
            }
            prop_assert_eq!(vitals.status(), status);
            prop_assert_eq!(status == Status::Expired, expired);
            let callable = vitals.rank() != Rank::Never;
            prop_assert!(!(callable && (expired || fails >= THRESHOLDS.unhealthy_after || !seen)));
            prop_assert!(callable || expired || !seen || fails > 0 || passes < THRESHOLDS.healthy_after);
            let (shown, reason) = vitals.shown();
            prop_assert_eq!(reason.is_some(), shown != Status::Healthy);
        }
    }
}
