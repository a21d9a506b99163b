//! Standard Webhooks: any sender that follows the specification (OpenAI, Svix, Resend, Clerk, …).

use nexus_core::{
    sign::{Secret, StandardHeaders, verify_standard},
    topic::Topic,
};

use super::{
    body::{self, Parsed},
    error::{MapError, VerifyError},
    request::{Incoming, Mapped},
};

/// The header under its own name, or under the one that Svix used before the specification.
fn header<'a>(incoming: &'a Incoming<'_>, name: &'static str, svix: &'static str) -> Result<&'a str, VerifyError> {
    match incoming.optional(name)? {
        Some(text) => Ok(text),
        None => incoming.optional(svix)?.ok_or(VerifyError::Missing { header: name }),
    }
}

pub(super) fn verify(incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<usize, VerifyError> {
    let headers = StandardHeaders {
        id: header(incoming, "webhook-id", "svix-id")?,
        timestamp: header(incoming, "webhook-timestamp", "svix-timestamp")?,
        signature: header(incoming, "webhook-signature", "svix-signature")?,
    };
    Ok(verify_standard(headers, incoming.body, secrets, incoming.now)?)
}

/// The id stays the same over all attempts.
pub(super) fn delivery(incoming: &Incoming<'_>) -> Option<String> {
    header(incoming, "webhook-id", "svix-id").ok().map(|id| body::key(&[id]))
}

/// The sender is of no known provider, so its `type` is the topic itself; what it may dispatch is the source's affair.
pub(super) fn map(incoming: &Incoming<'_>, parsed: Parsed) -> Result<Mapped, MapError> {
    body::object(&parsed)?;
    let name = ["type", "event", "eventType", "event_type"].iter().find_map(|f| body::text(&parsed.value, &[f]));
    let name =
        name.ok_or_else(|| MapError::field("type", "is missing; give the event's name, such as user.created"))?;
    let topic = Topic::parse(name)?;
    let subject = body::id(&parsed.value, &["data", "id"]);
    Ok(body::one(topic, parsed.data, subject, delivery(incoming)))
}
