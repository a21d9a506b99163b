//! Flows in the hub: durable runs over its log, its timers and its client.
//!
//! A run is one document. Whatever happens to it (it begins, a call is answered, a timer is due, an event comes) is one
//! input; [`crate::run::step`] takes it, and what it asks for is one commit together with the run's new state. Only then is
//! anything done outside. So a run is, at every moment, exactly as far as the store says, and a restart asks again for what
//! is open, with the same keys.
//!
//! - [`record`]: what is kept. `shelf`: published flows, compiled. `publish`, `rights`, `subscriptions`: how they get there; `warn`: what is said then.
//! - `runner`: one input, one step, one commit; `begin`: the first. `commit`: what is in it. `follow`: what comes after it.
//! - `perform`, `grants`, [`function`], `catalog`, `connector`: calls. `slots`: how many at once. [`approval`]: those that a person
//!   answers.
//! - `trigger`, `schedule`, `router`, `waits`, `event`: what begins runs, and what they are told. `budget`: how many. `turns`: in which order.
//! - `behaviour`: what they detect. `backtest`, `past`: what they would have done.
//! - [`queries`], [`view`], [`report`], `waiters`, `metrics`: seeing them. `keeping`, `erase`: forgetting them.
//!   `aside`: those that can't be read.

pub mod approval;
mod aside;
mod backtest;
mod begin;
mod behaviour;
mod budget;
mod catalog;
mod commit;
mod connector;
mod erase;
mod event;
mod follow;
pub mod form;
pub mod function;
mod grants;
mod keeping;
mod metrics;
mod past;
mod perform;
mod publish;
pub mod queries;
pub mod record;
pub mod report;
mod rights;
mod router;
mod runner;
mod schedule;
mod shelf;
mod slots;
mod subscriptions;
mod trigger;
mod turns;
pub mod view;
mod waiters;
mod waits;
mod warn;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use nexus_core::{
    access::Principal,
    problem::{Code, Problem},
    record::{Document, Record},
    time::{Clock, Timestamp},
};
use nexus_engine::{Hub, HubBuilder, StartError, desk::Desk, supervisor::TaskKind};
use tokio_util::sync::CancellationToken;

pub use self::{
    aside::UNREADABLE,
    backtest::{At, Backtest, Finding, LookBack},
    begin::Begun,
    behaviour::{KEYS, Remembered},
    budget::{KEYED, UNKEYED},
    catalog::{arguments, refusal},
    function::{Function, FunctionCall, Functions, Reply},
    keeping::HISTORY,
    past::{Compared, Past, Rehearse},
    publish::{Publication, Publishing},
    queries::{Listed, RunFilter},
    record::{Erased, Lineage, Run, Trigger, collections},
    runner::Told,
    shelf::{Held, Published},
    trigger::{Asked, Door},
    view::RunView,
};
use crate::{
    effect::{Answer, Input, WaitId},
    run::{RetryError, choose},
    webhook::WebhookPlan,
};

/// The handler that the flows' subscriptions name.
const HANDLER: &str = "flows";
/// Runs that wait for one key.
const QUEUED: u32 = 1_000;
/// A fire that is later than this was missed: nothing ran.
const MISSED: Duration = Duration::from_secs(60);

/// Where the flows are found once they are open.
#[derive(Default)]
struct Slot {
    flows: OnceLock<Flows>,
    /// Whose turn it is to begin; from before they are there.
    turns: Arc<turns::Turns>,
    /// They go on.
    ready: CancellationToken,
}

struct Inner {
    hub: Hub,
    shelf: shelf::Shelf,
    table: runner::Table,
    router: waits::Router,
    functions: Functions,
    grants: grants::Grants,
    memories: behaviour::Memories,
    waiters: waiters::Waiters,
    metrics: metrics::FlowMetrics,
    ready: CancellationToken,
    slots: slots::Slots,
    budgets: budget::Budgets,
    turns: Arc<turns::Turns>,
    aside: aside::Aside,
    erasures: erase::Erasures,
    /// When they were opened.
    opened: Timestamp,
    publishing: tokio::sync::Mutex<()>,
    /// Under which URL the outside reaches this hub.
    public_url: OnceLock<String>,
    /// Files that could not be published, and why.
    files: std::sync::Mutex<std::collections::BTreeMap<String, String>>,
}

/// The flows of a hub. Cheap to clone.
#[derive(Clone)]
pub struct Flows {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Flows({:?})", self.inner.hub)
    }
}

impl Door {
    /// Registers it with a hub that is being built.
    pub fn attach(&self, builder: HubBuilder) -> HubBuilder {
        builder.handler(HANDLER, Arc::new(self.clone()))
    }
}

/// A record as it was written.
fn read<R: Record>(document: &Document) -> Result<R, Problem> {
    serde_json::from_str(&document.body).map_err(|error| {
        tracing::error!(%error, collection = R::COLLECTION.name, key = document.key, "a record can't be read");
        Problem::new(Code::Internal, "a record can't be read; the log of the hub says why")
    })
}

impl Flows {
    /// Opens them over the hub's store: what was published, and what runs. [`Self::go_on`] comes next.
    pub async fn open(hub: &Hub, door: &Door) -> Result<Self, StartError> {
        let inner = Inner {
            hub: hub.clone(),
            shelf: shelf::Shelf::default(),
            table: runner::Table::default(),
            router: waits::Router::default(),
            functions: Functions::default(),
            grants: grants::Grants::default(),
            memories: behaviour::Memories::default(),
            waiters: waiters::Waiters::default(),
            metrics: metrics::FlowMetrics::new(hub),
            ready: door.0.ready.clone(),
            slots: slots::Slots::default(),
            budgets: budget::Budgets::default(),
            turns: Arc::clone(&door.0.turns),
            aside: aside::Aside::default(),
            erasures: erase::Erasures::default(),
            opened: hub.desk().now(),
            publishing: tokio::sync::Mutex::default(),
            public_url: OnceLock::new(),
            files: std::sync::Mutex::default(),
        };
        let flows = Self { inner: Arc::new(inner) };
        catalog::register(&flows);
        approval::register(&flows);
        flows.inner.shelf.load(flows.desk()).await?;
        hub.log().kept_by(Arc::new(erase::Owner(flows.clone())));
        hub.timers().register(commit::TIMER, Arc::new(schedule::RunTimers(flows.clone())));
        hub.timers().register(schedule::TIMER, Arc::new(schedule::Due(flows.clone())));
        hub.timers().register(behaviour::TIMER, Arc::new(behaviour::Overdue(flows.clone())));
        door.0.flows.set(flows.clone()).map_err(|_| StartError::Other("the flows were opened twice".to_owned()))?;
        Ok(flows)
    }

    /// Asks again for everything that was open when the last process ended, and begins to follow the log. After every
    /// function was registered, before the hub's timers start. Ended runs are kept for `history`.
    pub async fn go_on(&self, history: Duration) -> Result<(), StartError> {
        let other = |problem: Problem| StartError::Other(problem.message);
        self.unsubscribe_removed().await.map_err(other)?;
        for held in self.inner.shelf.list() {
            self.sync_subscription(&held).await.map_err(other)?;
        }
        self.tidy_all_memories().await.map_err(other)?;
        self.restore_listens().await?;
        self.inner.hub.spawn().start(TaskKind::Engine, self.clone().follow_log());
        self.inner.hub.spawn().start(TaskKind::Background, self.clone().keep_house(history));
        self.recover().await.map_err(other)?;
        self.inner.ready.cancel();
        Ok(())
    }

    /// Calls, further steps and other runs that no answer is there for. A run that can't be read is set aside.
    async fn recover(&self) -> Result<(), Problem> {
        let mut busy = Vec::new();
        self.each_of("busy", |run| busy.push(run.state.id)).await?;
        for id in busy {
            self.ask_again(&id);
        }
        let mut queued = std::collections::BTreeSet::new();
        self.each_of("queued", |run| {
            queued.insert((run.flow(), run.key.unwrap_or_default()));
        })
        .await?;
        for (flow, key) in queued {
            self.next_of_key(&flow, &key);
        }
        self.cut_off_orphans().await?;
        self.tell_aside().await
    }

    /// The functions that flows may call.
    pub fn functions(&self) -> &Functions {
        &self.inner.functions
    }

    /// Every flow.
    pub fn list(&self) -> Vec<Arc<Held>> {
        self.inner.shelf.list()
    }

    /// The enabled flow that lives at this address.
    pub fn at_address(&self, method: &str, path: &str) -> Option<(String, Arc<WebhookPlan>)> {
        self.inner.shelf.list().iter().filter(|held| held.flow.enabled).find_map(|held| {
            let plan = held.current.definition.settings.webhook.as_ref()?;
            (plan.method == method && plan.path == path).then(|| (held.flow.name.clone(), Arc::clone(plan)))
        })
    }

    /// The methods of the flows that live at a path.
    pub fn methods_at(&self, path: &str) -> Vec<String> {
        let flows = self.inner.shelf.list();
        let plans = flows.iter().filter(|held| held.flow.enabled);
        let plans = plans.filter_map(|held| held.current.definition.settings.webhook.as_ref());
        plans.filter(|plan| plan.path == path).map(|plan| plan.method.clone()).collect()
    }

    /// Answers a call that a function took with [`Reply::Later`].
    pub async fn answer(&self, run: &str, wait: WaitId, answer: Answer) -> Result<Told, Problem> {
        self.tell(run, Input::CallDone { id: wait, answer }, None).await
    }

    /// Ends a run. What it has done stays done; runs that it started end, too.
    pub async fn cancel(&self, run: &str, by: &Principal) -> Result<RunView, Problem> {
        self.command(run, Input::Cancel, "flow.run_cancelled", by).await
    }

    /// Halts a run: what comes is kept, nothing is done.
    pub async fn suspend(&self, run: &str, by: &Principal) -> Result<RunView, Problem> {
        self.command(run, Input::Suspend, "flow.run_suspended", by).await
    }

    /// Lets a halted run go on.
    pub async fn resume(&self, run: &str, by: &Principal) -> Result<RunView, Problem> {
        self.command(run, Input::Resume, "flow.run_resumed", by).await
    }

    /// Has a faulted run do a task again: the one that failed, or another by its name or its place: one around it, or
    /// one before it (`run::choose` says which can be).
    pub async fn retry(&self, run: &str, task: Option<String>, by: &Principal) -> Result<RunView, Problem> {
        let found = self.find(run).await?;
        let published = self.inner.shelf.version(self.desk(), &found.state.flow).await?;
        let task = choose(&published.definition, &found.state, task.as_deref()).map_err(|error| match error {
            RetryError::Task(what) => Problem::field("task", what),
            RetryError::Run(what) => Problem::new(Code::Conflict, what),
        })?;
        self.command(run, Input::RetryFrom { task }, "flow.run_retried", by).await
    }

    async fn command(&self, run: &str, input: Input, action: &str, by: &Principal) -> Result<RunView, Problem> {
        let before = self.find(run).await?;
        match self.tell(run, input, None).await? {
            Told::Taken => {
                let audit = self.desk().audit(by, action, &serde_json::json!({"run": run, "flow": before.flow()}));
                self.desk().commit(nexus_core::store::Commit { events: vec![audit], ..Default::default() }).await?;
                self.run(run).await
            }
            Told::Ignored => Err(Problem::new(
                Code::Conflict,
                format!("run {run} is {}; that can't be done with it now", before.status()),
            )),
        }
    }

    fn desk(&self) -> &Desk {
        self.inner.hub.desk()
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.inner.hub.clock()
    }
}
