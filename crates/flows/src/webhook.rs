//! An address that starts a flow, from its `nexus.dev/webhook`: what it demands, and what the run is given.

use std::{collections::BTreeMap, time::Duration};

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

/// The longest a caller is kept waiting for a `sync` answer; then it is told where the run is found.
pub const ANSWER_LONGEST: Duration = Duration::from_secs(60);
/// How long it waits where the flow does not say.
pub const ANSWER_DEFAULT: Duration = Duration::from_secs(10);
/// Methods that may start a flow.
pub const METHODS: [&str; 5] = ["POST", "PUT", "PATCH", "DELETE", "GET"];
/// Bytes of a path.
pub const PATH_BYTES: usize = 200;

/// Headers a run never sees: they prove who calls.
const PROOFS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-api-key"];

/// An address that starts a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPlan {
    /// In capitals.
    pub method: String,
    /// Below the place where the hub keeps such addresses, without a slash at either end.
    pub path: String,
    /// What the caller is answered.
    pub answer: WebhookAnswer,
    /// The source whose signature is demanded; without, a token that may start flows.
    pub source: Option<String>,
    /// What the run is given.
    pub input: WebhookInput,
}

/// What a caller is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookAnswer {
    /// At once: which run was started.
    Async,
    /// What the run gives, if it is done in this time; else as `Async`.
    Sync(Duration),
}

/// What a run is given of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookInput {
    /// What it holds: its body, or the query of a request without one.
    #[default]
    Body,
    /// Method, path, query, headers and body.
    Request,
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct WebhookRequest<'r> {
    /// In capitals.
    pub method: &'r str,
    /// As the flow's.
    pub path: &'r str,
    /// Decoded.
    pub query: &'r [(String, String)],
    /// Names in lower case.
    pub headers: &'r BTreeMap<String, String>,
    /// Its body.
    pub body: &'r [u8],
}

impl WebhookPlan {
    /// The input of the run that the request starts; the message says what is wrong with the body.
    pub fn input(&self, request: &WebhookRequest<'_>) -> Result<Value, String> {
        let body = body(request)?;
        Ok(match self.input {
            WebhookInput::Body if request.body.is_empty() => fields(request.query.iter()),
            WebhookInput::Body => body,
            WebhookInput::Request => json!({
                "method": request.method,
                "path": request.path,
                "query": fields(request.query.iter()),
                "headers": shown(request.headers),
                "body": body,
            }),
        })
    }
}

/// JSON as what it says, a form as a map, text as text, anything else in base64.
fn body(request: &WebhookRequest<'_>) -> Result<Value, String> {
    if request.body.is_empty() {
        return Ok(Value::Null);
    }
    let kind = request.headers.get("content-type").map(|kind| kind.to_ascii_lowercase()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let text = std::str::from_utf8(request.body).ok();
    if kind == "application/json" || kind.ends_with("+json") {
        return serde_json::from_slice(request.body)
            .map_err(|error| format!("the body says it is JSON and is not: {error}"));
    }
    Ok(match (text, kind) {
        (Some(text), "application/x-www-form-urlencoded") => fields(form(text).iter()),
        (Some(text), "") => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        (Some(text), kind) if kind.starts_with("text/") || kind.ends_with("xml") => text.into(),
        _ => BASE64.encode(request.body).into(),
    })
}

/// A name that stands several times gives a list.
fn fields<'f>(pairs: impl Iterator<Item = &'f (String, String)>) -> Value {
    let mut found: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let value = Value::String(value.clone());
        match found.get_mut(name) {
            None => {
                found.insert(name.clone(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    found.into()
}

fn shown(headers: &BTreeMap<String, String>) -> Value {
    let hidden = |name: &str| PROOFS.contains(&name) || name.contains("signature") || name.contains("token");
    headers.iter().filter(|(name, _)| !hidden(name)).map(|(k, v)| (k.clone(), Value::from(v.as_str()))).collect()
}

fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect()
}

/// `+` and `%XX`; what is neither stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = |n: usize| after.get(n).and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (first, hex(0), hex(1)) {
            (b'+', ..) => bytes.push(b' '),
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(input: WebhookInput, kind: &str, query: &[(&str, &str)], body: &str) -> Result<Value, String> {
        let plan = WebhookPlan {
            method: "POST".into(),
            path: "shop/pay".into(),
            answer: WebhookAnswer::Async,
            source: None,
            input,
        };
        let query: Vec<_> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let headers =
            [("content-type", kind), ("authorization", "Bearer x"), ("x-hub-signature-256", "s"), ("x-n", "7")];
        let headers = headers.into_iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.to_owned(), v.to_owned()));
        let headers = headers.collect();
        plan.input(&WebhookRequest {
            method: "POST",
            path: "shop/pay",
            query: &query,
            headers: &headers,
            body: body.as_bytes(),
        })
    }

    #[test]
    fn a_run_is_given_what_the_request_holds() {
        use WebhookInput::{Body, Request};
        let json = "application/json; charset=utf-8";
        let form = "application/x-www-form-urlencoded";
        assert_eq!(given(Body, json, &[], "{\"a\": 1}"), Ok(json!({"a": 1})));
        assert_eq!(given(Body, "", &[], "{\"a\": 1}"), Ok(json!({"a": 1})));
        assert_eq!(given(Body, "text/plain", &[], "{\"a\": 1}"), Ok(json!("{\"a\": 1}")));
        assert_eq!(
            given(Body, form, &[], "a=1+%C3%BC&b=x&b=y&c&d=%zz"),
            Ok(json!({"a": "1 ü", "b": ["x", "y"], "c": "", "d": "%zz"}))
        );
        assert_eq!(given(Body, json, &[("q", "1"), ("q", "2")], ""), Ok(json!({"q": ["1", "2"]})));
        assert_eq!(given(Body, "image/png", &[], "\u{1}"), Ok(json!("AQ==")));
        assert!(given(Body, json, &[], "{").unwrap_err().contains("says it is JSON and is not"));
        let whole = json!({
            "method": "POST", "path": "shop/pay", "query": {"q": "1"},
            "headers": {"content-type": "text/plain", "x-n": "7"}, "body": "hi",
        });
        assert_eq!(given(Request, "text/plain", &[("q", "1")], "hi"), Ok(whole));
    }
}
