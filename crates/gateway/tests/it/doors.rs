//! What holds at every door: ids, envelopes, methods, the description, health, metrics.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn every_answer_carries_the_callers_request_id_or_a_new_one() {
    let rig = Rig::new().await;
    let given = rig.send("GET", "/health", &[("x-request-id", "mine-7")], b"").await;
    assert_eq!(given.header("x-request-id"), "mine-7");
    let made = rig.send("GET", "/nowhere", &[], b"").await;
    assert_eq!(made.body["requestId"], made.header("x-request-id"));
    let enveloped = rig.api("GET", "/api/v1/sources", Value::Null).await;
    assert_eq!(enveloped.body["requestId"], enveloped.header("x-request-id"));
    rig.stop().await;
}

#[tokio::test]
async fn api_routes_are_enveloped_and_the_others_bare() {
    let rig = Rig::new().await;
    let good = rig.api("GET", "/api/v1/sources", Value::Null).await;
    let keys: Vec<&String> = good.body.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["data", "error", "next_cursor", "requestId", "success", "timestamp"]);
    assert_eq!((&good.body["success"], &good.body["error"]), (&json!(true), &Value::Null));
    let missing = rig.api("GET", "/api/v1/sources/nope", Value::Null).await;
    assert_eq!(missing.refusal(), (404, "NOT_FOUND"));
    assert_eq!(missing.header("content-type"), "application/json");
    assert_eq!((&missing.body["success"], &missing.body["error"]["status"]), (&json!(false), &json!(404)));
    let unknown = rig.send("GET", "/api/v1/nope", &[], b"").await;
    assert_eq!((unknown.refusal(), unknown.header("content-type")), ((404, "NOT_FOUND"), "application/json"));
    let bare = rig.send("GET", "/nope", &[], b"").await;
    assert_eq!((bare.refusal(), bare.header("content-type")), ((404, "NOT_FOUND"), "application/problem+json"));
    rig.stop().await;
}

#[tokio::test]
async fn the_page_and_the_description_are_open() {
    let rig = Rig::new().await;
    for path in ["/", "/docs"] {
        let page = rig.send("GET", path, &[], b"").await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
    }
    let api = rig.send("GET", "/openapi.json", &[], b"").await;
    assert_eq!((&api.body["openapi"], &api.body), (&json!("3.1.0"), &nexus_gateway::openapi()));
    let head = rig.send("HEAD", "/health", &[], b"").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    rig.stop().await;
}

/// N-006
#[tokio::test]
async fn health_needs_no_token_and_tells_more_with_one() {
    let rig = Rig::new().await;
    let open = rig.send("GET", "/health", &[], b"").await;
    assert_eq!(open.status, 200, "{}", open.text);
    assert_eq!(open.body["status"], "healthy");
    assert!(open.body["timestamp"].is_f64() && open.body["uptime_seconds"].is_number());
    for part in ["services", "stats", "checks"] {
        assert_eq!(open.body[part], json!({}), "{part}");
    }
    // The URL of an endpoint may be its secret: a breaker goes by the subscription's name.
    let hook = json!({"name": "crm", "filter": "crm.*", "url": "http://127.0.0.1:1/secret-path"});
    assert_eq!(rig.api("POST", "/api/v1/subscriptions", hook).await.status, 201);
    let told = rig.api("GET", "/health", Value::Null).await;
    assert_eq!(told.body["services"]["crm_cb"], "closed", "{}", told.body);
    assert!(!told.body.to_string().contains("secret-path"), "{}", told.body);
    assert_eq!(told.body["stats"]["posts_tracked"], 0);
    assert_eq!(told.body["checks"]["store"]["status"], "healthy");
    assert_eq!(rig.send("GET", "/api/v1/health", &[], b"").await.refusal(), (401, "UNAUTHENTICATED"));
    let report = rig.api("GET", "/api/v1/health", Value::Null).await;
    assert_eq!((report.status.as_u16(), &report.body["success"]), (200, &json!(true)));
    assert_eq!((&report.body["status"], &report.body["data"]["status"]), (&json!("healthy"), &json!("healthy")));
    let services = report.body["data"]["services"].as_array().expect("a list");
    assert!(services.iter().any(|s| s["name"] == "store" && s["status"] == "up" && s["lastCheck"].is_string()));
    rig.stop().await;
}

/// N-029, N-032, S-251
#[tokio::test]
async fn metrics_count_events_sockets_requests_and_refusals() {
    let rig = Rig::new().await;
    assert_eq!(rig.send("GET", "/metrics", &[], b"").await.status, 401);
    rig.metrics().await;
    for _ in 0..7 {
        rig.publish("a.b", "{}").await;
    }
    let mut sockets = Vec::new();
    for _ in 0..5 {
        let mut socket = rig.socket("/ws").await;
        assert_eq!(socket.ask(&json!({"type": "ping"})).await, json!({"type": "pong"}));
        sockets.push(socket);
    }
    rig.send("GET", "/api/v1/events", &[], b"").await;
    let metrics = rig.metrics().await;
    assert_eq!(metrics[r#"nexus_websocket_connections{kind="websocket"}"#], 5.0);
    assert!(metrics["nexus_events_per_minute"] >= 7.0, "{:?}", metrics["nexus_events_per_minute"]);
    assert_eq!(metrics[r#"nexus_refused_requests_total{reason="UNAUTHENTICATED"}"#], 2.0);
    assert!(metrics[r#"nexus_http_requests_total{route="/metrics",method="GET",status="200"}"#] >= 1.0);
    assert!(metrics.keys().any(|k| k.starts_with("nexus_http_request_seconds_bucket")));
    for resource in ["nexus_store_file_bytes", "nexus_disk_free_bytes", "nexus_http_connections"] {
        assert!(metrics.contains_key(resource), "{resource}");
    }
    drop(sockets);
    rig.stop().await;
}

#[tokio::test]
async fn the_list_of_metrics_is_the_one_committed() {
    let rig = Rig::new().await;
    // What is counted by subscription is there only once there is one that delivered.
    let broken = json!({"name": "s", "filter": "a.b", "url": "http://127.0.0.1:1/", "max_attempts": 1});
    assert_eq!(rig.api("POST", "/api/v1/subscriptions", broken).await.status, 201);
    let id = rig.publish("a.b", "{}").await.id;
    crate::admin::fate(&rig, &id.to_string(), "dead").await;
    let text = rig.metrics_text().await;
    let kind = |name: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(&format!("# TYPE {name} ")));
        line.unwrap_or_else(|| panic!("{name} has no type")).to_owned()
    };
    let mut rows: Vec<String> = text
        .lines()
        .filter_map(|l| l.strip_prefix("# HELP ")?.split_once(' '))
        .map(|(name, help)| format!("| `{name}` | {} | {} |\n", kind(name), help.trim_end_matches('.')))
        .collect();
    rows.sort();
    let head = "# Metrics\n\n`GET /metrics` (scope `metrics:read`) answers in the OpenMetrics text format; counters end in \
                `_total` there.\nThis list is generated; a test keeps it.\n\n| name | type | what |\n| --- | --- | --- |\n";
    let generated = format!("{head}{}", rows.concat());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../api/metrics.md");
    if std::env::var_os("UPDATE_API").is_some() {
        std::fs::write(path, &generated).expect("api/metrics.md can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == generated, "api/metrics.md is stale: run UPDATE_API=1 cargo nextest run -p nexus-gateway");
    rig.stop().await;
}
