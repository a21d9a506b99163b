//! What flows ask people, from the command line: seen, answered, answered wrongly, and too late. The flow is the template's.

use std::path::Path;

use nexus_client::flow::Start;
use serde_json::{Value, json};

use crate::{
    http,
    hub::{Hub, PATIENCE, run, text},
};

/// Writes the template's flow, in which somebody has so many minutes, and publishes it.
async fn published(hub: &Hub, dir: &Path, minutes: u32) {
    let made = run(dir, &["flows", "new", "ask", "--template", "approval", "--out", "ask.yaml"]).await;
    assert!(made.status.success(), "{}", text(&made.stderr));
    let file = dir.join("ask.yaml");
    let flow = std::fs::read_to_string(&file).expect("written").replace("P2D", &format!("PT{minutes}M"));
    std::fs::write(&file, flow.replace("P1D", &format!("PT{}M", minutes / 2))).expect("written");
    let file = file.display().to_string();
    hub.json(&["flows", "publish", &file]).await;
}

/// Begins a run, and gives its id and that of what it asks.
async fn asked(hub: &Hub, what: &str) -> (String, String) {
    let begun = hub.client().start_run("main/ask", &json!({"what": what, "amount": 12}), &Start::default()).await;
    let run = begun.expect("begun").id;
    let search = async {
        loop {
            let page = hub.json(&["flows", "approvals", "--run", &run]).await;
            if let Some(id) = page["data"][0]["id"].as_str() {
                return id.to_owned();
            }
        }
    };
    let id = tokio::time::timeout(PATIENCE, search).await.expect("it asks");
    (run, id)
}

async fn ended(hub: &Hub, run: &str) -> Value {
    let search = async {
        loop {
            let run = hub.client().run(run).await.expect("a run");
            if run.status == "completed" {
                return run.more["output"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("it goes on")
}

/// A command that must fail, and what it complains of.
async fn refused(hub: &Hub, args: &[&str]) -> String {
    let output = hub.cli(&[&["flows"], args].concat()).await;
    assert!(!output.status.success(), "{args:?}: {}", text(&output.stdout));
    text(&output.stderr)
}

async fn told(hub: &Hub, args: &[&str]) -> String {
    let output = hub.cli(&[&["flows"], args].concat()).await;
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn people_see_what_is_asked_and_answer_it_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &[]).await;
    published(&hub, dir.path(), 2_880).await;
    assert!(told(&hub, &["approvals"]).await.contains("nobody is asked anything"));
    let (run, id) = asked(&hub, "a refund").await;
    let (other_run, other) = asked(&hub, "a trip").await;
    let list = told(&hub, &["approvals"]).await;
    for part in [id.as_str(), "Approve: a refund?", "Approve: a trip?", "team-lead", "main/ask", "open"] {
        assert!(list.contains(part), "{part} is not in {list}");
    }
    assert!(told(&hub, &["approvals", "--assignee", "nobody"]).await.contains("nobody is asked anything"));
    let shown = told(&hub, &["show", &run]).await;
    assert!(shown.contains("team-lead to decide \"Approve: a refund?\""), "{shown}");

    // Wrong answers: each says what is wrong, and decides nothing.
    for (args, part) in [
        (&["approve", &id, "--answers", r#"{"amount": "much"}"#][..], "answers.amount"),
        (&["approve", &id], "amount"),
        (&["approve", &id, "--answers", r#"{"amount": 1, "mood": "good"}"#], "is no field of the form"),
        (&["approve", &id, "--answers", "{amount}"], "JSON"),
        (&["approve", "nothing", "--answers", r#"{"amount": 1}"#], "there is no approval \"nothing\""),
        (&["approvals", "--state", "opne"], "open, decided, expired, withdrawn"),
    ] {
        let complaint = refused(&hub, args).await;
        assert!(complaint.contains(part), "{args:?}: {complaint}");
    }
    assert_eq!(hub.json(&["flows", "approvals"]).await["data"].as_array().map(Vec::len), Some(2));

    let done = told(&hub, &["approve", &id, "--answers", r#"{"amount": 10}"#, "--comment", "fine"]).await;
    assert!(done.contains("is approved") && done.contains(&format!("run {run} goes on")), "{done}");
    let output = ended(&hub, &run).await;
    assert_eq!(
        (&output["approved"], &output["amount"], &output["what"]),
        (&json!(true), &json!(10), &json!("a refund"))
    );
    let twice = refused(&hub, &["reject", &id]).await;
    assert!(twice.contains("was approved by"), "{twice}");

    told(&hub, &["reject", &other, "--comment", "not this year"]).await;
    let output = ended(&hub, &other_run).await;
    assert_eq!((&output["why"], &output["comment"]), (&json!("rejected"), &json!("not this year")));
    assert!(told(&hub, &["approvals"]).await.contains("nobody is asked anything"));
    let all = told(&hub, &["approvals", "--state", "all"]).await;
    assert!(all.contains("approved") && all.contains("rejected"), "{all}");
    hub.stop().await;
}

/// The link opens a page, looking at it decides nothing, and after the time is over neither page nor command decides.
#[tokio::test]
async fn what_nobody_answers_expires_and_can_not_be_answered_any_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let hub = Hub::start(dir.path(), &["--dev", "--test-clock"]).await;
    published(&hub, dir.path(), 10).await;
    let (run, id) = asked(&hub, "a refund").await;
    let link = told(&hub, &["approval-link", &id]).await.trim().to_owned();
    let path = link.trim_start_matches(&hub.url).to_owned();
    let page = http::get(hub.address(), &path, &[]).await;
    assert!(page.status == 200 && page.body.contains("Approve: a refund?"), "{page:?}");
    assert!(page.body.contains("value=\"12\""), "what was asked for stands in the form: {page:?}");
    assert_eq!(hub.json(&["flows", "approvals"]).await["data"][0]["state"], "open");

    let json = [("Content-Type", "application/json")];
    let moved = http::send("127.0.0.1", hub.address(), "POST", "/__clock", &json, r#"{"advance":"11m"}"#).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    let output = ended(&hub, &run).await;
    assert_eq!((&output["approved"], &output["why"]), (&json!(false), &json!("timeout")));
    let late = refused(&hub, &["approve", &id, "--answers", r#"{"amount": 10}"#]).await;
    assert!(late.contains(&id) && late.contains("which was its time"), "{late}");
    let page = http::get(hub.address(), &path, &[]).await;
    assert!([404, 410].contains(&page.status) && !page.body.contains("a refund"), "{page:?}");
    let expired = hub.json(&["flows", "approvals", "--state", "expired"]).await;
    assert_eq!((&expired["data"][0]["id"], expired["data"].as_array().map(Vec::len)), (&json!(id), Some(1)));
    hub.stop().await;
}
