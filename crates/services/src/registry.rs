//! Who is there, how they are, and whom to call.
//!
//! - [`service`]: a service as it registers, is kept and is shown.
//! - [`vitals`], [`choice`]: how an instance is, and whom to call: pure decisions.
//! - `book`: the instances in memory. `desk`: registering and heartbeats, with their commits and timers.
//! - `probe`, `checks`: one look at an instance, and the schedule of all looks.
//! - [`invoke`]: the call itself. `metrics`: its figures.
//!
//! Documents and the log have what was decided; the book has what is known now. A heartbeat changes the book only: its
//! document follows when something else is written, at the latest when the instance's timer looks after it.

mod book;
mod checks;
pub mod choice;
mod desk;
pub mod invoke;
mod metrics;
pub mod options;
mod probe;
pub mod service;
pub mod vitals;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nexus_core::{
    plugin::PluginHost,
    problem::{Code, Problem},
    record::{Collection, Record},
    time::Timestamp,
};
use nexus_engine::{Hub, StartError, supervisor::TaskKind};

use self::{book::Book, checks::Agenda, metrics::RegistryMetrics};
pub use self::{
    choice::Strategy,
    invoke::{Invocation, Invoked},
    options::RegistryOptions,
    service::{Filter, LONGEST_TTL, NewService, Service, ServiceView},
    vitals::Status,
};

/// Writes to one instance happen one by one; so many locks serve all of them.
const LOCKS: usize = 64;

struct Inner {
    hub: Hub,
    plugins: Arc<dyn PluginHost>,
    options: RegistryOptions,
    metrics: RegistryMetrics,
    book: Book,
    agenda: Agenda,
    locks: Vec<tokio::sync::Mutex<()>>,
    calls: Arc<tokio::sync::Semaphore>,
}

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Registry({} instances)", self.0.book.len())
    }
}

/// What it keeps.
pub(crate) fn collections() -> Vec<&'static Collection> {
    vec![Service::COLLECTION]
}

impl Registry {
    /// Reads what earlier processes left, and starts watching over it.
    pub async fn open(hub: &Hub, options: RegistryOptions, plugins: Arc<dyn PluginHost>) -> Result<Self, StartError> {
        let stored: Vec<(Service, u64)> = hub.desk().load().await?;
        let registry = Self(Arc::new(Inner {
            metrics: RegistryMetrics::new(hub.metrics()),
            hub: hub.clone(),
            plugins,
            book: Book::default(),
            agenda: Agenda::default(),
            locks: (0..LOCKS).map(|_| tokio::sync::Mutex::new(())).collect(),
            calls: Arc::new(tokio::sync::Semaphore::new(options::INVOKES_AT_ONCE)),
            options,
        }));
        for (service, version) in stored {
            registry.recover(service, version);
        }
        hub.timers().register(desk::TIMER, Arc::new(registry.clone()));
        let checks = registry.clone();
        hub.spawn().start(TaskKind::Background, async move { checks.run_checks().await });
        Ok(registry)
    }

    /// The longest time that a caller may give a call.
    pub fn longest_invoke_timeout(&self) -> Duration {
        self.0.options.longest_invoke_timeout
    }

    /// The instances that are wanted, by id.
    pub fn list(&self, filter: &Filter) -> Vec<ServiceView> {
        let now = self.0.hub.clock().mono();
        let views = self.0.book.all().into_iter().filter(|i| filter.fits(&i.service)).map(|i| i.view(now));
        views.filter(|view| filter.status.is_empty() || filter.status.contains(&view.status)).collect()
    }

    /// Those of this name, the best first, else the one of this id; never none. As a call finds them.
    pub fn find(&self, name_or_id: &str) -> Result<Vec<ServiceView>, Problem> {
        let now = self.0.hub.clock().mono();
        let group = self.0.book.group(name_or_id).ok_or_else(|| unknown(name_or_id))?;
        let mut views: Vec<ServiceView> = group.instances.iter().map(|i| i.view(now)).collect();
        views.sort_by_key(|view| view.status);
        Ok(views)
    }

    /// The name of the service that a name or an id leads to.
    pub fn name_of(&self, name_or_id: &str) -> Option<String> {
        let group = self.0.book.group(name_or_id)?;
        group.instances.first().map(|instance| instance.service.name.clone())
    }

    /// How each service is: as its best instance. Services by name.
    pub fn statuses(&self) -> BTreeMap<String, (Status, Option<Timestamp>)> {
        let mut found: BTreeMap<String, (Status, Option<Timestamp>)> = BTreeMap::new();
        for instance in self.0.book.all() {
            let state = instance.live.state();
            let seen = (state.vitals.shown().0, state.last_check);
            let entry = found.entry(instance.service.name.clone()).or_insert(seen);
            *entry = (entry.0.min(seen.0), entry.1.max(seen.1));
        }
        found
    }
}

fn unknown(name: &str) -> Problem {
    Problem::new(Code::NotFound, format!("there is no service {name:?}"))
}
