//! Signatures over raw bytes: the Nexus header, Standard Webhooks, and the HMACs that provider presets are made of.
//!
//! Everything here is checked before a body is parsed, against every active secret and without an early exit, so that
//! the time taken says nothing of which secret or which byte was wrong.

use std::{fmt, hint::black_box};

use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::{
    hmac,
    signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey},
};
use serde::Deserialize;

use crate::time::Timestamp;

/// How far a signed timestamp may lie from our clock, in seconds, either way.
pub const TOLERANCE_SECS: i64 = 300;

/// A secret as its owner typed it. Never printed, never serialised.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// Keeps `text` secret.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever has to hand it on (an `Authorization` header, the vault).
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text as key bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_eq(self.as_bytes(), other.as_bytes())
    }
}

impl Eq for Secret {}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// Why a signature proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no secret to check against.
    #[error("no secret is configured to check this signature against")]
    NoSecret,
    /// A configured secret can't be a key.
    #[error("a configured secret is unusable: {0}")]
    BadSecret(&'static str),
    /// A header is not of its form.
    #[error("the signature header is malformed: {0}")]
    Malformed(&'static str),
    /// The signed time is too far from ours.
    #[error("the signed timestamp is {skew_secs} s away from the hub's clock; at most {TOLERANCE_SECS} s are allowed")]
    Stale {
        /// Distance in seconds; negative when the signature lies in the future.
        skew_secs: i64,
    },
    /// No active secret made this signature over these bytes.
    #[error("the signature matches none of the active secrets; it must be made over the raw body, byte for byte")]
    Mismatch,
}

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn constant_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    black_box(a.iter().zip(b).fold(0u8, |difference, (x, y)| black_box(difference | (x ^ y)))) == 0
}

/// HMAC-SHA256 over the parts, one after the other.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    tag(&hmac::Key::new(hmac::HMAC_SHA256, key), parts)
}

/// HMAC-SHA1 over the parts, for the providers that still use it.
pub fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    tag(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), parts)
}

fn tag<const N: usize>(key: &hmac::Key, parts: &[&[u8]]) -> [u8; N] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; N];
    let made = context.sign();
    // N is the digest length of the two callers' algorithms.
    for (to, from) in out.iter_mut().zip(made.as_ref()) {
        *to = *from;
    }
    out
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Bytes of a hex text in either case; `None` when it is none.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}

/// The value of `X-Nexus-Signature`: lower-case hex of HMAC-SHA256 over the raw body.
pub fn nexus_signature(body: &[u8], secret: &Secret) -> String {
    hex(&hmac_sha256(secret.as_bytes(), &[body]))
}

/// The same where `X-Nexus-Timestamp` is sent beside it: over `{timestamp}.{body}`.
pub fn nexus_signature_at(timestamp: &str, body: &[u8], secret: &Secret) -> String {
    hex(&hmac_sha256(secret.as_bytes(), &[timestamp.as_bytes(), b".", body]))
}

/// Checks `X-Nexus-Signature` against all `secrets`; the index of the first that made it.
pub fn verify_nexus_signature(header: &str, body: &[u8], secrets: &[Secret]) -> Result<usize, SignatureError> {
    verify_hex(header, secrets, &[body])
}

/// Checks `X-Nexus-Signature` sent with `X-Nexus-Timestamp` (unix seconds), which must be near `now`.
pub fn verify_nexus_signature_at(
    header: &str,
    timestamp: &str,
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<usize, SignatureError> {
    fresh(timestamp, now)?;
    verify_hex(header, secrets, &[timestamp.as_bytes(), b".", body])
}

/// Whether `timestamp` (whole unix seconds) lies within the tolerance around `now`.
pub fn fresh(timestamp: &str, now: Timestamp) -> Result<(), SignatureError> {
    let signed: i64 = timestamp
        .parse()
        .map_err(|_| SignatureError::Malformed("the timestamp is not a whole number of seconds since 1970"))?;
    let skew_secs = now.secs().saturating_sub(signed);
    if skew_secs.unsigned_abs() > TOLERANCE_SECS.unsigned_abs() {
        return Err(SignatureError::Stale { skew_secs });
    }
    Ok(())
}

fn verify_hex(header: &str, secrets: &[Secret], parts: &[&[u8]]) -> Result<usize, SignatureError> {
    let text = header.strip_prefix("sha256=").unwrap_or(header);
    let given = unhex(text).ok_or(SignatureError::Malformed("64 hex digits are expected"))?;
    if given.len() != 32 {
        return Err(SignatureError::Malformed("64 hex digits are expected"));
    }
    first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), parts), &given))
}

/// The index of the first secret that `matches`; all are tried, so that the time taken does not tell which.
pub fn first_match(secrets: &[Secret], mut matches: impl FnMut(&Secret) -> bool) -> Result<usize, SignatureError> {
    if secrets.is_empty() {
        return Err(SignatureError::NoSecret);
    }
    let mut found = None;
    for (i, secret) in secrets.iter().enumerate() {
        if matches(secret) && found.is_none() {
            found = Some(i);
        }
    }
    found.ok_or(SignatureError::Mismatch)
}

/// A Standard Webhooks key, made ready once and used for many messages.
pub struct WebhookKey(Kind);

enum Kind {
    Symmetric(hmac::Key),
    Private(Ed25519KeyPair),
    Public([u8; 32]),
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl WebhookKey {
    /// Reads `whsec_…` (symmetric), `whsk_…` (ed25519 private: seed, or seed and public key), `whpk_…` (ed25519
    /// public). Without a prefix: base64, padded or not, else the text itself is the key.
    pub fn parse(secret: &Secret) -> Result<Self, SignatureError> {
        const NOT_BASE64: SignatureError = SignatureError::BadSecret("what follows its prefix is not base64");
        let text = secret.expose();
        if let Some(rest) = text.strip_prefix("whsk_") {
            return Self::private(&unbase64(rest).ok_or(NOT_BASE64)?);
        }
        if let Some(rest) = text.strip_prefix("whpk_") {
            let key = unbase64(rest).ok_or(NOT_BASE64)?;
            let key = key.try_into().map_err(|_| SignatureError::BadSecret("whpk_ needs base64 of 32 bytes"))?;
            return Ok(Self(Kind::Public(key)));
        }
        let key = match text.strip_prefix("whsec_") {
            Some(rest) => unbase64(rest).ok_or(NOT_BASE64)?,
            None => unbase64(text).unwrap_or_else(|| text.as_bytes().to_vec()),
        };
        if key.is_empty() {
            return Err(SignatureError::BadSecret("it is empty"));
        }
        Ok(Self(Kind::Symmetric(hmac::Key::new(hmac::HMAC_SHA256, &key))))
    }

    fn private(bytes: &[u8]) -> Result<Self, SignatureError> {
        let pair = match bytes.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(bytes),
            64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
            _ => {
                return Err(SignatureError::BadSecret(
                    "whsk_ needs base64 of a 32 byte seed or of seed and public key",
                ));
            }
        };
        pair.map(|p| Self(Kind::Private(p)))
            .map_err(|_| SignatureError::BadSecret("the two halves of whsk_ do not fit"))
    }

    /// One entry of `webhook-signature`: `v1,…` or `v1a,…`.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<String, SignatureError> {
        match &self.0 {
            Kind::Symmetric(key) => Ok(format!("v1,{}", BASE64.encode(&Self::mac(key, id, timestamp, body)))),
            Kind::Private(pair) => {
                let made = pair.sign(&signed_content(id, timestamp, body));
                Ok(format!("v1a,{}", BASE64.encode(made.as_ref())))
            }
            Kind::Public(_) => {
                Err(SignatureError::BadSecret("a public key (whpk_) can't sign; give the whsk_ or whsec_"))
            }
        }
    }

    /// Whether one of the signatures in `header` is this key's.
    pub fn verifies(&self, header: &str, id: &str, timestamp: &str, body: &[u8]) -> bool {
        let (version, made) = match &self.0 {
            Kind::Symmetric(key) => ("v1", Some(Self::mac(key, id, timestamp, body))),
            Kind::Private(_) | Kind::Public(_) => ("v1a", None),
        };
        let content = if made.is_none() { signed_content(id, timestamp, body) } else { Vec::new() };
        let mut matched = false;
        for given in header.split_ascii_whitespace().filter_map(|entry| entry.split_once(',')) {
            let Some(bytes) = (given.0 == version).then(|| unbase64(given.1)).flatten() else { continue };
            matched |= match (&self.0, &made) {
                (_, Some(made)) => constant_eq(made, &bytes),
                (Kind::Public(key), None) => UnparsedPublicKey::new(&ED25519, key).verify(&content, &bytes).is_ok(),
                (Kind::Private(pair), None) => constant_eq(pair.sign(&content).as_ref(), &bytes),
                (Kind::Symmetric(_), None) => false,
            };
        }
        matched
    }

    fn mac(key: &hmac::Key, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        tag(key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
    }
}

fn signed_content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}

/// Standard base64, padded or not.
fn unbase64(text: &str) -> Option<Vec<u8>> {
    BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()
}

/// The value of `webhook-signature`: one entry per secret (the new one first while two are active).
pub fn standard_signature(secrets: &[Secret], id: &str, secs: i64, body: &[u8]) -> Result<String, SignatureError> {
    if secrets.is_empty() {
        return Err(SignatureError::NoSecret);
    }
    let timestamp = secs.to_string();
    let mut header = String::new();
    for secret in secrets {
        if !header.is_empty() {
            header.push(' ');
        }
        header.push_str(&WebhookKey::parse(secret)?.sign(id, &timestamp, body)?);
    }
    Ok(header)
}

/// A secret made ready once, to sign many requests both ways.
#[derive(Debug)]
pub struct RequestSigner {
    nexus: hmac::Key,
    standard: Result<WebhookKey, SignatureError>,
}

impl RequestSigner {
    /// From a secret in any of the forms of [`WebhookKey::parse`].
    pub fn new(secret: &Secret) -> Self {
        Self { nexus: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), standard: WebhookKey::parse(secret) }
    }

    /// As [`nexus_signature`].
    pub fn nexus(&self, body: &[u8]) -> String {
        hex(&tag::<32>(&self.nexus, &[body]))
    }

    /// As [`standard_signature`], with `timestamp` in whole unix seconds.
    pub fn standard(&self, id: &str, timestamp: &str, body: &[u8]) -> Result<String, SignatureError> {
        self.standard.as_ref().map_err(Clone::clone)?.sign(id, timestamp, body)
    }
}

/// The three headers of a Standard Webhooks message.
#[derive(Clone, Copy, Debug)]
pub struct StandardHeaders<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`, unix seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
}

/// Checks a Standard Webhooks message against all `secrets`; the index of the first that made one of its signatures.
pub fn verify_standard(
    headers: StandardHeaders<'_>,
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<usize, SignatureError> {
    let StandardHeaders { id, timestamp, signature } = headers;
    if id.is_empty() {
        return Err(SignatureError::Malformed("webhook-id is empty"));
    }
    if !signature.split_ascii_whitespace().any(|entry| entry.starts_with("v1,") || entry.starts_with("v1a,")) {
        return Err(SignatureError::Malformed("webhook-signature has no v1,<base64> and no v1a,<base64> entry"));
    }
    fresh(timestamp, now)?;
    let mut unusable = None;
    let found = first_match(secrets, |secret| match WebhookKey::parse(secret) {
        Ok(key) => key.verifies(signature, id, timestamp, body),
        Err(error) => {
            unusable = Some(error);
            false
        }
    });
    // A secret that can't be a key is our owner's mistake and must not read as the sender's.
    match (found, unusable) {
        (Err(SignatureError::Mismatch), Some(error)) => Err(error),
        (found, _) => found,
    }
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
