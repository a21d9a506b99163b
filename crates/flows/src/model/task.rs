//! Tasks, told apart by the one key that says what each does.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    part::{
        Authentication, DurationText, Endpoint, ErrorDefinition, ExternalResource, Given, Input, Item, Output, Retry,
        Strategy, Timeout,
    },
    read::{Fields, Read, record},
};
use crate::{
    pointer::Pointer,
    problem::{Problems, nearest},
};

/// Tasks in order.
pub type TaskList = Vec<Item<Task>>;

/// One task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    /// What every task may say.
    #[serde(flatten)]
    pub base: Base,
    /// What it does.
    #[serde(flatten)]
    pub kind: Kind,
}

record! {
    /// What every task may say.
    Base: "the task" {
        optional {
            /// Whether it runs at all.
            if_ "if": String,
            /// What it gets.
            input "input": Input,
            /// What it gives.
            output "output": Output,
            /// What it leaves in the context.
            export "export": Output,
            /// How long it may take.
            timeout "timeout": Given<Timeout>,
            /// What comes after it.
            then "then": String,
            /// Notes.
            metadata "metadata": Map<String, Value>,
        }
    }
}

/// What a task does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Kind {
    /// Calls a service or function.
    Call(Box<CallTask>),
    /// Tasks one after the other.
    Do(DoTask),
    /// Publishes an event.
    Emit(EmitTask),
    /// Tasks for each item.
    For(Box<ForTask>),
    /// Tasks side by side.
    Fork(ForkTask),
    /// Waits for events.
    Listen(Box<ListenTask>),
    /// Raises an error.
    Raise(RaiseTask),
    /// Runs a process or another flow.
    Run(Box<RunTask>),
    /// Makes data.
    Set(SetTask),
    /// Chooses what comes next.
    Switch(SwitchTask),
    /// Tries, catches, tries again.
    Try(Box<TryTask>),
    /// Waits.
    Wait(WaitTask),
}

/// The keys that tell tasks apart; `do` comes last, as `for` has one too.
const KEYS: [&str; 12] =
    ["call", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait", "do"];

impl Kind {
    /// The key that tells it from the others.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Do(_) => "do",
            Self::Emit(_) => "emit",
            Self::For(_) => "for",
            Self::Fork(_) => "fork",
            Self::Listen(_) => "listen",
            Self::Raise(_) => "raise",
            Self::Run(_) => "run",
            Self::Set(_) => "set",
            Self::Switch(_) => "switch",
            Self::Try(_) => "try",
            Self::Wait(_) => "wait",
        }
    }

    fn from_fields(key: &str, fields: &mut Fields<'_>) -> Option<Self> {
        Some(match key {
            "call" => Self::Call(Box::new(CallTask::from_fields(fields)?)),
            "do" => Self::Do(DoTask::from_fields(fields)?),
            "emit" => Self::Emit(EmitTask::from_fields(fields)?),
            "for" => Self::For(Box::new(ForTask::from_fields(fields)?)),
            "fork" => Self::Fork(ForkTask::from_fields(fields)?),
            "listen" => Self::Listen(Box::new(ListenTask::from_fields(fields)?)),
            "raise" => Self::Raise(RaiseTask::from_fields(fields)?),
            "run" => Self::Run(Box::new(RunTask::from_fields(fields)?)),
            "set" => Self::Set(SetTask::from_fields(fields)?),
            "switch" => Self::Switch(SwitchTask::from_fields(fields)?),
            "try" => Self::Try(Box::new(TryTask::from_fields(fields)?)),
            _ => Self::Wait(WaitTask::from_fields(fields)?),
        })
    }
}

impl Read for Task {
    fn read(value: &Value, at: &Pointer, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::open(value, at, "a task", problems)?;
        let found: Vec<&str> =
            KEYS.into_iter().filter(|key| fields.has(key) && !(*key == "do" && fields.has("for"))).collect();
        let [key] = found.as_slice() else {
            let message = if found.is_empty() {
                let keys = value.as_object().into_iter().flat_map(|map| map.keys());
                let hint = keys.map(|key| nearest(key, KEYS)).find(|hint| !hint.is_empty()).unwrap_or_default();
                format!("this is no task: one of {} says what a task does{hint}", KEYS.join(", "))
            } else {
                format!("a task does one thing, not {}; make a task of each", found.join(" and "))
            };
            problems.add(at, message);
            return None;
        };
        let base = Base::from_fields(&mut fields);
        let kind = Kind::from_fields(key, &mut fields);
        fields.close();
        Some(Self { base: base?, kind: kind? })
    }
}

/// `call` with the arguments of what is called.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallTask {
    /// What is called.
    pub call: String,
    /// Its arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<CallWith>,
}

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum CallWith {
    /// `call: http`.
    Http(Box<HttpArguments>),
    /// `call: openapi`.
    OpenApi(Box<OpenApiArguments>),
    /// Everything else.
    Other(Map<String, Value>),
}

impl CallTask {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let call: Option<String> = fields.required("call");
        let with = match call.as_deref() {
            Some("http") => fields.required("with").map(|with| Some(CallWith::Http(with))),
            Some("openapi") => fields.required("with").map(|with| Some(CallWith::OpenApi(with))),
            _ => fields.optional("with").map(|with| with.map(CallWith::Other)),
        };
        Some(Self { call: call?, with: with? })
    }
}

record! {
    /// An HTTP request and what of its answer is wanted.
    HttpArguments: "the arguments of the HTTP call" {
        required {
            /// `get`, `post`, …
            method "method": String,
            /// Where it goes.
            endpoint "endpoint": Endpoint,
        }
        optional {
            /// Its headers.
            headers "headers": Value,
            /// Its body.
            body "body": Value,
            /// Its query.
            query "query": Value,
            /// `content`, `response` or `raw`.
            output "output": String,
            /// Whether a redirection is an answer like any other.
            redirect "redirect": bool,
        }
    }
}

record! {
    /// A call that an OpenAPI document describes.
    OpenApiArguments: "the arguments of the OpenAPI call" {
        required {
            /// The document.
            document "document": ExternalResource,
            /// Which of its operations.
            operation_id "operationId": String,
        }
        optional {
            /// The operation's parameters.
            parameters "parameters": Map<String, Value>,
            /// How to prove who calls.
            authentication "authentication": Authentication,
            /// `content`, `response` or `raw`.
            output "output": String,
            /// Whether a redirection is an answer like any other.
            redirect "redirect": bool,
        }
    }
}

record! {
    /// `do`.
    DoTask: "the task" { required {
        /// The tasks.
        do_ "do": TaskList,
    } }
}

record! {
    /// `emit`.
    EmitTask: "the task" { required {
        /// What is published.
        emit "emit": Emit,
    } }
}

record! {
    /// What is published.
    Emit: "emit" { required {
        /// The event.
        event "event": EmitEvent,
    } }
}

record! {
    /// The event.
    EmitEvent: "the event" { required {
        /// Its attributes and data.
        with "with": Map<String, Value>,
    } }
}

record! {
    /// `for`.
    ForTask: "the task" {
        required {
            /// Over what.
            for_ "for": ForClause,
            /// The tasks.
            do_ "do": TaskList,
        }
        optional {
            /// As long as this holds.
            while_ "while": String,
        }
    }
}

record! {
    /// Over what a `for` goes.
    ForClause: "for" {
        required {
            /// The items.
            in_ "in": String,
        }
        optional {
            /// What an item is called.
            each "each": String,
            /// What its index is called.
            at "at": String,
        }
    }
}

record! {
    /// `fork`.
    ForkTask: "the task" { required {
        /// The branches.
        fork "fork": Fork,
    } }
}

record! {
    /// Tasks side by side.
    Fork: "fork" {
        required {
            /// The branches.
            branches "branches": TaskList,
        }
        optional {
            /// Whether the first to complete ends the others.
            compete "compete": bool,
        }
    }
}

record! {
    /// `listen`.
    ListenTask: "the task" {
        required {
            /// To what.
            listen "listen": Listen,
        }
        optional {
            /// What to do with each event.
            foreach "foreach": Foreach,
        }
    }
}

record! {
    /// To what a task listens.
    Listen: "listen" {
        required {
            /// To which events.
            to "to": Strategy,
        }
        optional {
            /// `data`, `envelope` or `raw`.
            read "read": String,
        }
    }
}

record! {
    /// What to do with each event.
    Foreach: "foreach" {
        optional {
            /// What the event is called.
            item "item": String,
            /// What its index is called.
            at "at": String,
            /// The tasks.
            do_ "do": TaskList,
            /// What each gives.
            output "output": Output,
            /// What each leaves in the context.
            export "export": Output,
        }
    }
}

record! {
    /// `raise`.
    RaiseTask: "the task" { required {
        /// What is raised.
        raise "raise": Raise,
    } }
}

record! {
    /// What is raised.
    Raise: "raise" { required {
        /// The error.
        error "error": Given<ErrorDefinition>,
    } }
}

record! {
    /// `run`.
    RunTask: "the task" { required {
        /// What is run.
        run "run": Run,
    } }
}

record! {
    /// What is run.
    Run: "run" {
        optional {
            /// Whether to wait for its end.
            await_ "await": bool,
            /// What of its result is wanted.
            return_ "return": String,
            /// Another flow.
            workflow "workflow": RunWorkflow,
            /// A container.
            container "container": Map<String, Value>,
            /// A script.
            script "script": Map<String, Value>,
            /// A shell command.
            shell "shell": Map<String, Value>,
        }
    }
}

record! {
    /// Another flow.
    RunWorkflow: "the workflow to run" {
        required {
            /// Its namespace.
            namespace "namespace": String,
            /// Its name.
            name "name": String,
            /// Its version, or `latest`.
            version "version": String,
        }
        optional {
            /// Its input.
            input "input": Value,
        }
    }
}

record! {
    /// `set`.
    SetTask: "the task" { required {
        /// The data.
        set "set": Value,
    } }
}

record! {
    /// `switch`.
    SwitchTask: "the task" { required {
        /// The cases.
        switch "switch": Vec<Item<Case>>,
    } }
}

record! {
    /// One way to go on.
    Case: "the case" {
        required {
            /// Where it goes.
            then "then": String,
        }
        optional {
            /// When it is taken; the one without is taken when no other is.
            when "when": String,
        }
    }
}

record! {
    /// `try`.
    TryTask: "the task" {
        required {
            /// The tasks.
            try_ "try": TaskList,
            /// What to do about errors.
            catch "catch": Catch,
        }
    }
}

record! {
    /// What to do about errors.
    Catch: "catch" {
        optional {
            /// Which errors.
            errors "errors": CatchErrors,
            /// What the error is called.
            as_ "as": String,
            /// Only when this holds.
            when "when": String,
            /// Unless this holds.
            except_when "exceptWhen": String,
            /// Whether to try again.
            retry "retry": Given<Retry>,
            /// The tasks after the last attempt.
            do_ "do": TaskList,
        }
    }
}

record! {
    /// Which errors.
    CatchErrors: "errors" {
        optional {
            /// What they must be.
            with "with": Map<String, Value>,
        }
    }
}

record! {
    /// `wait`.
    WaitTask: "the task" { required {
        /// How long.
        wait "wait": DurationText,
    } }
}
