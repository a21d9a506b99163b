//! People decide what flows ask: by a link's page, with a token, or not in time.

use std::{sync::Arc, time::Duration};

use nexus_core::{
    record::Record,
    store::{Commit, Guard, Key, Store, Write},
};
use nexus_engine::{Hub, HubConfig, clock::SystemClock};
use nexus_flows::host::approval::record::{Approval, Decision, Outcome, State};
use nexus_store::{SqliteOptions, SqliteStore};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::rig::{Reply, Rig, unlimited, within};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Publishes a flow that asks with these arguments, begins a run, and gives its id.
async fn asks(rig: &Rig, name: &str, with: &Value) -> String {
    let flow = json!({
        "document": {"dsl": "1.0.3", "namespace": "main", "name": name, "version": "1.0.0"},
        "do": [{"ask": {"call": "approval:1.0.0@default", "with": with}}],
    });
    let made = rig.api("POST", "/api/v1/flows", flow).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let begun = rig.api("POST", &format!("/api/v1/flows/main/{name}/runs"), json!({"input": {}})).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
    begun.body["data"]["id"].as_str().expect("an id").to_owned()
}

async fn get(rig: &Rig, path: &str) -> Value {
    rig.api("GET", path, Value::Null).await.body["data"].clone()
}

/// The approval of a run, once it is there.
async fn approval_of(rig: &Rig, run: &str) -> Value {
    rig.hub.advance(Duration::from_millis(1)).await.expect("settled");
    get(rig, &format!("/api/v1/approvals?run={run}")).await[0].clone()
}

async fn ended(rig: &Rig, run: &str) -> Value {
    let outcome = rig.hub.advance(Duration::from_millis(1));
    outcome.await.expect("settled");
    get(rig, &format!("/api/v1/runs/{run}")).await
}

async fn events(rig: &Rig, kind: &str) -> Vec<Value> {
    let found = get(rig, &format!("/api/v1/events?type={kind}&limit=100")).await;
    found.as_array().expect("a list").clone()
}

/// Takes the next message that is sent to a listener: its head, and its body.
async fn message(listener: &TcpListener) -> (String, Value) {
    let read = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut bytes = Vec::new();
        loop {
            let mut part = [0; 4096];
            let n = stream.read(&mut part).await.expect("bytes");
            bytes.extend_from_slice(part.get(..n).expect("read"));
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && let Ok(body) = serde_json::from_str(body)
            {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.expect("answered");
                return (head.to_ascii_lowercase(), body);
            }
        }
    };
    within(read).await
}

async fn sink() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    (listener, url)
}

async fn post(rig: &Rig, path: &str, body: &str) -> Reply {
    rig.send("POST", path, &[FORM], body.as_bytes()).await
}

#[tokio::test]
async fn a_link_opens_a_page_and_only_its_form_decides_and_only_once() {
    let rig = Rig::new().await;
    let (listener, url) = sink().await;
    let form = json!({"type": "object", "required": ["amount"],
        "properties": {"amount": {"type": "number", "minimum": 0, "title": "Amount <b>"}}});
    let with = json!({"title": "Pay <script>?", "description": "Order 7", "assignee": "ada", "form": form,
        "notify": {"url": url}});
    let run = asks(&rig, "pay", &with).await;
    let (head, sent) = message(&listener).await;
    assert!(head.contains("idempotency-key:"), "{head}");
    let link = sent["link"].as_str().expect("a link").to_owned();
    let token = link.rsplit('/').next().expect("a token").to_owned();
    assert_eq!(token.len(), 43);
    let approval = approval_of(&rig, &run).await;
    assert_eq!((&approval["state"], &approval["assignee"]), (&json!("open"), &json!("ada")));
    let waits = get(&rig, &format!("/api/v1/runs/{run}")).await["waiting_for"][0].clone();
    assert_eq!((&waits["for"], &waits["title"]), (&json!("approval"), &json!("Pay <script>?")), "{waits}");
    assert_eq!(waits["until"], approval["expires_at"]);

    let before = rig.seq();
    for method in ["GET", "HEAD", "GET"] {
        let page = rig.send(method, &link, &[], b"").await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert!(page.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(!page.text.contains("<script>") && !page.text.contains("<b>"), "{}", page.text);
        assert!(method == "HEAD" || page.text.contains("Pay &lt;script&gt;?"), "{}", page.text);
    }
    assert_eq!(rig.seq(), before, "looking changes nothing");
    assert_eq!(approval_of(&rig, &run).await["state"], "open");

    let wrong = post(&rig, &link, "decision=approved&answer.amount=-1&comment=hm").await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    assert!(wrong.text.contains("amount") && wrong.text.contains(">hm</textarea>"), "{}", wrong.text);
    assert_eq!(post(&rig, &link, "answer.amount=1").await.status, 400);
    assert_eq!(approval_of(&rig, &run).await["state"], "open");

    let done = post(&rig, &link, "decision=approved&answer.amount=12.5&comment=fine").await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(done.text.contains("Approved"), "{}", done.text);
    for reply in [post(&rig, &link, "decision=rejected").await, rig.send("GET", &link, &[], b"").await] {
        assert_eq!(reply.status, 410, "{}", reply.text);
        assert!(!reply.text.contains("Order 7") && !reply.text.contains("Pay"), "{}", reply.text);
    }
    let unknown = format!("/approvals/{}", "A".repeat(43));
    assert_eq!(post(&rig, &unknown, "decision=approved").await.status, 404);

    let ended = ended(&rig, &run).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    let output = &ended["output"];
    assert_eq!((&output["outcome"], &output["by"]), (&json!("approved"), &json!("link:ada")));
    assert_eq!((&output["answers"], &output["comment"]), (&json!({"amount": 12.5}), &json!("fine")));
    assert_eq!(events(&rig, "approval.decided").await.len(), 1);
    // Who reads events or approvals can't decide.
    for kind in ["approval.requested", "approval.decided"] {
        let told = events(&rig, kind).await;
        assert_eq!(told.len(), 1, "{kind}");
        assert!(!json!(told).to_string().contains(&token));
    }
    let listed = get(&rig, "/api/v1/approvals").await.to_string();
    assert!(!listed.contains(&token) && !listed.contains("\"token\""), "{listed}");
    rig.stop().await;
}

#[tokio::test]
async fn what_nobody_decides_goes_to_the_next_and_then_expires_each_once() {
    let rig = Rig::new().await;
    let (listener, url) = sink().await;
    let with = json!({"title": "Pay?", "assignee": "ada", "timeout": "P1D", "notify": {"url": url},
        "escalate": {"after": "2h", "assignee": "bea"}});
    let run = asks(&rig, "late", &with).await;
    let first = message(&listener).await.1;
    let (advanced, second) = tokio::join!(rig.hub.advance(Duration::from_secs(7_300)), message(&listener));
    advanced.expect("later");
    let second = second.1;
    assert_eq!((&first["assignee"], &second["assignee"]), (&json!("ada"), &json!("bea")));
    assert_eq!(second["escalated"], true);
    let link = |sent: &Value| sent["link"].as_str().expect("a link").to_owned();
    assert_eq!(rig.send("GET", &link(&first), &[], b"").await.status, 404, "it was for who did not decide");
    assert_eq!(rig.send("GET", &link(&second), &[], b"").await.status, 200);
    rig.hub.advance(Duration::from_secs(86_400)).await.expect("later");
    assert_eq!(post(&rig, &link(&second), "decision=approved").await.status, 410);
    let ended = ended(&rig, &run).await;
    assert_eq!((&ended["status"], &ended["output"]["outcome"]), (&json!("completed"), &json!("timeout")), "{ended}");
    assert_eq!(ended["output"]["escalated"], true);
    rig.hub.advance(Duration::from_secs(86_400)).await.expect("later");
    for kind in ["approval.requested", "approval.escalated", "approval.expired"] {
        assert_eq!(events(&rig, kind).await.len(), 1, "{kind}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_token_decides_what_its_scope_allows_and_nothing_that_nobody_waits_for() {
    let rig = Rig::new().await;
    let run = asks(&rig, "one", &json!({"title": "Pay?"})).await;
    let id = approval_of(&rig, &run).await["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/approvals/{id}");
    let other = format!("Bearer {}", rig.token("other", &["flows:approve:main/two"]).await);
    let yes = json!({"decision": "approved"}).to_string();
    let headers = [("authorization", other.as_str()), ("content-type", "application/json")];
    assert_eq!(rig.send("POST", &path, &headers, yes.as_bytes()).await.status, 403);
    let odd = rig.api("POST", &path, json!({"decision": "approved", "answers": {"x": 1}})).await;
    assert_eq!(odd.refusal(), (422, "INVALID"));
    let link = rig.api("POST", &format!("{path}/link"), json!({})).await.body["data"]["link"].clone();
    let again = rig.api("POST", &format!("{path}/link"), json!({})).await.body["data"]["link"].clone();
    assert_eq!(rig.send("GET", link.as_str().expect("a link"), &[], b"").await.status, 404);
    assert_eq!(rig.send("GET", again.as_str().expect("a link"), &[], b"").await.status, 200);
    let done = rig.api("POST", &path, json!({"decision": "rejected", "comment": "no"})).await;
    assert_eq!((done.status.as_u16(), &done.body["data"]["heard"]), (200, &json!(true)), "{}", done.text);
    let twice = rig.api("POST", &path, json!({"decision": "approved"})).await;
    assert_eq!(twice.refusal(), (409, "CONFLICT"), "{}", twice.text);
    assert!(twice.text.contains("was rejected by"), "{}", twice.text);
    assert_eq!(ended(&rig, &run).await["output"]["outcome"], "rejected");
    assert_eq!(events(&rig, "audit.flow.approval_decided").await.len(), 1);

    let run = asks(&rig, "two", &json!({"title": "Pay?"})).await;
    let id = approval_of(&rig, &run).await["id"].as_str().expect("an id").to_owned();
    rig.api("POST", &format!("/api/v1/runs/{run}/cancel"), Value::Null).await;
    assert_eq!(approval_of(&rig, &run).await["state"], "withdrawn");
    let late = rig.api("POST", &format!("/api/v1/approvals/{id}"), json!({"decision": "approved"})).await;
    assert_eq!(late.refusal(), (409, "CONFLICT"), "{}", late.text);
    assert!(late.text.contains("nobody waits"), "{}", late.text);
    let open = get(&rig, "/api/v1/approvals?state=open").await;
    assert_eq!(open, json!([]));
    rig.stop().await;
}

fn sqlite(dir: &std::path::Path, clock: &SystemClock) -> Arc<dyn Store> {
    let collections = [Hub::collections(), nexus_services::collections(), nexus_flows::host::collections()].concat();
    let options = SqliteOptions::default();
    Arc::new(SqliteStore::open(dir, &collections, Arc::new(clock.clone()), options).expect("a store"))
}

#[tokio::test]
async fn a_decision_that_was_stored_before_a_crash_reaches_its_run_after_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = SystemClock::new();
    let rig = Rig::over(unlimited(), HubConfig::default(), sqlite(dir.path(), &clock), clock.clone()).await;
    let (listener, url) = sink().await;
    let run = asks(&rig, "crash", &json!({"title": "Pay?", "notify": {"url": url}})).await;
    let link = message(&listener).await.1["link"].as_str().expect("a link").to_owned();
    let waiting = asks(&rig, "still", &json!({"title": "And this?"})).await;
    let id = approval_of(&rig, &run).await["id"].as_str().expect("an id").to_owned();
    approval_of(&rig, &waiting).await;
    rig.stop().await;

    // As a process leaves it that ends between the decision and telling the run.
    let store = sqlite(dir.path(), &clock);
    let document = store.get(Approval::COLLECTION, &id).await.expect("read").expect("there");
    let mut approval: Approval = serde_json::from_str(&document.body).expect("an approval");
    approval.state = State::Decided;
    approval.decision = Some(Decision {
        outcome: Outcome::Approved,
        by: Some("token:ada".into()),
        comment: None,
        answers: json!({}),
        at: approval.created_at,
    });
    let commit = Commit {
        guards: vec![Guard::Version(Key::of::<Approval>(&id), document.version)],
        documents: vec![Write::put(&approval).expect("JSON")],
        ..Commit::default()
    };
    store.commit(commit).await.expect("stored");

    let rig = Rig::over(unlimited(), HubConfig::default(), store, clock).await;
    let done = ended(&rig, &run).await;
    assert_eq!((&done["status"], &done["output"]["by"]), (&json!("completed"), &json!("token:ada")), "{done}");
    assert_eq!(rig.send("GET", &link, &[], b"").await.status, 410);
    assert_eq!(approval_of(&rig, &waiting).await["state"], "open", "the other waits on");
    assert_eq!(events(&rig, "approval.requested").await.len(), 2, "nobody is asked twice");
    rig.stop().await;
}

#[tokio::test]
async fn a_notification_is_an_event_once_and_a_message_where_one_is_asked_for() {
    let rig = Rig::new().await;
    let (listener, url) = sink().await;
    let flow = json!({
        "document": {"dsl": "1.0.3", "namespace": "main", "name": "tell", "version": "1.0.0"},
        "do": [{"tell": {"call": "notify:1.0.0@default",
            "with": {"title": "Stock", "text": "low", "severity": "critical", "to": "ops", "url": url}}}],
    });
    assert_eq!(rig.api("POST", "/api/v1/flows", flow).await.status, 201);
    let begun = rig.api("POST", "/api/v1/flows/main/tell/runs", json!({})).await;
    let run = begun.body["data"]["id"].as_str().expect("an id").to_owned();
    let (head, sent) = message(&listener).await;
    assert!(head.contains("idempotency-key:"), "{head}");
    assert_eq!((&sent["title"], &sent["severity"], &sent["to"]), (&json!("Stock"), &json!("critical"), &json!("ops")));
    let ended = ended(&rig, &run).await;
    assert_eq!((&ended["status"], &ended["output"]["sent"]), (&json!("completed"), &json!(true)), "{ended}");
    let told = events(&rig, "notification.requested").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["payload"]["text"], "low");
    assert!(!json!(told).to_string().contains("/hook"), "where it goes may be a secret");
    rig.stop().await;
}
