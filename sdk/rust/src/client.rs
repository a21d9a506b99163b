//! The connection to one hub: requests, envelopes, errors. The calls themselves stand beside their resources.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::RootCertStore;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Distrust, Error, Problem,
    discover::{Env, Settings},
    trust,
};

/// How long a call may take, unless [`Client::timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer that is read as one value; streams have no such end.
const ANSWER_BYTES: usize = 64 << 20;

/// A client of one hub. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client {
    base: String,
    token: Option<String>,
    timeout: Duration,
    roots: Arc<RootCertStore>,
    pub(crate) connector: HttpsConnector<HttpConnector>,
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, {})", self.base, if self.token.is_some() { "with a token" } else { "no token" })
    }
}

/// One page of a list.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Page<T> {
    /// The items.
    #[serde(rename = "data")]
    pub items: Vec<T>,
    /// Give it back to get the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A field that a client does not know by name.
pub type More = Map<String, Value>;

impl Client {
    /// A client of the hub at `url`, showing `token`. Nothing else is looked at, neither environment nor files.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, Error> {
        let settings = Settings { url: Some(url.to_owned()), token: token.map(str::to_owned), ..Settings::default() };
        let (base, token) = settings.resolve(&|_| None).map(|(base, found)| (base, token.and(found)))?;
        Self::connect(base, token, trust::public())
    }

    /// A client of the hub that flags, environment and token files name, in this order; see [`Settings`].
    pub fn discover(settings: Settings) -> Result<Self, Error> {
        Self::discover_in(settings, &|name| std::env::var(name).ok())
    }

    /// As [`Self::discover`], with another environment.
    pub fn discover_in(mut settings: Settings, env: Env<'_>) -> Result<Self, Error> {
        let ca = settings.ca.take();
        let (base, token) = settings.resolve(env)?;
        // Files that only TLS needs may be missing as long as nobody speaks it.
        let encrypted = base.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
        let roots = if encrypted { trust::discover(ca, env)? } else { trust::public() };
        Self::connect(base, token, roots)
    }

    fn connect(base: String, token: Option<String>, roots: RootCertStore) -> Result<Self, Error> {
        let roots = Arc::new(roots);
        let connector = trust::connector(&roots)?;
        let pool = Pool::builder(TokioExecutor::new()).build(connector.clone());
        Ok(Self { base, token, timeout: TIMEOUT, roots, connector, pool })
    }

    /// Trusts further authorities, beside those it trusts already: the certificates in `pem`. For a hub whose certificate
    /// is signed by an authority of your own, or by itself.
    pub fn trust(self, pem: &[u8]) -> Result<Self, Error> {
        let mut roots = RootCertStore::clone(&self.roots);
        trust::add(&mut roots, pem, "what is to be trusted")?;
        Self::connect(self.base, self.token, roots).map(|client| client.timeout(self.timeout))
    }

    /// Gives calls another time limit. Streams (export, backup, tail) have it for their first answer only.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Base URL of the hub, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The token shown, if any.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Any request, for routes without a call of their own. The answer is unwrapped from its envelope.
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Error> {
        let body = body.map(to_json).transpose()?;
        let value: Value = self.json(method, path, HeaderMap::new(), body).await?;
        self.read(unwrap(value))
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::GET, path, None::<&()>).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.call(Method::DELETE, path, None::<&()>).await
    }

    /// A list with its cursor, which stands beside `data` in the envelope.
    pub(crate) async fn page<T: DeserializeOwned>(&self, path: &str) -> Result<Page<T>, Error> {
        let value = self.json(Method::GET, path, HeaderMap::new(), None).await?;
        self.read(value)
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, value: Value) -> Result<T, Error> {
        serde_json::from_value(value).map_err(|e| self.unreadable(&e))
    }

    pub(crate) fn unreadable(&self, why: &dyn fmt::Display) -> Error {
        Error::Answer { url: self.base.clone(), reason: why.to_string() }
    }

    /// A request whose whole answer is one JSON value.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Value, Error> {
        let late = || Error::Late { url: self.base.clone(), after: self.timeout };
        let whole = async {
            let answer = self.send(method, path, headers, body).await?;
            let bytes = self.whole(answer.into_body()).await?;
            serde_json::from_slice(&bytes).map_err(|e| self.unreadable(&e))
        };
        tokio::time::timeout(self.timeout, whole).await.map_err(|_| late())?
    }

    /// A request; an answer that is no success becomes the hub's problem.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let uri: Uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|_| Error::Setting(format!("{path:?} can't be part of a URL")))?;
        let mut request = Request::builder().method(method).uri(uri);
        let signed = headers.contains_key("x-nexus-signature");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        // A route takes one kind of proof only: a token beside a signature is refused.
        if let (Some(token), false) = (&self.token, signed) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if body.is_some() && !headers.contains_key(header::CONTENT_TYPE) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|e| Error::Setting(format!("the request can't be built: {e}")))?;
        let sent = tokio::time::timeout(self.timeout, self.pool.request(request)).await;
        let answer = sent
            .map_err(|_| Error::Late { url: self.base.clone(), after: self.timeout })?
            .map_err(|e| self.unconnected(&e))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(Error::Refused(Box::new(self.problem(answer).await?)))
    }

    /// Why there is no connection.
    pub(crate) fn unconnected(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        let url = self.base.clone();
        match Distrust::among(error) {
            Some(problem) => Error::Certificate { url, problem },
            None => Error::Unreachable { reason: unreached(&url, innermost(error)), url },
        }
    }

    async fn problem(&self, answer: Response<Incoming>) -> Result<Problem, Error> {
        let status = answer.status().as_u16();
        let text = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let retry_after = text("retry-after").and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let request_id = text("x-request-id");
        let body = tokio::time::timeout(self.timeout, self.whole(answer.into_body()))
            .await
            .map_err(|_| Error::Late { url: self.base.clone(), after: self.timeout })??;
        Ok(Problem::read(status, &body, retry_after, request_id))
    }

    pub(crate) async fn whole(&self, body: Incoming) -> Result<Bytes, Error> {
        let limited = http_body_util::Limited::new(body, ANSWER_BYTES);
        let collected = limited.collect().await.map_err(|e| self.unreadable(&e))?;
        Ok(collected.to_bytes())
    }
}

pub(crate) fn to_json(body: &impl Serialize) -> Result<Bytes, Error> {
    serde_json::to_vec(body).map(Bytes::from).map_err(|e| Error::Local(format!("the body is no JSON: {e}")))
}

/// Takes `data` out of an envelope; a bare answer stays as it is.
pub(crate) fn unwrap(value: Value) -> Value {
    match value {
        Value::Object(mut map) if map.contains_key("success") && map.contains_key("data") => {
            map.remove("data").unwrap_or_default()
        }
        other => other,
    }
}

/// The last cause of an error: the one that says something ("connection refused").
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A server that expects TLS answers plain HTTP with bytes of its own.
fn unreached(url: &str, reason: String) -> String {
    let plain = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    if plain && reason.contains("invalid HTTP version") {
        return "what listens there does not speak plain HTTP; a hub with a certificate is called by https://"
            .to_owned();
    }
    reason
}

/// Builds a path from escaped segments and query pairs.
#[derive(Debug)]
pub(crate) struct Path(String, bool);

impl Path {
    pub(crate) fn new(base: &str) -> Self {
        Self(base.to_owned(), false)
    }

    /// Adds `/segment`, escaped.
    #[must_use]
    pub(crate) fn segment(mut self, segment: &str) -> Self {
        self.0.push('/');
        escape(segment, &mut self.0);
        self
    }

    /// Adds `name=value` where there is a value.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: Option<impl fmt::Display>) -> Self {
        if let Some(value) = value {
            self.0.push(if self.1 { '&' } else { '?' });
            self.1 = true;
            self.0.push_str(name);
            self.0.push('=');
            escape(&value.to_string(), &mut self.0);
        }
        self
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => into.push(char::from(byte)),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                into.push('%');
                into.push(char::from(HEX[usize::from(byte >> 4)]));
                into.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_segment_by_segment() {
        let path = Path::new("/api/v1/secrets")
            .segment("a/b c")
            .query("limit", Some(3))
            .query("x", None::<u8>)
            .query("t", Some("ü"));
        assert_eq!(path.as_str(), "/api/v1/secrets/a%2Fb%20c?limit=3&t=%C3%BC");
    }

    #[test]
    fn an_envelope_is_taken_off_and_a_bare_answer_stays() {
        let inner = unwrap(serde_json::json!({"success": true, "data": {"a": 1}, "timestamp": "x"}));
        assert_eq!(inner, serde_json::json!({"a": 1}));
        let bare = serde_json::json!({"data": 1});
        assert_eq!(unwrap(bare.clone()), bare);
    }
}
