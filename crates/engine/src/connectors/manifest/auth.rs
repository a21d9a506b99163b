//! How a manifest says that requests prove whose they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Span;

/// How a request proves whose it is. Texts may hold `{settings.x}` and `{secrets.x}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A header or a parameter of the query.
    ApiKey(ApiKey),
    /// `Authorization: Basic`.
    Basic(Basic),
    /// `Authorization: Bearer`.
    Bearer(Bearer),
    /// A token that is asked for, and asked for again before it ends.
    Oauth2(OAuth2),
    /// A signature over the request.
    Hmac(Hmac),
}

/// A header or a parameter of the query.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Where it stands.
    #[serde(rename = "in")]
    pub place: Place,
    /// The header's or parameter's name.
    pub name: String,
    /// What it is, for example `Bot {secrets.bot_token}`.
    pub value: String,
}

/// Where an API key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A header.
    Header,
    /// The query.
    Query,
}

/// User name and password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// User name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// A token that stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// The token.
    pub token: String,
}

/// OAuth 2.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// How the first token is had.
    pub grant: Grant,
    /// Where a person agrees; for `authorization_code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorize_url: Option<String>,
    /// Where tokens are given.
    pub token_url: String,
    /// The application's id there.
    #[serde(default = "client_id")]
    pub client_id: String,
    /// Its secret; empty for a public client.
    #[serde(default = "client_secret")]
    pub client_secret: String,
    /// How the application proves itself to `token_url`.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Scopes that are asked for, unless the connection names others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What stands between scopes; absent = a space.
    #[serde(default = "space")]
    pub scope_separator: String,
    /// Proof key (S256); for `authorization_code`.
    #[serde(default = "yes")]
    pub pkce: bool,
    /// Further parameters of the page where a person agrees.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub authorize_extra: BTreeMap<String, String>,
    /// Further fields of requests to `token_url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub token_extra: BTreeMap<String, String>,
    /// How long a token is good for when its answer does not say; absent = until it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
}

fn client_id() -> String {
    "{settings.client_id}".into()
}

fn client_secret() -> String {
    "{secrets.client_secret}".into()
}

fn space() -> String {
    " ".into()
}

const fn yes() -> bool {
    true
}

/// How the first token is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// The application acts for itself.
    ClientCredentials,
    /// A person agrees in a browser.
    AuthorizationCode,
}

/// How an application proves itself to the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `Authorization: Basic`.
    #[default]
    Basic,
    /// `client_id` and `client_secret` in the form.
    Body,
}

/// A signature over the request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// The digest.
    pub algorithm: Digest,
    /// The key, for example `{secrets.signing_secret}`.
    pub key: String,
    /// How the key is written.
    #[serde(default)]
    pub key_encoding: KeyEncoding,
    /// What is signed: text with `{method}`, `{path}`, `{query}`, `{url}`, `{body}`, `{body_sha256}`, `{timestamp}`,
    /// `{settings.x}`.
    #[serde(default = "body")]
    pub message: String,
    /// How the signature is written.
    #[serde(default)]
    pub encoding: SignatureEncoding,
    /// The header it is sent in.
    pub header: String,
    /// That header's value, with `{signature}` and `{timestamp}`.
    #[serde(default = "signature")]
    pub value: String,
    /// A header with the time that was signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// How the time is written.
    #[serde(default)]
    pub timestamp_as: TimestampAs,
}

fn body() -> String {
    "{body}".into()
}

fn signature() -> String {
    "{signature}".into()
}

/// The digest of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// HMAC-SHA256.
    Sha256,
    /// HMAC-SHA512.
    Sha512,
    /// HMAC-SHA1, for providers that still use it.
    Sha1,
}

/// How a signing key is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEncoding {
    /// Its bytes are the key.
    #[default]
    Text,
    /// base64.
    Base64,
    /// Hex.
    Hex,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Lower-case hex.
    #[default]
    Hex,
    /// base64 with padding.
    Base64,
}

/// How a signed time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestampAs {
    /// Seconds since 1970.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// ISO 8601, UTC.
    Iso,
}
