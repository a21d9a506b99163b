//! `/approvals/{token}`: who has the link looks, and decides once. Looking changes nothing: scanners of mail follow links.

use std::{collections::BTreeMap, time::Duration};

use http::StatusCode;
use nexus_core::{
    bucket::Rate,
    problem::{Code, Problem},
};
use nexus_flows::host::{
    approval::{
        decide::{Choice, Linked, Verdict},
        record::Approval,
    },
    form::{self, Field},
};

use super::page::{self, Said};
use crate::{
    address,
    answer::Answer,
    call::{Call, media_type},
    query::decode,
    rates::Caller,
};

/// How often one address may come by a link; above: 429.
const RATE: Rate = Rate { count: 60, per: Duration::from_secs(60) };
/// Bytes of a filled-in form.
const FORM_BYTES: usize = 64 << 10;
/// Fields of a filled-in form.
const FORM_FIELDS: usize = form::FIELDS + 10;

/// Takes one token of the address's rate.
fn is_over(call: &Call) -> bool {
    let caller = Caller::Address(address::counted(call.client));
    call.gate.limits.take("approval", caller, RATE, call.hub().clock().mono()).is_err()
}

fn too_often() -> Answer {
    page::notice(StatusCode::TOO_MANY_REQUESTS, "Too often", "This address asked too often. Try again in a minute.")
}

/// What is said instead of an approval: nothing about it.
fn no_approval(linked: &Linked) -> Answer {
    match linked {
        Linked::Unknown => page::notice(
            StatusCode::NOT_FOUND,
            "Nothing here",
            "This link leads nowhere. It may have been replaced by a newer one.",
        ),
        _ => page::notice(
            StatusCode::GONE,
            "No longer open",
            "This link was used already, or its time is over. Nothing was changed.",
        ),
    }
}

/// A page in place of a refusal that no person could read.
fn unwell(problem: &Problem) -> Result<Answer, Problem> {
    match problem.code {
        Code::Unavailable => Ok(page::notice(
            StatusCode::SERVICE_UNAVAILABLE,
            "Not now",
            "The hub can't answer at the moment. Nothing was changed; try again soon.",
        )),
        _ => Err(problem.clone()),
    }
}

/// `GET /approvals/{token}`.
pub(crate) async fn look(call: Call) -> Result<Answer, Problem> {
    if is_over(&call) {
        return Ok(too_often());
    }
    match call.gate.flows.linked_approval(&call.param("token")?).await {
        Ok(Linked::Open(approval)) => Ok(page::ask(StatusCode::OK, &approval, &Said::default(), call.now)),
        Ok(other) => Ok(no_approval(&other)),
        Err(problem) => unwell(&problem),
    }
}

/// `POST /approvals/{token}`.
pub(crate) async fn decide(mut call: Call) -> Result<Answer, Problem> {
    if is_over(&call) {
        return Ok(too_often());
    }
    let token = call.param("token")?;
    let linked = match call.gate.flows.linked_approval(&token).await {
        Ok(linked) => linked,
        Err(problem) => return unwell(&problem),
    };
    let Linked::Open(approval) = linked else { return Ok(no_approval(&linked)) };
    let (verdict, said) = match read(&mut call, &approval).await {
        Ok(read) => read,
        Err(problem) => {
            let said = Said { wrong: vec![problem.message], ..Said::default() };
            return Ok(page::ask(StatusCode::BAD_REQUEST, &approval, &said, call.now));
        }
    };
    match call.gate.flows.decide_by_link(&token, verdict).await {
        Ok(Some(done)) => Ok(page::recorded(&done)),
        // Somebody was faster.
        Ok(None) => Ok(no_approval(&call.gate.flows.linked_approval(&token).await?)),
        Err(problem) if problem.code == Code::Invalid => {
            let wrong = problem.details.iter().map(|(field, reason)| {
                let name = field.strip_prefix("answers.").unwrap_or(field);
                format!("{}: {reason}", if name.is_empty() { "the form" } else { name })
            });
            let said = Said { wrong: wrong.collect(), ..said };
            Ok(page::ask(StatusCode::UNPROCESSABLE_ENTITY, &approval, &said, call.now))
        }
        Err(problem) => unwell(&problem),
    }
}

/// What the form says.
async fn read(call: &mut Call, approval: &Approval) -> Result<(Verdict, Said), Problem> {
    let malformed = |what: &str| Problem::new(Code::Malformed, what);
    if media_type(&call.parts.headers).as_deref() != Some("application/x-www-form-urlencoded") {
        return Err(malformed("Use the buttons of this page."));
    }
    let body = call.bytes(FORM_BYTES).await?;
    let text = std::str::from_utf8(&body).map_err(|_| malformed("The form could not be read."))?;
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let pair = decode(name, true).zip(decode(value, true));
        let (name, value) = pair.ok_or_else(|| malformed("The form could not be read."))?;
        if given.len() >= FORM_FIELDS {
            return Err(malformed("The form has too many fields."));
        }
        given.insert(name, value);
    }
    let decision = match given.get("decision").map(String::as_str) {
        Some("approved") => Choice::Approved,
        Some("rejected") => Choice::Rejected,
        _ => return Err(malformed("Use one of the two buttons.")),
    };
    let fields: Vec<Field> = approval.form.as_ref().and_then(|form| form::fields(form).ok()).unwrap_or_default();
    let answers = fields.iter().filter_map(|field| {
        let text = given.get(&page::input_name(&field.name)).map(String::as_str);
        form::typed(field, text).map(|value| (field.name.clone(), value))
    });
    let verdict = Verdict { decision, comment: given.get("comment").cloned(), answers: answers.collect() };
    Ok((verdict, Said { given: Some(given), wrong: Vec::new() }))
}
