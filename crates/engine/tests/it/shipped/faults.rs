//! Vendors that fail in the middle, limit, and end tokens; and whose account is used.

use std::time::Duration;

use nexus_engine::connectors::{CallError, ConnectorCall};
use serde_json::{Value, json};

use super::{World, hasty};
use crate::vendor::stand_in::{Fault, Seen};

fn header(seen: &Seen, name: &str) -> Option<String> {
    seen.asked.header(name).map(ToOwned::to_owned)
}

fn refund() -> Value {
    json!({"charge": "ch_1"})
}

#[tokio::test]
async fn too_many_requests_are_followed_by_the_same_one_later() {
    let Some(world) = World::new("stripe").await else { return };
    world.account("main").await;
    let limited =
        Fault::Answers(429, vec![("retry-after", "0".into())], json!({"error": {"message": "Too many requests"}}));
    world.vendor.misbehave([limited.clone(), limited]);
    let called = world.call_keyed("refund-7", "refund.create", refund()).await.expect("in the end");
    assert_eq!((called.output["id"].as_str(), called.requests), (Some("refund_1"), 3));
    let keys: Vec<_> = world.vendor.seen().iter().map(|seen| header(seen, "idempotency-key")).collect();
    assert_eq!(keys, vec![Some("refund-7".to_owned()); 3]);
    assert_eq!(world.vendor.done(), 1);
}

#[tokio::test]
async fn what_broke_after_it_was_done_is_asked_for_again_with_its_key_and_done_once() {
    let Some(world) = World::tuned("stripe", hasty).await else { return };
    world.account("main").await;
    for (n, fault) in
        [Fault::DoesAndBreaks, Fault::DoesAndHangs, Fault::Hangs, Fault::Answers(503, Vec::new(), json!({}))]
            .into_iter()
            .enumerate()
    {
        let key = format!("order-{n}");
        world.vendor.misbehave([fault.clone()]);
        let called =
            world.call_keyed(&key, "payment_intent.create", json!({"amount": 2000 + n, "currency": "usd"})).await;
        let called = called.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        assert_eq!(called.output["amount"], 2000 + n, "{fault:?}");
        let seen = world.vendor.seen();
        let own: Vec<_> = seen.iter().filter(|seen| header(seen, "idempotency-key").as_ref() == Some(&key)).collect();
        assert_eq!(own.len(), 2, "{fault:?}");
        assert_eq!(own[0].asked.body, own[1].asked.body, "{fault:?}");
        assert_eq!(own.iter().filter(|seen| seen.done).count(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn stripe_itself_says_whether_a_repeat_can_help() {
    let Some(world) = World::new("stripe").await else { return };
    world.account("main").await;
    let no = |said: &str| {
        Fault::Answers(409, vec![("stripe-should-retry", said.into())], json!({"error": {"message": "busy"}}))
    };
    world.vendor.misbehave([no("true")]);
    world.call("refund.create", refund()).await.expect("repeated");
    world.vendor.misbehave([no("false")]);
    let error = world.call("refund.create", refund()).await.expect_err("final");
    assert!(matches!(&error, CallError::Refused { status: 409, message, .. } if message == "busy"), "{error}");
    assert_eq!(world.vendor.seen().len(), 3);
}

#[tokio::test]
async fn what_knows_no_repeats_is_not_repeated_when_it_may_have_been_done() {
    let Some(world) = World::tuned("twilio", hasty).await else { return };
    world.account("main").await;
    let text = json!({"to": "+15005550006", "from": "+15005550001", "body": "Hi"});
    for (n, fault) in [Fault::DoesAndBreaks, Fault::DoesAndHangs].into_iter().enumerate() {
        world.vendor.misbehave([fault]);
        let error = world.call("message.send", text.clone()).await.expect_err("nobody knows");
        assert!(matches!(error, CallError::Unsure { .. }), "{error}");
        assert_eq!((world.vendor.seen().len(), world.vendor.done()), (n + 1, n + 1), "no second message");
    }
    // These say that nothing was done.
    for status in [429, 503] {
        world.vendor.misbehave([Fault::Answers(
            status,
            vec![("retry-after", "0".into())],
            json!({"message": "later", "code": 20429}),
        )]);
        world.call("message.send", text.clone()).await.unwrap_or_else(|e| panic!("{status}: {e}"));
    }
    assert_eq!(world.vendor.done(), 4);
}

#[tokio::test]
async fn a_message_of_discord_is_posted_once_by_its_nonce_and_an_event_of_google_by_its_id() {
    if let Some(world) = World::tuned("discord", hasty).await {
        world.account("main").await;
        world.vendor.misbehave([Fault::DoesAndHangs]);
        let called = world
            .call_keyed("deploy-1", "message.create", json!({"channel_id": "123456789012345678", "content": "Hi"}))
            .await;
        assert_eq!(called.expect("known").output["id"], "200000000000000001");
        assert_eq!((world.vendor.seen().len(), world.vendor.done()), (2, 1));
    }
    let Some(world) = World::tuned("google-calendar", hasty).await else { return };
    world.account("main").await;
    let event = world.manifest["operations"]["event.insert"]["example"].clone();
    world.vendor.misbehave([Fault::DoesAndBreaks]);
    let called = world.call_keyed("booking-1", "event.insert", event.clone()).await.expect("it is there");
    assert_eq!(called.output, json!({"duplicate": true}));
    assert_eq!((world.vendor.seen().len(), world.vendor.done()), (2, 1));
    let list = world.call("event.list", json!({"calendar_id": "primary"})).await.expect("two pages").output;
    assert_eq!(list, json!({"items": [{"id": "a1"}, {"id": "a2"}], "next": null}));
}

/// S-167
#[tokio::test]
async fn a_post_that_may_be_out_is_never_posted_twice() {
    for (connector, operation, post) in [
        ("x", "post.create", json!({"text": "We are live."})),
        ("linkedin", "post.create", json!({"author": "urn:li:person:a", "text": "We are live."})),
    ] {
        let Some(world) = World::tuned(connector, hasty).await else { continue };
        world.account("main").await;
        // A 500 that did nothing: the same request again.
        world.vendor.misbehave([Fault::Answers(500, Vec::new(), json!({}))]);
        let called = world.call_keyed("post-1", operation, post.clone()).await.expect("at the second time");
        assert!(called.output["id"].is_string(), "{connector}: {called:?}");
        let seen = world.vendor.seen();
        assert_eq!(
            (seen.len(), seen[0].asked.body == seen[1].asked.body, world.vendor.done()),
            (2, true, 1),
            "{connector}"
        );
        // The same text in another call: refused for good, after one request.
        let error = world.call_keyed("post-2", operation, post.clone()).await.expect_err("a duplicate");
        assert!(matches!(error, CallError::Refused { status: 403 | 422, .. }), "{connector}: {error}");
        assert_eq!((world.vendor.seen().len(), world.vendor.done()), (3, 1), "{connector}");
        // A time-out after it was posted: the repeat is refused, and so it is known to be out.
        world.vendor.misbehave([Fault::DoesAndHangs]);
        let mut other = post.clone();
        other["text"] = "Still live.".into();
        let called = world.call_keyed("post-3", operation, other).await.expect("it is out");
        assert_eq!(called.output, json!({"duplicate": true}), "{connector}");
        assert_eq!((world.vendor.seen().len(), world.vendor.done()), (5, 2), "{connector}");
    }
}

/// S-161
#[tokio::test]
async fn of_two_accounts_on_x_the_right_one_posts() {
    let Some(world) = World::new("x").await else { return };
    world.account("ada").await;
    world.account("bob").await;
    for (n, name) in ["bob", "ada", "bob"].into_iter().enumerate() {
        let called = world.call_as(name, "post.create", json!({"text": format!("Post {n}")})).await.expect("posted");
        assert_eq!(called.connection, name);
        let seen = world.vendor.seen();
        assert_eq!(world.vendor.whose(&seen[n].asked).as_deref(), Some(name));
    }
    let error = world.call("post.create", json!({"text": "Whose?"})).await.expect_err("two could be meant");
    assert!(matches!(&error, CallError::Connection(why) if why.contains("ada") && why.contains("bob")), "{error}");
    assert_eq!(world.vendor.done(), 3);
}

#[tokio::test]
async fn an_ended_token_is_refreshed_once_for_all_who_wait_and_replaced_each_time() {
    let Some(world) = World::new("x").await else { return };
    world.account("main").await;
    for round in 1..=2 {
        world.vendor.expire_tokens();
        let calls = (0..20).map(|_| world.call("user.me", json!({})));
        for called in futures_util::future::join_all(calls).await {
            assert_eq!(called.expect("answered").output["username"], "TwitterDev");
        }
        let tokens = world.vendor.token_requests();
        // The first one was the agreement's.
        assert_eq!(tokens.len(), 1 + round, "one refresh for all");
        let wanted = format!("refresh-main-{round}");
        assert!(tokens[round].body.contains(&wanted), "the newest refresh token is used: {}", tokens[round].body);
        assert!(tokens[round].header("authorization").is_some_and(|a| a.starts_with("Basic ")));
    }
}

#[tokio::test]
async fn a_revoked_refresh_token_ends_the_connection_with_an_event_and_no_storm() {
    let Some(world) = World::new("x").await else { return };
    world.account("main").await;
    world.vendor.expire_tokens();
    world.vendor.revoke();
    for _ in 0..3 {
        let error = world.call("user.me", json!({})).await.expect_err("must be connected again");
        assert!(matches!(error, CallError::Reconnect { .. }), "{error}");
    }
    assert_eq!(world.vendor.token_requests().len(), 2, "the agreement's and one refresh");
    assert_eq!(world.rig.stored("connection.reconnect_needed").await.len(), 2, "made without a token, then lost it");
}

/// S-163
#[tokio::test]
async fn nothing_is_sent_before_the_limit_that_x_told_of_is_over() {
    let Some(world) =
        World::tuned("x", |manifest| manifest["limits"]["app"] = json!([{"requests": 6, "per": "15m"}])).await
    else {
        return;
    };
    world.account("ada").await;
    world.account("bob").await;
    let hub = &world.rig.hub;
    let at_once = |account: &str, operation: &str| ConnectorCall {
        connection: Some(account.into()),
        patience: Duration::ZERO,
        ..world.asks(operation, if operation == "user.me" { json!({}) } else { json!({"text": "Hi"}) })
    };
    // Remaining: none, for this user and this operation, until the reset.
    let reset = hub.clock().now().secs() + 600;
    let headers = vec![("x-rate-limit-remaining", "0".to_owned()), ("x-rate-limit-reset", reset.to_string())];
    world.vendor.misbehave([Fault::Answers(200, headers, json!({"data": {"id": "1", "username": "a"}}))]);
    hub.connectors().call(at_once("ada", "user.me")).await.expect("the last one");
    for _ in 0..3 {
        let error = hub.connectors().call(at_once("ada", "user.me")).await.expect_err("not before the reset");
        assert!(matches!(&error, CallError::RateLimited { until, .. } if until.secs().abs_diff(reset) <= 1), "{error}");
    }
    assert_eq!(world.vendor.seen().len(), 1, "no call until the reset");
    // Another user, and another operation, have limits of their own.
    hub.connectors().call(at_once("bob", "user.me")).await.expect("another user");
    hub.connectors().call(at_once("ada", "post.create")).await.expect("another operation");
    hub.advance(Duration::from_secs(601)).await.expect("the test clock");
    hub.connectors().call(at_once("ada", "user.me")).await.expect("after the reset");
    // `Retry-After` of a 429.
    let limited = Fault::Answers(429, vec![("retry-after", "120".into())], json!({"title": "Too Many Requests"}));
    world.vendor.misbehave([limited]);
    let error = hub.connectors().call(at_once("ada", "user.me")).await.expect_err("limited");
    assert!(matches!(&error, CallError::RateLimited { .. }), "{error}");
    assert_eq!(world.vendor.seen().len(), 5);
    let error = hub.connectors().call(at_once("ada", "user.me")).await.expect_err("still");
    assert!(matches!(&error, CallError::RateLimited { .. }), "{error}");
    assert_eq!(world.vendor.seen().len(), 5, "no call before it is over");
    hub.advance(Duration::from_secs(121)).await.expect("the test clock");
    hub.connectors().call(at_once("ada", "user.me")).await.expect("the sixth of the app");
    // Of the app: six requests in a quarter of an hour, whoever sends them.
    let error = hub.connectors().call(at_once("bob", "user.me")).await.expect_err("the app's limit");
    assert!(matches!(&error, CallError::RateLimited { .. }), "{error}");
    assert_eq!(world.vendor.seen().len(), 6);
    hub.advance(Duration::from_secs(900)).await.expect("the test clock");
    hub.connectors().call(at_once("bob", "user.me")).await.expect("a new quarter");
}

#[tokio::test]
async fn a_vendor_that_never_answers_ends_the_call_with_a_word_and_a_time_to_come_back() {
    let Some(world) = World::tuned("x", hasty).await else { return };
    world.account("main").await;
    world.vendor.misbehave(vec![Fault::Hangs; 4]);
    let error = world.call("user.me", json!({})).await.expect_err("no answer");
    let CallError::Failed { status: None, attempts: 4, message, until: Some(_), .. } = &error else {
        panic!("{error:?}")
    };
    assert!(message.contains("no answer within 300 ms"), "{message}");
    assert_eq!(world.vendor.seen().len(), 4);
    assert_eq!(world.call("user.me", json!({})).await.expect("it is back").requests, 1);
}
