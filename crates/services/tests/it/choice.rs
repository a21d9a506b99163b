//! Whom to call: what holds for every set of instances.

use nexus_services::registry::choice::{COMPARED, Candidate, Draw, Rank, Strategy, choose, hash};
use proptest::{prelude::*, strategy::Strategy as _};

fn candidate(rank: Rank, load: f64, in_flight: u32, weight: f64, id: usize) -> Candidate {
    Candidate { rank, load, in_flight, weight, seed: hash(&format!("i-{id}")) }
}

fn well(id: usize) -> Candidate {
    candidate(Rank::First, 0.0, 0, 1.0, id)
}

fn ranks() -> impl proptest::strategy::Strategy<Value = Rank> {
    prop_oneof![Just(Rank::First), Just(Rank::Doubtful), Just(Rank::Degraded), Just(Rank::Never)]
}

fn candidates() -> impl proptest::strategy::Strategy<Value = Vec<Candidate>> {
    let one = (ranks(), 0u32..20, 0u32..20, 0u32..4);
    proptest::collection::vec(one, 0..80).prop_map(|all| {
        let made = all.into_iter().enumerate();
        made.map(|(id, (rank, load, in_flight, weight))| {
            candidate(rank, f64::from(load), in_flight, f64::from(weight), id)
        })
        .collect()
    })
}

fn strategies() -> impl proptest::strategy::Strategy<Value = Strategy> {
    proptest::sample::select(Strategy::ALL.to_vec())
}

proptest! {
    #[test]
    fn one_that_may_not_be_called_is_never_chosen_and_one_that_may_is_always_found(
        all in candidates(), strategy in strategies(), turn: u64, random: u64, key: u64,
    ) {
        let chosen = choose(all.len(), |i| all[i], Draw { strategy, turn, random, key });
        let best = all.iter().map(|c| c.rank).min().filter(|r| *r != Rank::Never);
        if strategy == Strategy::ConsistentHash {
            prop_assert_eq!(chosen.is_some(), best.is_some());
            prop_assert!(chosen.is_none_or(|i| all[i].rank != Rank::Never));
        } else {
            prop_assert_eq!(chosen.map(|i| all[i].rank), best);
        }
    }

    #[test]
    fn of_a_few_the_least_pressed_is_chosen(all in candidates(), random: u64) {
        let all = &all[..all.len().min(COMPARED)];
        let draw = Draw { strategy: Strategy::LeastLoaded, turn: 0, random, key: 0 };
        if let Some(chosen) = choose(all.len(), |i| all[i], draw) {
            let pressure = |c: &Candidate| c.load + f64::from(c.in_flight);
            let equals = all.iter().filter(|c| c.rank == all[chosen].rank);
            prop_assert!(equals.into_iter().all(|c| pressure(c) >= pressure(&all[chosen])));
        }
    }

    #[test]
    fn only_the_keys_of_an_instance_that_goes_move(count in 2usize..60, gone in 0usize..60, keys: [u64; 40]) {
        let gone = gone % count;
        let home = |key: u64, without: Option<usize>| {
            let look = |i: usize| {
                if Some(i) == without { Candidate { rank: Rank::Never, ..well(i) } } else { well(i) }
            };
            choose(count, look, Draw { strategy: Strategy::ConsistentHash, turn: 0, random: 0, key })
        };
        for key in keys {
            let before = home(key, None);
            let after = home(key, Some(gone));
            prop_assert!(before == Some(gone) || before == after);
            prop_assert!(after != Some(gone));
        }
    }
}

#[test]
fn weighted_turns_give_each_its_share() {
    let weights = [5.0, 0.0, 1.0, 3.0, 1.0];
    let look = |i: usize| candidate(Rank::First, 0.0, 0, weights[i], i);
    let mut got = [0u32; 5];
    for turn in 0..10_000 {
        let draw = Draw { strategy: Strategy::Weighted, turn, random: 0, key: 0 };
        got[choose(5, look, draw).expect("one")] += 1;
    }
    for (got, weight) in got.into_iter().zip(weights) {
        assert!((f64::from(got) - weight * 1_000.0).abs() < 20.0, "{got} for {weight}");
    }
    let none = |i: usize| candidate(Rank::First, 0.0, 0, 0.0, i);
    assert!(choose(3, none, Draw { strategy: Strategy::Weighted, turn: 7, random: 0, key: 0 }).is_some());
}

#[test]
fn round_robin_goes_around() {
    let turns = (0..9).map(|turn| {
        let draw = Draw { strategy: Strategy::RoundRobin, turn, random: 0, key: 0 };
        choose(3, well, draw).expect("one")
    });
    assert_eq!(turns.collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn keys_spread_over_all_instances() {
    let mut got = vec![0u32; 50];
    for key in 0..10_000 {
        let key = hash(&format!("key-{key}"));
        let draw = Draw { strategy: Strategy::ConsistentHash, turn: 0, random: 0, key };
        got[choose(50, well, draw).expect("one")] += 1;
    }
    assert!(got.iter().all(|n| (120..=280).contains(n)), "{got:?}");
}

#[test]
fn two_choices_keep_many_instances_close_together() {
    let mut in_flight = vec![0u32; 1_000];
    for n in 0..20_000 {
        let look = |i: usize| candidate(Rank::First, 0.0, in_flight[i], 1.0, i);
        let draw = Draw { strategy: Strategy::LeastLoaded, turn: n, random: hash(&n.to_string()), key: 0 };
        let chosen = choose(1_000, look, draw).expect("one");
        in_flight[chosen] += 1;
    }
    let (least, most) = (in_flight.iter().min(), in_flight.iter().max());
    assert!(least >= Some(&14) && most <= Some(&24), "{least:?} to {most:?} of 20 on average");
}
