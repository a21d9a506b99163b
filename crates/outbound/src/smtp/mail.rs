//! A mail as it is asked for, and as it is written.

use std::time::{Duration, UNIX_EPOCH};

use lettre::{
    Message,
    message::{Mailbox, MultiPart, SinglePart},
};
use nexus_core::time::Timestamp;
use serde::Deserialize;

/// Recipients of one mail, all kinds together.
pub const RECIPIENTS_MAX: usize = 100;
/// A mail as it goes over the line.
pub const MAIL_BYTES_MAX: usize = 10 * 1024 * 1024;

/// A mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `a@example.com` or `Name <a@example.com>`.
    pub from: String,
    /// As `from`; at least one of `to`, `cc`, `bcc` is needed.
    #[serde(default)]
    pub to: Vec<String>,
    /// Further recipients that all see.
    #[serde(default)]
    pub cc: Vec<String>,
    /// Further recipients that nobody sees.
    #[serde(default)]
    pub bcc: Vec<String>,
    /// Where answers go.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Subject.
    #[serde(default)]
    pub subject: String,
    /// Body as plain text; this or `html` is needed.
    #[serde(default)]
    pub text: Option<String>,
    /// Body as HTML.
    #[serde(default)]
    pub html: Option<String>,
    /// What names the mail: the same for every attempt, so that a receiver can know a repeat.
    pub message_id: String,
}

/// A mail that can't be sent as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMail(pub String);

/// A mail ready for the line.
pub(super) struct Written {
    pub(super) from: lettre::Address,
    pub(super) to: Vec<lettre::Address>,
    pub(super) bytes: Vec<u8>,
    pub(super) message_id: String,
}

impl Mail {
    /// Writes it, dated `now`.
    pub(super) fn write(&self, now: Timestamp) -> Result<Written, BadMail> {
        let from = mailbox("from", &self.from)?;
        let id = format!("<{}@{}>", self.message_id, from.email.domain());
        if !self.message_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.+".contains(&b))
            || self.message_id.is_empty()
        {
            return Err(BadMail("message_id may hold letters, digits and - _ . + only".into()));
        }
        let micros = u64::try_from(now.micros()).unwrap_or_default();
        let mut builder = Message::builder()
            .message_id(Some(id.clone()))
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .subject(self.subject.as_str())
            .from(from);
        for to in &self.to {
            builder = builder.to(mailbox("to", to)?);
        }
        for cc in &self.cc {
            builder = builder.cc(mailbox("cc", cc)?);
        }
        for bcc in &self.bcc {
            builder = builder.bcc(mailbox("bcc", bcc)?);
        }
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(mailbox("reply_to", reply_to)?);
        }
        let unfit = |error: lettre::error::Error| BadMail(format!("the mail can't be written: {error}"));
        let message = match (self.text.clone(), self.html.clone()) {
            (Some(text), Some(html)) => builder.multipart(MultiPart::alternative_plain_html(text, html)),
            (Some(text), None) => builder.singlepart(SinglePart::plain(text)),
            (None, Some(html)) => builder.singlepart(SinglePart::html(html)),
            (None, None) => return Err(BadMail("the mail has neither text nor html".into())),
        }
        .map_err(unfit)?;
        let from = message.envelope().from().cloned().ok_or_else(|| BadMail("from is missing".into()))?;
        let to = message.envelope().to().to_vec();
        if to.len() > RECIPIENTS_MAX {
            return Err(BadMail(format!("the mail has {} recipients; at most {RECIPIENTS_MAX} are taken", to.len())));
        }
        let bytes = message.formatted();
        if bytes.len() > MAIL_BYTES_MAX {
            return Err(BadMail(format!("the mail has {} bytes; at most {MAIL_BYTES_MAX} are taken", bytes.len())));
        }
        Ok(Written { from, to, bytes, message_id: id })
    }
}

fn mailbox(field: &str, text: &str) -> Result<Mailbox, BadMail> {
    let parsed: Mailbox = text.parse().map_err(|_| {
        BadMail(format!("{field}: {text:?} is no address; a@example.com or Name <a@example.com> is right"))
    })?;
    let address: &str = parsed.email.as_ref();
    if address.is_ascii() { Ok(parsed) } else { Err(BadMail(format!("{field}: {text:?} is not ASCII"))) }
}
