//! Shapes of automations.

use serde_json::{Value, json};

use super::{list, named, object, one_of, text, time, whole, yes_no};

fn nullable(of: &Value) -> Value {
    json!({"anyOf": [of, {"type": "null"}]})
}

fn any() -> Value {
    json!({})
}

/// The schemas.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    let flow = [
        ("name", text()),
        ("version", text()),
        ("versions", list(text())),
        ("enabled", yes_no()),
        ("origin", text()),
        ("title", nullable(&text())),
        ("schedule", any()),
        ("detectors", list(text())),
        ("webhook", nullable(&text())),
        ("created_at", time()),
        ("updated_at", time()),
        ("document", json!({"type": "object", "description": "the document; not in lists"})),
        ("form", nullable(&list(form_field()))),
        (
            "next",
            json!({"type": "string", "format": "date-time", "description": "when its schedule begins the next run; not in lists"}),
        ),
        (
            "text",
            json!({"type": "string", "description": "the document as it was published, YAML or JSON; not in lists"}),
        ),
        ("warnings", list(named("FlowWarning"))),
    ];
    let times = object(
        &["count", "p50_ms", "p95_ms"],
        &[("count", whole()), ("p50_ms", nullable(&whole())), ("p95_ms", nullable(&whole()))],
    );
    let report = [
        ("flow", text()),
        ("runs", whole()),
        ("by_status", json!({"type": "object", "additionalProperties": {"type": "integer"}})),
        ("success_rate", nullable(&json!({"type": "number"}))),
        ("run", times.clone()),
        ("tasks", json!({"type": "object", "additionalProperties": times})),
    ];
    let flows = [
        ("FlowText", json!({"type": "string", "description": "an Open Workflow document in YAML"})),
        ("FlowDocument", json!({"type": "object", "description": "an Open Workflow document"})),
        ("Flow", object(&["name", "version", "enabled"], &flow)),
        (
            "FlowList",
            object(
                &["flows", "wrong_files", "unreadable_runs"],
                &[
                    ("flows", list(named("Flow"))),
                    (
                        "wrong_files",
                        json!({"type": "object", "additionalProperties": {"type": "string"}, "description": "files that could not be published, and why"}),
                    ),
                    (
                        "unreadable_runs",
                        json!({"type": "object", "additionalProperties": {"type": "string"}, "description": "runs that this hub can't read and has set aside, and why"}),
                    ),
                ],
            ),
        ),
        (
            "FlowChecked",
            object(
                &["valid", "flow"],
                &[("valid", yes_no()), ("flow", text()), ("warnings", list(named("FlowWarning")))],
            ),
        ),
        ("FlowWarning", object(&["path", "message"], &[("path", text()), ("line", whole()), ("message", text())])),
        ("FlowReport", object(&["flow", "runs", "by_status", "run", "tasks"], &report)),
    ];
    flows.into_iter().chain(runs()).chain(looking_back()).collect()
}

/// What a person fills in to begin a run.
fn form_field() -> Value {
    object(
        &["name", "kind", "label", "required"],
        &[
            ("name", text()),
            ("kind", one_of(&["text", "number", "integer", "boolean"])),
            ("label", text()),
            ("help", text()),
            ("choices", list(any())),
            ("required", yes_no()),
            ("preset", any()),
        ],
    )
}

/// Of runs.
fn runs() -> Vec<(&'static str, Value)> {
    let statuses = one_of(&[
        "pending",
        "queued",
        "running",
        "waiting",
        "suspended",
        "cancelled",
        "faulted",
        "completed",
        "unreadable",
    ]);
    let run = [
        ("id", text()),
        ("flow", text()),
        ("version", text()),
        ("status", statuses),
        ("trigger", object(&["kind"], &[("kind", one_of(&["event", "schedule", "manual", "webhook", "flow"]))])),
        ("correlation", text()),
        ("causation", text()),
        ("depth", whole()),
        ("key", text()),
        ("created_at", time()),
        ("ended_at", time()),
        ("duration_ms", whole()),
        ("input", any()),
        ("output", any()),
        ("error", named("FlowError")),
        ("waiting_for", list(named("Waiting"))),
        ("erased", object(&["at", "cut_off"], &[("at", time()), ("cut_off", yes_no())])),
    ];
    let error = [
        ("type", text()),
        ("status", whole()),
        ("title", text()),
        ("detail", text()),
        ("instance", text()),
        ("raised", json!({"type": "boolean", "description": "a `raise` of the flow made it"})),
    ];
    let waiting = [
        ("task", text()),
        ("for", one_of(&["time", "retry", "call", "events", "flow", "resume", "turn", "approval"])),
        ("until", time()),
        ("because", json!({"type": "string", "description": "of a call that the hub has not sent yet"})),
        ("since", time()),
        ("run", json!({"type": "string", "description": "of a turn: the run that has the key"})),
    ];
    let step = [
        ("task", text()),
        ("name", text()),
        ("iteration", text()),
        ("phase", one_of(&["started", "skipped", "retried", "completed", "faulted", "cancelled"])),
        ("at", time()),
        ("data", any()),
    ];
    vec![
        ("FlowError", object(&["type", "status"], &error)),
        ("NewRun", object(&[], &[("input", any())])),
        (
            "RetryRun",
            object(
                &[],
                &[("task", json!({"type": "string", "description": "its name, or its place such as /do/0/pay"}))],
            ),
        ),
        ("Run", object(&["id", "flow", "version", "status", "trigger", "created_at", "waiting_for"], &run)),
        ("RunList", list(named("Run"))),
        ("Waiting", object(&["task", "for"], &waiting)),
        ("RunStep", object(&["task", "name", "phase", "at"], &step)),
        ("RunSteps", object(&["steps"], &[("steps", list(named("RunStep")))])),
    ]
}

/// What people are asked.
pub(super) fn approvals() -> Vec<(&'static str, Value)> {
    let decision = [
        ("outcome", one_of(&["approved", "rejected", "timeout"])),
        ("by", nullable(&text())),
        ("comment", nullable(&text())),
        ("answers", json!({"type": "object"})),
        ("at", time()),
        ("escalated", yes_no()),
    ];
    let decision = object(&["outcome", "by", "comment", "answers", "at", "escalated"], &decision);
    let approval = [
        ("id", text()),
        ("run", text()),
        ("flow", text()),
        ("task", text()),
        ("title", text()),
        ("description", nullable(&text())),
        ("assignee", nullable(&text())),
        ("asked_by", text()),
        ("form", nullable(&json!({"type": "object", "description": "a JSON Schema"}))),
        ("state", one_of(&["open", "decided", "expired", "withdrawn"])),
        ("created_at", time()),
        ("expires_at", time()),
        ("escalates_at", nullable(&time())),
        ("escalated_at", nullable(&time())),
        ("decision", nullable(&decision)),
        ("heard", json!({"type": "boolean", "description": "its run goes on with the decision; only when it is made"})),
    ];
    let verdict = [
        ("decision", one_of(&["approved", "rejected"])),
        ("comment", text()),
        ("answers", json!({"type": "object", "description": "values of the form's fields"})),
    ];
    let link = [("id", text()), ("link", text()), ("expires_at", time())];
    vec![
        ("Approval", object(&["id", "run", "flow", "title", "state", "created_at", "expires_at"], &approval)),
        ("ApprovalList", list(named("Approval"))),
        ("ApprovalLink", object(&["id", "link", "expires_at"], &link)),
        (
            "ApprovalForm",
            json!({"type": "object", "properties": {"decision": one_of(&["approved", "rejected"]), "comment": text()}}),
        ),
        ("Verdict", object(&["decision"], &verdict)),
    ]
}

/// Of looking back.
fn looking_back() -> Vec<(&'static str, Value)> {
    let asked = [
        ("flow", json!({"type": "string", "description": "the present version of this flow, namespace/name"})),
        (
            "document",
            json!({"anyOf": [{"type": "string"}, {"type": "object"}], "description": "or this document, as YAML text or as it stands"}),
        ),
    ];
    let place = json!({"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "a seq, or a time such as 2026-01-02T03:04:05Z"});
    let finding = [
        ("by", one_of(&["match", "event"])),
        ("at", time()),
        ("seq", whole()),
        ("id", text()),
        ("type", text()),
        ("detector", text()),
        ("key", text()),
        ("data", any()),
    ];
    let backtest = [
        ("flow", text()),
        ("looked_at", whole()),
        ("found", list(object(&["by", "at", "id", "type"], &finding))),
        ("next", json!({"type": "object", "description": "there is more: send it back as `next`, with the same flow"})),
    ];
    let difference = [
        ("of", one_of(&["outcome", "call", "event", "task", "waiting"])),
        ("which", text()),
        ("path", text()),
        ("before", any()),
        ("after", any()),
    ];
    let compared = [
        ("run", text()),
        ("version", text()),
        ("began", time()),
        ("status", text()),
        ("would", text()),
        ("differences", list(object(&["of"], &difference))),
        ("unsure", text()),
    ];
    let rehearsal = [
        ("flow", text()),
        ("same", whole()),
        ("different", whole()),
        ("runs", list(object(&["run", "version", "began", "status", "would", "differences"], &compared))),
    ];
    vec![
        (
            "NewBacktest",
            object(&[], &[asked.as_slice(), &[("from", place.clone()), ("to", place), ("next", any())]].concat()),
        ),
        ("Backtest", object(&["flow", "looked_at", "found"], &backtest)),
        ("NewRehearsal", object(&[], &[asked.as_slice(), &[("runs", whole())]].concat())),
        ("Rehearsal", object(&["flow", "same", "different", "runs"], &rehearsal)),
    ]
}
