//! Runs that can't be read: by this version of the hub, or at all. Each is set aside, seen by people, and no other waits
//! for it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use nexus_core::{
    event::Once, id::EventId, limits::IDEMPOTENCY_WINDOW, problem::Problem, record::Document, store::Commit,
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    Flows,
    record::{Run, Trigger},
    view::RunView,
};
use crate::{
    error::{FlowError, Standard},
    run::state::{FORMAT, StateError},
};

/// How such a run stands.
pub const UNREADABLE: &str = "unreadable";

/// Those that were found, and why they can't be read.
#[derive(Default)]
pub(super) struct Aside(Mutex<BTreeMap<String, String>>);

impl Aside {
    fn note(&self, run: &str, reason: &str) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(run.to_owned(), reason.to_owned()).is_none()
    }

    pub(super) fn forget(&self, run: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(run);
    }
}

/// A run as it was written, or why it can't be read.
fn parsed(document: &Document) -> Result<Run, String> {
    let error = match serde_json::from_str::<Run>(&document.body) {
        // What a later version means by its fields is not known here, even where they have names that are.
        Ok(run) if run.state.format > FORMAT => {
            return Err(StateError::Newer { id: document.key.clone(), found: run.state.format }.to_string());
        }
        Ok(run) => return Ok(run),
        Err(error) => error,
    };
    let body: Value = serde_json::from_str(&document.body).unwrap_or_default();
    let format = body.pointer("/state/format").and_then(Value::as_u64).and_then(|found| u32::try_from(found).ok());
    Err(match format.filter(|found| *found > FORMAT) {
        Some(found) => StateError::Newer { id: document.key.clone(), found }.to_string(),
        None => format!("the run can't be read: {error}"),
    })
}

impl Flows {
    /// Runs that could not be read since the start, and why.
    pub fn unreadable_runs(&self) -> BTreeMap<String, String> {
        self.inner.aside.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it was set aside.
    pub(super) fn is_aside(&self, run: &str) -> bool {
        self.inner.aside.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(run)
    }

    /// The run, or its being set aside.
    pub(super) fn readable(&self, document: &Document) -> Option<Run> {
        match parsed(document) {
            Ok(run) => {
                self.inner.aside.forget(&document.key);
                Some(run)
            }
            Err(reason) => {
                if self.inner.aside.note(&document.key, &reason) {
                    tracing::error!(run = document.key, reason, "a run can't be read and is set aside");
                }
                None
            }
        }
    }

    /// Says in the log which runs were set aside, each at most once a day.
    pub(super) async fn tell_aside(&self) -> Result<(), Problem> {
        let known = self.unreadable_runs();
        self.inner.metrics.unreadable(known.len());
        for (run, reason) in known {
            let mut notice = self.desk().notice("flow.run_unreadable", &json!({"run": run, "reason": reason}));
            notice.subject = Some(run.clone());
            notice.once = Some(Once {
                scope: "flow.run_unreadable".into(),
                key: run,
                digest: [0; 16],
                strict: false,
                window: IDEMPOTENCY_WINDOW,
            });
            self.desk().commit(Commit { events: vec![notice], ..Commit::default() }).await?;
        }
        Ok(())
    }

    /// What can be said of a run that can't be read.
    pub(super) fn set_aside(&self, document: &Document) -> RunView {
        let reason = parsed(document).err().unwrap_or_default();
        let body: Value = serde_json::from_str(&document.body).unwrap_or_default();
        let text = |path: &str| body.pointer(path).and_then(Value::as_str);
        let of = |path: &str| text(path).unwrap_or("unknown").to_owned();
        let made = document.key.parse::<EventId>().ok().map(|id| made_at(&id));
        let trigger = body.get("trigger").cloned().and_then(|trigger| serde_json::from_value(trigger).ok());
        RunView {
            id: document.key.clone(),
            flow: format!("{}/{}", of("/state/flow/namespace"), of("/state/flow/name")),
            version: of("/state/flow/version"),
            status: UNREADABLE,
            trigger: trigger.unwrap_or_else(|| Trigger::Manual { by: "unknown".to_owned() }),
            correlation: text("/lineage/correlation").unwrap_or(&document.key).to_owned(),
            causation: None,
            depth: 0,
            key: None,
            created_at: made.unwrap_or(document.updated_at),
            ended_at: None,
            duration_ms: 0,
            input: Value::Null,
            output: None,
            error: Some(FlowError::new(
                Standard::Runtime,
                format!(
                    "{reason}; it does nothing until a hub that can read it is started, and `nexus log redact --subject {}` removes it",
                    document.key
                ),
            )),
            waiting_for: Vec::new(),
            erased: None,
        }
    }
}

/// When a run with such an id was made.
fn made_at(id: &EventId) -> Timestamp {
    let bytes = id.as_bytes();
    let millis = bytes.iter().take(6).fold(0_i64, |millis, byte| (millis << 8) | i64::from(*byte));
    Timestamp::from_millis(millis)
}
