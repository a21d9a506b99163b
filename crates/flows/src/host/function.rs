//! The default catalog: what flows call by `name:version@default`.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use nexus_core::access::Principal;
use serde_json::Value;

use super::{Flows, record::Lineage};
use crate::{
    catalog::unknown,
    effect::WaitId,
    error::{FlowError, Standard},
};

/// A call of a function, secrets in place.
#[derive(Clone)]
pub struct FunctionCall {
    /// Which.
    pub name: String,
    /// Which version.
    pub version: String,
    /// Its arguments.
    pub with: Value,
    /// The same whenever this task of this run is repeated: what was done under it before is not to be done again.
    pub key: String,
    /// The task.
    pub task: String,
    /// The wait that the answer is for.
    pub wait: WaitId,
    /// The run.
    pub run: String,
    /// `namespace/name` of its flow.
    pub flow: String,
    /// It may reach private addresses.
    pub private: bool,
    /// As whom it acts: with the scopes that the flow's publisher had.
    pub principal: Principal,
    /// What it belongs to.
    pub lineage: Lineage,
}

impl std::fmt::Debug for FunctionCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The arguments may hold secrets.
        write!(f, "FunctionCall({}:{} of {})", self.name, self.version, self.run)
    }
}

/// What a function gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// This.
    Done(Value),
    /// Nothing yet: whoever took the call answers with [`Flows::answer`], also after a restart.
    Later,
}

/// A function of the hub. What its own take stands in [`crate::catalog`]; others look at their arguments when they are called.
#[async_trait]
pub trait Function: Send + Sync {
    /// The versions there are, the newest last.
    fn versions(&self) -> &'static [&'static str] {
        &["1.0.0"]
    }

    /// Refuses a name of its family that stands for nothing.
    fn knows(&self, _name: &str) -> Result<(), String> {
        Ok(())
    }

    /// Does it. May be asked again with the same key, after a crash.
    async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError>;
}

/// The functions there are.
#[derive(Default)]
pub struct Functions(RwLock<BTreeMap<&'static str, Arc<dyn Function>>>);

impl std::fmt::Debug for Functions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Functions {
    /// Adds a function. A name that ends with a dot stands for all that begin with it.
    pub fn register(&self, name: &'static str, function: Arc<dyn Function>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, function);
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn find(&self, name: &str) -> Option<Arc<dyn Function>> {
        let functions = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let family = functions.iter().find(|(prefix, _)| prefix.ends_with('.') && name.starts_with(**prefix));
        functions.get(name).or(family.map(|(_, function)| function)).cloned()
    }

    /// Refuses a function that is not there, when a flow is published.
    pub fn check(&self, name: &str, version: &str) -> Result<(), String> {
        let Some(function) = self.find(name) else {
            let names = self.names();
            return Err(unknown(name, names));
        };
        function.knows(name)?;
        if function.versions().contains(&version) {
            return Ok(());
        }
        Err(format!("the function {name:?} has no version {version}; it has {}", function.versions().join(", ")))
    }

    pub(super) async fn call(&self, flows: &Flows, call: FunctionCall) -> Result<Reply, FlowError> {
        self.check(&call.name, &call.version).map_err(|what| FlowError::new(Standard::Configuration, what))?;
        let missing = || FlowError::new(Standard::Configuration, format!("the hub has no function {:?}", call.name));
        let function = self.find(&call.name).ok_or_else(missing)?;
        function.call(flows, call).await
    }
}
