//! The shipped flows on the real binary, which is killed in each of their tasks: what was done is done once, and how it ends
//! is as if nothing had happened.

use std::{path::Path, time::Duration};

use nexus_client::{
    Client, Error,
    event::{EventQuery, SignedOptions},
    flow::{Run, Runs},
    source::NewSource,
};
use nexus_core::time::Clock;
use nexus_engine::clock::SystemClock;
use serde_json::{Value, json};

use crate::{
    flow_services::Services,
    hub::{Hub, PATIENCE},
};

const SECRET: &str = "flows-secret";
/// How often something is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(3);
/// The plug is pulled at most this long after a task began.
const WITHIN: u64 = 12;
/// And at most this long after a play began that nothing holds up.
const RACE: u64 = 60;

/// How a flow is played: what begins it, and what it then waits for.
struct Play {
    flow: &'static str,
    /// The events of play `n` that begin its run: the last of them does, or completes the behaviour that does.
    begins: fn(n: usize) -> Vec<(&'static str, Value)>,
    /// Events that come meanwhile, for play `n` of run `id`.
    further: fn(n: usize, id: &str) -> Vec<(&'static str, Value)>,
}

/// What came of a run, without what differs from play to play.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: String,
    error: Option<Value>,
    /// What it published, sorted, its lifecycle included.
    published: Vec<String>,
    /// Different things that the services were asked for.
    asked: usize,
}

async fn set_up(hub: &Hub, services: &Services, flow: &str) {
    let client = hub.client();
    let source = NewSource {
        id: "plays".into(),
        secrets: vec![SECRET.into()],
        rate_limit: Some("off".into()),
        ..NewSource::default()
    };
    client.add_source(&source).await.expect("a source");
    services.connect(&client).await;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../flows/{flow}.yaml"));
    client.publish_flow(&std::fs::read_to_string(file).expect("the shipped flow")).await.expect("published");
    client.enable_flow(&format!("shipped/{flow}"), true).await.expect("enabled");
}

impl Play {
    fn name(&self) -> String {
        format!("shipped/{}", self.flow)
    }

    /// Publishes an event of play `n`, once however often it is told to.
    async fn tell(&self, client: &Client, key: String, (kind, data): &(&str, Value)) -> Result<String, Error> {
        let options = SignedOptions { idempotency_key: Some(key), ..SignedOptions::default() };
        Ok(client.dispatch(kind, data, SECRET, &options).await?.id.expect("an id"))
    }

    /// Begins play `n`, or finds it begun.
    async fn begin(&self, client: &Client, n: usize) -> Result<Run, Error> {
        let mut last = String::new();
        for (at, event) in (self.begins)(n).iter().enumerate() {
            last = self.tell(client, format!("{}-{n}-begins-{at}", self.flow), event).await?;
        }
        // A run belongs to what its event belongs to; one of a match, to what the completing event belongs to: itself.
        let which = Runs { flow: Some(self.name()), correlation: Some(last), ..Runs::default() };
        loop {
            let mut found = client.runs(&which).await?.items;
            assert!(found.len() < 2, "begun once, two runs: {found:?}");
            if let Some(run) = found.pop() {
                return Ok(run);
            }
            SystemClock::new().sleep(LOOK).await;
        }
    }

    /// Sends what comes next in play `n`; false when nothing is left.
    async fn send(&self, client: &Client, n: usize, run: &Run, at: usize) -> Result<bool, Error> {
        let further = (self.further)(n, &run.id);
        let Some(event) = further.get(at) else { return Ok(false) };
        self.tell(client, format!("{}-{n}-{at}", self.flow), event).await.map(|_| true)
    }

    /// Brings play `n` as far as its `tasks`th task, by the fewest answers and events.
    async fn reach(&self, client: &Client, services: &Services, n: usize, tasks: usize) -> Result<(), Error> {
        let run = self.begin(client, n).await?;
        let mut sent = 0;
        loop {
            let stands = client.run(&run.id).await?;
            if begun(client, &run.id).await? >= tasks || ended(&stands) {
                return Ok(());
            }
            services.answer_one();
            if stands.waiting_for.iter().any(|waiting| waiting["for"] == "events")
                && self.send(client, n, &run, sent).await?
            {
                sent += 1;
            }
            SystemClock::new().sleep(LOOK).await;
        }
    }

    /// What came of play `n`, once it has ended.
    async fn outcome(&self, client: &Client, services: &Services, n: usize) -> Outcome {
        let run = self.begin(client, n).await.expect("the hub is up");
        let mut sent = 0;
        // Everything, in spite of having been sent before.
        while self.send(client, n, &run, sent).await.expect("the hub is up") {
            sent += 1;
        }
        let run = loop {
            let run = client.run(&run.id).await.expect("the run");
            if ended(&run) {
                break run;
            }
            SystemClock::new().sleep(LOOK).await;
        };
        let correlation = run.more.get("correlation").and_then(Value::as_str).map(str::to_owned);
        let query = EventQuery { correlation, limit: Some(200), ..EventQuery::default() };
        let mut published = Vec::new();
        for event in client.events(&query).await.expect("events").items {
            let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            if text("source").contains(&self.name()) {
                published.push(text("topic"));
            }
        }
        published.sort();
        assert!(!published.is_empty(), "a run publishes at least that it began: {query:?}");
        Outcome { status: run.status, error: run.more.get("error").cloned(), published, asked: services.take() }
    }

    /// Plays it once in peace, and then once for each of its tasks with the plug pulled within it.
    async fn survives(self) {
        let seed = std::env::var("NEXUS_CRASH_SEED").ok().and_then(|v| v.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| SystemClock::new().now().micros().unsigned_abs());
        println!("NEXUS_CRASH_SEED={seed}");
        let dir = tempfile::tempdir().expect("a folder");
        let services = Services::start().await;
        let mut hub = Hub::start(dir.path(), &[]).await;
        set_up(&hub, &services, self.flow).await;
        let client = hub.client();
        let peace = within("a play in peace", self.outcome(&client, &services, 0)).await;
        assert_eq!(peace.status, "completed", "{peace:?}");
        let run = self.begin(&client, 0).await.expect("the run");
        let tasks = begun(&client, &run.id).await.expect("its steps");
        let mut halted = 0;
        for n in 1..=tasks {
            let after = Duration::from_millis(crate::crash::Dice(seed ^ n as u64).roll(WITHIN));
            let what = format!("seed {seed}: {} killed {after:?} after task {n} of {tasks} began", self.flow);
            let client = hub.client();
            services.hold(true);
            within(&what, self.reach(&client, &services, n, n)).await.expect("the hub is up");
            SystemClock::new().sleep(after).await;
            let run = self.begin(&client, n).await.expect("the run");
            halted += usize::from(!ended(&client.run(&run.id).await.expect("the run")));
            hub.kill().await;
            services.hold(false);
            hub = Hub::start(dir.path(), &[]).await;
            let outcome = within(&what, self.outcome(&hub.client(), &services, n)).await;
            assert_eq!(outcome, peace, "{what}");
        }
        // Tasks that wait for nothing are part of the commit before them; every flow has others, too.
        println!("{}: {halted} of {tasks} times it was killed before the end", self.flow);
        assert!(halted > 0, "the plug was always pulled too late");
        self.racing(hub, dir.path(), &services, seed, tasks, &peace).await;
    }

    /// Plays it with the plug pulled at any moment after something was sent, or answered.
    async fn racing(&self, mut hub: Hub, data: &Path, services: &Services, seed: u64, tasks: usize, peace: &Outcome) {
        for n in tasks + 1..=tasks * 2 {
            let mut dice = crate::crash::Dice(seed ^ n as u64);
            let after = Duration::from_millis(dice.roll(RACE));
            let client = hub.client();
            let all = async {
                let run = self.begin(&client, n).await?;
                let mut sent = 0;
                while self.send(&client, n, &run, sent).await? {
                    sent += 1;
                }
                Ok::<_, Error>(())
            };
            let plug = async {
                SystemClock::new().sleep(after).await;
                hub.kill().await;
            };
            // What it can't send any more it sends again.
            let (_, ()) = tokio::join!(all, plug);
            hub = Hub::start(data, &[]).await;
            let what = format!("seed {seed}: {} killed {after:?} after its beginning", self.flow);
            let outcome = within(&what, self.outcome(&hub.client(), services, n)).await;
            assert_eq!(&outcome, peace, "{what}");
        }
        hub.stop().await;
    }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("{what} did not come to its end"))
}

fn ended(run: &Run) -> bool {
    ["completed", "faulted", "cancelled"].contains(&run.status.as_str())
}

/// How many tasks of a run have begun.
async fn begun(client: &Client, run: &str) -> Result<usize, Error> {
    Ok(client.run_steps(run).await?.steps.iter().filter(|step| step["phase"] == "started").count())
}

#[tokio::test]
async fn payment_to_mint_mints_once_wherever_the_hub_is_killed() {
    let play = Play {
        flow: "payment-to-mint",
        begins: |n| {
            let paid = json!({"transactionId": format!("tx-{n}"), "amount": 150, "payerId": format!("payer-{n}")});
            vec![("PAYMENT_RECEIVED", paid)]
        },
        further: |n, _| {
            vec![(
                "MINT_CONFIRMED",
                json!({"txHash": format!("0xmint-tx-{n}"), "contractAddress": "0xa", "address": "p"}),
            )]
        },
    };
    play.survives().await;
}

#[tokio::test]
async fn mint_to_notify_tells_once_wherever_the_hub_is_killed() {
    let play = Play {
        flow: "mint-to-notify",
        begins: |n| {
            let minted = json!({"txHash": format!("0x{n}"), "address": format!("payer-{n}"), "amount": 150});
            vec![("MINT_CONFIRMED", minted)]
        },
        further: |_, _| Vec::new(),
    };
    play.survives().await;
}

#[tokio::test]
async fn error_escalation_tells_once_wherever_the_hub_is_killed() {
    let play = Play {
        flow: "error-escalation",
        begins: |n| {
            let raised = json!({"severity": "critical", "subject": format!("disk-{n}"), "message": "it is full"});
            vec![("alert.raised", raised)]
        },
        further: |_, id| vec![("incident.acknowledged", json!({"incident": id, "by": "ada"}))],
    };
    play.survives().await;
}

#[tokio::test]
async fn follower_acquisition_hands_over_once_wherever_the_hub_is_killed() {
    let play = Play {
        flow: "follower-acquisition",
        begins: |n| {
            let follows = json!({"follower": format!("f-{n}"), "platform": "x", "content": "post-1"});
            vec![("audience.follower.acquired", follows)]
        },
        further: |n, _| vec![("audience.engaged", json!({"follower": format!("f-{n}"), "score": 12}))],
    };
    play.survives().await;
}

/// Begun by what it watches: a step that falls below the limit, having been above it.
#[tokio::test]
async fn revenue_optimisation_tests_once_wherever_the_hub_is_killed() {
    let play = Play {
        flow: "revenue-optimisation",
        begins: |n| {
            let measured = |conversion| json!({"step": format!("step-{n}"), "conversion": conversion});
            vec![("revenue.funnel.measured", measured(31)), ("revenue.funnel.measured", measured(14))]
        },
        further: |_, id| {
            vec![
                ("content.variations.ready", json!({"test": id, "variants": ["short", "long"]})),
                ("revenue.test.measured", json!({"test": id, "variant": "long", "conversion": 12})),
                ("revenue.test.measured", json!({"test": id, "variant": "short", "conversion": 13})),
            ]
        },
    };
    play.survives().await;
}

/// Begun by what it watches: a member who takes part for the fifth time.
#[tokio::test]
async fn community_monetisation_offers_once_wherever_the_hub_is_killed() {
    let play = Play {
        flow: "community-monetisation",
        begins: |n| {
            let took_part = json!({"member": format!("m-{n}"), "kind": "comment"});
            vec![("community.participated", took_part); 5]
        },
        further: |n, id| {
            vec![
                ("content.offer.ready", json!({"offer": id, "text": "join us"})),
                ("revenue.subscription.upgraded", json!({"member": format!("m-{n}"), "plan": "gold", "amount": 900})),
            ]
        },
    };
    play.survives().await;
}
