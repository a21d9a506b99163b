//! What each provider's webhook looks like: how it proves itself, what it asks first, which events it carries.
//!
//! Pure: a request as it was received goes in, a verdict or events come out. Signatures are checked over the raw bytes,
//! before anything is parsed, against every active secret. One file per provider or family; what they share is in
//! [`body`] and [`error`].

mod body;
mod calcom;
mod discord;
mod error;
mod factory;
mod flowpay;
mod github;
mod hubspot;
mod linkedin;
mod neo;
mod preset;
mod request;
mod sendgrid;
mod slack;
mod standard;
mod stripe;
mod twilio;
mod x;

#[cfg(test)]
mod tests;

use nexus_core::sign::Secret;
use serde_json::Value;

pub use self::{
    body::{Parsed, parse},
    error::{MapError, VerifyError},
    preset::{Preset, UnknownPreset},
    request::{ChallengeAnswer, Incoming, Mapped, MappedEvent, Verified},
};

/// Checks who sent `incoming`. Every secret is tried, so that the time taken does not tell which was near.
pub fn verify(preset: Preset, incoming: &Incoming<'_>, secrets: &[Secret]) -> Result<Verified, VerifyError> {
    let secret = match preset {
        Preset::Nexus | Preset::FlowPay | Preset::Factory => neo::verify(incoming, secrets),
        Preset::StandardWebhooks => standard::verify(incoming, secrets),
        Preset::GitHub => github::verify(incoming, secrets),
        Preset::Stripe => stripe::verify(incoming, secrets),
        Preset::Twilio => twilio::verify(incoming, secrets),
        Preset::Slack => slack::verify(incoming, secrets),
        Preset::Discord => discord::verify(incoming, secrets),
        Preset::X => x::verify(incoming, secrets),
        Preset::LinkedIn => linkedin::verify(incoming, secrets),
        Preset::SendGrid => sendgrid::verify(incoming, secrets),
        Preset::HubSpot => hubspot::verify(incoming, secrets),
        Preset::CalCom => calcom::verify(incoming, secrets),
    }?;
    Ok(Verified { secret })
}

/// The answer to a provider that wants to know whether we are there and hold the secret; `None` when this request is no
/// such question. A question that is itself signed is answered only when its signature holds, so this may be asked
/// before [`verify`].
pub fn challenge(preset: Preset, incoming: &Incoming<'_>, secrets: &[Secret]) -> Option<ChallengeAnswer> {
    match preset {
        Preset::X => x::challenge(incoming, secrets),
        Preset::LinkedIn => linkedin::challenge(incoming, secrets),
        Preset::Slack => slack::challenge(incoming, secrets),
        Preset::Discord => discord::challenge(incoming, secrets),
        _ => None,
    }
}

/// What a repeat of this delivery would have in common with it, from its headers and its parsed body; `None` where the
/// provider gives nothing, or where the body holds several events (each then has a [`MappedEvent::delivery`]).
pub fn delivery_id(preset: Preset, incoming: &Incoming<'_>, parsed: &Value) -> Option<String> {
    match preset {
        Preset::Nexus => neo::delivery(incoming, parsed),
        Preset::FlowPay => flowpay::delivery(parsed),
        Preset::Factory => factory::delivery(parsed),
        Preset::StandardWebhooks => standard::delivery(incoming),
        Preset::GitHub => github::delivery(incoming),
        Preset::Stripe => stripe::delivery(parsed),
        Preset::Twilio => twilio::delivery(incoming, parsed),
        Preset::Slack => slack::delivery(parsed),
        Preset::Discord => discord::delivery(parsed),
        Preset::X => x::delivery(parsed),
        Preset::LinkedIn => linkedin::delivery(parsed),
        Preset::SendGrid | Preset::HubSpot => None,
        Preset::CalCom => calcom::delivery(parsed),
    }
}

/// The events that `incoming` carries. Call it only after [`verify`].
pub fn map(preset: Preset, incoming: &Incoming<'_>) -> Result<Mapped, MapError> {
    let parsed = parse(preset, incoming)?;
    match preset {
        Preset::Nexus => neo::map(incoming, parsed),
        Preset::FlowPay => flowpay::map(parsed),
        Preset::Factory => factory::map(parsed),
        Preset::StandardWebhooks => standard::map(incoming, parsed),
        Preset::GitHub => github::map(incoming, parsed),
        Preset::Stripe => stripe::map(parsed),
        Preset::Twilio => twilio::map(incoming, parsed),
        Preset::Slack => slack::map(parsed),
        Preset::Discord => discord::map(parsed),
        Preset::X => x::map(parsed),
        Preset::LinkedIn => linkedin::map(parsed),
        Preset::SendGrid => sendgrid::map(parsed),
        Preset::HubSpot => hubspot::map(parsed),
        Preset::CalCom => calcom::map(parsed),
    }
}
