//! Automations: flows, and their runs.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    Client, Error, Page,
    client::{More, Path, unwrap},
};

const FLOWS: &str = "/api/v1/flows";
const RUNS: &str = "/api/v1/runs";
const APPROVALS: &str = "/api/v1/approvals";

/// A flow.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Flow {
    /// `namespace/name`.
    pub name: String,
    /// The version that new runs begin with.
    pub version: String,
    /// Its triggers are on.
    pub enabled: bool,
    /// Where the version came from.
    #[serde(default)]
    pub origin: String,
    /// Whatever else was said.
    #[serde(flatten)]
    pub more: More,
}

/// Every flow.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct FlowList {
    /// The flows.
    pub flows: Vec<Flow>,
    /// Files that could not be published, and why.
    #[serde(default)]
    pub wrong_files: std::collections::BTreeMap<String, String>,
    /// Runs that the hub can't read and has set aside, and why.
    #[serde(default)]
    pub unreadable_runs: std::collections::BTreeMap<String, String>,
}

/// A run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// `namespace/name` of its flow.
    pub flow: String,
    /// The version it runs.
    pub version: String,
    /// How it stands.
    pub status: String,
    /// When it was made.
    #[serde(default)]
    pub created_at: String,
    /// How long it took, or has taken so far.
    #[serde(default)]
    pub duration_ms: u64,
    /// What it waits for.
    #[serde(default)]
    pub waiting_for: Vec<Value>,
    /// Whatever else was said: input, output, error, trigger, …
    #[serde(flatten)]
    pub more: More,
}

/// What the tasks of a run did.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RunSteps {
    /// In order.
    pub steps: Vec<Value>,
}

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    /// Of this flow.
    pub flow: Option<String>,
    /// Of this status; `open` for all that have not ended.
    pub status: Option<String>,
    /// That belong to this.
    pub correlation: Option<String>,
    /// After this cursor.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Something that a flow asks a person.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// The run that asks.
    pub run: String,
    /// `namespace/name` of its flow.
    pub flow: String,
    /// What is asked.
    pub title: String,
    /// Whom.
    #[serde(default)]
    pub assignee: Option<String>,
    /// `open`, `decided`, `expired` or `withdrawn`.
    pub state: String,
    /// Until when.
    #[serde(default)]
    pub expires_at: String,
    /// Whatever else was said: description, form, decision, …
    #[serde(flatten)]
    pub more: More,
}

/// The link to the page on which an approval is decided.
#[derive(Clone, Deserialize, Serialize)]
pub struct ApprovalLink {
    /// The approval.
    pub id: String,
    /// The link; who has it may decide.
    pub link: String,
    /// Until when.
    pub expires_at: String,
}

impl std::fmt::Debug for ApprovalLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApprovalLink({})", self.id)
    }
}

/// Which approvals.
#[derive(Clone, Debug, Default)]
pub struct Approvals {
    /// `open`, `decided`, `expired` or `withdrawn`.
    pub state: Option<String>,
    /// Of which this one is asked.
    pub assignee: Option<String>,
    /// Of this run.
    pub run: Option<String>,
    /// After this cursor.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// A version of a flow: the present one of the hub, or a document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// `namespace/name`.
    Flow(String),
    /// YAML or JSON.
    Document(String),
}

/// Which stretch of the log: a seq or a time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stretch {
    /// From here on; from the beginning without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Up to here, not included; up to now without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What the answer before said under `next`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Value>,
}

/// What a flow would have been begun by.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Backtest {
    /// `namespace/name@version`.
    pub flow: String,
    /// How many events were looked at.
    pub looked_at: u64,
    /// What was found, in order.
    pub found: Vec<Value>,
    /// There is more: [`Stretch::next`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Value>,
}

/// What goes with the beginning of a run.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Wait for its end at most this long.
    pub wait: Option<Duration>,
    /// One key, one run.
    pub idempotency_key: Option<String>,
}

fn of_flow(name: &str) -> Path {
    name.split('/').fold(Path::new(FLOWS), |path, segment| path.segment(segment))
}

impl Client {
    /// Every flow (scope `flows:read`).
    pub async fn flows(&self) -> Result<FlowList, Error> {
        self.get(FLOWS).await
    }

    /// One flow, with its document.
    pub async fn flow(&self, name: &str) -> Result<Flow, Error> {
        self.get(of_flow(name).as_str()).await
    }

    /// Publishes a document in YAML or JSON (scope `flows:publish`).
    pub async fn publish_flow(&self, text: &str) -> Result<Flow, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
        let value = self.json(Method::POST, FLOWS, headers, Some(Bytes::copy_from_slice(text.as_bytes()))).await?;
        self.read(unwrap(value))
    }

    /// Turns a flow's triggers on or off.
    pub async fn enable_flow(&self, name: &str, enabled: bool) -> Result<Flow, Error> {
        let verb = if enabled { "enable" } else { "disable" };
        self.post(of_flow(name).segment(verb).as_str(), &json!({})).await
    }

    /// Takes a flow away.
    pub async fn remove_flow(&self, name: &str) -> Result<Value, Error> {
        self.delete(of_flow(name).as_str()).await
    }

    /// How the newest runs of a flow went.
    pub async fn flow_report(&self, name: &str, limit: usize) -> Result<Value, Error> {
        self.get(of_flow(name).segment("report").query("limit", Some(&limit)).as_str()).await
    }

    /// What a flow would have been begun by over a stretch of the log (scope `flows:read`, and `events:read` for the types
    /// it looks at).
    pub async fn backtest_flow(&self, version: &Version, stretch: &Stretch) -> Result<Backtest, Error> {
        let mut body = json!(stretch);
        if let (Some(body), Value::Object(version)) = (body.as_object_mut(), json!(version)) {
            body.extend(version);
        }
        self.post(&format!("{FLOWS}/backtest"), &body).await
    }

    /// What another version would have done with the newest ended runs of its flow (scope `flows:read`).
    pub async fn rehearse_flow(&self, version: &Version, runs: usize) -> Result<Value, Error> {
        let mut body = json!(version);
        body["runs"] = runs.into();
        self.post(&format!("{FLOWS}/rehearse"), &body).await
    }

    /// Begins a run (scope `flows:run`).
    pub async fn start_run(&self, flow: &str, input: &Value, with: &Start) -> Result<Run, Error> {
        let wait = with.wait.map(|wait| format!("{}ms", wait.as_millis()));
        let path = of_flow(flow).segment("runs").query("wait", wait.as_ref());
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &with.idempotency_key {
            let value = HeaderValue::try_from(key.as_str()).map_err(|e| Error::Local(e.to_string()))?;
            headers.insert("idempotency-key", value);
        }
        let body = Bytes::from(json!({"input": input}).to_string());
        let value = self.json(Method::POST, path.as_str(), headers, Some(body)).await?;
        self.read(unwrap(value))
    }

    /// Runs, the newest first.
    pub async fn runs(&self, which: &Runs) -> Result<Page<Run>, Error> {
        let path = Path::new(RUNS)
            .query("flow", which.flow.as_ref())
            .query("status", which.status.as_ref())
            .query("correlation", which.correlation.as_ref())
            .query("cursor", which.cursor.as_ref())
            .query("limit", which.limit.as_ref());
        self.page(path.as_str()).await
    }

    /// One run.
    pub async fn run(&self, id: &str) -> Result<Run, Error> {
        self.get(Path::new(RUNS).segment(id).as_str()).await
    }

    /// What the tasks of a run did.
    pub async fn run_steps(&self, id: &str) -> Result<RunSteps, Error> {
        self.get(Path::new(RUNS).segment(id).segment("steps").as_str()).await
    }

    /// `cancel`, `suspend` or `resume` a run (scope `flows:run`).
    pub async fn command_run(&self, id: &str, verb: &str) -> Result<Run, Error> {
        self.post(Path::new(RUNS).segment(id).segment(verb).as_str(), &json!({})).await
    }

    /// What people are asked by flows, the newest first (scope `flows:read`).
    pub async fn approvals(&self, which: &Approvals) -> Result<Page<Approval>, Error> {
        let path = Path::new(APPROVALS)
            .query("state", which.state.as_ref())
            .query("assignee", which.assignee.as_ref())
            .query("run", which.run.as_ref())
            .query("cursor", which.cursor.as_ref())
            .query("limit", which.limit.as_ref());
        self.page(path.as_str()).await
    }

    /// One approval.
    pub async fn approval(&self, id: &str) -> Result<Approval, Error> {
        self.get(Path::new(APPROVALS).segment(id).as_str()).await
    }

    /// Approves or rejects, once (scope `flows:approve`).
    pub async fn decide_approval(
        &self,
        id: &str,
        approved: bool,
        comment: Option<&str>,
        answers: &Value,
    ) -> Result<Approval, Error> {
        let decision = if approved { "approved" } else { "rejected" };
        let mut body = json!({"decision": decision, "answers": answers});
        if let (Some(comment), Some(fields)) = (comment, body.as_object_mut()) {
            fields.insert("comment".to_owned(), comment.into());
        }
        self.post(Path::new(APPROVALS).segment(id).as_str(), &body).await
    }

    /// A new link to the page on which it is decided; the link before ends.
    pub async fn link_approval(&self, id: &str) -> Result<ApprovalLink, Error> {
        self.post(Path::new(APPROVALS).segment(id).segment("link").as_str(), &json!({})).await
    }

    /// Has a faulted run do a task again: the one that failed, or the one named.
    pub async fn retry_run(&self, id: &str, task: Option<&str>) -> Result<Run, Error> {
        let body = task.map_or_else(|| json!({}), |task| json!({"task": task}));
        self.post(Path::new(RUNS).segment(id).segment("retry").as_str(), &body).await
    }
}
