//! HubSpot: version 3 signatures (HMAC with a timestamp); versions 1 and 2 where nothing newer is sent.

use data_encoding::BASE64;
use nexus_core::sign::{Secret, constant_eq, first_match, fresh, hmac_sha256, unhex};
use ring::digest::{Context, SHA256};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    preset::Preset,
    request::{Incoming, Mapped, MappedEvent},
};

/// Escapes that HubSpot takes out of the URI before it signs.
const DECODED: &[u8] = b":/?@!$'()*,;";

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    match incoming.optional("x-hubspot-signature-v3")? {
        Some(header) => version_3(incoming, header, secrets),
        None => older(incoming, secrets),
    }
}

fn version_3(incoming: &Incoming<'_>, header: &str, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let timestamp = incoming.header("x-hubspot-request-timestamp")?;
    let given = BASE64.decode(header.as_bytes()).ok().filter(|bytes| bytes.len() == 32);
    let given = given.ok_or_else(|| VerifyError::malformed("X-HubSpot-Signature-v3 must be base64 of 32 bytes"))?;
    let millis: i64 = timestamp
        .parse()
        .map_err(|_| VerifyError::malformed("X-HubSpot-Request-Timestamp must be milliseconds since 1970"))?;
    fresh(&millis.div_euclid(1_000).to_string(), incoming.now)?;
    let uri = decoded(incoming.url);
    let signed = [incoming.method.as_bytes(), &uri, incoming.body, timestamp.as_bytes()];
    Ok(first_match(secrets, |secret| constant_eq(&hmac_sha256(secret.as_bytes(), &signed), &given))?)
}

/// Private apps still sign with version 1. Neither is an HMAC, so a known body can be made longer under its signature;
/// what is appended begins with padding that is not JSON, and the body is then refused.
fn older(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let header = incoming.optional("x-hubspot-signature")?;
    let header = header.ok_or(VerifyError::Missing { header: "X-HubSpot-Signature-v3" })?;
    let given = unhex(header).filter(|bytes| bytes.len() == 32);
    let given = given.ok_or_else(|| VerifyError::malformed("X-HubSpot-Signature must be 64 hex digits"))?;
    let before: &[&str] = match incoming.optional("x-hubspot-signature-version")? {
        None | Some("v1") => &[],
        Some("v2") => &[incoming.method, incoming.url],
        Some(_) => return Err(VerifyError::malformed("X-HubSpot-Signature-Version must be v1 or v2")),
    };
    Ok(first_match(secrets, |secret| {
        let mut context = Context::new(&SHA256);
        context.update(secret.as_bytes());
        before.iter().for_each(|part| context.update(part.as_bytes()));
        context.update(incoming.body);
        constant_eq(context.finish().as_ref(), &given)
    })?)
}

fn decoded(url: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(url.len());
    let mut rest = url.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => body::hex_byte(*high, *low).filter(|byte| DECODED.contains(byte)),
            _ => None,
        };
        out.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    out
}

pub(super) fn map(parsed: Parsed) -> Result<Mapped, MapError> {
    body::each(&parsed, |value, data| {
        let kind = body::text(value, &["subscriptionType"]).or_else(|| body::text(value, &["eventType"]));
        let kind = kind.ok_or_else(|| MapError::field("subscriptionType", "is missing in an event of the batch"))?;
        let topic = body::topic(Preset::HubSpot.as_str(), kind)?;
        // HubSpot does not promise that an event id is unique, so it takes more to name one event.
        let part = |name| body::id(value, &[name]).unwrap_or_default();
        let delivery = body::id(value, &["eventId"])
            .map(|id| body::key(&[&id, &part("subscriptionId"), &part("objectId"), &part("occurredAt")]));
        Ok(MappedEvent { topic, data, subject: body::opaque(body::id(value, &["objectId"])), delivery })
    })
}
