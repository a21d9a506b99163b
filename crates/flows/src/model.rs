//! The Open Workflow DSL 1.0 as types: what a document says, no more and no less.
//!
//! Reading finds every problem with its place; writing gives back what was read. What v1 does not run is read all the
//! same, and refused by name when the flow is published ([`Definition`](crate::Definition)).

pub mod part;
pub(crate) mod read;
pub mod setting;
pub mod task;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use part::Item;
use part::{
    Authentication, Catalog, DurationText, ErrorDefinition, Evaluate, Given, Input, Output, Retry, Strategy, Timeout,
};
use read::{Read, record};
pub use task::{Task, TaskList};

use crate::{pointer::Pointer, problem::Problems};

record! {
    /// A flow's document.
    Workflow: "a flow" {
        required {
            /// What it is.
            document "document": Document,
            /// Its tasks.
            do_ "do": TaskList,
        }
        optional {
            /// What it gets.
            input "input": Input,
            /// What its tasks share.
            use_ "use": Use,
            /// How long it may take.
            timeout "timeout": Given<Timeout>,
            /// What it gives.
            output "output": Output,
            /// What starts it.
            schedule "schedule": Schedule,
            /// How expressions are evaluated.
            evaluate "evaluate": Evaluate,
        }
    }
}

record! {
    /// What a flow is.
    Document: "the document block" {
        required {
            /// The version of the DSL.
            dsl "dsl": String,
            /// Its namespace.
            namespace "namespace": String,
            /// Its name.
            name "name": String,
            /// Its version.
            version "version": String,
        }
        optional {
            /// A heading.
            title "title": String,
            /// Markdown.
            summary "summary": String,
            /// Labels.
            tags "tags": Map<String, Value>,
            /// Notes; ours begin with `nexus.dev/`.
            metadata "metadata": Map<String, Value>,
        }
    }
}

record! {
    /// What tasks share.
    Use: "use" {
        optional {
            /// Ways to prove who calls.
            authentications "authentications": BTreeMap<String, Authentication>,
            /// Catalogs of functions.
            catalogs "catalogs": BTreeMap<String, Catalog>,
            /// Errors to raise.
            errors "errors": BTreeMap<String, ErrorDefinition>,
            /// What happens around tasks.
            extensions "extensions": Vec<Item<Extension>>,
            /// Tasks to call by name.
            functions "functions": BTreeMap<String, Task>,
            /// Retry policies.
            retries "retries": BTreeMap<String, Retry>,
            /// Secrets the flow may pass on.
            secrets "secrets": Vec<String>,
            /// Timeouts.
            timeouts "timeouts": BTreeMap<String, Timeout>,
        }
    }
}

record! {
    /// What happens around tasks.
    Extension: "the extension" {
        required {
            /// Around which.
            extend "extend": String,
        }
        optional {
            /// Only when this holds.
            when "when": String,
            /// The tasks before.
            before "before": TaskList,
            /// The tasks after.
            after "after": TaskList,
        }
    }
}

record! {
    /// What starts a flow.
    Schedule: "the schedule" {
        optional {
            /// Again and again.
            every "every": DurationText,
            /// At given times.
            cron "cron": String,
            /// Some time after it ended.
            after "after": DurationText,
            /// Events.
            on "on": Strategy,
        }
    }
}

impl Workflow {
    /// Reads a document; `None` means that problems were added.
    pub fn from_value(value: &Value, problems: &mut Problems) -> Option<Self> {
        Self::read(value, &Pointer::root(), problems)
    }
}
