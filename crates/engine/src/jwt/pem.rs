//! Public keys as PEM: `PUBLIC KEY` (SubjectPublicKeyInfo) of RSA, P-256 and Ed25519, and `RSA PUBLIC KEY` (PKCS #1).
//!
//! Of DER only what these hold is read: definite lengths, no optional parts, nothing after the end.

use data_encoding::BASE64;

use super::key::KeyError;

/// How a PEM text begins.
const BEGIN: &str = "-----BEGIN ";
const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
/// 1.2.840.113549.1.1.1
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// 1.2.840.10045.2.1
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.101.112
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// A public key, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Public {
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// An uncompressed point.
    P256(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
}

/// Whether a text means to be PEM.
pub(super) fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with(BEGIN)
}

/// Reads one public key.
pub(super) fn read(text: &str) -> Result<Public, KeyError> {
    let form = |what: &str| KeyError::Pem(what.to_owned());
    let text = text.trim();
    let (label, rest) = text
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.split_once("-----"))
        .ok_or_else(|| form("it has no line -----BEGIN PUBLIC KEY-----"))?;
    let body = rest
        .strip_suffix(&format!("-----END {label}-----"))
        .ok_or_else(|| form("it does not end with the -----END----- line of its beginning; give one key"))?;
    let pkcs1 = match label {
        "PUBLIC KEY" => false,
        "RSA PUBLIC KEY" => true,
        private if private.ends_with("PRIVATE KEY") => return Err(KeyError::Private),
        other => return Err(KeyError::Pem(format!("it is a {other}; give a PUBLIC KEY"))),
    };
    let packed: String = body.split_ascii_whitespace().collect();
    let der = BASE64.decode(packed.as_bytes()).map_err(|e| KeyError::Pem(format!("its base64: {e}")))?;
    let whole = if pkcs1 { rsa(&der) } else { info(&der)? };
    whole.ok_or_else(|| form("its content is no public key of that kind"))
}

/// SubjectPublicKeyInfo. An error names the kind that is not taken; nothing is what can't be read.
fn info(der: &[u8]) -> Result<Option<Public>, KeyError> {
    let Some((algorithm, parameters, key)) = parts(der) else { return Ok(None) };
    Ok(match (algorithm, parameters) {
        (RSA, Some((NULL, []))) => rsa(key),
        (EC, Some((OID, P256))) => (key.len() == 65 && key.first() == Some(&4)).then(|| Public::P256(key.to_vec())),
        (ED25519, None) => (key.len() == 32).then(|| Public::Ed25519(key.to_vec())),
        (EC, _) => return Err(KeyError::Other("an elliptic curve other than P-256".to_owned())),
        (RSA | ED25519, _) => None,
        _ => return Err(KeyError::Other("another algorithm".to_owned())),
    })
}

type Parameters<'a> = Option<(u8, &'a [u8])>;

/// The algorithm, its parameters, and the key's bytes.
fn parts(der: &[u8]) -> Option<(&[u8], Parameters<'_>, &[u8])> {
    let outer = only(der, SEQUENCE)?;
    let (tag, algorithm, rest) = next(outer)?;
    let key = only(rest, BIT_STRING)?.strip_prefix(&[0])?;
    let (oid_tag, oid, parameters) = next(algorithm)?;
    if tag != SEQUENCE || oid_tag != OID {
        return None;
    }
    let parameters = match parameters {
        [] => None,
        some => {
            let (tag, value, rest) = next(some)?;
            rest.is_empty().then_some(())?;
            Some((tag, value))
        }
    };
    Some((oid, parameters, key))
}

/// PKCS #1: modulus and exponent.
fn rsa(der: &[u8]) -> Option<Public> {
    let (tag, n, rest) = next(only(der, SEQUENCE)?)?;
    let e = only(rest, INTEGER)?;
    (tag == INTEGER).then_some(())?;
    Some(Public::Rsa { n: positive(n)?, e: positive(e)? })
}

/// A number above 0, without the zero that keeps its sign.
fn positive(bytes: &[u8]) -> Option<Vec<u8>> {
    match bytes {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest.to_vec()),
        [first, ..] if (1..0x80).contains(first) => Some(bytes.to_vec()),
        _ => None,
    }
}

/// The value of the one element that `der` is.
fn only(der: &[u8], wanted: u8) -> Option<&[u8]> {
    let (tag, value, rest) = next(der)?;
    (tag == wanted && rest.is_empty()).then_some(value)
}

/// The first element, its tag and value, and what follows.
fn next(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(*short), rest),
        // Up to 65,535: longer keys are refused anyway.
        0x81 => rest.split_first().map(|(l, rest)| (usize::from(*l), rest))?,
        0x82 => rest.split_first_chunk::<2>().map(|(l, rest)| (usize::from(u16::from_be_bytes(*l)), rest))?,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}
