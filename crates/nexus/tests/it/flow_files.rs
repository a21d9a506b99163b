//! Flow files on the real binary: what lies in the folder is what runs.

use std::{path::Path, time::Duration};

use nexus_client::{
    Client,
    flow::{Run, Runs},
};
use serde_json::json;

use crate::hub::{Hub, PATIENCE, text};

/// A flow that is begun by events of this type, and says so.
fn reactor(name: &str, event: &str, says: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: reactors, name: {name}, version: '1.0.0' }}\nschedule: {{ on: {{ one: {{ with: {{ type: {event} }} }} }} }}\ndo:\n  - say: {{ set: {{ text: {says} }} }}\n"
    )
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what} did not come"))
}

async fn versions(client: &Client) -> Vec<(String, String)> {
    let found = client.flows().await.expect("flows");
    found.flows.into_iter().map(|flow| (flow.name, flow.version)).collect()
}

async fn ended(client: &Client, flow: &str, count: usize) -> Vec<Run> {
    until("an ended run", async || {
        let which = Runs { flow: Some(flow.to_owned()), status: Some("completed".to_owned()), ..Runs::default() };
        let page = client.runs(&which).await.expect("runs");
        (page.items.len() >= count).then_some(page.items)
    })
    .await
}

fn put(folder: &Path, name: &str, text: &str) {
    // Whole or not at all, as editors do it.
    let draft = folder.join(format!(".{name}"));
    std::fs::write(&draft, text).expect("written");
    std::fs::rename(&draft, folder.join(name)).expect("in its place");
}

/// N-016
#[tokio::test]
async fn a_reactor_file_is_active_once_it_is_there_and_changes_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("reactors");
    std::fs::create_dir(&folder).expect("a folder");
    put(&folder, "one.yaml", &reactor("one", "order.created", "first"));
    let data = dir.path().join("data");
    let environment = [("NEXUS_FLOWS_DIR", folder.to_str().expect("text"))];
    let hub = Hub::start_with(&data, &[], &environment).await;
    let client = hub.client();
    assert_eq!(versions(&client).await, [("reactors/one".to_owned(), "1.0.0".to_owned())]);
    client.publish("order.created", &json!({"id": 1}), None).await.expect("published");
    assert_eq!(ended(&client, "reactors/one", 1).await[0].more["output"], json!({"text": "first"}));

    // A second file: active without a restart, and the first one goes on as it was.
    put(&folder, "two.yaml", &reactor("two", "order.created", "second"));
    until("the second flow", async || (versions(&client).await.len() == 2).then_some(())).await;
    client.publish("order.created", &json!({"id": 2}), None).await.expect("published");
    assert_eq!(ended(&client, "reactors/two", 1).await.len(), 1);
    let first = ended(&client, "reactors/one", 2).await;
    assert!(first.iter().all(|run| run.version == "1.0.0"), "{first:?}");

    // A change is a version of its own; what is wrong leaves the last good one in force, and is told.
    put(&folder, "one.yaml", &reactor("one", "order.created", "changed"));
    let changed = until("the changed flow", async || {
        versions(&client).await.into_iter().find(|(name, version)| name == "reactors/one" && version != "1.0.0")
    })
    .await;
    put(&folder, "one.yaml", "document: nothing");
    let wrong =
        until("the refusal", async || client.flows().await.expect("flows").wrong_files.get("one.yaml").cloned()).await;
    assert!(wrong.contains("/document"), "{wrong}");
    assert!(versions(&client).await.contains(&changed));
    client.publish("order.created", &json!({"id": 3}), None).await.expect("published");
    let runs = ended(&client, "reactors/one", 3).await;
    assert_eq!((runs[0].version.as_str(), &runs[0].more["output"]), (changed.1.as_str(), &json!({"text": "changed"})));

    // A file that is gone takes its flow away, also while the hub was down.
    hub.stop().await;
    std::fs::remove_file(folder.join("two.yaml")).expect("removed");
    let hub = Hub::start_with(&data, &[], &environment).await;
    assert_eq!(versions(&hub.client()).await, [changed]);
    hub.stop().await;
}

#[tokio::test]
async fn a_run_begun_by_hand_is_given_what_the_form_of_its_flow_asks_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start_with(&dir.path().join("data"), &[], &[]).await;
    let client = hub.client();
    client
        .publish_flow(
            "document: { dsl: '1.0.3', namespace: main, name: refund, version: '1.0.0' }\ninput: { schema: { document: { type: object, required: [amount], properties: { amount: { type: integer, minimum: 1 }, gift: { type: boolean, default: false } } } } }\ndo:\n  - say: { set: { given: '${ $workflow.input }' } }\n",
        )
        .await
        .expect("published");
    let flow = client.flow("main/refund").await.expect("there");
    let form = json!([
        {"name": "amount", "kind": "integer", "label": "amount", "required": true},
        {"name": "gift", "kind": "boolean", "label": "gift", "required": false, "preset": false},
    ]);
    assert_eq!(flow.more["form"], form);
    let run = async |given: &str| hub.cli(&["flows", "run", "main/refund", "--wait", "30s", "--set", given]).await;
    let begun = run("amount=7").await;
    assert_eq!(text(&begun.stdout).trim(), r#"{"given":{"amount":7,"gift":false}}"#, "{}", text(&begun.stderr));
    for (given, said) in [("amount=0", "/amount"), ("sum=1", "fields: amount, gift"), ("amount=much", "no number")] {
        let refused = run(given).await;
        let stderr = text(&refused.stderr);
        assert!(!refused.status.success() && stderr.contains(said), "{given}: {stderr}");
    }
    let runs = client.runs(&Runs { flow: Some("main/refund".to_owned()), ..Runs::default() }).await.expect("runs");
    assert_eq!(runs.items.len(), 1, "what was refused began nothing");
}

#[tokio::test]
async fn an_erased_event_takes_its_data_out_of_the_run_that_it_began() {
    const MARK: &str = "ada@somewhere.example";
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start_with(&dir.path().join("data"), &[], &[]).await;
    let client = hub.client();
    let copies = "'${ .[0].data }'";
    client.publish_flow(&reactor("copy", "user.joined", copies)).await.expect("published");
    let event = client.publish("user.joined", &json!({"mail": MARK}), None).await.expect("published");
    let run = ended(&client, "reactors/copy", 1).await.remove(0).id;
    let show = async || text(&hub.cli(&["flows", "show", &run]).await.stdout);
    assert!(show().await.contains(MARK));
    let erased = hub.cli(&["log", "redact", &event.message_id, "--reason", "asked"]).await;
    assert!(text(&erased.stdout).contains("1 runs of flows"), "{} {}", text(&erased.stdout), text(&erased.stderr));
    let shown = show().await;
    assert!(!shown.contains(MARK) && shown.contains("completed") && shown.contains("[erased]"), "{shown}");
}
