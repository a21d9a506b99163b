//! Mail by SMTP: the one way out that is not HTTP, under the same guard.
//!
//! The server's name is resolved, its addresses are judged, and the judged address is dialed; certificates are checked
//! against the name and the same authorities as for HTTPS. One mail, one session.

mod line;
mod mail;

use std::time::Duration;

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, Mechanism},
    client::AsyncSmtpConnection,
    commands::{Data, Mail as From, Rcpt},
    extension::ClientId,
};
use nexus_core::{sign::Secret, time::Timestamp};
use serde::Deserialize;

pub use self::mail::{BadMail, MAIL_BYTES_MAX, Mail, RECIPIENTS_MAX};
use self::{line::Line, mail::Written};
use crate::{
    address::Reach,
    client::Client,
    error::{Kind, SendError},
};

/// How the line to a mail server is made safe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte (port 465).
    Tls,
    /// TLS asked for in the open (port 587). A server that does not offer it is an error.
    #[default]
    StartTls,
    /// None, for a relay on the same machine. Passwords are not sent.
    Plain,
}

/// A mail server and who sends through it.
#[derive(Clone, Debug)]
pub struct MailServer {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the line is made safe.
    pub security: Security,
    /// User name and password, where it wants them.
    pub login: Option<(String, Secret)>,
    /// How far its owner may reach.
    pub reach: Reach,
    /// What we call ourselves.
    pub hello: String,
}

/// A mail server's last word on a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 2yz: taken. 4yz: not now. 5yz: not at all.
    pub code: u16,
    /// What it said.
    pub text: String,
    /// `Message-ID` of the mail.
    pub message_id: String,
}

/// A mail that got no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The mail can't be sent as it is.
    #[error(transparent)]
    Bad(#[from] BadMail),
    /// It surely was not taken.
    #[error("{0}")]
    NotSent(SendError),
    /// It was handed over whole, but the server's word is missing: it may have been taken.
    #[error("{0}; the mail may have been sent")]
    Unknown(SendError),
}

/// Longest reply text that is kept.
const TEXT_CHARS: usize = 500;

impl Client {
    /// Hands `mail` to `server`. Never tries twice.
    pub async fn mail(
        &self,
        server: &MailServer,
        mail: &Mail,
        now: Timestamp,
        timeout: Duration,
    ) -> Result<Reply, MailError> {
        let written = mail.write(now)?;
        let mut handed_over = false;
        let done = tokio::time::timeout(timeout, self.session(server, &written, &mut handed_over)).await;
        let late =
            || SendError::new(Kind::Timeout, format!("the mail server was not done within {} ms", timeout.as_millis()));
        match done.unwrap_or_else(|_| Err(Failed::Line(late()))) {
            Ok(text) => Ok(Reply { code: 250, text, message_id: written.message_id }),
            Err(Failed::Said(code, text)) => Ok(Reply { code, text, message_id: written.message_id }),
            Err(Failed::Line(error)) if handed_over => Err(MailError::Unknown(error)),
            Err(Failed::Line(error)) => Err(MailError::NotSent(error)),
        }
    }

    async fn session(&self, server: &MailServer, mail: &Written, handed_over: &mut bool) -> Result<String, Failed> {
        if server.login.is_some() && server.security == Security::Plain {
            let message =
                "a password is not sent over a line without TLS; set security to starttls or tls, or no user name";
            return Err(SendError::new(Kind::Refused, message).into());
        }
        let stream = self.dial(&server.host, server.port, server.reach).await?;
        let line = Line::open(stream, &server.host, server.security, &server.hello, self.tls()).await?;
        let hello = ClientId::Domain(server.hello.clone());
        let mut session = AsyncSmtpConnection::connect_with_transport(Box::new(line), &hello).await?;
        if let Some((user, password)) = &server.login {
            let login = Credentials::new(user.clone(), password.expose().to_owned());
            session.auth(&[Mechanism::Plain, Mechanism::Login], &login).await?;
        }
        session.command(From::new(Some(mail.from.clone()), Vec::new())).await?;
        for to in &mail.to {
            session.command(Rcpt::new(to.clone(), Vec::new())).await?;
        }
        session.command(Data).await?;
        *handed_over = true;
        let taken = session.message(&mail.bytes).await?;
        let text = shown(taken.message());
        // The mail is the server's now, whatever becomes of the goodbye.
        let _ = session.quit().await;
        Ok(text)
    }
}

enum Failed {
    /// The server refused.
    Said(u16, String),
    /// The line failed.
    Line(SendError),
}

impl std::convert::From<SendError> for Failed {
    fn from(error: SendError) -> Self {
        Self::Line(error)
    }
}

impl std::convert::From<Error> for Failed {
    fn from(error: Error) -> Self {
        let text = || std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        match error.status() {
            Some(code) => Self::Said(code.into(), shown(std::iter::once(text().as_str()))),
            None if error.is_client() => Self::Line(SendError::new(Kind::Protocol, text())),
            None if error.is_response() => Self::Line(SendError::new(Kind::Protocol, format!("not SMTP: {}", text()))),
            None => Self::Line(SendError::new(Kind::Closed, format!("the line to the mail server broke: {}", text()))),
        }
    }
}

fn shown<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.collect::<Vec<_>>().join(" ").chars().take(TEXT_CHARS).collect()
}
