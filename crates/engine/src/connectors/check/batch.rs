//! How calls go out together, checked and compiled.

use super::{ANSWER, Check, May};
use crate::{
    connectors::{
        manifest::{Batch, Idempotency, Operation, Transport},
        operation::{Body, Call, REQUEST_BYTES, Repeat, Rules, Together},
        template::Expression,
    },
    document::pointer::Pointer,
};

/// Calls in one request.
const CALLS: u16 = 1_000;
/// The longest time the first call waits for others.
const WAIT: std::time::Duration = std::time::Duration::from_secs(60);
/// What taking an answer apart may use.
const SPLIT: &[&str] = &["status", "headers", "input", "settings", "index", "key"];

impl Check<'_> {
    pub(super) fn batch(&mut self, at: &Pointer, batch: &Batch, operation: &Operation) -> Option<Box<Together>> {
        self.batchable(at, batch, operation);
        if !(2..=CALLS).contains(&batch.calls) {
            self.wrong(&at.key("calls"), format!("must be 2 to {CALLS}"));
        }
        let bytes = usize::try_from(batch.bytes).unwrap_or(usize::MAX);
        if !(1..=REQUEST_BYTES).contains(&bytes) {
            self.wrong(&at.key("bytes"), format!("must be 1 to {REQUEST_BYTES}"));
        }
        let wait = batch.wait.map(|wait| wait.0).unwrap_or_default();
        if batch.wait.is_some() && (wait.is_zero() || wait > WAIT) {
            self.wrong(&at.key("wait"), format!("must be more than nothing and at most {}s", WAIT.as_secs()));
        }
        let mut compile = |name: &str, text: &str, given: &[&str]| {
            Expression::compile(text, given).map_err(|e| self.problems.add(&at.key(name), e.to_string())).ok()
        };
        let when = batch.when.as_deref().and_then(|text| compile("when", text, &["settings"]));
        let same = batch.same.as_deref().and_then(|text| compile("same", text, &["settings"]));
        let split = compile("split", &batch.split, SPLIT);
        let call = self.batched(at, batch, operation);
        Some(Box::new(Together { call, calls: batch.calls.into(), bytes, wait, when, same, split: split? }))
    }

    /// Whether calls can go together at all: whoever repeats one of them may find it among others.
    fn batchable(&mut self, at: &Pointer, batch: &Batch, operation: &Operation) {
        let why = match &operation.idempotency {
            _ if operation.pagination.is_some() => "an operation with pagination fetches page after page for one call",
            _ if self.manifest.transport == Transport::Smtp => "a mail is sent by itself",
            Some(Idempotency::Header(_)) => {
                "with idempotency: header the provider knows a request, not the calls in it, and after a crash a call may \
                 find itself among others; idempotency: key (with .key of each call) and natural can be batched"
            }
            Some(Idempotency::Refused(_)) => "with idempotency: refused nobody knows which of the calls was refused",
            Some(Idempotency::Key) if !names_keys(batch) => {
                "with idempotency: key each call must be known by itself: use .key of each in json, form or query"
            }
            _ => return,
        };
        self.wrong(at, why);
    }

    fn batched(&mut self, at: &Pointer, batch: &Batch, operation: &Operation) -> Call {
        let method = self.method(&at.key("method"), batch.method.as_ref().unwrap_or(&operation.method));
        let path = match &batch.path {
            Some(path) => self.path(&at.key("path"), path, May::Secrets),
            None => self.path(&at.key("path"), &operation.path, May::Secrets),
        };
        if batch.json.is_some() && batch.form.is_some() {
            self.wrong(at, "a batch has one of json and form");
        }
        let body = match (&batch.json, &batch.form) {
            (Some(json), _) => Body::Json(self.template(&at.key("json"), json, false)),
            (None, Some(form)) => Body::Form(self.template(&at.key("form"), form, false), batch.form_lists),
            (None, None) => Body::None,
        };
        // What is wrong with these is complained of at the operation.
        let (own, general) = (&operation.response, &self.manifest.response);
        let rule = |own: &Option<String>, general: &Option<String>| {
            own.as_ref().or(general.as_ref()).and_then(|text| Expression::compile(text, ANSWER).ok())
        };
        let rules = Rules {
            // Whether it did what was asked, each call says for itself.
            ok: None,
            output: None,
            error: rule(&own.error, &general.error),
            retry: rule(&own.retry, &general.retry),
            ends: rule(&own.ends, &general.ends),
            retry_after: rule(&own.retry_after, &general.retry_after),
            reconnect: rule(&own.reconnect, &general.reconnect),
            missing_scope: rule(&own.missing_scope, &general.missing_scope),
        };
        let repeat = match &operation.idempotency {
            None if ["POST", "PATCH"].contains(&operation.method.as_str()) => Repeat::Harms,
            None | Some(Idempotency::Natural) => Repeat::Natural,
            Some(Idempotency::Key) => Repeat::Keyed,
            Some(_) => Repeat::Harms,
        };
        Call {
            headers: self.headers(&at.key("headers"), &batch.headers, &[]),
            query: self.query(&at.key("query"), &batch.query),
            method,
            base: operation.base_url.as_ref().map(|base| self.base(&at.key("base_url"), base)),
            path,
            body,
            schema: None,
            scopes: operation.scopes.clone(),
            rules,
            repeat,
            paging: None,
            together: None,
            timeout: operation.timeout.map_or(super::USUAL_TIMEOUT, |span| span.0),
            quotas: operation.limits.clone(),
        }
    }
}

/// Whether the requests that a batch makes name the key of each call somewhere.
fn names_keys(batch: &Batch) -> bool {
    let query = batch.query.values().map(ToString::to_string);
    let bodies = [&batch.json, &batch.form].into_iter().flatten().map(ToString::to_string);
    query.chain(bodies).any(|text| text.contains(".key"))
}

#[cfg(test)]
mod tests {
    use crate::connectors::check::Connector;

    /// What is said against an operation with this idempotency and batch.
    fn said(more: &str, batch: &str) -> String {
        let text = format!(
            "connector: 1\nname: t\ntitle: T\nchecked: reading\nbase_url: https://t.example\noperations:\n  go:\n    title: Go\n    method: POST\n    path: /x\n    {more}\n    batch: {{{batch}}}\n"
        );
        Connector::read(&text).err().map(|problems| problems.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_batch_is_taken_when_each_call_can_be_known_by_itself() {
        let good = "calls: 2, json: {items: '${ map({n: .input.n, id: .key.hex}) }'}, split: '.items[$index]'";
        for idempotency in ["idempotency: natural", "idempotency: none", "idempotency: key"] {
            assert_eq!(said(idempotency, good), "", "{idempotency}");
        }
        let nameless = "calls: 2, json: {items: '${ map(.input) }'}, split: '.items[$index]'";
        assert!(said("idempotency: key", nameless).contains("use .key of each"));
        let header = said("idempotency: {header: Idempotency-Key}", good);
        assert!(header.starts_with("/operations/go/batch (line 12)") && header.contains("natural"), "{header}");
        assert!(said("idempotency: {refused: '$status == 409'}", good).contains("which of the calls"));
        assert!(said("pagination: {items: .a, next: .b}", good).contains("page after page"));
    }

    #[test]
    fn what_is_wrong_in_a_batch_is_named_with_its_place() {
        for (batch, place) in [
            ("calls: 1, split: .", "/operations/go/batch/calls"),
            ("calls: 2, bytes: 99999999, split: .", "/operations/go/batch/bytes"),
            ("calls: 2, wait: 2m, split: .", "/operations/go/batch/wait"),
            ("calls: 2, split: '.['", "/operations/go/batch/split"),
            ("calls: 2, split: ., when: $key", "/operations/go/batch/when"),
            ("calls: 2, split: ., method: SEND", "/operations/go/batch/method"),
            ("calls: 2, split: ., path: '/{n}'", "/operations/go/batch/path"),
            ("calls: 2, split: ., json: {a: '${ env }'}", "/operations/go/batch/json/a"),
            ("calls: 2, split: ., json: 1, form: {a: b}", "/operations/go/batch"),
            ("calls: 2", "/operations/go/batch"),
            ("calls: 2, split: ., size: 3", "/operations/go/batch/size"),
        ] {
            let told = said("idempotency: natural", batch);
            assert!(told.starts_with(place), "{batch}: {told}");
        }
    }
}
