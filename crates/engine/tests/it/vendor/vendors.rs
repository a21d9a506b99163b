//! The vendors: whose specification each obeys, and how it says no and yes.

use std::path::Path;

use nexus_engine::document::yaml;
use serde_json::{Value, json};

use super::{
    spec::{Asked, Operation, Refusal, Spec},
    stand_in::{Answer, Manners, Repeats, StandIn},
};

/// A vendor, as the connector of this name calls it; `None` (and a line) where its specification is not at hand.
pub(crate) async fn open(connector: &str) -> Option<StandIn> {
    let does = |refusal, answer| Manners { refusal, answer, repeats: Repeats::Does };
    let (spec, manners, token_path) = match connector {
        "x" => {
            let repeats = Repeats::Refuses(x_text, x_duplicate);
            (
                Spec::published("x_openapi.json")?,
                Manners { refusal: x_refusal, answer: x_answer, repeats },
                Some("/2/oauth2/token"),
            )
        }
        "twilio" => (Spec::published("twilio_api_v2010.json")?, does(twilio_refusal, sample), None),
        "discord" => {
            let manners =
                Manners { refusal: discord_refusal, answer: discord_answer, repeats: Repeats::Known(discord_nonce) };
            (Spec::published("discord_openapi.json")?, manners, None)
        }
        "discord-webhook" => (Spec::published("discord_openapi.json")?, does(discord_refusal, discord_answer), None),
        "openai-compatible" => (Spec::published("openai_openapi.json")?, does(openai_refusal, openai_answer), None),
        "sendgrid" => (Spec::published("sendgrid_mail_v3.json")?, does(sendgrid_refusal, sendgrid_answer), None),
        "stripe" => {
            // Its answers are fixtures.
            fixture("refund")?;
            let manners =
                Manners { refusal: stripe_refusal, answer: stripe_answer, repeats: Repeats::Header("idempotency-key") };
            (read("stripe"), manners, None)
        }
        "slack" => (read("slack"), does(slack_refusal, slack_answer), None),
        "slack-webhook" => (read("slack-webhook"), does(slack_webhook_refusal, slack_webhook_answer), None),
        "linkedin" => {
            let manners = Manners {
                refusal: linkedin_refusal,
                answer: linkedin_answer,
                repeats: Repeats::Refuses(linkedin_text, linkedin_duplicate),
            };
            (read("linkedin"), manners, Some("/oauth/v2/accessToken"))
        }
        "google-calendar" => {
            let manners = Manners {
                refusal: google_refusal,
                answer: google_answer,
                repeats: Repeats::Refuses(google_id, google_duplicate),
            };
            (read("google-calendar"), manners, Some("/token"))
        }
        other => panic!("there is no stand-in for {other}"),
    };
    Some(StandIn::open(spec, manners, token_path).await)
}

/// What we read of a vendor's pages.
fn read(name: &str) -> Spec {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/vendor/{name}.yaml"));
    let text = std::fs::read_to_string(&file).expect("it lies beside the tests");
    Spec::new(yaml::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}")).value)
}

fn plain(status: u16, body: Value) -> Answer {
    (status, Vec::new(), body)
}

/// The usual statuses of refusals, and the words.
fn usual(refusal: &Refusal, unfit: u16) -> (u16, &str) {
    match refusal {
        Refusal::Path(why) => (404, why),
        Refusal::Method(why) => (405, why),
        Refusal::Proof(why) => (401, why),
        Refusal::MediaType(why) => (415, why),
        Refusal::Parameter(why) | Refusal::Body(why) => (unfit, why),
    }
}

/// The specification's own example of an answer.
fn sample(spec: &Spec, operation: &Operation, _: &Asked, _: usize) -> Answer {
    let (status, body) = spec.sample(operation).expect("the specification has an example");
    plain(status, body)
}

// X

fn x_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    let title = if status == 401 { "Unauthorized" } else { "Invalid Request" };
    plain(
        status,
        json!({"title": title, "status": status, "detail": why, "type": "https://api.x.com/2/problems/invalid-request"}),
    )
}

fn x_text(operation: &Operation) -> Option<String> {
    (operation.id == "createPosts").then(|| operation.body["text"].to_string())
}

fn x_duplicate() -> Answer {
    let detail = "You are not allowed to create a Tweet with duplicate content.";
    plain(403, json!({"detail": detail, "type": "about:blank", "title": "Forbidden", "status": 403}))
}

/// A post, unless its id ends with 404.
fn x_post(id: &str) -> Result<Value, Value> {
    if id.ends_with("404") {
        let detail = format!("Could not find post with id: [{id}].");
        return Err(
            json!({"value": id, "detail": detail, "title": "Not Found Error", "resource_type": "post", "parameter": "id",
            "resource_id": id, "type": "https://api.x.com/2/problems/resource-not-found"}),
        );
    }
    Ok(json!({"id": id, "text": "We are live."}))
}

fn x_answer(_: &Spec, operation: &Operation, asked: &Asked, n: usize) -> Answer {
    let id = format!("18000000000000{n:05}");
    match operation.id.as_str() {
        "createPosts" => plain(201, json!({"data": {"id": id, "text": operation.body["text"]}})),
        "deletePosts" => plain(200, json!({"data": {"deleted": true}})),
        "getPostsById" => match x_post(asked.path().rsplit('/').next().unwrap_or_default()) {
            Ok(post) => plain(200, json!({ "data": post })),
            Err(error) => plain(200, json!({"errors": [error]})),
        },
        "getPostsByIds" => {
            let query = super::text::pairs(asked.target.split_once('?').map_or("", |(_, query)| query));
            let ids = query.into_iter().find(|(name, _)| name == "ids").map(|(_, ids)| ids).unwrap_or_default();
            let (posts, errors): (Vec<_>, Vec<_>) = ids.split(',').map(x_post).partition(Result::is_ok);
            let posts: Vec<Value> = posts.into_iter().flatten().rev().collect();
            let errors: Vec<Value> = errors.into_iter().filter_map(Result::err).collect();
            plain(
                200,
                if errors.is_empty() { json!({ "data": posts }) } else { json!({"data": posts, "errors": errors}) },
            )
        }
        "getUsersMe" => plain(200, json!({"data": {"id": "2244994945", "name": "X Dev", "username": "TwitterDev"}})),
        "createDirectMessagesByParticipantId" => {
            plain(201, json!({"data": {"dm_conversation_id": "1-2", "dm_event_id": id}}))
        }
        other => panic!("no answer to {other}"),
    }
}

// Twilio

fn twilio_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    let code = match status {
        401 => 20003,
        404 => 20404,
        _ => 21604,
    };
    plain(
        status,
        json!({"code": code, "message": why, "more_info": format!("https://www.twilio.com/docs/errors/{code}"), "status": status}),
    )
}

// Discord

fn discord_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    match status {
        401 => plain(401, json!({"message": "401: Unauthorized", "code": 0})),
        404 => plain(404, json!({"message": "404: Not Found", "code": 0})),
        _ => plain(
            status,
            json!({"message": "Invalid Form Body", "code": 50035, "errors": {"_errors": [{"message": why}]}}),
        ),
    }
}

fn discord_nonce(operation: &Operation) -> Option<String> {
    (operation.body["enforce_nonce"] == true).then(|| operation.body["nonce"].to_string())
}

fn discord_answer(_: &Spec, operation: &Operation, asked: &Asked, n: usize) -> Answer {
    let author = json!({"id": "1", "username": "nexus", "avatar": null, "discriminator": "0000", "public_flags": 0, "flags": 0,
        "global_name": null, "primary_guild": null});
    let message = json!({
        "id": format!("20000000000000{n:04}"), "channel_id": "123456789012345678", "type": 0, "author": author,
        "content": operation.body.get("content").cloned().unwrap_or("".into()), "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": [], "timestamp": "2030-01-01T00:00:00.000000+00:00", "edited_timestamp": null,
        "flags": 0, "components": [], "pinned": false, "mention_everyone": false, "tts": false,
    });
    // An executed webhook tells its message only to those who wait.
    if operation.id == "execute_webhook" && !asked.target.contains("wait=true") {
        return plain(204, Value::Null);
    }
    plain(200, message)
}

// OpenAI

fn openai_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    plain(status, json!({"error": {"message": why, "type": "invalid_request_error", "param": null, "code": null}}))
}

fn openai_answer(_: &Spec, operation: &Operation, _: &Asked, _: usize) -> Answer {
    let model = &operation.body["model"];
    match operation.id.as_str() {
        "createChatCompletion" => plain(
            200,
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1_741_569_952, "model": model,
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "A call back.", "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}}),
        ),
        "createEmbedding" => plain(
            200,
            json!({"object": "list", "model": model, "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
                "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
        ),
        other => panic!("no answer to {other}"),
    }
}

// SendGrid

fn sendgrid_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    plain(status, json!({"errors": [{"message": why, "field": null}]}))
}

fn sendgrid_answer(_: &Spec, _: &Operation, _: &Asked, n: usize) -> Answer {
    (202, vec![("X-Message-Id".into(), format!("message-{n}"))], Value::Null)
}

// Stripe

/// One of Stripe's published fixtures.
fn fixture(resource: &str) -> Option<Value> {
    let mut all = super::spec::published("stripe_fixtures3.json")?;
    Some(all["resources"][resource].take())
}

fn stripe_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    plain(status, json!({"error": {"type": "invalid_request_error", "message": why}}))
}

fn stripe_answer(spec: &Spec, operation: &Operation, _: &Asked, n: usize) -> Answer {
    let resource = spec.said_of(operation, 200).expect("the resource's name");
    let mut body = fixture(&resource).expect("a fixture");
    for field in ["amount", "currency", "charge", "mode"] {
        if let Some(value) = operation.body.get(field) {
            body[field] = value.clone();
        }
    }
    body["id"] = format!("{}_{n}", resource.replace('.', "_")).into();
    plain(200, body)
}

// Slack

fn slack_refusal(refusal: &Refusal) -> Answer {
    let word = match refusal {
        Refusal::Path(_) => "unknown_method",
        Refusal::Proof(_) => "invalid_auth",
        Refusal::MediaType(_) => "invalid_post_type",
        _ => "invalid_arguments",
    };
    plain(200, json!({"ok": false, "error": word}))
}

fn slack_answer(_: &Spec, operation: &Operation, _: &Asked, n: usize) -> Answer {
    plain(
        200,
        match operation.id.as_str() {
            "users.lookupByEmail" => {
                json!({"ok": true, "user": {"id": "W012A3CDE", "team_id": "T012AB3C4", "name": "spengler"}})
            }
            _ => json!({"ok": true, "channel": operation.body["channel"], "ts": format!("1503435956.{n:06}")}),
        },
    )
}

fn slack_webhook_refusal(refusal: &Refusal) -> Answer {
    let (status, _) = usual(refusal, 400);
    plain(status, if status == 404 { "no_service".into() } else { "invalid_payload".into() })
}

fn slack_webhook_answer(_: &Spec, _: &Operation, _: &Asked, _: usize) -> Answer {
    plain(200, "ok".into())
}

// LinkedIn

fn linkedin_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 422);
    plain(status, json!({"status": status, "serviceErrorCode": 65601, "message": why}))
}

fn linkedin_text(operation: &Operation) -> Option<String> {
    (operation.id == "posts.create").then(|| operation.body["commentary"].to_string())
}

fn linkedin_duplicate() -> Answer {
    let description = "Duplicate post is detected";
    plain(
        422,
        json!({"status": 422, "message": "Content is a duplicate of urn:li:share:7141138937766391808",
        "errorDetails": {"inputErrors": [{"description": description, "input": {}, "code": "DUPLICATE_POST"}]}}),
    )
}

fn linkedin_answer(_: &Spec, operation: &Operation, _: &Asked, n: usize) -> Answer {
    match operation.id.as_str() {
        "posts.create" => (201, vec![("x-restli-id".into(), format!("urn:li:share:{n}"))], Value::Null),
        "posts.delete" => plain(204, Value::Null),
        _ => plain(200, json!({"sub": "782bbtaQ", "name": "Ada"})),
    }
}

// Google

fn google_refusal(refusal: &Refusal) -> Answer {
    let (status, why) = usual(refusal, 400);
    plain(status, json!({"error": {"code": status, "message": why, "errors": [{"reason": "invalid", "message": why}]}}))
}

fn google_id(operation: &Operation) -> Option<String> {
    operation.body.get("id").map(ToString::to_string)
}

fn google_duplicate() -> Answer {
    let message = "The requested identifier already exists.";
    plain(
        409,
        json!({"error": {"code": 409, "message": message, "errors": [{"reason": "duplicate", "message": message}]}}),
    )
}

fn google_answer(_: &Spec, operation: &Operation, asked: &Asked, _: usize) -> Answer {
    match operation.id.as_str() {
        "events.list" if !asked.target.contains("pageToken") => {
            plain(200, json!({"kind": "calendar#events", "items": [{"id": "a1"}], "nextPageToken": "two"}))
        }
        "events.list" => plain(200, json!({"kind": "calendar#events", "items": [{"id": "a2"}]})),
        "events.delete" => plain(204, Value::Null),
        "freebusy.query" => plain(200, json!({"calendars": {"primary": {"busy": []}}})),
        _ => plain(
            200,
            json!({"kind": "calendar#event", "id": operation.body.get("id").cloned().unwrap_or("a1".into()), "status": "confirmed"}),
        ),
    }
}
