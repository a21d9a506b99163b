//! The delivery machine over a store in memory, with every failure that a seed can think of.
//!
//! Time, chance, the endpoints, the order of answers, failing saves and crashes all come from one seed. After each step
//! [`check`] holds the machine and the store against [`model`], which knows from outside what has to be true.
//!
//! `NEXUS_SIM_SEEDS=1000` runs more seeds, `NEXUS_SIM_SEED=7` just that one.

mod check;
mod model;
mod steps;
mod world;

use world::World;

/// Seeds in a plain test run.
const SEEDS: u64 = 30;
/// Steps per seed.
const STEPS: usize = 400;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn run(seed: u64, crashes: bool) {
    // Shown when the test fails.
    println!("seed {seed} crashes {crashes}");
    let mut world = World::new(seed, crashes);
    for _ in 0..STEPS {
        world.step();
    }
    world.come_to_rest();
    world.check_rest();
}

fn seeds() -> Vec<u64> {
    match number("NEXUS_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("NEXUS_SIM_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

#[test]
fn whatever_fails_nothing_is_lost_and_order_holds() {
    for seed in seeds() {
        run(seed, true);
    }
}

#[test]
fn without_a_crash_nothing_is_delivered_twice() {
    for seed in seeds() {
        run(seed, false);
    }
}
