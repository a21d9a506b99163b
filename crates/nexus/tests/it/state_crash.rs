//! Compare-and-set is linearizable, also when the hub is killed: what clients asked and were told is recorded, unknown
//! outcomes included, and a checker looks for one order that explains all of it. The checker is tried on wrong histories.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_client::{Client, Error, state::PutState};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::json;
use tokio::task::JoinSet;

use crate::hub::{Hub, PATIENCE};

const KEYS: u64 = 3;
const CLIENTS: u64 = 6;
/// Writes that are acknowledged in each round before the plug may be pulled.
const WRITTEN: usize = 5;

/// What was asked of one key.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Read,
    Write(u64),
    /// Expected version, value.
    Cas(u64, u64),
}

/// What was told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// Version and value; version 0 = not there.
    Found(u64, u64),
    /// The new version.
    Written(u64),
    /// It did not fit; the present version.
    Stale(u64),
    /// Nothing, or nothing that tells whether it happened.
    Nothing,
}

/// One call: when it began and ended on one counter of all clients. What nothing was told of never ended.
#[derive(Clone, Copy, Debug)]
struct Call {
    key: u64,
    began: u64,
    ended: u64,
    asked: Asked,
    told: Told,
}

/// A register with a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Register {
    version: u64,
    value: u64,
}

/// The register after the call, if it can be told so from this one.
fn step(at: Register, call: &Call) -> Option<Register> {
    let written = |value| Register { version: at.version + 1, value };
    match (call.asked, call.told) {
        (Asked::Read, Told::Found(version, value)) => (at == Register { version, value }).then_some(at),
        (Asked::Write(value), Told::Written(version)) => (at.version + 1 == version).then(|| written(value)),
        (Asked::Cas(expected, value), Told::Written(version)) => {
            (at.version == expected && version == expected + 1).then(|| written(value))
        }
        (Asked::Cas(expected, _), Told::Stale(version)) => (at.version == version && version != expected).then_some(at),
        (Asked::Write(value), Told::Nothing) => Some(written(value)),
        (Asked::Cas(expected, value), Told::Nothing) => (at.version == expected).then(|| written(value)),
        _ => None,
    }
}

/// Whether some order of the calls on one key explains everything that was told. (Wing and Gong, with Lowe's memory of
/// where it has been.) Calls with no answer may have happened at any time since they began, or never.
fn is_linearizable(calls: &[Call]) -> bool {
    let calls: Vec<Call> =
        calls.iter().copied().filter(|c| !matches!((c.asked, c.told), (Asked::Read, Told::Nothing))).collect();
    let words = calls.len().div_ceil(64);
    let mut been: HashSet<(Vec<u64>, Register)> = HashSet::new();
    let mut stack = vec![(vec![0u64; words], Register::default())];
    while let Some((done, register)) = stack.pop() {
        let open = |n: usize| done[n / 64] & (1 << (n % 64)) == 0;
        let Some(first_end) = (0..calls.len()).filter(|n| open(*n)).map(|n| calls[n].ended).min() else { return true };
        if first_end == u64::MAX {
            return true;
        }
        for (n, call) in calls.iter().enumerate().filter(|(n, call)| open(*n) && call.began < first_end) {
            let Some(next) = step(register, call) else { continue };
            let mut after = done.clone();
            after[n / 64] |= 1 << (n % 64);
            if been.insert((after.clone(), next)) {
                stack.push((after, next));
            }
        }
    }
    false
}

fn call(began: u64, ended: u64, asked: Asked, told: Told) -> Call {
    let ended = if told == Told::Nothing { u64::MAX } else { ended };
    Call { key: 0, began, ended, asked, told }
}

#[test]
fn the_checker_accepts_what_can_be_and_rejects_what_can_not() {
    use Asked::{Cas, Read, Write};
    use Told::{Found, Nothing, Stale, Written};
    let good: [&[Call]; 5] = [
        &[call(1, 2, Write(7), Written(1)), call(3, 4, Read, Found(1, 7))],
        // Two at once may come in either order.
        &[call(1, 9, Write(7), Written(2)), call(2, 8, Write(8), Written(1)), call(10, 11, Read, Found(2, 7))],
        &[call(1, 2, Cas(0, 7), Written(1)), call(3, 4, Cas(0, 8), Stale(1))],
        // Not told of, it happened late, or never.
        &[call(1, 0, Write(7), Nothing), call(2, 3, Read, Found(0, 0)), call(4, 5, Read, Found(1, 7))],
        &[call(1, 0, Cas(0, 7), Nothing), call(2, 3, Write(8), Written(1)), call(4, 5, Read, Found(1, 8))],
    ];
    for calls in good {
        assert!(is_linearizable(calls), "{calls:?}");
    }
    let wrong: [&[Call]; 8] = [
        // A stale read.
        &[call(1, 2, Write(7), Written(1)), call(3, 4, Read, Found(0, 0))],
        // A lost update: two that expected the same both won.
        &[call(1, 9, Cas(0, 7), Written(1)), call(2, 8, Cas(0, 8), Written(1))],
        // An acknowledged write is gone.
        &[call(1, 2, Write(7), Written(1)), call(3, 4, Write(8), Written(1))],
        // A value that nobody wrote.
        &[call(1, 2, Write(7), Written(1)), call(3, 4, Read, Found(1, 9))],
        // Going back in time.
        &[call(1, 20, Write(7), Written(1)), call(2, 3, Read, Found(1, 7)), call(4, 5, Read, Found(0, 0))],
        // Refused although it fitted.
        &[call(1, 2, Cas(0, 7), Stale(0))],
        // What was refused shows all the same.
        &[call(1, 2, Write(1), Written(1)), call(3, 4, Cas(0, 7), Stale(1)), call(5, 6, Read, Found(2, 7))],
        // What was not told of happened twice.
        &[call(1, 0, Write(7), Nothing), call(2, 3, Read, Found(2, 7))],
    ];
    for calls in wrong {
        assert!(!is_linearizable(calls), "{calls:?}");
    }
}

/// splitmix64: repeats from its seed on every machine.
fn roll(dice: &mut u64, below: u64) -> u64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *dice;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) % below
}

#[derive(Default)]
struct Record {
    count: AtomicU64,
    calls: Mutex<Vec<Call>>,
}

impl Record {
    fn tick(&self) -> u64 {
        self.count.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes that were acknowledged.
    fn written(&self) -> usize {
        let calls = self.calls.lock().expect("nobody panics");
        calls.iter().filter(|call| matches!(call.told, Told::Written(_))).count()
    }

    /// Waits until so many more writes are acknowledged, however slow the machine is.
    async fn more_written(&self, count: usize) {
        let wanted = self.written() + count;
        let waiting = async {
            while self.written() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("writes are acknowledged");
    }
}

/// `NEXUS_CRASH_ROUNDS` and `NEXUS_CRASH_SEED` change what is played.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compare_and_set_is_linearizable_while_the_hub_is_killed() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let rounds = number("NEXUS_CRASH_ROUNDS").unwrap_or(6);
    let mut dice = number("NEXUS_CRASH_SEED").unwrap_or_else(|| SystemClock::new().now().micros().unsigned_abs());
    println!("NEXUS_CRASH_SEED={dice} NEXUS_CRASH_ROUNDS={rounds}");
    let dir = tempfile::tempdir().expect("a folder");
    let record = Arc::new(Record::default());
    for round in 0..rounds {
        let hub = Hub::start(dir.path(), &[]).await;
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let seed = roll(&mut dice, u64::MAX);
            clients.spawn(ask(hub.client(), Arc::clone(&record), seed, (round, client)));
        }
        record.more_written(WRITTEN).await;
        let moment = Duration::from_millis(roll(&mut dice, 200));
        tokio::time::sleep(moment).await;
        hub.kill().await;
        while let Some(ended) = clients.join_next().await {
            ended.expect("no client panics");
        }
    }
    let hub = Hub::start(dir.path(), &[]).await;
    for key in 0..KEYS {
        one(&hub.client(), &record, key, Asked::Read).await;
    }
    hub.stop().await;
    let calls = record.calls.lock().expect("nobody panics").clone();
    let (mut acknowledged, mut unknown) = (0, 0);
    for key in 0..KEYS {
        let of_key: Vec<Call> = calls.iter().copied().filter(|c| c.key == key).collect();
        acknowledged += of_key.iter().filter(|c| matches!(c.told, Told::Written(_))).count();
        unknown += of_key.iter().filter(|c| c.told == Told::Nothing).count();
        assert!(is_linearizable(&of_key), "no order explains key {key}: {of_key:#?}");
    }
    println!("{} calls, {acknowledged} writes acknowledged, {unknown} of unknown outcome", calls.len());
    assert!(acknowledged >= WRITTEN, "too little happened: {acknowledged}");
}

/// Asks at random until the hub is gone.
async fn ask(client: Client, record: Arc<Record>, mut dice: u64, (round, number): (u64, u64)) {
    let mut known = [0u64; KEYS as usize];
    for n in 0.. {
        let key = roll(&mut dice, KEYS);
        // Unique, so that a read tells which write it saw.
        let value = (round * CLIENTS + number) * 1_000_000 + n + 1;
        let slot = &mut known[usize::try_from(key).expect("small")];
        let asked = match roll(&mut dice, 4) {
            0 => Asked::Read,
            1 => Asked::Write(value),
            _ => Asked::Cas(*slot, value),
        };
        match one(&client, &record, key, asked).await {
            Told::Found(version, _) | Told::Written(version) | Told::Stale(version) => *slot = version,
            Told::Nothing => return,
        }
    }
}

async fn one(client: &Client, record: &Record, key: u64, asked: Asked) -> Told {
    let name = format!("key/{key}");
    let put = |value: u64, expected_version| {
        let with = PutState { expected_version, ttl_seconds: None };
        let (client, name) = (client.clone(), name.clone());
        async move { client.put_state(&name, &json!(value), &with).await.map(|done| done.version) }
    };
    let began = record.tick();
    let told = match asked {
        Asked::Read => match client.state(&name).await {
            Ok(Some(found)) => Told::Found(found.version, found.value.as_u64().expect("a number")),
            Ok(None) => Told::Found(0, 0),
            Err(_) => Told::Nothing,
        },
        Asked::Write(value) => put(value, None).await.map_or(Told::Nothing, Told::Written),
        Asked::Cas(expected, value) => match put(value, Some(expected)).await {
            Ok(version) => Told::Written(version),
            Err(Error::Refused(problem)) if problem.status == 409 => {
                Told::Stale(problem.version.expect("a refusal names the version"))
            }
            Err(_) => Told::Nothing,
        },
    };
    let ended = if told == Told::Nothing { u64::MAX } else { record.tick() };
    record.calls.lock().expect("nobody panics").push(Call { key, began, ended, asked, told });
    told
}

/// C-048
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_that_each_add_a_hundred_times_make_five_thousand() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    hub.client().put_state("count", &json!(0), &PutState::default()).await.expect("written");
    let mut clients = JoinSet::new();
    for number in 0..50u64 {
        let client = hub.client();
        clients.spawn(async move {
            let mut dice = number;
            for _ in 0..100 {
                loop {
                    let found = client.state("count").await.expect("an answer").expect("it is there");
                    let sum = found.value.as_u64().expect("a number") + 1;
                    let with = PutState { expected_version: Some(found.version), ttl_seconds: None };
                    match client.put_state("count", &json!(sum), &with).await {
                        Ok(_) => break,
                        // Somebody was faster, or the machine is so slow that the hub asks for patience.
                        Err(Error::Refused(problem)) if matches!(problem.status, 409 | 503) => {
                            // Out of each other's way, or they would all try again at once.
                            tokio::time::sleep(Duration::from_millis(roll(&mut dice, 40))).await;
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.expect("no client panics");
    }
    let count = hub.client().state("count").await.expect("an answer").expect("it is there");
    assert_eq!((count.value, count.version), (json!(5_000), 5_001));
    hub.stop().await;
}
