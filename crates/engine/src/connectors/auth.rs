//! Proving whose a request is: a pure function of the request, the secrets and the time.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use http::{HeaderName, HeaderValue, Uri, header};
use nexus_core::{sign::Secret, time::Timestamp};
use ring::{digest, hmac};

use super::{
    error::CallError,
    manifest::{self, Digest, KeyEncoding, SignatureEncoding, TimestampAs},
    operation::{Draft, Filling},
    template::{Name, Text},
};

/// How a connector's requests prove whose they are.
#[derive(Debug)]
pub(super) enum Proof {
    None,
    /// In `header`, or else in the parameter `query`.
    ApiKey {
        header: Option<HeaderName>,
        query: String,
        value: Text,
    },
    Basic {
        username: Text,
        password: Text,
    },
    Bearer {
        token: Text,
    },
    Hmac {
        how: manifest::Hmac,
        key: Text,
        message: Text,
        value: Text,
        header: Option<HeaderName>,
        timestamp: Option<HeaderName>,
    },
    OAuth2(Box<OAuth>),
}

/// OAuth 2, compiled.
#[derive(Debug)]
pub(super) struct OAuth {
    pub(super) authorize_url: Text,
    pub(super) token_url: Text,
    pub(super) client_id: Text,
    pub(super) client_secret: Text,
    pub(super) said: manifest::OAuth2,
}

/// Fills in a text in which only settings and secrets are named.
pub(super) fn plain(text: &Text, filling: &Filling<'_>) -> Result<String, CallError> {
    let nothing = |name: &str| Err(CallError::Request(format!("{{{name}}} is not known here")));
    text.fill(|name| filling.find(name, nothing))
}

impl Proof {
    /// OAuth 2, if it is that.
    pub(super) fn oauth(&self) -> Option<&OAuth> {
        match self {
            Self::OAuth2(oauth) => Some(oauth),
            _ => None,
        }
    }

    /// Adds the proof to a request; gives what else must not be shown.
    pub(super) fn apply(
        &self,
        draft: &mut Draft,
        filling: &Filling<'_>,
        token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Option<Secret>, CallError> {
        match self {
            Self::None => Ok(None),
            Self::ApiKey { header, query, value } => {
                let value = plain(value, filling)?;
                match header {
                    Some(name) => put(draft, name.clone(), &value)?,
                    None => draft.query.push((query.clone(), value)),
                }
                Ok(None)
            }
            Self::Basic { username, password } => {
                let pair = format!("{}:{}", plain(username, filling)?, plain(password, filling)?);
                put(draft, header::AUTHORIZATION, &basic(&pair))?;
                Ok(Some(Secret::new(pair)))
            }
            Self::Bearer { token } => {
                let token = plain(token, filling)?;
                put(draft, header::AUTHORIZATION, &format!("Bearer {token}"))?;
                Ok(None)
            }
            Self::OAuth2(_) => {
                let token = token.ok_or_else(|| CallError::Request("the connection has no access token".into()))?;
                put(draft, header::AUTHORIZATION, &format!("Bearer {}", token.expose()))?;
                Ok(Some(token.clone()))
            }
            Self::Hmac { how, key, message, value, header, timestamp } => {
                let time = stamp(how.timestamp_as, now);
                let signature = signature(how, &plain(key, filling)?, message, draft, filling, &time)?;
                let value = value.fill(|name| {
                    filling.find(name, |name| Ok(if name == "timestamp" { time.clone() } else { signature.clone() }))
                })?;
                if let Some(name) = header {
                    put(draft, name.clone(), &value)?;
                }
                if let Some(name) = timestamp {
                    put(draft, name.clone(), &time)?;
                }
                Ok(None)
            }
        }
    }
}

/// The value of a basic `Authorization`.
pub(super) fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64.encode(pair.as_bytes()))
}

fn put(draft: &mut Draft, name: HeaderName, value: &str) -> Result<(), CallError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        CallError::Request(format!(
            "the secret for the header {name} holds characters that a header can't; set it anew"
        ))
    })?;
    value.set_sensitive(true);
    draft.headers.insert(name, value);
    Ok(())
}

fn stamp(form: TimestampAs, now: Timestamp) -> String {
    match form {
        TimestampAs::Seconds => now.secs().to_string(),
        TimestampAs::Milliseconds => now.millis().to_string(),
        TimestampAs::Iso => now.to_string(),
    }
}

fn signature(
    how: &manifest::Hmac,
    key: &str,
    message: &Text,
    draft: &Draft,
    filling: &Filling<'_>,
    time: &str,
) -> Result<String, CallError> {
    let key = match how.key_encoding {
        KeyEncoding::Text => Some(key.as_bytes().to_vec()),
        KeyEncoding::Base64 => BASE64.decode(key.as_bytes()).ok(),
        KeyEncoding::Hex => HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok(),
    };
    let key = key.ok_or_else(|| {
        CallError::Request(format!("the signing key is not written in {:?}; set it anew", how.key_encoding))
    })?;
    let algorithm = match how.algorithm {
        Digest::Sha256 => hmac::HMAC_SHA256,
        Digest::Sha512 => hmac::HMAC_SHA512,
        Digest::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    };
    let url = draft.whole_url();
    let uri: Uri = url.parse().map_err(|_| CallError::Request("the URL can't be read".into()))?;
    let key = hmac::Key::new(algorithm, &key);
    let mut context = hmac::Context::with_key(&key);
    // Piece by piece: a body need not be text.
    for piece in message.pieces() {
        match piece {
            Err(text) => context.update(text.as_bytes()),
            Ok(Name::Own(name)) => match name.as_str() {
                "body" => context.update(&draft.body),
                "body_sha256" => {
                    context.update(HEXLOWER.encode(digest::digest(&digest::SHA256, &draft.body).as_ref()).as_bytes());
                }
                "method" => context.update(draft.method.as_str().as_bytes()),
                "path" => context.update(uri.path().as_bytes()),
                "query" => context.update(uri.query().unwrap_or_default().as_bytes()),
                "url" => context.update(url.as_bytes()),
                _ => context.update(time.as_bytes()),
            },
            Ok(other) => context.update(filling.find(other, |_| Ok(String::new()))?.as_bytes()),
        }
    }
    let tag = context.sign();
    Ok(match how.encoding {
        SignatureEncoding::Hex => HEXLOWER.encode(tag.as_ref()),
        SignatureEncoding::Base64 => BASE64.encode(tag.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use serde_json::{Value, json};

    use super::*;
    use crate::connectors::check::Connector;

    fn proven(auth: &str, secrets: &[(&str, &str)], body: &'static str) -> Draft {
        let declared: Vec<String> = secrets.iter().map(|(name, _)| format!("{name}: {{title: X}}")).collect();
        let text = format!(
            "connector: 1\nname: t\ntitle: T\nchecked: reading\nbase_url: https://t.example\nsettings: {{user: {{title: U}}}}\nsecrets: {{{}}}\nauth: {auth}\noperations:\n  go: {{title: T, method: GET, path: /x}}\n",
            declared.join(", ")
        );
        let connector = Connector::read(&text).unwrap_or_else(|e| panic!("{e}"));
        let secrets: BTreeMap<String, Secret> =
            secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect();
        let (settings, null) = (json!({"user": "me"}), Value::Null);
        let filling = Filling {
            input: &null,
            settings: &settings,
            secrets: &secrets,
            key: &null,
            page: &null,
            now: &null,
            lineage: &HeaderMap::new(),
        };
        let mut draft = Draft {
            method: Method::POST,
            url: "https://t.example/x".into(),
            query: vec![("a".into(), "b c".into())],
            headers: HeaderMap::new(),
            body: Bytes::from_static(body.as_bytes()),
        };
        connector.proof.apply(&mut draft, &filling, None, Timestamp::from_secs(1_531_420_618)).unwrap();
        draft
    }

    fn header(draft: &Draft, name: &str) -> String {
        draft.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    }

    #[test]
    fn each_kind_of_proof_stands_where_it_belongs() {
        let token = [("token", "s3cret")];
        let bearer = proven(r#"{bearer: {token: "{secrets.token}"}}"#, &token, "");
        assert_eq!(header(&bearer, "authorization"), "Bearer s3cret");
        assert!(bearer.headers.get("authorization").unwrap().is_sensitive());
        let basic = proven(r#"{basic: {username: "{settings.user}", password: "{secrets.token}"}}"#, &token, "");
        assert_eq!(header(&basic, "authorization"), "Basic bWU6czNjcmV0");
        let bot = r#"{api_key: {in: header, name: Authorization, value: "Bot {secrets.token}"}}"#;
        assert_eq!(header(&proven(bot, &token, ""), "authorization"), "Bot s3cret");
        let query = proven(r#"{api_key: {in: query, name: key, value: "{secrets.token}"}}"#, &token, "");
        assert_eq!(query.whole_url(), "https://t.example/x?a=b%20c&key=s3cret");
    }

    #[test]
    fn signatures_are_those_that_providers_published() {
        // GitHub's own example.
        let github = r#"{hmac: {algorithm: sha256, key: "{secrets.k}", header: X-Hub-Signature-256, value: "sha256={signature}"}}"#;
        let made = proven(github, &[("k", "It's a Secret to Everybody")], "Hello, World!");
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(header(&made, "x-hub-signature-256"), right);
        // The form of Slack: version, time and body, with the time in a header of its own.
        let slack = r#"{hmac: {algorithm: sha256, key: "{secrets.k}", header: X-S, message: "v0:{timestamp}:{body}", value: "v0={signature}", timestamp_header: X-T}}"#;
        let made = proven(slack, &[("k", "8f742231b10e8888abcd99yyyzzz85a5")], "token=x");
        assert_eq!(header(&made, "x-t"), "1531420618");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"8f742231b10e8888abcd99yyyzzz85a5");
        let right = HEXLOWER.encode(hmac::sign(&key, b"v0:1531420618:token=x").as_ref());
        assert_eq!(header(&made, "x-s"), format!("v0={right}"));
    }

    #[test]
    fn a_signature_may_cover_the_whole_request() {
        let all = r#"{hmac: {algorithm: sha1, key: "{secrets.k}", key_encoding: hex, encoding: base64, header: X-S, message: "{method} {path}?{query} {url} {body_sha256}"}}"#;
        let made = proven(all, &[("k", "00ff")], "");
        let message = "POST /x?a=b%20c https://t.example/x?a=b%20c e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &[0, 0xff]);
        assert_eq!(header(&made, "x-s"), BASE64.encode(hmac::sign(&key, message.as_bytes()).as_ref()));
    }
}
