//! WebSockets in three dialects.

use futures_util::{SinkExt, StreamExt};
use nexus_gateway::GatewayConfig;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::rig::{Rig, unlimited, within};

/// N-018, N-019, N-022
#[tokio::test]
async fn a_neo_socket_gets_frames_of_exactly_three_keys() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/ws").await;
    let asked = json!({"action": "subscribe", "events": ["PAYMENT_RECEIVED", "MINT_CONFIRMED"]});
    let answer = socket.ask(&asked).await;
    assert_eq!(answer, json!({"status": "subscribed", "events": ["PAYMENT_RECEIVED", "MINT_CONFIRMED"]}));
    rig.source_of(json!({"id": "flowpay", "preset": "flowpay", "secrets": ["k"]})).await;
    let body = r#"{"transactionId":"t1","amount":100,"payerId":"p1"}"#;
    assert_eq!(rig.signed("/webhook/flowpay", "k", body).await.status, 200);
    let frame = socket.hear().await;
    let keys: Vec<&String> = frame.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["event", "payload", "timestamp"]);
    assert_eq!(frame["event"], "PAYMENT_RECEIVED");
    assert_eq!(frame["payload"], json!({"transactionId": "t1", "amount": 100, "payerId": "p1"}));
    let now = rig.hub.clock().now().millis();
    assert!(frame["timestamp"].as_i64().is_some_and(|t| (now - t).abs() < 60_000), "{frame}");
    rig.stop().await;
}

/// N-020, C-020, C-021
#[tokio::test]
async fn only_what_was_asked_for_is_delivered() {
    let rig = Rig::new().await;
    let mut exact = rig.socket("/ws").await;
    let mut wild = rig.socket("/ws").await;
    exact.ask(&json!({"type": "subscribe", "topic": "user.created"})).await;
    wild.ask(&json!({"type": "subscribe", "topic": "user.*"})).await;
    for topic in ["user.deleted", "order.created", "user.a.b", "user.created", "end.mark"] {
        rig.publish(topic, "{}").await;
    }
    for socket in [&mut exact, &mut wild] {
        socket.say(&json!({"type": "subscribe", "topic": "end.mark", "since": 0})).await;
    }
    let mut heard = Vec::new();
    for socket in [&mut exact, &mut wild] {
        let mut topics = Vec::new();
        loop {
            let frame = socket.hear().await;
            match (frame["type"].as_str(), frame["topic"].as_str()) {
                (Some("event"), Some("end.mark")) => break,
                (Some("event"), Some(topic)) => topics.push(topic.to_owned()),
                _ => {}
            }
        }
        heard.push(topics);
    }
    assert_eq!(heard[0], ["user.created"]);
    assert_eq!(heard[1], ["user.deleted", "user.created"]);
    rig.stop().await;
}

/// S-130
#[tokio::test]
async fn a_core_socket_subscribes_publishes_pings_and_unsubscribes() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/ws").await;
    let subscribed = socket.ask(&json!({"type": "subscribe", "topic": "user.created"})).await;
    let position = subscribed["position"].as_str().expect("a place in the log");
    assert!(position.split_once(':').is_some_and(|(_, seq)| seq.parse::<u64>().is_ok()), "{position}");
    assert_eq!(subscribed, json!({"type": "subscribed", "topic": "user.created", "position": position}));
    let publish = json!({"type": "publish", "topic": "user.created", "payload": {"n": 1}, "priority": "HIGH"});
    socket.say(&publish).await;
    let (first, second) = (socket.hear().await, socket.hear().await);
    let (published, event) = if first["type"] == "published" { (first, second) } else { (second, first) };
    let id = published["message_id"].as_str().expect("an id");
    assert_eq!(published, json!({"type": "published", "topic": "user.created", "message_id": id, "seq": event["seq"]}));
    let timestamp = event["timestamp"].as_f64().expect("a float");
    assert_eq!(
        event,
        json!({"type": "event", "topic": "user.created", "payload": {"n": 1}, "timestamp": timestamp,
               "id": id, "seq": published["seq"]})
    );
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    let gone = socket.ask(&json!({"type": "unsubscribe", "topic": "user.created"})).await;
    assert_eq!(gone, json!({"type": "unsubscribed", "topic": "user.created"}));
    rig.publish("user.created", "{}").await;
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    rig.stop().await;
}

/// K-038
#[tokio::test]
async fn the_kyros_socket_streams_everything_and_nothing_else() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/api/v1/events/ws").await;
    // The socket follows from its upgrade on; a pong shows that it does.
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    let body = json!({"payload": {"lead": {"id": "l1"}}});
    let reply = rig.api("POST", "/events/lead.created", body).await;
    let frame = socket.hear().await;
    let event = rig
        .api("GET", &format!("/api/v1/events/{}", reply.body["message_id"].as_str().expect("an id")), Value::Null)
        .await;
    assert_eq!(
        frame,
        json!({"type": "lead.created", "payload": {"lead": {"id": "l1"}}, "timestamp": event.body["data"]["time"],
               "source": "backend", "id": reply.body["message_id"], "seq": reply.body["seq"]})
    );
    let mut resumed =
        rig.socket(&format!("/api/v1/events/ws?since={}", reply.body["seq"].as_u64().expect("a seq") - 1)).await;
    assert_eq!(resumed.hear().await, frame);
    rig.stop().await;
}

/// X-010
#[tokio::test]
async fn either_name_of_an_event_brings_it_once_under_the_name_asked() {
    let rig = Rig::new().await;
    let names = ["lead.captured", "lead.created", "lead.*", "PAYMENT_RECEIVED", "payment.received"];
    let mut sockets = Vec::new();
    for name in names {
        let mut socket = rig.socket("/ws").await;
        socket.ask(&json!({"action": "subscribe", "events": [name]})).await;
        sockets.push(socket);
    }
    rig.source("pay", "s", &[]).await;
    for event in ["lead.captured", "PAYMENT_RECEIVED"] {
        let body = format!(r#"{{"event":"{event}","payload":{{}}}}"#);
        assert_eq!(rig.signed("/events", "s", &body).await.status, 200);
    }
    for (socket, name) in sockets.iter_mut().zip([
        "lead.captured",
        "lead.created",
        "lead.created",
        "PAYMENT_RECEIVED",
        "payment.received",
    ]) {
        assert_eq!(socket.hear().await["event"], name);
        assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}), "once");
    }
    rig.stop().await;
}

#[tokio::test]
async fn one_socket_speaks_all_dialects_and_resumes() {
    let rig = Rig::new().await;
    let first = rig.publish("a.one", "{\"n\":1}").await;
    rig.publish("a.two", "{\"n\":2}").await;
    let mut socket = rig.socket("/ws").await;
    socket.say(&json!({"type": "subscribe", "topic": "a.*", "since": first.seq - 1})).await;
    assert_eq!(socket.hear().await["type"], "subscribed");
    assert_eq!(socket.hear().await["topic"], "a.one");
    assert_eq!(socket.hear().await["topic"], "a.two");
    // A second subscription of the past does not repeat the first one's events.
    socket.say(&json!({"action": "subscribe", "events": ["A_TWO"], "since": format!("1:{}", first.seq)})).await;
    let answer = socket.hear().await;
    assert_eq!(answer["status"], "subscribed", "{answer}");
    let again = socket.hear().await;
    assert_eq!((&again["event"], &again["payload"]), (&json!("A_TWO"), &json!({"n": 2})));
    rig.publish("a.two", "{\"n\":3}").await;
    socket.say(&json!({"type": "subscribe", "topic": "b.*", "since": "99:1"})).await;
    let answers = [socket.hear().await, socket.hear().await, socket.hear().await, socket.hear().await];
    assert!(answers.iter().any(|f| f["type"] == "gap"), "{answers:?}");
    let live: Vec<Value> = answers.into_iter().filter(|f| f["payload"]["n"] == 3).collect();
    assert!(live.iter().any(|f| f["event"] == "A_TWO") && live.iter().any(|f| f["topic"] == "a.two"), "{live:?}");
    rig.stop().await;
}

#[tokio::test]
async fn a_position_of_another_epoch_gets_a_gap_notice_in_its_dialect() {
    let rig = Rig::new().await;
    rig.publish("a.b", "{}").await;
    let mut socket = rig.socket("/ws").await;
    socket.say(&json!({"action": "subscribe", "events": ["a.b"], "since": "99:1"})).await;
    assert_eq!(socket.hear().await["status"], "subscribed");
    let gap = socket.hear().await;
    assert_eq!((&gap["status"], gap["message"].is_string()), (&json!("gap"), true), "{gap}");
    let mut kyros = rig.socket("/api/v1/events/ws?since=99:1").await;
    assert_eq!(kyros.hear().await["type"], "stream.gap");
    rig.stop().await;
}

#[tokio::test]
async fn a_position_ahead_of_the_log_gets_a_gap_that_can_be_gone_on_from() {
    let rig = Rig::new().await;
    rig.publish("a.b", "{}").await;
    let mut socket = rig.socket("/ws").await;
    let head = rig.seq();
    socket.say(&json!({"type": "subscribe", "topic": "a.*", "since": head + 500})).await;
    let subscribed = socket.hear().await;
    assert_eq!(subscribed["position"], format!("1:{head}"), "{subscribed}");
    let gap = socket.hear().await;
    assert_eq!((&gap["type"], &gap["from"], &gap["to"]), (&json!("gap"), &json!(1), &json!(head)), "{gap}");
    let why = format!("the position {} is ahead of the log, which ends at {head}: it is of another log", head + 500);
    assert_eq!(gap["message"], why, "{gap}");
    let next = rig.publish("a.c", "{}").await;
    assert_eq!(socket.hear().await["seq"], next.seq);
    // Where it ended is a position like any other.
    socket.say(&json!({"action": "subscribe", "events": ["a.c"], "since": gap["to"]})).await;
    assert_eq!(socket.hear().await["status"], "subscribed");
    assert_eq!(socket.hear().await["event"], "a.c");
    rig.stop().await;
}

#[tokio::test]
async fn a_narrow_token_sees_and_publishes_its_topics_only() {
    let rig = Rig::new().await;
    let token = rig.token("narrow", &["events:read:order.*", "events:publish:order.*"]).await;
    let mut socket = rig.socket_of("/api/v1/events/ws", &token).await;
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    rig.publish("user.created", "{}").await;
    rig.publish("order.created", "{}").await;
    assert_eq!(socket.hear().await["type"], "order.created");
    let refused = socket.ask(&json!({"type": "publish", "topic": "user.created", "payload": 1})).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("FORBIDDEN")));
    let reader = rig.token("reader", &["events:read"]).await;
    let mut socket = rig.socket_of("/ws", &reader).await;
    let refused = socket.ask(&json!({"type": "publish", "topic": "a.b", "payload": 1})).await;
    assert_eq!(refused["code"], "FORBIDDEN");
    let writer = rig.token("writer", &["events:publish"]).await;
    let mut socket = rig.socket_of("/ws", &writer).await;
    let refused = socket.ask(&json!({"action": "subscribe", "events": ["a.b"]})).await;
    assert_eq!((&refused["status"], &refused["code"]), (&json!("error"), &json!("FORBIDDEN")));
    rig.stop().await;
}

#[tokio::test]
async fn one_topic_out_of_the_tokens_sight_is_refused_with_the_scope_it_wants() {
    let rig = Rig::new().await;
    let token = rig.token("narrow", &["events:read:order.*"]).await;
    let mut socket = rig.socket_of("/ws", &token).await;
    let lacks = "token:narrow lacks the scope events:read for user.created";
    for (frame, kind) in [
        (json!({"type": "subscribe", "topic": "user.created"}), "type"),
        (json!({"type": "subscribe", "topics": ["order.created", "user.created"]}), "type"),
        (json!({"action": "subscribe", "events": ["USER_CREATED"]}), "status"),
    ] {
        let refused = socket.ask(&frame).await;
        let said = (&refused[kind], &refused["code"], &refused["message"]);
        assert_eq!(said, (&json!("error"), &json!("FORBIDDEN"), &json!(lacks)), "{frame}: {refused}");
    }
    // Of a pattern it gets what it may see; of a refused frame nothing.
    let partly = socket.ask(&json!({"type": "subscribe", "topic": "*.shipped"})).await;
    assert_eq!(partly["type"], "subscribed", "{partly}");
    for topic in ["user.created", "order.created", "user.shipped", "order.shipped"] {
        rig.publish(topic, "{}").await;
    }
    assert_eq!(socket.hear().await["topic"], "order.shipped");
    // An event has two names, of which the scope knows one.
    let leads = rig.token("leads", &["events:read:lead.created"]).await;
    let mut socket = rig.socket_of("/ws", &leads).await;
    let second_name = socket.ask(&json!({"type": "subscribe", "topic": "lead.captured"})).await;
    assert_eq!(second_name["type"], "subscribed", "{second_name}");
    // Changes of state carry values: they want the right to read some.
    let all = rig.token("all", &["events:read"]).await;
    let mut socket = rig.socket_of("/ws", &all).await;
    let refused = socket.ask(&json!({"type": "subscribe", "topic": "state.changed"})).await;
    assert_eq!(refused["message"], "token:all lacks the scope state:read", "{refused}");
    // The doors that subscribe by their address, and GraphQL.
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    for path in ["/api/v1/events/ws", "/api/v1/events/stream"] {
        let refused = rig.send("GET", &format!("{path}?filter=order.created,user.created"), &headers, b"").await;
        assert_eq!(refused.refusal(), (403, "FORBIDDEN"), "{path}: {}", refused.text);
        assert_eq!(refused.body["message"], lacks, "{path}");
    }
    let mut socket = rig.graphql_socket(&token).await;
    let query = r#"subscription{events(filter:["user.created"]){id}}"#;
    let refused = socket.ask(&json!({"type": "subscribe", "id": "1", "payload": {"query": query}})).await;
    let error = &refused["payload"][0];
    assert_eq!((&refused["type"], &error["message"]), (&json!("error"), &json!(lacks)), "{refused}");
    assert_eq!(error["extensions"]["code"], "FORBIDDEN", "{refused}");
    rig.stop().await;
}

#[tokio::test]
async fn wrong_frames_are_answered_and_the_socket_goes_on() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/ws").await;
    for (text, key) in [
        ("hello", "status"),
        ("[]", "type"),
        ("{}", "status"),
        (r#"{"action":"dance"}"#, "status"),
        (r#"{"action":"subscribe","events":[7]}"#, "status"),
        (r#"{"type":"dance"}"#, "type"),
        (r#"{"type":"publish","topic":"../x","payload":1}"#, "type"),
        (r#"{"type":"publish","topic":"a","payload":1e400}"#, "type"),
        (r#"{"type":"publish","topic":"a"}"#, "type"),
        (r#"{"type":"subscribe"}"#, "type"),
    ] {
        socket.0.send(Message::text(text)).await.expect("sent");
        let answer = socket.hear().await;
        assert_eq!(answer[key], "error", "{text}: {answer}");
        assert!(answer["code"].is_string() && answer["message"].is_string(), "{answer}");
    }
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
    let metrics = rig.metrics().await;
    assert_eq!(metrics[r#"nexus_refused_requests_total{reason="MALFORMED"}"#], 10.0);
    rig.stop().await;
}

/// C-164
#[tokio::test]
async fn frames_that_can_not_be_answered_close_the_socket_with_their_code() {
    let rig = Rig::new().await;
    let mut binary = rig.socket("/ws").await;
    binary.0.send(Message::binary(vec![1, 2, 3])).await.expect("sent");
    assert_eq!(binary.closed().await, 1003);
    let mut large = rig.socket("/ws").await;
    let _ = large.0.send(Message::text("x".repeat((1 << 20) + 1))).await;
    assert_eq!(large.closed().await, 1009);
    let bearer = format!("Authorization: Bearer {}", rig.admin);
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{bearer}\r\n\r\n"
    );
    // A text frame that is no UTF-8; an unmasked frame; a reserved opcode. The close code stands in the last frame.
    for (frame, code) in [
        (&[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff][..], 1007u16),
        (&[0x81, 0x02, b'h', b'i'][..], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0][..], 1002),
    ] {
        let answer = rig.raw_bytes(&[upgrade.as_bytes(), frame].concat()).await;
        let sent = code.to_be_bytes();
        assert!(answer.windows(2).any(|w| w == sent), "{code}: {:?}", String::from_utf8_lossy(&answer));
    }
    // Each end is counted by its reason, a client's own goodbye too.
    let mut bye = rig.socket("/ws").await;
    within(bye.0.close(None)).await.expect("closed");
    while within(bye.0.next()).await.is_some_and(|frame| frame.is_ok()) {}
    let metrics = rig.metrics().await;
    let closed =
        |reason: &str| metrics[&format!("nexus_websocket_closes_total{{kind=\"websocket\",reason=\"{reason}\"}}")];
    assert_eq!((closed("binary"), closed("too_large"), closed("not_text"), closed("bad_frame")), (1.0, 1.0, 1.0, 2.0));
    assert_eq!((closed("client"), closed("silent")), (1.0, 0.0));
    rig.stop().await;
}

#[tokio::test]
async fn too_many_frames_are_answered_and_then_closed() {
    let frame_rate = "5/h".parse().expect("a rate");
    let rig = Rig::with(GatewayConfig { frame_rate, ..unlimited() }).await;
    let mut socket = rig.socket("/ws").await;
    for _ in 0..60 {
        if socket.0.feed(Message::text(r#"{"type":"ping"}"#)).await.is_err() {
            break;
        }
    }
    let _ = socket.0.flush().await;
    let mut limited = 0;
    let code = loop {
        match within(socket.0.next()).await {
            Some(Ok(Message::Text(text))) => limited += usize::from(text.contains("RATE_LIMITED")),
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            Some(Ok(_)) => {}
            other => panic!("no close frame: {other:?}"),
        }
    };
    assert_eq!((code, limited), (1008, 20));
    rig.stop().await;
}

#[tokio::test]
async fn a_socket_has_so_many_subscriptions_and_ends_with_its_token() {
    let rig = Rig::new().await;
    let token = rig.token("short", &["events:read"]).await;
    let mut socket = rig.socket_of("/ws", &token).await;
    let names: Vec<String> = (0..256).map(|n| format!("a.n{n}")).collect();
    assert_eq!(socket.ask(&json!({"action": "subscribe", "events": names})).await["status"], "subscribed");
    let one_more = socket.ask(&json!({"action": "subscribe", "events": ["b.c"]})).await;
    assert_eq!((&one_more["status"], &one_more["code"]), (&json!("error"), &json!("TOO_LARGE")));
    let id = rig.hub.tokens().list().iter().find(|t| t.name == "short").expect("there").id.clone();
    rig.api("POST", &format!("/api/v1/tokens/{id}/revoke"), json!({})).await;
    assert_eq!(socket.closed().await, 1008);
    rig.stop().await;
}

#[tokio::test]
async fn many_sockets_hear_every_event_in_order() {
    let rig = Rig::new().await;
    let mut sockets = Vec::new();
    for n in 0..50 {
        let mut socket = rig.socket("/ws").await;
        let frame = if n % 2 == 0 {
            json!({"action": "subscribe", "events": ["TICK_NOW"]})
        } else {
            json!({"type": "subscribe", "topic": "tick.*"})
        };
        socket.ask(&frame).await;
        sockets.push(socket);
    }
    for n in 0..200 {
        rig.publish("tick.now", &n.to_string()).await;
    }
    for socket in &mut sockets {
        for n in 0..200 {
            assert_eq!(socket.hear().await["payload"], n);
        }
    }
    rig.stop().await;
}

/// C-074
#[tokio::test]
async fn an_idle_socket_is_pinged_and_a_silent_one_is_closed() {
    // Hub and client share one thread here: neither stands still without the other.
    let heartbeat = std::time::Duration::from_secs(1);
    let rig = Rig::with(GatewayConfig { heartbeat, ..unlimited() }).await;
    let mut socket = rig.socket("/ws").await;
    assert_eq!(socket.ask(&json!({"type": "subscribe", "topic": "a.*"})).await["type"], "subscribed");
    // The client library answers each ping while it is read, so the socket lives on.
    for _ in 0..3 {
        let ping = within(socket.0.next()).await.expect("a frame").expect("no error");
        assert!(matches!(ping, Message::Ping(_)), "{ping:?}");
        within(socket.0.flush()).await.expect("the pong leaves");
    }
    assert_eq!(socket.ask(&json!({"type": "unsubscribe", "topic": "a.*"})).await["type"], "unsubscribed");
    rig.publish("a.b", "{}").await;
    assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}), "unsubscribed: nothing more");
    // One that never answers is closed: its end is counted, as nobody reads the reason.
    let deaf = rig.socket("/ws").await;
    let silent = "nexus_websocket_closes_total{kind=\"websocket\",reason=\"silent\"}";
    let counted = async { while rig.metrics().await[silent] < 1.0 {} };
    within(counted).await;
    drop(deaf);
    rig.stop().await;
}
