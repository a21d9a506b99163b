//! A run on the real binary, killed with SIGKILL at each step, while it is done and after: it goes on where it was, and every
//! step is done once per Idempotency-Key. And a circle that leads over HTTP.

use std::{collections::BTreeSet, path::Path, time::Duration};

use nexus_client::{
    Client,
    event::EventQuery,
    flow::{Run, Start},
};
use serde_json::{Value, json};

use crate::{
    http,
    hub::{Hub, PATIENCE},
    sink::Sink,
};

const STEPS: [&str; 3] = ["/mint", "/book", "/notify"];

fn document(n: usize, base: &str) -> String {
    let mut text = format!("document: {{ dsl: '1.0.3', namespace: test, name: steps-{n}, version: '1.0.0' }}\ndo:\n");
    for step in STEPS {
        let name = step.trim_start_matches('/');
        text += &format!(
            "  - {name}: {{ call: http, with: {{ method: post, endpoint: '{base}{step}', body: {{ step: {name} }} }} }}\n"
        );
    }
    text
}

async fn ended(client: &Client, run: &str) -> Run {
    let waiting = async {
        loop {
            let run = client.run(run).await.expect("a run");
            if ["completed", "faulted", "cancelled"].contains(&run.status.as_str()) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("run {run} did not end"))
}

/// Begins a run, kills the hub while it is at a step or when that was answered, and gives the hub that goes on.
async fn kill_at(hub: Hub, dir: &Path, n: usize, step: usize, answered: bool) -> Hub {
    // Answers only what is let through, so that the kill comes in the middle of a step.
    let sink = Sink::with(&[], Some(0)).await;
    let flow = format!("test/steps-{n}");
    hub.client().publish_flow(&document(n, sink.base())).await.expect("published");
    let key = Start { idempotency_key: Some(format!("run-{n}")), ..Start::default() };
    let run = hub.client().start_run(&flow, &json!(null), &key).await.expect("begun");
    for (at, path) in STEPS.iter().enumerate().take(step + 1) {
        sink.until("the step", |got| got.iter().any(|got| got.line.ends_with(path))).await;
        if at < step || answered {
            sink.release(1);
        }
    }
    hub.kill().await;
    let hub = Hub::start(dir, &[]).await;
    let client = hub.client();
    // Begun once, however often it is asked for.
    assert_eq!(client.start_run(&flow, &json!(null), &key).await.expect("there").id, run.id);
    sink.release(20);
    let at = format!("step {step}, answered: {answered}");
    assert_eq!(ended(&client, &run.id).await.status, "completed", "{at}");
    let sent: Vec<(String, String)> =
        sink.got().iter().map(|got| (got.line.clone(), got.header("idempotency-key").to_owned())).collect();
    let keys: BTreeSet<&(String, String)> = sent.iter().collect();
    assert_eq!(keys.len(), 3, "{at}, one key per step: {sent:?}");
    for (n, path) in STEPS.iter().enumerate() {
        let times = sent.iter().filter(|(line, _)| line.ends_with(path)).count();
        // Sent again only what was open when the plug was pulled.
        let most = if n == step || (answered && n == step + 1) { 2 } else { 1 };
        assert!((1..=most).contains(&times), "{at}: {sent:?}");
    }
    let steps = client.run_steps(&run.id).await.expect("steps").steps;
    let done: Vec<&Value> = steps.iter().filter(|s| s["phase"] == "completed").map(|s| &s["name"]).collect();
    assert_eq!(done, ["mint", "book", "notify"], "{at}");
    hub
}

/// H-076, S-114
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_killed_at_each_step_of_a_run_does_each_step_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut hub = Hub::start(dir.path(), &[]).await;
    let mut n = 0;
    for step in 0..STEPS.len() {
        for answered in [false, true] {
            n += 1;
            hub = kill_at(hub, dir.path(), n, step, answered).await;
        }
    }
    hub.stop().await;
}

/// The depth goes with the request and comes back with the event that it publishes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_circle_that_leads_over_http_ends_at_sixteen() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    let authorization = format!("Bearer {}", hub.token());
    let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
    let value = json!({"value": hub.token()}).to_string();
    let kept = http::send("127.0.0.1", hub.address(), "PUT", "/api/v1/secrets/own", &headers, &value).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    let text = "
document: { dsl: '1.0.3', namespace: test, name: hop, version: '1.0.0' }
use: { secrets: [own] }
schedule: { on: { one: { with: { type: hop } } } }
do:
  - again:
      call: http
      with:
        method: post
        endpoint: { uri: 'URL/events/hop', authentication: { bearer: { token: '${ $secrets.own }' } } }
        body: { payload: {} }
"
    .replace("URL", &hub.url);
    client.publish_flow(&text).await.expect("published");
    client.publish("hop", &json!({}), None).await.expect("published");
    let of_type = |topic: &str| EventQuery { topic: Some(topic.into()), limit: Some(100), ..EventQuery::default() };
    let waiting = async {
        while client.events(&of_type("flow.circle_stopped")).await.expect("a page").items.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the circle ends");
    assert_eq!(client.events(&of_type("hop")).await.expect("a page").items.len(), 17);
    let stopped = client.events(&of_type("flow.circle_stopped")).await.expect("a page").items;
    assert_eq!(stopped.len(), 1, "{stopped:#?}");
    hub.stop().await;
}
