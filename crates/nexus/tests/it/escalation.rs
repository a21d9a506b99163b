//! Error escalation on the real binary: everything that it listens to is made to happen, and reaches the alerts.

use std::time::Duration;

use nexus_client::{
    Client,
    connector::{ConnectorCall, NewConnection},
    flow::{Run, Runs, Start},
    subscription::NewSubscription,
};
use serde_json::{Map, Value, json};

use crate::{
    hub::{Hub, PATIENCE},
    sink::{Got, Sink},
};

const FLOW: &str = "shipped/error-escalation";

fn account(name: &str, connector: &str, url: &str, secret: Option<&str>) -> NewConnection {
    NewConnection {
        name: name.into(),
        connector: connector.into(),
        settings: Map::from_iter([("url".to_owned(), url.into())]),
        secrets: secret.map(|secret| (secret.to_owned(), "k3y".into())).into_iter().collect(),
        scopes: None,
    }
}

/// The last of what the alerts got, once there are so many.
async fn told(alerts: &Sink, count: usize) -> Got {
    let got = alerts.until(&format!("alert {count}"), |got| got.len() >= count).await;
    assert_eq!(got.len(), count, "{got:?}");
    got[count - 1].clone()
}

/// What an alert says: how bad, about what, and why.
fn says(got: &Got) -> (&str, &str, &str) {
    let text = |name: &str| got.body[name].as_str().unwrap_or_default();
    (text("severity"), text("subject"), text("message"))
}

/// A run of the escalation once it stands so.
async fn run(client: &Client, status: &str, wanted: impl Fn(&Run) -> bool) -> Run {
    let search = async {
        loop {
            let which = Runs { flow: Some(FLOW.into()), status: Some(status.into()), ..Runs::default() };
            if let Some(run) = client.runs(&which).await.expect("runs").items.into_iter().find(&wanted) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.unwrap_or_else(|_| panic!("no run of {FLOW} is {status}"))
}

/// Somebody raises an alert, and somebody takes it.
async fn an_alert(client: &Client, alerts: &Sink) {
    let raised = json!({"severity": "critical", "subject": "disk", "message": "it is full"});
    client.publish("alert.raised", &raised, None).await.expect("published");
    let got = told(alerts, 1).await;
    assert_eq!(says(&got), ("critical", "disk", "it is full"));
    assert_eq!((got.line.as_str(), got.header("x-event-type")), ("POST /in", "incident.raised"));
    assert!(!got.header("idempotency-key").is_empty() && !got.header("x-correlation-id").is_empty(), "{got:?}");
    let incident = got.body["incident"].as_str().expect("an incident").to_owned();
    let text = got.body["text"].as_str().expect("a text");
    assert!(text.contains("disk: it is full") && text.contains(&incident) && got.body["content"] == text, "{text}");
    let taken = json!({"incident": incident, "by": "ada"});
    client.publish("incident.acknowledged", &taken, None).await.expect("published");
    let ended = run(client, "completed", |run| run.id == incident).await;
    assert_eq!(ended.more["output"]["by"], "ada");
}

/// A delivery is given up.
async fn a_dead_letter(client: &Client, alerts: &Sink) {
    let broken = Sink::with(&[500], None).await;
    let subscription = NewSubscription {
        name: "crm".into(),
        filters: vec!["order.created".into()],
        url: Some(broken.url.clone()),
        max_attempts: Some(1),
        ..NewSubscription::default()
    };
    client.subscribe(&subscription).await.expect("subscribed");
    let accepted = client.publish("order.created", &json!({"order": 7}), None).await.expect("published");
    let got = told(alerts, 2).await;
    let (severity, subject, message) = says(&got);
    assert_eq!((severity, subject), ("warning", "crm"));
    let id = accepted.message_id;
    assert!(message.contains(&format!("event {id} was given up after 1 attempts")), "{message}");
}

/// A run fails.
async fn a_faulted_run(client: &Client, alerts: &Sink) {
    let text = "
document: { dsl: '1.0.3', namespace: shop, name: fails, version: '1.0.0' }
do:
  - no: { raise: { error: { type: 'https://shop.example/no-stock', status: 409, title: No stock, detail: sku 7 } } }
";
    client.publish_flow(text).await.expect("published");
    let run = client.start_run("shop/fails", &json!(null), &Start::default()).await.expect("begun");
    let got = told(alerts, 3).await;
    let (severity, subject, message) = says(&got);
    assert_eq!((severity, message), ("critical", "No stock: sku 7"));
    assert!(subject.contains("fails") && subject.contains(&run.id), "{subject} names the run {}", run.id);
}

/// An account is not let in any more. One that was just made and lacks its secret is no trouble.
async fn an_account_that_is_not_let_in(client: &Client, alerts: &Sink) {
    let made = client.create_connection(&account("new", "smart-factory", "https://factory.example.com", None)).await;
    assert_eq!(made.expect("made").state, "reconnect_needed");
    let factory = Sink::with(&[401], None).await;
    let old = account("old", "smart-factory", factory.base(), Some("api_key"));
    assert_eq!(client.create_connection(&old).await.expect("made").state, "connected");
    let call = ConnectorCall {
        operation: "mint".into(),
        input: json!({"address": "a", "amount": 1}),
        connection: Some("old".into()),
        ..ConnectorCall::default()
    };
    let refused = client.call_connector("smart-factory", &call).await.expect_err("refused").to_string();
    assert!(refused.contains("nexus connections set-secret old api_key"), "{refused}");
    let got = told(alerts, 4).await;
    let (severity, subject, message) = says(&got);
    assert_eq!((severity, subject), ("warning", "old"));
    assert!(message.starts_with("the account at smart-factory must be connected again"), "{message}");
    assert!(message.contains("nexus connections set-secret old api_key"), "{message}");
}

#[tokio::test]
async fn everything_that_goes_wrong_reaches_the_alerts_and_nothing_else_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    let client = hub.client();
    let alerts = Sink::with(&[200, 200, 200, 200, 401], None).await;
    client.create_connection(&account("alerts", "generic-webhook", &alerts.url, None)).await.expect("connected");
    client.publish_flow(include_str!("../../../../flows/error-escalation.yaml")).await.expect("published");
    client.enable_flow(FLOW, true).await.expect("enabled");

    an_alert(&client, &alerts).await;
    a_dead_letter(&client, &alerts).await;
    a_faulted_run(&client, &alerts).await;
    an_account_that_is_not_let_in(&client, &alerts).await;

    // The alerts' own account is not let in: the run says so, and is no incident of its own.
    let last = json!({"severity": "critical", "subject": "last"});
    client.publish("alert.raised", &last, None).await.expect("published");
    assert_eq!(says(&told(&alerts, 5).await).1, "last");
    let faulted = run(&client, "faulted", |_| true).await;
    let error = faulted.more["error"]["detail"].as_str().unwrap_or_default();
    assert!(error.contains("nexus connections set alerts --set url="), "{error}");

    let past = hub.json(&["flows", "backtest", FLOW]).await;
    let began: Vec<&str> =
        past["found"].as_array().expect("findings").iter().filter_map(|f| f["type"].as_str()).collect();
    let wanted = [
        "alert.raised",
        "delivery.dead",
        "io.serverlessworkflow.workflow.faulted.v1",
        "connection.reconnect_needed",
        "alert.raised",
    ];
    assert_eq!(began, wanted, "{past}");
    let events: Value = hub.json(&["events", "--type", "connection.reconnect_needed"]).await;
    assert_eq!(events.as_array().map(Vec::len), Some(3), "new, old and alerts: {events}");
    hub.stop().await;
}
