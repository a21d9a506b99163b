//! Who is let in.

use http::HeaderValue;
use nexus_core::{
    problem::{Code, Problem},
    sign::Secret,
    time::Timestamp,
};
use proptest::prelude::*;

use super::samples::{FORM, HUBSPOT_SECRET, SENDGRID_KEY, Sample, all, of};
use crate::presets::{Incoming, Preset, VerifyError, challenge, delivery_id, map, parse, verify};

/// The headers that carry the proof itself.
const PROOFS: [&str; 14] = [
    "x-nexus-signature",
    "webhook-signature",
    "x-hub-signature-256",
    "stripe-signature",
    "x-twilio-signature",
    "x-slack-signature",
    "x-signature-ed25519",
    "x-twitter-webhooks-signature",
    "x-li-signature",
    "x-twilio-email-event-webhook-signature",
    "x-hubspot-signature",
    "x-hubspot-signature-v3",
    "x-cal-signature-256",
    "webhook-id",
];

#[test]
fn the_vector_of_every_preset_holds() {
    for sample in all() {
        assert_eq!(sample.verify(), Ok(0), "{}", sample.preset);
    }
}

#[test]
fn one_changed_byte_is_a_mismatch_for_every_preset() {
    for sample in all() {
        for at in [0, sample.body.len() / 2, sample.body.len() - 1] {
            let mut changed = sample.clone();
            changed.body[at] ^= 1;
            assert_eq!(changed.verify(), Err(VerifyError::Mismatch), "{} at {at}", sample.preset);
        }
        let mut longer = sample.clone();
        longer.body.push(b' ');
        assert_eq!(longer.verify(), Err(VerifyError::Mismatch), "{}", sample.preset);
    }
}

#[test]
fn any_active_secret_proves_and_none_is_a_fault_of_ours() {
    for sample in all() {
        let another = match sample.preset {
            Preset::Discord => Secret::from("5".repeat(64).as_str()),
            // Another point of the curve: the published one of RFC 6979, A.2.5.
            Preset::SendGrid => Secret::from(
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVaMDFEZ88EldyO/bzDqD7E0HwBkwOvyEwDP7Z5A/4CNK3hUZyCS8mHYJiIkgDvfvl1W0YwbnfkGO+XmQ==",
            ),
            _ => Secret::from("another"),
        };
        let own = Secret::from(sample.secret);
        let both = [another.clone(), own];
        assert_eq!(verify(sample.preset, &sample.incoming(), &both).map(|v| v.secret), Ok(1), "{}", sample.preset);
        let wrong = verify(sample.preset, &sample.incoming(), &[another]);
        assert_eq!(wrong, Err(VerifyError::Mismatch), "{}", sample.preset);
        let none = verify(sample.preset, &sample.incoming(), &[]);
        assert!(matches!(none, Err(VerifyError::Secret { .. })), "{}", sample.preset);
    }
    for preset in [Preset::Discord, Preset::SendGrid] {
        let sample = of(preset);
        let unusable = verify(preset, &sample.incoming(), &[Secret::from("no key")]);
        assert!(matches!(unusable, Err(VerifyError::Secret { .. })), "{preset}");
    }
}

#[test]
fn a_missing_proof_names_its_header() {
    for sample in all() {
        let bare = Sample { headers: http::HeaderMap::new(), ..sample };
        let error = bare.verify().expect_err("no proof");
        assert!(matches!(error, VerifyError::Missing { .. }), "{} {error:?}", bare.preset);
        let problem = Problem::from(error);
        assert_eq!(problem.code, Code::Unauthenticated);
        assert!(problem.message.contains("is missing"), "{problem}");
    }
}

#[test]
fn a_proof_of_the_wrong_form_is_malformed() {
    for sample in all() {
        for name in PROOFS.into_iter().filter(|name| *name != "webhook-id" && sample.headers.contains_key(*name)) {
            for bad in ["", "x", "sha256=", "v0=zz", "t=1700000000", "v1,", "=", "sha256=AAAA"] {
                let mut broken = sample.clone();
                broken.set(name, bad);
                let error = broken.verify().expect_err("no proof");
                // SendGrid's signature is DER, of which only the verification knows the form.
                let fits = matches!(error, VerifyError::Malformed { .. } | VerifyError::Mismatch);
                assert!(fits, "{} {bad:?} {error:?}", sample.preset);
            }
            let mut broken = sample.clone();
            broken.headers.insert(name, HeaderValue::from_bytes(b"\xff").expect("obs-text"));
            assert!(matches!(broken.verify(), Err(VerifyError::Malformed { .. })), "{}", sample.preset);
        }
    }
}

#[test]
fn a_signed_time_must_be_within_five_minutes() {
    let timed = [Preset::StandardWebhooks, Preset::Stripe, Preset::Slack, Preset::Discord];
    for preset in timed {
        let sample = of(preset);
        let at =
            |offset: i64| Sample { now: Timestamp::from_secs(sample.now.secs() + offset), ..sample.clone() }.verify();
        assert_eq!((at(300), at(-300)), (Ok(0), Ok(0)), "{preset}");
        assert_eq!(at(301), Err(VerifyError::Stale { skew_secs: 301 }), "{preset}");
        assert_eq!(at(-301), Err(VerifyError::Stale { skew_secs: -301 }), "{preset}");
    }
}

#[test]
fn the_vector_of_n_003_holds() {
    // printf '{"a":1}' | openssl dgst -sha256 -hmac s
    const HEX: &str = "37beaf650f70b40ec9706929c2e9d835cbd63729988f48781e6383a147215f07";
    for signature in [HEX.to_owned(), format!("sha256={HEX}")] {
        let sample = Sample::new(Preset::Nexus, "s", &[("X-Nexus-Signature", &signature)], r#"{"a":1}"#);
        assert_eq!(sample.verify(), Ok(0));
    }
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s
    let signature = "ab7bd212df57f3ef4ea3c17d4a1a71d8981ef595d4cd699b62517c68d89192a2";
    let headers = [("X-Nexus-Signature", signature), ("X-Nexus-Timestamp", "1700000000")];
    let sample = Sample::new(Preset::Nexus, "s", &headers, r#"{"a":1}"#);
    assert_eq!(sample.verify(), Ok(0));
    let late = Sample { now: Timestamp::from_secs(1_700_000_301), ..sample };
    assert_eq!(late.verify(), Err(VerifyError::Stale { skew_secs: 301 }));
}

#[test]
fn svix_headers_are_those_of_standard_webhooks() {
    let mut sample = of(Preset::StandardWebhooks);
    for (old, name) in
        [("svix-id", "webhook-id"), ("svix-timestamp", "webhook-timestamp"), ("svix-signature", "webhook-signature")]
    {
        let value = sample.headers.remove(name).expect("set");
        sample.headers.insert(old, value);
    }
    assert_eq!(sample.verify(), Ok(0));
}

#[test]
fn the_second_published_twilio_vector_holds_with_or_without_the_port() {
    let body = "To=%2B18005551212&From=%2B14158675309&Digits=1234&CallSid=CA1234567890ABCDE&Caller=%2B14158675309";
    let headers = [FORM, ("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=")];
    let sample = Sample::new(Preset::Twilio, "12345", &headers, body);
    for (url, proves) in [
        ("https://mycompany.com/myapp.php?foo=1&bar=2", true),
        ("https://mycompany.com:443/myapp.php?foo=1&bar=2", true),
        ("https://mycompany.com/myapp.php?foo=1", false),
        ("https://other.example/myapp.php?foo=1&bar=2", false),
        ("nonsense", false),
    ] {
        assert_eq!(Sample { url: url.into(), ..sample.clone() }.verify().is_ok(), proves, "{url}");
    }
}

#[test]
fn a_json_body_of_twilio_is_proven_by_its_digest_in_the_url() {
    // SHA=$(printf '%s' "$BODY" | openssl dgst -sha256); signed: the URL, with -sha1 and key 12345
    let url = "https://hub.example/webhook/twilio?bodySHA256=1ad03f3f8abd178991e4f1a9d375b7e12b451a59488a9d4cde6951ff7ec5c030";
    let body = r#"[{"type":"com.twilio.messaging.message.delivered","id":"EZ1"}]"#;
    let headers = [("content-type", "application/json"), ("X-Twilio-Signature", "+v9SA0o4tBaUr1+71zc5QB6FGi0=")];
    let sample = Sample { url: url.into(), ..Sample::new(Preset::Twilio, "12345", &headers, body) };
    assert_eq!(sample.verify(), Ok(0));
    let changed = Sample { body: b"[]".to_vec(), ..sample.clone() };
    assert_eq!(changed.verify(), Err(VerifyError::Mismatch));
    let bare = Sample { url: "https://hub.example/webhook/twilio".into(), ..sample };
    assert!(matches!(bare.verify(), Err(VerifyError::Malformed { .. })));
}

#[test]
fn the_other_hubspot_versions_hold() {
    // Published (version 2), without and with a body.
    for (method, signature, body) in [
        ("GET", "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e", ""),
        (
            "POST",
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
            r#"{"example_field":"example_value"}"#,
        ),
    ] {
        let headers = [("X-HubSpot-Signature", signature), ("X-HubSpot-Signature-Version", "v2")];
        let sample = Sample::new(Preset::HubSpot, HUBSPOT_SECRET, &headers, body);
        let sample = Sample { method, url: "https://www.example.com/webhook_uri".into(), ..sample };
        assert_eq!(sample.verify(), Ok(0));
    }
    // Signed: POSThttps://hub.example/webhook/hubspot?a=b/c{body}1700000000000
    let mut sample = Sample::new(
        Preset::HubSpot,
        "hs-secret",
        &[
            ("X-HubSpot-Signature-v3", "xU566Bn/XFpzVdmL3TCz0lyNESdoLQ/rmfsDfr4zAw4="),
            ("X-HubSpot-Request-Timestamp", "1700000000000"),
        ],
        r#"[{"eventId":1,"subscriptionType":"contact.creation","objectId":123}]"#,
    );
    sample.url = "https://hub.example/webhook/hubspot?a=b%2Fc".into();
    assert_eq!(sample.verify(), Ok(0));
    let late = Sample { now: Timestamp::from_secs(1_700_000_301), ..sample.clone() };
    assert_eq!(late.verify(), Err(VerifyError::Stale { skew_secs: 301 }));
    // A newer proof that fails is not made good by an older one.
    sample.set("x-hubspot-signature", "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de");
    sample.body.push(b' ');
    assert_eq!(sample.verify(), Err(VerifyError::Mismatch));
}

#[test]
fn a_sendgrid_key_may_stand_between_pem_lines() {
    let sample = of(Preset::SendGrid);
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
        &SENDGRID_KEY[..64],
        &SENDGRID_KEY[64..]
    );
    assert!(verify(Preset::SendGrid, &sample.incoming(), &[Secret::from(pem.as_str())]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_request_panics(
        headers in proptest::collection::vec((prop::sample::select(PROOFS.to_vec()), proptest::collection::vec(32u8.., 0..90)), 0..4),
        timestamp in "[-0-9]{0,20}|.{0,8}",
        form in any::<bool>(),
        body in proptest::collection::vec(any::<u8>(), 0..60),
        url in "(https?://)?[a-z.:]{0,8}(/\\PC{0,12})?(\\?\\PC{0,20})?",
        now in any::<i64>(),
    ) {
        let mut map_of = http::HeaderMap::new();
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                map_of.insert(name, value);
            }
        }
        if let Ok(value) = HeaderValue::from_str(&timestamp) {
            for name in ["x-nexus-timestamp", "webhook-timestamp", "x-slack-request-timestamp", "x-signature-timestamp", "x-hubspot-request-timestamp"] {
                map_of.insert(name, value.clone());
            }
        }
        if form {
            map_of.insert("content-type", HeaderValue::from_static(FORM.1));
        }
        let incoming = Incoming { method: "POST", url: &url, path_query: &url, headers: &map_of, body: &body, now: Timestamp::from_micros(now) };
        for preset in Preset::ALL {
            let secrets = [Secret::from("s"), Secret::from(SENDGRID_KEY), Secret::from("5".repeat(64).as_str())];
            prop_assert!(verify(preset, &incoming, &secrets).is_err());
            prop_assert!(challenge(preset, &incoming, &secrets).is_none());
            let _ = map(preset, &incoming);
            if let Ok(parsed) = parse(preset, &incoming) {
                let _ = delivery_id(preset, &incoming, &parsed.value);
            }
        }
    }
}
