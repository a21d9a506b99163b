//! A key that verifies, bound to one algorithm. What a token says of its algorithm can only agree with that, so that a
//! public key is never taken for a shared secret, and `none` for nothing.

use data_encoding::BASE64URL_NOPAD;
use nexus_core::time::Timestamp;
use ring::{hmac, signature};
use serde::{Deserialize, Serialize};

use super::pem::{self, Public};

/// Shortest shared secret: as long as the digest, as RFC 7518 demands.
pub(super) const HMAC_BYTES: usize = 32;
/// Bytes of a modulus that is taken: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// Bytes of a JSON Web Key or a PEM text.
pub(super) const JWK_BYTES: usize = 8 << 10;
/// Keys of one set; more are not looked at.
pub(super) const SET_KEYS: usize = 64;

/// The algorithms that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    HS256,
    /// RSA PKCS#1 v1.5 with SHA-256, 2048 bits at least.
    RS256,
    /// ECDSA over P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// By its name in a token's header.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "HS256" => Some(Self::HS256),
            "RS256" => Some(Self::RS256),
            "ES256" => Some(Self::ES256),
            "EdDSA" | "Ed25519" => Some(Self::EdDSA),
            _ => None,
        }
    }

    /// Its name in a token's header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }
}

/// Why a key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not JSON of that form.
    #[error("it is no JSON Web Key: {0}")]
    Form(String),
    /// Not PEM of that form.
    #[error("it is no public key as PEM: {0}")]
    Pem(String),
    /// It holds what must stay with its owner.
    #[error("it holds a private key; give the public part only")]
    Private,
    /// It is for something else.
    #[error("it is for {0}; RS256, ES256 and EdDSA keys are taken")]
    Other(String),
    /// Too short.
    #[error("a shared secret needs at least {HMAC_BYTES} bytes")]
    Short,
    /// Too short or too long.
    #[error("an RSA key needs 2048 to 8192 bits")]
    Modulus,
    /// A public key where a secret belongs.
    #[error("a public key is no shared secret; name its own algorithm: RS256, ES256 or EdDSA")]
    Shared,
}

enum Material {
    Hmac(hmac::Key),
    Rsa(signature::RsaPublicKeyComponents<Vec<u8>>),
    P256(signature::UnparsedPublicKey<Vec<u8>>),
    Ed25519(signature::UnparsedPublicKey<Vec<u8>>),
}

impl Material {
    fn of(public: Public) -> Result<(Algorithm, Self), KeyError> {
        Ok(match public {
            Public::Rsa { n, .. } if !MODULUS_BYTES.contains(&n.len()) => return Err(KeyError::Modulus),
            Public::Rsa { n, e } => (Algorithm::RS256, Self::Rsa(signature::RsaPublicKeyComponents { n, e })),
            Public::P256(point) => {
                let key = signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED as &'static _, point);
                (Algorithm::ES256, Self::P256(key))
            }
            Public::Ed25519(x) => {
                let key = signature::UnparsedPublicKey::new(&signature::ED25519 as &'static _, x);
                (Algorithm::EdDSA, Self::Ed25519(key))
            }
        })
    }
}

/// A key that verifies.
pub struct VerifyingKey {
    /// The id that tokens name it by.
    pub kid: Option<String>,
    /// The only algorithm it verifies.
    pub algorithm: Algorithm,
    /// When it ends, whatever the tokens say that were made with it.
    pub until: Option<Timestamp>,
    material: Material,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({} {:?})", self.algorithm.as_str(), self.kid)
    }
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

impl VerifyingKey {
    /// A shared secret.
    pub fn hmac(kid: Option<String>, secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < HMAC_BYTES {
            return Err(KeyError::Short);
        }
        // Everybody may know it, and could make tokens with it.
        if secret.trim_ascii_start().starts_with(b"-----BEGIN ") {
            return Err(KeyError::Shared);
        }
        let material = Material::Hmac(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(Self { kid, algorithm: Algorithm::HS256, until: None, material })
    }

    /// A public key: a JSON Web Key, or PEM.
    pub fn public(text: &str) -> Result<Self, KeyError> {
        if !pem::is_pem(text) {
            return Self::jwk(text);
        }
        let (algorithm, material) = Material::of(pem::read(text)?)?;
        Ok(Self { kid: None, algorithm, until: None, material })
    }

    /// A public key, as a JSON Web Key.
    pub fn jwk(text: &str) -> Result<Self, KeyError> {
        let jwk = serde_json::from_str(text).map_err(|e| KeyError::Form(e.to_string()))?;
        Self::of(jwk)
    }

    fn of(jwk: Jwk) -> Result<Self, KeyError> {
        if jwk.d.is_some() {
            return Err(KeyError::Private);
        }
        if jwk.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            return Err(KeyError::Other(format!("use {:?}", jwk.purpose.unwrap_or_default())));
        }
        let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let number = |name, text: &Option<String>| Ok(trimmed(bytes(name, text.as_deref())?));
                Public::Rsa { n: number("n", &jwk.n)?, e: number("e", &jwk.e)? }
            }
            ("EC", Some("P-256")) => {
                let (x, y) = (exactly_32("x", jwk.x.as_deref())?, exactly_32("y", jwk.y.as_deref())?);
                Public::P256([&[4], x.as_slice(), &y].concat())
            }
            ("OKP", Some("Ed25519")) => Public::Ed25519(exactly_32("x", jwk.x.as_deref())?),
            // A set is public: what it calls a shared secret is none.
            (kty, crv) => return Err(KeyError::Other(format!("{kty} {}", crv.unwrap_or_default()))),
        };
        let (algorithm, material) = Material::of(public)?;
        match jwk.alg.as_deref() {
            Some(alg) if Algorithm::parse(alg) != Some(algorithm) => Err(KeyError::Other(alg.to_owned())),
            _ => Ok(Self { kid: jwk.kid, algorithm, until: None, material }),
        }
    }

    /// The usable keys of a JSON Web Key Set, and how many others it holds (for encryption, other curves).
    pub fn set(text: &str) -> Result<(Vec<Self>, usize), KeyError> {
        let set: Set = serde_json::from_str(text).map_err(|e| KeyError::Form(e.to_string()))?;
        let all = set.keys.len();
        let keys: Vec<Self> = set
            .keys
            .into_iter()
            .take(SET_KEYS)
            .filter_map(|key| Self::of(serde_json::from_value(key).ok()?).ok())
            .collect();
        let others = all - keys.len();
        Ok((keys, others))
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Material::Rsa(key) => key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok(),
            Material::P256(key) | Material::Ed25519(key) => key.verify(message, signature).is_ok(),
        }
    }
}

fn bytes(name: &str, text: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let text = text.ok_or_else(|| KeyError::Form(format!("{name} is missing")))?;
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|e| KeyError::Form(format!("{name}: {e}")))
}

fn exactly_32(name: &str, text: Option<&str>) -> Result<Vec<u8>, KeyError> {
    let bytes = bytes(name, text)?;
    if bytes.len() == 32 { Ok(bytes) } else { Err(KeyError::Form(format!("{name} must have 32 bytes"))) }
}

/// A number without leading zeros, which some write.
fn trimmed(number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.into_iter().skip(zeros).collect()
}
