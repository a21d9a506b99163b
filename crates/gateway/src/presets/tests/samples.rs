//! One valid request per preset.

use http::{HeaderMap, HeaderName, HeaderValue};
use nexus_core::{sign::Secret, time::Timestamp};

use crate::presets::{Incoming, MapError, Mapped, MappedEvent, Preset, map};

/// A request that owns its parts.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) preset: Preset,
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) now: Timestamp,
    pub(super) secret: &'static str,
}

impl Sample {
    pub(super) fn new(preset: Preset, secret: &'static str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut sample = Self {
            preset,
            method: "POST",
            url: format!("https://hub.example/webhook/{preset}"),
            headers: HeaderMap::new(),
            body: body.into(),
            now: Timestamp::from_secs(1_700_000_000),
            secret,
        };
        headers.iter().for_each(|(name, value)| sample.set(name, value));
        sample
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        let name: HeaderName = name.parse().expect("a header name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
    }

    pub(super) fn incoming(&self) -> Incoming<'_> {
        let path = self.url.find("://").and_then(|i| self.url[i + 3..].find('/').map(|j| i + 3 + j));
        Incoming {
            method: self.method,
            url: &self.url,
            path_query: path.map_or("/", |i| &self.url[i..]),
            headers: &self.headers,
            body: &self.body,
            now: self.now,
        }
    }

    pub(super) fn verify(&self) -> Result<usize, crate::presets::VerifyError> {
        crate::presets::verify(self.preset, &self.incoming(), &[Secret::from(self.secret)]).map(|v| v.secret)
    }
}

/// What a body maps to, under the preset's usual headers.
pub(super) fn mapped(preset: Preset, headers: &[(&str, &str)], body: &str) -> Result<Mapped, MapError> {
    map(preset, &Sample::new(preset, "", headers, body).incoming())
}

/// The only event of a body.
pub(super) fn event(preset: Preset, headers: &[(&str, &str)], body: &str) -> MappedEvent {
    match mapped(preset, headers, body) {
        Ok(Mapped::Events(events)) if events.len() == 1 => events.into_iter().next().expect("one"),
        other => panic!("{body} gives {other:?}"),
    }
}

pub(super) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=UTF-8");

const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SENDGRID_BODY: &str = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
pub(super) const SENDGRID_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
const HUBSPOT_BODY: &str = r#"[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]"#;
pub(super) const HUBSPOT_SECRET: &str = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";

/// One per preset.
pub(super) fn all() -> Vec<Sample> {
    Preset::ALL.into_iter().map(of).collect()
}

/// The valid request of one preset.
pub(super) fn of(preset: Preset) -> Sample {
    match preset {
        Preset::Nexus | Preset::FlowPay | Preset::Factory | Preset::StandardWebhooks => of_neo(preset),
        Preset::GitHub => {
            // Published.
            let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
            Sample::new(preset, "It's a Secret to Everybody", &[("X-Hub-Signature-256", signature)], "Hello, World!")
        }
        Preset::Stripe => {
            // Signed: 1700000000.{body}
            let signature =
                "t=1700000000,v1=00,v1=1f6cc308cff70d08921d4710ef95b23f09a8e15d8a4b5a167063e63a4c34f39b,v0=ab";
            let body = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1"}}}"#;
            Sample::new(preset, "whsec_stripe_test", &[("Stripe-Signature", signature)], body)
        }
        Preset::Twilio => {
            // Published.
            let headers = [FORM, ("X-Twilio-Signature", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")];
            let body =
                "CallSid=CA1234567890ABCDE&Caller=%2B12349013030&Digits=1234&From=%2B12349013030&To=%2B18005551212";
            let url = "https://mycompany.com/myapp.php?foo=1&bar=2".to_owned();
            Sample { url, ..Sample::new(preset, "12345", &headers, body) }
        }
        Preset::Slack => {
            // Published.
            let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
            let headers = [FORM, ("X-Slack-Request-Timestamp", "1531420618"), ("X-Slack-Signature", signature)];
            let now = Timestamp::from_secs(1_531_420_618);
            Sample { now, ..Sample::new(preset, "8f742231b10e8888abcd99yyyzzz85a5", &headers, SLACK_BODY) }
        }
        Preset::Discord => {
            // openssl genpkey -algorithm ed25519; openssl pkeyutl -sign -rawin over 1700000000{body}
            let signature = "f4f6fdebaa7b00957d7f48159245c625ff335dbcf22a38e7f62304e2530a13577f89024c152bb3ba1262251c7f31fb382179b776bd60cd91920b68270867f30f";
            let headers = [("X-Signature-Ed25519", signature), ("X-Signature-Timestamp", "1700000000")];
            let body = r#"{"id":"787053080478613555","type":2,"channel_id":"645027906669510667"}"#;
            Sample::new(preset, "ff2a19173d002504ced3887a143e5499cb9661ed779e01b3c19f72b84372514c", &headers, body)
        }
        Preset::X => {
            let signature = "sha256=OBq6aA67tjKcjdH0fBJfmlyQb0GUJSOtjQ+R2snYYrs=";
            let body = r#"{"for_user_id":"2244994945","tweet_create_events":[{"id_str":"1050118621198921728"}]}"#;
            Sample::new(preset, "consumer-secret", &[("x-twitter-webhooks-signature", signature)], body)
        }
        Preset::LinkedIn => {
            // Signed: hmacsha256={body}
            let signature = "b0379947c23ded2dd41055c6d2b0d84f8fc2b1ad1f66c71dcb9f18b31c273cc8";
            let body = r#"{"type":"ORGANIZATION_SOCIAL_ACTION_NOTIFICATIONS","notifications":[{"notificationId":7,"organizationalEntity":"urn:li:organization:2414183"}]}"#;
            Sample::new(preset, "client-secret", &[("X-LI-Signature", signature)], body)
        }
        Preset::SendGrid => {
            // Published.
            let signature =
                "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
            let headers = [
                ("X-Twilio-Email-Event-Webhook-Signature", signature),
                ("X-Twilio-Email-Event-Webhook-Timestamp", "1600112502"),
            ];
            Sample::new(preset, SENDGRID_KEY, &headers, SENDGRID_BODY)
        }
        Preset::HubSpot => {
            // Published (version 1).
            let signature = "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de";
            let headers = [("X-HubSpot-Signature", signature), ("X-HubSpot-Signature-Version", "v1")];
            Sample::new(preset, HUBSPOT_SECRET, &headers, HUBSPOT_BODY)
        }
        Preset::CalCom => {
            let signature = "d546a8b9cbc5778e2112ab7783b208a266e7b827b5b2321e67b41acef0f0f47f";
            let body = r#"{"triggerEvent":"BOOKING_CREATED","createdAt":"2026-01-02T03:04:05.678Z","payload":{"uid":"bFJeNb2uX8ANpT3JL5EfXw"}}"#;
            Sample::new(preset, "cal-secret", &[("X-Cal-Signature-256", signature)], body)
        }
    }
}

fn of_neo(preset: Preset) -> Sample {
    let (secret, signature, body) = match preset {
        Preset::FlowPay => (
            "flow-secret",
            "681835552d57006985cbded773c4af98ce05c59e80f1a442523b8566c4d042f7",
            r#"{"transactionId":"tx_1","amount":100.5,"payerId":"p_1"}"#,
        ),
        Preset::Factory => (
            "factory-secret",
            "b24aacfbcce2d23327e879a6cf67b078610d9e46b5d99b675ab0e1ce2666a7b8",
            r#"{"contractAddress":"0xabc","txHash":"0xdef"}"#,
        ),
        Preset::StandardWebhooks => {
            // Published.
            let headers = [
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ];
            let sample =
                Sample::new(preset, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &headers, r#"{"test": 2432232314}"#);
            return Sample { now: Timestamp::from_secs(1_614_265_330), ..sample };
        }
        _ => (
            "s",
            "5bbc30bcd7eba9d415517465615493c118f7da65327741e32a38045f174064b4",
            r#"{"event":"PAYMENT_RECEIVED","payload":{"a":1}}"#,
        ),
    };
    Sample::new(preset, secret, &[("X-Nexus-Signature", signature)], body)
}
