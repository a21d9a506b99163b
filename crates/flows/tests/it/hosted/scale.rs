//! Many runs that sleep or wait: what one more costs, and what an event costs that one of them waits for. `NEXUS_SCALE=full`
//! for the large numbers.

use std::time::Instant;

use serde_json::Value;

use super::{
    life::Life,
    log::{answer, waiting},
};

fn full() -> bool {
    std::env::var("NEXUS_SCALE").is_ok_and(|scale| scale == "full")
}

/// Resident memory in KiB, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse().ok())
}

#[test]
fn sleeping_runs_cost_little_memory_and_wake_at_their_time() {
    let count = if full() { 10_000 } else { 1_000 };
    let life = Life::new();
    life.publish(
        "document: { dsl: '1.0.3', namespace: t, name: sleeper, version: '1.0.0' }\ndo:\n  - sleep: { wait: PT1H }\n",
    );
    for _ in 0..50 {
        life.start("t/sleeper", Value::Null);
    }
    let before = resident();
    let began = Instant::now();
    life.run(async {
        for _ in 0..count {
            life.flows.start(super::life::asked("t/sleeper", Value::Null, None)).await.expect("begun");
        }
    });
    println!("{count} sleeping runs: begun in {:?}", began.elapsed());
    if let (Some(before), Some(after)) = (before, resident()) {
        let more = after.saturating_sub(before);
        println!("{count} sleeping runs: {more} KiB more");
        assert!(more < 100 << 10, "{more} KiB");
    }
    let began = Instant::now();
    life.advance(3_700);
    life.wait_for("all awake", || {
        let report = life.run(life.flows.report("t/sleeper", 200)).expect("a report");
        let asleep = report.by_status.iter().filter(|(status, _)| **status != "completed").count();
        if asleep == 0 { Ok(()) } else { Err(format!("{report:?}")) }
    });
    println!("{count} sleeping runs: awake in {:?}", began.elapsed());
}

#[test]
fn an_event_finds_the_one_run_among_many_that_waits_for_it() {
    let count = if full() { 100_000 } else { 3_000 };
    let life = Life::new();
    let before = resident();
    let began = Instant::now();
    let runs = waiting(&life, count);
    println!("{count} waiting runs: begun in {:?}", began.elapsed());
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("{count} waiting runs: {} KiB more", after.saturating_sub(before));
    }
    let heard = answer(&life, 0..200, &runs);
    println!("{count} waiting runs: {:?} for one event, from publishing to the end of its run", heard / 200);
    let began = Instant::now();
    life.run(async {
        for n in 0..200 {
            let event =
                super::life::event(&life.hub, "answer", serde_json::json!({"key": format!("nobody-{n}")}), None);
            life.hub.publish(event).await.expect("accepted");
        }
    });
    life.advance(0);
    println!("{count} waiting runs: {:?} for one event that nobody waits for", began.elapsed() / 200);
}
