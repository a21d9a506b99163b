//! What an answer means: a pure function of it.

use std::time::Duration;

use http::{HeaderMap, header};
use nexus_core::{retry::parse_duration, time::Timestamp};
use serde_json::{Map, Value, json};

use super::{
    limit::LIMIT_CAP,
    manifest::{LimitHeaders, LimitOf, ResetAs, Retry},
    operation::{Call, Repeat},
    template::{Expression, Given},
};

/// Characters of a refusal's words that are kept.
const WORDS: usize = 300;

/// An answer, parsed.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Lower-case names.
    pub(super) headers: Value,
    /// JSON, or a text, or `null`.
    pub(super) body: Value,
}

impl Answer {
    /// From what came.
    pub(super) fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut named = Map::new();
        for (name, value) in headers {
            if let Ok(value) = value.to_str() {
                named.insert(name.as_str().to_owned(), value.into());
            }
        }
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned().into())
        };
        Self { status, headers: Value::Object(named), body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name.to_ascii_lowercase())?.as_str()
    }

    /// When it says to come back.
    pub(super) fn retry_after(&self, now: Timestamp) -> Option<Timestamp> {
        let said = self.header(header::RETRY_AFTER.as_str())?.trim();
        match said.parse::<f64>() {
            Ok(seconds) => Some(now.plus(seconds_of(seconds)?)),
            Err(_) => http_date(said),
        }
    }

    /// Until when nothing remains, by the provider's headers.
    pub(super) fn nothing_until(&self, said: &LimitHeaders, now: Timestamp) -> Option<Timestamp> {
        let remaining: f64 = self.header(&said.remaining)?.trim().parse().ok()?;
        if remaining >= 1.0 { None } else { self.reset(said, now) }
    }

    fn reset(&self, said: &LimitHeaders, now: Timestamp) -> Option<Timestamp> {
        let text = self.header(&said.reset)?.trim();
        let number = || text.parse::<f64>().ok();
        match said.reset_as {
            ResetAs::Epoch => Some(Timestamp::from_micros(0).plus(seconds_of(number()?)?)),
            ResetAs::EpochMs => Some(Timestamp::from_micros(0).plus(seconds_of(number()? / 1e3)?)),
            ResetAs::Iso => Timestamp::parse(text),
            ResetAs::Seconds => Some(now.plus(seconds_of(number()?)?)),
            ResetAs::Duration => Some(now.plus(spans(text)?)),
        }
    }
}

fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

/// `6m0s`, `1.5s`, `20ms`: spans one after the other.
fn spans(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let one = parse_duration(&format!("1{unit}")).ok()?;
        total += seconds_of(one.as_secs_f64() * number.parse::<f64>().ok()?)?;
        rest = tail;
    }
    Some(total)
}

/// `Wed, 21 Oct 2015 07:28:00 GMT`.
pub(crate) fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

/// What the reader of an answer knows beside it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) input: &'a Value,
    pub(super) settings: &'a Value,
    /// From 1.
    pub(super) attempt: u16,
    pub(super) now: Timestamp,
}

/// What an answer means for its call.
#[derive(Debug, PartialEq)]
pub(super) enum Judged {
    /// It did what was asked.
    Done(Value),
    /// It did what was asked, but its answer can't be read as the manifest says.
    Unreadable(String),
    /// The connection's proof is no longer taken.
    Reconnect(String),
    /// A scope is missing.
    Scope(String),
    /// Refused for good.
    Final(String),
    /// It may be tried again.
    Again {
        /// What it says.
        message: String,
        /// Nothing was done.
        untaken: bool,
        /// The provider asks for fewer requests.
        limited: bool,
        /// When to come back, where it says so.
        after: Option<Timestamp>,
    },
}

/// Judges an answer.
pub(super) fn judge(call: &Call, retry: &Retry, answer: &Answer, asked: Asked<'_>) -> Judged {
    let status = Value::from(answer.status);
    let given: [(&'static str, &Value); 4] =
        [("status", &status), ("headers", &answer.headers), ("input", asked.input), ("settings", asked.settings)];
    let rules = &call.rules;
    let holds = |rule: &Option<Expression>| rule.as_ref().map(|rule| rule.holds(&answer.body, &given));
    if (200..300).contains(&answer.status) {
        match holds(&rules.ok) {
            None | Some(Ok(true)) => return done(rules.output.as_ref(), answer, &given),
            Some(Err(error)) => return Judged::Unreadable(format!("response.ok: {error}")),
            Some(Ok(false)) => {}
        }
    }
    // A rule that fails on an unforeseen refusal does not hold; the refusal itself is what is told.
    let says = |rule: &Option<Expression>| matches!(holds(rule), Some(Ok(true)));
    let message = words(rules.error.as_ref(), answer, &given);
    if let Repeat::Refused(rule) = &call.repeat
        && matches!(rule.holds(&answer.body, &given), Ok(true))
    {
        // On a later attempt an earlier one got through.
        return if asked.attempt > 1 { Judged::Done(json!({"duplicate": true})) } else { Judged::Final(message) };
    }
    if let Some(rule) = &rules.missing_scope
        && let Ok(Value::String(scope)) = rule.eval(&answer.body, &given)
    {
        return Judged::Scope(scope);
    }
    if rules.reconnect.as_ref().map_or(answer.status == 401, |_| says(&rules.reconnect)) {
        return Judged::Reconnect(message);
    }
    let has = |classes: &[super::manifest::StatusClass]| classes.iter().any(|class| class.has(answer.status));
    let again = !says(&rules.ends) && (says(&rules.retry) || has(&retry.on));
    if !again {
        return Judged::Final(message);
    }
    let after = answer.retry_after(asked.now).or_else(|| {
        let rule = rules.retry_after.as_ref()?;
        let seconds = rule.eval(&answer.body, &given).ok()?.as_f64()?;
        Some(asked.now.plus(seconds_of(seconds)?))
    });
    // A provider that refuses in so many words did nothing; one that fails may have done it.
    let untaken = has(&retry.untaken) || (answer.status < 500 && answer.status != 408);
    Judged::Again { message, untaken, limited: answer.status == 429, after }
}

fn done(output: Option<&Expression>, answer: &Answer, given: &Given<'_>) -> Judged {
    match output {
        None => Judged::Done(answer.body.clone()),
        Some(output) => match output.eval(&answer.body, given) {
            Ok(value) => Judged::Done(value),
            Err(error) => Judged::Unreadable(format!("response.output: {error}")),
        },
    }
}

/// What a refusal says, shortened.
fn words(rule: Option<&Expression>, answer: &Answer, given: &Given<'_>) -> String {
    let said = rule.and_then(|rule| rule.eval(&answer.body, given).ok()).filter(|value| !value.is_null());
    let text = match said.as_ref().unwrap_or(&answer.body) {
        Value::Null => format!("status {}, without a word", answer.status),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(WORDS) {
        Some((at, _)) => format!("{} …", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// What an answer says about limits: whose nothing may be sent until when.
pub(super) fn limited(
    said: Option<&LimitHeaders>,
    answer: &Answer,
    judged: &Judged,
    now: Timestamp,
) -> Option<(LimitOf, Timestamp)> {
    let of = said.map_or(LimitOf::Account, |said| said.per);
    let asked = match judged {
        Judged::Again { limited: true, after, .. } => {
            after.or_else(|| said.and_then(|said| answer.nothing_until(said, now).or_else(|| answer.reset(said, now))))
        }
        _ => None,
    };
    let until = asked.or_else(|| answer.nothing_until(said?, now))?;
    (until > now).then(|| (of, until.min(now.plus(LIMIT_CAP))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::check::Connector;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn call(operation: &str) -> (Connector, Retry) {
        let text = format!(
            "connector: 1\nname: t\ntitle: T\nchecked: reading\nbase_url: https://t.example\noperations:\n  go: {operation}\n"
        );
        let connector = Connector::read(&text).unwrap_or_else(|e| panic!("{e}"));
        let retry = connector.manifest.retry.clone();
        (connector, retry)
    }

    fn judged(operation: &str, status: u16, headers: &[(&'static str, &str)], body: &str, attempt: u16) -> Judged {
        let (connector, retry) = call(operation);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let answer = Answer::read(status, &map, body.as_bytes());
        let asked = Asked { input: &Value::Null, settings: &Value::Null, attempt, now: NOW };
        judge(&connector.operations["go"], &retry, &answer, asked)
    }

    #[test]
    fn a_provider_that_answers_200_and_means_no_is_understood() {
        let slack = r#"{title: T, method: POST, path: /x, response: {ok: .ok, error: .error, missing_scope: .needed,
            reconnect: '.error == "token_revoked"', output: .ts}}"#;
        assert_eq!(judged(slack, 200, &[], r#"{"ok":true,"ts":"1.2"}"#, 1), Judged::Done("1.2".into()));
        assert_eq!(judged(slack, 200, &[], r#"{"ok":false,"error":"no_text"}"#, 1), Judged::Final("no_text".into()));
        let missing = r#"{"ok":false,"error":"missing_scope","needed":"chat:write"}"#;
        assert_eq!(judged(slack, 200, &[], missing, 1), Judged::Scope("chat:write".into()));
        let revoked = judged(slack, 200, &[], r#"{"ok":false,"error":"token_revoked"}"#, 1);
        assert_eq!(revoked, Judged::Reconnect("token_revoked".into()));
    }

    #[test]
    fn statuses_fall_into_classes_and_retry_after_is_read_in_both_forms() {
        let plain = "{title: T, method: POST, path: /x}";
        let again = |status, headers: &[(&'static str, &str)]| judged(plain, status, headers, "no", 1);
        let Judged::Again { untaken: true, limited: true, after, .. } = again(429, &[("retry-after", "30")]) else {
            panic!("not again")
        };
        assert_eq!(after, Some(Timestamp::from_secs(1_030)));
        let date = [("retry-after", "Thu, 01 Jan 1970 00:20:00 GMT")];
        assert!(matches!(again(503, &date), Judged::Again { untaken: true, limited: false, after: Some(at), .. }
            if at == Timestamp::from_secs(1_200)));
        assert!(matches!(again(500, &[]), Judged::Again { untaken: false, after: None, .. }));
        assert_eq!(again(403, &[]), Judged::Final("no".into()));
        assert_eq!(again(302, &[]), Judged::Final("no".into()));
        assert_eq!(again(401, &[]), Judged::Reconnect("no".into()));
    }

    #[test]
    fn a_refused_repeat_is_final_at_first_and_success_later() {
        let x = r#"{title: T, method: POST, path: /x, idempotency: {refused: '$status == 403 and (.detail | test("duplicate"))'}}"#;
        let body = r#"{"detail":"duplicate content"}"#;
        assert!(matches!(judged(x, 403, &[], body, 1), Judged::Final(_)));
        assert_eq!(judged(x, 403, &[], body, 2), Judged::Done(json!({"duplicate": true})));
        assert!(matches!(judged(x, 403, &[], r#"{"detail":"forbidden"}"#, 2), Judged::Final(_)));
    }

    #[test]
    fn a_limit_is_read_from_each_form_of_header() {
        let until = |form: ResetAs, reset: &str, remaining: &str| {
            let mut map = HeaderMap::new();
            map.insert("x-left", remaining.parse().unwrap());
            map.insert("x-reset", reset.parse().unwrap());
            let said =
                LimitHeaders { remaining: "X-Left".into(), reset: "X-Reset".into(), reset_as: form, per: LimitOf::App };
            limited(Some(&said), &Answer::read(200, &map, b""), &Judged::Done(Value::Null), NOW)
        };
        let at = |secs| Some((LimitOf::App, Timestamp::from_secs(secs)));
        assert_eq!(until(ResetAs::Epoch, "1060", "0"), at(1_060));
        assert_eq!(until(ResetAs::EpochMs, "1060000", "0"), at(1_060));
        assert_eq!(until(ResetAs::Iso, "1970-01-01T00:17:40Z", "0"), at(1_060));
        assert_eq!(until(ResetAs::Seconds, "60", "0"), at(1_060));
        assert_eq!(until(ResetAs::Duration, "1m0s", "0"), at(1_060));
        assert_eq!(until(ResetAs::Epoch, "1060", "3"), None);
        assert_eq!(until(ResetAs::Epoch, "900", "0"), None, "a reset that is past limits nothing");
        assert_eq!(until(ResetAs::Epoch, "99999999999", "0").unwrap().1, NOW.plus(LIMIT_CAP), "and none for ever");
    }
}
