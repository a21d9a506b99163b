//! `/webhook/{source}`: the seed's providers, and the questions of others.

use nexus_core::{
    sign::{hex, hmac_sha256},
    store::EventQuery,
};
use serde_json::json;

use crate::rig::{Rig, sign};

async fn seed(rig: &Rig) {
    rig.source_of(json!({"id": "flowpay", "preset": "flowpay", "secrets": ["pay-key"]})).await;
    rig.source_of(json!({"id": "factory", "preset": "factory", "secrets": ["mint-key"]})).await;
}

/// N-004
#[tokio::test]
async fn a_payment_of_flowpay_becomes_payment_received() {
    let rig = Rig::new().await;
    seed(&rig).await;
    let body = r#"{"transactionId":"t1","amount":100,"payerId":"p1"}"#;
    let reply = rig.signed("/webhook/flowpay", "pay-key", body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let query = EventQuery { types: vec!["payment.received".into()], ..EventQuery::default() };
    let events = rig.hub.query(query, 10).await.expect("read").events;
    assert_eq!(reply.body, json!({"status": "processed", "event": "PAYMENT_RECEIVED", "id": events[0].id.to_string()}));
    assert_eq!(events[0].json(), body.as_bytes());
    rig.stop().await;
}

/// `curl -d` and `fetch` name no JSON type by themselves.
#[tokio::test]
async fn a_webhook_labelled_as_a_form_or_a_text_is_read_as_the_json_it_is() {
    let rig = Rig::new().await;
    seed(&rig).await;
    for (n, kind) in ["application/x-www-form-urlencoded", "text/plain;charset=UTF-8"].into_iter().enumerate() {
        let body = format!(r#"{{"transactionId":"t{n}","amount":100,"payerId":"p1"}}"#);
        let signature = sign("pay-key", body.as_bytes());
        let headers = [("x-nexus-signature", signature.as_str()), ("content-type", kind)];
        let reply = rig.send("POST", "/webhook/flowpay", &headers, body.as_bytes()).await;
        assert_eq!((reply.status.as_u16(), &reply.body["event"]), (200, &json!("PAYMENT_RECEIVED")), "{kind}");
    }
    rig.stop().await;
}

/// N-005
#[tokio::test]
async fn a_deployment_of_the_factory_becomes_mint_confirmed_on_both_paths() {
    let rig = Rig::new().await;
    seed(&rig).await;
    let reply = rig.signed("/webhook/factory", "mint-key", r#"{"contractAddress":"0xc","txHash":"0x1"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!((&reply.body["status"], &reply.body["event"]), (&json!("processed"), &json!("MINT_CONFIRMED")));
    let failed = r#"{"contractAddress":"0xc","txHash":"0x2","status":"failed"}"#;
    let reply = rig.signed("/api/webhooks/factory", "mint-key", failed).await;
    assert_eq!(reply.body["event"], "MINT_FAILED");
    let pending = r#"{"contractAddress":"0xc","txHash":"0x3","status":"pending"}"#;
    let before = rig.seq();
    let reply = rig.signed("/webhook/factory", "mint-key", pending).await;
    assert_eq!((reply.status.as_u16(), &reply.body["status"]), (200, &json!("ignored")));
    assert_eq!(rig.seq(), before);
    rig.stop().await;
}

/// N-007
#[tokio::test]
async fn a_nodes_key_opens_its_own_door_only() {
    let rig = Rig::new().await;
    seed(&rig).await;
    let body = r#"{"contractAddress":"0xc","txHash":"0x1"}"#;
    let before = rig.seq();
    assert_eq!(rig.signed("/webhook/factory", "pay-key", body).await.refusal(), (401, "UNAUTHENTICATED"));
    assert_eq!(rig.seq(), before);
    rig.stop().await;
}

#[tokio::test]
async fn the_same_transaction_is_answered_the_same_and_dispatched_once() {
    let rig = Rig::new().await;
    seed(&rig).await;
    let body = r#"{"transactionId":"t1","amount":100,"payerId":"p1"}"#;
    let first = rig.signed("/webhook/flowpay", "pay-key", body).await;
    let before = rig.seq();
    let again = rig.signed("/webhook/flowpay", "pay-key", body).await;
    assert_eq!((first.body, again.header("idempotency-replayed")), (again.body.clone(), "true"));
    assert_eq!(rig.seq(), before);
    let failed = r#"{"transactionId":"t1","amount":100,"payerId":"p1","status":"failed"}"#;
    let other = rig.signed("/webhook/flowpay", "pay-key", failed).await;
    assert_eq!((other.header("idempotency-replayed"), &other.body["event"]), ("", &json!("PAYMENT_FAILED")));
    rig.stop().await;
}

#[tokio::test]
async fn a_wrong_body_names_its_field_and_an_unknown_source_is_not_found() {
    let rig = Rig::new().await;
    seed(&rig).await;
    let reply = rig.signed("/webhook/flowpay", "pay-key", r#"{"amount":100,"payerId":"p1"}"#).await;
    assert_eq!(reply.refusal(), (422, "INVALID"), "{}", reply.text);
    assert!(reply.body["details"]["transactionId"].is_string());
    assert_eq!(rig.signed("/webhook/flowpay", "pay-key", "[]").await.refusal(), (400, "MALFORMED"));
    assert_eq!(rig.signed("/webhook/nobody", "pay-key", "{}").await.refusal(), (404, "NOT_FOUND"));
    rig.stop().await;
}

/// S-168
#[tokio::test]
async fn challenges_are_answered_and_bad_signatures_refused() {
    let rig = Rig::new().await;
    rig.source_of(json!({"id": "x", "preset": "x", "secrets": ["consumer"]})).await;
    rig.source_of(json!({"id": "li", "preset": "linkedin", "secrets": ["client"]})).await;
    let crc = rig.send("GET", "/webhook/x?crc_token=abc", &[], b"").await;
    let mac = data_encoding::BASE64.encode(&hmac_sha256(b"consumer", &[b"abc"]));
    assert_eq!((crc.status.as_u16(), &crc.body), (200, &json!({"response_token": format!("sha256={mac}")})));
    let code = "890e4665-4dfe-4ab1-b689-ed553bceeed0";
    let asked = rig.send("GET", &format!("/webhook/li?challengeCode={code}"), &[], b"").await;
    let answer = hex(&hmac_sha256(b"client", &[code.as_bytes()]));
    assert_eq!((asked.status.as_u16(), &asked.body["challengeResponse"]), (200, &json!(answer)), "{}", asked.text);
    let headers = [("x-twitter-webhooks-signature", "sha256=AAAA"), ("content-type", "application/json")];
    assert_eq!(rig.send("POST", "/webhook/x", &headers, b"{}").await.refusal(), (401, "UNAUTHENTICATED"));
    let headers = [("x-li-signature", "00"), ("content-type", "application/json")];
    assert_eq!(rig.send("POST", "/webhook/li", &headers, b"{}").await.refusal(), (401, "UNAUTHENTICATED"));
    assert_eq!(rig.send("GET", "/webhook/x", &[], b"").await.refusal(), (401, "UNAUTHENTICATED"));
    rig.stop().await;
}

#[tokio::test]
async fn a_source_of_its_own_mapping_may_make_several_events() {
    let rig = Rig::new().await;
    let mapping = r#".items | map({event: ("item." + .kind), payload: ., subject: .id})"#;
    rig.source_of(json!({"id": "shop", "secrets": ["k"], "mapping": mapping})).await;
    let body = r#"{"items":[{"id":"1","kind":"added"},{"id":"2","kind":"removed"}]}"#;
    let signature = sign("k", body.as_bytes());
    let headers = [("x-nexus-signature", signature.as_str())];
    let reply = rig.send("POST", "/webhook/shop", &headers, body.as_bytes()).await;
    assert_eq!((reply.status.as_u16(), &reply.body["count"]), (200, &json!(2)), "{}", reply.text);
    assert_eq!(reply.body["events"][1]["event"], "item.removed");
    rig.stop().await;
}
