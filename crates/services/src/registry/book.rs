//! The instances in memory: what the hot path of a call reads without a lock, and what decisions are made from under one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use nexus_core::{breaker::Breaker, time::Timestamp};

use super::{
    choice::{self, Candidate, Rank, Strategy},
    service::{Service, ServiceView},
    vitals::{Change, Vitals},
};

/// A registered instance: what it said of itself, and how it is. Replaced when it registers anew.
pub(super) struct Instance {
    /// What it said of itself. Its status and heartbeat are as of the last write; [`Live`] has the present ones.
    pub(super) service: Service,
    /// How it is; shared with the instance that it replaced, if that was at the same place.
    pub(super) live: Arc<Live>,
    /// `{base}/invoke`.
    pub(super) invoke_url: String,
    seed: u64,
    weight: f64,
    /// The strategy that it asks for.
    pub(super) strategy: Option<Strategy>,
}

/// How an instance is.
pub(super) struct Live {
    in_flight: AtomicU32,
    load: AtomicU64,
    rank: AtomicU8,
    /// Monotonic microseconds before which its breaker lets nothing through; 0 = closed, `MAX` = a probe is out.
    shut_until: AtomicU64,
    state: Mutex<State>,
}

/// What decisions are made from.
pub(super) struct State {
    pub(super) vitals: Vitals,
    pub(super) breaker: Breaker,
    pub(super) last_heartbeat: Timestamp,
    pub(super) last_check: Option<Timestamp>,
    /// Version of its document.
    pub(super) version: u64,
    /// Changes that the log does not have yet.
    pub(super) pending: Vec<Change>,
    /// Its timer runs.
    pub(super) armed: bool,
    /// A check is under way.
    pub(super) checking: bool,
    /// When it is checked next, monotonic. What the agenda has for another time is out of date.
    pub(super) next_check: Duration,
    /// When the last check began, monotonic.
    pub(super) checked_at: Option<Duration>,
    /// It was deregistered, or registered anew at another place.
    pub(super) gone: bool,
}

impl Live {
    pub(super) fn new(state: State, load: f64) -> Self {
        let live = Self {
            in_flight: AtomicU32::new(0),
            load: AtomicU64::new(load.to_bits()),
            rank: AtomicU8::new(0),
            shut_until: AtomicU64::new(0),
            state: Mutex::new(state),
        };
        drop(live.state());
        live
    }

    /// What decisions are made from; what the hot path reads follows when the guard is dropped.
    pub(super) fn state(&self) -> Held<'_> {
        Held { live: self, state: self.state.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    pub(super) fn report(&self, load: f64) {
        self.load.store(load.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> f64 {
        f64::from_bits(self.load.load(Ordering::Relaxed))
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn rank(&self, now: Duration) -> Rank {
        let shut_until = self.shut_until.load(Ordering::Relaxed);
        if shut_until > 0 && micros(now) < shut_until {
            return Rank::Never;
        }
        match self.rank.load(Ordering::Relaxed) {
            0 => Rank::First,
            1 => Rank::Doubtful,
            2 => Rank::Degraded,
            _ => Rank::Never,
        }
    }
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX - 1)
}

/// The state of an instance, locked.
pub(super) struct Held<'a> {
    live: &'a Live,
    state: MutexGuard<'a, State>,
}

impl std::ops::Deref for Held<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let rank = match self.state.vitals.rank() {
            Rank::First => 0,
            Rank::Doubtful => 1,
            Rank::Degraded => 2,
            Rank::Never => 3,
        };
        self.live.rank.store(rank, Ordering::Relaxed);
        let shut_until = match self.state.breaker.open_until() {
            None => 0,
            Some(until) if self.state.breaker.would_admit(until) => micros(until).max(1),
            Some(_) => u64::MAX,
        };
        self.live.shut_until.store(shut_until, Ordering::Relaxed);
    }
}

impl Instance {
    pub(super) fn new(service: Service, live: Arc<Live>) -> Self {
        Self {
            invoke_url: format!("{}/invoke", service.base()),
            seed: choice::hash(&service.id),
            weight: service.weight(),
            strategy: service.strategy(),
            service,
            live,
        }
    }

    pub(super) fn candidate(&self, now: Duration) -> Candidate {
        Candidate {
            rank: self.live.rank(now),
            load: self.live.load(),
            in_flight: self.live.in_flight(),
            weight: self.weight,
            seed: self.seed,
        }
    }

    /// The document as it is to be written now.
    pub(super) fn document(&self, state: &State) -> Service {
        Service {
            load: self.live.load(),
            last_heartbeat: state.last_heartbeat,
            beats: state.vitals.beats(),
            status: state.vitals.status(),
            status_reason: state.vitals.reason(),
            ..self.service.clone()
        }
    }

    pub(super) fn view(&self, now: Duration) -> ServiceView {
        let state = self.live.state();
        let (status, status_reason) = state.vitals.shown();
        let s = &self.service;
        ServiceView {
            id: s.id.clone(),
            name: s.name.clone(),
            version: s.version.clone(),
            status,
            status_reason,
            host: s.host.clone(),
            port: s.port,
            protocol: s.protocol,
            capabilities: s.capabilities.clone(),
            health_check_url: s.health_check_url.clone(),
            load: self.live.load(),
            in_flight: self.live.in_flight(),
            breaker: state.breaker.state(now),
            last_heartbeat: state.last_heartbeat.secs_f64(),
            last_check: state.last_check.map(Timestamp::secs_f64),
            registered_at: s.registered_at.secs_f64(),
            ttl_seconds: s.ttl_seconds,
            metadata: s.metadata.clone(),
        }
    }
}

/// The instances of one service, by id.
#[derive(Clone, Default)]
pub(super) struct Group {
    pub(super) instances: Vec<Arc<Instance>>,
    /// Counts the choices.
    pub(super) turn: Arc<AtomicU64>,
}

#[derive(Default)]
struct Pages {
    by_id: BTreeMap<String, Arc<Instance>>,
    groups: HashMap<String, Arc<Group>>,
}

impl Pages {
    fn leave_group(&mut self, instance: &Instance) {
        let name = instance.service.name.as_str();
        let Some(group) = self.groups.get_mut(name) else { return };
        Arc::make_mut(group).instances.retain(|i| i.service.id != instance.service.id);
        if group.instances.is_empty() {
            self.groups.remove(name);
        }
    }
}

/// All instances.
#[derive(Default)]
pub(super) struct Book(RwLock<Pages>);

impl Book {
    fn read(&self) -> RwLockReadGuard<'_, Pages> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.read().by_id.len()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Instance>> {
        self.read().by_id.get(id).cloned()
    }

    /// The instances of a service; one alone where its id is given.
    pub(super) fn group(&self, name: &str) -> Option<Arc<Group>> {
        let pages = self.read();
        pages.groups.get(name).cloned().or_else(|| {
            let instance = pages.by_id.get(name)?;
            Some(Arc::new(Group { instances: vec![Arc::clone(instance)], turn: Arc::default() }))
        })
    }

    /// All, by id.
    pub(super) fn all(&self) -> Vec<Arc<Instance>> {
        self.read().by_id.values().cloned().collect()
    }

    /// Inserts or replaces by id.
    pub(super) fn put(&self, instance: Arc<Instance>) {
        let mut pages = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (id, name) = (instance.service.id.clone(), instance.service.name.clone());
        if let Some(old) = pages.by_id.insert(id.clone(), Arc::clone(&instance)) {
            pages.leave_group(&old);
        }
        let group = Arc::make_mut(pages.groups.entry(name).or_default());
        let at = group.instances.partition_point(|i| i.service.id < id);
        group.instances.insert(at, instance);
    }

    pub(super) fn remove(&self, id: &str) {
        let mut pages = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = pages.by_id.remove(id) {
            pages.leave_group(&old);
        }
    }
}
