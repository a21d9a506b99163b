//! Publishing: a document is checked, kept for ever under its version, and its triggers are set.

use std::sync::Arc;

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    store::{Commit, Guard, Key, TimerWrite, Write},
};
use ring::digest;
use serde_json::json;

use super::{
    Flows,
    commit::put,
    record::{Flow, Version, name_of},
    rights::may_publish,
    schedule,
    shelf::{Held, Published},
    subscriptions::{filters, looked_at},
};
use crate::{
    catalog::check_calls,
    plan::{Definition, FlowId},
    problem::Problems,
    validate::{check_circles, check_connectors, examine},
};

/// Versions of one flow.
const VERSIONS: usize = 1_000;
/// Flows of one hub.
const FLOWS: usize = 5_000;
/// What a document is published with.
#[derive(Clone, Debug, Default)]
pub struct Publishing {
    /// Where it comes from, where it is a file. Such a document may change under the same version: each form of it is kept
    /// as a version of its own, `1.0.0+` and the beginning of its digest.
    pub file: Option<String>,
}

/// The outcome.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The flow.
    pub held: Arc<Held>,
    /// False: this very document was there already.
    pub new: bool,
}

/// A refusal that lists what is wrong with the document.
fn problems(found: &Problems) -> Problem {
    let first = found.list().first().map(ToString::to_string).unwrap_or_default();
    let more = match found.list().len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Problem::new(Code::Invalid, format!("the flow can't be published: {first}{more}"))
        .fact("problems", json!(found.list()))
}

impl Flows {
    /// Checks a document as publishing does, and changes nothing.
    pub fn check(&self, text: &str) -> Result<Definition, Problem> {
        let mut examined = examine(text).map_err(|found| problems(&found))?;
        examined.check_calls(|definition| self.check_calls(definition));
        let definition = examined.into_result().map_err(|found| problems(&found))?;
        filters(&definition)?;
        looked_at(&definition)?;
        let held = self.inner.shelf.list();
        let name = name_of(&definition.id);
        if let Some(plan) = &definition.settings.webhook {
            let taken = held.iter().find(|held| {
                let theirs = held.current.definition.settings.webhook.as_ref();
                held.flow.name != name && theirs.is_some_and(|p| p.path == plan.path && p.method == plan.method)
            });
            if let Some(other) = taken {
                return Err(Problem::new(
                    Code::Conflict,
                    format!(
                        "the flow can't be published: {} /flows/{} is the address of flow {}",
                        plan.method, plan.path, other.flow.name
                    ),
                ));
            }
        }
        let others = held.iter().filter(|held| held.flow.name != name).map(|held| &held.current.definition);
        check_circles(others.chain([&definition]))
            .map_err(|what| Problem::new(Code::Invalid, format!("the flow can't be published: {what}")))?;
        Ok(definition)
    }

    /// What is wrong with a flow's calls of functions and connectors, as far as that can be known now.
    fn check_calls(&self, definition: &Definition) -> Problems {
        let mut found = check_calls(definition, |name, version| self.inner.functions.check(name, version));
        found.absorb(check_connectors(definition, self.inner.hub.connectors().library()));
        found
    }

    /// Publishes a document. New runs begin with it at once; those that run keep the version they began with.
    pub async fn publish(&self, text: &str, with: Publishing, by: &Principal) -> Result<Publication, Problem> {
        let _one = self.inner.publishing.lock().await;
        let mut definition = self.check(text)?;
        may_publish(&definition, by)?;
        let name = name_of(&definition.id);
        let held = self.inner.shelf.find(&name);
        if held.is_none() && self.inner.shelf.list().len() >= FLOWS {
            return Err(Problem::new(Code::Conflict, format!("there are {FLOWS} flows already; delete one first")));
        }
        let found = self.version_text(&definition.id.to_string()).await;
        if found.as_ref().is_ok_and(|version| version.text != text) {
            let Some(_) = &with.file else {
                return Err(Problem::new(
                    Code::Conflict,
                    format!(
                        "{} is published already with another text; versions never change: raise document.version",
                        definition.id
                    ),
                ));
            };
            let digest = digest::digest(&digest::SHA256, text.as_bytes());
            let hex = data_encoding::HEXLOWER.encode(digest.as_ref().get(..4).unwrap_or_default());
            let version = definition.id.version.split('+').next().unwrap_or_default().to_owned();
            definition.id = FlowId { version: format!("{version}+{hex}"), ..definition.id };
        }
        if let Some(held) = &held
            && held.flow.version == definition.id.version
        {
            // The first try may have come no further than this.
            self.sync_subscription(held).await?;
            return Ok(Publication { held: Arc::clone(held), new: false });
        }
        let known = self.version_text(&definition.id.to_string()).await.is_ok();
        let held = self.store_version(definition, text, known, held.as_deref(), with, by).await?;
        self.sync_subscription(&held).await?;
        self.tidy_memories(&name, Some(&held)).await?;
        Ok(Publication { held, new: true })
    }

    async fn store_version(
        &self,
        definition: Definition,
        text: &str,
        known: bool,
        held: Option<&Held>,
        with: Publishing,
        by: &Principal,
    ) -> Result<Arc<Held>, Problem> {
        let now = self.desk().now();
        let name = name_of(&definition.id);
        let id = definition.id.clone();
        let private = by.may("endpoints:private");
        let scopes = by.scopes().cloned().collect();
        let version =
            Version { id: id.clone(), text: text.to_owned(), private, by: by.identity().to_owned(), scopes, at: now };
        let origin = with.file.as_ref().map_or_else(|| by.identity().to_owned(), |file| format!("file:{file}"));
        let flow = Flow {
            name: name.clone(),
            version: id.version.clone(),
            enabled: held.map_or(!definition.settings.begins_off, |held| held.flow.enabled),
            origin: origin.clone(),
            created_at: held.map_or(now, |held| held.flow.created_at),
            updated_at: now,
            anchor: now,
        };
        let mut versions = held.map(|held| held.versions.clone()).unwrap_or_default();
        let address = Key::of::<Flow>(&name);
        let mut commit = Commit {
            guards: vec![held.map_or_else(|| Guard::Absent(address.clone()), |held| Guard::Version(address.clone(), held.document))],
            events: vec![self.desk().audit(
                by,
                "flow.published",
                &json!({"flow": name, "version": id.version, "origin": origin, "replaces": held.map(|held| &held.flow.version)}),
            )],
            documents: vec![put(&flow)?],
            ..Commit::default()
        };
        if !known {
            if versions.len() >= VERSIONS {
                return Err(Problem::new(Code::Conflict, format!("flow {name} has {VERSIONS} versions already")));
            }
            commit.guards.push(Guard::Absent(Key::of::<Version>(id.to_string())));
            commit.documents.push(put(&version)?);
            versions.push(id.version.clone());
        }
        commit
            .timers
            .push(schedule::first(&flow, &definition, now).unwrap_or(TimerWrite::Cancel(schedule::timer_id(&name))));
        if !flow.enabled {
            commit.timers = vec![TimerWrite::Cancel(schedule::timer_id(&name))];
        }
        let committed = self.desk().commit(commit).await?;
        let document = committed.versions.first().copied().unwrap_or_default();
        let current = Arc::new(Published { definition, private, principal: super::shelf::principal(&version) });
        self.inner.shelf.put(Held { flow, document, current, versions });
        self.held(&name)
    }

    /// A flow by name.
    pub fn held(&self, name: &str) -> Result<Arc<Held>, Problem> {
        self.inner.shelf.find(name).ok_or_else(|| {
            let names: Vec<String> = self.inner.shelf.list().iter().map(|held| held.flow.name.clone()).collect();
            let near = crate::problem::nearest(name, names.iter().map(String::as_str));
            Problem::new(Code::NotFound, format!("there is no flow {name:?}{near}"))
        })
    }

    /// Turns a flow's triggers on or off. Runs go on.
    pub async fn enable(&self, name: &str, enabled: bool, by: &Principal) -> Result<Arc<Held>, Problem> {
        let _one = self.inner.publishing.lock().await;
        let held = self.held(name)?;
        if held.flow.enabled == enabled {
            return Ok(held);
        }
        let now = self.desk().now();
        let flow = Flow {
            enabled,
            updated_at: now,
            anchor: if enabled { now } else { held.flow.anchor },
            ..held.flow.clone()
        };
        let first = schedule::first(&flow, &held.current.definition, now).filter(|_| enabled);
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Flow>(name), held.document)],
            events: vec![self.desk().audit(
                by,
                if enabled { "flow.enabled" } else { "flow.disabled" },
                &json!({"flow": name, "version": flow.version}),
            )],
            documents: vec![put(&flow)?],
            timers: vec![first.unwrap_or(TimerWrite::Cancel(schedule::timer_id(name)))],
            ..Commit::default()
        };
        let committed = self.desk().commit(commit).await?;
        let document = committed.versions.first().copied().unwrap_or_default();
        self.inner.shelf.put(Held { flow, document, ..(*held).clone() });
        let held = self.held(name)?;
        self.sync_subscription(&held).await?;
        self.tidy_memories(name, Some(&held)).await?;
        Ok(held)
    }

    /// Takes a flow away: no new run begins. Its versions stay, as do its runs, which go on.
    pub async fn remove(&self, name: &str, by: &Principal) -> Result<(), Problem> {
        let _one = self.inner.publishing.lock().await;
        let held = self.held(name)?;
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Flow>(name), held.document)],
            events: vec![self.desk().audit(by, "flow.removed", &json!({"flow": name, "version": held.flow.version}))],
            documents: vec![Write::Delete(Key::of::<Flow>(name))],
            timers: vec![TimerWrite::Cancel(schedule::timer_id(name))],
            ..Commit::default()
        };
        self.desk().commit(commit).await?;
        self.inner.shelf.remove(name);
        self.unsubscribe(name, by).await?;
        self.tidy_memories(name, None).await
    }
}
