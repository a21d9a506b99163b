//! Vendors call back through the real door, signed as each of them signs; a spoiled body or another secret is 401.

use data_encoding::BASE64;
use nexus_core::{
    sign::{hex, hmac_sha1, hmac_sha256},
    store::EventQuery,
};
use serde_json::{Value, json};

use crate::rig::{Reply, Rig};

/// The headers that prove a request: of a secret, a URL, a body and a time.
type Signed = fn(secret: &str, url: &str, body: &str, secs: i64) -> Vec<(&'static str, String)>;

/// A vendor's outgoing webhooks, as far as a receiver sees them.
struct Vendor {
    preset: &'static str,
    secret: &'static str,
    /// The headers of a call back to `url` with `body` at `secs`.
    signed: Signed,
    content_type: &'static str,
    body: fn() -> String,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const STRIPE: Vendor = Vendor {
    preset: "stripe",
    secret: "whsec_stripe",
    signed: |secret, _, body, secs| {
        let made = hex(&hmac_sha256(secret.as_bytes(), &[secs.to_string().as_bytes(), b".", body.as_bytes()]));
        vec![("stripe-signature", format!("t={secs},v1={made},v0=ignored"))]
    },
    content_type: JSON,
    body: || completed("evt_1NG8Du2eZvKYlo2CUI79vXWy", "cs_test_1", "paid").to_string(),
};

const TWILIO: Vendor = Vendor {
    preset: "twilio",
    secret: "twilio-auth-token",
    signed: |secret, url, body, _| {
        // The form's fields, sorted by name; these values need no decoding.
        let mut fields: Vec<(&str, &str)> = body.split('&').filter_map(|pair| pair.split_once('=')).collect();
        fields.sort_unstable();
        let text: String = fields.into_iter().flat_map(|(name, value)| [name, value]).collect();
        vec![("x-twilio-signature", BASE64.encode(&hmac_sha1(secret.as_bytes(), &[url.as_bytes(), text.as_bytes()])))]
    },
    content_type: FORM,
    body: || "MessageSid=SM00000000000000000000000000000001&MessageStatus=delivered&AccountSid=AC1".to_owned(),
};

const SLACK: Vendor = Vendor {
    preset: "slack",
    secret: "slack-signing-secret",
    signed: |secret, _, body, secs| {
        let made = hex(&hmac_sha256(secret.as_bytes(), &[format!("v0:{secs}:").as_bytes(), body.as_bytes()]));
        vec![("x-slack-request-timestamp", secs.to_string()), ("x-slack-signature", format!("v0={made}"))]
    },
    content_type: JSON,
    body: || {
        json!({"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": {"type": "message", "text": "hi"}}).to_string()
    },
};

const X: Vendor = Vendor {
    preset: "x",
    secret: "x-consumer-secret",
    signed: |secret, _, body, _| {
        let made = BASE64.encode(&hmac_sha256(secret.as_bytes(), &[body.as_bytes()]));
        vec![("x-twitter-webhooks-signature", format!("sha256={made}"))]
    },
    content_type: JSON,
    body: || json!({"for_user_id": "2244994945", "tweet_create_events": [{"id_str": "1", "text": "hi"}]}).to_string(),
};

const GITHUB: Vendor = Vendor {
    preset: "github",
    secret: "github-secret",
    signed: |secret, _, body, _| {
        let made = hex(&hmac_sha256(secret.as_bytes(), &[body.as_bytes()]));
        vec![
            ("x-hub-signature-256", format!("sha256={made}")),
            ("x-github-event", "ping".into()),
            ("x-github-delivery", "d1".into()),
        ]
    },
    content_type: JSON,
    body: || json!({"zen": "Keep it logically awesome.", "hook_id": 1}).to_string(),
};

impl Vendor {
    /// Calls the hub back, now.
    async fn calls(&self, rig: &Rig, secret: &str, body: &str) -> Reply {
        let secs = rig.hub.clock().now().secs();
        self.calls_at(rig, secret, body, secs, body).await
    }

    /// Signs one body and sends another.
    async fn calls_at(&self, rig: &Rig, secret: &str, signed: &str, secs: i64, sent: &str) -> Reply {
        let path = format!("/webhook/{}", self.preset);
        let url = format!("http://{}{path}", rig.address);
        let made = (self.signed)(secret, &url, signed, secs);
        let mut headers: Vec<(&str, &str)> = made.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("content-type", self.content_type));
        rig.send("POST", &path, &headers, sent.as_bytes()).await
    }
}

/// Stripe's event of a session that somebody went through.
fn completed(event: &str, session: &str, status: &str) -> Value {
    json!({
        "id": event, "object": "event", "api_version": "2024-06-20", "created": 1_686_089_970, "livemode": false,
        "pending_webhooks": 1, "request": {"id": null, "idempotency_key": null}, "type": "checkout.session.completed",
        "data": {"object": {
            "id": session, "object": "checkout.session", "amount_total": 4900, "currency": "usd", "mode": "payment",
            "payment_status": status, "payment_intent": "pi_1", "customer": "cus_1", "client_reference_id": "lead_7",
            "customer_details": {"email": "ada@example.com"}, "metadata": {"campaign": "spring-7"}
        }}
    })
}

/// The mapping that docs/connectors-shipped.md gives for a shop's Stripe account.
fn documented() -> String {
    let docs = include_str!("../../../../docs/connectors-shipped.md");
    let (_, after) = docs.split_once("```jq\n").expect("the docs have a mapping");
    after.split_once("```").expect("and it ends").0.to_owned()
}

#[tokio::test]
async fn a_callback_signed_as_its_vendor_signs_is_taken_and_a_spoiled_one_is_401() {
    let rig = Rig::new().await;
    for vendor in [STRIPE, TWILIO, SLACK, X, GITHUB] {
        let preset = vendor.preset;
        rig.source_of(json!({"id": preset, "preset": preset, "secrets": [vendor.secret]})).await;
        let body = (vendor.body)();
        let before = rig.seq();
        let other = vendor.calls(&rig, "another secret", &body).await;
        let secs = rig.hub.clock().now().secs();
        let spoiled = body.replacen('1', "2", 1);
        let spoiled = vendor.calls_at(&rig, vendor.secret, &body, secs, &spoiled).await;
        for refused in [other, spoiled] {
            assert_eq!(refused.status, 401, "{preset}: {}", refused.text);
        }
        assert_eq!(rig.seq(), before, "{preset}: nothing was stored");
        let taken = vendor.calls(&rig, vendor.secret, &body).await;
        assert_eq!(taken.status, 200, "{preset}: {}", taken.text);
        assert_eq!(rig.seq(), before + 1, "{preset}");
    }
    // Where the time is signed, an old call is no proof any more.
    for vendor in [STRIPE, SLACK] {
        let (body, old) = ((vendor.body)(), rig.hub.clock().now().secs() - 3_600);
        let refused = vendor.calls_at(&rig, vendor.secret, &body, old, &body).await;
        assert_eq!(refused.status, 401, "{}: {}", vendor.preset, refused.text);
    }
    rig.stop().await;
}

/// S-122
#[tokio::test]
async fn a_completed_checkout_of_stripe_is_one_purchase_and_a_replayed_webhook_none() {
    let rig = Rig::new().await;
    let mapping = documented();
    rig.source_of(json!({"id": "stripe", "preset": "stripe", "secrets": [STRIPE.secret], "mapping": mapping})).await;
    let purchases = async || {
        let query = EventQuery { types: vec!["revenue.purchase_completed".into()], ..EventQuery::default() };
        rig.hub.query(query, 10).await.expect("read").events
    };
    let body = completed("evt_1", "cs_1", "paid").to_string();
    let first = STRIPE.calls(&rig, STRIPE.secret, &body).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let found = purchases().await;
    assert_eq!(found.len(), 1);
    let payload: Value = serde_json::from_slice(found[0].json()).expect("JSON");
    let wanted = json!({
        "provider": "stripe", "checkout_id": "cs_1", "payment_id": "pi_1", "amount": 4900, "currency": "usd",
        "customer_id": "cus_1", "reference": "lead_7", "metadata": {"campaign": "spring-7"}
    });
    assert_eq!(payload, wanted, "and no address of the customer");
    // Stripe sends the same event again, with a new time and so a new signature.
    let (at, head) = (rig.hub.clock().now().secs() + 7, rig.seq());
    let again = STRIPE.calls_at(&rig, STRIPE.secret, &body, at, &body).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, "true"), "{}", again.text);
    assert_eq!((purchases().await.len(), rig.seq()), (1, head));
    // What is not paid yet, and what is of another kind, is no purchase.
    let mut other = completed("evt_2", "cs_2", "unpaid");
    let unpaid = STRIPE.calls(&rig, STRIPE.secret, &other.to_string()).await;
    other["type"] = "checkout.session.expired".into();
    other["id"] = "evt_3".into();
    let expired = STRIPE.calls(&rig, STRIPE.secret, &other.to_string()).await;
    assert_eq!((unpaid.status.as_u16(), expired.status.as_u16()), (200, 200), "{} {}", unpaid.text, expired.text);
    assert_eq!((purchases().await.len(), rig.seq()), (1, head));
    // Another purchase is another event.
    let next = STRIPE.calls(&rig, STRIPE.secret, &completed("evt_4", "cs_4", "paid").to_string()).await;
    assert_eq!((next.status.as_u16(), purchases().await.len()), (200, 2), "{}", next.text);
    rig.stop().await;
}

/// A flow that is begun by events of this type and keeps what it was given.
fn begun_by(kind: &str) -> Value {
    json!({
        "document": {"dsl": "1.0.3", "namespace": "vendors", "name": "begun", "version": "1.0.0"},
        "schedule": {"on": {"one": {"with": {"type": kind}}}},
        "do": [{"keep": {"set": {"given": "${ .[0].data }"}}}],
    })
}

/// The ended runs of that flow, when there are this many.
async fn runs(rig: &Rig, count: usize) -> Vec<Value> {
    let bearer = format!("Bearer {}", rig.admin);
    let looking = async {
        loop {
            let path = "/api/v1/runs?flow=vendors/begun&status=completed";
            let found = rig.send("GET", path, &[("authorization", &bearer)], b"").await;
            let found = found.body["data"].as_array().cloned().unwrap_or_default();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::rig::PATIENCE, looking).await.expect("the runs end")
}

async fn publish(rig: &Rig, flow: &Value) {
    let bearer = format!("Bearer {}", rig.admin);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let done = rig.send("POST", "/api/v1/flows", &headers, flow.to_string().as_bytes()).await;
    assert_eq!(done.status, 201, "{}", done.text);
}

/// S-096
#[tokio::test]
async fn a_purchase_that_stripe_tells_begins_one_run() {
    let rig = Rig::new().await;
    let mapping = documented();
    rig.source_of(json!({"id": "stripe", "preset": "stripe", "secrets": [STRIPE.secret], "mapping": mapping})).await;
    publish(&rig, &begun_by("revenue.purchase_completed")).await;
    let body = completed("evt_1", "cs_1", "paid").to_string();
    for _ in 0..2 {
        assert_eq!(STRIPE.calls(&rig, STRIPE.secret, &body).await.status, 200);
    }
    let next = completed("evt_2", "cs_2", "paid").to_string();
    assert_eq!(STRIPE.calls(&rig, STRIPE.secret, &next).await.status, 200);
    let found = runs(&rig, 2).await;
    let mut sessions: Vec<&str> =
        found.iter().filter_map(|run| run["output"]["given"]["checkout_id"].as_str()).collect();
    sessions.sort_unstable();
    assert_eq!(sessions, ["cs_1", "cs_2"], "one run per purchase, none for the repeat");
    rig.stop().await;
}

/// S-094
#[tokio::test]
async fn a_new_follower_that_x_tells_begins_a_run() {
    let rig = Rig::new().await;
    let mapping = "[.follow_events[]? | {event: \"audience.follower.acquired\", payload: {follower: .source.id, handle: .source.screen_name}}]";
    rig.source_of(json!({"id": "x", "preset": "x", "secrets": [X.secret], "mapping": mapping})).await;
    publish(&rig, &begun_by("audience.follower.acquired")).await;
    let body = json!({
        "for_user_id": "2244994945",
        "follow_events": [{"type": "follow", "created_timestamp": "1516403560557",
            "target": {"id": "2244994945", "screen_name": "us"}, "source": {"id": "12", "screen_name": "ada"}}],
    });
    let told = X.calls(&rig, X.secret, &body.to_string()).await;
    assert_eq!(told.status, 200, "{}", told.text);
    // Something else of the same account is no follower.
    assert_eq!(X.calls(&rig, X.secret, &(X.body)()).await.status, 200);
    let found = runs(&rig, 1).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["output"]["given"], json!({"follower": "12", "handle": "ada"}));
    assert_eq!(found[0]["trigger"]["kind"], "event");
    rig.stop().await;
}
