//! Known answers of the signature schemes, and what must not pass.

use proptest::prelude::*;

use super::*;

const STANDARD_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STANDARD_ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const STANDARD_BODY: &[u8] = br#"{"test": 2432232314}"#;
const STANDARD_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

// openssl genpkey -algorithm ed25519; whsk_ = base64(last 32 bytes of the private DER, last 32 of the public DER);
// signature: openssl pkeyutl -sign -rawin over `msg_1.1700000000.{"a":1}`.
const ED_PRIVATE: &str =
    "whsk_91n2gwDeJE+zg317D5i/z864tftZO6F1Bp8xA1MuCmn/KhkXPQAlBM7TiHoUPlSZy5Zh7XeeAbPBn3K4Q3JRTA==";
const ED_PUBLIC: &str = "whpk_/yoZFz0AJQTO04h6FD5UmcuWYe13ngGzwZ9yuENyUUw=";
const ED_SIGNATURE: &str =
    "v1a,duKcBL1ar2eL8bI1jgMkt7RxtxWGgOEhs/3VvPYY36KWNk2ehsced4UWkIjsyleyPwKbIVjaVkAJNhAgrT1cDA==";

fn standard(
    id: &str,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    secrets: &[&str],
    now: i64,
) -> Result<usize, SignatureError> {
    let secrets: Vec<Secret> = secrets.iter().map(|s| Secret::from(*s)).collect();
    verify_standard(StandardHeaders { id, timestamp, signature }, body, &secrets, Timestamp::from_secs(now))
}

#[test]
fn a_secret_is_never_printed() {
    let secret = Secret::from("hunter2");
    assert_eq!(format!("{secret:?}"), "<redacted>");
    assert!(!format!("{:?}", WebhookKey::parse(&secret)).contains("hunter2"));
}

#[test]
fn hmac_sha1_gives_the_answer_of_rfc_2202() {
    let made = hmac_sha1(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
    assert_eq!(hex(&made), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

#[test]
fn a_nexus_signature_is_lower_case_hex_over_the_raw_body() {
    // printf '{"a":1}' | openssl dgst -sha256 -hmac s
    const HEX: &str = "37beaf650f70b40ec9706929c2e9d835cbd63729988f48781e6383a147215f07";
    let secret = [Secret::from("s")];
    let body = br#"{"a":1}"#;
    assert_eq!(nexus_signature(body, &secret[0]), HEX);
    assert_eq!(verify_nexus_signature(HEX, body, &secret), Ok(0));
    assert_eq!(verify_nexus_signature(&format!("sha256={HEX}"), body, &secret), Ok(0));
    assert_eq!(verify_nexus_signature(HEX, br#"{"a": 1}"#, &secret), Err(SignatureError::Mismatch));
    let old_and_new = [Secret::from("new"), Secret::from("s")];
    assert_eq!(verify_nexus_signature(HEX, body, &old_and_new), Ok(1));
    assert_eq!(verify_nexus_signature(HEX, body, &[]), Err(SignatureError::NoSecret));
    for bad in ["", "sha256=", "zz", "37be", "sha256=sha256=", &HEX[1..]] {
        assert!(matches!(verify_nexus_signature(bad, body, &secret), Err(SignatureError::Malformed(_))), "{bad:?}");
    }
}

#[test]
fn a_nexus_timestamp_is_signed_and_must_be_within_five_minutes() {
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s
    const HEX: &str = "ab7bd212df57f3ef4ea3c17d4a1a71d8981ef595d4cd699b62517c68d89192a2";
    let secret = [Secret::from("s")];
    let at = |now| verify_nexus_signature_at(HEX, "1700000000", br#"{"a":1}"#, &secret, Timestamp::from_secs(now));
    assert_eq!(nexus_signature_at("1700000000", br#"{"a":1}"#, &secret[0]), HEX);
    assert_eq!(at(1_700_000_300), Ok(0));
    assert_eq!(at(1_699_999_700), Ok(0));
    assert_eq!(at(1_700_000_301), Err(SignatureError::Stale { skew_secs: 301 }));
    assert_eq!(at(1_699_999_699), Err(SignatureError::Stale { skew_secs: -301 }));
    let bad = verify_nexus_signature_at(HEX, "now", b"", &secret, Timestamp::from_secs(0));
    assert!(matches!(bad, Err(SignatureError::Malformed(_))));
    let far = verify_nexus_signature_at(HEX, "-9223372036854775808", b"", &secret, Timestamp::from_secs(1));
    assert!(matches!(far, Err(SignatureError::Stale { .. })));
}

#[test]
fn the_published_standard_webhooks_vectors_hold() {
    let other = Secret::from("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let body = br#"{"email":"test@example.com","username":"test_user"}"#;
    let made = standard_signature(&[other], "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
    assert_eq!(made.as_deref(), Ok("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="));

    let made = standard_signature(&[Secret::from(STANDARD_SECRET)], STANDARD_ID, 1_614_265_330, STANDARD_BODY);
    assert_eq!(made.as_deref(), Ok(STANDARD_SIGNATURE));
    let seen =
        standard(STANDARD_ID, "1614265330", STANDARD_SIGNATURE, STANDARD_BODY, &[STANDARD_SECRET], 1_614_265_330);
    assert_eq!(seen, Ok(0));
}

#[test]
fn the_prefix_and_the_padding_of_a_standard_secret_are_optional() {
    let check =
        |secret| standard(STANDARD_ID, "1614265330", STANDARD_SIGNATURE, STANDARD_BODY, &[secret], 1_614_265_330);
    assert_eq!(check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Ok(0));
    for (padded, bare) in [("whsec_MTIzNA==", "whsec_MTIzNA"), ("MTIzNA==", "MTIzNA")] {
        let sign = |text: &str| standard_signature(&[Secret::from(text)], "a", 1, b"x");
        assert_eq!(sign(padded), sign(bare));
    }
    for bad in ["", "whsec_", "whsec_!!!", "whsk_AAAA", "whpk_AAAA", "whpk_%"] {
        assert!(matches!(check(bad), Err(SignatureError::BadSecret(_))), "{bad:?}");
    }
}

#[test]
fn a_plain_text_secret_is_used_as_it_is() {
    // printf 'a.1.x' | openssl dgst -sha256 -hmac 'not base64!' -binary | base64
    let made = standard_signature(&[Secret::from("not base64!")], "a", 1, b"x");
    assert_eq!(made.as_deref(), Ok("v1,9qAKTuBj+4xkMBDrvu+mgIUA85aBs12VgO0SAuAQgBM="));
}

#[test]
fn one_of_several_signatures_and_one_of_several_secrets_is_enough() {
    let header = format!("v2,AAAA v1,AAAA v1,*** nonsense {STANDARD_SIGNATURE}");
    let secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", STANDARD_SECRET];
    assert_eq!(standard(STANDARD_ID, "1614265330", &header, STANDARD_BODY, &secrets, 1_614_265_600), Ok(1));
    let both: Vec<Secret> = secrets.iter().map(|s| Secret::from(*s)).collect();
    let rotated = standard_signature(&both, STANDARD_ID, 1_614_265_330, STANDARD_BODY).expect("both sign");
    for secret in secrets {
        assert_eq!(standard(STANDARD_ID, "1614265330", &rotated, STANDARD_BODY, &[secret], 1_614_265_330), Ok(0));
    }
}

#[test]
fn a_changed_part_a_late_time_or_an_unknown_version_proves_nothing() {
    let now = 1_614_265_330;
    let secret = &[STANDARD_SECRET];
    let check = |id, timestamp, signature, body: &[u8]| standard(id, timestamp, signature, body, secret, now);
    let mismatch = Err(SignatureError::Mismatch);
    assert_eq!(check("msg_other", "1614265330", STANDARD_SIGNATURE, STANDARD_BODY), mismatch);
    assert_eq!(check(STANDARD_ID, "1614265331", STANDARD_SIGNATURE, STANDARD_BODY), mismatch);
    assert_eq!(check(STANDARD_ID, "1614265330", STANDARD_SIGNATURE, b"{}"), mismatch);
    assert_eq!(
        check(STANDARD_ID, "1614265029", STANDARD_SIGNATURE, STANDARD_BODY),
        Err(SignatureError::Stale { skew_secs: 301 })
    );
    assert_eq!(
        check(STANDARD_ID, "1614265631", STANDARD_SIGNATURE, STANDARD_BODY),
        Err(SignatureError::Stale { skew_secs: -301 })
    );
    let v2 = STANDARD_SIGNATURE.replacen("v1", "v2", 1);
    for (id, timestamp, signature) in [
        ("", "1614265330", STANDARD_SIGNATURE),
        ("a", "soon", STANDARD_SIGNATURE),
        ("a", "1614265330", ""),
        ("a", "1614265330", &v2),
    ] {
        assert!(matches!(check(id, timestamp, signature, STANDARD_BODY), Err(SignatureError::Malformed(_))));
    }
}

#[test]
fn a_body_that_is_not_text_is_signed_as_bytes() {
    let body = [0xff, 0x00, 0xfe];
    let secrets = [Secret::from(STANDARD_SECRET)];
    let header = standard_signature(&secrets, "id", 1, &body).expect("signs");
    assert_eq!(standard("id", "1", &header, &body, &[STANDARD_SECRET], 1), Ok(0));
}

#[test]
fn ed25519_signatures_verify_with_either_half_of_the_pair() {
    let body = br#"{"a":1}"#;
    let made = standard_signature(&[Secret::from(ED_PRIVATE)], "msg_1", 1_700_000_000, body);
    assert_eq!(made.as_deref(), Ok(ED_SIGNATURE));
    for key in [ED_PUBLIC, ED_PRIVATE] {
        assert_eq!(standard("msg_1", "1700000000", ED_SIGNATURE, body, &[key], 1_700_000_000), Ok(0));
        assert_eq!(
            standard("msg_1", "1700000000", ED_SIGNATURE, b"{}", &[key], 1_700_000_000),
            Err(SignatureError::Mismatch)
        );
    }
    let refused = standard_signature(&[Secret::from(ED_PUBLIC)], "msg_1", 1_700_000_000, body);
    assert!(matches!(refused, Err(SignatureError::BadSecret(_))));
}

proptest! {
    #[test]
    fn no_header_panics(id in ".{0,20}", timestamp in "[-+0-9. ]{0,22}|.{0,10}", signature in "(v1a?,)?.{0,100}", now in any::<i64>()) {
        let secrets = [Secret::from(STANDARD_SECRET), Secret::from(ED_PUBLIC), Secret::from("plain text")];
        let now = Timestamp::from_micros(now);
        let headers = StandardHeaders { id: &id, timestamp: &timestamp, signature: &signature };
        prop_assert!(verify_standard(headers, b"x", &secrets, now).is_err());
        prop_assert!(verify_nexus_signature(&signature, b"x", &secrets).is_err());
        prop_assert!(verify_nexus_signature_at(&signature, &timestamp, b"x", &secrets, now).is_err());
    }

    #[test]
    fn what_is_signed_verifies_and_one_flipped_bit_does_not(body in proptest::collection::vec(any::<u8>(), 1..200), bit in 0usize..1600) {
        let secrets = [Secret::from(STANDARD_SECRET)];
        let header = nexus_signature(&body, &secrets[0]);
        prop_assert_eq!(verify_nexus_signature(&header, &body, &secrets), Ok(0));
        let mut changed = body.clone();
        let at = (bit / 8) % body.len();
        changed[at] ^= 1 << (bit % 8);
        prop_assert_eq!(verify_nexus_signature(&header, &changed, &secrets), Err(SignatureError::Mismatch));
    }

    #[test]
    fn constant_eq_is_equality(a in proptest::collection::vec(any::<u8>(), 0..8), b in proptest::collection::vec(any::<u8>(), 0..8)) {
        prop_assert_eq!(constant_eq(&a, &b), a == b);
        prop_assert!(constant_eq(&a, &a));
    }
}
