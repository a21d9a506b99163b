//! Several calls of one operation as one request. They gather for as long as the manifest says, and for as long as the
//! limits hold them back; a task of its own waits for the turn and sends, so that no caller who goes away takes the others'
//! answers with it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::HeaderMap;
use nexus_core::{
    event::Priority,
    problem::{Code, Problem},
};
use serde_json::{Value, json};
use tokio::sync::{Notify, oneshot};

use super::attempt::{Attempt, Next, Under, What, no_turn};
use crate::{
    connectors::{
        ConnectorCall, Connectors,
        answer::{Answer, Asked, judge},
        batch::{Gathering, Member},
        calling::shared_lineage,
        check::Connector,
        connections::Account,
        error::CallError,
        operation::{Call, Together},
        turn::{Held, NoTurn},
    },
    supervisor::TaskKind,
};

/// Refusals that are about what was sent: sent in parts, the good calls get through.
const OF_CONTENT: [u16; 4] = [400, 409, 413, 422];

/// What a call is told: its output, and how many requests were sent.
type Told = Result<(Value, u32), CallError>;

/// A call among others.
#[derive(Debug)]
struct Waiting {
    input: Value,
    key: Value,
    lineage: HeaderMap,
    tell: oneshot::Sender<Told>,
}

/// Calls that may go together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alike {
    connector: String,
    connection: String,
    operation: String,
    /// What the manifest's `same` gives.
    same: String,
    /// Who is in less of a hurry does not end the others' attempts, nor the other way round.
    patience: Duration,
}

#[derive(Debug, Default)]
struct Group {
    gathering: Mutex<Gathering<Waiting>>,
    changed: Notify,
}

impl Group {
    fn lock(&self) -> MutexGuard<'_, Gathering<Waiting>> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that gather now.
#[derive(Debug, Default)]
pub(in crate::connectors) struct Groups(Mutex<HashMap<Alike, Arc<Group>>>);

impl Groups {
    fn lock(&self) -> MutexGuard<'_, HashMap<Alike, Arc<Group>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a group that nobody waits in. Whoever joins holds the same lock.
    fn end(&self, alike: &Alike, group: &Group) -> bool {
        let mut all = self.lock();
        let over = group.lock().outlook().is_none();
        if over {
            all.remove(alike);
        }
        over
    }
}

/// A place among others; given up when the caller goes away.
struct Place<'a> {
    group: &'a Group,
    ticket: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.group.lock().leave(self.ticket).is_some() {
            self.group.changed.notify_one();
        }
    }
}

/// What all calls of a group have in common.
struct Common {
    alike: Alike,
    group: Arc<Group>,
    connector: Arc<Connector>,
    account: Arc<Account>,
}

impl Common {
    /// The operation and how its calls go together; a group is made for such an operation only.
    fn operation(&self) -> Option<(&Call, &Together)> {
        let call = self.connector.operations.get(&self.alike.operation)?;
        Some((call, call.together.as_deref()?))
    }
}

fn stopping() -> CallError {
    CallError::Hub(Problem::new(Code::Unavailable, "the hub is stopping"))
}

impl Connectors {
    /// Whether a call is one that may go with others, and has the time to wait for them.
    pub(super) fn may_wait(&self, what: &What<'_>, together: &Together) -> Result<bool, CallError> {
        if what.deadline <= self.0.desk.clock.mono() + together.wait {
            return Ok(false);
        }
        let Some(when) = &together.when else { return Ok(true) };
        let settings = what.account.connection().full_settings(what.connector);
        when.holds(what.input, &[("settings", &settings)])
            .map_err(|error| CallError::Request(format!("batch.when can't be told of this input: {error}")))
    }

    /// Waits for others, and for the answer.
    pub(super) async fn together(
        &self,
        what: &What<'_>,
        together: &Together,
        key: Value,
        asked: &ConnectorCall,
    ) -> Told {
        let name = what.account.connection().name;
        let late = |held| no_turn(NoTurn::Held(held), what.connector, &name, what.operation);
        if let Some(held) = self.0.turns.too_late(what.connector, &what.wanted(), what.deadline) {
            return Err(late(held));
        }
        let settings = what.account.connection().full_settings(what.connector);
        let same = match &together.same {
            None => String::new(),
            Some(same) => same
                .eval(what.input, &[("settings", &settings)])
                .map_err(|error| CallError::Request(format!("batch.same can't be told of this input: {error}")))?
                .to_string(),
        };
        let alike = Alike {
            connector: what.connector.manifest.name.clone(),
            connection: name.clone(),
            operation: what.operation.to_owned(),
            same,
            patience: asked.patience,
        };
        let (tell, mut told) = oneshot::channel();
        let raw = key.get("raw").and_then(Value::as_str).unwrap_or_default().to_owned();
        let bytes = what.input.to_string().len();
        let waiting = Waiting { input: what.input.clone(), key, lineage: what.lineage.clone(), tell };
        let (group, ticket) = {
            let mut all = self.0.groups.lock();
            let known = all.get(&alike).cloned();
            let is_new = known.is_none();
            let group = known.unwrap_or_default();
            let ticket = group.lock().join(raw, what.priority, bytes, what.deadline, waiting);
            if is_new {
                all.insert(alike.clone(), Arc::clone(&group));
                let (connector, account) = (Arc::clone(what.connector), Arc::clone(what.account));
                let common = Common { alike, group: Arc::clone(&group), connector, account };
                self.0.spawn.start(TaskKind::Delivery, self.clone().gather(common));
            }
            (group, ticket)
        };
        group.changed.notify_one();
        let place = Place { group: &group, ticket };
        let clock = &self.0.desk.clock;
        tokio::select! {
            answer = &mut told => return answer.unwrap_or_else(|_| Err(stopping())),
            () = clock.sleep(what.deadline.saturating_sub(clock.mono())) => {}
        }
        if place.group.lock().leave(place.ticket).is_some() {
            let soon = Held { until: self.0.desk.now().plus(Duration::from_secs(1)), asked: false };
            return Err(late(self.0.turns.too_late(what.connector, &what.wanted(), clock.mono()).unwrap_or(soon)));
        }
        told.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Waits for calls and for their turn, and sends them, until nobody waits.
    async fn gather(self, common: Common) {
        let stop = self.0.spawn.engine_stopping();
        let common = Arc::new(common);
        tokio::select! {
            () = stop.cancelled() => {
                // Whoever waits is told that the hub stops, as nobody is left to tell anything else.
                self.0.groups.lock().remove(&common.alike);
                drop(common.group.lock().take(usize::MAX, usize::MAX));
            }
            () = self.gathered(&common) => {}
        }
    }

    async fn gathered(&self, common: &Arc<Common>) {
        let Some((call, together)) = common.operation() else { return };
        let (group, clock, nowhere) = (&common.group, &self.0.desk.clock, HeaderMap::new());
        let end = clock.mono() + together.wait;
        while clock.mono() < end && !group.lock().is_full(together.calls, together.bytes) {
            tokio::select! {
                () = group.changed.notified() => {}
                () = clock.sleep(end.saturating_sub(clock.mono())) => {}
            }
        }
        loop {
            let outlook = group.lock().outlook();
            let Some((priority, deadline)) = outlook else {
                if self.0.groups.end(&common.alike, group) {
                    return;
                }
                continue;
            };
            let what = common.what(call, &Value::Null, priority, deadline, &nowhere);
            tokio::select! {
                // First, so that a turn that came is not lost.
                biased;
                turn = self.0.turns.wait(&common.connector, what.wanted(), deadline) => match turn {
                    Ok(()) => {
                        let members = group.lock().take(together.calls, together.bytes);
                        let (own, common) = (self.clone(), Arc::clone(common));
                        self.0.spawn.start(TaskKind::Delivery, async move { own.send(&common, members).await });
                    }
                    Err(error) => {
                        let late = group.lock().take_until(deadline);
                        let error = no_turn(error, &common.connector, &common.alike.connection, &common.alike.operation);
                        late.into_iter().for_each(|member| told(member, Err(error.clone())));
                    }
                },
                () = another(group, priority) => {}
            }
        }
    }

    /// Sends calls as one request. What is refused for what it holds goes again in halves.
    async fn send(&self, common: &Common, members: Vec<Member<Waiting>>) {
        let mut parts = vec![members];
        let mut has_turn = true;
        while let Some(mut members) = parts.pop() {
            if members.is_empty() {
                continue;
            }
            let result = self.one(common, &members, std::mem::take(&mut has_turn)).await;
            match result {
                Err(CallError::Refused { status, .. }) if members.len() > 1 && OF_CONTENT.contains(&status) => {
                    let second = members.split_off(members.len() / 2);
                    parts.extend([second, members]);
                }
                Ok(answers) => {
                    for (member, answer) in members.into_iter().zip(answers) {
                        told(member, answer);
                    }
                }
                Err(error) => members.into_iter().for_each(|member| told(member, Err(error.clone()))),
            }
        }
    }

    /// One request; gives what each call is told.
    async fn one(&self, common: &Common, members: &[Member<Waiting>], has_turn: bool) -> Result<Vec<Told>, CallError> {
        let Some((call, together)) = common.operation() else { return Err(stopping()) };
        let priority = members.iter().map(|member| member.priority).max().unwrap_or_default();
        let deadline = members.iter().map(|member| member.deadline).min().unwrap_or_default();
        let lineage = shared_lineage(members.iter().map(|member| &member.what.lineage));
        if let [single] = members {
            let what = common.what(call, &single.what.input, priority, deadline, &lineage);
            let mut under = Under::new(self, what, single.what.key.clone())?;
            under.has_turn = has_turn;
            let (output, _) = under.attempts(&Value::Null, None).await?;
            return Ok(vec![Ok((under.hider.value(output), under.requests))]);
        }
        let list = members.iter().map(|member| json!({"input": member.what.input, "key": member.what.key}));
        let list: Value = list.collect();
        // Keys hold no line break.
        let keys: Vec<&str> = members.iter().map(|member| member.key.as_str()).collect();
        let key = super::derived(&keys.join("\n"));
        let what = common.what(&together.call, &list, priority, deadline, &lineage);
        let mut under = Under::new(self, what, key.clone())?;
        under.has_turn = has_turn;
        let (_, answer) = under.attempts(&Value::Null, None).await?;
        let mut answers = Vec::with_capacity(members.len());
        for (index, member) in members.iter().enumerate() {
            let told = match self.part(&under, call, together, &answer, index, member) {
                Ok(output) => Ok((under.hider.value(output), under.requests)),
                Err(CallError::Reconnect { reason, .. }) => {
                    self.lost(&common.account, &under.connection, &common.connector, &reason).await
                }
                Err(error) => Err(error),
            };
            answers.push(told);
        }
        Ok(answers)
    }

    /// What the answer to all says of one.
    fn part(
        &self,
        under: &Under<'_>,
        call: &Call,
        together: &Together,
        answer: &Answer,
        index: usize,
        member: &Member<Waiting>,
    ) -> Result<Value, CallError> {
        let (status, index) = (Value::from(answer.status), Value::from(index));
        let Waiting { input, key, .. } = &member.what;
        let given = [
            ("status", &status),
            ("headers", &answer.headers),
            ("input", input),
            ("settings", &under.settings),
            ("index", &index),
            ("key", key),
        ];
        let unusable = |message: String| CallError::Answer {
            operation: under.operation.to_owned(),
            message: under.hider.text(&message),
        };
        let body = together.split.eval(&answer.body, &given).map_err(|e| unusable(format!("batch.split: {e}")))?;
        if body.is_null() {
            return Err(unusable("the answer to all calls that went together says nothing of this one".into()));
        }
        let own = Answer { status: answer.status, headers: answer.headers.clone(), body };
        let asked = Asked { input, settings: &under.settings, attempt: 1, now: self.0.desk.now() };
        let retry = &under.connector.manifest.retry;
        let judged = judge(call, retry, &own, asked);
        match under.decide(Attempt::Answered(judged, Box::new(own)), retry.attempts, retry, true) {
            Next::Give(output, _) => Ok(output),
            Next::Stop(error) => Err(error),
            Next::Again(..) | Next::Renew(_) => Err(unusable("it asks to be tried again".into())),
        }
    }
}

impl Common {
    fn what<'a>(
        &'a self,
        call: &'a Call,
        input: &'a Value,
        priority: Priority,
        deadline: Duration,
        lineage: &'a HeaderMap,
    ) -> What<'a> {
        let (connector, account, operation) = (&self.connector, &self.account, self.alike.operation.as_str());
        What { connector, account, operation, call, input, priority, deadline, lineage }
    }
}

/// Nobody may be listening any more.
fn told(member: Member<Waiting>, answer: Told) {
    let _ = member.what.tell.send(answer);
}

/// Ends when the turn that is waited for is no longer the right one: somebody came with a higher priority, or nobody is
/// left.
async fn another(group: &Group, priority: Priority) {
    loop {
        group.changed.notified().await;
        if group.lock().outlook().is_none_or(|(highest, _)| highest != priority) {
            return;
        }
    }
}
