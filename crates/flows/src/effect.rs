//! What a run asks of its host, and what the host tells it.

use std::collections::BTreeMap;

use nexus_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    error::FlowError,
    plan::{AuthScheme, FlowId},
    secrets::Secrets,
};

/// Names one open wait of a run; never used twice by it.
pub type WaitId = u64;

/// What the host does for a run. All of one step are part of the commit that stores the run's new state; those that reach
/// outside are performed after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Call something; answer with [`Input::CallDone`].
    Call(Call),
    /// Forget a call: its answer no longer matters. It may have been performed.
    CancelCall {
        /// Which.
        id: WaitId,
    },
    /// Answer with [`Input::TimerFired`] when it is due.
    SetTimer {
        /// Which.
        id: WaitId,
        /// When.
        at: Timestamp,
    },
    /// It need not fire any more.
    CancelTimer {
        /// Which.
        id: WaitId,
    },
    /// Answer with [`Input::Event`] for each event that one of the filters may select; again with the same id replaces it.
    Listen(Listen),
    /// It need not be told any more.
    CancelListen {
        /// Which.
        id: WaitId,
    },
    /// Start another flow; answer with [`Input::ChildDone`] when `wait` is set.
    StartRun(StartRun),
    /// Cancel a flow that this one started.
    CancelRun {
        /// Which.
        id: WaitId,
    },
    /// Publish an event, in the same commit.
    Emit {
        /// A CloudEvent.
        event: Value,
    },
    /// Publish a lifecycle event, in the same commit.
    Lifecycle {
        /// Its type, for example `io.serverlessworkflow.workflow.started.v1`.
        kind: String,
        /// Its data.
        data: Value,
    },
    /// Keep what a task did, for those who look at the run later.
    Step(Step),
    /// Commit, then come back with [`Input::Continue`]: the run has more to do than one step may.
    Continue,
    /// The run has ended.
    Finished(Outcome),
}

/// A call, complete but for secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Which.
    pub id: WaitId,
    /// The same for every attempt at the same task of the same iteration: to be sent as `Idempotency-Key`.
    pub key: String,
    /// The task.
    pub task: String,
    /// What is called.
    pub target: CallTarget,
}

/// What is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CallTarget {
    /// An HTTP request; answered by [`Answer::Http`].
    Http(HttpRequest),
    /// A function of the hub; answered by [`Answer::Value`].
    Function {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Its arguments.
        with: Value,
    },
}

/// An HTTP request. Texts may hold marks of secrets; [`outgoing`](Self::outgoing) puts the values in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// In capitals.
    pub method: String,
    /// Absolute.
    pub uri: String,
    /// To be added to the URI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Without those of the authentication.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// How to prove who calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// What a request sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// JSON.
    Json(Value),
    /// Fields of a form.
    Form(Vec<(String, String)>),
    /// Text as it is.
    Text(String),
}

/// A request as it goes out, secrets in place. Never stored, never logged.
#[derive(Clone, PartialEq)]
pub struct Outgoing {
    /// In capitals.
    pub method: String,
    /// With its query.
    pub uri: String,
    /// Without those of the authentication.
    pub headers: BTreeMap<String, String>,
    /// What is sent.
    pub body: Option<Vec<u8>>,
    /// How to prove who calls.
    pub authentication: Option<Authentication>,
}

impl HttpRequest {
    /// The URI with its query, as people and flows may see it: without secrets.
    pub fn shown_url(&self, nonce: &str) -> String {
        let shown = |text: &str| crate::secrets::without_marks(nonce, text);
        with_query(&shown(&self.uri), self.query.iter().map(|(k, v)| (k.as_str(), shown(v))))
    }

    /// The request with its secrets in place.
    pub fn outgoing(&self, secrets: &Secrets, nonce: &str) -> Outgoing {
        let reveal = |text: &str| secrets.reveal(nonce, text);
        let body = self.body.as_ref().map(|body| match body {
            Body::Json(value) => {
                let mut value = value.clone();
                secrets.reveal_value(nonce, &mut value);
                value.to_string().into_bytes()
            }
            Body::Form(fields) => {
                let fields = fields.iter().map(|(k, v)| (k.as_str(), reveal(v)));
                with_query("", fields).trim_start_matches('?').as_bytes().to_vec()
            }
            Body::Text(text) => reveal(text).into_bytes(),
        });
        let authentication = self.authentication.clone().map(|mut authentication| {
            secrets.reveal_value(nonce, &mut authentication.parameters);
            authentication
        });
        Outgoing {
            method: self.method.clone(),
            uri: with_query(&reveal(&self.uri), self.query.iter().map(|(k, v)| (k.as_str(), reveal(v)))),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), reveal(value))).collect(),
            body,
            authentication,
        }
    }
}

fn with_query<'q>(uri: &str, query: impl Iterator<Item = (&'q str, String)>) -> String {
    let (base, fragment) = uri.split_once('#').map_or((uri, None), |(base, fragment)| (base, Some(fragment)));
    let mut out = base.to_owned();
    for (key, value) in query {
        out.push(if out.contains('?') { '&' } else { '?' });
        crate::uri::encode(key, &mut out);
        out.push('=');
        crate::uri::encode(&value, &mut out);
    }
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    out
}

/// How to prove who calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authentication {
    /// Which way.
    pub scheme: AuthScheme,
    /// Its parameters, as in the document; texts may hold marks of secrets.
    pub parameters: Value,
}

/// A wait for events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listen {
    /// Which.
    pub id: WaitId,
    /// The task.
    pub task: String,
    /// True: events from the one that started the run on; false: from now on.
    pub from_trigger: bool,
    /// When it is asked for again after a restart: the last event that was told, from whose place in the log to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// What may be of interest; an event that none of them selects need not be told.
    pub filters: Vec<Interest>,
}

/// What a host can index of a filter. The run itself checks the whole of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interest {
    /// Which filter of the task ([`Definition::interests`](crate::Definition::interests) has its expressions).
    pub filter: usize,
    /// The type of the events, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the correlations must give; those not yet known are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expect: BTreeMap<String, Value>,
}

/// Another flow to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartRun {
    /// Which.
    pub id: WaitId,
    /// The task.
    pub task: String,
    /// The same for every attempt: the host starts at most one run per key.
    pub key: String,
    /// Which flow; the version may be `latest`.
    pub flow: FlowId,
    /// Its input.
    pub input: Value,
    /// Whether this run waits for its end.
    pub wait: bool,
}

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepPhase {
    /// It began.
    Started,
    /// Its `if` did not hold.
    Skipped,
    /// It is tried again.
    Retried,
    /// It is done.
    Completed,
    /// It raised an error.
    Faulted,
    /// It was cut off.
    Cancelled,
}

/// What a task did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Which task.
    pub task: String,
    /// Its name.
    pub name: String,
    /// Which of several times: indexes of the loops around it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub iteration: String,
    /// What happened.
    pub phase: StepPhase,
    /// When.
    pub at: Timestamp,
    /// Its input, when it began; its output, when it is done; its error.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// It is done.
    Completed {
        /// What it gives.
        output: Value,
    },
    /// An error that nothing caught.
    Faulted {
        /// Which.
        error: FlowError,
    },
    /// It was cut off.
    Cancelled,
}

/// What the host tells a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// Begin.
    Start,
    /// Go on after [`Effect::Continue`].
    Continue,
    /// A call is done.
    CallDone {
        /// Which.
        id: WaitId,
        /// What came of it.
        answer: Answer,
    },
    /// A timer is due.
    TimerFired {
        /// Which.
        id: WaitId,
    },
    /// An event that a listen may be waiting for.
    Event {
        /// Which listen.
        id: WaitId,
        /// The event's place in the log: a run takes an event once per listen.
        seq: u64,
        /// A CloudEvent.
        event: Value,
    },
    /// A flow that this one started has ended.
    ChildDone {
        /// Which.
        id: WaitId,
        /// How.
        outcome: Outcome,
    },
    /// End now.
    Cancel,
    /// Do nothing until told.
    Suspend,
    /// Go on.
    Resume,
    /// Do a task of a faulted run again: the one that failed, one around it, or one before one of these in its list.
    RetryFrom {
        /// Its pointer.
        task: String,
    },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// An HTTP response, whatever its status.
    Http(HttpResponse),
    /// What a function gave.
    Value {
        /// It.
        value: Value,
    },
    /// It failed without an answer.
    Failed {
        /// How; its instance is set by the run.
        error: FlowError,
    },
}

/// An HTTP response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HttpResponse {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}
