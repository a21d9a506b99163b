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
/// What a busy machine may add between a decision and its effect.
const SLACK: Duration = Duration::from_secs(1);

/// `NEXUS_CHURN_SECONDS` makes it longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_reaches_an_instance_that_has_been_dead_for_longer_than_it_takes_to_find_out() {
    let seconds = std::env::var("NEXUS_CHURN_SECONDS").ok().and_then(|v| v.parse().ok()).unwrap_or(12);
    let options = RegistryOptions {
        check_interval: Duration::from_millis(1_500),
        check_timeout: Duration::from_millis(400),
        thresholds: Thresholds { unhealthy_after: 2, healthy_after: 1, slow: Duration::from_secs(5) },
        // The breaker would keep calls away by itself; here the checks have to.
        breaker: BreakerPolicy { failures: u32::MAX, open_for: Duration::from_millis(1) },
        ..RegistryOptions::default()
    };
    let bound = options.detection_bound() + SLACK;
    let rig = Rig::new(options).await;
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
    while rig.clock.mono() - began < Duration::from_secs(seconds) {
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
    println!("{called} calls, {refused} refused, the latest {latest:?} after its instance died; bound {bound:?}");
    assert!(micros(latest) < micros(bound), "{latest:?} is later than {bound:?}");
    assert!(called > 500 && refused == 0, "{called} {refused}");
    assert!(counted[FLAPPING..].iter().filter(|n| **n > 0).count() > INSTANCES / 2, "calls went to a few only");
    let down: Vec<_> = (0..FLAPPING).filter(|n| crowd.down_since[*n].load(Ordering::SeqCst) > 0).collect();
    let listed = rig.registry.list(&Filter { status: vec![Status::Unhealthy], ..Filter::default() });
    let found: Vec<_> = listed.iter().map(|s| s.id.clone()).collect();
    assert_eq!(found, down.iter().map(|n| format!("i-{n:04}")).collect::<Vec<_>>());
    rig.hub.shutdown(Duration::from_secs(10)).await;
}
