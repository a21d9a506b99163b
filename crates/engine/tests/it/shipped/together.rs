//! Operations whose vendors take many at once: fewer requests, and each call its own answer.

use futures_util::future::join_all;
use nexus_engine::connectors::{CallError, ConnectorCall};
use serde_json::{Value, json};

use super::World;
use crate::vendor::stand_in::{Fault, StandIn};

fn key(n: usize) -> String {
    format!("run-{n}")
}

/// S-242
#[tokio::test]
async fn a_hundred_posts_of_x_are_fetched_by_one_request() {
    let Some(world) = World::new("x").await else { return };
    world.account("main").await;
    // The stand-in knows no post whose id ends with 404.
    let id = |n: usize| format!("18000000000000{n:05}");
    let calls = (305..405).map(|n| world.call("post.get", json!({"id": id(n)})));
    for (n, called) in (305..405).zip(join_all(calls).await) {
        match called {
            Ok(called) => assert_eq!((&called.output["id"], called.requests), (&json!(id(n)), 1)),
            Err(CallError::Refused { message, .. }) => {
                assert_eq!(n, 404);
                assert!(message.contains("Could not find"), "{message}");
            }
            Err(other) => panic!("{n}: {other}"),
        }
    }
    let seen = world.vendor.seen();
    assert!(seen.iter().all(|seen| seen.refusal.is_none()), "{:?}", seen[0].refusal);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].asked.target.starts_with("/2/tweets?ids=18000000000000"), "{}", seen[0].asked.target);
}

#[tokio::test]
async fn one_post_of_x_that_is_not_there_is_refused_in_its_words() {
    let Some(world) = World::new("x").await else { return };
    world.account("main").await;
    let error = world.call("post.get", json!({"id": "404"})).await.expect_err("it is not there");
    assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("Could not find")), "{error}");
    assert_eq!(world.vendor.seen()[0].asked.path(), "/2/tweets/404", "alone it is the plain request");
}

/// S-242
#[tokio::test]
async fn the_same_mail_to_many_is_one_request_of_sendgrid_with_a_key_for_each() {
    let Some(world) =
        World::tuned("sendgrid", |manifest| manifest["operations"]["mail.send"]["batch"]["wait"] = "60s".into()).await
    else {
        return;
    };
    world.account("main").await;
    let mail = |n: usize, subject: &str| {
        json!({"to": [format!("lead{n}@example.com")], "from": "hub@example.com", "template_id": "d-1",
            "template_data": {"name": format!("Lead {n}")}, "subject": subject})
    };
    let asks = |n: usize, subject: &str| ConnectorCall {
        key: Some(key(n)),
        patience: std::time::Duration::from_secs(600),
        ..world.asks("mail.send", mail(n, subject))
    };
    let connectors = world.rig.hub.connectors();
    let mut calls: Vec<ConnectorCall> = (0..1_000).map(|n| asks(n % 400, if n < 400 { "A" } else { "B" })).collect();
    calls.truncate(440);
    // These are for several people, or have a copy: they go by themselves.
    let mut with_copy = mail(900, "A");
    with_copy["cc"] = json!(["boss@example.com"]);
    calls.push(ConnectorCall { key: Some(key(900)), ..world.asks("mail.send", with_copy) });
    let all = join_all(calls.into_iter().map(|call| connectors.call(call)));
    let (sent, ()) = tokio::join!(all, async {
        tokio::task::yield_now().await;
        world.rig.hub.advance(std::time::Duration::from_secs(61)).await.expect("a test clock");
    });
    for called in sent {
        assert!(called.expect("sent").output["message_id"].is_string());
    }
    let seen = world.vendor.seen();
    assert!(seen.iter().all(|seen| seen.refusal.is_none()), "{:?}", seen.iter().find_map(|seen| seen.refusal.as_ref()));
    let mut people: Vec<usize> = seen
        .iter()
        .map(|seen| seen.operation.as_ref().expect("taken").body["personalizations"].as_array().map_or(0, Vec::len))
        .collect();
    people.sort_unstable();
    assert_eq!(people, [1, 40, 400], "one with a copy, and one request for each mail");
    let largest = seen.iter().max_by_key(|seen| seen.asked.body.len()).expect("one");
    let body = &largest.operation.as_ref().expect("taken").body;
    let keys: std::collections::BTreeSet<String> = body["personalizations"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["custom_args"]["nexus_key"].as_str().expect("a key").to_owned())
        .collect();
    assert_eq!((keys.len(), &body["subject"]), (400, &json!("A")));
}

/// HubSpot's page of the batch: requests and answers are of the form that it prints.
#[tokio::test]
async fn contacts_of_hubspot_go_together_and_each_call_hears_of_its_own() {
    let world = World::at("hubspot", StandIn::recorder().await, |_| {}).await;
    world.account("main").await;
    let contact = |n: usize| json!({"email": format!("Lead{n}@example.com"), "properties": {"age": 40 + n}});
    let done = json!({
        "status": "COMPLETE", "numErrors": 1,
        "results": [
            {"id": "902", "new": false, "properties": {"email": "lead2@example.com"}},
            {"id": "900", "new": true, "properties": {"email": "lead0@example.com"}}
        ],
        "errors": [{"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid",
            "context": {"id": ["Lead1@example.com"]}}]
    });
    world.vendor.misbehave([Fault::Answers(207, Vec::new(), done)]);
    let called = join_all((0..3).map(|n| world.call("contact.upsert", contact(n)))).await;
    let seen = world.vendor.seen();
    assert_eq!(seen.len(), 1);
    let body: Value = serde_json::from_str(&seen[0].asked.body).expect("JSON");
    let inputs = body["inputs"].as_array().expect("inputs");
    let mut emails: Vec<&str> = inputs.iter().map(|input| input["id"].as_str().expect("an address")).collect();
    emails.sort_unstable();
    assert_eq!(emails, ["Lead0@example.com", "Lead1@example.com", "Lead2@example.com"]);
    assert!(inputs.iter().all(|input| input["properties"]["age"].is_string()), "values are texts: {body}");
    assert_eq!(called[0].as_ref().expect("made").output, json!({"id": "900", "new": true}));
    assert_eq!(called[2].as_ref().expect("changed").output, json!({"id": "902", "new": false}));
    let refused = called[1].as_ref().expect_err("not valid").to_string();
    assert!(refused.contains("Property values were not valid"), "{refused}");

    let found = json!({"status": "COMPLETE", "results": [{"id": "900", "properties": {"email": "lead0@example.com"}}]});
    world.vendor.misbehave([Fault::Answers(207, Vec::new(), found)]);
    let called =
        join_all((0..2).map(|n| world.call("contact.by_email", json!({"email": format!("Lead{n}@example.com")}))))
            .await;
    let seen = world.vendor.seen();
    assert_eq!((seen.len(), seen[1].asked.path()), (2, "/crm/v3/objects/contacts/batch/read"));
    assert_eq!(called[0].as_ref().expect("found").output["id"], "900");
    let refused = called[1].as_ref().expect_err("not there").to_string();
    assert!(refused.contains("no contact with the e-mail address Lead1@example.com"), "{refused}");
}
