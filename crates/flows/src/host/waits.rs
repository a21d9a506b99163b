//! Who waits for which events, found by the event's type and by what the correlations must give.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nexus_core::{
    event::{Seq, StoredEvent},
    topic::Topic,
};
use serde_json::Value;

use super::{event::Seen, shelf::Published};
use crate::{
    effect::{Effect, Interest, Listen, WaitId},
    plan::{FilterPlan, Work},
};

/// One wait of one run.
pub(super) type Who = (String, WaitId);

/// A filter of a version of a flow: all runs that wait at it share it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) flow: String,
    pub(super) task: String,
    pub(super) filter: usize,
}

/// Who waits at one place.
pub(super) struct Group {
    published: Arc<Published>,
    /// By what the correlations must give.
    keyed: HashMap<String, Vec<Who>>,
    /// Those of which some correlation is not known yet, or that have none.
    open: BTreeSet<Who>,
}

/// The index.
#[derive(Default)]
pub(super) struct Index {
    /// Every event up to here was looked at.
    pub(super) position: Seq,
    /// By type; those that name none under `""`.
    pub(super) groups: HashMap<String, BTreeMap<Place, Group>>,
    /// Where each wait stands.
    pub(super) placed: HashMap<Who, Vec<(String, Place, Option<String>)>>,
    /// Waits for which the past is being read: the end of the log when they were asked for, and which time it was that they
    /// were. Their removal ends the reading.
    pub(super) reading: BTreeMap<Who, (Seq, u64)>,
    /// Waits that are being committed, by the end of the log before.
    pub(super) announced: BTreeMap<Who, Seq>,
    pub(super) asked: u64,
}

/// The router.
#[derive(Default)]
pub(super) struct Router(Mutex<Index>);

/// The filter that stands at a place.
pub(super) fn plan_at<'p>(published: &'p Published, place: &Place) -> Option<&'p FilterPlan> {
    let mut found = None;
    published.definition.each_node(&mut |node| {
        if node.pointer == place.task
            && let Work::Listen(plan) = &node.work
        {
            found = plan.strategy.filters().into_iter().nth(place.filter);
        }
    });
    found
}

/// One text for what correlations give; `None`: not all that the filter asks for are known.
fn key_of(plan: &FilterPlan, values: &BTreeMap<String, Value>) -> Option<String> {
    if plan.correlate.is_empty() {
        return None;
    }
    let parts: Option<Vec<&Value>> = plan.correlate.iter().map(|c| values.get(&c.name)).collect();
    serde_json::to_string(&parts?).ok()
}

/// The type under which a filter's waits are found: canonical, as the log has it.
pub(super) fn topic_of(interest: &Interest) -> String {
    let kind = interest.kind.as_deref().unwrap_or_default();
    Topic::parse(kind).map(|topic| topic.alias_of().unwrap_or(topic).as_str().to_owned()).unwrap_or_default()
}

/// The waits for events that a step asks for.
fn waits(effects: &[Effect]) -> impl Iterator<Item = WaitId> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Listen(listen) => Some(listen.id),
        _ => None,
    })
}

impl Router {
    pub(super) fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remove(&self, run: &str, wait: WaitId) {
        self.index().remove(&(run.to_owned(), wait));
    }

    /// Before a step that listens is committed: that the log was told further than this is not written down before what is
    /// in it was read for those who wait.
    pub(super) fn announce(&self, run: &str, effects: &[Effect]) {
        for wait in waits(effects) {
            let mut index = self.index();
            let floor = index.position;
            index.announced.insert((run.to_owned(), wait), floor);
        }
    }

    /// It was not committed after all.
    pub(super) fn retract(&self, run: &str, effects: &[Effect]) {
        for wait in waits(effects) {
            self.index().announced.remove(&(run.to_owned(), wait));
        }
    }
}

impl Index {
    fn remove(&mut self, who: &Who) {
        self.reading.remove(who);
        for (topic, place, key) in self.placed.remove(who).unwrap_or_default() {
            let Some(groups) = self.groups.get_mut(&topic) else { continue };
            if let Some(group) = groups.get_mut(&place) {
                match key {
                    None => drop(group.open.remove(who)),
                    Some(key) => {
                        if let Some(list) = group.keyed.get_mut(&key) {
                            list.retain(|other| other != who);
                            if list.is_empty() {
                                group.keyed.remove(&key);
                            }
                        }
                    }
                }
                if group.open.is_empty() && group.keyed.is_empty() {
                    groups.remove(&place);
                }
            }
            if groups.is_empty() {
                self.groups.remove(&topic);
            }
        }
    }

    pub(super) fn insert(&mut self, run: &str, listen: &Listen, published: &Arc<Published>) {
        let who = (run.to_owned(), listen.id);
        self.remove(&who);
        let flow = published.definition.id.to_string();
        let mut placed = Vec::with_capacity(listen.filters.len());
        for interest in &listen.filters {
            let place = Place { flow: flow.clone(), task: listen.task.clone(), filter: interest.filter };
            let topic = topic_of(interest);
            let key = plan_at(published, &place).and_then(|plan| key_of(plan, &interest.expect));
            let groups = self.groups.entry(topic.clone()).or_default();
            let group = groups.entry(place.clone()).or_insert_with(|| Group {
                published: Arc::clone(published),
                keyed: HashMap::new(),
                open: BTreeSet::new(),
            });
            match &key {
                None => drop(group.open.insert(who.clone())),
                Some(key) => group.keyed.entry(key.clone()).or_default().push(who.clone()),
            }
            placed.push((topic, place, key));
        }
        self.placed.insert(who, placed);
    }

    pub(super) fn concerned(&self, event: &StoredEvent) -> Vec<Who> {
        let mut found = HashSet::new();
        let mut seen = Seen::new(event);
        for topic in [event.topic.as_str(), ""] {
            for (place, group) in self.groups.get(topic).into_iter().flatten() {
                let Some(plan) = plan_at(&group.published, place) else { continue };
                let Some(envelope) = seen.for_filter(plan) else { continue };
                if !group.keyed.is_empty()
                    && let Some(values) = plan.correlation(envelope, &())
                    && let Some(key) = key_of(plan, &values.into_iter().collect())
                {
                    found.extend(group.keyed.get(&key).into_iter().flatten().cloned());
                }
                if !group.open.is_empty() && plan.matches(envelope, &()) {
                    found.extend(group.open.iter().cloned());
                }
            }
        }
        found.into_iter().collect()
    }
}
