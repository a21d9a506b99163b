//! OAuth 2 without I/O: the address where a person agrees, the request for a token, and what its answer means.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, Method, header};
use nexus_core::{sign::Secret, time::Timestamp};
use ring::digest;
use serde_json::Value;

use super::{
    auth::{OAuth, basic, plain},
    error::CallError,
    manifest::ClientAuth,
    operation::{Draft, Filling, pairs},
    template::encode,
};

/// A token that ends sooner than this is refreshed before it is used.
pub(super) const REFRESH_BEFORE: Duration = Duration::from_secs(60);
/// Characters of an error's words that are kept.
const WORDS: usize = 200;

/// What a token is asked for with.
pub(super) enum Ask<'a> {
    /// The application itself.
    Client { scopes: &'a [String] },
    /// What a person's agreement gave.
    Code { code: &'a str, redirect_uri: &'a str, verifier: Option<&'a str> },
    /// The token that was given for this.
    Refresh { token: &'a Secret },
}

/// Tokens as given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access: Secret,
    /// Absent = the one there is goes on.
    pub(super) refresh: Option<Secret>,
    pub(super) expires_at: Option<Timestamp>,
    /// Absent = those that were asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// The grant is used up, expired or revoked: only a person (or another secret) can help.
    Gone(String),
    /// Not now.
    Later(String),
}

/// The challenge for a verifier (RFC 7636, S256).
pub(super) fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
}

/// Where a person agrees.
pub(super) fn address(
    oauth: &OAuth,
    filling: &Filling<'_>,
    redirect_uri: &str,
    state: &str,
    verifier: Option<&str>,
    scopes: &[String],
) -> Result<String, CallError> {
    let mut query = vec![
        ("response_type".to_owned(), "code".to_owned()),
        ("client_id".to_owned(), plain(&oauth.client_id, filling)?),
        ("redirect_uri".to_owned(), redirect_uri.to_owned()),
        ("state".to_owned(), state.to_owned()),
    ];
    if !scopes.is_empty() {
        query.push(("scope".to_owned(), scopes.join(&oauth.said.scope_separator)));
    }
    if let Some(verifier) = verifier {
        query.push(("code_challenge".to_owned(), challenge(verifier)));
        query.push(("code_challenge_method".to_owned(), "S256".to_owned()));
    }
    query.extend(oauth.said.authorize_extra.iter().map(|(name, value)| (name.clone(), value.clone())));
    let base = plain(&oauth.authorize_url, filling)?;
    let mark = if base.contains('?') { '&' } else { '?' };
    Ok(format!("{base}{mark}{}", pairs(&query)))
}

/// The request for a token.
pub(super) fn request(oauth: &OAuth, filling: &Filling<'_>, ask: &Ask<'_>) -> Result<Draft, CallError> {
    let (id, secret) = (plain(&oauth.client_id, filling)?, plain(&oauth.client_secret, filling)?);
    let mut form: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
    match ask {
        Ask::Client { scopes } => {
            put("grant_type", "client_credentials");
            if !scopes.is_empty() {
                put("scope", &scopes.join(&oauth.said.scope_separator));
            }
        }
        Ask::Code { code, redirect_uri, verifier } => {
            put("grant_type", "authorization_code");
            put("code", code);
            put("redirect_uri", redirect_uri);
            if let Some(verifier) = verifier {
                put("code_verifier", verifier);
            }
        }
        Ask::Refresh { token } => {
            put("grant_type", "refresh_token");
            put("refresh_token", token.expose());
        }
    }
    for (name, value) in &oauth.said.token_extra {
        put(name, value);
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match oauth.said.client_auth {
        // A public client has nothing to prove itself with; it only says who it is.
        ClientAuth::Basic if !secret.is_empty() => {
            let pair = basic(&format!("{}:{}", encode(&id), encode(&secret)));
            let mut value = HeaderValue::from_str(&pair)
                .map_err(|_| CallError::Request("the client's id or secret can't be sent".into()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
            // Providers differ on whether they want it here as well; none minds.
            if matches!(ask, Ask::Code { .. }) {
                put("client_id", &id);
            }
        }
        ClientAuth::Basic | ClientAuth::Body => {
            put("client_id", &id);
            if !secret.is_empty() {
                put("client_secret", &secret);
            }
        }
    }
    let body = Bytes::from(pairs(&form));
    Ok(Draft { method: Method::POST, url: plain(&oauth.token_url, filling)?, query: Vec::new(), headers, body })
}

/// What the answer to such a request means.
pub(super) fn read(oauth: &OAuth, status: u16, body: &[u8], now: Timestamp) -> Result<Tokens, NoToken> {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let text = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let error = text("error");
    if let (200..=299, None, Some(access)) = (status, error, text("access_token")) {
        let stated = value.get("expires_in").and_then(|v| v.as_f64().or_else(|| v.as_str()?.parse().ok()));
        let good_for = stated.and_then(|secs| Duration::try_from_secs_f64(secs).ok());
        let separators = |c: char| c == ' ' || oauth.said.scope_separator.contains(c);
        return Ok(Tokens {
            access: Secret::new(access),
            refresh: text("refresh_token").map(Secret::new),
            expires_at: good_for.or(oauth.said.expires.map(|span| span.0)).map(|span| now.plus(span)),
            scopes: text("scope")
                .map(|all| all.split(separators).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()),
        });
    }
    let words = match (error, text("error_description")) {
        (Some(error), Some(more)) => format!("{error}: {more}"),
        (Some(error), None) => error.to_owned(),
        (None, _) => format!("status {status} and no access_token"),
    };
    let words: String = words.chars().take(WORDS).collect();
    let gone = matches!(
        error,
        Some("invalid_grant" | "invalid_client" | "unauthorized_client" | "access_denied" | "invalid_scope")
    );
    // A refusal without a reason that is known, by a status that says that asking again is of no use.
    let refused =
        status == 401 || status == 403 || (status == 400 && error.is_some_and(|e| e != "temporarily_unavailable"));
    Err(if gone || refused { NoToken::Gone(words) } else { NoToken::Later(words) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::connectors::check::Connector;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn connector(more: &str) -> Connector {
        let text = format!(
            "connector: 1\nname: t\ntitle: T\nchecked: reading\nbase_url: https://t.example\nsettings: {{client_id: {{title: I}}}}\nsecrets: {{client_secret: {{title: S}}}}\nauth: {{oauth2: {{grant: authorization_code, authorize_url: https://t.example/agree, token_url: https://t.example/token{more}}}}}\noperations:\n  go: {{title: T, method: GET, path: /x}}\n",
        );
        Connector::read(&text).unwrap_or_else(|e| panic!("{e}"))
    }

    fn with<T>(connector: &Connector, run: impl FnOnce(&OAuth, &Filling<'_>) -> T) -> T {
        let secrets = BTreeMap::from([("client_secret".to_owned(), Secret::new("sh h"))]);
        let (settings, null) = (json!({"client_id": "me"}), Value::Null);
        let filling = Filling {
            input: &null,
            settings: &settings,
            secrets: &secrets,
            key: &null,
            page: &null,
            now: &null,
            lineage: &HeaderMap::new(),
        };
        run(connector.proof.oauth().expect("oauth"), &filling)
    }

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let made = challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(made, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_address_and_the_request_for_a_code_are_made() {
        let connector = connector(", authorize_extra: {prompt: consent}");
        with(&connector, |oauth, filling| {
            let scopes = ["a".to_owned(), "b".to_owned()];
            let made = address(oauth, filling, "https://hub/oauth/callback", "st", Some("ver"), &scopes).unwrap();
            let right = format!(
                "https://t.example/agree?response_type=code&client_id=me&redirect_uri=https%3A%2F%2Fhub%2Foauth%2Fcallback&state=st&scope=a%20b&code_challenge={}&code_challenge_method=S256&prompt=consent",
                challenge("ver")
            );
            assert_eq!(made, right);
            let ask = Ask::Code { code: "c/1", redirect_uri: "https://hub/cb", verifier: Some("ver") };
            let draft = request(oauth, filling, &ask).unwrap();
            let body = "grant_type=authorization_code&code=c%2F1&redirect_uri=https%3A%2F%2Fhub%2Fcb&code_verifier=ver&client_id=me";
            assert_eq!((draft.url.as_str(), &*draft.body), ("https://t.example/token", body.as_bytes()));
            assert_eq!(draft.headers[header::AUTHORIZATION], basic("me:sh%20h"));
        });
    }

    #[test]
    fn an_answer_is_a_token_the_end_of_a_grant_or_neither() {
        let connector = connector(", client_auth: body, expires: 30s");
        with(&connector, |oauth, _| {
            let full = br#"{"access_token":"a","refresh_token":"r","expires_in":3600,"scope":"x y"}"#;
            let tokens = read(oauth, 200, full, NOW).unwrap();
            assert_eq!(tokens.expires_at, Some(Timestamp::from_secs(4_600)));
            assert_eq!(tokens.scopes, Some(vec!["x".into(), "y".into()]));
            assert_eq!(tokens.refresh, Some(Secret::new("r")));
            let bare = read(oauth, 200, br#"{"access_token":"a"}"#, NOW).unwrap();
            assert_eq!((bare.expires_at, bare.refresh), (Some(Timestamp::from_secs(1_030)), None));
            let gone = read(oauth, 400, br#"{"error":"invalid_grant","error_description":"used"}"#, NOW);
            assert_eq!(gone, Err(NoToken::Gone("invalid_grant: used".into())));
            assert!(matches!(read(oauth, 500, b"oops", NOW), Err(NoToken::Later(_))));
            assert!(matches!(read(oauth, 429, b"", NOW), Err(NoToken::Later(_))));
            assert!(matches!(
                read(oauth, 200, br#"{"ok":false,"error":"invalid_client"}"#, NOW),
                Err(NoToken::Gone(_))
            ));
        });
    }
}
