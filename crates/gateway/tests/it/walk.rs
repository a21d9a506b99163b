//! Every route of the description is walked: who may, which methods, how refusals look.

use serde_json::Value;

use crate::rig::{Reply, Rig};

struct Walked {
    method: String,
    path: String,
    auth: String,
}

fn routes() -> Vec<Walked> {
    let api = nexus_gateway::openapi();
    let mut found = Vec::new();
    for (path, methods) in api["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let auth = operation["x-auth"].as_str().expect("a class").to_owned();
            for class in ["x-rate-class", "x-audit"] {
                assert!(operation[class].is_string(), "{method} {path} lacks {class}");
            }
            let path = path.replace("{source}", "pay").replace("{token}", "none").replace("{topic}", "a.b");
            let path = path.replace("{id}", "1").replace("{name}", "n").replace("{key}", "k");
            let path = path.replace("{subscription}", "n").replace("{secret}", "s");
            found.push(Walked { method: method.to_ascii_uppercase(), path, auth });
        }
    }
    found
}

fn documented(route: &Walked, reply: &Reply, status: u16) {
    let place = format!("{} {}: {}", route.method, route.path, reply.text);
    assert_eq!(reply.status.as_u16(), status, "{place}");
    assert_eq!(reply.body["success"], false, "{place}");
    assert_eq!(reply.body["error"]["status"], status, "{place}");
    for field in ["code", "message", "retryable", "requestId"] {
        assert!(!reply.body[field].is_null(), "{field} is missing: {place}");
    }
    let kind = reply.header("content-type");
    if reply.body["timestamp"].is_string() {
        assert_eq!(kind, "application/json", "{place}");
    } else {
        assert_eq!(kind, "application/problem+json", "{place}");
        assert_eq!(reply.body["status"], status, "{place}");
    }
}

/// K-160
#[tokio::test]
async fn each_route_demands_its_proof_and_its_scope() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    // The smallest scope there is; no route but health asks for it.
    let token = rig.token("least", &["health:read"]).await;
    let bearer = format!("Bearer {token}");
    let upgrade = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut walked = 0;
    for route in routes() {
        let mut headers = upgrade.to_vec();
        let without = rig.send(&route.method, &route.path, &headers, b"").await;
        headers.push(("authorization", &bearer));
        let with = rig.send(&route.method, &route.path, &headers, b"").await;
        match route.auth.as_str() {
            "open" => {
                // Not as a socket: the one open route that can be one wants more than these headers then.
                let plain = rig.send(&route.method, &route.path, &[], b"").await;
                // Where providers send people back to wants to know what was begun.
                let status = if route.path == "/oauth/callback" { 422 } else { 200 };
                assert_eq!(plain.status, status, "{} {}", route.method, route.path);
            }
            "link" => {
                for reply in [&without, &with] {
                    assert_eq!(reply.status, 404, "{} {}", route.method, route.path);
                    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
                }
            }
            "signature" => {
                documented(&route, &without, 401);
                documented(&route, &with, 401);
            }
            "any token" => {
                documented(&route, &without, 401);
                let let_in = with.status.is_success() || matches!(with.status.as_u16(), 400 | 422);
                assert!(let_in, "{} {}: {}", route.method, route.path, with.text);
            }
            auth if auth.contains("test clock") => documented(&route, &without, 404),
            auth => {
                let auth = auth.strip_prefix("the token itself, or ").unwrap_or(auth);
                assert!(auth.starts_with("scope "), "{auth}");
                documented(&route, &without, 401);
                documented(&route, &with, 403);
                let scope = auth.trim_start_matches("scope ").split([' ', ',']).next().expect("a scope");
                assert!(with.body["message"].as_str().is_some_and(|m| m.contains(scope)), "{}", with.text);
            }
        }
        walked += 1;
    }
    assert!(walked > 60, "{walked}");
    rig.stop().await;
}

#[tokio::test]
async fn what_reads_the_api_refuses_parameters_that_it_does_not_know_and_whoever_is_called_by_others_does_not() {
    let rig = Rig::new().await;
    rig.source("pay", "s", &[]).await;
    let bearer = format!("Bearer {}", rig.admin);
    let headers = [("authorization", bearer.as_str())];
    let mut refused = 0;
    for route in routes().iter().filter(|r| r.method == "GET") {
        let reply = rig.send("GET", &format!("{}?nonsense=1", route.path), &headers, b"").await;
        let told = reply.body["details"]["nonsense"].as_str().unwrap_or_default();
        if route.path.starts_with("/api/v1/") && route.path != "/api/v1/health" {
            documented(route, &reply, 422);
            assert!(told.starts_with("unknown parameter"), "{}: {}", route.path, reply.text);
            refused += 1;
        } else if !["/ws", "/graphql", "/services", "/state"].iter().any(|path| route.path.starts_with(path)) {
            assert_eq!(told, "", "{}: {}", route.path, reply.text);
        }
    }
    assert!(refused > 25, "{refused}");
    let near = rig.send("GET", "/api/v1/events?limti=1", &headers, b"").await;
    assert!(near.text.contains("did you mean \\\"limit\\\"?"), "{}", near.text);
    let none = rig.send("GET", "/api/v1/sources?limit=1", &headers, b"").await;
    assert_eq!(none.body["details"]["limit"], "unknown parameter; there are none here");
    assert_eq!(rig.send("GET", "/api/v1/sources?", &headers, b"").await.status, 200);
    assert_eq!(rig.send("GET", "/api/v1/sources?limit=1", &[], b"").await.status, 401, "who asks comes first");
    for path in ["/health?nonsense=1", "/api/v1/health?ts=1", "/oauth/callback?code=1&state=2&scope=3"] {
        assert!(!rig.send("GET", path, &headers, b"").await.text.contains("unknown parameter"), "{path}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn wrong_methods_name_the_right_ones_and_options_list_them() {
    let rig = Rig::new().await;
    for route in routes().iter().filter(|r| !r.auth.contains("test clock")) {
        let wrong = rig.send("TRACE", &route.path, &[], b"").await;
        documented(route, &wrong, 405);
        assert!(wrong.header("allow").contains(&route.method), "{} {}", route.method, route.path);
        let options = rig.send("OPTIONS", &route.path, &[], b"").await;
        assert_eq!(options.status, 200);
        assert_eq!(options.header("allow"), wrong.header("allow"));
        assert!(options.body["methods"].is_string());
    }
    let nowhere = rig.send("OPTIONS", "/nowhere", &[], b"").await;
    assert_eq!(nowhere.refusal(), (404, "NOT_FOUND"));
    assert_ne!(nowhere.body["error"], Value::Null);
    rig.stop().await;
}
