//! GraphQL by HTTP: the queries of the Integration Core, scopes by field, limits.

use nexus_gateway::GatewayConfig;
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, unlimited};

impl Rig {
    /// A document with the administrator's token.
    pub(crate) async fn graphql(&self, query: &str) -> Value {
        let reply = self.api("POST", "/graphql", json!({"query": query})).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.body
    }

    /// A document with this token.
    pub(crate) async fn graphql_as(&self, token: &str, query: &str) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.send("POST", "/graphql", &headers, json!({"query": query}).to_string().as_bytes()).await
    }
}

fn code(body: &Value) -> &str {
    body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default()
}

/// C-066
#[tokio::test]
async fn introspection_names_the_types() {
    let rig = Rig::new().await;
    let found = rig.graphql("{__schema{types{name}}}").await;
    let types = found["data"]["__schema"]["types"].as_array().expect("types");
    let names: Vec<&str> = types.iter().filter_map(|t| t["name"].as_str()).collect();
    for name in ["Query", "Mutation", "Event", "EventConnection", "Fate", "Delivery", "Subscription", "Health"] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    // What tools send, with its seven levels of wrapped types.
    let wrapped = "{__schema{types{fields{args{type{ofType{ofType{ofType{ofType{ofType{ofType{ofType{name}}}}}}}}}}}}}";
    assert!(rig.graphql(wrapped).await["errors"].is_null());
    rig.stop().await;
}

/// C-070
#[tokio::test]
async fn publish_event_as_printed_stores_the_parsed_payload() {
    let rig = Rig::new().await;
    let mut socket = rig.socket("/ws").await;
    socket.ask(&json!({"type": "subscribe", "topic": "test.event"})).await;
    let printed = r#"
mutation {
  publishEvent(topic: "test.event", payload: "{\"data\": \"test\"}") {
    success
    messageId
  }
}
"#;
    let done = rig.graphql(printed).await;
    let id = done["data"]["publishEvent"]["messageId"].as_str().expect("an id");
    assert_eq!(done, json!({"data": {"publishEvent": {"success": true, "messageId": id}}}));
    let event = socket.hear().await;
    assert_eq!((&event["id"], &event["payload"]), (&json!(id), &json!({"data": "test"})));
    let text = rig.graphql(r#"mutation{publishEvent(topic:"test.event",payload:"just words"){seq}}"#).await;
    assert!(text["data"]["publishEvent"]["seq"].is_u64(), "{text}");
    assert_eq!(socket.hear().await["payload"], "just words");
    let again = r#"mutation{publishEvent(topic:"test.event",payload:"1",id:"x1",priority:HIGH){messageId repeat}}"#;
    let (first, second) = (rig.graphql(again).await, rig.graphql(again).await);
    assert_eq!(first["data"]["publishEvent"]["messageId"], second["data"]["publishEvent"]["messageId"]);
    assert_eq!(second["data"]["publishEvent"]["repeat"], true);
    rig.stop().await;
}

#[tokio::test]
async fn the_log_is_read_in_pages_and_an_event_tells_its_fate() {
    let rig = Rig::new().await;
    for n in 0..7 {
        rig.publish(if n % 2 == 0 { "page.even" } else { "page.odd" }, &format!("{{\"n\":{n}}}")).await;
    }
    let mut heard = Vec::new();
    let mut after = String::new();
    loop {
        let page = rig
            .graphql(&format!(
                "{{events(type:[\"page.*\"],first:3{after}){{edges{{cursor node{{payload type}}}} pageInfo{{hasNextPage endCursor}}}}}}"
            ))
            .await;
        let page = &page["data"]["events"];
        heard.extend(page["edges"].as_array().expect("edges").iter().map(|e| e["node"]["payload"]["n"].clone()));
        match page["pageInfo"]["endCursor"].as_str() {
            Some(cursor) => after = format!(",after:\"{cursor}\""),
            None => break,
        }
    }
    assert_eq!(heard, (0..7).map(Value::from).collect::<Vec<_>>());
    let newest =
        rig.graphql(r#"{events(type:["page.odd"],newestFirst:true,first:1){edges{node{id payloadText}}}}"#).await;
    let node = &newest["data"]["events"]["edges"][0]["node"];
    assert_eq!(node["payloadText"], "{\"n\":5}");
    let id = node["id"].as_str().expect("an id");
    let one = rig
        .graphql(&format!(
            r#"{{event(id:"{id}"){{seq source correlationId priority fate{{verdict stages{{stage}}}}}} fate(id:"{id}"){{eventId deliveries{{state}}}} nothing:event(id:"nonsense"){{id}}}}"#
        ))
        .await;
    assert_eq!(one["data"]["event"]["fate"]["verdict"], "unmatched", "{one}");
    assert_eq!(one["data"]["event"]["priority"], "NORMAL");
    assert_eq!(one["data"]["fate"]["eventId"], id);
    assert_eq!(one["data"]["nothing"], Value::Null);
    rig.stop().await;
}

#[tokio::test]
async fn runs_of_flows_are_answered_as_rest_has_them() {
    let rig = Rig::new().await;
    let flow = json!({
        "document": {"dsl": "1.0.3", "namespace": "main", "name": "sum", "version": "1.0.0"},
        "do": [{"add": {"set": {"total": "${ .a + .b }"}}}],
    });
    assert_eq!(rig.api("POST", "/api/v1/flows", flow).await.status, 201);
    let mut ids = Vec::new();
    for n in 0..3 {
        let begun = rig.api("POST", "/api/v1/flows/main/sum/runs?wait=60s", json!({"input": {"a": n, "b": 1}})).await;
        assert_eq!(
            (begun.status.as_u16(), &begun.body["data"]["status"]),
            (201, &json!("completed")),
            "{}",
            begun.text
        );
        ids.push(begun.body["data"]["id"].as_str().expect("an id").to_owned());
    }
    let one = rig
        .graphql(&format!(r#"{{run(id:"{}"){{flow version status trigger input output error endedAt waitingFor}} nothing:run(id:"x"){{id}}}}"#, ids[1]))
        .await;
    let rest = rig.api("GET", &format!("/api/v1/runs/{}", ids[1]), Value::Null).await.body["data"].clone();
    let run = &one["data"]["run"];
    for field in ["flow", "version", "status", "trigger", "input", "output"] {
        assert_eq!(run[field], rest[field], "{field}");
    }
    assert_eq!((&run["output"], &run["endedAt"]), (&json!({"total": 2}), &rest["ended_at"]), "{one}");
    assert_eq!((&run["error"], &run["waitingFor"], &one["data"]["nothing"]), (&Value::Null, &json!([]), &Value::Null));
    let mut heard = Vec::new();
    let mut after = String::new();
    loop {
        let asked = format!(
            r#"{{runs(flow:"main/sum",status:"completed",first:2{after}){{nodes{{id}} pageInfo{{endCursor}}}}}}"#
        );
        let page = rig.graphql(&asked).await;
        let page = &page["data"]["runs"];
        heard.extend(
            page["nodes"].as_array().expect("nodes").iter().filter_map(|n| n["id"].as_str().map(str::to_owned)),
        );
        match page["pageInfo"]["endCursor"].as_str() {
            Some(cursor) => after = format!(",after:\"{cursor}\""),
            None => break,
        }
    }
    heard.reverse();
    assert_eq!(heard, ids, "the newest come first");
    assert_eq!(code(&rig.graphql(r#"{runs(status:"done"){nodes{id}}}"#).await), "INVALID");
    let least = rig.token("least", &["health:read"]).await;
    assert_eq!(code(&rig.graphql_as(&least, "{runs{nodes{id}}}").await.body), "FORBIDDEN");
    rig.stop().await;
}

#[tokio::test]
async fn subscriptions_deliveries_and_health_are_answered() {
    let rig = Rig::new().await;
    let new = json!({"name": "audit", "filter": "order.*", "url": "https://example.com/hook"});
    assert_eq!(rig.api("POST", "/api/v1/subscriptions", new).await.status, 201);
    let found = rig
        .graphql("{subscriptions{name filters url status{state lag breaker}} subscription(name:\"nope\"){name} deliveries(state:DEAD){nodes{id} pageInfo{hasNextPage}} health{status checks{name status}}}")
        .await;
    let data = &found["data"];
    assert_eq!(data["subscriptions"][0]["filters"], json!(["order.*"]), "{found}");
    assert_eq!(data["subscriptions"][0]["status"]["state"], "active");
    assert_eq!((&data["subscription"], &data["deliveries"]["nodes"]), (&Value::Null, &json!([])));
    assert_eq!(data["health"]["status"], "healthy");
    rig.stop().await;
}

#[tokio::test]
async fn each_field_has_its_scope_and_the_refusal_names_it() {
    let rig = Rig::new().await;
    let id = rig.publish("user.created", "{}").await.id;
    let least = rig.token("least", &["health:read"]).await;
    for (query, scope) in [
        ("{events{edges{cursor}}}", "events:read"),
        ("{event(id:\"x\"){id}}", "events:read"),
        ("{fate(id:\"x\"){verdict}}", "events:read"),
        ("{subscriptions{name}}", "subscriptions:read"),
        ("{deliveries{nodes{id}}}", "subscriptions:read"),
        ("mutation{publishEvent(topic:\"a.b\",payload:\"1\"){seq}}", "events:publish"),
    ] {
        let reply = rig.graphql_as(&least, query).await;
        assert_eq!((reply.status.as_u16(), code(&reply.body)), (200, "FORBIDDEN"), "{}", reply.text);
        assert_eq!(reply.body["errors"][0]["extensions"]["retryable"], false);
        let message = reply.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.contains(scope), "{message}");
    }
    assert!(rig.graphql_as(&least, "{__schema{queryType{name}} health{status}}").await.body["errors"].is_null());
    // A narrowed scope sees and publishes its own topics only.
    let narrow = rig.token("narrow", &["events:read:order.*", "events:publish:order.*"]).await;
    let seen = rig.graphql_as(&narrow, "{events{edges{node{type}}}}").await;
    assert_eq!(seen.body["data"]["events"]["edges"], json!([]));
    let other = rig.graphql_as(&narrow, &format!("{{event(id:\"{id}\"){{type}}}}")).await;
    assert_eq!(code(&other.body), "FORBIDDEN");
    let published = rig.graphql_as(&narrow, "mutation{publishEvent(topic:\"user.x\",payload:\"1\"){seq}}").await;
    assert_eq!(code(&published.body), "FORBIDDEN");
    // Without a token nothing is answered, introspection neither.
    for (method, path) in [("POST", "/graphql"), ("GET", "/graphql?query=%7B__typename%7D")] {
        let body: &[u8] = if method == "POST" { br#"{"query":"{__typename}"}"# } else { b"" };
        assert_eq!(rig.send(method, path, &[], body).await.refusal(), (401, "UNAUTHENTICATED"));
    }
    rig.stop().await;
}

/// C-071
#[tokio::test]
async fn deep_wide_and_expensive_queries_are_refused_and_the_hub_goes_on() {
    let rig = Rig::new().await;
    let deep = format!("{{{}x{}}}", "events{edges{node{fate{".repeat(13), "}}}}".repeat(13));
    let aliases: String = (0..31).map(|n| format!("a{n}:health{{status}} ")).collect();
    let mut bomb = String::from("{...f0}");
    for n in 0..40 {
        bomb.push_str(&format!(" fragment f{n} on Query{{...f{m} ...f{m}}}", m = n + 1));
    }
    bomb.push_str(" fragment f40 on Query{__typename}");
    for (query, expected) in [
        (deep.as_str(), "TOO_LARGE"),
        (&format!("{{{}", "a{".repeat(20_000)), "TOO_LARGE"),
        (&format!("{{{aliases}}}"), "TOO_LARGE"),
        (&bomb, "TOO_LARGE"),
        ("{events(first:200){edges{node{fate{deliveries{attempts{at status error latencyMs}}}}}}}", "TOO_LARGE"),
        ("{events(first:1000){edges{cursor}}}", "INVALID"),
        ("{nope}", "INVALID"),
        ("{", "MALFORMED"),
        ("subscription{events{id}}", "INVALID"),
    ] {
        let refused = rig.graphql(query).await;
        assert_eq!(code(&refused), expected, "{:.80}: {refused}", query);
        assert!(refused["errors"][0]["extensions"]["retryable"].is_boolean());
    }
    let costly = rig.graphql("{events(first:200){edges{node{fate{deliveries{attempts{at status}}}}}}}").await;
    let message = costly["errors"][0]["message"].as_str().expect("text");
    let cost =
        message.strip_prefix("the query costs ").and_then(|rest| rest.split_once(", at most 5000 are possible: "));
    let cost: usize = cost.expect("it says how much").0.parse().expect("a number");
    assert!(cost > 5_000, "{message}");
    let broken = rig.graphql("{ health { status }\n state(key: }").await;
    assert_eq!(broken["errors"][0]["locations"], json!([{"line": 2, "column": 13}]), "{broken}");
    let message = broken["errors"][0]["message"].as_str().expect("text");
    assert!(
        message.starts_with("the document can't be read at line 2, column 13: ") && !message.contains('\n'),
        "{broken}"
    );
    assert_eq!(rig.graphql("{health{status}}").await["data"]["health"]["status"], "healthy");
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_request_is_a_problem_and_get_only_asks() {
    let rig = Rig::new().await;
    let bearer = format!("Bearer {}", rig.admin);
    let json = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (body, status) in
        [("{", 400), ("[]", 400), (r#"[{"query":"{__typename}"}]"#, 400), ("{}", 422), (r#"{"query":7}"#, 422)]
    {
        assert_eq!(rig.send("POST", "/graphql", &json, body.as_bytes()).await.refusal().0, status, "{body}");
    }
    let text = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    assert_eq!(rig.send("POST", "/graphql", &text, b"{}").await.refusal().0, 415);
    let path =
        "/graphql?query=query(%24n%3AInt)%7Bevents(first%3A%24n)%7Bedges%7Bcursor%7D%7D%7D&variables=%7B%22n%22%3A1%7D";
    let asked = rig.send("GET", path, &json[..1], b"").await;
    assert_eq!((asked.status.as_u16(), asked.body["errors"].is_null()), (200, true), "{}", asked.text);
    let change = "/graphql?query=mutation%7BpublishEvent(topic%3A%22a.b%22%2Cpayload%3A%221%22)%7Bseq%7D%7D";
    let before = rig.seq();
    assert_eq!(rig.send("GET", change, &json[..1], b"").await.refusal(), (400, "MALFORMED"));
    assert_eq!(rig.seq(), before);
    rig.stop().await;
}

#[tokio::test]
async fn publishing_counts_against_the_rate_of_publishing() {
    let publish_rate = Some("2/s".parse().expect("a rate"));
    let rig = Rig::with(GatewayConfig { publish_rate, ..unlimited() }).await;
    let query = r#"mutation{a:publishEvent(topic:"a.b",payload:"1"){seq} b:publishEvent(topic:"a.b",payload:"1"){seq} c:publishEvent(topic:"a.b",payload:"1"){seq}}"#;
    let reply = rig.graphql(query).await;
    assert_eq!(code(&reply), "RATE_LIMITED", "{reply}");
    assert_eq!(reply["errors"][0]["extensions"]["retryable"], true);
    assert!(reply["errors"][0]["extensions"]["retryAfterMs"].is_u64());
    rig.stop().await;
}

/// C-067
#[tokio::test]
async fn the_page_is_open_and_brings_all_it_needs() {
    let rig = Rig::new().await;
    let page = rig.send("GET", "/graphql", &[("accept", "text/html")], b"").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for outside in ["src=", "<link", "@import", "url(http", "http://", "https://"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    rig.stop().await;
}

/// C-069
#[tokio::test]
async fn state_is_read_as_printed_and_written_by_version() {
    let rig = Rig::new().await;
    let printed = "
query {
  state(key: \"app_config\") {
    key
    value
    version
  }
}
";
    assert_eq!(rig.graphql(printed).await, json!({"data": {"state": null}}));
    let put = rig.api("PUT", "/state/app_config", json!({"value": {"theme": "dark"}})).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let found = rig.graphql(printed).await;
    let value = found["data"]["state"]["value"].as_str().expect("a text");
    assert_eq!(serde_json::from_str::<Value>(value).expect("JSON"), json!({"theme": "dark"}));
    assert_eq!((&found["data"]["state"]["key"], &found["data"]["state"]["version"]), (&json!("app_config"), &json!(1)));
    let set = |expected: u64| {
        format!(r#"mutation{{setState(key:"app_config",value:"[1,2]",expectedVersion:{expected}){{success version}}}}"#)
    };
    let stale = rig.graphql(&set(7)).await;
    assert_eq!((code(&stale), &stale["errors"][0]["extensions"]["version"]), ("CONFLICT", &json!(1)), "{stale}");
    assert_eq!(rig.graphql(&set(1)).await, json!({"data": {"setState": {"success": true, "version": 2}}}));
    let listed = rig.graphql(r#"{states(prefix:"app"){nodes{key value} pageInfo{hasNextPage}}}"#).await;
    assert_eq!(listed["data"]["states"]["nodes"], json!([{"key": "app_config", "value": "[1,2]"}]));
    assert_eq!(code(&rig.graphql(r#"mutation{setState(key:"k",value:"not json"){version}}"#).await), "MALFORMED");
    let gone = rig.graphql(r#"mutation{deleteState(key:"app_config"){version}}"#).await;
    assert_eq!(gone["data"]["deleteState"]["version"], 3);
    assert_eq!(rig.graphql(printed).await, json!({"data": {"state": null}}));
    let narrow = rig.token("narrow", &["state:read:app/*"]).await;
    assert_eq!(code(&rig.graphql_as(&narrow, printed).await.body), "FORBIDDEN");
    rig.stop().await;
}

/// C-068
#[tokio::test]
async fn services_are_listed_as_printed_and_by_condition() {
    let rig = Rig::new().await;
    for (id, capability) in [("one", "feature1"), ("two", "feature2")] {
        let new = json!({"id": id, "name": "my-service", "version": "1.0.0", "host": "127.0.0.1", "port": 9,
                         "capabilities": [capability], "health_check_url": null});
        let registered = rig.api("POST", "/services", new).await;
        assert_eq!(registered.status, 201, "{}", registered.text);
    }
    let printed = "
query {
  services {
    id
    name
    status
    capabilities
  }
}
";
    let found = rig.graphql(printed).await;
    let services = found["data"]["services"].as_array().expect("services");
    assert_eq!(services.len(), 2, "{found}");
    assert_eq!((&services[0]["name"], &services[0]["capabilities"]), (&json!("my-service"), &json!(["feature1"])));
    let listed = rig.api("GET", "/services", Value::Null).await;
    assert_eq!(services[0]["status"], listed.body["services"][0]["status"]);
    let narrowed =
        rig.graphql(r#"{services(name:"my-service",capability:"feature2"){id host port version load}}"#).await;
    let two = json!([{"id": "two", "host": "127.0.0.1", "port": 9, "version": "1.0.0", "load": 0.0}]);
    assert_eq!(narrowed["data"]["services"], two, "{narrowed}");
    assert_eq!(rig.graphql(r#"{services(name:"other"){id}}"#).await["data"]["services"], json!([]));
    assert_eq!(code(&rig.graphql(r#"{services(status:"fine"){id}}"#).await), "INVALID");
    let blind = rig.token("blind", &["events:read"]).await;
    assert_eq!(code(&rig.graphql_as(&blind, printed).await.body), "FORBIDDEN");
    rig.stop().await;
}
