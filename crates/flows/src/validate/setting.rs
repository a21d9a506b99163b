//! Our own settings: the keys of `document.metadata` that begin with `nexus.dev/`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::Value;

use super::Validator;
use crate::{
    detect::{DETECTORS, DetectPlan, Detector, MATCHED, plan::definition_digest},
    expression::Place,
    model::{part::DurationText, read::Read as _, setting},
    plan::{Concurrency, OnConflict, Settings},
    pointer::Pointer,
    problem::nearest,
    schedule::{self, Missed},
    webhook::{self, ANSWER_DEFAULT, ANSWER_LONGEST, METHODS, PATH_BYTES, WebhookAnswer, WebhookInput, WebhookPlan},
};

const OURS: [&str; 10] = [
    "nexus.dev/budget",
    "nexus.dev/calls",
    "nexus.dev/concurrency",
    "nexus.dev/detect",
    "nexus.dev/enabled",
    "nexus.dev/listenFrom",
    "nexus.dev/missed",
    "nexus.dev/taskEvents",
    "nexus.dev/timezone",
    "nexus.dev/webhook",
];
/// Calls that all runs of one flow may make at once.
const CALLS_AT_MOST: usize = 256;
/// Characters of a detector's name.
const NAME: usize = 63;

impl Validator<'_> {
    pub(super) fn settings(&mut self, at: &Pointer) -> Settings {
        let mut settings = Settings::default();
        let Some(metadata) = &self.workflow.document.metadata else { return settings };
        for (key, value) in metadata.iter().filter(|(key, _)| key.starts_with("nexus.dev/")) {
            let place = at.key(key);
            match key.as_str() {
                "nexus.dev/listenFrom" => match value.as_str() {
                    Some("trigger") => settings.listen_from_now = false,
                    Some("now") => settings.listen_from_now = true,
                    _ => self.problems.add(&place, "`trigger` or `now` is expected here"),
                },
                "nexus.dev/calls" => match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
                    Some(calls @ 1..=CALLS_AT_MOST) => settings.calls = Some(calls),
                    _ => {
                        let what = format!("a whole number from 1 to {CALLS_AT_MOST} is expected here");
                        self.problems.add(&place, what);
                    }
                },
                "nexus.dev/enabled" => match value.as_bool() {
                    Some(enabled) => settings.begins_off = !enabled,
                    None => self.problems.add(&place, "true or false is expected here"),
                },
                "nexus.dev/taskEvents" => match value.as_bool() {
                    Some(wanted) => settings.task_events = wanted,
                    None => self.problems.add(&place, "true or false is expected here"),
                },
                "nexus.dev/timezone" => match value.as_str().map(|name| schedule::zone(Some(name)).map(|_| name)) {
                    Some(Ok(name)) => settings.timezone = Some(name.to_owned()),
                    Some(Err(error)) => self.problems.add(&place, error),
                    None => self.problems.add(&place, "the name of a time zone is expected here"),
                },
                "nexus.dev/missed" => match value.as_str() {
                    Some("once") => settings.missed = Some(Missed::Once),
                    Some("skip") => settings.missed = Some(Missed::Skip),
                    _ => self.problems.add(
                        &place,
                        "`once` (fire once for all that were missed) or `skip` (wait for the next) is expected here",
                    ),
                },
                "nexus.dev/budget" => settings.budget = self.budget(value, &place),
                "nexus.dev/concurrency" => settings.concurrency = self.concurrency(value, &place),
                "nexus.dev/webhook" => settings.webhook = self.webhook(value, &place).map(Arc::new),
                "nexus.dev/detect" => settings.detect = Arc::new(self.detectors(value, &place)),
                _ => self.problems.add(
                    &place,
                    format!("{key:?} is not one of our settings{}; known: {}", nearest(key, OURS), OURS.join(", ")),
                ),
            }
        }
        settings
    }

    fn concurrency(&mut self, value: &Value, at: &Pointer) -> Option<Concurrency> {
        let key = value.get("key").and_then(Value::as_str);
        let on_conflict = match value.get("onConflict").and_then(Value::as_str) {
            Some("skip") => Some(OnConflict::Skip),
            Some("queue") => Some(OnConflict::Queue),
            Some("replace") => Some(OnConflict::Replace),
            _ => None,
        };
        let extra = value.as_object().is_some_and(|map| map.keys().any(|k| k != "key" && k != "onConflict"));
        let (Some(key), Some(on_conflict), false) = (key, on_conflict, extra) else {
            self.problems.add(
                at,
                "`key` (an expression over the input) and `onConflict` (skip, queue or replace) are expected here",
            );
            return None;
        };
        let key = self.expression(key, &at.key("key"), Place::Trigger)?;
        Some(Concurrency { key: Arc::new(key), on_conflict })
    }

    fn webhook(&mut self, value: &Value, at: &Pointer) -> Option<WebhookPlan> {
        let read = setting::Webhook::read(value, at, &mut self.problems)?;
        let document = &self.workflow.document;
        let method = read.method.as_deref().unwrap_or("POST").to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            self.problems
                .add(&at.key("method"), format!("{method:?} can't start a flow; one of {} can", METHODS.join(", ")));
        }
        let path = read.path.unwrap_or_else(|| format!("{}/{}", document.namespace, document.name));
        if !is_path(&path) {
            self.problems.add(
                &at.key("path"),
                format!("{path:?} is no path: write names of letters, digits, `-`, `_` and `.`, with a / between them and none at the ends; at most {PATH_BYTES} characters"),
            );
        }
        let timeout = read.timeout.as_ref().and_then(|timeout| self.fixed(timeout, &at.key("timeout")));
        if timeout.is_some_and(|timeout| timeout > ANSWER_LONGEST || timeout.is_zero()) {
            self.problems.add(
                &at.key("timeout"),
                format!(
                    "a caller is kept waiting for at most {} seconds; without an answer by then it is told where the run is found",
                    ANSWER_LONGEST.as_secs()
                ),
            );
        }
        let answer = match read.answer.as_deref() {
            Some("sync") => WebhookAnswer::Sync(timeout.unwrap_or(ANSWER_DEFAULT)),
            None | Some("async") => {
                if timeout.is_some() {
                    self.problems.add(&at.key("timeout"), "is only of use with `answer: sync`");
                }
                WebhookAnswer::Async
            }
            Some(other) => {
                self.problems.add(&at.key("answer"), format!("{other:?} is not known here; sync and async are"));
                WebhookAnswer::Async
            }
        };
        let input = match read.input.as_deref() {
            None | Some("body") => WebhookInput::Body,
            Some("request") => WebhookInput::Request,
            Some(other) => {
                self.problems.add(&at.key("input"), format!("{other:?} is not known here; body and request are"));
                WebhookInput::Body
            }
        };
        if read.source.as_deref().is_some_and(|source| source.is_empty() || source.contains('/')) {
            self.problems.add(&at.key("source"), "the name of one of the hub's sources is expected here");
        }
        Some(webhook::WebhookPlan { method, path, answer, source: read.source, input })
    }

    fn detectors(&mut self, value: &Value, at: &Pointer) -> Vec<DetectPlan> {
        let Some(read) = Vec::<setting::Detect>::read(value, at, &mut self.problems) else { return Vec::new() };
        if read.is_empty() || read.len() > DETECTORS {
            self.problems.add(at, format!("1 to {DETECTORS} detectors are expected here, not {}", read.len()));
        }
        let mut names = BTreeSet::new();
        let mut plans = Vec::new();
        for (n, detect) in read.iter().enumerate() {
            let at = at.index(n);
            let name = &detect.name;
            let plain =
                !name.is_empty() && name.len() <= NAME && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            if !plain {
                self.problems
                    .add(&at.key("name"), format!("{name:?} is no name: letters, digits and hyphens, at most {NAME}"));
            }
            if !names.insert(name) {
                self.problems.add(
                    &at.key("name"),
                    format!(
                        "a detector {name:?} stands already in this list; what it remembers is kept under its name"
                    ),
                );
            }
            let digest = value.get(n).map(definition_digest).unwrap_or_default();
            plans.extend(self.detector(detect, &at).map(|plan| DetectPlan { digest, ..plan }));
        }
        plans
    }

    fn detector(&mut self, detect: &setting::Detect, at: &Pointer) -> Option<DetectPlan> {
        let (needed, more): (&[&str], &[&str]) = match detect.detect.as_str() {
            "count" => (&["count", "window"], &[]),
            "absence" => (&["second", "after"], &[]),
            "sequence" => (&["second", "within"], &["breaking"]),
            "threshold" => (&["number", "limit"], &["falling"]),
            other => {
                let known = ["count", "absence", "sequence", "threshold"];
                let hint = nearest(other, known);
                self.problems
                    .add(&at.key("detect"), format!("{other:?} can't be detected{hint}; {} can", known.join(", ")));
                return None;
            }
        };
        self.belonging(detect, needed, more, at)?;
        let detector = self.kind(detect, at)?;
        if let Err(error) = detector.check() {
            self.problems.add(at, error);
        }
        let first = self.selection(&detect.first, &at.key("first"), Place::Trigger);
        let mut other = |filter: &Option<_>, key| match filter {
            None => Some(None),
            Some(filter) => self.selection(filter, &at.key(key), Place::Trigger).map(Some),
        };
        let (second, breaking) = (other(&detect.second, "second"), other(&detect.breaking, "breaking"));
        let mut expression = |text: &Option<String>, key| match text {
            None => Some(None),
            Some(text) => self.expression(text, &at.key(key), Place::Trigger).map(Some),
        };
        let (key, number) = (expression(&detect.key, "key"), expression(&detect.number, "number"));
        let emit = detect.emit.clone().unwrap_or_else(|| MATCHED.to_owned());
        if emit.is_empty() || crate::expression::inside(&emit).is_some() {
            self.problems.add(&at.key("emit"), "the type of an event is expected here, as it stands");
        }
        let plan = DetectPlan {
            name: detect.name.clone(),
            detector,
            digest: String::new(),
            emit,
            first: first?,
            second: second?,
            breaking: breaking?,
            key: key?,
            number: number?,
        };
        if plan.kinds().any(|kind| kind == Some(plan.emit.as_str())) {
            self.problems.add(
                at,
                format!("it looks at {:?}, which is what it publishes itself; set `emit` to another type", plan.emit),
            );
        }
        Some(plan)
    }

    /// Every field that this kind of detector needs, and none that belongs to another.
    fn belonging(&mut self, detect: &setting::Detect, needed: &[&str], more: &[&str], at: &Pointer) -> Option<()> {
        let given = [
            ("second", detect.second.is_some()),
            ("breaking", detect.breaking.is_some()),
            ("number", detect.number.is_some()),
            ("count", detect.count.is_some()),
            ("window", detect.window.is_some()),
            ("after", detect.after.is_some()),
            ("within", detect.within.is_some()),
            ("limit", detect.limit.is_some()),
            ("falling", detect.falling.is_some()),
        ];
        let mut complete = Some(());
        for (field, is_given) in given {
            if is_given && !needed.contains(&field) && !more.contains(&field) {
                let known: Vec<&str> = needed.iter().chain(more).copied().collect();
                self.problems
                    .add(&at.key(field), format!("{} has no {field:?}; it has {}", detect.detect, known.join(", ")));
            }
            if !is_given && needed.contains(&field) {
                self.problems.add(at, format!("the field {field:?} is missing; {} needs it", detect.detect));
                complete = None;
            }
        }
        complete
    }

    fn kind(&mut self, detect: &setting::Detect, at: &Pointer) -> Option<Detector> {
        let mut millis = |text: &Option<DurationText>, key| -> Option<u64> {
            let length: Duration = self.fixed(text.as_ref()?, &at.key(key))?;
            u64::try_from(length.as_millis()).ok()
        };
        Some(match detect.detect.as_str() {
            "count" => Detector::Count {
                count: usize::try_from(detect.count?).ok()?,
                window_ms: millis(&detect.window, "window")?,
            },
            "absence" => Detector::Absence { after_ms: millis(&detect.after, "after")? },
            "sequence" => Detector::Sequence { within_ms: millis(&detect.within, "within")? },
            _ => Detector::Threshold { limit: detect.limit?, falling: detect.falling.unwrap_or(false) },
        })
    }
}

fn is_path(path: &str) -> bool {
    let segment = |part: &str| {
        !part.is_empty()
            && !part.chars().all(|c| c == '.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    path.len() <= PATH_BYTES && path.split('/').all(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Definition, publish};

    fn flow(metadata: &str, schedule: &str) -> Result<Definition, String> {
        publish(&format!(
            "document: {{ dsl: '1.0.3', namespace: shop, name: pay, version: '1.0.0', metadata: {{ {metadata} }} }}\n{schedule}do: [ {{ a: {{ set: {{ b: 1 }} }} }} ]\n"
        ))
        .map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_webhook_has_an_address_and_an_answer() {
        let plan = |text: &str| flow(text, "").map(|d| d.settings.webhook.as_deref().cloned().unwrap());
        let plain = plan("nexus.dev/webhook: {}").unwrap();
        assert_eq!(
            (plain.method.as_str(), plain.path.as_str(), plain.answer),
            ("POST", "shop/pay", WebhookAnswer::Async)
        );
        let full = plan("nexus.dev/webhook: { method: put, path: in/pay.v1, answer: sync, timeout: PT5S, source: flowpay, input: request }").unwrap();
        assert_eq!(full.answer, WebhookAnswer::Sync(Duration::from_secs(5)));
        assert_eq!(
            (full.method.as_str(), full.path.as_str(), full.source.as_deref()),
            ("PUT", "in/pay.v1", Some("flowpay"))
        );
        for (text, words) in [
            ("{ path: /a }", "is no path"),
            ("{ path: a/../b }", "is no path"),
            ("{ method: TRACE }", "can't start a flow"),
            ("{ answer: later }", "sync and async are"),
            ("{ timeout: PT5S }", "only of use with `answer: sync`"),
            ("{ answer: sync, timeout: PT2M }", "at most 60 seconds"),
            ("{ paht: a }", "did you mean \"path\""),
            ("true", "(a map) is expected here"),
        ] {
            let error = plan(&format!("nexus.dev/webhook: {text}")).unwrap_err();
            assert!(
                error.contains("/document/metadata/nexus.dev~1webhook") && error.contains(words),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn detectors_are_refused_with_what_would_be_right() {
        let base = "name: d, first: { type: a }";
        for (text, words) in [
            (format!("{{ {base}, detect: cuont }}"), "did you mean \"count\""),
            (format!("{{ {base}, detect: count, count: 3 }}"), "\"window\" is missing; count needs it"),
            (format!("{{ {base}, detect: count, count: 0, window: PT1M }}"), "1 to 1000 can"),
            (
                format!("{{ {base}, detect: count, count: 3, window: PT1M, within: PT1M }}"),
                "count has no \"within\"; it has count, window",
            ),
            (format!("{{ {base}, detect: absence, after: PT1H }}"), "\"second\" is missing"),
            (format!("{{ {base}, detect: absence, second: {{ type: b }}, after: PT0S }}"), "above zero"),
            (format!("{{ {base}, detect: sequence, second: {{}}, within: PT1H }}"), "at least one attribute"),
            (format!("{{ {base}, detect: threshold, number: .data.n, limit: high }}"), "a number is expected here"),
            (format!("{{ {base}, detect: threshold, number: '.data.', limit: 1 }}"), "/number"),
            (
                format!("{{ {base}, detect: count, count: 3, window: PT1M, emit: a }}"),
                "which is what it publishes itself",
            ),
            ("{ name: '', first: { type: a }, detect: count, count: 3, window: PT1M }".into(), "is no name"),
        ] {
            let error = flow(&format!("nexus.dev/detect: [ {text} ]"), "").map(|_| text.clone()).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let two = "{ name: d, first: { type: a }, detect: count, count: 3, window: PT1M }";
        assert!(flow(&format!("nexus.dev/detect: [ {two}, {two} ]"), "").unwrap_err().contains("stands already"));
        assert!(flow("nexus.dev/detect: []", "").unwrap_err().contains("1 to 20 detectors"));
    }

    #[test]
    fn what_is_done_about_missed_fires_is_said_only_where_there_are_fires() {
        let missed = |schedule: &str| flow("nexus.dev/missed: skip", schedule).map(|d| d.settings.missed);
        assert_eq!(missed("schedule: { every: PT1H }\n"), Ok(Some(Missed::Skip)));
        assert!(
            missed("schedule: { on: { one: { with: { type: a } } } }\n")
                .unwrap_err()
                .contains("only of use with `cron` or `every`")
        );
        assert!(missed("").unwrap_err().contains("only of use"));
        assert!(flow("nexus.dev/missed: later", "schedule: { every: PT1H }\n").unwrap_err().contains("`once`"));
    }
}
