//! SendGrid event webhook: ECDSA over `{timestamp}{body}`; the account's verification key stands in for the secret.

use data_encoding::BASE64;
use nexus_core::sign::{Secret, first_match};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{Incoming, Mapped, MappedEvent},
};

/// What stands before the point in the DER form of a P-256 public key.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The timestamp is signed but not held to the clock: SendGrid repeats a batch for a day, and says nowhere that it
/// signs it anew. Repeats are told by the events' own ids.
pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.header("x-twilio-email-event-webhook-signature")?;
    let timestamp = incoming.header("x-twilio-email-event-webhook-timestamp")?;
    let signature = BASE64.decode(header.as_bytes());
    let signature = signature.map_err(|_| VerifyError::malformed("the signature header must be base64"))?;
    let signed = [timestamp.as_bytes(), incoming.body].concat();
    let mut unusable = false;
    let found = first_match(secrets, |secret| match point(secret) {
        Some(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(&signed, &signature).is_ok(),
        None => {
            unusable = true;
            false
        }
    });
    if found.is_err() && unusable {
        return Err(VerifyError::Secret {
            reason: "the verification key must be base64 of a P-256 key, as SendGrid shows it",
        });
    }
    Ok(found?)
}

/// The point of a key in base64 DER, with or without PEM lines around.
fn point(secret: &Secret) -> Option<Vec<u8>> {
    let lines = secret.expose().lines().filter(|line| !line.starts_with("-----"));
    let text: String = lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect();
    let der = BASE64.decode(text.as_bytes()).ok()?;
    der.strip_prefix(&P256_PREFIX).filter(|point| point.len() == 65).map(<[u8]>::to_vec)
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::each(&parsed, |value, data| {
        let kind = body::text(value, &["event"]);
        let kind =
            kind.ok_or_else(|| MapError::field("event", "is missing; every event of SendGrid names its kind"))?;
        let topic = body::topic(Preset::SendGrid.as_str(), kind)?;
        let delivery = body::text(value, &["sg_event_id"]).map(|id| body::key(&[id]));
        Ok(MappedEvent { topic, data, subject: body::opaque(body::id(value, &["sg_message_id"])), delivery })
    })
}
