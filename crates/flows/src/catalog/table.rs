//! The table.

use super::{Argument, Kind, Signature};

/// Characters of a title and of a name.
const TITLE: usize = 200;

const fn needs(name: &'static str, kind: Kind, about: &'static str) -> Argument {
    Argument { name, kind, required: true, about }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Argument {
    Argument { name, kind, required: false, about }
}

/// Where a message goes that a connector sends.
pub(super) const OPERATION: &[Argument] = &[
    needs("connector", Kind::Text(TITLE), "which connector"),
    needs("operation", Kind::Text(TITLE), "which of its operations"),
    may("connection", Kind::Text(TITLE), "whose account"),
    may("input", Kind::Anything, "what it is called with"),
];
/// Where a message goes that a URL takes.
pub(super) const HOOK: &[Argument] = &[needs("url", Kind::Free, "where it is sent")];
/// A variant of a test.
pub(super) const VARIANT: &[Argument] =
    &[needs("name", Kind::Free, "its name"), may("weight", Kind::Whole, "its share")];

const ESCALATE: &[Argument] = &[
    needs("after", Kind::Time, "when"),
    needs("assignee", Kind::Text(TITLE), "whom"),
    may("notify", Kind::Channel, "where the link is sent"),
];

/// Every function of the hub's own.
pub const FUNCTIONS: &[Signature] = &[
    Signature {
        name: "approval",
        call: None,
        about: "Asks a person, and waits ([Asking people](#asking-people))",
        takes: &[
            needs("title", Kind::Text(TITLE), "the question"),
            may("description", Kind::Text(4_000), "more about it"),
            may("assignee", Kind::Text(TITLE), "who is asked"),
            may("timeout", Kind::Time, "how long; 7 days without"),
            may("escalate", Kind::Fields(ESCALATE), "who is asked next"),
            may("notify", Kind::Channel, "where the link is sent"),
            may("form", Kind::Form, "what may be filled in"),
        ],
        gives: "`outcome` (approved, rejected or timeout), `by`, `comment`, `answers`, `at`, `escalated`",
    },
    Signature {
        name: "bucket",
        call: None,
        about: "Puts a key into a variant of a test; the same key into the same one, for ever",
        takes: &[
            needs("test", Kind::Free, "which test"),
            needs("key", Kind::Anything, "who is put in"),
            needs("variants", Kind::Variants, "a name alone weighs 1"),
        ],
        gives: "`test`, `variant`",
    },
    Signature {
        name: "command",
        call: None,
        about: "Does a command of the hub, as `POST /api/v1/commands` does",
        takes: &[
            needs("type", Kind::Text(TITLE), "which command"),
            may("payload", Kind::Anything, "what it is done with"),
        ],
        gives: "the command's answer",
    },
    Signature {
        name: super::CONNECTOR,
        call: Some("connector.NAME.OPERATION"),
        about: "Calls an operation of a connector ([Calls](#calls))",
        takes: &[
            may("input", Kind::Anything, "what the operation takes"),
            may("connection", Kind::Text(TITLE), "whose account; the only one without"),
            may("key", Kind::Free, "its idempotency key; the task's own without"),
            may("priority", Kind::Priority, "whose turn comes first"),
            may("patience", Kind::Time, "how long it may wait for its turn and between attempts; 60 s without"),
        ],
        gives: "the operation's output",
    },
    Signature {
        name: "notify",
        call: None,
        about: "Tells people something, and goes on ([Asking people](#asking-people))",
        takes: &[
            needs("text", Kind::Text(8_000), "what"),
            may("title", Kind::Text(TITLE), "in a few words"),
            may("severity", Kind::Word(&["info", "warning", "critical"]), "info without"),
            may("to", Kind::Text(TITLE), "whom"),
            may("url", Kind::Free, "where it is sent"),
            may("connector", Kind::Text(TITLE), "or by which connector"),
            may("operation", Kind::Text(TITLE), "and which of its operations"),
            may("connection", Kind::Text(TITLE), "whose account"),
            may("input", Kind::Anything, "what the operation is called with"),
        ],
        gives: "`id` of the event, `sent`",
    },
    Signature {
        name: "publish",
        call: None,
        about: "Publishes an event, once per task",
        takes: &[
            needs("type", Kind::Topic, "its type"),
            may("data", Kind::Anything, "what it holds"),
            may("subject", Kind::Free, "whom or what it is about"),
            may("priority", Kind::Priority, "NORMAL without"),
        ],
        gives: "`id`, `seq`",
    },
    Signature {
        name: "service.invoke",
        call: None,
        about: "Calls a registered service; an answer of 400 or above is an error",
        takes: &[
            needs("service", Kind::Free, "its name"),
            may("body", Kind::Anything, "what is sent"),
            may("timeout", Kind::Time, "how long it may take"),
        ],
        gives: "`status`, `body`, `instance`",
    },
    Signature {
        name: "state.get",
        call: None,
        about: "Reads a key of shared state",
        takes: &[
            needs("key", Kind::Free, "which"),
            may("default", Kind::Anything, "what is given where there is none"),
        ],
        gives: "`value`, `version` (0: it is not there)",
    },
    Signature {
        name: "state.set",
        call: None,
        about: "Sets a key of shared state, or takes it away",
        takes: &[
            needs("key", Kind::Free, "which"),
            may("value", Kind::Anything, "what it is set to; needed unless `delete` is"),
            may("expected_version", Kind::Whole, "the version it must have; otherwise nothing changes"),
            may("ttl", Kind::Time, "how long it stays"),
            may("delete", Kind::Flag, "take it away"),
        ],
        gives: "`version`, `merged`",
    },
];
