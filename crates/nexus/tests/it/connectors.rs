//! Connectors of the operator's own, from the command line.

use nexus_client::connector::NewConnection;
use serde_json::{Map, json};

use crate::{
    http,
    hub::{Hub, run, text},
    sink::Sink,
};

const MINE: &str = r#"
connector: 1
name: mine
title: Mine
checked: reading
base_url: "{settings.url}"
settings: {url: {title: URL}}
secrets: {token: {title: Token}}
auth: {bearer: {token: "{secrets.token}"}}
operations:
  post:
    title: Post
    method: POST
    path: ""
    json: {n: "${ .n }"}
    input: {type: object, required: [n], properties: {n: {type: integer}}, additionalProperties: false}
    response: {output: "{done: true}"}
"#;

#[tokio::test]
async fn a_script_can_connect_call_check_and_import() {
    let (dir, own) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let file = |name: &str| own.path().join(name).display().to_string();
    std::fs::write(file("mine.yaml"), MINE).expect("written");
    std::fs::write(file("wrong.yaml"), MINE.replace("method: POST", "method: SEND")).expect("written");
    let folder = own.path().display().to_string();
    let hub = Hub::start_with(dir.path(), &[], &[("NEXUS_CONNECTORS_DIR", folder.as_str())]).await;
    let sink = Sink::start().await;
    let list = hub.json(&["connectors", "list"]).await;
    let mine = list.as_array().expect("a list").iter().find(|c| c["name"] == "mine").expect("it was read");
    assert_eq!(mine["origin"], "file");
    let url = format!("url={}", sink.url);
    let made = hub.json(&["connections", "add", "ops", "--connector", "mine", "--set", &url]).await;
    assert_eq!(made["state"], "reconnect_needed");
    assert!(made["reason"].as_str().is_some_and(|r| r.contains("nexus connections set-secret ops token")), "{made}");
    let set = hub.json(&["connections", "set-secret", "ops", "token", "s3cret-token"]).await;
    assert!(set["state"] == "connected" && !set.to_string().contains("s3cret"), "{set}");
    let called = hub.json(&["connectors", "call", "mine", "post", r#"{"n":7}"#]).await;
    assert_eq!(called["output"], json!({"done": true}), "{called}");
    sink.until("the post", |got| got.iter().any(|g| g.body == json!({"n": 7}))).await;
    // Where a call belongs goes along, for a service that reports back.
    let bearer = format!("Bearer {}", hub.token());
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/json"),
        ("X-Correlation-ID", "story-7"),
        ("X-Nexus-Depth", "2"),
    ];
    let call = r#"{"operation": "post", "input": {"n": 8}}"#;
    let path = "/api/v1/connectors/mine/call";
    let called = http::send("127.0.0.1", hub.address(), "POST", path, &headers, call).await;
    assert_eq!(called.status, 200, "{called:?}");
    let got = sink.until("the second post", |got| got.iter().any(|g| g.body == json!({"n": 8}))).await;
    let got = got.iter().find(|g| g.body == json!({"n": 8})).expect("it came");
    assert_eq!((got.header("x-correlation-id"), got.header("x-nexus-depth")), ("story-7", "3"));
    let wrong = hub.cli(&["connectors", "call", "mine", "post", r#"{"n":"x"}"#]).await;
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("/n"), "{}", text(&wrong.stderr));
    let tokens = hub.json(&["token", "list"]).await;
    assert!(tokens.to_string().contains("oauth_connection"), "{tokens}");
    hub.json(&["connections", "disable", "ops"]).await;
    let off = hub.cli(&["connectors", "call", "mine", "post", r#"{"n":7}"#]).await;
    assert!(!off.status.success() && text(&off.stderr).contains("disabled"), "{}", text(&off.stderr));
    hub.json(&["connections", "remove", "ops"]).await;
    assert_eq!(hub.json(&["connections", "list"]).await, json!([]));
    hub.stop().await;

    let checked = run(own.path(), &["connectors", "check", "wrong.yaml"]).await;
    let said = text(&checked.stderr);
    assert!(!checked.status.success() && said.contains("/operations/post/method (line 13)"), "{said}");
    let description = json!({"openapi": "3.0.0", "info": {"title": "Lamps"}, "servers": [{"url": "https://lamps.example"}],
        "paths": {"/lamps/{id}": {"put": {"operationId": "switch", "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]}}}});
    std::fs::write(file("openapi.json"), description.to_string()).expect("written");
    let imported = run(own.path(), &["connectors", "import", "openapi.json", "--out", "lamps.json"]).await;
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    let checked = run(own.path(), &["connectors", "check", "lamps.json"]).await;
    assert!(
        checked.status.success() && text(&checked.stdout).contains("lamps with switch"),
        "{}",
        text(&checked.stderr)
    );
}

/// A description becomes a connector, whose operations flows call by the ids that the description gave them.
#[tokio::test]
async fn a_flow_calls_an_imported_operation_by_its_id() {
    let dir = tempfile::tempdir().expect("a folder");
    let lamps = Sink::start().await;
    let description = json!({
        "openapi": "3.0.0", "info": {"title": "Lamps"}, "servers": [{"url": lamps.base()}], "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {"/rooms/{room}/lamp": {"put": {
            "operationId": "switchLamp",
            "parameters": [
                {"name": "room", "in": "path", "required": true, "schema": {"type": "string"}},
                {"name": "fade", "in": "query", "schema": {"type": "integer"}}],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {
                "type": "object", "required": ["on"], "properties": {"on": {"type": "boolean"}}}}}},
            "responses": {"200": {"description": "done"}},
        }}},
    });
    std::fs::write(dir.path().join("openapi.json"), description.to_string()).expect("written");
    std::fs::create_dir(dir.path().join("connectors")).expect("a folder");
    let imported = run(dir.path(), &["connectors", "import", "openapi.json", "--out", "connectors/lamps.json"]).await;
    assert!(imported.status.success(), "{}", text(&imported.stderr));

    let hub = Hub::start(dir.path(), &[]).await;
    let account = NewConnection {
        name: "house".into(),
        connector: "lamps".into(),
        settings: Map::new(),
        secrets: Map::from_iter([("token".to_owned(), "lamp-token".into())]),
        scopes: None,
    };
    hub.client().create_connection(&account).await.expect("connected");
    let flow = "
document: { dsl: '1.0.3', namespace: house, name: lights, version: '1.0.0' }
do:
  - switch:
      call: connector.lamps.switchLamp:1.0.0@default
      with: { input: { room: '${ .room }', fade: 3, body: { on: true } } }
  - done: { set: { switched: '${ $workflow.input.room }' } }
";
    let file = dir.path().join("lights.yaml");
    std::fs::write(&file, flow).expect("written");
    let file = file.display().to_string();
    hub.json(&["flows", "publish", &file]).await;
    let done = hub.json(&["flows", "run", "house/lights", r#"{"room": "living room"}"#, "--wait", "30s"]).await;
    assert_eq!(
        (&done["status"], &done["output"]),
        (&json!("completed"), &json!({"switched": "living room"})),
        "{done}"
    );
    let got = lamps.got();
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!((got[0].line.as_str(), &got[0].body), ("PUT /rooms/living%20room/lamp", &json!({"on": true})));
    assert_eq!(got[0].header("authorization"), "Bearer lamp-token");

    // An operation that the description does not have is refused when the flow is published, with those that it has.
    std::fs::write(&file, flow.replace("switchLamp", "switchLamps").replace("1.0.0'", "1.1.0'")).expect("written");
    let wrong = hub.cli(&["flows", "publish", &file]).await;
    let said = text(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("switchLamps") && said.contains("it has switchLamp"), "{said}");
    // And an input that it does not take is refused before anything is sent.
    std::fs::write(&file, flow.replace("on: true", "on: bright").replace("1.0.0'", "1.2.0'")).expect("written");
    hub.json(&["flows", "publish", &file]).await;
    let wrong = hub.cli(&["flows", "run", "house/lights", r#"{"room": "kitchen"}"#, "--wait", "30s"]).await;
    let said = text(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("faulted") && said.contains("/body/on"), "{said}");
    assert_eq!(lamps.got().len(), 1);
    hub.stop().await;
}
