//! What bodies become.

use nexus_core::{
    limits::BATCH_EVENTS,
    problem::{Code, Problem},
};
use serde_json::{Value, json};

use super::samples::{FORM, event, mapped, of};
use crate::presets::{MapError, Mapped, MappedEvent, Preset, delivery_id, map, parse};

fn field(preset: Preset, body: &str) -> &'static str {
    match mapped(preset, &[], body) {
        Err(MapError::Field { field, .. }) => field,
        other => panic!("{body} gives {other:?}"),
    }
}

fn seen(event: &MappedEvent) -> (&str, Option<&str>, Option<&str>) {
    (event.topic.as_str(), event.subject.as_deref(), event.delivery.as_deref())
}

#[test]
fn presets_are_known_by_name() {
    for preset in Preset::ALL {
        assert_eq!(preset.as_str().parse(), Ok(preset));
        assert_eq!(serde_json::from_value::<Preset>(json!(preset)).ok(), Some(preset));
    }
    let error = "paypal".parse::<Preset>().expect_err("unknown");
    assert!(error.to_string().contains("flowpay"), "{error}");
}

#[test]
fn the_delivery_of_a_mapped_event_is_that_of_its_request() {
    for preset in Preset::ALL {
        let sample = of(preset);
        let (Ok(parsed), Ok(Mapped::Events(events))) =
            (parse(preset, &sample.incoming()), map(preset, &sample.incoming()))
        else {
            continue;
        };
        let of_request = delivery_id(preset, &sample.incoming(), &parsed.value);
        if of_request.is_some() {
            assert_eq!(events[0].delivery, of_request, "{preset}");
        }
    }
}

#[test]
fn a_flowpay_payment_is_received_or_failed_and_else_ignored() {
    let body = r#"{ "transactionId":"tx_1","amount":10.50,"payerId":"p_1","metadata":{"x":1} }"#;
    let received = event(Preset::FlowPay, &[], body);
    assert_eq!(seen(&received), ("payment.received", Some("tx_1"), Some("tx_1:payment.received")));
    assert_eq!(&received.data[..], body.as_bytes(), "the payload is the body as received");
    for (status, topic) in [
        ("\"confirmed\"", Some("payment.received")),
        ("\"completed\"", Some("payment.received")),
        ("null", Some("payment.received")),
        ("\"failed\"", Some("payment.failed")),
        ("\"pending\"", None),
        ("\"\"", None),
    ] {
        let body = format!(r#"{{"orderId":"o_1","amount":"10.50","payerId":"p_1","status":{status}}}"#);
        match (mapped(Preset::FlowPay, &[], &body), topic) {
            (Ok(Mapped::Events(events)), Some(topic)) => {
                assert_eq!(seen(&events[0]), (topic, Some("o_1"), Some(format!("o_1:{topic}").as_str())));
            }
            (Ok(Mapped::Ignored { .. }), None) => {}
            (other, _) => panic!("{status} gives {other:?}"),
        }
    }
}

#[test]
fn a_missing_field_of_flowpay_or_factory_is_named() {
    for (body, missing) in [
        (r#"{"amount":1,"payerId":"p"}"#, "transactionId"),
        (r#"{"transactionId":"","amount":1,"payerId":"p"}"#, "transactionId"),
        (r#"{"transactionId":[],"amount":1,"payerId":"p"}"#, "transactionId"),
        (r#"{"orderId":"","amount":1,"payerId":"p"}"#, "orderId"),
        (r#"{"transactionId":"t","payerId":"p"}"#, "amount"),
        (r#"{"transactionId":"t","amount":"ten","payerId":"p"}"#, "amount"),
        (r#"{"transactionId":"t","amount":-1,"payerId":"p"}"#, "amount"),
        (r#"{"transactionId":"t","amount":1}"#, "payerId"),
        (r#"{"transactionId":"t","amount":1,"payerId":null}"#, "payerId"),
        (r#"{"transactionId":"t","amount":1,"payerId":"p","status":5}"#, "status"),
    ] {
        assert_eq!(field(Preset::FlowPay, body), missing, "{body}");
    }
    assert_eq!(field(Preset::Factory, r#"{"txHash":"0x1"}"#), "contractAddress");
    assert_eq!(field(Preset::Factory, r#"{"contractAddress":"0x1"}"#), "txHash");
    let error = mapped(Preset::Factory, &[], "{}").expect_err("empty");
    let problem = Problem::from(error);
    assert_eq!(problem.code, Code::Invalid);
    assert!(problem.details.contains_key("contractAddress"));
}

#[test]
fn a_factory_mint_is_confirmed_or_failed_and_else_ignored() {
    for (status, topic) in [
        ("", Some("mint.confirmed")),
        (r#","status":"deployed""#, Some("mint.confirmed")),
        (r#","status":"confirmed""#, Some("mint.confirmed")),
        (r#","status":"failed""#, Some("mint.failed")),
        (r#","status":"queued""#, None),
    ] {
        let body = format!(r#"{{"contractAddress":"0xabc","txHash":"0xdef"{status}}}"#);
        match (mapped(Preset::Factory, &[], &body), topic) {
            (Ok(Mapped::Events(events)), Some(topic)) => {
                assert_eq!(seen(&events[0]), (topic, Some("0xdef"), Some(format!("0xdef:{topic}").as_str())));
            }
            (Ok(Mapped::Ignored { .. }), None) => {}
            (other, _) => panic!("{status} gives {other:?}"),
        }
    }
}

#[test]
fn the_form_of_nexus_names_its_event_and_keeps_its_payload() {
    let body = r#"{"event":"PAYMENT_RECEIVED","payload": {"b":1.50 , "a":[]} ,"id":"e-1"}"#;
    let received = event(Preset::Nexus, &[], body);
    assert_eq!(seen(&received), ("payment.received", None, Some("e-1")));
    assert_eq!(&received.data[..], br#"{"b":1.50 , "a":[]}"#);
    let other = event(Preset::Nexus, &[("webhook-id", "w-1")], r#"{"type":"mint.requested"}"#);
    assert_eq!((seen(&other), &other.data[..]), (("mint.requested", None, Some("w-1")), &b"null"[..]));
    for bad in [r#"{"payload":1}"#, r#"{"event":""}"#, r#"{"event":5}"#, r#"{"event":"a/b"}"#] {
        let error = mapped(Preset::Nexus, &[], bad).expect_err("no event");
        assert_eq!(Problem::from(error).code, Code::UnknownEvent, "{bad}");
    }
}

#[test]
fn a_body_that_is_no_json_or_no_object_is_malformed() {
    for preset in Preset::ALL {
        for body in ["", "{", "1", "\"a\"", "{\"a\":1,\"a\":2}"] {
            let error = mapped(preset, &[], body).expect_err("no body");
            assert_eq!(Problem::from(error).code, Code::Malformed, "{preset} {body}");
        }
        assert!(mapped(preset, &[], "{}").is_err() || matches!(preset, Preset::Twilio | Preset::X), "{preset}");
    }
}

#[test]
fn github_names_the_event_in_a_header_and_the_action_in_the_body() {
    let headers = [("X-GitHub-Event", "pull_request"), ("X-GitHub-Delivery", "72d3162e-cc78")];
    let opened = event(Preset::GitHub, &headers, r#"{"action":"opened","repository":{"id":1296269}}"#);
    assert_eq!(seen(&opened), ("github.pull_request.opened", Some("1296269"), Some("72d3162e-cc78")));
    let form = [headers[0], FORM];
    let opened = event(Preset::GitHub, &form, "payload=%7B%22action%22%3A%22opened%22%7D");
    assert_eq!(
        (opened.topic.as_str(), &opened.data[..]),
        ("github.pull_request.opened", &br#"{"action":"opened"}"#[..])
    );
    assert_eq!(event(Preset::GitHub, &[("X-GitHub-Event", "ping")], "{\"zen\":\"z\"}").topic.as_str(), "github.ping");
    assert_eq!(field(Preset::GitHub, "{}"), "X-GitHub-Event");
}

#[test]
fn types_of_providers_are_folded_to_topics() {
    let topic = |preset, body: Value| event(preset, &[], &body.to_string()).topic.to_string();
    assert_eq!(topic(Preset::Stripe, json!({"type": "payment_intent.succeeded"})), "stripe.payment_intent.succeeded");
    assert_eq!(topic(Preset::Stripe, json!({"type": "A b/c..D."})), "stripe.a_b_c.d");
    assert_eq!(topic(Preset::Stripe, json!({"type": "\u{e9}"})), "stripe._");
    assert_eq!(topic(Preset::Stripe, json!({"type": "..."})), "stripe");
    let long = topic(Preset::Stripe, json!({"type": "x.".repeat(500)}));
    assert_eq!(long.split('.').count(), 16);
    assert_eq!(topic(Preset::Stripe, json!({"type": "x".repeat(500)})), "stripe");
    assert_eq!(topic(Preset::StandardWebhooks, json!({"type": "user.created"})), "user.created");
    assert_eq!(topic(Preset::CalCom, json!({"triggerEvent": "BOOKING_CREATED"})), "calcom.booking_created");
    assert_eq!(topic(Preset::LinkedIn, json!({"type": "ORGANIZATION_SOCIAL"})), "linkedin.organization_social");
    assert_eq!(topic(Preset::X, json!({"data": {"event_type": "profile.update.bio"}})), "x.profile.update.bio");
    assert_eq!(topic(Preset::Discord, json!({"type": 5, "id": "1"})), "discord.modal_submit");
    let authorized = json!({"type": 1, "version": 1, "event": {"type": "APPLICATION_AUTHORIZED", "timestamp": "t"}, "application_id": "a"});
    assert_eq!(topic(Preset::Discord, authorized), "discord.application_authorized");
}

#[test]
fn the_samples_map_with_their_ids() {
    for (preset, expected) in [
        (Preset::Stripe, ("stripe.payment_intent.succeeded", Some("pi_1"), Some("evt_1"))),
        (Preset::Twilio, ("twilio.call.received", Some("CA1234567890ABCDE"), Some("CA1234567890ABCDE::"))),
        (
            Preset::Slack,
            ("slack.command", Some("G8PSS9T3V"), Some("398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")),
        ),
        (Preset::Discord, ("discord.application_command", Some("645027906669510667"), Some("787053080478613555"))),
        (
            Preset::X,
            ("x.tweet_create_events", Some("2244994945"), Some("2244994945:tweet_create_events:1050118621198921728")),
        ),
        (
            Preset::LinkedIn,
            ("linkedin.organization_social_action_notifications", Some("urn:li:organization:2414183"), Some("7")),
        ),
        (Preset::HubSpot, ("hubspot.contact.creation", Some("123"), Some("1:12345:123:1564113600000"))),
        (
            Preset::CalCom,
            ("calcom.booking_created", Some("bFJeNb2uX8ANpT3JL5EfXw"), Some("bFJeNb2uX8ANpT3JL5EfXw:BOOKING_CREATED")),
        ),
    ] {
        let Ok(Mapped::Events(events)) = map(preset, &of(preset).incoming()) else {
            panic!("{preset} maps to nothing")
        };
        assert_eq!(seen(&events[0]), expected, "{preset}");
    }
}

#[test]
fn a_form_becomes_an_object_of_strings() {
    let sms = event(
        Preset::Twilio,
        &[FORM],
        "MessageSid=SM1&From=%2B4912345&Body=a+b%26c%3D%C3%A9&SmsStatus=received&Empty=&Flag",
    );
    assert_eq!(seen(&sms), ("twilio.message.received", Some("SM1"), Some("SM1:received:")));
    let data: Value = serde_json::from_slice(&sms.data).expect("JSON");
    let expected = json!({"MessageSid": "SM1", "From": "+4912345", "Body": "a b&c=\u{e9}", "SmsStatus": "received", "Empty": "", "Flag": ""});
    assert_eq!(data, expected);
    assert!(matches!(mapped(Preset::Twilio, &[FORM], "a=%00"), Err(MapError::Json(_))), "U+0000 can't be stored");
    let click = event(
        Preset::Slack,
        &[FORM],
        "payload=%7B%22type%22%3A%22block_actions%22%2C%22channel%22%3A%7B%22id%22%3A%22C1%22%7D%7D",
    );
    assert_eq!(seen(&click), ("slack.block_actions", Some("C1"), None));
}

#[test]
fn a_subject_is_never_a_phone_number_or_an_address() {
    for id in ["+491701234567", "a@b.example", "two words", ""] {
        let body = json!({"type": "x", "data": {"object": {"id": id}}});
        assert_eq!(event(Preset::Stripe, &[], &body.to_string()).subject, None, "{id:?}");
    }
}

#[test]
fn a_batch_gives_one_event_per_element_with_its_own_bytes() {
    let body =
        r#"[ {"event":"open","sg_event_id":"e1", "n":1.50}, {"event":"Group_Unsubscribe","sg_message_id":"m"} ]"#;
    let Ok(Mapped::Events(events)) = mapped(Preset::SendGrid, &[], body) else { panic!("no events") };
    assert_eq!(seen(&events[0]), ("sendgrid.open", None, Some("e1")));
    assert_eq!(&events[0].data[..], br#"{"event":"open","sg_event_id":"e1", "n":1.50}"#);
    assert_eq!(seen(&events[1]), ("sendgrid.group_unsubscribe", Some("m"), None));
    let stream = event(Preset::Twilio, &[], r#"[{"type":"com.twilio.messaging.message.delivered","id":"EZ1"}]"#);
    assert_eq!(seen(&stream), ("twilio.messaging.message.delivered", None, Some("EZ1")));
    assert!(matches!(mapped(Preset::HubSpot, &[], "[]"), Ok(Mapped::Ignored { .. })));
    assert!(matches!(mapped(Preset::HubSpot, &[], "[{}]"), Err(MapError::Field { .. })));
    let many = format!("[{}]", vec!["{}"; BATCH_EVENTS + 1].join(","));
    assert_eq!(mapped(Preset::SendGrid, &[], &many).map_err(|e| Problem::from(e).code), Err(Code::TooLarge));
}
