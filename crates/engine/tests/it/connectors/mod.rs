//! Connectors against a real provider on this machine.

#![expect(clippy::disallowed_methods, reason = "a test's own tasks are not the hub's")]

mod calls;
mod limits;
mod oauth;
mod quotas;
mod together;

use std::time::Duration;

use nexus_core::access::Principal;
use nexus_engine::{
    HubConfig,
    connectors::{CallError, Called, ConnectorCall, Library},
};
use serde_json::{Value, json};

use crate::{
    provider::Provider,
    rig::{PATIENCE, Rig},
};

pub(super) const PLATFORM: &str = r#"
connector: 1
name: platform
title: Platform
checked: reading
base_url: "{settings.url}"
settings:
  url: {title: URL}
secrets:
  token: {title: Token}
auth: {bearer: {token: "{secrets.token}"}}
limits:
  headers: {remaining: x-rate-limit-remaining, reset: x-rate-limit-reset, per: account}
retry: {attempts: 3, base: 10ms, cap: 20ms}
response: {error: .detail}
operations:
  post:
    title: Post
    method: POST
    path: /posts
    json: {text: "${ .text }", reply_to: "${ .reply_to }"}
    input:
      type: object
      required: [text]
      properties: {text: {type: string, maxLength: 280}, reply_to: {type: string}}
      additionalProperties: false
    scopes: [posts:write]
    timeout: 2s
    response: {output: "{id: .id}"}
  post-once:
    title: Post, known by its key
    method: POST
    path: /posts
    json: {text: "${ .text }"}
    idempotency: {header: Idempotency-Key}
    timeout: 500ms
  post-unlike:
    title: Post, refused when it is the same again
    method: POST
    path: /posts
    json: {text: "${ .text }"}
    idempotency: {refused: '$status == 403 and (.detail | test("duplicate"))'}
    timeout: 500ms
  post-nonce:
    title: Post with a nonce
    method: POST
    path: /posts
    json: {text: "${ .text }", nonce: "${ $key.hex[:25] }"}
    idempotency: key
  read:
    title: Read
    method: GET
    path: /users/{user}/posts
    query: {limit: "${ .limit }", cursor: "${ $page }"}
    pagination: {items: .posts, next: .next, pages: 3, from: cursor}
"#;

pub(super) async fn rig(manifest: &str) -> Rig {
    Rig::with(config(manifest)).await
}

pub(super) fn config(manifest: &str) -> HubConfig {
    let library = Library::shipped().with(manifest).unwrap_or_else(|e| panic!("{e}"));
    HubConfig { connectors: Some(library), ..HubConfig::default() }
}

pub(super) async fn connect(rig: &Rig, name: &str, connection: Value) {
    let mut new = connection;
    new["name"] = name.into();
    let new = serde_json::from_value(new).expect("a connection");
    rig.hub.connectors().connections().create(new, &Principal::admin("test")).await.expect("made");
}

pub(super) async fn platform(rig: &Rig, name: &str, provider: &Provider, token: &str) {
    let new = json!({"connector": "platform", "settings": {"url": provider.url}, "secrets": {"token": token}});
    connect(rig, name, new).await;
}

pub(super) fn post(operation: &str, connection: &str) -> ConnectorCall {
    let call = ConnectorCall::new("platform", operation, json!({"text": "hello"}));
    ConnectorCall { connection: Some(connection.into()), patience: Duration::from_secs(5), ..call }
}

pub(super) async fn call(rig: &Rig, call: ConnectorCall) -> Result<Called, CallError> {
    tokio::time::timeout(PATIENCE, rig.hub.connectors().call(call)).await.expect("it ends")
}
