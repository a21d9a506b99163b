//! What is taken and what is not, for each algorithm.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use nexus_core::time::{Clock, Timestamp};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

use super::{
    Algorithm, JwtError, KeyError, KeySource, Rules, VerifyingKey,
    remote::Remote,
    verify::{TOKEN_BYTES, verify},
};
use crate::clock::SystemClock;

/// Made for these tests and used nowhere else; ring makes no RSA keys.
const RSA: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQCygJL4I2IzSC0I2qraVR4UotMUP9nXpumj6DuGWh9HayzVw9E6JcvQqjK+jC\
    th8NSI+GuaiQwtf3p6gL5GWhInWq/ZCVYFptwodZSTP+wzI0vxAOAGpEaIJoNFuhkPEUi26JJoJrx3JBSHdHhF7UCr8Iasn8zsJZJzg/Y7m1Xn\
    gdsWCVfXaRlEZW77j7KJAR8or3nJZytnxy6Y9egzhKEj+3gYehgcEApRFigT0L5BCicP43eNjwZ28aJT7DpM2CTfCQHR4+sh85KGRNe9jtYlDa\
    dlNEbyxr6HWyfVQYi1wrfCPvgU0KH3njyKd+Gvsxa/cEsTxYLYngdEKP4BSoF3AgMBAAECggEAHzZLPJdXTvdCZKdzs4ypn1sfRI2rpkE53l63\
    tdThXkgXxWMhnSTJwDlaeSYiWdRWHYMusY1gMz50qKIFY2DRhs8dK3qt73wPSAXTTnIhd4mm+EO6aH7mFF2Dm7ggNJnFmLIPE6YeU0jcTBkqBL\
    QpGEeNDPc+SlaBhrBe6GpPeZTY+1Qy9+3+Dab9E7bcMNhltquYRPtcheq+gr0FZoM1qEreeW5+n4Kcsy0xbnWOKStKoualH8N2IpR3DyGuJeDm\
    LSwZcxHb4sK+kxtbfPUGboXYwOGFzoYy2mXF8YFRvt7zL/4e0Se4EQxjeyz8BenTiBSbtqkOFBML0dcie1zOOQKBgQDXHZsRnlt0ujtuStTyWI\
    R5ac/DsTsFB3UN5MPONIcxPTjwliOxozhjvzYK/dIoIxG5uecFRPWyeiJ97924rwBRRocPMwIaCFvd1VoiFqV532bijN4ubKX+CRA7XemU6TSP\
    QTJ6A26mLOVjitHkyznHAI0A7MMq6WF1kc2rXkOHOQKBgQDUbY2N38NUo5ud0nmLMga/ysBqOkVWbv3ufwQF7Fhdzmucg0PpwBEXlEHKda+rVa\
    n5lyTvsEwUh/iZ6sI+eUiKG7ObFyx0RshXunfwJBz9VtArSgQd3K6wX4oafZe/nBAeAXuuPKow8V7XSchuVb/5A7OiAf9pY9XGrW6PpWweLwKB\
    gDmaHuT334uBNtrQxPbkBw0v7Ud8lM5C8fA3essju7POrgmWWpZ9m2LyV7lXwEepJFz0T81UaupQ1B2e9mM20UHyPcYvJXftFxRuxgTsxYC99q\
    HhkLkjtMsyiBstiZerXryhe6+6bY2n5gDislOuq5kDJ77Ap349IjDGSymBQ1nZAoGAN94oIGv9H0F4J+W2+ZjKlZ5pRIbWvYirWBInqLcj9mfX\
    fW44aj2NQTpIo0qYTONWtMG/gRpIqA2qoDBRrcSQA2KNtfg+RMZo4km0SX/179rpHLl2o7PqbZBy7cyiIE6XHo0dThG+YOjaHJzXDc2Xk5IZqD\
    4GQl1zV7E9JqJG8RkCgYEAt+SknaJQisoGnMVdYs/cyukaykemR7zR4dwVJ7JWhWHZ5MlU+crUW4lbGgR0kCrpyi3zNYsDneJOn402Tjc1/20G\
    BqcuwDIn2jlTV/9I6bkKXnBWgu4uoTwtGDGmhgWL/WTlF834/AzMCM/Y1HtM2u5D5VFAf435gmcTo8iG9nk=";
const SECRET: &[u8] = b"thirty-two bytes or more of secret";
const NOW: i64 = 1_800_000_000;

/// A key pair of one algorithm.
enum Signer {
    Hs,
    Rs(RsaKeyPair),
    Es(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

impl Signer {
    fn all() -> Vec<Self> {
        let random = SystemRandom::new();
        let rsa = BASE64.decode(RSA.as_bytes()).expect("base64");
        let es = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("made");
        let ed = Ed25519KeyPair::generate_pkcs8(&random).expect("made");
        vec![
            Self::Hs,
            Self::Rs(RsaKeyPair::from_pkcs8(&rsa).expect("a key")),
            Self::Es(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, es.as_ref(), &random).expect("a key")),
            Self::Ed(Ed25519KeyPair::from_pkcs8(ed.as_ref()).expect("a key")),
        ]
    }

    fn alg(&self) -> &'static str {
        match self {
            Self::Hs => "HS256",
            Self::Rs(_) => "RS256",
            Self::Es(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// The public part, with this id.
    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Hs => json!({"kty": "oct", "kid": kid, "k": b64(SECRET)}),
            Self::Rs(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": b64(n),
                       "e": b64(e)})
            }
            Self::Es(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key())})
            }
        }
    }

    fn key(&self, kid: &str) -> Arc<VerifyingKey> {
        let key = match self {
            Self::Hs => VerifyingKey::hmac(Some(kid.to_owned()), SECRET),
            _ => VerifyingKey::jwk(&self.jwk(kid).to_string()),
        };
        Arc::new(key.expect("a key"))
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let (bytes, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match self {
            Self::Hs => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), bytes).as_ref().to_vec(),
            Self::Rs(pair) => {
                let mut out = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut out).expect("signed");
                out
            }
            Self::Es(pair) => pair.sign(&random, bytes).expect("signed").as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
        };
        format!("{signed}.{}", b64(signature))
    }

    fn good(&self) -> String {
        self.sign(&json!({"alg": self.alg(), "typ": "JWT"}), &claims())
    }
}

fn claims() -> Value {
    json!({"sub": "alice", "aud": "nexus", "iss": "https://id.example.com", "exp": NOW + 60, "scope": "openid events:read"})
}

/// The claims with one changed, or taken out by `null`.
fn but(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    if claims[name].is_null() {
        claims.as_object_mut().expect("an object").remove(name);
    }
    claims
}

fn rules() -> Rules {
    Rules {
        issuers: vec!["https://id.example.com".into()],
        audiences: vec!["nexus".into()],
        leeway: Duration::from_secs(10),
        scope_claim: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

fn check(token: &str, keys: &[Arc<VerifyingKey>]) -> Result<Vec<String>, JwtError> {
    let verified = verify(token, keys, &rules(), now())?;
    assert_eq!(&*verified.principal.name, "jwt:alice");
    assert_eq!(verified.until, Timestamp::from_secs(NOW + 70));
    Ok(verified.principal.scopes().map(ToString::to_string).collect())
}

#[test]
fn each_algorithm_is_taken_and_every_other_key_is_refused() {
    let signers = Signer::all();
    for signer in &signers {
        let keys = [signer.key("k1")];
        let good = signer.good();
        assert_eq!(check(&good, &keys), Ok(vec!["events:read".to_owned()]), "{}", signer.alg());
        let named = signer.sign(&json!({"alg": signer.alg(), "kid": "k1"}), &claims());
        assert!(check(&named, &keys).is_ok());
        let other = signer.sign(&json!({"alg": signer.alg(), "kid": "k2"}), &claims());
        assert_eq!(check(&other, &keys), Err(JwtError::UnknownKey));
        for stranger in signers.iter().filter(|s| s.alg() != signer.alg()) {
            assert_eq!(check(&good, &[stranger.key("k1")]), Err(JwtError::UnknownKey));
        }
        // One changed letter of the claims, of the header's or of the signature's first bytes.
        let dot = good.find('.').expect("three parts");
        for at in [dot + 3, good.rfind('.').expect("three parts") + 3] {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(check(&changed, &keys), Err(JwtError::Signature), "{}", signer.alg());
        }
    }
    let (one, two) = (Signer::all(), Signer::all());
    for (mine, other) in one.iter().zip(&two).filter(|(s, _)| matches!(s, Signer::Es(_) | Signer::Ed(_))) {
        assert_eq!(check(&mine.good(), &[other.key("k1")]), Err(JwtError::Signature), "another's key");
    }
}

#[test]
fn none_and_the_confusion_of_a_public_key_with_a_secret_are_refused() {
    let signers = Signer::all();
    let keys: Vec<_> = signers.iter().map(|s| s.key("k1")).collect();
    for alg in ["none", "None", "NONE", "", "HS512", "PS256", "RS1", "hs256"] {
        let unsigned = format!("{}.{}.", b64(json!({"alg": alg}).to_string()), b64(claims().to_string()));
        assert_eq!(check(&unsigned, &keys), Err(JwtError::Algorithm(alg.to_owned())));
    }
    // Signed with what everybody knows of the others, declared as a shared secret.
    for signer in signers.iter().filter(|s| !matches!(s, Signer::Hs)) {
        let jwk = signer.jwk("k1");
        let public = jwk.to_string();
        for known in [public.as_bytes(), jwk["n"].as_str().or(jwk["x"].as_str()).expect("public").as_bytes()] {
            let signed =
                format!("{}.{}", b64(json!({"alg": "HS256", "kid": "k1"}).to_string()), b64(claims().to_string()));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, known), signed.as_bytes());
            let token = format!("{signed}.{}", b64(tag));
            assert_eq!(check(&token, &[signer.key("k1")]), Err(JwtError::UnknownKey));
            assert_eq!(check(&token, &keys), Err(JwtError::Signature));
        }
    }
    // A key set is public: a shared secret in it is none.
    let set = json!({"keys": [Signer::Hs.jwk("h"), signers[2].jwk("e"), {"kty": "EC", "crv": "P-521"}]}).to_string();
    let (found, others) = VerifyingKey::set(&set).expect("a set");
    assert_eq!((found.len(), others, found[0].algorithm), (1, 2, Algorithm::ES256));
}

#[test]
fn each_claim_is_checked_and_one_of_a_wrong_type_is_not_taken_for_absent() {
    let signer = Signer::Hs;
    let keys = [signer.key("k1")];
    let with = |claims: Value| check(&signer.sign(&json!({"alg": "HS256"}), &claims), &keys);
    let refused = |claims: Value, word: &str| match with(claims.clone()) {
        Err(JwtError::Claim(reason)) => assert!(reason.contains(word), "{reason}"),
        other => panic!("{claims} gave {other:?}"),
    };
    refused(but("exp", Value::Null), "exp");
    refused(but("exp", json!(NOW - 10)), "expired");
    refused(but("exp", json!((NOW + 60).to_string())), "exp");
    refused(but("exp", json!(-5)), "exp");
    refused(but("exp", json!([NOW + 60])), "exp");
    refused(but("nbf", json!(NOW + 11)), "nbf");
    refused(but("nbf", json!("0")), "nbf");
    refused(but("aud", Value::Null), "aud");
    refused(but("aud", json!("other")), "aud");
    refused(but("aud", json!("nexus nexus2")), "aud");
    refused(but("aud", json!([7, "nexus"])), "aud");
    refused(but("aud", json!({"nexus": true})), "aud");
    refused(but("iss", Value::Null), "iss");
    refused(but("iss", json!("https://id.example.com/")), "iss");
    refused(but("iss", json!(["https://id.example.com"])), "iss");
    for sub in [Value::Null, json!(""), json!("a\nb"), json!("x".repeat(201)), json!(7)] {
        refused(but("sub", sub), "sub");
    }
    refused(but("scope", json!(7)), "scope");
    assert!(with(but("nbf", json!(NOW + 9))).is_ok(), "within the leeway");
    assert!(with(but("aud", json!(["other", "nexus"]))).is_ok());
    let mut late = claims();
    late["exp"] = json!(NOW - 9);
    assert!(verify(&signer.sign(&json!({"alg": "HS256"}), &late), &keys, &rules(), now()).is_ok(), "within the leeway");
}

#[test]
fn scopes_are_read_from_scope_scp_or_the_claim_that_is_named() {
    let signer = Signer::Hs;
    let keys = [signer.key("k1")];
    let scopes = |claims: &Value, rules: &Rules| -> Vec<String> {
        let token = signer.sign(&json!({"alg": "HS256"}), claims);
        let verified = verify(&token, &keys, rules, now()).expect("good");
        verified.principal.scopes().map(ToString::to_string).collect()
    };
    let mut scp = but("scope", Value::Null);
    scp["scp"] = json!(["events:publish:order.*", "profile"]);
    assert_eq!(scopes(&scp, &rules()), ["events:publish:order.*"]);
    assert_eq!(scopes(&but("scope", Value::Null), &rules()), Vec::<String>::new(), "no scope is no scope");
    let named = Rules { scope_claim: Some("permissions".into()), ..rules() };
    let mut claims = claims();
    claims["permissions"] = json!("state:read state:write:app/*");
    assert_eq!(scopes(&claims, &named), ["state:read", "state:write:app/*"], "scope is not looked at then");
}

#[test]
fn what_is_no_token_is_refused_before_anything_is_done() {
    let keys = [Signer::Hs.key("k1")];
    let good = Signer::Hs.good();
    let crit = Signer::Hs.sign(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims());
    let typ = Signer::Hs.sign(&json!({"alg": "HS256", "typ": "secevent+jwt"}), &claims());
    let long = format!("{}.{}", "a".repeat(TOKEN_BYTES), good);
    for bad in
        ["", ".", "..", "a.b", "a.b.c", &good[1..], &format!("{good}="), &format!("{good}.x"), &crit, &typ, &long]
    {
        assert!(matches!(check(bad, &keys), Err(JwtError::Malformed(_))), "{bad}");
    }
}

#[test]
fn a_key_that_can_not_be_trusted_is_not_taken() {
    assert!(matches!(VerifyingKey::hmac(None, b"short"), Err(KeyError::Short)));
    let mut private = Signer::all()[3].jwk("k");
    private["d"] = json!("AAAA");
    assert!(matches!(VerifyingKey::jwk(&private.to_string()), Err(KeyError::Private)));
    let mut encryption = Signer::all()[1].jwk("k");
    encryption["use"] = json!("enc");
    assert!(matches!(VerifyingKey::jwk(&encryption.to_string()), Err(KeyError::Other(_))));
    let mut lying = Signer::all()[1].jwk("k");
    lying["alg"] = json!("HS256");
    assert!(matches!(VerifyingKey::jwk(&lying.to_string()), Err(KeyError::Other(_))));
}

/// `openssl ecparam -name prime256v1 -genkey -noout`, then `openssl pkcs8 -topk8 -nocrypt -outform DER | base64`.
const ES: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRFYmrGxkfyBIRo/LtI2Rn+bG5058bX1XtsdVFoiQy7+hRANCAARe0B+h\
    EmEtD7Bvnr0WsGpOD37mTK6oIyHAIZrSynXgRMeZ9nAv6RBBSRGnNRSxr0ETY7uU5X47Qve/2v3qwDwh";
/// `openssl genpkey -algorithm ed25519 -outform DER | base64`
const ED: &str = "MC4CAQAwBQYDK2VwBCIEIC6un8SCDctXuzyKB6V5wTEPKIAr+RqpgGjgKVqF8Vei";
/// `openssl pkey -pubout` of each of the three.
const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAsoCS+CNiM0gtCNqq2lUe
FKLTFD/Z16bpo+g7hlofR2ss1cPROiXL0KoyvowrYfDUiPhrmokMLX96eoC+RloS
J1qv2QlWBabcKHWUkz/sMyNL8QDgBqRGiCaDRboZDxFItuiSaCa8dyQUh3R4Re1A
q/CGrJ/M7CWSc4P2O5tV54HbFglX12kZRGVu+4+yiQEfKK95yWcrZ8cumPXoM4Sh
I/t4GHoYHBAKURYoE9C+QQonD+N3jY8GdvGiU+w6TNgk3wkB0ePrIfOShkTXvY7W
JQ2nZTRG8sa+h1sn1UGItcK3wj74FNCh9548infhr7MWv3BLE8WC2J4HRCj+AUqB
dwIDAQAB
-----END PUBLIC KEY-----
";
const ES_PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXtAfoRJhLQ+wb569FrBqTg9+5kyu
qCMhwCGa0sp14ETHmfZwL+kQQUkRpzUUsa9BE2O7lOV+O0L3v9r96sA8IQ==
-----END PUBLIC KEY-----
";
const ED_PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEASr6mJfVDZWzoZQO9Xn+4A0600DnsECmeB7544O0E6yk=
-----END PUBLIC KEY-----
";
/// `openssl rsa -RSAPublicKey_out`
const PKCS1_PEM: &str = "-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAsoCS+CNiM0gtCNqq2lUeFKLTFD/Z16bpo+g7hlofR2ss1cPROiXL
0KoyvowrYfDUiPhrmokMLX96eoC+RloSJ1qv2QlWBabcKHWUkz/sMyNL8QDgBqRG
iCaDRboZDxFItuiSaCa8dyQUh3R4Re1Aq/CGrJ/M7CWSc4P2O5tV54HbFglX12kZ
RGVu+4+yiQEfKK95yWcrZ8cumPXoM4ShI/t4GHoYHBAKURYoE9C+QQonD+N3jY8G
dvGiU+w6TNgk3wkB0ePrIfOShkTXvY7WJQ2nZTRG8sa+h1sn1UGItcK3wj74FNCh
9548infhr7MWv3BLE8WC2J4HRCj+AUqBdwIDAQAB
-----END RSA PUBLIC KEY-----
";
/// `openssl ecparam -name secp384r1 -genkey -noout | openssl ec -pubout`
const P384_PEM: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEaJDLHnF75WC6K8sdcbQy7LLTNwkqYRt3
hMqi0/wibaW4eCGue4xV+ikwKxA+/VNMrbgvEvmlu0zb2G2WzNVMha4XY6TzCX+4
2mQNuCSL8MTz4yjBVTjfm0IXgTfxHfY0
-----END PUBLIC KEY-----
";

#[test]
fn a_public_key_as_pem_verifies_what_its_pair_signed() {
    let decoded = |text: &str| BASE64.decode(text.as_bytes()).expect("base64");
    let es = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &decoded(ES), &SystemRandom::new());
    let pairs = [
        (Signer::Rs(RsaKeyPair::from_pkcs8(&decoded(RSA)).expect("a key")), RSA_PEM),
        (Signer::Rs(RsaKeyPair::from_pkcs8(&decoded(RSA)).expect("a key")), PKCS1_PEM),
        (Signer::Es(es.expect("a key")), ES_PEM),
        (Signer::Ed(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&decoded(ED)).expect("a key")), ED_PEM),
    ];
    for (signer, pem) in &pairs {
        let windows = format!("\r\n  {}", pem.replace('\n', "\r\n"));
        for text in [*pem, pem.trim_end(), &windows] {
            let key = VerifyingKey::public(text).expect("a key");
            assert_eq!(key.algorithm.as_str(), signer.alg());
            assert!(check(&signer.good(), &[Arc::new(key)]).is_ok(), "{}", signer.alg());
        }
        let other = Signer::all().into_iter().find(|s| s.alg() == signer.alg()).expect("one of its kind");
        if !matches!(signer, Signer::Rs(_)) {
            let key = Arc::new(VerifyingKey::public(pem).expect("a key"));
            assert_eq!(check(&other.good(), &[key]), Err(JwtError::Signature), "another's token");
        }
        assert!(matches!(VerifyingKey::hmac(None, pem.as_bytes()), Err(KeyError::Shared)), "it is no secret");
    }
}

#[test]
fn a_pem_that_is_no_usable_public_key_is_refused_and_no_damage_panics() {
    let refused = |text: &str| VerifyingKey::public(text).expect_err("must be refused");
    assert_eq!(refused(&ES_PEM.replace("PUBLIC", "PRIVATE")), KeyError::Private);
    assert_eq!(
        refused("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----"),
        KeyError::Private
    );
    assert!(matches!(refused(P384_PEM), KeyError::Other(_)));
    for bad in [
        ES_PEM.replace("PUBLIC KEY", "CERTIFICATE"),
        ES_PEM.replace("-----END PUBLIC KEY-----", ""),
        ES_PEM.replace('M', "!"),
        format!("{ES_PEM}{ED_PEM}"),
        RSA_PEM.replace("PUBLIC KEY", "RSA PUBLIC KEY"),
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----".to_owned(),
    ] {
        assert!(matches!(refused(&bad), KeyError::Pem(_)), "{bad}");
    }
    let mut short = Signer::all()[1].jwk("k");
    short["n"] = json!(b64([0xc1; 128]));
    assert_eq!(VerifyingKey::jwk(&short.to_string()).expect_err("too short"), KeyError::Modulus);
    for pem in [RSA_PEM, ES_PEM, ED_PEM] {
        let (_, body) = pem.split_once("KEY-----\n").expect("a head");
        let (body, _) = body.split_once("\n-----END").expect("an end");
        let der = BASE64.decode(body.replace('\n', "").as_bytes()).expect("base64");
        let text = |der: &[u8]| format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", BASE64.encode(der));
        for end in 0..der.len() {
            assert!(VerifyingKey::public(&text(&der[..end])).is_err(), "cut at {end}");
        }
        // The head, where lengths and names stand. Another key of the same form may result, never a panic.
        for (at, bit) in (0..der.len().min(40)).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            let mut damaged = der.clone();
            damaged[at] ^= 1 << bit;
            drop(VerifyingKey::public(&text(&damaged)));
        }
    }
}

/// A key set that can be changed and broken.
#[derive(Debug, Default)]
struct Shelf {
    text: Mutex<Option<String>>,
    asked: AtomicUsize,
}

#[async_trait]
impl KeySource for Shelf {
    async fn fetch(&self) -> Result<String, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.text.lock().expect("not poisoned").clone().ok_or_else(|| "it is down".to_owned())
    }
}

#[tokio::test]
async fn a_key_set_is_fetched_once_for_all_who_wait_and_not_again_within_the_interval() {
    let signers = Signer::all();
    let shelf = Arc::new(Shelf::default());
    let set = |kid: &str| json!({"keys": [signers[2].jwk(kid)]}).to_string();
    *shelf.text.lock().expect("not poisoned") = Some(set("one"));
    let clock = SystemClock::new();
    let interval = Duration::from_secs(30);
    let remote = Remote::new(Arc::clone(&shelf) as Arc<_>, interval, Arc::new(clock.clone()));
    let seen = remote.keys();
    let waiting = futures_util::future::join_all((0..20).map(|_| remote.refresh(&seen))).await;
    assert!(waiting.iter().all(|fresh| *fresh));
    assert_eq!((shelf.asked.load(Ordering::SeqCst), remote.keys().len()), (1, 1));
    let seen = remote.keys();
    assert!(!remote.refresh(&seen).await, "too soon");
    assert_eq!(shelf.asked.load(Ordering::SeqCst), 1);
    for broken in [None, Some("<html>".to_owned()), Some(r#"{"keys":[]}"#.to_owned())] {
        *shelf.text.lock().expect("not poisoned") = broken;
        clock.advance(interval);
        assert!(!remote.refresh(&seen).await);
        assert_eq!(remote.keys()[0].kid.as_deref(), Some("one"), "the last good set stays");
    }
    *shelf.text.lock().expect("not poisoned") = Some(set("two"));
    clock.advance(interval);
    assert!(remote.refresh(&seen).await);
    assert_eq!((shelf.asked.load(Ordering::SeqCst), remote.keys()[0].kid.as_deref()), (5, Some("two")));
    assert!(clock.mono() >= interval * 4);
}

#[test]
fn what_names_a_claim_twice_is_refused() {
    let once = claims().to_string();
    let with = |header: &str, claims: &str| {
        let signed = format!("{}.{}", b64(header), b64(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), signed.as_bytes());
        check(&format!("{signed}.{}", b64(tag)), &[Signer::Hs.key("k1")])
    };
    let head = r#"{"alg":"HS256"}"#;
    assert!(with(head, &once).is_ok());
    let malformed = |checked: Result<_, JwtError>| matches!(checked, Err(JwtError::Malformed(_)));
    for more in [r#""sub":"root","#, r#""scope":"admin","#, r#""other":1,"other":2,"#, r#""deep":{"a":1,"a":2},"#] {
        let twice = once.replacen('{', &format!("{{{more}"), 1);
        assert!(malformed(with(head, &twice)), "{twice}");
    }
    assert!(malformed(with(r#"{"alg":"HS256","alg":"none"}"#, &once)));
}
