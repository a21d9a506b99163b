//! The questions that providers ask before they send.

use nexus_core::sign::{Secret, hex, hmac_sha256};
use serde_json::{Value, json};

use super::samples::{FORM, Sample, of};
use crate::presets::{ChallengeAnswer, Mapped, Preset, VerifyError, challenge, map};

fn ask(sample: &Sample) -> Option<ChallengeAnswer> {
    challenge(sample.preset, &sample.incoming(), &[Secret::from(sample.secret), Secret::from("older")])
}

fn asked(preset: Preset, secret: &'static str, query: &str) -> Option<Value> {
    let sample = Sample::new(preset, secret, &[], "");
    let answer = ask(&Sample { method: "GET", url: format!("{}?{query}", sample.url), ..sample })?;
    assert_eq!((answer.status, answer.content_type), (200, "application/json"));
    serde_json::from_str(&answer.body).ok()
}

/// S-168
#[test]
fn the_crc_of_x_is_answered_and_a_bad_signature_refused() {
    // printf 'MTIzNDU2Nzg5MA' | openssl dgst -sha256 -hmac consumer-secret -binary | base64
    let answer = json!({"response_token": "sha256=/AQloIJukQ6fHL32SiuoBCuFa2kM7f2UqF5rs4ZqL2k="});
    assert_eq!(asked(Preset::X, "consumer-secret", "nonce=1&crc_token=MTIzNDU2Nzg5MA"), Some(answer));
    let mut sample = of(Preset::X);
    assert_eq!(ask(&sample), None, "a POST is no question");
    sample.set("x-twitter-webhooks-signature", "sha256=/AQloIJukQ6fHL32SiuoBCuFa2kM7f2UqF5rs4ZqL2k=");
    assert_eq!(sample.verify(), Err(VerifyError::Mismatch));
}

/// S-168
#[test]
fn the_challenge_of_linkedin_is_answered_and_a_bad_signature_refused() {
    // printf '890e4665-4dfe-4ab1-b689-ed553bceeed0' | openssl dgst -sha256 -hmac client-secret
    let code = "890e4665-4dfe-4ab1-b689-ed553bceeed0";
    let response = "8ab4bbad570533d66462deba280bde93c1cad8b543e7f526d3e962acaf6c391a";
    let answer = json!({"challengeCode": code, "challengeResponse": response});
    assert_eq!(
        asked(Preset::LinkedIn, "client-secret", &format!("applicationId=1&challengeCode={code}")),
        Some(answer)
    );
    let mut sample = of(Preset::LinkedIn);
    assert_eq!(ask(&sample), None, "a POST is no question");
    sample.set("x-li-signature", response);
    assert_eq!(sample.verify(), Err(VerifyError::Mismatch));
}

#[test]
fn a_question_can_not_be_used_to_have_a_body_signed() {
    for (preset, name, token) in [
        (Preset::X, "crc_token", "%7B%22tweet_create_events%22%3A%5B%5D%7D"),
        (Preset::X, "crc_token", "[1]"),
        (Preset::X, "crc_token", "%22a%22"),
        (Preset::LinkedIn, "challengeCode", "hmacsha256%3D%7B%7D"),
        (Preset::LinkedIn, "challengeCode", "hmacsha256="),
    ] {
        assert_eq!(asked(preset, "s", &format!("{name}={token}")), None, "{token}");
        assert_eq!(asked(preset, "s", &format!("{name}=")), None);
        assert_eq!(asked(preset, "s", &format!("{name}={}", "a".repeat(300))), None);
        assert_eq!(asked(preset, "s", "other=1"), None);
    }
}

fn slack(body: &str) -> Sample {
    let mut sample = Sample::new(Preset::Slack, "s", &[("X-Slack-Request-Timestamp", "1700000000")], body);
    let made = hmac_sha256(b"s", &[b"v0:1700000000:", body.as_bytes()]);
    sample.set("X-Slack-Signature", &format!("v0={}", hex(&made)));
    sample
}

#[test]
fn the_url_check_of_slack_is_answered_only_when_it_is_signed() {
    let mut sample = slack(r#"{"token":"t","challenge":"3eZbrw1a","type":"url_verification"}"#);
    assert_eq!(ask(&sample).map(|a| a.body), Some(r#"{"challenge":"3eZbrw1a"}"#.into()));
    assert!(matches!(map(Preset::Slack, &sample.incoming()), Ok(Mapped::Ignored { .. })));
    sample.secret = "other";
    assert_eq!(ask(&sample), None);
    assert_eq!(ask(&slack(r#"{"type":"event_callback","challenge":"x"}"#)), None);
    let mut form = slack("type=url_verification&challenge=x");
    form.set(FORM.0, FORM.1);
    assert_eq!(ask(&form), None);
}

#[test]
fn the_pings_of_discord_are_answered_only_when_they_are_signed() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
    let key: &'static str = Box::leak(hex(pair.public_key().as_ref()).into_boxed_str());
    let signed = |body: &str| {
        let made = pair.sign(format!("1700000000{body}").as_bytes());
        let headers = [("X-Signature-Timestamp", "1700000000"), ("X-Signature-Ed25519", &hex(made.as_ref()))];
        Sample::new(Preset::Discord, key, &headers, body)
    };
    let ping = signed(r#"{"id":"1","type":1,"version":1}"#);
    assert_eq!(ask(&ping).map(|a| (a.status, a.body)), Some((200, r#"{"type":1}"#.into())));
    assert!(matches!(map(Preset::Discord, &ping.incoming()), Ok(Mapped::Ignored { .. })));
    let event_ping = signed(r#"{"version":1,"application_id":"1","type":0}"#);
    assert_eq!(ask(&event_ping).map(|a| (a.status, a.body)), Some((204, String::new())));
    assert_eq!(ask(&signed(r#"{"id":"1","type":2}"#)), None);
    let mut forged = ping;
    forged.body.push(b' ');
    assert_eq!(ask(&forged), None);
    assert_eq!(forged.verify(), Err(VerifyError::Mismatch));
}

#[test]
fn other_providers_ask_nothing() {
    for preset in Preset::ALL {
        if !matches!(preset, Preset::X | Preset::LinkedIn) {
            assert_eq!(asked(preset, "s", "crc_token=a&challengeCode=a&challenge=a"), None, "{preset}");
        }
        assert_eq!(ask(&of(preset)), None, "{preset}");
    }
}
