//! The providers by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A provider whose webhooks are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// The hub's own form: `{"event","payload"}` under `X-Nexus-Signature`.
    Nexus,
    /// FlowPay of NEO.
    FlowPay,
    /// Smart Factory of NEO.
    Factory,
    /// Any sender that follows Standard Webhooks.
    StandardWebhooks,
    /// GitHub.
    GitHub,
    /// Stripe.
    Stripe,
    /// Twilio messages and calls.
    Twilio,
    /// Slack events, slash commands and interactions.
    Slack,
    /// Discord interactions and webhook events.
    Discord,
    /// X account activity.
    X,
    /// LinkedIn organization notifications.
    LinkedIn,
    /// SendGrid event webhook.
    SendGrid,
    /// HubSpot CRM webhooks.
    HubSpot,
    /// Cal.com bookings.
    CalCom,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Nexus,
        Self::FlowPay,
        Self::Factory,
        Self::StandardWebhooks,
        Self::GitHub,
        Self::Stripe,
        Self::Twilio,
        Self::Slack,
        Self::Discord,
        Self::X,
        Self::LinkedIn,
        Self::SendGrid,
        Self::HubSpot,
        Self::CalCom,
    ];

    /// The name in configuration, and the first segment of the provider's topics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nexus => "nexus",
            Self::FlowPay => "flowpay",
            Self::Factory => "factory",
            Self::StandardWebhooks => "standard-webhooks",
            Self::GitHub => "github",
            Self::Stripe => "stripe",
            Self::Twilio => "twilio",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::X => "x",
            Self::LinkedIn => "linkedin",
            Self::SendGrid => "sendgrid",
            Self::HubSpot => "hubspot",
            Self::CalCom => "calcom",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No preset has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no preset; one of {} is expected", names())]
pub struct UnknownPreset {
    name: String,
}

fn names() -> String {
    Preset::ALL.map(Preset::as_str).join(", ")
}

impl FromStr for Preset {
    type Err = UnknownPreset;
    fn from_str(text: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| UnknownPreset { name: text.to_owned() })
    }
}

impl Serialize for Preset {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Preset {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
