//! The plug pulled at random moments: whatever was acknowledged is in the log exactly once and reaches its endpoint.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use nexus_client::{Client, event::SignedOptions, source::NewSource, subscription::NewSubscription};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    hub::{Hub, PATIENCE},
    sink::Sink,
};

const SECRET: &str = "crash-secret";
/// Publishers at once.
const PUBLISHERS: u64 = 8;
/// Lines of one export step.
const STEP: usize = 1_000;

/// splitmix64: repeats from its seed on every machine.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `below`.
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

/// What the test knows across rounds.
#[derive(Default)]
struct Ledger {
    /// Acknowledged: event id by its number.
    acknowledged: BTreeMap<u64, String>,
    /// Acknowledged since the last look: owed to the endpoint.
    owed: Vec<String>,
    /// In the log: how often each number is there.
    logged: BTreeMap<u64, u32>,
    /// The log has been read up to here.
    read: u64,
}

/// N-013, and section 7's crash test. `NEXUS_CRASH_ROUNDS` and `NEXUS_CRASH_SEED` change what is played.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_under_load_loses_and_doubles_nothing_it_acknowledged() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let rounds = number("NEXUS_CRASH_ROUNDS").unwrap_or(20);
    let seed = number("NEXUS_CRASH_SEED").unwrap_or_else(|| SystemClock::new().now().micros().unsigned_abs());
    println!("NEXUS_CRASH_SEED={seed} NEXUS_CRASH_ROUNDS={rounds}");
    let mut dice = Dice(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let sink = Sink::start().await;
    let mut ledger = Ledger::default();
    let mut next = 0;
    for round in 0..rounds {
        let hub = Hub::start(dir.path(), &[]).await;
        if round == 0 {
            set_up(&hub.client(), &sink).await;
        }
        check(&hub, &mut ledger, &sink, seed, round).await;
        let until = Duration::from_millis(dice.roll(380));
        load_and_kill(hub, &mut ledger, &mut next, until).await;
    }
    let hub = Hub::start(dir.path(), &[]).await;
    check(&hub, &mut ledger, &sink, seed, rounds).await;
    assert!(ledger.acknowledged.len() as u64 >= rounds, "seed {seed}: the load was no load");
    hub.stop().await;
    verify_offline(dir.path()).await;
}

async fn set_up(client: &Client, sink: &Sink) {
    let source = NewSource {
        id: "crash".into(),
        secrets: vec![SECRET.into()],
        rate_limit: Some("off".into()),
        ..NewSource::default()
    };
    client.add_source(&source).await.expect("a source");
    let subscription = NewSubscription {
        name: "sink".into(),
        filters: vec!["crash.*".into()],
        url: Some(sink.url.clone()),
        retry: Some("50ms,200ms,1s".into()),
        max_attempts: Some(100),
        ..NewSubscription::default()
    };
    client.subscribe(&subscription).await.expect("a subscription");
}

/// Publishers post until the plug is pulled, so long after the first of them was answered; only what was answered counts.
async fn load_and_kill(hub: Hub, ledger: &mut Ledger, next: &mut u64, until: Duration) {
    let mut publishers = JoinSet::new();
    let answered = Arc::new(Notify::new());
    for publisher in 0..PUBLISHERS {
        let (client, answered) = (hub.client(), Arc::clone(&answered));
        let first = *next + publisher;
        publishers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in (first..).step_by(usize::try_from(PUBLISHERS).expect("small")) {
                let payload = serde_json::json!({ "number": number });
                let options = SignedOptions { idempotency_key: Some(number.to_string()), ..SignedOptions::default() };
                match client.dispatch("crash.test", &payload, SECRET, &options).await {
                    Ok(accepted) => {
                        acknowledged.push((number, accepted.id.expect("an id")));
                        answered.notify_one();
                    }
                    // Refused for being busy is an answer like any other; a dead hub is the end.
                    Err(error) if error.problem().is_some() => {}
                    Err(_) => return (number, acknowledged),
                }
            }
            (u64::MAX, acknowledged)
        });
    }
    tokio::time::timeout(PATIENCE, answered.notified()).await.expect("one is acknowledged");
    SystemClock::new().sleep(until).await;
    hub.kill().await;
    while let Some(done) = publishers.join_next().await {
        let (last, acknowledged) = done.expect("no publisher panics");
        *next = (*next).max(last + PUBLISHERS);
        ledger.owed.extend(acknowledged.iter().map(|(_, id)| id.clone()));
        ledger.acknowledged.extend(acknowledged);
    }
    // Every round begins on a number that no publisher has used.
    *next = next.div_ceil(PUBLISHERS) * PUBLISHERS;
}

async fn check(hub: &Hub, ledger: &mut Ledger, sink: &Sink, seed: u64, round: u64) {
    let client = hub.client();
    let at = format!("seed {seed}, round {round}");
    read_log(&client, ledger).await;
    let doubled: Vec<_> = ledger.logged.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{at}: twice in the log: {doubled:?}");
    let lost: Vec<_> = ledger.acknowledged.keys().filter(|n| !ledger.logged.contains_key(n)).collect();
    assert!(lost.is_empty(), "{at}: acknowledged but not in the log: {lost:?}");
    let report = client.verify_log(None).await.expect("a report");
    assert_eq!(report["ok"], true, "{at}: {report}");
    let wanted = std::mem::take(&mut ledger.owed);
    sink.has(&format!("{at}: every acknowledged event"), wanted).await;
    let dead = client.dead_letters(None, None, None).await.expect("a list");
    assert!(dead.items.is_empty(), "{at}: dead although it should retry: {:?}", dead.items);
}

/// Reads what is new in the log.
async fn read_log(client: &Client, ledger: &mut Ledger) {
    loop {
        let lines = client.export(ledger.read, STEP).await.expect("an export");
        let mut count = 0;
        for line in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("JSON");
            let seq = line["seq"].as_u64().expect("a seq");
            assert_eq!(seq, ledger.read + 1, "the log has no gap");
            ledger.read = seq;
            if let Some(number) = line["data"]["number"].as_u64() {
                *ledger.logged.entry(number).or_default() += 1;
            }
            count += 1;
        }
        if count < STEP {
            return;
        }
    }
}

async fn verify_offline(data: &Path) {
    let folder = data.to_str().expect("text");
    let output = crate::hub::run(data, &["log", "verify", "--data", folder, "--json"]).await;
    assert!(output.status.success(), "{}", crate::hub::text(&output.stderr));
}
