//! Shared state over HTTP: keys with versions, in the form of the Integration Core.

use std::time::Duration;

use http::{HeaderValue, header};
use nexus_core::{
    access::Principal,
    json,
    limits::JSON_DEPTH,
    problem::{Code, Problem},
};
use nexus_services::state::{Change, Expect, Origin, StateError, Version};
use serde::Deserialize;
use serde_json::{Map, value::RawValue};

use crate::{
    answer::{Answer, Body, render},
    call::{Call, is_json, is_undeclared, media_type, typed, unsupported},
    error::{self, malformed},
    ingress::Lineage,
};

/// Bytes of the body of a write: a value and what is said beside it.
const PUT_BYTES: usize = 512 << 10;

/// `GET /state/{key}`.
pub(crate) async fn get(call: Call) -> Result<Answer, Problem> {
    let key = readable_key(&call)?;
    let asked = call.query()?.read::<u64>("version")?;
    let state = &call.gate.state;
    let found = match asked {
        None => state.get(&key).await,
        Some(number) => state.get_version(&key, number).await,
    };
    let version = found.map_err(|e| e.problem)?;
    let tag = HeaderValue::from_str(&format!("\"{}\"", version.version)).ok();
    let answer = Answer::json(item(&key, &version)?);
    Ok(match tag {
        Some(tag) => answer.header(header::ETAG, tag),
        None => answer,
    })
}

/// `GET /state`.
pub(crate) async fn list(call: Call) -> Result<Answer, Problem> {
    let query = call.query()?;
    let who = call.principal()?;
    let (prefix, after) = (query.text("prefix").unwrap_or_default(), query.text("cursor"));
    let may = |key: &str| who.may_for("state:read", key);
    let page = call.gate.state.list(prefix, after, query.limit(100, 500)?, may).await.map_err(|e| e.problem)?;
    let items = page.items.iter().map(|(key, version)| item(key, version)).collect::<Result<Vec<_>, _>>()?;
    Ok(Answer::json(format!(r#"{{"items":[{}],"next_cursor":{}}}"#, items.join(","), render(&page.next)?)))
}

/// `GET /state/{key}/history`.
pub(crate) async fn history(call: Call) -> Result<Answer, Problem> {
    let key = readable_key(&call)?;
    let query = call.query()?;
    let after = query.read::<u64>("cursor")?.unwrap_or(0);
    let page = call.gate.state.history(&key, after, query.limit(100, 1_000)?).await.map_err(|e| e.problem)?;
    let versions = page.items.iter().map(past).collect::<Result<Vec<_>, _>>()?;
    let (key, next) = (render(&key)?, render(&page.next)?);
    Ok(Answer::json(format!(r#"{{"key":{key},"history":[{}],"next_cursor":{next}}}"#, versions.join(","))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Put<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(default)]
    expected_version: Option<u64>,
    #[serde(default)]
    ttl_seconds: Option<u64>,
}

/// A value that is there, be it `null`.
pub(crate) fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(d).map(Some)
}

/// `PUT /state/{key}`.
pub(crate) async fn put(mut call: Call) -> Result<Answer, Problem> {
    let key = writable_key(&call)?;
    let bytes = call.bytes(PUT_BYTES).await?;
    if let Some(media) = media_type(&call.parts.headers)
        && !is_json(&media)
        && !is_undeclared(&media)
    {
        return Err(unsupported(Some(&media), "application/json"));
    }
    json::check(&bytes, JSON_DEPTH)?;
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(malformed(r#"the body must be a JSON object: {"value":…,"expected_version"?}"#));
    }
    let body: Put<'_> = typed(&bytes)?;
    let Some(value) = body.value else {
        return Err(Problem::field("value", "missing; send {\"value\":…}"));
    };
    let (expect, strict) = expectation(&call, body.expected_version)?;
    let ttl = body.ttl_seconds.map(Duration::from_secs);
    write(call, Change { key, value: Some(value.to_owned()), expect, strict, ttl }).await
}

/// `DELETE /state/{key}`.
pub(crate) async fn delete(call: Call) -> Result<Answer, Problem> {
    let key = writable_key(&call)?;
    let (expect, strict) = expectation(&call, call.query()?.read("expected_version")?)?;
    write(call, Change { key, value: None, expect, strict, ttl: None }).await
}

async fn write(call: Call, change: Change) -> Result<Answer, Problem> {
    let origin = origin(&call).await?;
    let (key, deletes) = (change.key.clone(), change.value.is_none());
    match call.gate.state.write(change, &origin).await {
        Ok(written) => {
            let mut text = format!(r#"{{"success":true,"key":{},"version":{}"#, render(&key)?, written.version);
            if deletes {
                text.push_str(r#","deleted":true"#);
            }
            if written.merged {
                text.push_str(r#","merged":true"#);
            }
            text.push('}');
            Ok(Answer::json(text))
        }
        Err(error) => refused(&call, error),
    }
}

/// A refusal; one that does not fit the present version says which that is.
pub(crate) fn refused(call: &Call, error: StateError) -> Result<Answer, Problem> {
    let StateError { problem, version, conflict } = error;
    if version.is_none() && conflict.is_none() {
        return Err(problem);
    }
    call.gate.metrics.refused(problem.code);
    let mut extra = Map::new();
    extra.extend(version.map(|n| ("version".to_owned(), n.into())));
    extra.extend(conflict.map(|id| ("conflict_id".to_owned(), String::from(id).into())));
    let context = error::Context {
        envelope: call.route.envelope,
        path: call.parts.uri.path(),
        request_id: call.id.as_str(),
        now: call.now,
    };
    let body = error::body(&problem, &context, extra).to_string();
    let answer = Answer::raw("application/problem+json", Body::full(body)).status(error::status(problem.code));
    Ok(answer.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// Who changes it, and what that belongs to.
pub(crate) async fn origin(call: &Call) -> Result<Origin, Problem> {
    let lineage = Lineage::of(call).await?;
    Ok(lineage.origin(&call.principal()?.name))
}

/// What the writer relies on, by the body (or query) and by `If-Match`. The header is a precondition: strict.
fn expectation(call: &Call, expected: Option<u64>) -> Result<(Expect, bool), Problem> {
    let matched = match call.parts.headers.get(header::IF_MATCH) {
        None => return Ok((expected.map_or(Expect::Anything, Expect::Version), false)),
        Some(value) => value.to_str().ok().and_then(if_match),
    };
    let matched = matched.ok_or_else(|| malformed("If-Match is one version, 3 or \"3\", or * for any that exists"))?;
    match expected {
        Some(n) if matched != Expect::Version(n) => {
            Err(Problem::field("expected_version", "it says another version than If-Match; send one of them"))
        }
        _ => Ok((matched, true)),
    }
}

fn if_match(text: &str) -> Option<Expect> {
    let text = text.trim();
    if text == "*" {
        return Some(Expect::Existing);
    }
    let number = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text);
    number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok().map(Expect::Version)).flatten()
}

fn readable_key(call: &Call) -> Result<String, Problem> {
    permitted(call.param("key")?, call.principal()?, "state:read")
}

fn writable_key(call: &Call) -> Result<String, Problem> {
    permitted(call.param("key")?, call.principal()?, "state:write")
}

/// 403 unless the token may do this with the key.
pub(crate) fn permitted(key: String, who: &Principal, scope: &str) -> Result<String, Problem> {
    if who.may_for(scope, &key) {
        return Ok(key);
    }
    Err(Problem::new(Code::Forbidden, format!("{} lacks the scope {scope} for {key:?}", who.name)))
}

/// `{"key","value","version","updated_at"}` and what else is known.
fn item(key: &str, version: &Version) -> Result<String, Problem> {
    Ok(format!(r#"{{"key":{},{}"#, render(key)?, fields(version)?))
}

/// A version in the history.
fn past(version: &Version) -> Result<String, Problem> {
    Ok(format!("{{{}", fields(version)?))
}

/// The fields of a version and the closing brace. The value goes out as the bytes that came in.
fn fields(version: &Version) -> Result<String, Problem> {
    let mut text = format!(
        r#""value":{},"version":{},"updated_at":"{}","updated_by":{}"#,
        version.value.get(),
        version.version,
        version.updated_at,
        render(&version.updated_by)?
    );
    let optional = [
        ("correlation_id", version.correlation_id.clone()),
        ("reason", version.reason.clone()),
        ("expires_at", version.expires_at.map(|at| at.to_string())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            text.push_str(&format!(r#","{name}":{}"#, render(&value)?));
        }
    }
    text.push_str(if version.deleted { r#","deleted":true}"# } else { "}" });
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_a_version_with_or_without_quotes_or_a_star() {
        assert_eq!(if_match("3"), Some(Expect::Version(3)));
        assert_eq!(if_match(" \"3\" "), Some(Expect::Version(3)));
        assert_eq!(if_match("*"), Some(Expect::Existing));
        for bad in ["", "\"\"", "W/\"3\"", "\"3", "1, 2", "-1", "+1", "99999999999999999999"] {
            assert_eq!(if_match(bad), None, "{bad}");
        }
    }
}
