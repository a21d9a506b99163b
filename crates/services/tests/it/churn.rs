//! A thousand instances of which a tenth come and go, under calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_core::{breaker::BreakerPolicy, time::Clock};
use nexus_engine::supervisor::TaskKind;
use nexus_services::registry::{Filter, Invocation, RegistryOptions, Status, vitals::Thresholds};

use crate::rig::{Crowd, Rig, micros};

const INSTANCES: usize = 1_000;
const FLAPPING: usize = 100;
const CALLERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(60);
/// What may pass between a decision and its effect.
const SLACK: Duration = Duration::from_secs(1);
/// Calls without which nothing is shown.
const CALLS: u64 = 5_000;
/// How often the machine's lateness is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How much later than asked for the machine did things so far, in microseconds. What it was late by is nobody's fault.
fn watch_lateness(rig: &Rig) -> Arc<AtomicU64> {
    let late = Arc::new(AtomicU64::new(0));
    let (clock, seen) = (rig.clock.clone(), Arc::clone(&late));
    rig.hub.spawn().start(TaskKind::Background, async move {
        loop {
            let before = clock.mono();
            clock.sleep(LOOK).await;
            seen.fetch_add(micros((clock.mono() - before).saturating_sub(LOOK)), Ordering::SeqCst);
        }
    });
    late
}

/// `NEXUS_CHURN_SECONDS` makes it longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_reaches_an_instance_that_has_been_dead_for_longer_than_it_takes_to_find_out() {
    let seconds = std::env::var("NEXUS_CHURN_SECONDS").ok().and_then(|v| v.parse().ok()).unwrap_or(12);
    let brisk = RegistryOptions {
        check_interval: Duration::from_millis(1_500),
        check_timeout: Duration::from_millis(400),
        thresholds: Thresholds { unhealthy_after: 2, healthy_after: 1, slow: PATIENCE },
        invoke_timeout: PATIENCE,
        // The breaker would keep calls away by itself; here the checks have to.
        breaker: BreakerPolicy { failures: u32::MAX, open_for: Duration::from_millis(1) },
        ..RegistryOptions::default()
    };
    let bound = brisk.detection_bound() + SLACK;
    // Whoever is dead here says so at once. Whoever is well may take its time on a busy machine.
    let rig = Rig::new(RegistryOptions { check_timeout: PATIENCE, ..brisk }).await;
    let late = watch_lateness(&rig);
    let crowd = Arc::new(Crowd::start(&rig.hub, INSTANCES).await);
    crowd.register_all(&rig).await;
    let over = Arc::new(AtomicBool::new(false));
    let (called, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    for _ in 0..CALLERS {
        let (registry, over) = (rig.registry.clone(), Arc::clone(&over));
        let (called, refused) = (Arc::clone(&called), Arc::clone(&refused));
        rig.hub.spawn().start(TaskKind::Background, async move {
            while !over.load(Ordering::SeqCst) {
                let call = Invocation { body: b"{}".as_slice().into(), ..Invocation::default() };
                match registry.invoke("crowd", call).await {
                    Ok(_) => called.fetch_add(1, Ordering::SeqCst),
                    Err(_) => refused.fetch_add(1, Ordering::SeqCst),
                };
                tokio::task::yield_now().await;
            }
        });
    }
    let began = rig.clock.mono();
    let mut round = 0;
    while rig.clock.mono() - began < Duration::from_secs(seconds) || called.load(Ordering::SeqCst) < CALLS {
        // Half of them go while the other half come back, each long enough down to be found out.
        for n in 0..FLAPPING {
            crowd.set_up(n, (n + round) % 2 == 0, &rig.clock);
        }
        round += 1;
        rig.clock.sleep(bound + Duration::from_millis(500)).await;
    }
    let counted: Vec<u64> = crowd.calls.iter().map(|c| c.load(Ordering::SeqCst)).collect();
    over.store(true, Ordering::SeqCst);
    let latest = Duration::from_micros(crowd.latest.load(Ordering::SeqCst));
    let (called, refused) = (called.load(Ordering::SeqCst), refused.load(Ordering::SeqCst));
    let late = Duration::from_micros(late.load(Ordering::SeqCst));
    println!("{called} calls, {refused} refused, the latest {latest:?} after its instance died; bound {bound:?}");
    assert!(latest < bound + late, "{latest:?} is later than {bound:?} on a machine that was late by {late:?}");
    assert_eq!(refused, 0, "of {called}");
    assert!(counted[FLAPPING..].iter().filter(|n| **n > 0).count() > INSTANCES / 2, "calls went to a few only");
    let down: Vec<_> = (0..FLAPPING).filter(|n| crowd.down_since[*n].load(Ordering::SeqCst) > 0).collect();
    let down: Vec<_> = down.iter().map(|n| format!("i-{n:04}")).collect();
    let found = || {
        let listed = rig.registry.list(&Filter { status: vec![Status::Unhealthy], ..Filter::default() });
        listed.iter().map(|s| s.id.clone()).collect::<Vec<_>>()
    };
    let all_found = async {
        while found() != down {
            rig.clock.sleep(LOOK).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all_found).await.is_ok(), "{:?} instead of {down:?}", found());
    rig.hub.shutdown(PATIENCE).await;
}
