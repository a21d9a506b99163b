//! Published flows in memory: which there are, and their versions, compiled when they are needed.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::{Document, Record},
    store::{IndexQuery, Range},
};
use nexus_engine::desk::{Desk, unreadable};

use super::record::{Flow, Version, name_of};
use crate::{
    plan::{Definition, FlowId},
    publish,
};

/// Compiled versions that are kept beside those that new runs begin with.
const COMPILED: usize = 512;

/// A version, ready to be interpreted.
#[derive(Debug)]
pub struct Published {
    /// The flow.
    pub definition: Definition,
    /// It may call private addresses.
    pub private: bool,
    /// As whom its runs act: with the scopes that its publisher had.
    pub principal: Principal,
}

/// A flow with the version that new runs begin with.
#[derive(Clone, Debug)]
pub struct Held {
    /// As it is kept.
    pub flow: Flow,
    /// Version of its document.
    pub(super) document: u64,
    /// Compiled.
    pub current: Arc<Published>,
    /// Every version of it.
    pub(super) versions: Vec<String>,
}

impl Held {
    /// Every version of it, in the order of their publishing.
    pub fn versions(&self) -> &[String] {
        &self.versions
    }
}

/// The shelf.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    flows: RwLock<BTreeMap<String, Arc<Held>>>,
    compiled: Mutex<HashMap<String, Arc<Published>>>,
}

/// As whom the runs of a version act.
pub(super) fn principal(version: &Version) -> Principal {
    Principal::new(format!("flow:{}", name_of(&version.id)), version.scopes.iter().cloned())
}

/// Compiles a document that was published before.
fn compile(version: &Version) -> Result<Published, Problem> {
    let definition = publish(&version.text).map_err(|problems| {
        let first = problems.list().first().map(ToString::to_string).unwrap_or_default();
        Problem::new(Code::Internal, format!("{} was published by another version of the hub: {first}", version.id))
    })?;
    Ok(Published {
        definition: Definition { id: version.id.clone(), ..definition },
        private: version.private,
        principal: principal(version),
    })
}

/// The records of a collection with their versions; what can't be read is said in the log and left out.
pub(super) async fn readable<R: Record>(desk: &Desk) -> Result<Vec<(R, u64)>, nexus_core::store::StoreError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let range = Range { collection: R::COLLECTION, index: "", prefix: Vec::new(), from: None, until: None };
        let query = IndexQuery { range, descending: false, filters: Vec::new(), after, limit: 1_000 };
        let page = desk.store.list(query).await?;
        let read = |document: &Document| Some((super::read(document).ok()?, document.version));
        found.extend(page.items.iter().filter_map(read));
        after = page.next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

impl Shelf {
    /// Everything that was published. A flow that no longer compiles stays out, and the log says why.
    pub(super) async fn load(&self, desk: &Desk) -> Result<(), nexus_core::store::StoreError> {
        let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut texts: HashMap<String, Version> = HashMap::new();
        let mut found: Vec<(Version, u64)> = readable(desk).await?;
        found.sort_by_key(|(version, _)| version.at);
        for (version, _) in found {
            versions.entry(name_of(&version.id)).or_default().push(version.id.version.clone());
            texts.insert(version.id.to_string(), version);
        }
        for (flow, document) in readable::<Flow>(desk).await? {
            let text = texts.get(&format!("{}@{}", flow.name, flow.version));
            let current =
                text.ok_or_else(|| Problem::new(Code::NotFound, "its version is not there")).and_then(compile);
            match current {
                Ok(current) => {
                    let versions = versions.remove(&flow.name).unwrap_or_default();
                    self.put(Held { flow, document, current: Arc::new(current), versions });
                }
                Err(problem) => tracing::error!(flow = flow.name, error = problem.message, "a flow can't be run"),
            }
        }
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Held>>> {
        self.flows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Held>>> {
        self.flows.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache(&self) -> MutexGuard<'_, HashMap<String, Arc<Published>>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, held: Held) {
        self.write().insert(held.flow.name.clone(), Arc::new(held));
    }

    pub(super) fn remove(&self, name: &str) {
        self.write().remove(name);
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<Held>> {
        self.read().get(name).cloned()
    }

    pub(super) fn list(&self) -> Vec<Arc<Held>> {
        self.read().values().cloned().collect()
    }

    /// The version that `id` means: `latest`, one by its whole name, or the last that was published under its number.
    pub(super) fn resolve(&self, id: &FlowId) -> Option<(FlowId, bool)> {
        let held = self.find(&name_of(id))?;
        let version = match id.version.as_str() {
            "latest" => held.flow.version.clone(),
            asked => {
                let under = |have: &&String| {
                    have.as_str() == asked || have.strip_prefix(asked).is_some_and(|rest| rest.starts_with('+'))
                };
                let current = Some(&held.flow.version).filter(|v| under(v));
                current.or_else(|| held.versions.iter().rev().find(under))?.clone()
            }
        };
        Some((FlowId { version, ..id.clone() }, held.current.private))
    }

    /// This very version, compiled.
    pub(super) async fn version(&self, desk: &Desk, id: &FlowId) -> Result<Arc<Published>, Problem> {
        if let Some(held) = self.find(&name_of(id)).filter(|held| held.flow.version == id.version) {
            return Ok(Arc::clone(&held.current));
        }
        let key = id.to_string();
        if let Some(found) = self.cache().get(&key) {
            return Ok(Arc::clone(found));
        }
        let document = desk.store.get(Version::COLLECTION, &key).await.map_err(unreadable)?;
        let document = document.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no flow {key}")))?;
        let version: Version = super::read(&document)?;
        let published = Arc::new(compile(&version)?);
        let mut cache = self.cache();
        if cache.len() >= COMPILED {
            cache.retain(|_, published| Arc::strong_count(published) > 1);
        }
        if cache.len() < COMPILED {
            cache.insert(key, Arc::clone(&published));
        }
        Ok(published)
    }
}
