//! The judge itself: it lets through what a vendor's document describes and refuses what it does not.

use serde_json::{Value, json};

use super::spec::{Asked, Refusal, Spec};

const TWILIO: &str = "twilio_api_v2010.json";
const DISCORD: &str = "discord_openapi.json";
const OPENAI: &str = "openai_openapi.json";
const SENDGRID: &str = "sendgrid_mail_v3.json";
const X: &str = "x_openapi.json";

fn asked(method: &str, target: &str, headers: &[(&str, &str)], body: impl Into<String>) -> Asked {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Asked { method: method.into(), target: target.into(), headers, body: body.into() }
}

fn json_of(target: &str, proof: &str, body: &Value) -> Asked {
    asked("POST", target, &[("authorization", proof), ("content-type", "application/json")], body.to_string())
}

fn form_of(target: &str, body: &str) -> Asked {
    let kind = "application/x-www-form-urlencoded";
    asked("POST", target, &[("authorization", "Basic QUM6dA=="), ("content-type", kind)], body)
}

const MESSAGES: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json";

/// One good request of each document, and the operation that it is for.
fn good() -> Vec<(&'static str, Asked, &'static str)> {
    let mail = json!({
        "personalizations": [{"to": [{"email": "to@example.com"}]}], "from": {"email": "from@example.com"},
        "subject": "Hi", "content": [{"type": "text/plain", "value": "Hello"}],
    });
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5});
    vec![
        (TWILIO, form_of(MESSAGES, "To=%2B15005550006&From=%2B15005550001&Body=Hi+there&Attempt=2"), "CreateMessage"),
        (
            DISCORD,
            json_of("/api/v10/webhooks/123456789012345678/tok?wait=true", "", &json!({"content": "Hi"})),
            "execute_webhook",
        ),
        (OPENAI, json_of("/v1/chat/completions", "Bearer k", &chat), "createChatCompletion"),
        (SENDGRID, json_of("/v3/mail/send", "Bearer k", &mail), "SendMail"),
        (
            X,
            json_of("/2/tweets", "Bearer k", &json!({"text": "Hi", "reply": {"in_reply_to_tweet_id": "1"}})),
            "createPosts",
        ),
        (X, asked("GET", "/2/users/me?user.fields=id,name", &[("authorization", "Bearer k")], ""), "getUsersMe"),
    ]
}

#[test]
fn what_a_vendors_document_describes_is_let_through() {
    for (name, asked, operation) in good() {
        let Some(spec) = Spec::published(name) else { continue };
        match spec.check(&asked) {
            Ok(found) => assert_eq!(found.id, operation, "{name}"),
            Err(refusal) => panic!("{name} {}: {refusal:?}", asked.target),
        }
    }
}

#[test]
fn a_form_is_read_into_the_kinds_of_its_schema() {
    let Some(spec) = Spec::published(TWILIO) else { return };
    let form = "To=%2B1&Body=17&Attempt=2&ForceDelivery=true&MediaUrl=https%3A%2F%2Fa.example%2F1&MediaUrl=https%3A%2F%2Fa.example%2F2";
    let found = spec.check(&form_of(MESSAGES, form)).expect("let through");
    let media = ["https://a.example/1", "https://a.example/2"];
    let wanted = json!({"To": "+1", "Body": "17", "Attempt": 2, "ForceDelivery": true, "MediaUrl": media});
    assert_eq!(found.body, wanted);
}

/// What is changed in a good request, and the word of the refusal.
type Wrong = (&'static str, &'static str, fn(&mut Asked), fn(&Refusal) -> bool);

fn with(asked: &mut Asked, change: fn(&mut Value)) {
    let mut body: Value = serde_json::from_str(&asked.body).expect("JSON");
    change(&mut body);
    asked.body = body.to_string();
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_a_vendors_document_does_not_describe_is_refused() {
    let wrong: [Wrong; 22] = [
        (
            TWILIO,
            "CreateMessage",
            |a| a.target = a.target.replace("Messages", "Massages"),
            |r| matches!(r, Refusal::Path(_)),
        ),
        (TWILIO, "CreateMessage", |a| a.method = "PUT".into(), |r| matches!(r, Refusal::Method(_))),
        (
            TWILIO,
            "CreateMessage",
            |a| a.headers.retain(|(n, _)| n != "authorization"),
            |r| matches!(r, Refusal::Proof(_)),
        ),
        (TWILIO, "CreateMessage", |a| a.headers[0].1 = "Bearer t".into(), |r| matches!(r, Refusal::Proof(_))),
        (
            TWILIO,
            "CreateMessage",
            |a| a.target = a.target.replace("/AC0", "/XX0"),
            |r| matches!(r, Refusal::Parameter(_)),
        ),
        (TWILIO, "CreateMessage", |a| a.body = a.body.replace("To=", "Too="), |r| matches!(r, Refusal::Body(_))),
        (
            TWILIO,
            "CreateMessage",
            |a| a.body = a.body.replace("Attempt=2", "Attempt=often"),
            |r| matches!(r, Refusal::Body(_)),
        ),
        (TWILIO, "CreateMessage", |a| a.body.push_str("&RiskCheck=maybe"), |r| matches!(r, Refusal::Body(_))),
        (TWILIO, "CreateMessage", |a| a.body.push_str("&Colour=red"), |r| matches!(r, Refusal::Body(_))),
        (
            TWILIO,
            "CreateMessage",
            |a| a.headers[1].1 = "application/json".into(),
            |r| matches!(r, Refusal::MediaType(_)),
        ),
        (
            DISCORD,
            "execute_webhook",
            |a| a.target = a.target.replace("wait=true", "wait=perhaps"),
            |r| matches!(r, Refusal::Parameter(_)),
        ),
        (DISCORD, "execute_webhook", |a| a.target.push_str("&colour=red"), |r| matches!(r, Refusal::Parameter(_))),
        (DISCORD, "execute_webhook", |a| a.target = a.target.replace("/v10/", "/"), |r| matches!(r, Refusal::Path(_))),
        (
            DISCORD,
            "execute_webhook",
            |a| with(a, |b| b["content"] = "x".repeat(4_001).into()),
            |r| matches!(r, Refusal::Body(_)),
        ),
        (
            DISCORD,
            "execute_webhook",
            |a| with(a, |b| b["embeds"] = json!([{"url": 7}])),
            |r| matches!(r, Refusal::Body(_)),
        ),
        (OPENAI, "createChatCompletion", |a| with(a, |b| b["messages"] = json!([])), |r| matches!(r, Refusal::Body(_))),
        (
            OPENAI,
            "createChatCompletion",
            |a| with(a, |b| b["messages"][0]["role"] = "guest".into()),
            |r| matches!(r, Refusal::Body(_)),
        ),
        (OPENAI, "createChatCompletion", |a| a.body = "{".into(), |r| matches!(r, Refusal::Body(_))),
        (
            SENDGRID,
            "SendMail",
            |a| with(a, |b| b["from"] = json!({"email": "no address"})),
            |r| matches!(r, Refusal::Body(_)),
        ),
        (DISCORD, "execute_webhook", |a| a.body.clear(), |r| matches!(r, Refusal::Body(_))),
        (
            X,
            "createPosts",
            |a| with(a, |b| b["reply"]["in_reply_to_tweet_id"] = "one".into()),
            |r| matches!(r, Refusal::Body(_)),
        ),
        (X, "getUsersMe", |a| a.target = a.target.replace("name", "shoe_size"), |r| matches!(r, Refusal::Parameter(_))),
    ];
    for (n, (name, operation, change, expected)) in wrong.into_iter().enumerate() {
        let Some(spec) = Spec::published(name) else { continue };
        let found = good().into_iter().find(|(of, _, id)| *of == name && *id == operation);
        let (_, mut asked, _) = found.expect("there is a good one");
        change(&mut asked);
        let refusal = spec.check(&asked).expect_err(&format!("case {n} of {name} is refused: {asked:?}"));
        assert!(expected(&refusal), "case {n} of {name}: {refusal:?}");
    }
}

#[test]
fn words_of_the_older_form_are_read_as_they_were_meant() {
    let field = json!({"type": "integer", "nullable": true, "minimum": 1, "exclusiveMinimum": true});
    let body = json!({"application/json": {"schema": {"type": "object", "properties": {"n": field}}}});
    let operation = json!({"operationId": "put", "requestBody": {"required": true, "content": body}, "responses": {}});
    let spec = Spec::new(json!({"openapi": "3.0.1", "paths": {"/n": {"post": operation}}}));
    let verdict = |value: Value| spec.check(&json_of("/n", "", &json!({"n": value}))).is_ok();
    assert_eq!(
        [verdict(2.into()), verdict(Value::Null), verdict(1.into()), verdict("2".into())],
        [true, true, false, false]
    );
}

#[test]
fn answers_are_judged_too() {
    let Some(spec) = Spec::published(X) else { return };
    let (_, asked, _) = good().into_iter().find(|(_, _, id)| *id == "createPosts").expect("there");
    let operation = spec.check(&asked).expect("let through");
    spec.check_answer(&operation, 201, &json!({"data": {"id": "1", "text": "Hi"}})).expect("as described");
    assert!(spec.check_answer(&operation, 201, &json!({"data": {"id": 1}})).is_err());
}

#[test]
fn fields_in_brackets_become_nested_where_the_document_says_so() {
    let items = json!({"type": "array", "items": {"type": "object", "properties": {
        "price": {"type": "string"}, "quantity": {"type": "integer"}}, "additionalProperties": false}});
    let properties = json!({"line_items": items, "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "expand": {"type": "array", "items": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let encoding = json!({"line_items": {"style": "deepObject", "explode": true}});
    let content = json!({"application/x-www-form-urlencoded": {"schema": schema, "encoding": encoding}});
    let operation = json!({"operationId": "make", "requestBody": {"content": content}, "responses": {}});
    let spec = Spec::new(json!({"openapi": "3.0.0", "paths": {"/s": {"post": operation}}}));
    let form = "line_items[0][price]=p1&line_items%5B0%5D%5Bquantity%5D=2&line_items[1][price]=p2&metadata[run]=7&expand[]=a&expand[]=b";
    let found = spec.check(&form_of("/s", form)).expect("let through");
    let wanted = json!({"line_items": [{"price": "p1", "quantity": 2}, {"price": "p2"}], "metadata": {"run": "7"}, "expand": ["a", "b"]});
    assert_eq!(found.body, wanted);
    let wrong = spec.check(&form_of("/s", "line_items[0][colour]=red"));
    assert!(matches!(wrong, Err(Refusal::Body(_))), "{wrong:?}");
}
