//! Shared state over HTTP: keys with versions, in the form of the Integration Core.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use nexus_core::{
    access::Principal,
    json,
    limits::JSON_DEPTH,
    problem::{Code, Problem},
};
use nexus_services::state::{Change, Expect, LONGEST_TTL_SECONDS, Origin, StateError, Version};
use serde::Deserialize;
use serde_json::{Map, value::RawValue};

use crate::{
    answer::{Answer, Body, render},
    call::{Call, is_json, is_undeclared, media_type, typed, unsupported},
    error::{self, malformed},
    ingress::Lineage,
    routes::Envelope,
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
    let answer = if is_known(&call, version.version) {
        // Nothing but the tag.
        Answer::raw("", Body::full("")).status(StatusCode::NOT_MODIFIED)
    } else {
        Answer::json(item(&key, &version)?)
    };
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
    #[serde(default, deserialize_with = "nexus_core::ranged::maybe_whole::<1, LONGEST_TTL_SECONDS, _>")]
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
    let StateError { problem, version, conflict, present } = error;
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
    let mut body = error::body(&problem, &context, extra).to_string();
    if let Some(value) = present.as_ref().and_then(|present| present.live())
        && body.pop() == Some('}')
    {
        // As the bytes that came in.
        body.push_str(&format!(r#","value":{}}}"#, value.get()));
    }
    let kind = if call.route.envelope == Envelope::Enveloped { "application/json" } else { "application/problem+json" };
    let answer = Answer::raw(kind, Body::full(body)).status(error::status(problem.code));
    Ok(answer.header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// Who changes it, and what that belongs to.
pub(crate) async fn origin(call: &Call) -> Result<Origin, Problem> {
    let lineage = Lineage::of(call).await?;
    Ok(lineage.origin(&call.principal()?.name))
}

/// What the writer relies on, by the body (or query) and by the headers. Those are preconditions: strict.
fn expectation(call: &Call, expected: Option<u64>) -> Result<(Expect, bool), Problem> {
    let text = |name: &HeaderName| call.parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    precondition(text(&header::IF_MATCH), text(&header::IF_NONE_MATCH), expected)
}

fn precondition(
    if_match: Option<&str>,
    if_none_match: Option<&str>,
    expected: Option<u64>,
) -> Result<(Expect, bool), Problem> {
    let (demanded, name) = match (if_match, if_none_match) {
        (None, None) => return Ok((expected.map_or(Expect::Anything, Expect::Version), false)),
        (Some(_), Some(_)) => {
            return Err(malformed("If-Match and If-None-Match contradict each other; send one of them"));
        }
        (Some(text), None) => {
            let found = matched(text);
            (
                found.ok_or_else(|| malformed("If-Match is one version, 3 or \"3\", or * for any that exists"))?,
                "If-Match",
            )
        }
        (None, Some(text)) if text.trim() == "*" => (Expect::Version(0), "If-None-Match"),
        (None, Some(_)) => return Err(malformed("If-None-Match of a write is *: the key must not exist")),
    };
    match expected {
        Some(n) if demanded != Expect::Version(n) => {
            let reason = format!("it says another version than {name}; send one of them");
            Err(Problem::field("expected_version", reason))
        }
        _ => Ok((demanded, true)),
    }
}

/// Whether the caller has this version already, by `If-None-Match`.
fn is_known(call: &Call, version: u64) -> bool {
    let lines = call.parts.headers.get_all(header::IF_NONE_MATCH);
    lines.iter().filter_map(|line| line.to_str().ok()).any(|line| none_match(line, version))
}

/// Whether a line of `If-None-Match` names a version that exists. What is no tag of ours matches nothing.
fn none_match(line: &str, version: u64) -> bool {
    let tag = |tag: &str| {
        let tag = tag.trim();
        tag == "*" || matched(tag.strip_prefix("W/").unwrap_or(tag)) == Some(Expect::Version(version))
    };
    line.split(',').any(tag)
}

fn matched(text: &str) -> Option<Expect> {
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
        assert_eq!(matched("3"), Some(Expect::Version(3)));
        assert_eq!(matched(" \"3\" "), Some(Expect::Version(3)));
        assert_eq!(matched("*"), Some(Expect::Existing));
        for bad in ["", "\"\"", "W/\"3\"", "\"3", "1, 2", "-1", "+1", "99999999999999999999"] {
            assert_eq!(matched(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_the_two_headers_one_may_stand_and_it_agrees_with_the_body() {
        let say = |one, none, expected| precondition(one, none, expected).map_err(|e| e.code);
        assert_eq!(say(None, None, None), Ok((Expect::Anything, false)));
        assert_eq!(say(None, None, Some(0)), Ok((Expect::Version(0), false)));
        assert_eq!(say(Some("3"), None, Some(3)), Ok((Expect::Version(3), true)));
        assert_eq!(say(None, Some(" * "), None), Ok((Expect::Version(0), true)));
        assert_eq!(say(None, Some("*"), Some(0)), Ok((Expect::Version(0), true)));
        assert_eq!(say(None, Some("*"), Some(3)), Err(Code::Invalid));
        assert_eq!(say(Some("3"), None, Some(4)), Err(Code::Invalid));
        assert_eq!(say(Some("*"), Some("*"), None), Err(Code::Malformed));
        assert_eq!(say(None, Some("\"3\""), None), Err(Code::Malformed));
        assert_eq!(say(None, Some(""), None), Err(Code::Malformed));
    }

    #[test]
    fn a_reader_who_has_the_version_is_known_by_any_of_its_tags() {
        for line in ["\"3\"", "3", "W/\"3\"", "*", "\"1\", W/\"3\"", " \"3\",", "junk, \"3\""] {
            assert!(none_match(line, 3), "{line}");
        }
        for line in ["", "\"4\"", "\"33\"", "junk", "W/*", "\"3", "-3"] {
            assert!(!none_match(line, 3), "{line}");
        }
    }
}
