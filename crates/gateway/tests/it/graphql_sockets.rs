//! Subscriptions over graphql-transport-ws.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use crate::rig::{Rig, Socket, within};

impl Rig {
    /// A socket of GraphQL without any proof.
    async fn graphql_bare(&self) -> Socket {
        let mut request = format!("ws://{}/graphql", self.address).into_client_request().expect("a request");
        let protocol = "graphql-transport-ws".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, answer) = within(tokio_tungstenite::connect_async(request)).await.expect("a socket");
        assert_eq!(answer.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        Socket(socket)
    }

    /// One that has said who it is.
    pub(crate) async fn graphql_socket(&self, token: &str) -> Socket {
        let mut socket = self.graphql_bare().await;
        let ack = socket.ask(&json!({"type": "connection_init", "payload": {"token": token}})).await;
        assert_eq!(ack, json!({"type": "connection_ack"}));
        socket
    }
}

fn subscribe(id: &str, query: &str) -> Value {
    json!({"type": "subscribe", "id": id, "payload": {"query": query}})
}

/// A question answered shows that the subscription before it has begun: operations are polled in turns.
async fn settled(socket: &mut Socket) {
    socket.say(&subscribe("settled", "{__typename}")).await;
    loop {
        let frame = socket.hear().await;
        if frame["id"] == "settled" && frame["type"] == "complete" {
            return;
        }
    }
}

#[tokio::test]
async fn events_come_as_they_are_committed_until_the_client_completes() {
    let rig = Rig::new().await;
    let mut socket = rig.graphql_socket(&rig.admin).await;
    socket.say(&subscribe("1", r#"subscription{events(filter:["order.*"]){type payload seq}}"#)).await;
    settled(&mut socket).await;
    rig.publish("user.created", "{}").await;
    let stored = rig.publish("order.created", "{\"n\":1}").await;
    assert_eq!(
        socket.hear().await,
        json!({"id": "1", "type": "next", "payload":
               {"data": {"events": {"type": "order.created", "payload": {"n": 1}, "seq": stored.seq}}}})
    );
    socket.say(&json!({"type": "complete", "id": "1"})).await;
    let ping = json!({"type": "ping", "payload": {"n": 2}});
    assert_eq!(socket.ask(&ping).await, json!({"type": "pong", "payload": {"n": 2}}));
    rig.publish("order.created", "{\"n\":2}").await;
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}), "nothing more came");
    // What was missed is had by its position.
    socket.say(&subscribe("1", &format!(r#"subscription{{events(since:"{}"){{payload}}}}"#, stored.seq))).await;
    assert_eq!(socket.hear().await["payload"]["data"]["events"]["payload"]["n"], 2);
    socket.say(&subscribe("2", r#"subscription{events(since:"99:1"){seq}}"#)).await;
    let gap = socket.hear().await;
    assert_eq!((&gap["type"], &gap["payload"]["errors"][0]["extensions"]["code"]), (&json!("next"), &json!("GAP")));
    rig.stop().await;
}

#[tokio::test]
async fn questions_and_changes_are_answered_over_the_socket_too() {
    let rig = Rig::new().await;
    let mut socket = rig.graphql_socket(&rig.admin).await;
    socket.say(&subscribe("q", r#"mutation{publishEvent(topic:"a.b",payload:"1"){success}}"#)).await;
    assert_eq!(socket.hear().await["payload"]["data"]["publishEvent"]["success"], true);
    assert_eq!(socket.hear().await, json!({"id": "q", "type": "complete"}));
    for (query, code) in [
        ("{nope}", "INVALID"),
        ("{", "MALFORMED"),
        ("subscription{events(filter:[\"a..b\"]){id}}", "INVALID"),
        (&format!("{{{}", "a{".repeat(70)), "TOO_LARGE"),
    ] {
        let refused = socket.ask(&subscribe("q", query)).await;
        let said = (&refused["type"], &refused["id"], &refused["payload"][0]["extensions"]["code"]);
        assert_eq!(said, (&json!("error"), &json!("q"), &json!(code)), "{query}: {refused}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_without_a_proof_is_closed_with_4401() {
    let rig = Rig::new().await;
    let mut wrong = rig.graphql_bare().await;
    wrong.say(&json!({"type": "connection_init", "payload": {"token": "nxs_wrong"}})).await;
    assert_eq!(wrong.closed().await, 4401);
    let mut none = rig.graphql_bare().await;
    none.say(&json!({"type": "connection_init"})).await;
    assert_eq!(none.closed().await, 4401);
    let mut early = rig.graphql_bare().await;
    early.say(&subscribe("1", "{__typename}")).await;
    assert_eq!(early.closed().await, 4401);
    assert_eq!(rig.graphql_bare().await.closed().await, 4401, "one that says nothing is not waited for without end");
    // A proof that comes with the upgrade must hold at once.
    let headers = [("sec-websocket-protocol", "graphql-transport-ws")];
    assert_eq!(rig.refused_socket("/graphql?token=nxs_wrong", &headers).await, 401);
    assert_eq!(rig.refused_socket("/graphql", &[]).await, 400);
    let metrics = rig.metrics().await;
    assert_eq!(metrics[r#"nexus_websocket_closes_total{kind="graphql",reason="protocol"}"#], 4.0);
    rig.stop().await;
}

#[tokio::test]
async fn breaches_of_the_protocol_close_with_its_codes() {
    let rig = Rig::new().await;
    let init = json!({"type": "connection_init", "payload": {"token": rig.admin}});
    let long = subscribe("1", "subscription{events{id}}");
    for (frame, code) in [("hello".to_owned(), 4400), (init.to_string(), 4429), (long.to_string(), 4409)] {
        let mut socket = rig.graphql_socket(&rig.admin).await;
        socket.say(&long).await;
        within(socket.0.send(Message::text(frame))).await.expect("sent");
        assert_eq!(socket.closed().await, code);
    }
    rig.stop().await;
}

#[tokio::test]
async fn scopes_hold_on_the_socket_and_it_ends_with_its_token() {
    let rig = Rig::new().await;
    let blind = rig.token("blind", &["events:publish"]).await;
    let mut socket = rig.graphql_socket(&blind).await;
    let refused = socket.ask(&subscribe("1", "subscription{events{id}}")).await;
    assert_eq!(
        (&refused["type"], &refused["payload"][0]["extensions"]["code"]),
        (&json!("error"), &json!("FORBIDDEN"))
    );
    let narrow = rig.token("narrow", &["events:read:order.*"]).await;
    let mut socket = rig.graphql_socket(&narrow).await;
    socket.say(&subscribe("1", "subscription{events{type}}")).await;
    settled(&mut socket).await;
    rig.publish("user.created", "{}").await;
    rig.publish("order.created", "{}").await;
    assert_eq!(socket.hear().await["payload"]["data"]["events"]["type"], "order.created");
    let id = rig.hub.tokens().list().iter().find(|t| t.name == "narrow").expect("there").id.clone();
    rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), json!({})).await;
    assert_eq!(socket.closed().await, 1008);
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_has_so_many_operations() {
    let rig = Rig::new().await;
    let mut socket = rig.graphql_socket(&rig.admin).await;
    for n in 0..64 {
        socket.say(&subscribe(&n.to_string(), "subscription{events{id}}")).await;
    }
    let refused = socket.ask(&subscribe("one-more", "subscription{events{id}}")).await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("one-more")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "TOO_LARGE");
    rig.publish("a.b", "1").await;
    let mut heard = std::collections::BTreeSet::new();
    for _ in 0..64 {
        heard.insert(socket.hear().await["id"].to_string());
    }
    assert_eq!(heard.len(), 64, "each operation gets the event once");
    rig.stop().await;
}

#[tokio::test]
async fn changes_of_state_are_watched_by_key_and_by_prefix() {
    let rig = Rig::new().await;
    let mut socket = rig.graphql_socket(&rig.admin).await;
    socket.say(&subscribe("key", r#"subscription{stateChanged(key:"app/a"){value oldValue version}}"#)).await;
    settled(&mut socket).await;
    let mut narrow = rig.graphql_socket(&rig.token("narrow", &["state:read:app/*"]).await).await;
    narrow.say(&subscribe("all", r"subscription{stateChanged{key value oldValue version}}")).await;
    settled(&mut narrow).await;
    for (key, value) in [("other", 1), ("app/b", 2), ("app/a", 3), ("app/a", 4)] {
        assert_eq!(rig.api("PUT", &format!("/state/{key}"), json!({"value": value})).await.status, 200);
    }
    assert_eq!(rig.api("DELETE", "/state/app%2Fa", Value::Null).await.status, 200);
    let data = |frame: Value| frame["payload"]["data"]["stateChanged"].clone();
    assert_eq!(data(socket.hear().await), json!({"value": "3", "oldValue": null, "version": 1}));
    assert_eq!(data(socket.hear().await), json!({"value": "4", "oldValue": "3", "version": 2}));
    assert_eq!(data(socket.hear().await), json!({"value": null, "oldValue": "4", "version": 3}));
    let keys = [data(narrow.hear().await), data(narrow.hear().await)].map(|d| d["key"].clone());
    assert_eq!(keys, [json!("app/b"), json!("app/a")]);
    rig.stop().await;
}

/// X-012
#[tokio::test]
async fn one_event_has_one_id_at_every_door() {
    let rig = Rig::new().await;
    let mut live = rig.graphql_socket(&rig.admin).await;
    live.say(&subscribe("1", r#"subscription{events(filter:["order.*","audit.*"]){id type}}"#)).await;
    settled(&mut live).await;
    let mut core = rig.socket("/ws").await;
    for topic in ["order.*", "audit.>"] {
        assert_eq!(core.ask(&json!({"type": "subscribe", "topic": topic})).await["type"], "subscribed");
    }
    let published = rig.api("POST", "/events/order.created", json!({"payload": {"n": 1}})).await;
    let id = published.body["message_id"].as_str().expect("an id").to_owned();
    assert_eq!(core.hear().await["id"], id.as_str());
    assert_eq!(live.hear().await["payload"]["data"]["events"]["id"], id.as_str());
    let asked = rig.api("POST", "/graphql", json!({"query": format!(r#"{{event(id:"{id}"){{id}}}}"#)})).await;
    assert_eq!(asked.body["data"]["event"]["id"], id.as_str());
    assert_eq!(rig.api("GET", &format!("/api/v1/events/{id}"), Value::Null).await.body["data"]["id"], id.as_str());
    // Replayed from its place in the log it is the same again.
    let since = published.body["seq"].as_u64().expect("a seq") - 1;
    let mut again = rig.socket("/ws").await;
    again.say(&json!({"type": "subscribe", "topic": "order.*", "since": since})).await;
    assert_eq!(again.hear().await["type"], "subscribed");
    assert_eq!(again.hear().await["id"], id.as_str());
    // An administrative act is an event of the same log.
    let new = json!({"id": "shop", "secrets": ["s"]});
    assert_eq!(rig.api("POST", "/api/v1/sources", new).await.status, 201);
    let audit = core.hear().await;
    let audited = rig.graphql(r#"{events(type:["audit.source.created"]){edges{node{id}}}}"#).await;
    assert_eq!(audited["data"]["events"]["edges"][0]["node"]["id"], audit["id"]);
    rig.stop().await;
}
