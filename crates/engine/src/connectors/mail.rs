//! A drafted request as a mail: for connectors whose transport is SMTP. Turns, attempts, breaker and repeats stay those of
//! every call.

use bytes::Bytes;
use data_encoding::BASE64;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use nexus_core::{sign::Secret, time::Timestamp};
use nexus_outbound::{
    Client, Kind, Reach, Request, Response, SendError, check_url,
    smtp::{Mail, MailError, MailServer, Reply, Security},
};
use serde_json::json;

/// For a mail, where its request says nothing.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);
/// Replies that say that the login is not taken.
const LOGIN: [u16; 4] = [530, 534, 535, 538];

/// Whether `url` may be the address of a mail server: `starttls://`, `tls://` or `plain://`, and a judged host.
pub(super) fn check(url: &str, reach: Reach) -> Result<(), SendError> {
    let rest = url.split_once("://").filter(|(scheme, _)| security(scheme).is_some()).map(|(_, rest)| rest);
    let rest = rest.ok_or_else(|| SendError::new(Kind::BadUrl, "security must be starttls, tls or plain"))?;
    check_url(&format!("http://{rest}"), reach)
}

fn security(scheme: &str) -> Option<Security> {
    match scheme {
        "starttls" => Some(Security::StartTls),
        "tls" => Some(Security::Tls),
        "plain" => Some(Security::Plain),
        _ => None,
    }
}

/// Sends what was drafted; the server's reply as an answer, so that it is judged like one.
pub(super) async fn send(client: &Client, request: Request, now: Timestamp) -> Result<Response, SendError> {
    let unusable = |what: String| SendError::new(Kind::BadUrl, what);
    let server = server(&request)?;
    let mail: Mail = serde_json::from_slice(&request.body).map_err(|e| unusable(format!("this is no mail: {e}")))?;
    match client.mail(&server, &mail, now, request.timeout.unwrap_or(TIMEOUT)).await {
        Ok(reply) => Ok(answer(&reply)),
        Err(MailError::Bad(bad)) => Err(unusable(bad.to_string())),
        // Nothing was handed over: it may be tried again, whatever broke.
        Err(MailError::NotSent(error)) if error.kind.is_permanent() => Err(error),
        Err(MailError::NotSent(error)) => Err(SendError { kind: Kind::Connect, ..error }),
        Err(error @ MailError::Unknown(_)) => Err(SendError::new(Kind::Closed, error.to_string())),
    }
}

fn server(request: &Request) -> Result<MailServer, SendError> {
    let unusable = |what: &str| SendError::new(Kind::BadUrl, what);
    let uri: Uri = request.url.parse().map_err(|_| unusable("this is no mail server's address"))?;
    let security =
        uri.scheme_str().and_then(security).ok_or_else(|| unusable("security must be starttls, tls or plain"))?;
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(unusable("a mail server is named by its host and port"));
    };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(MailServer {
        host,
        port,
        security,
        login: login(&request.headers),
        reach: request.reach,
        hello: "[127.0.0.1]".into(),
    })
}

/// User name and password; none where there is no user name.
fn login(headers: &HeaderMap) -> Option<(String, Secret)> {
    let proof = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64.decode(proof.as_bytes()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    (!user.is_empty()).then(|| (user.to_owned(), password.into()))
}

/// 2yz is 200, a refused login 401, other 5yz 422; 4yz keep their number.
fn answer(reply: &Reply) -> Response {
    let status = match reply.code {
        200..300 => StatusCode::OK,
        code if LOGIN.contains(&code) => StatusCode::UNAUTHORIZED,
        code @ 400..500 => StatusCode::from_u16(code).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let body = json!({"code": reply.code, "text": reply.text, "message_id": reply.message_id});
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    Response {
        status,
        headers,
        body_head: Bytes::from(body.to_string()),
        truncated: false,
        latency: Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_servers_address_is_judged_like_any_other() {
        for (url, public, private) in [
            ("starttls://mail.example.com:587", true, true),
            ("tls://127.0.0.1:465", false, true),
            ("plain://localhost:25", false, true),
            ("tls://169.254.169.254:465", false, false),
            ("https://mail.example.com:587", false, false),
            ("starttls://user@mail.example.com:587", false, false),
            ("starttls://mail.example.com:0", false, false),
        ] {
            assert_eq!(
                (check(url, Reach::Public).is_ok(), check(url, Reach::Private).is_ok()),
                (public, private),
                "{url}"
            );
        }
    }

    #[test]
    fn replies_become_answers_that_are_judged_like_all() {
        for (code, status) in [(250, 200), (535, 401), (451, 451), (421, 421), (550, 422), (354, 422)] {
            let reply = Reply { code, text: "t".into(), message_id: "<a@b>".into() };
            assert_eq!(answer(&reply).status.as_u16(), status, "{code}");
        }
    }
}
