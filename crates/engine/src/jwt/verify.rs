//! One JSON Web Token against keys and rules: a pure decision.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use nexus_core::{
    access::{Principal, Scope},
    json,
    limits::JSON_DEPTH,
    time::Timestamp,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::key::{Algorithm, VerifyingKey};

/// Bytes of a token; a longer one is refused.
pub(super) const TOKEN_BYTES: usize = 8 << 10;
/// Keys that are tried for a token that names none.
const TRIED: usize = 8;
/// Scopes that are looked at.
const SCOPES: usize = 256;
/// Bytes of a subject.
const SUBJECT_BYTES: usize = 200;

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Its `iss` is one of these. Empty: any issuer whose key is known.
    pub issuers: Vec<String>,
    /// Its `aud` names one of these.
    pub audiences: Vec<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// The claim that holds scopes; absent = `scope`, else `scp`.
    pub scope_claim: Option<String>,
}

/// A token that holds.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose it is.
    pub principal: Arc<Principal>,
    /// Until when.
    pub until: Timestamp,
}

/// Why a token does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not of the form.
    #[error("it is no JSON Web Token: {0}")]
    Malformed(&'static str),
    /// An algorithm that is not taken.
    #[error("its algorithm {0:?} is not taken; HS256, RS256, ES256 and EdDSA are")]
    Algorithm(String),
    /// Nobody knows its key. With a key set it may just be new.
    #[error("its key is unknown")]
    UnknownKey,
    /// The signature is not that of the key.
    #[error("its signature does not hold")]
    Signature,
    /// A claim is missing or wrong.
    #[error("{0}")]
    Claim(String),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

/// Who shows `token`. The signature is looked at before anything that it says.
pub fn verify(token: &str, keys: &[Arc<VerifyingKey>], rules: &Rules, now: Timestamp) -> Result<Verified, JwtError> {
    if token.len() > TOKEN_BYTES {
        return Err(JwtError::Malformed("it is too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed("it has no three parts"))?;
    let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed("it has no three parts"))?;
    let header: Header = part(header).ok_or(JwtError::Malformed("its header is unreadable"))?;
    let signature =
        BASE64URL_NOPAD.decode(signature.as_bytes()).map_err(|_| JwtError::Malformed("its signature is unreadable"))?;
    let key = check_key(&header, keys, signed.as_bytes(), &signature)?;
    let claims: Map<String, Value> =
        part(claims).ok_or(JwtError::Malformed("its claims are not a JSON object that names each of them once"))?;
    let verified = check_claims(&claims, rules, now)?;
    let until = key.until.map_or(verified.until, |end| end.min(verified.until));
    Ok(Verified { until, ..verified })
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    // What stands twice is read by some as its first, by others as its last value.
    json::check(&bytes, JSON_DEPTH).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The key that the signature is of.
fn check_key<'a>(
    header: &Header,
    keys: &'a [Arc<VerifyingKey>],
    signed: &[u8],
    signature: &[u8],
) -> Result<&'a VerifyingKey, JwtError> {
    let algorithm = Algorithm::parse(&header.alg).ok_or_else(|| JwtError::Algorithm(header.alg.clone()))?;
    if header.crit.is_some() {
        return Err(JwtError::Malformed("it demands an extension (crit)"));
    }
    let fits = |typ: &str| ["jwt", "at+jwt", "application/at+jwt"].contains(&typ.to_ascii_lowercase().as_str());
    if header.typ.as_deref().is_some_and(|typ| !fits(typ)) {
        return Err(JwtError::Malformed("its typ is not JWT"));
    }
    // The key decides on the algorithm; a token whose header says another finds no key.
    let fitting = keys.iter().filter(|key| key.algorithm == algorithm);
    let named: Vec<_> = match header.kid.as_deref() {
        Some(kid) => fitting.filter(|key| key.kid.as_deref() == Some(kid)).take(TRIED).collect(),
        None => fitting.take(TRIED).collect(),
    };
    if named.is_empty() {
        return Err(JwtError::UnknownKey);
    }
    named.into_iter().find(|key| key.verifies(signed, signature)).map(|key| &**key).ok_or(JwtError::Signature)
}

fn check_claims(claims: &Map<String, Value>, rules: &Rules, now: Timestamp) -> Result<Verified, JwtError> {
    let wrong = |reason: &str| JwtError::Claim(reason.to_owned());
    let exp = date(claims, "exp")?.ok_or_else(|| wrong("it has no exp: tokens that never end are not taken"))?;
    let until = exp.plus(rules.leeway);
    if until <= now {
        return Err(wrong("it has expired"));
    }
    if date(claims, "nbf")?.is_some_and(|nbf| nbf > now.plus(rules.leeway)) {
        return Err(wrong("it does not hold yet (nbf)"));
    }
    let issuer = text(claims, "iss")?;
    if !rules.issuers.is_empty() && !issuer.is_some_and(|iss| rules.issuers.iter().any(|known| known == iss)) {
        return Err(wrong("its issuer (iss) is not the one that is configured"));
    }
    if !words(claims, "aud", false)?.iter().any(|aud| rules.audiences.iter().any(|own| own == aud)) {
        return Err(wrong("it is for another audience (aud)"));
    }
    let subject = text(claims, "sub")?.unwrap_or_default();
    if subject.is_empty() || subject.len() > SUBJECT_BYTES || subject.chars().any(char::is_control) {
        return Err(wrong("it has no usable subject (sub)"));
    }
    let scopes = match &rules.scope_claim {
        Some(claim) => words(claims, claim, true)?,
        None if claims.contains_key("scope") => words(claims, "scope", true)?,
        None => words(claims, "scp", true)?,
    };
    // An identity provider's own scopes (openid, profile) are no concern of ours.
    let scopes = scopes.into_iter().take(SCOPES).filter_map(|scope| scope.parse::<Scope>().ok());
    Ok(Verified { principal: Arc::new(Principal::new(format!("jwt:{subject}"), scopes)), until })
}

/// A date; of another type it is wrong, not absent.
#[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, JwtError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number.as_f64().filter(|s| s.is_finite() && *s >= 0.0);
            let seconds = seconds.ok_or_else(|| JwtError::Claim(format!("its {name} is no date")))?;
            Ok(Some(Timestamp::from_micros((seconds * 1e6) as i64)))
        }
        Some(_) => Err(JwtError::Claim(format!("its {name} is no number"))),
    }
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, JwtError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwtError::Claim(format!("its {name} is no text"))),
    }
}

/// A text or a list of texts; `split` at spaces where a text may hold several.
fn words<'a>(claims: &'a Map<String, Value>, name: &str, split: bool) -> Result<Vec<&'a str>, JwtError> {
    let wrong = || JwtError::Claim(format!("its {name} is neither a text nor a list of texts"));
    match claims.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if split => Ok(text.split(' ').filter(|word| !word.is_empty()).collect()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_str().ok_or_else(wrong)).collect(),
        Some(_) => Err(wrong()),
    }
}
