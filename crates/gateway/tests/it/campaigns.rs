//! One flow run that speaks on several platforms through their connectors.

#![expect(clippy::disallowed_methods, reason = "a test's own servers are not the hub's tasks")]

use std::sync::{Arc, Mutex};

use nexus_engine::{HubConfig, connectors::Library};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::rig::{PATIENCE, Rig, unlimited};

/// A request as a platform got it.
#[derive(Clone, Debug)]
struct Got {
    line: String,
    body: Value,
}

/// Stands in for the platforms: takes what comes and keeps it.
async fn platforms() -> (String, Arc<Mutex<Vec<Got>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let got: Arc<Mutex<Vec<Got>>> = Arc::default();
    let kept = Arc::clone(&got);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
                // A request is whole when its JSON is.
                let got = loop {
                    let read = stream.read(&mut part).await.unwrap_or(0);
                    bytes.extend_from_slice(&part[..read]);
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
                    if let Ok(body) = serde_json::from_str(body) {
                        break Got { line: head.lines().next().unwrap_or_default().to_owned(), body };
                    }
                    if read == 0 {
                        return;
                    }
                };
                kept.lock().expect("unpoisoned").push(got);
                let body = r#"{"id":"1","channel_id":"2"}"#;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\nx-message-id: m1\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (url, got)
}

/// A hub whose shipped connectors speak to the stand-in, with one account on each platform.
async fn rig(url: &str) -> Rig {
    const DISCORD: &str = include_str!("../../../../connectors/discord-webhook.yaml");
    const SENDGRID: &str = include_str!("../../../../connectors/sendgrid.yaml");
    let discord = DISCORD.replace("https://discord.com/api/v10", url);
    let sendgrid = SENDGRID.replace("https://api.sendgrid.com", url);
    let library = Library::shipped().with(&discord).and_then(|library| library.with(&sendgrid));
    let library = library.unwrap_or_else(|problems| panic!("{problems}"));
    let rig = Rig::with_hub(unlimited(), HubConfig { connectors: Some(library), ..HubConfig::default() }).await;
    for new in [
        json!({"name": "news", "connector": "discord-webhook", "settings": {"webhook_id": "7"}, "secrets": {"webhook_token": "discord-token"}}),
        json!({"name": "team", "connector": "discord-webhook", "settings": {"webhook_id": "8"}, "secrets": {"webhook_token": "other-token"}}),
        json!({"name": "mail", "connector": "sendgrid", "settings": {"from": "hello@example.com"}, "secrets": {"api_key": "SG.key"}}),
    ] {
        let made = rig.api("POST", "/api/v1/connections", new).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    rig
}

/// Publishes the flow and runs it to its end.
async fn run(rig: &Rig, flow: Value, input: Value) -> Value {
    let published = rig.api("POST", "/api/v1/flows", flow).await;
    assert_eq!(published.status, 201, "{}", published.text);
    let wait = format!("{}s", PATIENCE.as_secs());
    let path = format!("/api/v1/flows/campaign/post/runs?wait={wait}");
    let done = rig.api("POST", &path, json!({"input": input})).await;
    assert_eq!(done.body["data"]["status"], "completed", "{}", done.text);
    done.body["data"].clone()
}

fn flow(tasks: Value) -> Value {
    json!({"document": {"dsl": "1.0.3", "namespace": "campaign", "name": "post", "version": "1.0.0"}, "do": tasks})
}

/// S-102
#[tokio::test]
async fn one_run_posts_on_two_platforms() {
    let (url, got) = platforms().await;
    let rig = rig(&url).await;
    let discord = json!({"call": "connector.discord-webhook.execute:1.0.0@default",
        "with": {"connection": "news", "input": {"content": "${ .text }"}}});
    let mail = json!({"call": "connector.sendgrid.mail.send:1.0.0@default",
        "with": {"input": {"to": ["reader@example.com"], "subject": "News", "text": "${ .text }"}}});
    let tasks = json!([{"both": {"fork": {"branches": [{"post": discord}, {"send": mail}]}}}]);
    run(&rig, flow(tasks), json!({"text": "It is out"})).await;
    let got = got.lock().expect("unpoisoned").clone();
    let find = |path: &str| got.iter().filter(|got| got.line.contains(path)).collect::<Vec<_>>();
    let (posts, mails) = (find("/webhooks/7/discord-token"), find("/v3/mail/send"));
    assert_eq!((got.len(), posts.len(), mails.len()), (2, 1, 1), "{got:?}");
    assert_eq!(posts[0].body["content"], "It is out");
    assert_eq!(mails[0].body["content"][0]["value"], "It is out");
    rig.stop().await;
}

/// S-103
#[tokio::test]
async fn a_mail_and_a_post_of_one_campaign_share_its_id() {
    let (url, got) = platforms().await;
    let rig = rig(&url).await;
    let mail = json!({"call": "connector.sendgrid.mail.send:1.0.0@default", "with": {"input": {
        "to": ["reader@example.com"], "subject": "Spring", "text": "Spring is here",
        "categories": "${ [$workflow.input.campaign] }"}}});
    let post = json!({"call": "connector.discord-webhook.execute:1.0.0@default", "with": {"connection": "team",
        "input": {"content": "${ \"Spring is here: https://shop.example/?utm_campaign=\\($workflow.input.campaign)\" }"}}});
    let tasks = json!([{"mail": mail}, {"post": post}]);
    let done = run(&rig, flow(tasks), json!({"campaign": "spring-7"})).await;
    let got = got.lock().expect("unpoisoned").clone();
    assert_eq!(got.len(), 2, "{got:?}");
    assert_eq!(got[0].body["categories"], json!(["spring-7"]));
    assert!(got[1].line.contains("/webhooks/8/other-token"), "the account that was named: {}", got[1].line);
    let text = got[1].body["content"].as_str().expect("a text");
    assert!(text.ends_with("utm_campaign=spring-7"), "{text}");
    // No secret of an account is in what the run shows.
    let steps =
        rig.api("GET", &format!("/api/v1/runs/{}/steps", done["id"].as_str().expect("an id")), Value::Null).await;
    for secret in ["SG.key", "discord-token", "other-token"] {
        assert!(!steps.text.contains(secret) && !done.to_string().contains(secret), "{secret} is shown");
    }
    rig.stop().await;
}
