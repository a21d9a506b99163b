//! The subscription desk: changes them, says how they stand, tests their endpoints.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
};

use nexus_core::{
    access::Principal,
    breaker::BreakerState,
    event::{Priority, Seq, StoredEvent},
    id::EventId,
    problem::{Code, Problem},
    retry::RetrySchedule,
    store::{Commit, Entry, Guard, Key, Position, SubNo, Write},
    time::Timestamp,
    topic::{Topic, TopicFilter},
};
use nexus_outbound::{Reach, check_url};
use serde::Serialize;

use crate::{
    delivery::{
        attempt::{Delivery, Exchange, Sender},
        driver::Change,
        machine::{Machine, Now},
        spec::Spec,
        state::{Mode, State},
    },
    desk::{Created, Desk, Shelf, check_name},
    dispatch::Dispatch,
    jq::Jq,
    subscription::{Activity, NewSubscription, Revision, Subscription, SubscriptionPatch, Target},
    vault::Vault,
};

/// How a subscription stands.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: String,
    /// `active`, `paused` or `disabled`.
    pub state: &'static str,
    /// Why it is paused or disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `live` (keeps up) or `behind` (reads the log by itself).
    pub mode: &'static str,
    /// Events of the log between its position and the head; not all of them need match.
    pub lag: u64,
    /// First seq that is not settled.
    pub position: Seq,
    /// Events held in memory.
    pub waiting: usize,
    /// Requests out.
    pub in_flight: usize,
    /// Deliveries that will be tried again.
    pub retrying: usize,
    /// Dead letters.
    pub dead: u64,
    /// `closed`, `open` or `half_open`.
    pub breaker: BreakerState,
    /// What it waits for, if it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Until when, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<String>,
    /// The last failure, in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The last success, in this process, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<String>,
}

/// An endpoint and the subscriptions that deliver to it.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// Its URL, or `handler:NAME`.
    pub url: String,
    /// Subscriptions.
    pub subscriptions: Vec<String>,
    /// The worst of their breakers.
    pub breaker: BreakerState,
    /// Requests out.
    pub in_flight: usize,
}

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

    /// Checks everything a caller said, and fills in the defaults.
    fn build(&self, new: NewSubscription, by: &Principal) -> Result<(Subscription, Option<String>), Problem> {
        check_name("name", &new.name)?;
        let now = self.desk.now();
        let filters: Vec<TopicFilter> = new.filter.into_iter().chain(new.filters).collect();
        let target = match (new.url, new.target) {
            (Some(url), None) => Target::Webhook { url, headers: BTreeMap::new() },
            (None, Some(target)) => target,
            (None, None) => return Err(Problem::field("url", "say where to deliver: url for a webhook, or target")),
            (Some(_), Some(_)) => return Err(Problem::field("url", "give url or target, not both")),
        };
        let activity = if new.active {
            Activity::Active
        } else {
            Activity::Paused { reason: "created paused".into(), since: now }
        };
        let subscription = Subscription {
            name: new.name,
            no: 0,
            revision: 1,
            filters,
            predicate: new.predicate.filter(|p| !p.is_empty()),
            target,
            secret: None,
            private: by.may("endpoints:private"),
            ordered: new.ordered,
            key: new.key,
            on_dead: new.on_dead,
            concurrency: new.concurrency.unwrap_or(16),
            retry: new.retry.map_or_else(RetrySchedule::default, |r| r.0),
            max_attempts: new.max_attempts.unwrap_or(10),
            timeout_ms: new.timeout_ms.unwrap_or(15_000),
            keep_exchanges: new.keep_exchanges,
            activity,
            since_seq: 0,
            created_at: now,
            updated_at: now,
        };
        self.check(&subscription)?;
        Ok((subscription, new.secret))
    }

    fn check(&self, s: &Subscription) -> Result<(), Problem> {
        if s.filters.is_empty() || s.filters.len() > 64 {
            return Err(Problem::field("filters", "name 1 to 64 topics or filters, for example payment.*"));
        }
        for (field, text) in [("predicate", &s.predicate), ("key", &s.key)] {
            if let Some(text) = text {
                Jq::compile(text).map_err(|e| Problem::field(field, e.to_string()))?;
            }
        }
        for (field, value, range) in [
            ("concurrency", u64::from(s.concurrency), 1..=1024),
            ("max_attempts", u64::from(s.max_attempts), 1..=100),
            ("timeout_ms", s.timeout_ms, 100..=60_000),
        ] {
            if !range.contains(&value) {
                return Err(Problem::field(
                    field,
                    format!("{value} is not within {} to {}", range.start(), range.end()),
                ));
            }
        }
        if let RetrySchedule::Explicit { waits_ms } = &s.retry
            && (waits_ms.is_empty() || waits_ms.len() > 100)
        {
            return Err(Problem::field("retry", "give 1 to 100 waits, for example 1s,5s,30s"));
        }
        self.check_target(s)
    }

    fn check_target(&self, s: &Subscription) -> Result<(), Problem> {
        let reach = if s.private { Reach::Private } else { Reach::Public };
        if let Some(url) = s.target.url().filter(|u| !u.contains("${secret:")) {
            check_url(url, reach).map_err(|e| Problem::field("url", e.message))?;
        }
        match &s.target {
            Target::Webhook { headers, .. } => check_headers(headers),
            Target::Http { url, headers, body, method } => {
                let expressions = [url.strip_prefix('='), body.as_deref()];
                for expression in expressions.into_iter().flatten() {
                    Jq::compile(expression).map_err(|e| Problem::field("target", e.to_string()))?;
                }
                if !method.bytes().all(|b| b.is_ascii_uppercase()) || !(1..=16).contains(&method.len()) {
                    return Err(Problem::field("target.method", format!("{method:?} is no HTTP method such as POST")));
                }
                check_headers(headers)
            }
            Target::Handler { name } if self.sender.has_handler(name) => Ok(()),
            Target::Handler { name } => {
                Err(Problem::field("target.name", format!("no handler {name:?} is registered")))
            }
            Target::Consumer {} => Ok(()),
        }
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

    /// Sends a sample to its endpoint, once and outside the log, and shows the whole exchange.
    pub async fn test(&self, name: &str, sample: Option<serde_json::Value>) -> Result<Exchange, Problem> {
        let s = self.get(name)?;
        let spec = Spec::compile(s, &[]).map_err(|e| Problem::new(Code::Internal, e.to_string()))?;
        let topic = spec.subscription.filters.iter().find_map(TopicFilter::exact);
        let event = self.sample(topic, sample.unwrap_or_else(|| serde_json::json!({"test": true})))?;
        let delivery = Delivery { spec: &spec, generation: 0, attempt: 1 };
        self.sender.test(&event, delivery).await.map_err(|e| Problem::new(Code::Invalid, e))
    }

    fn sample(&self, topic: Option<Topic>, payload: serde_json::Value) -> Result<StoredEvent, Problem> {
        let now = self.desk.now();
        Ok(StoredEvent {
            seq: 0,
            id: EventId::from_bytes(self.desk.random()?),
            topic: topic.unwrap_or_else(|| Topic::from_canonical("nexus.test")),
            source: "hub".into(),
            subject: None,
            time: now,
            received: now,
            priority: Priority::Normal,
            correlation: None,
            causation: None,
            depth: 0,
            attributes: None,
            data: nexus_core::event::Data::Present { salt: [0; 16], json: payload.to_string().into() },
            hash: [0; 32],
        })
    }

    /// How one stands.
    pub async fn status(&self, name: &str) -> Result<SubscriptionStatus, Problem> {
        let s = self.get(name)?;
        let counts = self.desk.store.exception_counts().await.map_err(crate::desk::unreadable)?;
        let dead = counts
            .iter()
            .filter(|(no, state, _)| *no == s.no && *state == nexus_core::store::ExceptionState::Dead)
            .map(|(.., n)| n)
            .sum();
        let found = self.dispatch.state(s.no, move |machine, state, now| status(machine, state, now, dead)).await?;
        found.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no subscription {name:?}"))).map(
            |mut found| {
                if let Activity::Paused { reason, .. } | Activity::Disabled { reason, .. } = &s.activity {
                    found.reason = Some(reason.clone());
                }
                found.state = match s.activity {
                    Activity::Active => "active",
                    Activity::Paused { .. } => "paused",
                    Activity::Disabled { .. } => "disabled",
                };
                found
            },
        )
    }

    /// Every endpoint with its breaker.
    pub async fn endpoints(&self) -> Result<Vec<EndpointStatus>, Problem> {
        self.dispatch
            .ask(|machine, now| {
                let mut found: BTreeMap<String, EndpointStatus> = BTreeMap::new();
                for (_, state) in machine.states() {
                    let s = &state.spec.subscription;
                    let url = match &s.target {
                        Target::Webhook { url, .. } | Target::Http { url, .. } => url.clone(),
                        Target::Handler { name } => format!("handler:{name}"),
                        Target::Consumer {} => format!("consumer:{}", s.name),
                    };
                    let entry = found.entry(url.clone()).or_insert_with(|| EndpointStatus {
                        url,
                        subscriptions: Vec::new(),
                        breaker: BreakerState::Closed,
                        in_flight: 0,
                    });
                    entry.subscriptions.push(s.name.clone());
                    entry.in_flight += state.in_flight.len();
                    let breaker = state.breaker.state(now.mono);
                    if breaker != BreakerState::Closed {
                        entry.breaker = breaker;
                    }
                }
                found.into_values().collect()
            })
            .await
    }
}

/// The subscription, if it is as `new` says.
fn same(new: &NewSubscription, found: Subscription) -> Result<Created<Subscription>, Problem> {
    let filters: Vec<&TopicFilter> = new.filter.iter().chain(&new.filters).collect();
    let target = match &new.url {
        Some(url) => found.target.url() == Some(url.as_str()),
        None => new.target.as_ref().is_none_or(|t| *t == found.target),
    };
    let differs = [
        ("filters", filters != found.filters.iter().collect::<Vec<_>>()),
        ("predicate", new.predicate.as_deref().unwrap_or_default() != found.predicate.as_deref().unwrap_or_default()),
        ("target", !target),
        ("ordered", new.ordered != found.ordered),
        ("key", new.key != found.key),
        ("concurrency", new.concurrency.is_some_and(|n| n != found.concurrency)),
        ("retry", new.retry.as_ref().is_some_and(|r| r.0 != found.retry)),
        ("max_attempts", new.max_attempts.is_some_and(|n| n != found.max_attempts)),
        ("timeout_ms", new.timeout_ms.is_some_and(|n| n != found.timeout_ms)),
    ];
    let differing: Vec<&str> = differs.iter().filter(|(_, differs)| *differs).map(|(field, _)| *field).collect();
    if differing.is_empty() {
        return Ok(Created { value: found, secret: None });
    }
    let message = format!(
        "subscription {:?} exists with another {}; change it, or ask for another name",
        found.name,
        differing.join(", ")
    );
    let mut problem = Problem::new(Code::Conflict, message);
    problem.details = differing.iter().map(|f| ((*f).to_owned(), "differs".to_owned())).collect();
    Err(problem)
}

fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), Problem> {
    for (name, value) in headers {
        if name.parse::<http::HeaderName>().is_err() {
            return Err(Problem::field("target.headers", format!("{name:?} is no header name")));
        }
        if let Some(expression) = value.strip_prefix('=') {
            Jq::compile(expression).map_err(|e| Problem::field("target.headers", e.to_string()))?;
        }
    }
    Ok(())
}

/// How a subscription stands, as far as the machine knows.
fn status(machine: &Machine, state: &State, now: Now, dead: u64) -> SubscriptionStatus {
    let position = match state.mode {
        Mode::Live => state.first_open().unwrap_or(machine.head() + 1),
        Mode::Behind => state.log_lanes().iter().map(|l| state.lanes[usize::from(*l)].position()).min().unwrap_or(0),
    };
    let (waiting_for, waiting_until) = why(state, now);
    SubscriptionStatus {
        name: state.spec.subscription.name.clone(),
        state: "active",
        reason: None,
        mode: if state.mode == Mode::Live { "live" } else { "behind" },
        lag: (machine.head() + 1).saturating_sub(position),
        position,
        waiting: state.waiting(),
        in_flight: state.in_flight.len(),
        retrying: state.retrying(),
        dead,
        breaker: state.breaker.state(now.mono),
        waiting_for,
        waiting_until: waiting_until.map(|t| t.to_string()),
        last_error: state.last_error.clone(),
        last_success_at: state.last_success.map(|t| t.to_string()),
    }
}

/// What a subscription waits for, and until when.
pub fn why(state: &State, now: Now) -> (Option<String>, Option<Timestamp>) {
    if !state.active {
        return (Some("a person to resume it".into()), None);
    }
    match state.breaker.state(now.mono) {
        BreakerState::Open => {
            let left = state.breaker.open_until().unwrap_or_default().saturating_sub(now.mono);
            return (Some("its endpoint's breaker to let a probe through".into()), Some(now.wall.plus(left)));
        }
        BreakerState::HalfOpen => return (Some("the answer to a probe".into()), None),
        BreakerState::Closed => {}
    }
    if let Some(key) = state.crowded.iter().next() {
        return (Some(format!("the events that wait behind key {key:?}, before it reads on")), None);
    }
    if state.in_flight.len() >= usize::from(state.spec.subscription.concurrency) {
        if state.spec.subscription.target.is_consumer() {
            return (Some("a consumer to take what it is offered, or to acknowledge what it took".into()), None);
        }
        return (Some("one of its requests to be answered".into()), None);
    }
    match state.retries.first() {
        Some((at, ..)) => (Some("its next retry".into()), Some(*at)),
        None => (None, None),
    }
}
