//! What each shipped operation sends is taken by a judge that reads the vendor's specification, or what we read of the
//! vendor's pages where there is none.

use serde_json::{Value, json};

use super::{World, manifest};

/// Checked against a specification that the vendor publishes for machines.
const BY_SPECIFICATION: [&str; 6] = ["discord", "discord-webhook", "openai-compatible", "sendgrid", "twilio", "x"];
/// Checked against what we read of the vendor's pages.
const BY_READING: [&str; 5] = ["google-calendar", "linkedin", "slack", "slack-webhook", "stripe"];

/// Inputs beside each operation's own example: every optional field is used at least once.
#[expect(clippy::too_many_lines, reason = "a table")]
fn further(connector: &str) -> Vec<(&'static str, Value)> {
    match connector {
        "twilio" => vec![
            (
                "message.send",
                json!({"to": "whatsapp:+15005550006", "messaging_service_sid": "MG00000000000000000000000000000001",
                "media_urls": ["https://a.example/1.png", "https://a.example/2.png"], "status_callback": "https://hub.example/w",
                "validity_seconds": 60, "send_at": "2030-05-28T09:00:00Z", "body": "ä&=+ \u{1f44d}"}),
            ),
            (
                "message.send",
                json!({"to": "+15005550006", "from": "+15005550001", "content_sid": "HX00000000000000000000000000000001",
                "content_variables": {"1": "Ada"}}),
            ),
            (
                "call.create",
                json!({"to": "+15005550006", "from": "+15005550001", "url": "https://a.example/twiml", "ring_seconds": 20,
                "status_callback": "https://hub.example/w"}),
            ),
        ],
        "discord" => vec![
            (
                "message.create",
                json!({"channel_id": "1", "embeds": [{"title": "T", "fields": [{"name": "a", "value": "b"}]}],
                "reply_to": "2", "tts": false, "allowed_mentions": {"parse": ["users"]}}),
            ),
            ("message.edit", json!({"channel_id": "1", "message_id": "2", "embeds": [{"description": "D"}]})),
        ],
        "discord-webhook" => vec![(
            "execute",
            json!({"content": "Hi", "avatar_url": "https://a.example/a.png", "thread_id": "7",
            "thread_name": "T", "allowed_mentions": {"parse": []}}),
        )],
        "openai-compatible" => vec![
            (
                "chat.complete",
                json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
                "temperature": 0.2, "response_format": {"type": "json_object"}, "stop": ["\n"], "seed": 7,
                "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}),
            ),
            ("embedding.create", json!({"input": "Hi", "model": "text-embedding-3-large", "dimensions": 2})),
        ],
        "sendgrid" => vec![(
            "mail.send",
            json!({"to": ["a@example.com", "b@example.com"], "cc": ["c@example.com"], "from": "f@example.com",
            "from_name": "Hub", "reply_to": "r@example.com", "template_id": "d-1", "template_data": {"name": "Ada"},
            "categories": ["news"], "send_at": 1_900_000_000, "html": "<p>Hi</p>", "text": "Hi", "subject": "S"}),
        )],
        "x" => vec![
            (
                "post.create",
                json!({"text": "Two", "reply_to": "1346889436626259968", "quote": "1346889436626259968",
                "reply_settings": "mentionedUsers"}),
            ),
            (
                "post.create",
                json!({"media_ids": ["1", "2"], "text": "Three", "poll": {"options": ["a", "b"], "minutes": 60}}),
            ),
            ("dm.send", json!({"user_id": "7", "text": "Hi", "media_id": "9"})),
        ],
        "stripe" => vec![
            (
                "checkout_session.create",
                json!({"mode": "subscription", "success_url": "https://a.example/{CHECKOUT_SESSION_ID}",
                "cancel_url": "https://a.example/c", "customer_email": "a@example.com", "client_reference_id": "lead-7",
                "allow_promotion_codes": true, "expires_at": 1_900_000_000, "line_items": [
                    {"price": "price_1", "quantity": 1},
                    {"price_data": {"currency": "eur", "unit_amount": 5000, "product_data": {"name": "Course"},
                        "recurring": {"interval": "month", "interval_count": 3}}, "quantity": 2}]}),
            ),
            (
                "payment_intent.create",
                json!({"amount": 1, "currency": "eur", "customer": "cus_1", "payment_method": "pm_1", "confirm": true,
                "off_session": true, "description": "D", "receipt_email": "a@example.com", "metadata": {"a": "b"}}),
            ),
            (
                "payment_intent.create",
                json!({"amount": 1, "currency": "eur", "automatic_payment_methods": {"enabled": true, "allow_redirects": "never"}}),
            ),
            (
                "refund.create",
                json!({"payment_intent": "pi_1", "amount": 50, "reason": "duplicate", "metadata": {"why": "twice"}}),
            ),
        ],
        "slack" => vec![(
            "message.post",
            json!({"channel": "C1", "blocks": [{"type": "divider"}], "attachments": [{"text": "a"}],
            "thread_ts": "1503435956.000247", "reply_broadcast": true, "unfurl_links": false}),
        )],
        "slack-webhook" => {
            vec![("post", json!({"text": "T", "blocks": [{"type": "divider"}], "thread_ts": "1503435956.000247"}))]
        }
        "linkedin" => vec![
            (
                "post.create",
                json!({"author": "urn:li:person:782bbtaQ", "text": "With an article (new) [#1] by a_b", "visibility": "CONNECTIONS", "no_reshare": true,
                "article": {"source": "https://a.example/", "title": "T", "description": "D", "thumbnail": "urn:li:image:1"}}),
            ),
            (
                "post.create",
                json!({"author": "urn:li:person:782bbtaQ", "commentary": "With a picture of @[Acme](urn:li:organization:1)", "media": {"id": "urn:li:image:1", "altText": "A"}}),
            ),
        ],
        "google-calendar" => vec![
            (
                "event.insert",
                json!({"calendar_id": "a b@group.calendar.google.com", "event": {"start": {"date": "2030-05-28"},
                "end": {"date": "2030-05-29"}, "summary": "All day"}}),
            ),
            ("event.list", json!({"calendar_id": "primary", "text": "visit", "page_token": "two"})),
            (
                "event.patch",
                json!({"calendar_id": "primary", "event_id": "a1", "event": {"status": "cancelled"}, "send_updates": "none"}),
            ),
            ("event.delete", json!({"calendar_id": "primary", "event_id": "a1", "send_updates": "externalOnly"})),
            (
                "freebusy.query",
                json!({"from": "2030-05-28T00:00:00Z", "until": "2030-05-29T00:00:00Z", "time_zone": "Europe/Berlin",
                "calendars": ["primary", "b@example.com"]}),
            ),
        ],
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn what_each_operation_sends_is_what_its_vendor_takes() {
    for connector in BY_SPECIFICATION.into_iter().chain(BY_READING) {
        let Some(world) = World::new(connector).await else { continue };
        world.account("main").await;
        let operations = world.manifest["operations"].as_object().expect("operations");
        let examples = operations.iter().map(|(id, operation)| (id.as_str(), operation["example"].clone()));
        let mut seen = 0;
        for (operation, input) in examples.chain(further(connector)) {
            let called = world.call(operation, input.clone()).await;
            let requests = world.vendor.seen();
            let refused: Vec<_> = requests[seen..].iter().filter_map(|seen| seen.refusal.as_ref()).collect();
            assert!(refused.is_empty(), "{connector} {operation} {input}: {refused:?} {:?}", requests.last());
            assert!(requests.len() > seen, "{connector} {operation} sent nothing");
            seen = requests.len();
            let called = called.unwrap_or_else(|e| panic!("{connector} {operation}: {e}"));
            // An output with a gap was made from an answer that was not understood.
            let gaps = |output: &Value| {
                output.as_object().is_some_and(|o| o.iter().any(|(name, v)| v.is_null() && name != "next"))
            };
            // The fixtures and examples of these two have gaps of their own.
            let theirs = ["stripe", "twilio"].contains(&connector);
            let whole = !called.output.is_null() && (theirs || !gaps(&called.output));
            assert!(whole || operation.contains("delete"), "{connector} {operation}: {called:?}");
        }
    }
}

#[test]
fn a_manifest_says_specification_only_where_one_is_read_here() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors");
    for entry in std::fs::read_dir(folder).expect("the connectors") {
        let file = entry.expect("a file").file_name().into_string().expect("UTF-8");
        let Some(name) = file.strip_suffix(".yaml") else { continue };
        let said = manifest(name)["checked"] == "specification";
        assert_eq!(said, BY_SPECIFICATION.contains(&name), "{name}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_vendors_own_words() {
    for connector in
        ["x", "twilio", "discord", "openai-compatible", "sendgrid", "stripe", "slack", "linkedin", "google-calendar"]
    {
        // A field that the vendor's document does not have, or not so.
        let Some(world) = World::tuned(connector, |manifest| {
            let operation = manifest["operations"]
                .as_object_mut()
                .expect("operations")
                .values_mut()
                .find(|o| o["method"] == "POST");
            let operation = operation.expect("one that sends");
            operation["path"] = "/nowhere".into();
            operation["example"] = Value::Null;
            operation["input"] = json!({});
            operation["json"] = json!({});
            operation.as_object_mut().expect("an operation").remove("form");
            operation.as_object_mut().expect("an operation").remove("example");
            operation.as_object_mut().expect("an operation").remove("query");
        })
        .await
        else {
            continue;
        };
        world.account("main").await;
        let operations = world.manifest["operations"].as_object().expect("operations");
        let (id, _) = operations.iter().find(|(_, o)| o["path"] == "/nowhere").expect("changed");
        let error = world.call(id, json!({})).await.expect_err("refused");
        let told = error.to_string();
        let words = if connector == "slack" {
            "unknown_method"
        } else if connector == "discord" {
            "404: Not Found"
        } else {
            "there is no "
        };
        assert!(told.contains(words) && !told.contains('{'), "{connector}: {told}");
    }
}

#[tokio::test]
async fn a_wrong_secret_makes_a_connection_one_that_must_be_connected_again() {
    for connector in ["twilio", "discord", "openai-compatible", "sendgrid", "stripe", "slack"] {
        let Some(world) = World::new(connector).await else { continue };
        world.account("main").await;
        world.vendor.accept("Bearer of somebody else", "nobody");
        let (operation, example) = {
            let operations = world.manifest["operations"].as_object().expect("operations");
            let (id, operation) = operations.iter().next().expect("one");
            (id.clone(), operation["example"].clone())
        };
        let error = world.call(&operation, example).await.expect_err("refused");
        assert!(matches!(error, nexus_engine::connectors::CallError::Reconnect { .. }), "{connector}: {error}");
        let view = world.rig.hub.connectors().connections().get("main").expect("there");
        let view = serde_json::to_value(view).expect("JSON");
        assert_eq!(view["state"], "reconnect_needed", "{connector}");
        let events = world.rig.stored("connection.reconnect_needed").await;
        assert_eq!(events.len(), 1, "{connector}");
    }
}
