//! What the vendors' pages print as an example is what is sent for it, to the byte where bytes are printed.

use nexus_core::sign::{hex, hmac_sha256};
use serde_json::{Value, json};

use super::World;
use crate::vendor::{spec::Asked, stand_in::StandIn, text};

/// Connector, operation, input; then method, path with query, and body as they are printed.
type Example = (&'static str, &'static str, Value, &'static str, &'static str, Value);

#[expect(clippy::too_many_lines, reason = "a table")]
fn examples() -> Vec<Example> {
    vec![
        // The seeds' own pages.
        (
            "smart-factory",
            "mint",
            json!({"address": "p1", "amount": 100}),
            "POST",
            "/api/mint",
            json!({"address": "p1", "amount": 100}),
        ),
        // docs.stripe.com: create a session, a payment intent, a refund.
        (
            "stripe",
            "checkout_session.create",
            json!({"mode": "payment", "success_url": "https://example.com/success", "line_items": [{"price": "price_1MotwRLkdIwHu7ixYcPLm5uZ", "quantity": 2}]}),
            "POST",
            "/v1/checkout/sessions",
            json!([
                ["line_items[0][price]", "price_1MotwRLkdIwHu7ixYcPLm5uZ"],
                ["line_items[0][quantity]", "2"],
                ["mode", "payment"],
                ["success_url", "https://example.com/success"]
            ]),
        ),
        (
            "stripe",
            "payment_intent.create",
            json!({"amount": 2000, "currency": "usd", "automatic_payment_methods": {"enabled": true}}),
            "POST",
            "/v1/payment_intents",
            json!([["amount", "2000"], ["automatic_payment_methods[enabled]", "true"], ["currency", "usd"]]),
        ),
        (
            "stripe",
            "refund.create",
            json!({"charge": "ch_1NirD82eZvKYlo2CIvbtLWuY"}),
            "POST",
            "/v1/refunds",
            json!([["charge", "ch_1NirD82eZvKYlo2CIvbtLWuY"]]),
        ),
        // docs.slack.dev: chat.postMessage, incoming webhooks.
        (
            "slack",
            "message.post",
            json!({"channel": "C123456", "text": "Hello world"}),
            "POST",
            "/api/chat.postMessage",
            json!({"channel": "C123456", "text": "Hello world"}),
        ),
        (
            "slack-webhook",
            "post",
            json!({"text": "Hello, world."}),
            "POST",
            "/services/T00000000/B00000000/XXXXXXXX",
            json!({"text": "Hello, world."}),
        ),
        // learn.microsoft.com: create a text-only post.
        (
            "linkedin",
            "post.create",
            json!({"author": "urn:li:organization:5515715", "text": "Sample text Post"}),
            "POST",
            "/rest/posts",
            json!({
                "author": "urn:li:organization:5515715", "commentary": "Sample text Post", "visibility": "PUBLIC",
                "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []},
                "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": false
            }),
        ),
        // The same page's text format: reserved characters have a backslash before them, hashtags have none.
        (
            "linkedin",
            "post.create",
            json!({"author": "urn:li:organization:5515715", "text": "Save 40% (today*) with #Solar_A & a\\b # @home", "visibility": "PUBLIC"}),
            "POST",
            "/rest/posts",
            json!({
                "author": "urn:li:organization:5515715", "commentary": "Save 40% \\(today\\*\\) with #Solar\\_A & a\\\\b \\# \\@home",
                "visibility": "PUBLIC",
                "distribution": {"feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": []},
                "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": false
            }),
        ),
        // developers.hubspot.com: values of properties are texts.
        (
            "hubspot",
            "deal.create",
            json!({"properties": {"dealname": "New deal", "amount": 1500, "pipeline": "default"}}),
            "POST",
            "/crm/v3/objects/deals",
            json!({"properties": {"dealname": "New deal", "amount": "1500", "pipeline": "default"}}),
        ),
        // developers.google.com: free and busy times.
        (
            "google-calendar",
            "freebusy.query",
            json!({"from": "2030-05-28T00:00:00Z", "until": "2030-05-29T00:00:00Z", "time_zone": "UTC", "calendars": ["primary"]}),
            "POST",
            "/calendar/v3/freeBusy",
            json!({"timeMin": "2030-05-28T00:00:00Z", "timeMax": "2030-05-29T00:00:00Z", "timeZone": "UTC", "items": [{"id": "primary"}]}),
        ),
        // docs.anthropic.com: a first message.
        (
            "anthropic",
            "message.create",
            json!({"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello, world"}]}),
            "POST",
            "/v1/messages",
            json!({"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello, world"}], "stream": false}),
        ),
        // developers.facebook.com: a text message, a template message.
        (
            "whatsapp-cloud",
            "text.send",
            json!({"to": "+16505551234", "text": "As requested, here's the link", "preview_url": true}),
            "POST",
            "/v23.0/106540352242922/messages",
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+16505551234", "type": "text",
                "text": {"preview_url": true, "body": "As requested, here's the link"}
            }),
        ),
        (
            "whatsapp-cloud",
            "template.send",
            json!({"to": "16505551234", "template": "hello_world", "language": "en_US"}),
            "POST",
            "/v23.0/106540352242922/messages",
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "16505551234", "type": "template",
                "template": {"name": "hello_world", "language": {"code": "en_US"}}
            }),
        ),
    ]
}

/// A JSON body as such, a form as sorted pairs.
fn body(asked: &Asked) -> Value {
    if asked.header("content-type") == Some("application/x-www-form-urlencoded") {
        let mut pairs = text::pairs(&asked.body);
        pairs.sort();
        return pairs.into_iter().map(|(name, value)| json!([name, value])).collect();
    }
    serde_json::from_str(&asked.body).unwrap_or_else(|_| asked.body.clone().into())
}

#[tokio::test]
async fn the_vendors_printed_examples_are_sent_as_they_are_printed() {
    for (connector, operation, input, method, target, wanted) in examples() {
        let world = World::at(connector, StandIn::recorder().await, |_| {}).await;
        world.account("main").await;
        let _ = world.call(operation, input).await;
        let seen = world.vendor.seen();
        let asked = &seen.last().unwrap_or_else(|| panic!("{connector} {operation} sent nothing")).asked;
        assert_eq!((asked.method.as_str(), asked.target.as_str()), (method, target), "{connector} {operation}");
        assert_eq!(body(asked), wanted, "{connector} {operation}");
    }
}

#[tokio::test]
async fn the_vendors_printed_headers_are_sent() {
    for (connector, operation, headers) in [
        ("smart-factory", "mint", vec![("authorization", "Bearer factory-key")]),
        ("anthropic", "message.create", vec![("x-api-key", "k-123"), ("anthropic-version", "2023-06-01")]),
        ("whatsapp-cloud", "text.send", vec![("authorization", "Bearer EAAG")]),
        (
            "github",
            "issue.create",
            vec![("accept", "application/vnd.github+json"), ("x-github-api-version", "2022-11-28")],
        ),
        ("linkedin", "post.create", vec![("x-restli-protocol-version", "2.0.0"), ("linkedin-version", "202607")]),
        ("discord", "message.create", vec![("authorization", "Bot MTIz.abc")]),
        ("twilio", "message.send", vec![("authorization", "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTp0")]),
        ("opensolar", "project.list", vec![("authorization", "Bearer d7e1")]),
    ] {
        let world = World::at(connector, StandIn::recorder().await, |_| {}).await;
        world.account("main").await;
        let example = world.manifest["operations"][operation]["example"].clone();
        let _ = world.call(operation, example).await;
        let seen = world.vendor.seen();
        let asked = &seen.last().expect("a request").asked;
        for (name, value) in headers {
            assert_eq!(asked.header(name), Some(value), "{connector} {name}");
        }
    }
}

/// The rest: every operation makes a request from its own example, to the vendor's path.
#[tokio::test]
async fn every_operation_makes_a_request_from_its_example() {
    for (connector, paths) in [
        ("smart-factory", vec!["POST /api/mint"]),
        ("neobot", vec!["POST /api/notify"]),
        (
            "scriptwriter",
            vec![
                "POST /api/v1/feedback",
                "GET /api/v1/hooks/arsenal?category=pain_point",
                "POST /api/v1/hooks/generate",
            ],
        ),
        ("chromadon", vec!["POST /api/v1/posts", "GET /api/v1/posts/recent?limit=20&platform=twitter"]),
        ("anthropic", vec!["POST /v1/messages"]),
        ("whatsapp-cloud", vec!["POST /v23.0/106540352242922/messages", "POST /v23.0/106540352242922/messages"]),
        (
            "github",
            vec![
                "POST /repos/octocat/Hello-World/issues/42/comments",
                "POST /repos/octocat/Hello-World/issues",
                "POST /repos/octocat/Hello-World/actions/workflows/deploy.yml/dispatches",
            ],
        ),
        (
            "hubspot",
            vec![
                "GET /crm/v3/objects/contacts/lead%40example.com?idProperty=email&properties=firstname%2Clifecyclestage",
                "POST /crm/v3/objects/contacts/batch/upsert",
                "POST /crm/v3/objects/deals",
            ],
        ),
        (
            "opensolar",
            vec![
                "POST /api/orgs/62854/contacts/",
                "GET /api/orgs/62854/contacts/?limit=20&page=1",
                "POST /api/orgs/62854/projects/",
                "GET /api/orgs/62854/projects/3763174/",
                "GET /api/orgs/62854/projects/?fieldset=list&limit=20&page=1",
                "PATCH /api/orgs/62854/projects/3763174/",
            ],
        ),
        ("signed-webhook", vec!["POST /hook"]),
    ] {
        let world = World::at(connector, StandIn::recorder().await, |_| {}).await;
        world.account("main").await;
        for (id, operation) in world.manifest["operations"].as_object().expect("operations") {
            let called = world.call(id, operation["example"].clone()).await;
            assert!(
                !matches!(called, Err(nexus_engine::connectors::CallError::Input { .. })),
                "{connector} {id}: {called:?}"
            );
        }
        let sent: Vec<String> =
            world.vendor.seen().iter().map(|s| format!("{} {}", s.asked.method, s.asked.target)).collect();
        assert_eq!(sent, paths, "{connector}");
    }
}

#[tokio::test]
async fn signed_requests_carry_the_hubs_signature_over_what_is_sent() {
    let world = World::at("signed-webhook", StandIn::recorder().await, |_| {}).await;
    world.account("main").await;
    let _ = world.call_keyed("order-7", "send", json!({"body": {"hello": "world"}})).await;
    let neobot = World::at("neobot", StandIn::recorder().await, |_| {}).await;
    neobot.account("main").await;
    let _ = neobot.call_keyed("order-8", "notify", json!({"to": "+1", "message": "Hi"})).await;

    let hook = world.vendor.seen().remove(0).asked;
    let timestamp = hook.header("x-nexus-timestamp").expect("a time").to_owned();
    let made = hmac_sha256(b"hook-key", &[timestamp.as_bytes(), b".", hook.body.as_bytes()]);
    assert_eq!(hook.header("x-nexus-signature"), Some(hex(&made).as_str()));
    assert_eq!(hook.header("idempotency-key"), Some("order-7"));
    let notice = neobot.vendor.seen().remove(0).asked;
    assert_eq!(
        notice.header("x-nexus-signature"),
        Some(hex(&hmac_sha256(b"neobot-key", &[notice.body.as_bytes()])).as_str())
    );
    assert_eq!(notice.header("idempotency-key"), Some("order-8"));
    assert_eq!(body(&notice), json!({"channel": "whatsapp", "to": "+1", "message": "Hi"}));
}
