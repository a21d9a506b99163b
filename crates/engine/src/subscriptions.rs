//! The subscription desk: changes them, says how they stand, tests their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use nexus_core::{
    access::Principal,
    event::{Seq, StoredEvent},
    problem::{Code, Problem},
    store::{Commit, Entry, Guard, Key, Position, SubNo, Write},
};

use crate::{
    delivery::{attempt::Sender, driver::Change, spec::Spec},
    desk::{Created, Desk, Shelf},
    dispatch::Dispatch,
    subscription::{Activity, NewSubscription, Revision, Subscription, SubscriptionPatch, Target},
    vault::Vault,
};

mod define;
mod sample;
mod status;

use self::define::same;
pub use self::status::{EndpointStatus, SubscriptionStatus, why};

/// The subscription desk.
#[derive(Debug)]
pub struct Subscriptions {
    desk: Desk,
    vault: Arc<Vault>,
    sender: Arc<Sender>,
    dispatch: Dispatch,
    shelf: Shelf<Subscription>,
    revisions: RwLock<BTreeMap<SubNo, Vec<Revision>>>,
    next_no: std::sync::atomic::AtomicU32,
    /// One change at a time: numbers, revisions and the dispatcher's hold must not interleave.
    changing: tokio::sync::Mutex<()>,
}

impl Subscriptions {
    /// Over what was read at the start.
    pub fn new(
        desk: Desk,
        vault: Arc<Vault>,
        sender: Arc<Sender>,
        dispatch: Dispatch,
        stored: Vec<(Subscription, u64)>,
        revisions: Vec<Revision>,
    ) -> Self {
        let mut by_no: BTreeMap<SubNo, Vec<Revision>> = BTreeMap::new();
        for revision in revisions {
            by_no.entry(revision.no).or_default().push(revision);
        }
        let next = by_no.keys().next_back().copied().unwrap_or(0) + 1;
        let shelf = stored.into_iter().map(|(s, v)| (s.name.clone(), (s, v))).collect();
        Self {
            desk,
            vault,
            sender,
            dispatch,
            shelf: RwLock::new(shelf),
            revisions: RwLock::new(by_no),
            next_no: next.into(),
            changing: tokio::sync::Mutex::new(()),
        }
    }

    fn shelf(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, (Subscription, u64)>> {
        self.shelf.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// All, by name.
    pub fn list(&self) -> Vec<Subscription> {
        self.shelf().values().map(|(s, _)| s.clone()).collect()
    }

    /// One.
    pub fn get(&self, name: &str) -> Result<Subscription, Problem> {
        self.held(name).map(|(s, _)| s)
    }

    /// The name of a number, also of a removed one.
    pub fn name_of(&self, no: SubNo) -> Option<String> {
        let revisions = self.revisions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        revisions.get(&no).and_then(|r| r.last()).map(|r| r.name.clone())
    }

    /// The revisions of those subscriptions, removed ones included, that any of their revisions could concern with
    /// `event`, and of those in `also`.
    pub fn concerned(&self, event: &StoredEvent, also: &BTreeSet<SubNo>) -> Vec<(SubNo, Vec<Revision>)> {
        let alias = event.attributes.as_ref().and_then(|_| event.attributes().alias);
        let names =
            |r: &Revision| r.filters.iter().any(|f| f.name_for(event.topic.as_str(), alias.as_deref()).is_some());
        let revisions = self.revisions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let concerned = revisions.iter().filter(|(no, list)| also.contains(no) || list.iter().any(names));
        concerned.map(|(no, list)| (*no, list.clone())).collect()
    }

    fn held(&self, name: &str) -> Result<(Subscription, u64), Problem> {
        let found = self.shelf().get(name).cloned();
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no subscription {name:?}")))
    }

    /// Adds a subscription. A webhook without a secret gets one, returned this once.
    pub async fn create(&self, new: NewSubscription, by: &Principal) -> Result<Created<Subscription>, Problem> {
        let _one = self.changing.lock().await;
        if self.shelf().contains_key(&new.name) {
            return Err(Problem::new(Code::Conflict, format!("subscription {:?} exists already", new.name)));
        }
        let since = new.since;
        let (mut subscription, given) = self.build(new, by)?;
        let made = match (&given, &subscription.target) {
            (None, Target::Webhook { .. }) => Some(self.vault.generate()?),
            _ => None,
        };
        let no = self.next_no.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        subscription.no = no;
        let secret = given.or_else(|| made.clone());
        let mut documents = Vec::new();
        if let Some(value) = &secret {
            let name = format!("subscription/{no}/1");
            documents.push(self.vault.put(&name, value)?);
            subscription.secret = Some(name);
        }
        let hold = self.dispatch.hold().await?;
        let head = self.desk.store.head().seq;
        // It begins after everything that was accepted before it, also where the dispatcher has yet to come by.
        let from = since.map_or(hold.head.max(head), |s| s.min(head)) + 1;
        subscription.since_seq = from - 1;
        if from <= hold.head {
            // Its positions come first: without them a crash would let it begin at the watermark instead.
            drop(hold);
            let entries = subscription.lanes().map(|lane| Entry::Position(Position { sub: no, lane, next: from }));
            self.dispatch.save(entries.collect()).await?;
            let hold = self.dispatch.hold().await?;
            self.commit_new(subscription.clone(), from, documents, secret.as_deref(), by, hold).await?;
        } else {
            self.commit_new(subscription.clone(), from, documents, secret.as_deref(), by, hold).await?;
        }
        Ok(Created { value: subscription, secret: made })
    }

    /// Adds a subscription where there is none of its name. Where there is one, all that the caller says of deliveries must
    /// be true of it; what the caller leaves open may have been set otherwise since.
    pub async fn ensure(&self, new: NewSubscription, by: &Principal) -> Result<Created<Subscription>, Problem> {
        if let Ok(found) = self.get(&new.name) {
            return same(&new, found);
        }
        let name = new.name.clone();
        let asked = new.clone();
        match self.create(new, by).await {
            // Somebody else was quicker.
            Err(problem) if problem.code == Code::Conflict => match self.get(&name) {
                Ok(found) => same(&asked, found),
                Err(_) => Err(problem),
            },
            made => made,
        }
    }

    async fn commit_new(
        &self,
        subscription: Subscription,
        from: Seq,
        documents: Vec<Write>,
        secret: Option<&str>,
        by: &Principal,
        hold: crate::dispatch::Hold,
    ) -> Result<(), Problem> {
        let active = subscription.activity == Activity::Active;
        let vault_name = subscription.secret.clone();
        let spec = self.store(subscription, 0, from, documents, by, "subscription.created").await?;
        // The dispatcher sends as soon as it is told; the secret must be readable by then.
        if let (Some(name), Some(value)) = (vault_name, secret) {
            self.vault.opened(&name, value);
        }
        hold.apply(Change::Add(spec, active, from));
        Ok(())
    }

    /// Commits a subscription with its next revision and returns it compiled.
    async fn store(
        &self,
        subscription: Subscription,
        version: u64,
        from: Seq,
        mut documents: Vec<Write>,
        by: &Principal,
        action: &str,
    ) -> Result<Arc<Spec>, Problem> {
        let internal = |e: String| Problem::new(Code::Internal, e);
        let revision = Revision {
            no: subscription.no,
            name: subscription.name.clone(),
            revision: subscription.revision,
            from_seq: from,
            filters: subscription.filters.clone(),
            predicate: subscription.predicate.clone(),
        };
        let mut revisions = self.revisions_of(subscription.no);
        revisions.push(revision.clone());
        let spec = Spec::compile(subscription.clone(), &revisions).map_err(|e| internal(e.to_string()))?;
        documents.push(Write::put(&subscription).map_err(|e| internal(e.to_string()))?);
        documents.push(Write::put(&revision).map_err(|e| internal(e.to_string()))?);
        let key = Key::of::<Subscription>(&subscription.name);
        let guard = if version == 0 { Guard::Absent(key) } else { Guard::Version(key, version) };
        let detail = serde_json::to_value(&subscription).map_err(|e| internal(e.to_string()))?;
        let commit = Commit {
            guards: vec![guard],
            documents,
            events: vec![self.desk.audit(by, action, &detail)],
            ..Commit::default()
        };
        self.desk.commit(commit).await?;
        self.revisions.write().unwrap_or_else(std::sync::PoisonError::into_inner).insert(subscription.no, revisions);
        self.shelf
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(subscription.name.clone(), (subscription, version + 1));
        Ok(Arc::new(spec))
    }

    fn revisions_of(&self, no: SubNo) -> Vec<Revision> {
        let revisions = self.revisions.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        revisions.get(&no).cloned().unwrap_or_default()
    }

    /// Where a new revision begins: after what was dispatched, and never before the revision it replaces (after a crash
    /// the dispatcher may stand before that one's beginning).
    fn next_from(&self, no: SubNo, head: Seq) -> Seq {
        let last = self.revisions_of(no).iter().map(|r| r.from_seq).max();
        last.unwrap_or(0).max(head + 1)
    }

    /// Changes a subscription. What it has already read goes by its earlier rule.
    pub async fn update(
        &self,
        name: &str,
        patch: SubscriptionPatch,
        by: &Principal,
    ) -> Result<Created<Subscription>, Problem> {
        let _one = self.changing.lock().await;
        let (mut s, version) = self.held(name)?;
        s.filters = patch.filters.unwrap_or(s.filters);
        if let Some(predicate) = patch.predicate {
            s.predicate = Some(predicate).filter(|p| !p.is_empty());
        }
        if let Some(url) = patch.url {
            let headers = if let Target::Webhook { headers, .. } = s.target { headers } else { BTreeMap::new() };
            s.target = Target::Webhook { url, headers };
            s.private = by.may("endpoints:private");
        }
        if let Some(target) = patch.target {
            s.target = target;
            s.private = by.may("endpoints:private");
        }
        s.on_dead = patch.on_dead.unwrap_or(s.on_dead);
        s.concurrency = patch.concurrency.unwrap_or(s.concurrency);
        s.retry = patch.retry.map_or(s.retry, |r| r.0);
        s.max_attempts = patch.max_attempts.unwrap_or(s.max_attempts);
        s.timeout_ms = patch.timeout_ms.unwrap_or(s.timeout_ms);
        s.keep_exchanges = patch.keep_exchanges.unwrap_or(s.keep_exchanges);
        self.check(&s)?;
        s.revision += 1;
        s.updated_at = self.desk.now();
        let mut documents = Vec::new();
        let mut opened = None;
        if let Some(secret) = patch.secret {
            let vault_name = format!("subscription/{}/{}", s.no, s.revision);
            documents.push(self.vault.put(&vault_name, &secret)?);
            documents.extend(s.secret.replace(vault_name.clone()).map(|old| Vault::remove(&old)));
            opened = Some((vault_name, secret));
        }
        let hold = self.dispatch.hold().await?;
        let from = self.next_from(s.no, hold.head);
        let spec = self.store(s.clone(), version, from, documents, by, "subscription.updated").await?;
        if let Some((vault_name, secret)) = opened {
            self.vault.opened(&vault_name, &secret);
        }
        hold.apply(Change::Update(spec));
        Ok(Created { value: s, secret: None })
    }

    /// Stops deliveries; events wait in the log.
    pub async fn pause(&self, name: &str, reason: Option<String>, by: &Principal) -> Result<Subscription, Problem> {
        let reason = reason.unwrap_or_else(|| format!("paused by {}", by.name));
        let since = self.desk.now();
        self.set_activity(name, Activity::Paused { reason, since }, by, "subscription.paused").await
    }

    /// Starts deliveries again where they stopped.
    pub async fn resume(&self, name: &str, by: &Principal) -> Result<Subscription, Problem> {
        self.set_activity(name, Activity::Active, by, "subscription.resumed").await
    }

    /// Records that the dispatcher stopped it.
    pub async fn stopped(&self, no: SubNo, disabled: bool, reason: &str) -> Result<Subscription, Problem> {
        let name = self.name_of(no).unwrap_or_default();
        if self.get(&name)?.no != no {
            let message = format!("subscription {no} was removed; {name:?} is another one now");
            return Err(Problem::new(Code::NotFound, message));
        }
        let since = self.desk.now();
        let reason = reason.to_owned();
        let (activity, action) = if disabled {
            (Activity::Disabled { reason, since }, "subscription.disabled")
        } else {
            (Activity::Paused { reason, since }, "subscription.paused")
        };
        self.set_activity(&name, activity, &Principal::admin("hub"), action).await
    }

    async fn set_activity(
        &self,
        name: &str,
        activity: Activity,
        by: &Principal,
        action: &str,
    ) -> Result<Subscription, Problem> {
        let _one = self.changing.lock().await;
        let (mut s, version) = self.held(name)?;
        let active = activity == Activity::Active;
        if active && s.activity == Activity::Active {
            return Ok(s);
        }
        s.activity = activity;
        s.updated_at = self.desk.now();
        let internal = |e: serde_json::Error| Problem::new(Code::Internal, e.to_string());
        let detail = serde_json::json!({"name": s.name, "activity": s.activity});
        let commit = Commit {
            guards: vec![Guard::Version(Key::of::<Subscription>(name), version)],
            documents: vec![Write::put(&s).map_err(internal)?],
            events: vec![self.desk.audit(by, action, &detail)],
            ..Commit::default()
        };
        self.desk.commit(commit).await?;
        self.shelf
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(name.to_owned(), (s.clone(), version + 1));
        self.dispatch.change(Change::Active(s.no, active)).await?;
        Ok(s)
    }

    /// Removes a subscription. Its dead letters stay until their retention, its history for ever.
    pub async fn delete(&self, name: &str, by: &Principal) -> Result<(), Problem> {
        let _one = self.changing.lock().await;
        let (s, version) = self.held(name)?;
        let hold = self.dispatch.hold().await?;
        let end = Revision {
            no: s.no,
            name: s.name.clone(),
            revision: s.revision + 1,
            from_seq: self.next_from(s.no, hold.head),
            filters: Vec::new(),
            predicate: None,
        };
        let key = Key::of::<Subscription>(name);
        let mut documents = vec![Write::Delete(key.clone())];
        documents.push(Write::put(&end).map_err(|e| Problem::new(Code::Internal, e.to_string()))?);
        documents.extend(s.secret.as_deref().map(Vault::remove));
        let commit = Commit {
            guards: vec![Guard::Version(key, version)],
            documents,
            events: vec![self.desk.audit(by, "subscription.removed", &serde_json::json!({"name": name}))],
            ..Commit::default()
        };
        self.desk.commit(commit).await?;
        self.shelf.write().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
        let mut revisions = self.revisions.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        revisions.entry(s.no).or_default().push(end);
        drop(revisions);
        if let Some(secret) = &s.secret {
            self.vault.forget(secret);
        }
        hold.apply(Change::Remove(s.no));
        Ok(())
    }
}
