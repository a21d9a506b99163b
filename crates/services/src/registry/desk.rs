//! Registering, heartbeats, leaving: each change is one commit of the document, its event and its timer.
//!
//! Whoever writes an instance holds its lock from reading its state to the end of the commit. Those commits run in tasks
//! of the hub's own, so that a caller who goes away does not leave the book behind the store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use nexus_core::{
    access::Principal,
    breaker::Breaker,
    event::NewEvent,
    problem::{Code, Problem},
    store::{Commit, CommitError, Guard, Key, Timer, TimerWrite, Write},
};
use nexus_engine::{desk::refused, supervisor::TaskKind, timers::OnTimer};
use serde_json::{Value, json};
use tokio::sync::MutexGuard;

use super::{
    Registry,
    book::{Instance, Live, State},
    choice, options,
    service::{NewService, Service, ServiceView, check_load},
    unknown,
    vitals::{Change, Status, Vitals},
};

/// Kind of the timers that look after heartbeats.
pub(super) const TIMER: &str = "service.heartbeat";
/// A timer is not set for sooner than this, as wall and monotonic time differ by a little.
const SOONEST: Duration = Duration::from_millis(20);
/// Changes of one instance that wait to be written; when writing fails for longer, they are told as one.
const PENDING: usize = 8;

/// The name of an instance's timer.
fn timer_id(id: &str) -> String {
    format!("{TIMER}/{id}")
}

/// What became of a registration.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The instance.
    pub service: ServiceView,
    /// It was not there before.
    pub created: bool,
}

impl Registry {
    /// Registers an instance, or updates the one of this id. Runs to its end also where the caller goes away.
    pub async fn register(&self, new: NewService, by: &Principal) -> Result<Registered, Problem> {
        let (registry, by) = (self.clone(), by.clone());
        self.to_its_end(async move { registry.take_in(new, &by).await }).await
    }

    /// Takes an instance out. Runs to its end also where the caller goes away.
    pub async fn deregister(&self, id: &str, by: &Principal) -> Result<(), Problem> {
        let (registry, id, by) = (self.clone(), id.to_owned(), by.clone());
        self.to_its_end(async move { registry.take_out(&id, &by).await }).await
    }

    /// Makes a change in a task of the hub's own: between a commit and the book nobody may leave.
    async fn to_its_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let (done, result) = tokio::sync::oneshot::channel();
        self.0.hub.spawn().start(TaskKind::Engine, async move {
            // Whoever waited may be gone.
            drop(done.send(change.await));
        });
        result.await.unwrap_or_else(|_| Err(Problem::new(Code::Unavailable, "the hub is stopping")))
    }

    async fn take_in(&self, new: NewService, by: &Principal) -> Result<Registered, Problem> {
        let service = Service::from_new(new, self.0.hub.clock().now())?;
        let _turn = self.turn(&service.id).await;
        match self.0.book.get(&service.id) {
            None => self.add(service, by).await,
            Some(old) if old.service.is_described_as(&service) => {
                old.live.report(service.load);
                self.alive(&old);
                self.check_soon(&old);
                self.write_changes(&old).await?;
                Ok(self.registered(&old, false))
            }
            Some(old) => self.update(&old, service, by).await,
        }
    }

    async fn add(&self, service: Service, by: &Principal) -> Result<Registered, Problem> {
        if self.0.book.len() >= options::SERVICES {
            let most = options::SERVICES;
            let message = format!("{most} services are registered, which is the most; deregister some that are gone");
            return Err(Problem::new(Code::Conflict, message));
        }
        let live = self.fresh(&service);
        let detail = json!({"id": service.id, "name": service.name, "host": service.host, "port": service.port});
        let data = json!({"id": service.id, "name": service.name, "from": null, "to": service.status,
            "reason": "registered"});
        let desk = self.0.hub.desk();
        let commit = Commit {
            guards: vec![Guard::Absent(Key::of::<Service>(&service.id))],
            documents: vec![put(&service)?],
            events: vec![
                self.notice("service.registered", &service.id, &data),
                desk.audit(by, "service.registered", &detail),
            ],
            timers: service.beats.then(|| self.arm(&service)).into_iter().collect(),
            ..Commit::default()
        };
        desk.commit(commit).await?;
        let instance = Arc::new(Instance::new(service, live));
        self.0.metrics.count(instance.service.status, 1);
        self.0.book.put(Arc::clone(&instance));
        self.check_soon(&instance);
        Ok(self.registered(&instance, true))
    }

    async fn update(&self, old: &Arc<Instance>, service: Service, by: &Principal) -> Result<Registered, Problem> {
        let service = Service { registered_at: old.service.registered_at, ..service };
        // Another place is another process: nothing that is known of the old one holds for it.
        let moved = !old.service.is_placed_as(&service);
        let live = if moved { self.fresh(&service) } else { Arc::clone(&old.live) };
        live.report(service.load);
        let next = Arc::new(Instance::new(service, live));
        if !moved {
            self.alive(&next);
        }
        let (document, version, changes, was) = {
            let was = old.live.state().vitals.status();
            let version = old.live.state().version;
            let mut state = next.live.state();
            let ttl = next.service.ttl(self.0.options.heartbeat_ttl);
            state.vitals.promise(ttl, next.service.ttl_seconds.is_some(), self.0.hub.clock().mono());
            (next.document(&state), version, std::mem::take(&mut state.pending), was)
        };
        let id = &document.id;
        let data = json!({"id": id, "name": document.name, "from": was, "to": document.status,
            "reason": if moved { "registered again, at another place" } else { "registered again, described anew" }});
        let detail = json!({"id": id, "name": document.name, "host": document.host, "port": document.port});
        let desk = self.0.hub.desk();
        let mut events = self.told(&document, &changes);
        events.push(self.notice("service.registered", id, &data));
        events.push(desk.audit(by, "service.registered", &detail));
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Service>(id), version)],
            documents: vec![put(&document)?],
            events,
            timers: document.beats.then(|| self.arm(&document)).into_iter().collect(),
            ..Commit::default()
        };
        let committed = desk.commit(commit).await;
        let mut state = next.live.state();
        match &committed {
            Ok(_) => {
                state.version = version + 1;
                state.armed = document.beats;
            }
            Err(_) => state.pending.splice(0..0, changes).for_each(drop),
        }
        drop(state);
        committed?;
        if moved {
            self.forget(&old.live);
            self.0.metrics.count(document.status, 1);
        }
        self.0.book.put(Arc::clone(&next));
        self.check_soon(&next);
        Ok(self.registered(&next, false))
    }

    async fn take_out(&self, id: &str, by: &Principal) -> Result<(), Problem> {
        let _turn = self.turn(id).await;
        let instance = self.0.book.get(id).ok_or_else(|| unknown(id))?;
        let (version, status) = {
            let state = instance.live.state();
            (state.version, state.vitals.status())
        };
        let name = &instance.service.name;
        let data = json!({"id": id, "name": name, "from": status, "to": null, "reason": "deregistered"});
        let desk = self.0.hub.desk();
        let key = Key::of::<Service>(id);
        let commit = Commit {
            guards: vec![Guard::Version(key.clone(), version)],
            documents: vec![Write::Delete(key)],
            events: vec![
                self.notice("service.deregistered", id, &data),
                desk.audit(by, "service.deregistered", &json!({"id": id, "name": name})),
            ],
            timers: vec![TimerWrite::Cancel(timer_id(id))],
            ..Commit::default()
        };
        desk.commit(commit).await?;
        self.forget(&instance.live);
        self.0.book.remove(id);
        Ok(())
    }

    /// What is seen of it from here on concerns nobody.
    fn forget(&self, live: &Live) {
        let mut state = live.state();
        state.gone = true;
        self.0.metrics.count(state.vitals.status(), -1);
    }

    /// An instance says that it lives, and how busy it is. Writes nothing unless this changes how it is.
    pub async fn heartbeat(&self, id: &str, load: Option<f64>) -> Result<ServiceView, Problem> {
        check_load(load.unwrap_or(0.0))?;
        let instance = self.0.book.get(id).ok_or_else(|| unknown(id))?;
        if let Some(load) = load {
            instance.live.report(load);
        }
        self.0.metrics.heartbeats.inc();
        if self.beat(&instance) {
            self.settle(&instance).await?;
        }
        Ok(instance.view(self.0.hub.clock().mono()))
    }

    /// Takes a heartbeat. Whether something is to be written now: a change, or its first timer.
    fn beat(&self, instance: &Instance) -> bool {
        let mut state = instance.live.state();
        state.last_heartbeat = self.0.hub.clock().now();
        let change = state.vitals.beat(self.0.hub.clock().mono());
        self.note(&mut state, change);
        !state.armed || !state.pending.is_empty()
    }

    /// Registering again is a sign of life, but promises no further ones.
    fn alive(&self, instance: &Instance) {
        let beats = instance.live.state().vitals.beats();
        if beats {
            self.beat(instance);
        } else {
            instance.live.state().last_heartbeat = self.0.hub.clock().now();
        }
    }

    /// Notes a change for the log; the rest of the process sees it at once.
    pub(super) fn note(&self, state: &mut State, change: Option<Change>) {
        let Some(change) = change.filter(|_| !state.gone) else { return };
        self.0.metrics.count(change.from, -1);
        self.0.metrics.count(change.to, 1);
        if state.pending.len() >= PENDING {
            // The log can't be written for long: what lies in between is not told one by one.
            if let Some(last) = state.pending.last_mut() {
                *last = Change { from: last.from, ..change };
            }
        } else {
            state.pending.push(change);
        }
    }

    /// Writes what is pending, in a task that goes on without whoever waits for it.
    pub(super) async fn settle(&self, instance: &Arc<Instance>) -> Result<(), Problem> {
        let (registry, id) = (self.clone(), instance.service.id.clone());
        self.to_its_end(async move {
            let _turn = registry.turn(&id).await;
            match registry.0.book.get(&id) {
                Some(instance) => registry.write_changes(&instance).await,
                None => Ok(()),
            }
        })
        .await
    }

    /// Writes what is pending. The caller holds the instance's lock.
    async fn write_changes(&self, instance: &Instance) -> Result<(), Problem> {
        let (document, version, changes, arm) = {
            let mut state = instance.live.state();
            let arm = !state.armed && state.vitals.expires_at().is_some();
            if state.pending.is_empty() && !arm {
                return Ok(());
            }
            (instance.document(&state), state.version, std::mem::take(&mut state.pending), arm)
        };
        let timers = arm.then(|| self.arm(&document)).into_iter().collect();
        let armed = arm || instance.live.state().armed;
        let committed = self.write(&document, version, &changes, timers).await;
        Self::wrote(instance, committed.as_ref().map(|()| armed).ok(), version, changes);
        committed.map_err(|e| refused(&e))
    }

    async fn write(
        &self,
        document: &Service,
        version: u64,
        changes: &[Change],
        timers: Vec<TimerWrite>,
    ) -> Result<(), CommitError> {
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Service>(&document.id), version)],
            documents: vec![put(document).map_err(|e| CommitError::Broken(e.message))?],
            events: self.told(document, changes),
            timers,
            lane: nexus_core::store::Lane::Own,
        };
        self.0.hub.desk().try_commit(commit).await.map(drop)
    }

    /// Brings the state up to date with a commit; a failed one (`armed` is none) leaves its changes for the next.
    fn wrote(instance: &Instance, armed: Option<bool>, version: u64, changes: Vec<Change>) {
        let mut state = instance.live.state();
        match armed {
            Some(armed) => {
                state.version = version + 1;
                state.armed = armed;
            }
            None => state.pending.splice(0..0, changes).for_each(drop),
        }
    }

    /// The events that tell of changes.
    fn told(&self, document: &Service, changes: &[Change]) -> Vec<NewEvent> {
        let tell = |change: &Change| {
            let data = json!({"id": document.id, "name": document.name, "from": change.from, "to": change.to,
                "reason": change.reason});
            self.notice("service.status_changed", &document.id, &data)
        };
        changes.iter().map(tell).collect()
    }

    fn notice(&self, topic: &str, id: &str, data: &Value) -> NewEvent {
        let mut event = self.0.hub.desk().notice(topic, data);
        event.subject = Some(id.to_owned());
        event
    }

    /// The timer that looks after the next heartbeat.
    fn arm(&self, service: &Service) -> TimerWrite {
        let due = self.0.hub.clock().now().plus(service.ttl(self.0.options.heartbeat_ttl));
        TimerWrite::Set {
            id: timer_id(&service.id),
            due,
            kind: TIMER.to_owned(),
            body: json!({"service": service.id}).to_string(),
        }
    }

    /// A registered instance's state.
    fn fresh(&self, service: &Service) -> Arc<Live> {
        let options = &self.0.options;
        let mono = self.0.hub.clock().mono();
        let ttl = service.ttl(options.heartbeat_ttl);
        let vitals = Vitals::registered(options.thresholds, ttl, service.beats, mono);
        Arc::new(Live::new(self.state(vitals, service, 1, service.beats), service.load))
    }

    /// An instance that an earlier process left.
    pub(super) fn recover(&self, service: Service, version: u64) {
        let options = &self.0.options;
        let left = (service.status, service.status_reason.clone());
        let ttl = service.ttl(options.heartbeat_ttl);
        let vitals = Vitals::recovered(options.thresholds, ttl, service.beats, left, self.0.hub.clock().mono());
        let armed = service.beats && service.status != Status::Expired;
        let live = Arc::new(Live::new(self.state(vitals, &service, version, armed), service.load));
        self.0.metrics.count(service.status, 1);
        let instance = Arc::new(Instance::new(service, live));
        self.0.book.put(Arc::clone(&instance));
        self.check_soon(&instance);
    }

    fn state(&self, vitals: Vitals, service: &Service, version: u64, armed: bool) -> State {
        State {
            vitals,
            breaker: Breaker::new(self.0.options.breaker),
            last_heartbeat: service.last_heartbeat,
            last_check: None,
            version,
            pending: Vec::new(),
            armed,
            checking: false,
            next_check: Duration::ZERO,
            checked_at: None,
            gone: false,
        }
    }

    fn registered(&self, instance: &Instance, created: bool) -> Registered {
        Registered { service: instance.view(self.0.hub.clock().mono()), created }
    }

    /// The right to write the instance of this id.
    async fn turn(&self, id: &str) -> MutexGuard<'_, ()> {
        let locks = &self.0.locks;
        let at = usize::try_from(choice::hash(id) % (locks.len() as u64)).unwrap_or(0);
        locks[at].lock().await
    }
}

fn put(service: &Service) -> Result<Write, Problem> {
    Write::put(service).map_err(|e| Problem::new(Code::Internal, e.to_string()))
}

#[async_trait]
impl OnTimer for Registry {
    /// Looks whether a heartbeat came since the timer was set, and when to look again.
    async fn fire(&self, timer: &Timer) -> Result<(), Problem> {
        let fired = TimerWrite::Fire { id: timer.id.clone(), version: timer.version };
        let id = timer.id.split_once('/').map_or("", |(_, id)| id);
        let _turn = self.turn(id).await;
        let Some(instance) = self.0.book.get(id) else {
            let commit = Commit { timers: vec![fired], ..Commit::default() };
            return self.0.hub.desk().commit(commit).await.map(drop);
        };
        let clock = self.0.hub.clock();
        let (document, version, changes, next) = {
            let now = clock.mono();
            let mut state = instance.live.state();
            let change = state.vitals.tick(now);
            self.note(&mut state, change);
            let next = state.vitals.expires_at().map(|at| at.saturating_sub(now).max(SOONEST));
            (instance.document(&state), state.version, std::mem::take(&mut state.pending), next)
        };
        let mut timers = vec![fired];
        if let Some(wait) = next {
            let (kind, body) = (timer.kind.clone(), timer.body.clone());
            timers.push(TimerWrite::Set { id: timer.id.clone(), due: clock.now().plus(wait), kind, body });
        }
        let committed = self.write(&document, version, &changes, timers).await;
        Self::wrote(&instance, committed.as_ref().map(|()| next.is_some()).ok(), version, changes);
        match committed {
            Ok(()) | Err(CommitError::Timer(_)) => Ok(()),
            Err(error) => Err(refused(&error)),
        }
    }
}
